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

#include "base/file.h"
#include "base/mem.h"
#include "repo/collect.h"
#include "repo/generation.h"
#include "repo/session.h"
#include "repo/session_adopt.h"
#include "repo_kit.h"

/* Going on in the session of a process that was killed. */

static struct kit kit;
static char path[96], cache[96];

static const struct fake image = { .size = 12 * EXTENT_SIZE, .seed = 4 };

static struct repo *open_cached(void)
{
	struct err e = ERR_INIT;
	struct store *s = store_dir_open(path, &e);
	struct repo *r = s != NULL ? kit_try_open(&kit, s, cache, &e) : NULL;

	if (r == NULL)
		fail_msg("%s", e.msg);
	return r;
}

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	kit_init(&kit);
	snprintf(path, sizeof(path), "%s/store", kit.dir);
	snprintf(cache, sizeof(cache), "%s/cache", kit.dir);
	if (store_dir_create(path, &e) < 0)
		return -1;
	struct store *s = store_dir_open(path, &e);

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

static size_t count(const char *prefix)
{
	struct err e = ERR_INIT;
	AUTO(store_close_at) struct store *s = store_dir_open(path, &e);

	return kit_count(s, prefix);
}

/* Stores the first extents of the image, and publishes now and then. */
static void put_some(struct intake *in, uint64_t extents)
{
	struct intake_image *img = intake_image(in, image.size);
	struct err e = ERR_INIT;

	for (uint64_t i = 0; i < extents; i++) {
		uint8_t *b = intake_buffer(in, &e);

		if (b == NULL || !fake_extent(&image, i, b) ||
		    intake_put(in, img, i, b, &e) < 0)
			_exit(1);
	}
}

/* In a child: two thirds of the image, and then nothing more. */
static void write_and_wait(int ready)
{
	const struct intake_options o = { .workers = 1, .claims_max = 100 };
	struct repo *r = open_cached();
	struct err e = ERR_INIT;
	struct intake *in = intake_open(r, &o, &e);

	if (in == NULL)
		_exit(1);
	put_some(in, 8);
	while (count("idx/") < 5)
		usleep(10000);
	if (write(ready, "", 1) != 1)
		_exit(1);
	pause();
	_exit(1);
}

