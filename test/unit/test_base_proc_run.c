/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_kit.h"

/* ---- proc_run ---- */

static void test_run_output(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	struct proc_run run = { .argv = ARGV("printf", "%s|", "a b", "$HOME",
					     "*") };

	(void)state;
	says(&run, "a b|$HOME|*|");
	assert_int_equal(proc_run(&run, NULL, &e), 0);
	wr_bytes(&out, "before ", 7);
	assert_int_equal(proc_run(&run, &out, &e), 0);
	assert_memory_equal(out.p, "before a b|", 11);
	says(&(struct proc_run){ .argv = ARGV("true") }, "");
}

static void test_run_stdin_is_empty(void **state)
{
	(void)state;
	says(&(struct proc_run){ .argv = ARGV("cat") }, "");
}

static void test_run_not_installed(void **state)
{
	(void)state;
	fails(&(struct proc_run){ .argv = ARGV("vmkeep-none", "x") },
	      ERR_NOT_FOUND, "program 'vmkeep-none' is not installed");
	fails(&(struct proc_run){ .argv = ARGV("./none") }, ERR_NOT_FOUND,
	      "program './none' is not installed");
	fails(&(struct proc_run){ .argv = ARGV("") }, ERR_NOT_FOUND,
	      "program '' is not installed");
	put("plain", "#!/bin/sh\n", 0600);
	fails(&(struct proc_run){ .argv = ARGV("./plain") }, ERR_NOT_FOUND,
	      "program './plain' is not installed");
	fails(&(struct proc_run){ .argv = ARGV("/") }, ERR_NOT_FOUND,
	      "program '/' is not installed");
}

static void test_run_cannot_start(void **state)
{
	(void)state;
	put("noformat", "rubbish", 0700);
	fails(&(struct proc_run){ .argv = ARGV("./noformat") }, ERR_FAILED,
	      "cannot start './noformat': Exec format error");
	put("nointerpreter", "#!/nonexistent\n", 0700);
	fails(&(struct proc_run){ .argv = ARGV("./nointerpreter") },
	      ERR_NOT_FOUND,
	      "cannot start './nointerpreter': No such file or directory");
}

static void test_run_path(void **state)
{
	autofree char *before = mem_strdup(getenv("PATH"));
	autofree char *here = mem_fmt("%s/bin", (char *)*state);
	autofree char *path = mem_fmt("bin::.:relative:%s:/bin", here);

	assert_int_equal(mkdir("bin", 0700), 0);
	put("bin/tool", "#!/bin/sh\necho here\n", 0700);
	put("bin/cat", "not to be executed", 0600);
	setenv("PATH", path, 1);
	says(&(struct proc_run){ .argv = ARGV("tool") }, "here\n");
	/* a file that is no program does not hide the one that is */
	says(&(struct proc_run){ .argv = ARGV("cat") }, "");
	/* folders that depend on where we are do not count */
	setenv("PATH", "bin:.::", 1);
	fails(&(struct proc_run){ .argv = ARGV("tool") }, ERR_NOT_FOUND,
	      "program 'tool' is not installed");
	/* the usual places are known without PATH */
	unsetenv("PATH");
	says(&(struct proc_run){ .argv = ARGV("true") }, "");
	setenv("PATH", before, 1);
}

static void test_run_status(void **state)
{
	(void)state;
	fails(&(struct proc_run){ .argv = ARGV("false") }, ERR_FAILED,
	      "'false' ended with status 1");
	fails(&(struct proc_run){ .argv = SH("echo out; echo first >&2;"
					     "echo last >&2; exit 3") },
	      ERR_FAILED, "'sh' ended with status 3: last");
	fails(&(struct proc_run){ .argv = SH("kill -9 $$") }, ERR_FAILED,
	      "'sh' was killed by SIGKILL");
	fails(&(struct proc_run){ .argv = SH("echo why >&2; kill $$") },
	      ERR_FAILED, "'sh' was killed by SIGTERM: why");
}

static void test_run_last_words(void **state)
{
	autofree char *want = mem_fmt("'sh' ended with status 1: %0255d", 0);

	(void)state;
	fails(&(struct proc_run){ .argv = SH("printf 'a\\nb\\n\\n \\r\\n' >&2;"
					     "false") },
	      ERR_FAILED, "'sh' ended with status 1: b");
	fails(&(struct proc_run){ .argv = SH("printf '10%%\\r20%%\\rno' >&2;"
					     "false") },
	      ERR_FAILED, "'sh' ended with status 1: no");
	fails(&(struct proc_run){ .argv = SH("printf 'a\\033[2Jb\\tc' >&2;"
					     "false") },
	      ERR_FAILED, "'sh' ended with status 1: a [2Jb c");
	/* of a long one its end, in however many pieces it comes */
	fails(
		&(struct proc_run){
			.argv = SH("for i in 1 2 3 4 5 6 7; do "
				   "printf %0100d 0 >&2; sleep 0.01; done;"
				   "false") },
		ERR_FAILED, want);
}

static void test_run_much_stderr(void **state)
{
	(void)state;
	says(&(struct proc_run){ .argv = SH("head -c 3000000 /dev/zero >&2;"
					    "echo done") },
	     "done\n");
}

