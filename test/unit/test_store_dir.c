/* SPDX-License-Identifier: Apache-2.0 */

/* Stores in folders: processes, kills, full disks, flushes that fail. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "store/store.h"

static struct err e;
static char *top;    /* a folder of the test */
static char *folder; /* where the store is */

/* In place of the library's: flushes fail as often as this says, and no file
 * whose flush has failed may be flushed again. */
static int failing_flushes;
static int failed_file = -1; /* kept open, so that its number stays its own */
static int second_flushes;

static ino_t number_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int fdatasync(int fd)
{
	if (failed_file >= 0 && number_of(fd) == number_of(failed_file))
		second_flushes++;
	if (failing_flushes == 0)
		return fsync(fd);
	failing_flushes--;
	fd_close_at(&failed_file);
	failed_file = dup(fd);
	errno = EIO;
	return -1;
}

static void remove_tree(const char *path)
{
	const char *argv[] = { "rm", "-rf", path, NULL };
	struct proc_run rm = { .argv = argv };

	proc_run(&rm, NULL, &e);
}

static int set_up(void **state)
{
	char path[] = "/tmp/vmkeep-test-dir-XXXXXX";

	(void)state;
	err_clear(&e);
	if (mkdtemp(path) == NULL)
		return -1;
	top = mem_strdup(path);
	folder = path_join(top, "store");
	return store_dir_create(folder, &e);
}

static int tear_down(void **state)
{
	(void)state;
	remove_tree(top);
	free(top);
	free(folder);
	return 0;
}

static struct store *open_it(void)
{
	struct store *s = store_dir_open(folder, &e);

	if (s == NULL)
		fail_msg("%s", e.msg);
	return s;
}

static int put(struct store *s, const char *name, size_t size, bool new)
{
	autofree uint8_t *p = mem_alloc(size);
	struct iovec iov = { .iov_base = p, .iov_len = size };

	memset(p, 'x', size);
	return new ? store_put_new(s, name, &iov, 1, &e)
		   : store_put(s, name, &iov, 1, &e);
}

static int count_one(void *ctx, const char *name, const struct store_stat *st,
		     struct err *error)
{
	(void)name;
	(void)st;
	(void)error;
	++*(size_t *)ctx;
	return 0;
}

static size_t count(struct store *s)
{
	size_t n = 0;

	assert_int_equal(store_list(s, "", count_one, &n, &e), 0);
	return n;
}

static char *temp_path(const char *name)
{
	return mem_fmt("%s/tmp/%s", folder, name);
}

/* How many temporary files there are. */
static size_t temps(void)
{
	const char *argv[] = { "find", folder, "-path", "*/store/tmp/*", NULL };
	struct proc_run find = { .argv = argv };
	AUTO(buf_fini) struct buf b = BUF_INIT;
	size_t lines = 0;

	assert_int_equal(proc_run(&find, &b, &e), 0);
	for (size_t i = 0; i < b.len; i++)
		lines += b.p[i] == '\n';
	return lines;
}

static void test_create_leaves_it_empty(void **state)
{
	(void)state;

	AUTO(store_close_at) struct store *s = open_it();

	assert_int_equal(count(s), 0);
	assert_int_equal(temps(), 0);
}

static void test_create_makes_parents(void **state)
{
	autofree char *deep = path_join(top, "a/b/c");

	(void)state;
	assert_int_equal(store_dir_create(deep, &e), 0);
	assert_true(file_exists(deep));
}