/* Kills it when so much is published. */
static pid_t start_writer(void)
{
	int fd[2];
	char byte;

	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		write_and_wait(fd[1]);
	close(fd[1]);
	assert_int_equal(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	return pid;
}

static void kill_writer(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static struct kit_backup backup(struct repo *r)
{
	struct kit_backup b = {
		.images = &image, .count = 1, .workers = 2, .claims_max = 100
	};
	struct err e = ERR_INIT;

	if (kit_backup(r, &b, &e) < 0)
		fail_msg("%s", e.msg);
	if (kit_compare(r, &b.set, &b.set.points[0].images[0].root, &image,
			&e) < 0)
		fail_msg("%s", e.msg);
	return b;
}

static void verify_clean(struct repo *r)
{
	const struct verify_options o = { .level = VERIFY_DATA,
					  .talk = &talk_none };
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(verify_result_fini) struct verify_result v = { 0 };
	struct err e = ERR_INIT;

	assert_int_equal(catalog_load(r, &c, &e), 0);
	assert_int_equal(verify_run(r, &c, &o, &v, &e), 0);
	if (v.damage_count > 0)
		fail_msg("%s: %s", v.damages[0].object, v.damages[0].msg);
}

static void test_go_on(void **state)
{
	(void)state;
	kill_writer(start_writer());
	assert_int_equal(count("sess/"), 1);
	AUTO(repo_close_at) struct repo *r = open_cached();
	struct kit_backup b = backup(r);

	assert_int_equal(count("sess/"), 1);
	/* four of twelve extents were never given, some were not published */
	assert_in_range(b.stats.new_bytes, 4 * EXTENT_SIZE, 8 * EXTENT_SIZE);
	assert_true(b.set.segment_count >= 5);
	set_fini(&b.set);
	verify_clean(r);

	/* it is committed: the next one is another session */
	b = backup(r);
	assert_int_equal(count("sess/"), 2);
	set_fini(&b.set);
}

/* While its process lives nobody else writes in it. */
static void test_alive(void **state)
{
	(void)state;
	pid_t pid = start_writer();
	size_t sessions = count("sess/");
	AUTO(repo_close_at) struct repo *r = open_cached();
	struct kit_backup b = backup(r);

	assert_int_equal(count("sess/"), sessions + 1);
	set_fini(&b.set);
	kill_writer(pid);
}

/* Two that come at once: one goes on, one begins anew. */
static void test_two(void **state)
{
	const struct intake_options o = { .workers = 1 };
	struct err e = ERR_INIT;

	(void)state;
	kill_writer(start_writer());
	size_t sessions = count("sess/");
	AUTO(repo_close_at) struct repo *a = open_cached();
	AUTO(repo_close_at) struct repo *b = open_cached();
	struct intake *one = intake_open(a, &o, &e);
	struct intake *two = intake_open(b, &o, &e);

	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(count("sess/"), sessions + 1);
	intake_close(one);
	intake_close(two);
}

/* Once the generation has moved nobody goes on in it. */
static void test_moved(void **state)
{
	const struct collect_options o = { .silent_ns = 1 };
	struct collect_result result = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	kill_writer(start_writer());
	AUTO(repo_close_at) struct repo *r = open_cached();

	/* one moves the generation, that one or the next ends the session */
	assert_int_equal(collect_run(r, &o, &result, &e), 0);
	uint64_t ended = result.ended;

	collect_result_fini(&result);
	assert_int_equal(collect_run(r, &o, &result, &e), 0);
	assert_true(ended + result.ended >= 1);
	size_t sessions = count("sess/");
	struct kit_backup b = backup(r);

	assert_int_equal(count("sess/"), sessions + 1);
	set_fini(&b.set);
	collect_result_fini(&result);
	assert_int_equal(collect_run(r, &o, &result, &e), 0);
	collect_result_fini(&result);
	verify_clean(r);
}

static void spoil_bytes(struct store *s, const char *name)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	kit_load(s, name, &b);
	b.p[b.len / 2] ^= 1;
	kit_store(s, name, &b);
}

static void spoil_all(struct store *s, const char *name)
{
	struct err e = ERR_INIT;

	assert_int_equal(store_del(s, name, &e), 0);
}

/* Nobody goes on where a part of what was published cannot be read. */
static void refuse_spoilt(void (*spoil)(struct store *, const char *))
{
	AUTO(kit_names_fini) struct kit_names names = { .names = NULL };
	struct err e = ERR_INIT;
	AUTO(store_close_at) struct store *s = store_dir_open(path, &e);

	kill_writer(start_writer());
	AUTO(repo_close_at) struct repo *r = open_cached();

	kit_list(s, "sess/", &names);
	assert_int_equal(names.count, 1);
	autofree char *first = mem_fmt("idx/%s-0", path_base(names.names[0]));
	autofree char *copy = path_join(r->cache_dir, first);

	unlink(copy);
	spoil(s, first);
	struct kit_backup b = backup(r);

	assert_int_equal(count("sess/"), 2);
	set_fini(&b.set);
}

static void test_damaged(void **state)
{
	(void)state;
	refuse_spoilt(spoil_bytes);
}

static void test_gap(void **state)
{
	(void)state;
	refuse_spoilt(spoil_all);
}

/* Another process has the lock before us: that id is not for us. */
static void test_lock_taken(void **state)
{
	AUTO(repo_close_at) struct repo *r = open_cached();
	struct session mine = { .id = { { 7 } } }, other = mine;
	struct err e = ERR_INIT;
	char hex[ID_TEXT];

	(void)state;
	session_lock(r, &mine);
	assert_non_null(mine.lock);
	assert_memory_equal(mine.id.b, other.id.b, ID_SIZE);
	session_lock(r, &other);
	assert_memory_not_equal(mine.id.b, other.id.b, ID_SIZE);
	assert_non_null(other.lock);
	hex_encode(other.id.b, ID_SIZE, hex);
	assert_string_equal(path_base(other.lock->path), hex);
	int fd;

	assert_int_equal(file_lock(other.lock->path, &fd, &e), -1);
	session_close(&mine, true);
	session_close(&other, true);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_go_on),      TEST(test_alive),   TEST(test_two),
		TEST(test_moved),      TEST(test_damaged), TEST(test_gap),
		TEST(test_lock_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
