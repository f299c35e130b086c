/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "repo_kit.h"

/* Writers killed at any moment, several at once, on a folder: what was
 * committed is whole, what was not is not there. */

static struct kit kit;
static char path[128];

static const struct fake base = { .size = 3 * EXTENT_SIZE + 500,
				  .seed = 9,
				  .zero_percent = 50 };

static struct store *folder(void)
{
	struct err e = ERR_INIT;
	struct store *s = store_dir_open(path, &e);

	if (s == NULL)
		fail_msg("%s", e.msg);
	return s;
}

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	snprintf(path, sizeof(path), "%s/store", kit.dir);
	if (store_dir_create(path, &e) < 0)
		return -1;
	struct store *s = folder();

	kit_create(&kit, s);
	store_close(s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_fini(&kit);
	return 0;
}

/* In a child: backups without end, each a little different; the size tells
 * the content. */
static void write_for_ever(unsigned seed)
{
	struct err e = ERR_INIT;
	struct store *s = store_dir_open(path, &e);
	struct repo *r = s != NULL ? kit_try_open(&kit, s, NULL, &e) : NULL;

	for (unsigned i = 0; r != NULL; i++) {
		struct fake f = base;

		f.seed2 = seed;
		f.changed_permille = i % 900;
		f.size += (uint64_t)seed * 1000 + i % 900;
		struct kit_backup b = {
			.images = &f, .count = 1, .workers = 2, .claims_max = 50
		};

		if (kit_backup(r, &b, &e) < 0)
			break;
		set_fini(&b.set);
	}
	fprintf(stderr, "# child: %s\n", e.msg);
	_exit(1);
}

static void check_sets(void)
{
	const struct verify_options o = { .read_data = true,
					  .talk = &talk_none };
	struct verify_result v;
	struct catalog c;
	struct err e = ERR_INIT;
	struct repo *r = kit_try_open(&kit, folder(), NULL, &e);

	assert_non_null(r);
	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(c.damaged_count, 0);
	assert_int_equal(verify_run(r, &c, &o, &v, &e), 0);
	if (v.damage_count > 0)
		fail_msg("%s: %s", v.damages[0].object, v.damages[0].msg);
	for (size_t i = c.count > 3 ? c.count - 3 : 0; i < c.count; i++) {
		const struct image_root *root =
			&c.sets[i].points[0].images[0].root;
		uint64_t code = root->size - base.size;
		struct fake f = base;

		f.size = root->size;
		f.seed2 = code / 1000;
		f.changed_permille = (unsigned)(code % 1000);
		if (kit_compare(r, &c.sets[i], root, &f, &e) < 0)
			fail_msg("%s", e.msg);
	}
	print_message("# %zu sets\n", c.count);
	verify_result_fini(&v);
	catalog_fini(&c);
	repo_close(r);
}

static void test_killed_writers(void **state)
{
	unsigned rounds = kit_long() ? 60 : 6;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		pid_t pid[2];

		for (unsigned k = 0; k < 2; k++) {
			pid[k] = fork();
			assert_true(pid[k] >= 0);
			if (pid[k] == 0)
				write_for_ever(2 * i + k + 1);
		}
		for (unsigned k = 0; k < 2; k++) {
			int status;

			usleep(20000 + (unsigned)(kit_mix(i * 2 + k) % 300000));
			assert_int_equal(kill(pid[k], SIGKILL), 0);
			assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
			assert_true(WIFSIGNALED(status));
		}
		check_sets();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_writers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