static void test_run_bound(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t start = clock_steady_ns();

	(void)state;
	says(&(struct proc_run){ .argv = ARGV("printf", "12345"),
				 .max_out = 5 },
	     "12345");
	fails(&(struct proc_run){ .argv = ARGV("printf", "123456"),
				  .max_out = 5 },
	      ERR_FAILED, "'printf' wrote more than 5 bytes");
	fails(&(struct proc_run){ .argv = ARGV("yes"), .max_out = 100000 },
	      ERR_FAILED, "'yes' wrote more than 100000 bytes");
	fails(&(struct proc_run){ .argv = ARGV("yes") }, ERR_FAILED,
	      "'yes' wrote more than 1048576 bytes");
	assert_int_equal(
		proc_run(&(struct proc_run){ .argv = ARGV("head", "-c",
							  "1048576",
							  "/dev/zero") },
			 &out, &e),
		0);
	assert_int_equal(out.len, 1048576);
	assert_true(ms_since(start) < 50000);
}

static void test_run_deadline(void **state)
{
	int64_t start = clock_steady_ns();

	(void)state;
	fails(&(struct proc_run){ .argv = ARGV("sleep", "60"),
				  .deadline_ms = 100 },
	      ERR_FAILED, "'sleep' took longer than 100 ms");
	fails(&(struct proc_run){ .argv = SH("trap '' TERM; echo hm >&2;"
					     "exec >&- 2>&-; sleep 60"),
				  .deadline_ms = 2000 },
	      ERR_FAILED, "'sh' took longer than 2000 ms: hm");
	assert_true(ms_since(start) >= 2100);
	assert_true(ms_since(start) < 50000);
	says(&(struct proc_run){ .argv = SH("sleep 0.1; echo x"),
				 .deadline_ms = 20000 },
	     "x\n");
}

static void test_run_deadline_takes_children_too(void **state)
{
	(void)state;
	fails(&(struct proc_run){ .argv = SH("sleep 60 & echo $! >pid; wait"),
				  .deadline_ms = 2000 },
	      ERR_FAILED, "'sh' took longer than 2000 ms");

	pid_t pid = pid_in("pid");

	assert_true(pid > 0);
	assert_true(gone(pid));
}

/* A daemon that keeps the pipes open is not waited for. */
static void test_run_leaves_daemons(void **state)
{
	int64_t start = clock_steady_ns();

	(void)state;
	says(&(struct proc_run){ .argv = SH("sleep 60 & echo $! >pid;"
					    "echo up") },
	     "up\n");
	assert_true(ms_since(start) < 50000);

	pid_t pid = pid_in("pid");

	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_run_environment(void **state)
{
	(void)state;
	setenv("VMKEEP_PASSPHRASE", "secret", 1);
	setenv("VMKEEP_PASSPHRASE_FILE", "secret", 1);
	setenv("VMKEEP_OTHER", "kept", 1);
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	setenv("SANOID_TARGET", "old", 1);
	setenv("SANOID_TARGETS", "stay", 1);
	says(
		&(struct proc_run){
			.argv = SH(
				"env | grep -E '^(VMKEEP_[OP]|LC_ALL|SANOID)' |"
				"sort"),
			.env = ARGV("SANOID_TARGET=new", "SANOID_X=a=b") },
		"LC_ALL=C\nSANOID_TARGET=new\nSANOID_TARGETS=stay\n"
		"SANOID_X=a=b\nVMKEEP_OTHER=kept\n");
	says(&(struct proc_run){ .argv = SH("echo $SANOID_TARGET") }, "old\n");
	unsetenv("VMKEEP_PASSPHRASE");
	unsetenv("VMKEEP_PASSPHRASE_FILE");
	unsetenv("LC_ALL");
}

static void test_run_descriptors(void **state)
{
	int fd = forgotten();

	(void)state;
	/* 3 is ls reading the folder */
	says(&(struct proc_run){ .argv = ARGV("ls", "/proc/self/fd") },
	     "0\n1\n2\n3\n");
	close(fd);
}

static void test_run_signals(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* signals 32 and 33 are glibc's own; its posix_spawn() ignores them */
	says(&(struct proc_run){ .argv = ARGV(
					 "grep", "-cE",
					 "SigBlk:\t0+$|SigIgn:\t0+[18]*0+$",
					 "/proc/self/status") },
	     "2\n");
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Our own 0, 1 and 2 may be closed. */
static void test_run_without_standard_files(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;
		struct proc_run run = { .argv = SH("echo out; echo x >&2;"
						   "cat") };

		close(0);
		close(1);
		close(2);

		int r = proc_run(&run, &out, &e);

		_exit(r < 0 || out.len != 4 || memcmp(out.p, "out\n", 4) != 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_run_output),
		TEST(test_run_stdin_is_empty),
		TEST(test_run_not_installed),
		TEST(test_run_cannot_start),
		TEST(test_run_path),
		TEST(test_run_status),
		TEST(test_run_last_words),
		TEST(test_run_much_stderr),
		TEST(test_run_bound),
		TEST(test_run_deadline),
		TEST(test_run_deadline_takes_children_too),
		TEST(test_run_leaves_daemons),
		TEST(test_run_environment),
		TEST(test_run_descriptors),
		TEST(test_run_signals),
		TEST(test_run_without_standard_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
