/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_kit.h"

/* ---- proc_start ---- */

static struct proc *start(const struct proc_start *s)
{
	struct err e = ERR_INIT;
	struct proc *p = proc_start(s, &e);

	if (p == NULL)
		fail_msg("%s", e.msg);
	return p;
}

static struct proc *start_sh(const char *text)
{
	return start(
		&(struct proc_start){ .argv = SH(text), .in = -1, .out = -1 });
}

static void test_start_and_free(void **state)
{
	struct proc *p = start_sh("sleep 60");
	pid_t pid = proc_pid(p);
	int64_t begin = clock_steady_ns();

	(void)state;
	assert_true(pid > 0);
	assert_true(proc_alive(p));
	assert_int_equal(kill(pid, 0), 0);
	proc_free(p);
	assert_true(ms_since(begin) < 4000);
	/* reaped too */
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	proc_free(NULL);
}

static void test_start_wait(void **state)
{
	struct err e = ERR_INIT;
	int to[2];

	(void)state;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	/* it ends when we say so */
	struct proc *p = start(&(struct proc_start){
		.argv = SH("cat"), .in = to[0], .out = -1 });

	close(to[0]);
	assert_int_equal(proc_wait(p, 10, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_string_equal(e.msg, "'sh' still runs");
	close(to[1]);
	assert_int_equal(proc_wait(p, 0, &e), 0);
	assert_int_equal(proc_wait(p, 10, &e), 0);
	assert_false(proc_alive(p));
	proc_free(p);

	p = start_sh("echo first >&2; echo why >&2; exit 7");
	assert_int_equal(proc_wait(p, 10000, &e), -1);
	assert_int_equal(e.code, ERR_FAILED);
	assert_string_equal(e.msg, "'sh' ended with status 7: why");
	assert_string_equal(proc_last_words(p), "why");
	proc_free(p);
}

static void test_start_alive_sees_the_end(void **state)
{
	struct err e = ERR_INIT;
	struct proc *p = start_sh("sleep 60");

	(void)state;
	kill(proc_pid(p), SIGKILL);
	for (int i = 0; i < 30000 && proc_alive(p); i++)
		usleep(1000);
	assert_false(proc_alive(p));
	assert_int_equal(kill(proc_pid(p), 0), -1);
	assert_int_equal(proc_wait(p, 0, &e), -1);
	assert_string_equal(e.msg, "'sh' was killed by SIGKILL");
	proc_free(p);
}

static void test_start_fails(void **state)
{
	struct err e = ERR_INIT;
	struct proc_start s = { .argv = ARGV("vmkeep-none"),
				.in = -1,
				.out = -1 };

	(void)state;
	assert_null(proc_start(&s, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "program 'vmkeep-none' is not installed");
	put("noformat", "rubbish", 0700);
	s.argv = ARGV("./noformat");
	assert_null(proc_start(&s, &e));
	assert_string_equal(e.msg,
			    "cannot start './noformat': Exec format error");
	/* a descriptor that is none */
	s.argv = ARGV("true");
	s.in = 999;
	assert_null(proc_start(&s, &e));
	assert_int_equal(e.sys, EBADF);
}

static void test_start_last_words(void **state)
{
	struct proc *p = start_sh("echo ready >&2; exec sleep 60");

	(void)state;
	for (int i = 0; i < 12000 && proc_last_words(p)[0] == '\0'; i++)
		usleep(5000);
	assert_string_equal(proc_last_words(p), "ready");
	assert_true(proc_alive(p));
	proc_free(p);
}

static void test_start_pipes(void **state)
{
	struct err e = ERR_INIT;
	int to[2];
	int from[2];
	char text[8] = "";
	size_t got;

	(void)state;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);

	struct proc *p = start(&(struct proc_start){
		.argv = ARGV("cat"), .in = to[0], .out = from[1] });

	close(to[0]);
	close(from[1]);
	assert_int_equal(fd_write_full(to[1], "hello", 5, &e), 0);
	close(to[1]);
	assert_int_equal(fd_read_some(from[0], text, 8, &got, &e), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(proc_wait(p, 10000, &e), 0);
	close(from[0]);
	proc_free(p);
}

static void test_start_much_stderr(void **state)
{
	struct err e = ERR_INIT;
	struct proc *p = start_sh("head -c 3000000 /dev/zero >&2;"
				  "echo end >&2; exit 1");

	(void)state;
	assert_int_equal(proc_wait(p, 20000, &e), -1);
	assert_string_equal(proc_last_words(p), "end");
	proc_free(p);
}

static void test_start_descriptors_and_signals(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int fd = forgotten();
	int out = open("out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	struct proc *p = start(&(struct proc_start){
		.argv = SH("ls /proc/self/fd;"
			   "grep -E 'SigBlk:.0+$|SigIgn:.0+(1?8)?0+6$' "
			   "/proc/self/status | cut -c1-6"),
		.in = -1,
		.out = out });

	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	close(fd);
	close(out);
	assert_int_equal(proc_wait(p, 10000, &e), 0);
	proc_free(p);
	assert_int_equal(file_load("out", 1000, &b, &e), 0);
	wr_u8(&b, '\0');
	/* SIGINT and SIGQUIT are ignored; 32 and 33 are glibc's own, and may
	 * have come to us that way */
	assert_string_equal((char *)b.p, "0\n1\n2\n3\nSigBlk\nSigIgn\n");
}

static void test_start_stubborn(void **state)
{
	struct proc *p = start_sh("trap '' TERM; echo up >&2;"
				  "while :; do sleep 0.1; done");
	int64_t begin = clock_steady_ns();

	(void)state;
	while (proc_last_words(p)[0] == '\0')
		usleep(5000);
	proc_free(p);
	assert_true(ms_since(begin) >= 4900);
	assert_true(ms_since(begin) < 50000);
}

/* ---- who dies with whom ---- */

struct helper {
	const char *text;
	bool outlive;
	pid_t pid;
};

static void *start_helper(void *arg)
{
	struct helper *h = arg;
	struct err e = ERR_INIT;
	struct proc *p =
		proc_start(&(struct proc_start){ .argv = SH(h->text),
						 .in = -1,
						 .out = -1,
						 .outlive = h->outlive },
			   &e);

	h->pid = p != NULL ? proc_pid(p) : -1;
	return NULL;
}

/*
 * A process starts a helper from a thread that ends, waits a while and is
 * killed.  The helper's id; it is our child then.
 */
static pid_t orphan(struct helper h)
{
	int ends[2];
	int status;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, start_helper, &h);
		pthread_join(t, NULL);
		usleep(200000);
		if (h.pid > 0 && kill(h.pid, 0) < 0)
			h.pid = -2;
		if (write(ends[1], &h.pid, sizeof(h.pid)) < 0)
			_exit(1);
		pause();
	}

	pid_t helper = -3;

	assert_int_equal(read(ends[0], &helper, sizeof(helper)),
			 sizeof(helper));
	assert_true(helper > 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	close(ends[1]);
	return helper;
}

static void test_helper_dies_with_us(void **state)
{
	int status = 0;
	pid_t pid = orphan((struct helper){ .text = "exec sleep 60" });

	(void)state;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* It goes on, also when it says something that nobody reads any more. */
static void test_outlive(void **state)
{
	int status = 0;
	pid_t pid = orphan((struct helper){
		.text = "sleep 0.5; echo x >&2; echo y >&2; echo $$ >after;"
			"exec sleep 60",
		.outlive = true });

	(void)state;
	assert_int_equal(pid_in("after"), pid);
	assert_int_equal(getsid(pid), pid);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_outlive_is_left_alone(void **state)
{
	struct proc *p =
		start(&(struct proc_start){ .argv = ARGV("sleep", "60"),
					    .in = -1,
					    .out = -1,
					    .outlive = true });
	pid_t pid = proc_pid(p);

	(void)state;
	proc_free(p);
	usleep(50000);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	/* its keeper still reaps it */
	assert_true(gone(pid));
	for (int i = 0; i < 6000 && kill(pid, 0) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(pid, 0), -1);

	p = start(&(struct proc_start){
		.argv = ARGV("true"), .in = -1, .out = -1, .outlive = true });
	while (proc_alive(p))
		usleep(1000);
	proc_free(p);
}

static void *many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;
		struct proc_start s = { .argv = ARGV("sleep", "60"),
					.in = -1,
					.out = -1 };
		struct proc_run r = { .argv = ARGV("echo", "x") };
		struct proc *p = proc_start(&s, &e);

		if (p == NULL || proc_run(&r, &out, &e) < 0 || out.len != 2)
			return arg;
		if (!proc_alive(p))
			return arg;
		proc_free(p);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	pthread_t t[4];
	void *failed;
	int here;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, many, &here);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
}

/* ---- proc_start_time ---- */

static void test_start_time(void **state)
{
	unsigned long long ours = 0;
	unsigned long long again = 1;
	unsigned long long helper = 0;

	(void)state;
	assert_int_equal(proc_start_time(getpid(), &ours), 0);
	assert_int_equal(proc_start_time(getpid(), &again), 0);
	assert_true(ours > 0);
	assert_true(ours == again);
	/* a name made to confuse */
	assert_int_equal(system("cp /bin/sleep 'a) R 1 2 ('"), 0);

	struct proc *p = start(&(struct proc_start){
		.argv = ARGV("./a) R 1 2 (", "60"), .in = -1, .out = -1 });
	pid_t pid = proc_pid(p);

	assert_int_equal(proc_start_time(pid, &helper), 0);
	assert_true(helper >= ours);
	assert_true(helper < ours + 100 * 600);
	proc_free(p);
	assert_int_equal(proc_start_time(pid, &again), -1);
	assert_true(again == ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_free),
		TEST(test_start_wait),
		TEST(test_start_alive_sees_the_end),
		TEST(test_start_fails),
		TEST(test_start_last_words),
		TEST(test_start_pipes),
		TEST(test_start_much_stderr),
		TEST(test_start_descriptors_and_signals),
		TEST(test_start_stubborn),
		TEST(test_helper_dies_with_us),
		TEST(test_outlive),
		TEST(test_outlive_is_left_alone),
		TEST(test_many_threads),
		TEST(test_start_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
