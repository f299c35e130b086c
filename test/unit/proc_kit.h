/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_PROC_KIT_H
#define VMKEEP_TEST_PROC_KIT_H

/* What the tests of base/proc share. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"

static inline int enter(void **state)
{
	char *dir = mem_strdup("/tmp/vmkeep-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) == NULL || chdir(dir) < 0;
}

static inline int leave(void **state)
{
	char *cmd = mem_fmt("rm -rf '%s'", (char *)*state);
	int r = chdir("/") < 0 || system(cmd) != 0;

	free(cmd);
	free(*state);
	return r;
}

#define ARGV(...)                                                              \
	(const char *const[])                                                  \
	{                                                                      \
		__VA_ARGS__, NULL                                              \
	}
#define SH(text) ARGV("/bin/sh", "-c", text)

static inline int64_t ms_since(int64_t start_ns)
{
	return (clock_steady_ns() - start_ns) / 1000000;
}

static inline void put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* Run, and it goes well, and says exactly this. */
static inline void says(const struct proc_run *run, const char *want)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	if (proc_run(run, &out, &e) < 0)
		fail_msg("%s", e.msg);
	wr_u8(&out, '\0');
	assert_string_equal((char *)out.p, want);
}

/* Run, and it fails with this code and message, and out is as before. */
static inline void fails(const struct proc_run *run, enum err_code code,
			 const char *message)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	wr_bytes(&out, "before", 6);
	assert_int_equal(proc_run(run, &out, &e), -1);
	assert_string_equal(e.msg, message);
	assert_int_equal(e.code, code);
	assert_int_equal(out.len, 6);
	assert_memory_equal(out.p, "before", 6);
}

/* Wait for a process that is not ours to be gone. */
static inline bool gone(pid_t pid)
{
	autofree char *path = mem_fmt("/proc/%ld/stat", (long)pid);

	for (int i = 0; i < 6000; i++) {
		AUTO(buf_fini) struct buf b = BUF_INIT;
		struct err e = ERR_INIT;

		if (file_load(path, 4096, &b, &e) < 0)
			return true;
		wr_u8(&b, '\0');
		/* dead, but nobody has reaped it */
		if (strstr((char *)b.p, ") Z ") != NULL)
			return true;
		usleep(10000);
	}
	return false;
}

static inline pid_t pid_in(const char *path)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	for (int i = 0; i < 6000 && b.len == 0; i++) {
		file_load(path, 100, &b, &e);
		usleep(10000);
	}
	wr_u8(&b, '\0');
	return (pid_t)strtol((char *)b.p, NULL, 10);
}

/* A descriptor that somebody forgot to close at exec. */
static inline int forgotten(void)
{
	int low = open("/dev/null", O_RDONLY);
	int fd = fcntl(low, F_DUPFD, 40);

	close(low);
	return fd;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, enter, leave)

#endif
