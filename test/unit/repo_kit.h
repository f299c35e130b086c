/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_REPO_KIT_H
#define VMKEEP_TEST_REPO_KIT_H

/*
 * What the tests of repo/ share: repositories with small packs, images whose
 * every byte follows from a few numbers, whole backups, and the question
 * whether all is well.
 */

#include <stdbool.h>
#include <stdint.h>

#include "repo/catalog.h"
#include "repo/intake.h"
#include "repo/internal.h"
#include "repo/reader.h"
#include "repo/verify.h"

/* A folder of one's own with a key file in it. */
struct kit {
	char dir[64];
	char key_file[80];
};

void kit_init(struct kit *k);
void kit_fini(struct kit *k);

/* A new repository in the store, with packs of 1 MiB; the store is the
 * caller's. */
void kit_create(const struct kit *k, struct store *s);

/* In memory. */
struct store *kit_create_mem(const struct kit *k);

/* Open; takes the store.  NULL and e on failure. */
struct repo *kit_try_open(const struct kit *k, struct store *s,
			  const char *cache, struct err *e);

/* Open a memory store that stays the caller's; must succeed. */
struct repo *kit_open(const struct kit *k, struct store *mem);

/* A memory store with the same objects. */
struct store *kit_clone(struct store *from);

/* A keyring of the same repository whose signatures are of another role. */
struct keyring *kit_role(const struct keyring *owner, uint8_t role);

/* ---- images ---------------------------------------------------------- */

/*
 * Page i of an image is a function of these.  Every `every`-th extent has
 * data; in it zero_percent of the pages are zero; of the others
 * changed_permille come from seed2, the rest from seed.
 */
struct fake {
	uint64_t size;
	uint64_t seed;
	unsigned every; /* 0 means 1 */
	unsigned zero_percent;
	unsigned changed_permille;
	uint64_t seed2;
};

uint64_t kit_mix(uint64_t x);

/* An extent's bytes, zeroes past the end; false when all is zero
 * (and then perhaps nothing was written to it). */
bool fake_extent(const struct fake *f, uint64_t number, uint8_t *to);

/* ---- whole jobs ------------------------------------------------------ */

/* Give an image, front to back. */
int kit_put(struct intake *in, const struct fake *f, struct image_root *root,
	    struct err *e);

struct kit_backup {
	const struct fake *images; /* one point each, named "vm0", "vm1"... */
	size_t count;
	unsigned workers;
	size_t claims_max;
	struct intake_stats stats; /* result */
	struct set set;            /* result, when it succeeded */
};

int kit_backup(struct repo *r, struct kit_backup *b, struct err *e);

/* A backup of one image that must succeed. */
void kit_backup_one(struct repo *r, const struct fake *f,
		    struct intake_stats *stats);

/* Does the image read as it should?  0, or -1 and the failure; wrong bytes
 * fail the test.  For the test's own thread only. */
int kit_compare(struct repo *r, const struct set *set,
		const struct image_root *root, const struct fake *f,
		struct err *e);

/* Open it freshly; verify with all data; count the damages (and show them
 * when show). */
size_t kit_damages(const struct kit *k, struct store *mem, bool show);

/* The same, and none may be. */
void kit_verify_clean(const struct kit *k, struct store *mem);

/* Every object under a prefix. */
struct kit_names {
	char **names;
	size_t count;
};
void kit_list(struct store *s, const char *prefix, struct kit_names *n);
void kit_names_fini(struct kit_names *n);

/* Number of objects under a prefix. */
size_t kit_count(struct store *s, const char *prefix);

/* The bytes of an object, and putting them back. */
void kit_load(struct store *s, const char *name, struct buf *b);
void kit_store(struct store *s, const char *name, const struct buf *b);

/* Do something to an object: it is gone, has no bytes at all, ends too early,
 * or a bit of it is another one. */
enum kit_harm { KIT_GONE, KIT_EMPTY, KIT_CUT, KIT_FLIPPED, KIT_HARMS };
void kit_harm(struct store *s, const char *name, enum kit_harm how);

/* VMKEEP_TEST_LONG is set. */
bool kit_long(void);

#endif
