/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_TPM_H
#define VMKEEP_VIRT_TPM_H

/*
 * The state of an emulated TPM: a few small files of swtpm in a folder that
 * libvirt names after the domain's UUID.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "virt/conn.h"

/* What one state may have in all. */
#define TPM_MAX ((size_t)16 << 20)

struct tpm_file {
	char *folder; /* inside the state's: "tpm2", "tpm1.2", or "" */
	char *name;   /* "tpm2-00.permall" */
	char *owner;  /* "user:group", names or numbers */
	struct buf data;
};

struct tpm_state {
	struct tpm_file *files; /* sorted by folder and name */
	size_t count;
};

/* Where the state of a domain with this UUID is, or would be; path: what its
 * definition says, or NULL.  To be freed; NULL where there is no HOME. */
char *tpm_folder(struct conn *c, const char *uuid, const char *path);

/* All regular files in there but locks.  No folder: none.  *out is for
 * tpm_fini(); on failure it is empty. */
int tpm_load(const char *folder, struct tpm_state *out, struct err *e);

bool tpm_equal(const struct tpm_state *a, const struct tpm_state *b);

/*
 * Put a state there, for a domain that is not running.  What was there is
 * kept beside it, under a name that is appended to *kept (NULL when there was
 * nothing).  Owners that this host does not know are left out.
 */
int tpm_save(const char *folder, const struct tpm_state *state, char **kept,
	     struct err *e);

void tpm_fini(struct tpm_state *state);

#endif
