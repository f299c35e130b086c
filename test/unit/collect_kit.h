/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_COLLECT_KIT_H
#define VMKEEP_TEST_COLLECT_KIT_H

/* What the tests of the collector share: repositories in memory that are
 * filled, forgotten, collected and looked at, each step with a fresh program.
 */

#include "repo/collect.h"
#include "repo/tomb.h"
#include "repo_kit.h"

extern struct kit ck_kit;
extern const struct talk ck_talk; /* shows warnings */

int ck_setup(void **state);
int ck_teardown(void **state);

/* Content and size follow from the seed. */
struct fake ck_image_of(uint64_t seed);

void ck_backup(struct store *s, const struct fake *f);

int ck_try_collect(struct store *s, int64_t silent_ns,
		   struct collect_result *result, struct err *e);

/* Nobody is waited for, and all goes well. */
struct collect_result ck_collect(struct store *s);

/* The first point of this image that there is. */
struct catalog_hit ck_find_point(const struct catalog *c, const struct fake *f);
void ck_forget(struct store *s, const struct fake *f, enum tomb_scope scope);

/* All points that there are, each as the one of these with its size; and
 * nothing is damaged.  How many there are. */
size_t ck_compare_all(struct store *s, const struct fake *fakes, size_t count);

uint64_t ck_newest(struct store *s);
uint64_t ck_size_of(struct store *s, const char *prefix);

/* Those with an even number share all but their ends, the others nothing. */
void ck_fill(struct store *s, struct fake *fakes, size_t count);

/* So many small points in one set, and so in the same packs. */
#define SMALL 12
void ck_fill_small(struct store *s, struct fake *fakes);

/* A session that is opened, stores an image, and is not committed. */
struct intake *ck_leave_open(struct repo *r, const struct fake *f);

#endif
