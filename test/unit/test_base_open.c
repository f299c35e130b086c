/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fd_open() where a driver gives up with ERESTARTSYS, as that of a ZFS volume
 * does.  Here it is seccomp(2) that lets the first calls fail.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define FLAGS (O_RDONLY | O_NOCTTY)
#define WHOLE (FLAGS | O_CLOEXEC) /* nobody else opens so */

struct opening {
	const char *path;
	int told[2]; /* pipe: the listener's number */
	int fd, sys;
};

/* Calls of this thread that open so are for the listener to answer. */
static int listen_to_us(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WHOLE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void *open_it(void *ctx)
{
	struct opening *o = ctx;
	int listener = listen_to_us();

	if (write(o->told[1], &listener, sizeof(listener)) != sizeof(listener))
		return NULL;
	if (listener < 0)
		return NULL;
	o->fd = fd_open(o->path, FLAGS);
	o->sys = errno;
	close(listener);
	return NULL;
}

/* Lets so many calls fail, and then one through (`pass`). How many came. */
static unsigned answer(int listener, int sys, unsigned failures, bool pass)
{
	unsigned n = 0;

	for (; n < failures + pass; n++) {
		struct seccomp_notif call = { .id = 0 };
		struct seccomp_notif_resp reply = { .id = 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
			break;
		reply.id = call.id;
		if (n < failures)
			reply.error = -sys;
		else
			reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) < 0)
			break;
	}
	return n;
}

/* *came: how many calls there were. */
static struct opening opened(int sys, unsigned failures, bool pass,
			     unsigned *came)
{
	struct opening o = { .path = "/dev/null", .fd = -1 };
	pthread_t thread;
	int listener;

	assert_int_equal(pipe(o.told), 0);
	assert_int_equal(pthread_create(&thread, NULL, open_it, &o), 0);
	assert_int_equal(read(o.told[0], &listener, sizeof(listener)),
			 sizeof(listener));
	*came = listener < 0 ? 0 : answer(listener, sys, failures, pass);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(o.told[0]);
	close(o.told[1]);
	if (listener < 0) {
		print_message("skipped: no seccomp with a listener\n");
		skip();
	}
	return o;
}

static void again(void **state)
{
	unsigned came;
	struct opening o = opened(512, 3, true, &came);

	(void)state;
	assert_int_equal(came, 4);
	assert_true(o.fd >= 0);
	assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
	close(o.fd);
}

static void what_is_an_error(void **state)
{
	unsigned came;
	struct opening o = opened(EBUSY, 1, false, &came);

	(void)state;
	assert_int_equal(came, 1);
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.sys, EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(again),
		cmocka_unit_test(what_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
