/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

/* Every test runs in an empty folder of its own. */
static int enter(void **state)
{
	char *dir = mem_strdup("/tmp/vmkeep-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) == NULL || chdir(dir) < 0;
}

static int leave(void **state)
{
	char *cmd = mem_fmt("rm -rf '%s'", (char *)*state);
	int r = chdir("/") < 0 || system(cmd) != 0;

	free(cmd);
	free(*state);
	return r;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_take(void **state)
{
	int fd = 7;

	(void)state;
	assert_int_equal(fd_take(&fd), 7);
	assert_int_equal(fd, -1);
	fd_close_at(&fd);

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	int copy = fd;

	errno = 42;
	fd_close_at(&fd);
	assert_int_equal(errno, 42);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void test_pread_pwrite(void **state)
{
	autofd int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct err e = ERR_INIT;
	char text[8] = "";

	(void)state;
	assert_int_equal(fd_pwrite_full(fd, "hello", 5, 3, &e), 0);
	assert_int_equal(fd_pread_full(fd, text, 5, 3, &e), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(fd_pread_full(fd, text, 0, 99, &e), 0);
	assert_int_equal(e.code, ERR_NONE);

	assert_int_equal(fd_pread_full(fd, text, 5, 4, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_string_equal(e.msg, "ends early, at 8");
	assert_int_equal(fd_pread_full(fd, text, 1, UINT64_MAX, &e), -1);
	assert_int_equal(e.sys, EINVAL);
	assert_int_equal(fd_pwrite_full(-1, text, 1, 0, &e), -1);
	assert_int_equal(e.sys, EBADF);
}

static void test_read_some_joins_short_reads(void **state)
{
	struct err e = ERR_INIT;
	char text[16] = "";
	size_t got;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);

	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 5; i++) {
			if (write(ends[1], "ab", 2) != 2)
				_exit(1);
			usleep(2000);
		}
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(fd_read_some(ends[0], text, 6, &got, &e), 0);
	assert_int_equal(got, 6);
	assert_int_equal(fd_read_some(ends[0], text, 16, &got, &e), 0);
	assert_int_equal(got, 4);
	assert_int_equal(fd_read_some(ends[0], text, 16, &got, &e), 0);
	assert_int_equal(got, 0);
	waitpid(pid, NULL, 0);
	close(ends[0]);
	got = 77;
	assert_int_equal(fd_read_some(-1, text, 1, &got, &e), -1);
	assert_int_equal(got, 77);
}

static void test_write_full_joins_short_writes(void **state)
{
	enum { SIZE = 1000000 };
	struct err e = ERR_INIT;
	autofree char *block = mem_zalloc(1, SIZE);
	int ends[2];
	int status;

	(void)state;
	assert_int_equal(pipe(ends), 0);

	pid_t pid = fork();

	if (pid == 0) {
		size_t got = 0;

		close(ends[1]);
		usleep(10000);
		_exit(fd_read_some(ends[0], block, SIZE, &got, &e) < 0 ||
		      got != SIZE);
	}
	close(ends[0]);
	assert_int_equal(fd_write_full(ends[1], block, SIZE, &e), 0);
	close(ends[1]);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(fd_write_full(-1, block, 1, &e), -1);
	assert_int_equal(e.sys, EBADF);
}

static void test_load(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	put("f", "world");
	wr_bytes(&b, "hello ", 6);
	assert_int_equal(file_load("f", 5, &b, &e), 0);
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.p, "hello world", 11);

	assert_int_equal(file_load("f", 4, &b, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_string_equal(e.msg, "'f': larger than 4 bytes");
	assert_int_equal(b.len, 11);

	assert_int_equal(file_load("none", 4, &b, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(file_load(".", 4, &b, &e), -1);
	assert_int_equal(e.sys, EISDIR);
	assert_int_equal(b.len, 11);
}

static void test_load_sizes(void **state)
{
	static const size_t sizes[] = { 0,     1,      65535, 65536,
					65537, 131073, 300000 };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		AUTO(buf_fini) struct buf data = BUF_INIT;

		for (size_t n = 0; n < sizes[i]; n++)
			wr_u8(&data, (uint8_t)(n * 31));
		assert_int_equal(file_save("f", 0600, data.p, data.len, &e), 0);
		assert_int_equal(file_load("f", sizes[i], &b, &e), 0);
		assert_int_equal(b.len, sizes[i]);
		if (b.len > 0)
			assert_memory_equal(b.p, data.p, b.len);
		if (sizes[i] > 0)
			assert_int_equal(file_load("f", sizes[i] - 1, &b, &e),
					 -1);
	}
	/* files of no size that have something to say */
	AUTO(buf_fini) struct buf b = BUF_INIT;

	assert_int_equal(file_load("/proc/self/stat", 4096, &b, &e), 0);
	assert_true(b.len > 20);
}

static void test_save(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	umask(077);
	assert_int_equal(file_save("f", 0644, "old", 3, &e), 0);
	assert_int_equal(file_save("f", 0640, "new one", 7, &e), 0);
	assert_int_equal(file_load("f", 100, &b, &e), 0);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.p, "new one", 7);
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	umask(022);
	/* nothing else is left */
	assert_int_equal(unlink("f"), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void test_save_fails(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_save("no/f", 0600, "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	/* a folder is in the way: the temporary file goes */
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(file_save("d", 0600, "x", 1, &e), -1);
	assert_int_equal(e.sys, EISDIR);
	assert_int_equal(rmdir("d"), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void limit_file_size(rlim_t size)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = size;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_save_no_room_keeps_the_old(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char block[100] = "";

	(void)state;
	assert_int_equal(file_save("f", 0600, "old", 3, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(10);

	int r = file_save("f", 0600, block, sizeof(block), &e);

	limit_file_size(RLIM_INFINITY);
	assert_int_equal(r, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(file_load("f", 100, &b, &e), 0);
	assert_memory_equal(b.p, "old", 3);
	assert_int_equal(unlink("f"), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void test_dir_make(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("a", 0750), 0);
	assert_int_equal(dir_make("a/b//c/", 0700, &e), 0);
	assert_int_equal(dir_make("a/b/c", 0700, &e), 0);
	assert_int_equal(dir_make("/", 0700, &e), 0);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(dir_make("link/x", 0700, &e), 0);

	put("file", "");
	assert_int_equal(dir_make("file", 0700, &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
	assert_int_equal(dir_make("file/x", 0700, &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
	assert_string_equal(e.msg,
			    "cannot make folder 'file': Not a directory");
}

static void test_dir_sync(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dir_sync(".", &e), 0);
	assert_int_equal(dir_sync("none", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	put("file", "");
	assert_int_equal(dir_sync("file", &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
}

static void test_paths(void **state)
{
	static const char *const cases[][3] = {
		{ "a", ".", "a" },     { "/", "/", "" },
		{ "/a", "/", "a" },    { "a/b", "a", "b" },
		{ "/a/b", "/a", "b" }, { "a//b", "a", "b" },
		{ "a/b/", "a/b", "" }, { "//a", "/", "a" },
		{ "", ".", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autofree char *dir = path_dir(cases[i][0]);

		assert_string_equal(dir, cases[i][1]);
		assert_string_equal(path_base(cases[i][0]), cases[i][2]);
	}
}

static void test_join(void **state)
{
	autofree char *a = path_join("a", "b");
	autofree char *b = path_join("a/", "b");
	autofree char *c = path_join("/", "b");

	(void)state;
	assert_string_equal(a, "a/b");
	assert_string_equal(b, "a/b");
	assert_string_equal(c, "/b");
}

static void test_lock_other_process(void **state)
{
	struct err e = ERR_INIT;
	int ready[2];
	int fd = -7;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);

	pid_t pid = fork();

	if (pid == 0) {
		if (file_lock("lock", &fd, &e) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(file_lock("lock", &fd, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(fd, -7);

	autofree char *want =
		mem_fmt("'lock' is locked by process %ld", (long)pid);

	assert_string_equal(e.msg, want);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* its lock is gone with it, the file is not */
	assert_true(file_exists("lock"));
	assert_int_equal(file_lock("lock", &fd, &e), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void test_lock_unknown_holder(void **state)
{
	static const char *const said[] = { "", "rubbish\n", "12x" };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		autofd int held = -1;
		int fd = -7;

		assert_int_equal(file_lock("lock", &held, &e), 0);
		put("lock", said[i]);
		assert_int_equal(file_lock("lock", &fd, &e), -1);
		assert_int_equal(e.code, ERR_BUSY);
		assert_string_equal(e.msg,
				    "'lock' is locked by another process");
	}
}

static void test_lock_replaces_the_id(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	autofree char *want = mem_fmt("%ld\n", (long)getpid());
	struct err e = ERR_INIT;
	autofd int fd = -1;

	(void)state;
	put("lock", "999999999999999999\n");
	assert_int_equal(file_lock("lock", &fd, &e), 0);
	assert_int_equal(file_load("lock", 100, &b, &e), 0);
	wr_u8(&b, '\0');
	assert_string_equal((char *)b.p, want);
	assert_int_equal(file_lock("no/lock", &fd, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void test_free_space(void **state)
{
	struct err e = ERR_INIT;
	struct file_room room = { .free = 7 };

	(void)state;
	assert_int_equal(file_room("none", &room, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(room.free, 7);
	assert_int_equal(file_room(".", &room, &e), 0);
	assert_true(room.free > 4096);
	assert_true(room.size >= room.free);
}

static void test_exists(void **state)
{
	(void)state;
	assert_false(file_exists("f"));
	put("f", "");
	assert_true(file_exists("f"));
	assert_true(file_exists("."));
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_true(file_exists("link"));
}

/* Empty ones among them, none at all, and a file that may not grow further:
 * what fits is written, then it fails. */
static void test_pwritev(void **state)
{
	char a[] = "one";
	char b[] = "two";
	struct iovec iov[] = {
		{ a, 0 }, { a, 3 }, { a, 0 }, { b, 3 }, { b, 0 }
	};
	struct iovec more[] = { { a, 3 }, { b, 3 } };
	struct err e = ERR_INIT;
	struct rlimit old;
	char text[16] = "";
	autofd int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(fd_pwritev_full(fd, iov, 0, 0, &e), 0);
	assert_int_equal(fd_pwritev_full(fd, iov, 5, 2, &e), 0);
	assert_int_equal(fd_pread_full(fd, text, 8, 0, &e), 0);
	assert_memory_equal(text, "\0\0onetwo", 8);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	const struct rlimit little = { .rlim_cur = 12,
				       .rlim_max = old.rlim_max };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	int ok = fd_pwritev_full(fd, more, 2, 8, &e);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ok, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_non_null(strstr(e.msg, "cannot write at 12"));
	assert_int_equal(fd_pread_full(fd, text, 12, 0, &e), 0);
	assert_memory_equal(text, "\0\0onetwoonet", 12);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_take),
		TEST(test_pread_pwrite),
		TEST(test_pwritev),
		TEST(test_read_some_joins_short_reads),
		TEST(test_write_full_joins_short_writes),
		TEST(test_load),
		TEST(test_load_sizes),
		TEST(test_save),
		TEST(test_save_fails),
		TEST(test_save_no_room_keeps_the_old),
		TEST(test_dir_make),
		TEST(test_dir_sync),
		TEST(test_paths),
		TEST(test_join),
		TEST(test_lock_other_process),
		TEST(test_lock_unknown_holder),
		TEST(test_lock_replaces_the_id),
		TEST(test_free_space),
		TEST(test_exists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
