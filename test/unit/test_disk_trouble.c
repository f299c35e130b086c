/* SPDX-License-Identifier: Apache-2.0 */

/* Images that are missing, wrong, locked or forbidden; helpers that die. */

#include "disk_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static void helper_killed(void **state)
{
	autofree char *path = at("killed.raw");
	autofree uint8_t *to = mem_alloc(4 * MIB);
	uint64_t size;
	bool data;

	(void)state;
	OK(disk_create(path, "raw", 64 * MIB, &e));
	struct disk *d = open_ok(path, "raw", false, 2);
	OK(disk_read(d, 0, 0, 4 * MIB, to, &e));
	kill(disk_helper(d), SIGKILL);
	assert_int_equal(disk_read(d, 0, 0, 4 * MIB, to, &e), -1);
	assert_non_null(strstr(e.msg, "killed.raw"));
	assert_non_null(strstr(e.msg, "qemu-nbd"));
	assert_int_equal(disk_read(d, 1, 0, 1, to, &e), -1);
	assert_int_equal(disk_read(d, 0, 0, 1, to, &e), -1);
	assert_int_equal(disk_extent(d, 0, &size, &data, &e), -1);
	disk_close(d);
}

/* A VM that has the image, and waits for its start. */
static struct proc *vm_on(const char *path, const char *format)
{
	autofree char *drive =
		mem_fmt("file=%s,format=%s,if=virtio", path, format);
	const char *argv[] = { "qemu-system-x86_64",
			       "-S",
			       "-nodefaults",
			       "-accel",
			       "tcg",
			       "-m",
			       "16",
			       "-display",
			       "none",
			       "-drive",
			       drive,
			       NULL };
	struct proc_start start = { .argv = argv, .in = -1, .out = -1 };
	struct proc *vm = proc_start(&start, &e);

	if (vm == NULL)
		fail_msg("qemu-system-x86_64: %s", e.msg);
	return vm;
}

/* Looks without a lock of its own: the VM must not fail because of us. */
static void await_lock(const char *path)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < 1200; i++) {
		struct flock writer = { .l_type = F_WRLCK,
					.l_whence = SEEK_SET,
					.l_start = 101, /* QEMU: is written */
					.l_len = 1 };

		assert_int_equal(fcntl(fd, F_OFD_GETLK, &writer), 0);
		if (writer.l_type != F_UNLCK)
			return;
		usleep(50000);
	}
	fail_msg("no VM locks '%s'", path);
}

static void locked_image(void **state)
{
	static const char *const formats[] = { "raw", "qcow2" };

	(void)state;
	if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		autofree char *name = mem_fmt("locked.%s", formats[i]);
		autofree char *path = at(name);

		OK(disk_create(path, formats[i], MIB, &e));
		struct proc *vm = vm_on(path, formats[i]);
		await_lock(path);
		for (int writable = 0; writable < 2; writable++) {
			assert_null(open_as(path, formats[i], writable, 1));
			assert_int_equal(e.code, ERR_BUSY);
			assert_non_null(strstr(e.msg, path));
		}
		proc_free(vm);
		struct disk *d = open_ok(path, formats[i], false, 1);
		struct disk *too = open_ok(path, formats[i], false, 1);
		disk_close(too);
		vm = vm_on(path, formats[i]);
		assert_int_equal(proc_wait(vm, 60000, &e), -1);
		assert_int_not_equal(e.code, ERR_BUSY);
		assert_non_null(strstr(e.msg, "another process"));
		proc_free(vm);
		disk_close(d);
	}
}

static struct disk *open_yielding(const char *path, const char *format)
{
	const struct disk_image image = {
		.path = path,
		.format = format,
		.yields = true,
		.connections = 1,
		.socket_dir = dir,
	};

	return disk_open_image(&image, &e);
}

