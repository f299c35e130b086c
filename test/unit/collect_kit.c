/* SPDX-License-Identifier: Apache-2.0 */
#include "collect_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo/generation.h"

struct kit ck_kit;

int ck_setup(void **state)
{
	(void)state;
	kit_init(&ck_kit);
	return 0;
}

int ck_teardown(void **state)
{
	(void)state;
	kit_fini(&ck_kit);
	return 0;
}

/* ---- what the tests do ----------------------------------------------------
 */

static void say(void *ctx, enum talk_level level, const char *text)
{
	(void)ctx;
	if (level == TALK_WARN)
		print_message("# %s\n", text);
}

const struct talk ck_talk = { .say = say };

struct fake ck_image_of(uint64_t seed)
{
	return (struct fake){
		.size = 3 * EXTENT_SIZE + 1000 + seed % 64 * 4096,
		.seed = seed,
		.zero_percent = 30,
	};
}

void ck_backup(struct store *s, const struct fake *f)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);

	kit_backup_one(r, f, NULL);
}

int ck_try_collect(struct store *s, int64_t silent_ns,
		   struct collect_result *result, struct err *e)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	const struct collect_options o = { .silent_ns = silent_ns,
					   .talk = &ck_talk };

	return collect_run(r, &o, result, e);
}

struct collect_result ck_collect(struct store *s)
{
	struct collect_result result;
	struct err e = ERR_INIT;

	if (ck_try_collect(s, 1, &result, &e) < 0)
		fail_msg("%s", e.msg);
	assert_null(result.wait.host);
	return result;
}

/* The first point of this image that there is. */
struct catalog_hit ck_find_point(const struct catalog *c, const struct fake *f)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++) {
			const struct point *p = &c->sets[i].points[k];

			if (p->images[0].root.size == f->size)
				return (struct catalog_hit){ &c->sets[i], p };
		}
	fail_msg("no point of %llu bytes", (unsigned long long)f->size);
	return (struct catalog_hit){ NULL, NULL };
}

void ck_forget(struct store *s, const struct fake *f, enum tomb_scope scope)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	struct catalog_hit hit = ck_find_point(&c, f);

	if (tomb_put(r, hit.set, hit.point, scope, &e) < 0)
		fail_msg("%s", e.msg);
}

static size_t compare_one(struct repo *r, const struct set *set,
			  const struct point *p, const struct fake *fakes,
			  size_t count)
{
	const struct image_root *root = &p->images[0].root;
	struct err e = ERR_INIT;
	size_t i = 0;

	while (i < count && fakes[i].size != root->size)
		i++;
	assert_true(i < count);
	if (kit_compare(r, set, root, &fakes[i], &e) < 0)
		fail_msg("%s", e.msg);
	return 1;
}

/* All points that there are, each as the one of these with its seed. */
size_t ck_compare_all(struct store *s, const struct fake *fakes, size_t count)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;
	size_t points = 0;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	for (size_t i = 0; i < c.count; i++)
		for (size_t k = 0; k < c.sets[i].point_count; k++)
			points +=
				compare_one(r, &c.sets[i], &c.sets[i].points[k],
					    fakes, count);
	kit_verify_clean(&ck_kit, s);
	return points;
}

uint64_t ck_newest(struct store *s)
{
	struct err e = ERR_INIT;
	uint64_t n;

	assert_int_equal(generation_newest(s, &n, &e), 0);
	return n;
}

static int add_size(void *ctx, const char *name, const struct store_stat *st,
		    struct err *e)
{
	(void)name;
	(void)e;
	*(uint64_t *)ctx += st->size;
	return 0;
}

uint64_t ck_size_of(struct store *s, const char *prefix)
{
	struct err e = ERR_INIT;
	uint64_t sum = 0;

	assert_int_equal(store_list(s, prefix, add_size, &sum, &e), 0);
	return sum;
}

/* Images of different sizes, so that a point tells which one it is.  Those
 * with an even number share all but their ends, the others share nothing. */
void ck_fill(struct store *s, struct fake *fakes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fakes[i] = ck_image_of(i % 2 == 0 ? 77 : 100 + i);
		fakes[i].size += i * 4096;
		ck_backup(s, &fakes[i]);
	}
}

/* Many small points in one set, and so in the same packs. */
void ck_fill_small(struct store *s, struct fake *fakes)
{
	AUTO(repo_close_at) struct repo *r = kit_open(&ck_kit, s);
	struct kit_backup b = { .images = fakes, .count = SMALL, .workers = 1 };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < SMALL; i++)
		fakes[i] = (struct fake){ .size = (70 + i) * 4096,
					  .seed = 500 + i };
	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	set_fini(&b.set);
}

/* A session that is opened, stores an image, and is not committed. */
struct intake *ck_leave_open(struct repo *r, const struct fake *f)
{
	const struct intake_options o = { .workers = 1, .claims_max = 20 };
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);
	struct image_root root;

	assert_non_null(in);
	assert_int_equal(kit_put(in, f, &root, &e), 0);
	return in;
}
