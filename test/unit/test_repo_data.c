/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo_kit.h"

/*
 * A repository that the first program of this format has written: it is read
 * for ever, and never written again.
 */

static const char format[] = "format-1";

static const struct fake images[] = {
	{ .size = 9 * PAGE_SIZE_BYTES + 100, .seed = 1 },
	{ .size = 300ull * EXTENT_SIZE,
	  .every = 299,
	  .seed = 2,
	  .zero_percent = 99 },
	{ .size = 9 * PAGE_SIZE_BYTES + 4000,
	  .seed = 1,
	  .changed_permille = 300,
	  .seed2 = 3 },
	{ .size = 0 },
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

/* The files below a folder, as objects. */
static void load_tree(const char *folder, const char *prefix, struct store *s)
{
	DIR *d = opendir(folder);
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		autofree char *path = path_join(folder, entry->d_name);
		autofree char *name = mem_fmt("%s%s", prefix, entry->d_name);
		autofree char *below = mem_fmt("%s/", name);
		struct err e = ERR_INIT;

		if (entry->d_name[0] == '.' || strcmp(name, "tmp") == 0)
			continue;
		if (entry->d_type == DT_DIR) {
			load_tree(path, below, s);
			continue;
		}
		assert_int_equal(file_load(path, 1u << 24, &b, &e), 0);
		kit_store(s, name, &b);
	}
	closedir(d);
}

static const struct fake *fake_of(const struct image_root *root)
{
	for (size_t i = 0; i < IMAGES; i++)
		if (images[i].size == root->size)
			return &images[i];
	fail_msg("no image of this size");
	return NULL;
}

/* Others may read what lies in a source tree: no key for use. */
static void private_copy(const char *from, const char *to)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_load(from, 1u << 16, &b, &e), 0);
	assert_int_equal(file_save(to, 0600, b.p, b.len, &e), 0);
}

static void test_read(void **state)
{
	AUTO(kit_fini) struct kit kit = { .dir = "" };
	const char *data = getenv("VMKEEP_TEST_DATA");
	AUTO(store_close_at) struct store *s = store_mem_new();
	AUTO(catalog_fini) struct catalog c;
	struct err e = ERR_INIT;
	size_t points = 0;

	(void)state;
	memset(&c, 0, sizeof(c));
	if (data == NULL) {
		print_message("# VMKEEP_TEST_DATA is not set\n");
		skip();
	}
	autofree char *folder = path_join(data, format);
	autofree char *store = path_join(folder, "store");
	autofree char *key = path_join(folder, "key");

	load_tree(store, "", s);
	kit_init(&kit);
	private_copy(key, kit.key_file);
	const struct repo_open o = { .unlock = { .key_file = kit.key_file } };
	AUTO(repo_close_at) struct repo *r = NULL;

	r = repo_open(store_mem_share(s), &o, &e);
	if (r == NULL)
		fail_msg("%s", e.msg);
	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.damaged_count, 0);
	for (size_t i = 0; i < c.count; i++) {
		for (size_t n = 0; n < c.sets[i].point_count; n++, points++) {
			const struct image_root *root =
				&c.sets[i].points[n].images[0].root;

			if (kit_compare(r, &c.sets[i], root, fake_of(root),
					&e) < 0)
				fail_msg("%s", e.msg);
		}
	}
	assert_int_equal(points, IMAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