/* The disk of a VM that is shut off: its start wins, and we hear of it. */
static void yielding_image(void **state)
{
	static const char *const formats[] = { "raw", "qcow2" };

	(void)state;
	if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		autofree char *name = mem_fmt("yields.%s", formats[i]);
		autofree char *path = at(name);

		OK(disk_create(path, formats[i], MIB, &e));
		struct disk *d = open_yielding(path, formats[i]);
		assert_non_null(d);
		expect_zero(d, 0, 4096);
		OK(disk_sure(d, &e));
		/* the VM starts beside us */
		struct proc *vm = vm_on(path, formats[i]);
		await_lock(path);
		assert_int_equal(disk_sure(d, &e), -1);
		assert_int_equal(e.code, ERR_BUSY);
		/* and while it runs we do not begin */
		assert_null(open_yielding(path, formats[i]));
		assert_int_equal(e.code, ERR_BUSY);
		proc_free(vm);
		disk_close(d);
	}
}

/* Somebody wrote and went away again before the end. */
static void changed_image(void **state)
{
	autofree char *path = at("changed.raw");

	(void)state;
	OK(disk_create(path, "raw", MIB, &e));
	struct disk *d = open_yielding(path, "raw");
	assert_non_null(d);
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(disk_sure(d, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "changed"));
	disk_close(d);
}

static void not_there(void **state)
{
	autofree char *path = at("missing");

	(void)state;
	assert_null(open_as(path, "raw", false, 1));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(open_as(dir, "raw", false, 1));
	assert_int_equal(e.code, ERR_USAGE);
}

static void wrong_format(void **state)
{
	autofree char *path = at("no.qcow2");

	(void)state;
	OK(disk_create(path, "raw", MIB, &e));
	assert_null(open_as(path, "qcow2", false, 1));
	assert_int_equal(e.code, ERR_FAILED);
	assert_non_null(strstr(e.msg, "no.qcow2"));
	assert_non_null(strstr(e.msg, "qcow2"));
	assert_null(open_as(path, "nonsense", false, 1));
	assert_int_equal(e.code, ERR_FAILED);
}

static void backing_file_gone(void **state)
{
	autofree char *base = at("gone.raw");
	autofree char *top = at("widow.qcow2");

	(void)state;
	OK(disk_create(base, "raw", MIB, &e));
	RUN("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base,
	    top);
	assert_int_equal(unlink(base), 0);
	assert_null(open_as(top, "qcow2", false, 1));
	assert_non_null(strstr(e.msg, "gone.raw"));
}

/* In a child that is nobody. */
static void no_permission(void **state)
{
	autofree char *path = at("secret.raw");
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	OK(disk_create(path, "raw", MIB, &e));
	assert_int_equal(chmod(dir, 0711), 0);
	pid_t pid = fork();
	if (pid == 0) {
		bool right = setuid(65534) == 0 &&
			     open_as(path, "raw", false, 1) == NULL &&
			     e.sys == EACCES &&
			     strstr(e.msg, "secret.raw") != NULL;
		_exit(right ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(status, 0);
}

/* A folder too deep for a socket's address. */
static void deep_socket_dir(void **state)
{
	autofree char *path = at("deep.raw");
	autofree char *deep = mem_fmt("%s/%0120d", dir, 7);
	struct disk_image image = { .path = path,
				    .format = "raw",
				    .connections = 1,
				    .socket_dir = deep };

	(void)state;
	OK(dir_make(deep, 0700, &e));
	OK(disk_create(path, "raw", MIB, &e));
	struct disk *d = disk_open_image(&image, &e);
	assert_non_null(d);
	expect_zero(d, 0, MIB);
	disk_close(d);
}

static void nothing_left_behind(void **state)
{
	(void)state;
	const char *find[] = { "find", dir, "-name", "nbd-*", NULL };
	struct proc_run r = { .argv = find };
	struct buf out = BUF_INIT;
	OK(proc_run(&r, &out, &e));
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(not_there),           T(wrong_format),  T(backing_file_gone),
		T(no_permission),       T(locked_image),  T(yielding_image),
		T(changed_image),       T(helper_killed), T(deep_socket_dir),
		T(nothing_left_behind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
