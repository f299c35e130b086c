/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/tpm.h"

static char *dir;

static int setup(void **state)
{
	char name[] = "/tmp/vmkeep-test-tpm-XXXXXX";

	(void)state;
	dir = mem_strdup(mkdtemp(name));
	return 0;
}

static int teardown(void **state)
{
	autofree char *command = mem_fmt("rm -rf '%s'", dir);

	(void)state;
	free(mem_take(&dir));
	return system(command);
}

static void put(const char *path, const char *text)
{
	autofree char *at = path_join(dir, path);
	autofree char *folder = path_dir(at);
	struct err e = ERR_INIT;

	assert_int_equal(dir_make(folder, 0700, &e), 0);
	assert_int_equal(file_save(at, 0600, text, strlen(text), &e), 0);
}

static void load(const char *path, struct tpm_state *s)
{
	autofree char *at = path_join(dir, path);
	struct err e = ERR_INIT;

	assert_int_equal(tpm_load(at, s, &e), 0);
}

static void no_state(void **state)
{
	struct tpm_state s;

	(void)state;
	load("none", &s);
	assert_int_equal(s.count, 0);
	tpm_fini(&s);
}

static void there_and_back(void **state)
{
	struct tpm_state a;
	struct tpm_state b;
	autofree char *to = path_join(dir, "to");
	char *kept = NULL;
	struct err e = ERR_INIT;

	(void)state;
	put("u/tpm2/tpm2-00.permall", "secret");
	put("u/tpm2/tpm2-00.volatilestate", "");
	put("u/tpm2/.lock", "x");
	put("u/tpm2/folder/file", "no regular file of it");
	load("u", &a);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.files[0].folder, "tpm2");
	assert_string_equal(a.files[0].name, "tpm2-00.permall");
	assert_int_equal(a.files[0].data.len, 6);
	assert_non_null(strchr(a.files[0].owner, ':'));
	assert_int_equal(tpm_save(to, &a, &kept, &e), 0);
	assert_null(kept);
	load("to", &b);
	assert_true(tpm_equal(&a, &b));
	tpm_fini(&b);
	tpm_fini(&a);
}

static void old_is_kept(void **state)
{
	struct tpm_state a;
	struct tpm_state b;
	autofree char *to = path_join(dir, "u");
	struct err e = ERR_INIT;

	(void)state;
	put("u/tpm2/tpm2-00.permall", "old");
	put("v/tpm2/tpm2-00.permall", "new");
	for (int i = 1; i <= 2; i++) {
		autofree char *kept = NULL;

		load("v", &a);
		assert_int_equal(tpm_save(to, &a, &kept, &e), 0);
		assert_int_equal(kept[strlen(kept) - 1], '0' + i);
		assert_int_equal(tpm_load(kept, &b, &e), 0);
		assert_int_equal(tpm_equal(&a, &b), i == 2);
		tpm_fini(&b);
		load("u", &b);
		assert_true(tpm_equal(&a, &b));
		tpm_fini(&b);
		tpm_fini(&a);
	}
}

static void differences(void **state)
{
	struct tpm_state a;
	struct tpm_state b;

	(void)state;
	put("a/tpm2/x", "1");
	put("b/tpm2/x", "2");
	put("c/tpm1.2/x", "1");
	put("d/tpm2/y", "1");
	load("a", &a);
	for (const char *p = "bcde"; *p; p++) {
		char name[2] = { *p, '\0' };

		load(name, &b);
		assert_false(tpm_equal(&a, &b));
		tpm_fini(&b);
	}
	tpm_fini(&a);
}

/* What comes from a repository must not be written just anywhere. */
static void bad_names(void **state)
{
	static const char *const bad[][2] = {
		{ "..", "x" },     { "tpm2", "" },  { "tpm2", ".." },
		{ "tpm2", "a/b" }, { "/etc", "x" }, { "a", "b" }
	};
	autofree char *to = path_join(dir, "to");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct tpm_file f = {
			.folder = (char *)(uintptr_t)bad[i][0],
			.name = (char *)(uintptr_t)bad[i][1],
			.owner = (char *)(uintptr_t) "root:root",
		};
		const struct tpm_state s = { .files = &f, .count = 1 };
		autofree char *kept = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(tpm_save(to, &s, &kept, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_state, setup, teardown),
		cmocka_unit_test_setup_teardown(there_and_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(old_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(differences, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
