/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_DEFINE_H
#define VMKEEP_VIRT_DEFINE_H

/*
 * Bringing back: rewrite a stored definition for its new place, define it,
 * start it, or resume it from a RAM dump.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "virt/conn.h"

struct define_disk {
	const char *target; /* "vda" */
	const char *path;   /* its new place; NULL: take the disk out */
	const char *format; /* "raw" or "qcow2" */
	bool block;         /* a block device */
};

/* Sentences on what is not as it was.  Embedded. */
struct define_notes {
	char **items;
	size_t count;
};

void define_notes_add(struct define_notes *notes, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void define_notes_fini(struct define_notes *notes);

struct define_change {
	const char *name;  /* NULL: as it was */
	bool new_identity; /* new UUID, MACs and genid; free graphics ports */
	const struct define_disk *disks;
	size_t disk_count; /* disks that are not named: removable drives are
			    * emptied when their medium is not here,
			    * read-only disks stay when their image is here,
			    * all others are taken out */
	const char *nvram; /* new path; NULL: as it was where that file is
			    * here, else libvirt makes a new one */
	struct define_notes *notes; /* NULL, or gets a sentence for each disk
				     * that is taken out */
};

/*
 * The changed definition, in out (a string with NUL, length without it).
 * What the guest sees of its machine stays as it was, unless new_identity
 * says otherwise: a RAM dump fits.  What belonged to the old host goes:
 * chains (backingStore), names and sockets that libvirt had made at run time,
 * security labels, an emulator or firmware that is not installed here (where
 * libvirt chooses one by itself), serial ports to files and devices that are
 * not here (they become ptys).
 */
int define_rewrite(const char *xml, const struct define_change *change,
		   struct buf *out, struct err *e);

/*
 * Fit a definition to the networks of this host: a card whose network, bridge
 * or device is not here is left unplugged (type user, link down), so that the
 * guest has it and the domain starts.  Adds a note for each.  out as above.
 */
int define_networks(struct conn *c, const char *xml, struct buf *out,
		    struct define_notes *notes, struct err *e);

/* Name and UUID in a definition; both to be freed / of fixed size. */
int define_identity(const char *xml, char **name, char uuid[CONN_UUID_TEXT],
		    struct err *e);

/* Is there a domain of this name or UUID (NULL: only the name counts), and is
 * one of them active?  With a UUID: ERR_EXISTS when name and UUID are not of
 * one domain, ERR_REFUSED when it has a saved state (virsh managedsave), which
 * a start would take instead of what is defined. */
int define_taken(struct conn *c, const char *name, const char *uuid,
		 bool *defined, bool *active, struct err *e);

/* The inactive definition, with secrets, appended to out: 1; 0 when there is no
 * such domain. */
int define_current(struct conn *c, const char *name, struct buf *out,
		   struct err *e);

/* Define (persistent).  A domain of this name and UUID is redefined only when
 * it is shut off (else ERR_BUSY); other errors as define_taken(). */
int define_domain(struct conn *c, const char *xml, struct err *e);

/* ERR_BUSY when it runs already. */
int define_start(struct conn *c, const char *name, struct err *e);

/* Pull the plug; 0 also when it does not run. */
int define_stop(struct conn *c, const char *uuid, struct err *e);

/*
 * Resume from a RAM dump (libvirt's save format) with the changed definition;
 * the guest runs when this returns, unless it was paused when captured.  The
 * disks must be those of the same instant.  ERR_BUSY when the domain runs
 * already or a disk is in use; ERR_REFUSED when the definition or the host
 * does not fit the dump.
 */
int define_resume(struct conn *c, const char *dump, const char *xml,
		  bool paused, struct err *e);

#endif
