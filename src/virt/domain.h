/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_DOMAIN_H
#define VMKEEP_VIRT_DOMAIN_H

/*
 * A domain as it is now: state, disks with their chains, firmware, agent, and
 * what can be captured of it, with the reason where something cannot.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "virt/conn.h"

enum domain_state {
	DOMAIN_RUNNING,
	DOMAIN_PAUSED, /* by whom, domain_info.pause_reason says */
	DOMAIN_SHUT_OFF,
	DOMAIN_PMSUSPENDED,
	DOMAIN_CRASHED,
	DOMAIN_OTHER,
};

enum domain_agent {
	AGENT_NONE,         /* no channel in the definition */
	AGENT_DISCONNECTED, /* channel, but nobody answers at the other end */
	AGENT_CONNECTED,
};

/* One image of a disk's chain, from the top (what the guest writes) down. */
struct domain_image {
	char *path;   /* file or block device; NULL for network sources */
	char *format; /* "raw", "qcow2", ... */
	char *type;   /* libvirt's source type: file, block, network, ... */
};

struct domain_disk {
	char *target; /* "vda" */
	char *device; /* disk, cdrom, floppy, lun */
	char *bus;
	struct domain_image *chain; /* [0] is the active image */
	size_t chain_len;           /* 0: no medium */
	uint64_t size;              /* virtual size in bytes; 0 unknown */
	bool readonly;
	bool shareable;
	bool transient;
	bool captured;   /* belongs into a backup by default */
	char *why_not;   /* when not captured: the reason; else NULL */
	bool job_active; /* a block job runs on it */
};

struct domain_info {
	char *name;
	char uuid[CONN_UUID_TEXT];
	enum domain_state state;
	char *pause_reason; /* libvirt's words, or NULL */
	bool persistent;
	bool emulated;   /* by QEMU alone, without KVM */
	uint64_t memory; /* bytes of guest RAM, now */
	enum domain_agent agent;
	struct domain_disk *disks;
	size_t disk_count;
	char *nvram;           /* path of the varstore file, or NULL */
	bool tpm;              /* an emulated TPM with state on this host */
	char *tpm_path;        /* where its definition says that it is, or NULL:
				* where libvirt has it; see tpm.h */
	char *ram_refused;     /* why RAM cannot be taken, or NULL */
	char *overlay_refused; /* why overlay + commit cannot, or NULL */
};

/* Names of all domains of this connection, sorted.  Free each and the array
 * with domain_names_free(). */
int domain_names(struct conn *c, char ***names, size_t *count, struct err *e);
void domain_names_free(char **names, size_t count);

/* Look at one, by name or UUID text.  ERR_NOT_FOUND names the nearest domain
 * there is.  Free with domain_info_free(). */
struct domain_info *domain_inspect(struct conn *c, const char *name,
				   struct err *e);

/* As the kept definition has it, which the next start uses: identity, agent,
 * disks without their size. */
struct domain_info *domain_kept(struct conn *c, const char *uuid,
				struct err *e);
void domain_info_free(struct domain_info *d);
void domain_info_free_at(struct domain_info **d);

const char *domain_state_text(enum domain_state s);
const char *domain_agent_text(enum domain_agent a);

#endif
