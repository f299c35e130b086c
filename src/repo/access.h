/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_ACCESS_H
#define VMKEEP_REPO_ACCESS_H

/*
 * Who may open a repository, and as what: listing, adding and removing keys.
 * Adding and removing need an owner's key (ERR_REFUSED).
 *
 * A key is known by its id, which is its signer's.  What stands of it in the
 * store: its record (issued.h), its slots under a passphrase, and in every
 * ring object a box for each key that can read.  Key files lie elsewhere; the
 * record says that there was one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/keyring.h"
#include "repo/repo.h"

struct access_key {
	struct id id;
	uint8_t role; /* 0: a recipient only, or not known */
	char *label;
	int64_t time_ns; /* made; 0: not known */
	bool removed;
	int64_t removed_ns;
	bool file;      /* was written to a key file */
	unsigned slots; /* passphrases that open it */
	bool box;       /* data keys are sealed to it */
	uint8_t box_public[BOX_PUBLIC];
	bool own; /* the one that the repository is open with */
};

struct access_list {
	struct access_key *keys;
	size_t count;
	char **damaged; /* names of objects */
	size_t damaged_count;
};

int access_list(struct repo *r, struct access_list *l, struct err *e);
void access_list_fini(struct access_list *l);

/* By the beginning of its id, 4 digits or more.  ERR_NOT_FOUND, ERR_USAGE. */
const struct access_key *access_find(const struct access_list *l,
				     const char *text, struct err *e);

/* How sealing data keys to recipients went.  What failed may be tried again;
 * what is sealed already is passed over. */
struct access_sealing {
	uint64_t keys;   /* data keys there are */
	uint64_t sealed; /* boxes added */
	uint64_t failed; /* data keys that could not be opened or stored */
	struct err why;  /* the first of these */
};

struct access_new {
	enum role role;
	const char *label;      /* or NULL */
	const char *key_file;   /* made; must not exist; or NULL */
	const char *passphrase; /* or NULL; one of the two is said */
};

/*
 * Make a key.  Killed in the middle it leaves at most a record of a key that
 * nobody has; or one that cannot read old points yet, until access_seal().
 */
int access_add(struct repo *r, const struct access_new *new, struct id *id,
	       struct access_sealing *sealing, struct err *e);

/*
 * Remove: what it signs from now on does not count, new data keys are not
 * sealed to it, its slots are deleted.  ERR_REFUSED for the last owner's.
 * *late: sets that it has committed meanwhile, and which do not count.
 */
int access_remove(struct repo *r, const struct access_key *key, uint64_t *late,
		  struct err *e);

/* Another passphrase for the key that is open: a new slot, then the old ones
 * go.  ERR_REFUSED when it has none. */
int access_passphrase(struct repo *r, const char *passphrase, struct err *e);

/* The key that is open, to a new file, or (NULL) to a descriptor. */
int access_export(struct repo *r, const char *path, int fd, struct err *e);

/* One more recipient of data keys, who keeps the secret elsewhere.  1: made,
 * 0: was one already.  Then access_seal(). */
int access_recipient(struct repo *r, const uint8_t box[BOX_PUBLIC],
		     const char *label, struct id *id, struct err *e);

/* Seal every data key to those recipients that it is not sealed to yet. */
int access_seal(struct repo *r, struct access_sealing *sealing, struct err *e);

#endif