static void test_create_wants_an_empty_folder(void **state)
{
	autofree char *other = path_join(top, "other");
	autofree char *lost = path_join(other, "lost+found");
	autofree char *file = path_join(other, "file");

	(void)state;
	assert_int_equal(dir_make(lost, 0700, &e), 0);
	assert_int_equal(file_save(file, 0600, "x", 1, &e), 0);
	assert_int_equal(store_dir_create(other, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(store_dir_create(file, &e), -1);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(store_dir_create(other, &e), 0);
}

/* An init that got no further may be tried again; a store is no place for a
 * second one. */
static void test_create_again(void **state)
{
	(void)state;
	assert_int_equal(store_dir_create(folder, &e), 0);

	AUTO(store_close_at) struct store *s = open_it();

	assert_int_equal(put(s, "config", 1, true), 0);
	assert_int_equal(store_dir_create(folder, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(count(s), 1);
}

static void test_open_wants_a_folder(void **state)
{
	autofree char *none = path_join(top, "none");

	(void)state;
	assert_null(store_dir_open(none, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(file_save(none, 0600, "x", 1, &e), 0);
	assert_null(store_dir_open(none, &e));
}

static void test_objects_are_files(void **state)
{
	AUTO(store_close_at) struct store *s = open_it();
	autofree char *path = path_join(folder, "data/7f/x");
	struct stat st;

	(void)state;
	assert_int_equal(put(s, "data/7f/x", 1234, true), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1234);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(temps(), 0);
}

/* Files that are no objects of ours are not shown, and not gone into. */
static void test_foreign_files(void **state)
{
	AUTO(store_close_at) struct store *s = open_it();
	autofree char *lost = path_join(folder, "lost+found");
	autofree char *hidden = path_join(folder, ".nfs01");
	autofree char *fifo = path_join(folder, "fifo");
	autofree char *way_out = path_join(folder, "out");
	struct store_stat st;

	(void)state;
	assert_int_equal(mkdir(lost, 0700), 0);
	assert_int_equal(file_save(hidden, 0600, "x", 1, &e), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink("/etc", way_out), 0);
	assert_int_equal(put(s, "a", 1, false), 0);
	assert_int_equal(count(s), 1);
	assert_int_equal(store_stat(s, "fifo", &st, &e), -1);
	assert_int_equal(store_get(s, "fifo", 0, 1, &st, &e), -1);
	assert_int_equal(store_stat(s, "out", &st, &e), -1);
}

#define PROCESSES 8
#define ROUNDS    40

/* Race for every name; returns a bit for each that was won. */
static uint64_t race(int round_start)
{
	struct store *s = store_dir_open(folder, &e);
	uint64_t won = 0;
	char byte;

	if (read(round_start, &byte, 1) != 0 || s == NULL)
		_exit(1);
	for (int i = 0; i < ROUNDS; i++) {
		autofree char *name = mem_fmt("points/%d", i);

		if (put(s, name, 4096, true) == 0)
			won |= UINT64_C(1) << i;
		else if (e.code != ERR_EXISTS)
			_exit(2);
	}
	return won;
}

static pid_t start_racer(const int go[2], int result)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(go[1]);

		uint64_t won = race(go[0]);

		_exit(write(result, &won, sizeof(won)) != sizeof(won));
	}
	return pid;
}

static void test_one_process_wins(void **state)
{
	pid_t racers[PROCESSES];
	uint64_t all = 0;
	int go[2];
	int results[2];

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(results), 0);
	for (int i = 0; i < PROCESSES; i++)
		racers[i] = start_racer(go, results[1]);
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < PROCESSES; i++) {
		uint64_t won;
		int status;

		waitpid(racers[i], &status, 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(results[0], &won, sizeof(won)),
				 sizeof(won));
		assert_int_equal(all & won, 0);
		all |= won;
	}
	assert_int_equal(all, (UINT64_C(1) << ROUNDS) - 1);
	close(results[0]);
	close(results[1]);
}

#define OBJECT (1 << 20)

/* Puts whole objects until it is killed. */
static void write_for_ever(void)
{
	struct store *s = store_dir_open(folder, &e);

	for (int i = 0; s != NULL; i++) {
		autofree char *name = mem_fmt("data/%02x/%d", i % 7, getpid());

		if (put(s, name, OBJECT, i % 2 == 0) < 0 &&
		    e.code != ERR_EXISTS)
			break;
	}
	_exit(1);
}

static int is_whole(void *ctx, const char *name, const struct store_stat *st,
		    struct err *error)
{
	(void)ctx;
	if (st->size != OBJECT)
		return err_set(error, ERR_FAILED, "half of '%s'", name);
	return 0;
}

static void test_killed_writers(void **state)
{
	(void)state;
	for (useconds_t i = 0; i < 30; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			write_for_ever();
		usleep(2000 + i * 700);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		AUTO(store_close_at) struct store *s = open_it();

		if (store_list(s, "", is_whole, NULL, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(temps(), 0);
	}
}

/* Only what nobody writes is swept away. */
static void test_leftovers(void **state)
{
	autofree char *dead = temp_path("12345-0123456789abcdef");
	autofree char *alive = temp_path("12346-0123456789abcdef");

	(void)state;
	assert_int_equal(file_save(dead, 0600, "half", 4, &e), 0);
	assert_int_equal(file_save(alive, 0600, "half", 4, &e), 0);

	autofd int fd = open(alive, O_RDWR | O_CLOEXEC);

	assert_int_equal(flock(fd, LOCK_EX), 0);
	store_close(open_it());
	assert_false(file_exists(dead));
	assert_true(file_exists(alive));
	fd_close_at(&fd);
	store_close(open_it());
	assert_false(file_exists(alive));
}

/* In a process of its own, with mounts of its own; skips where that is not
 * allowed. */
static void in_private(void (*what)(void))
{
	enum { CANNOT = 77 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", top, "tmpfs", 0, "size=2m") < 0)
			_exit(CANNOT);
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT) {
		print_message("mounts need root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* Like assert_true() in a process of its own. */
#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x)) {                                                    \
			print_error("line %d: %s: %s\n", __LINE__, #x, e.msg); \
			_exit(1);                                              \
		}                                                              \
	} while (0)

static void fill_disk(void)
{
	MUST(store_dir_create(folder, &e) == 0);

	struct store *s = open_it();

	MUST(put(s, "a", 3 << 20, false) == -1);
	MUST(e.code == ERR_NO_SPACE);
	MUST(put(s, "a", 3 << 20, true) == -1);
	MUST(e.code == ERR_NO_SPACE);
	MUST(count(s) == 0);
	MUST(temps() == 0);
	MUST(put(s, "a", 1 << 20, true) == 0);
	MUST(put(s, "a", 3 << 20, false) == -1);
	MUST(count(s) == 1);
	store_close(s);
}

static void test_full_disk(void **state)
{
	(void)state;
	in_private(fill_disk);
}

static void read_only(void)
{
	char text[4];

	MUST(store_dir_create(folder, &e) == 0);

	struct store *s = open_it();

	MUST(put(s, "a/b", 4, false) == 0);
	store_close(s);
	MUST(mount("none", top, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	s = open_it();
	MUST(count(s) == 1);
	MUST(store_get(s, "a/b", 0, 4, text, &e) == 0);
	MUST(put(s, "a/c", 4, false) == -1);
	MUST(e.sys == EROFS);
	MUST(store_del(s, "a/b", &e) == -1);
	store_close(s);
}

static void test_read_only_disk(void **state)
{
	(void)state;
	in_private(read_only);
}

static void test_failed_flush_is_written_anew(void **state)
{
	AUTO(store_close_at) struct store *s = open_it();
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	failing_flushes = 1;
	second_flushes = 0;
	assert_int_equal(put(s, "a", 100, true), 0);
	assert_int_equal(failing_flushes, 0);
	assert_int_equal(second_flushes, 0);
	assert_int_equal(store_load(s, "a", 100, &b, &e), 0);
	assert_int_equal(b.len, 100);
	assert_int_equal(temps(), 0);
	fd_close_at(&failed_file);
}

static void test_broken_disk(void **state)
{
	AUTO(store_close_at) struct store *s = open_it();

	(void)state;
	failing_flushes = 100;
	second_flushes = 0;
	assert_int_equal(put(s, "a", 100, true), -1);
	assert_int_equal(e.sys, EIO);
	assert_int_equal(failing_flushes, 98);
	assert_int_equal(second_flushes, 0);
	failing_flushes = 0;
	fd_close_at(&failed_file);
	assert_int_equal(count(s), 0);
	assert_int_equal(temps(), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_create_leaves_it_empty),
		T(test_create_makes_parents),
		T(test_create_wants_an_empty_folder),
		T(test_create_again),
		T(test_open_wants_a_folder),
		T(test_objects_are_files),
		T(test_foreign_files),
		T(test_one_process_wins),
		T(test_killed_writers),
		T(test_leftovers),
		T(test_full_disk),
		T(test_read_only_disk),
		T(test_failed_flush_is_written_anew),
		T(test_broken_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
