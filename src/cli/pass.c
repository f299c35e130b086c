/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/secret.h"
#include "report/safe.h"

#define PASS_MAX 1024 /* with NUL */

DEFINE_AUTO(job_secret_free, char *);

/* ---- the environment ---- */

/* Overwritten where it stands: unsetenv() alone would leave the bytes. */
static void wipe_env(const char *name)
{
	char *value = getenv(name);

	if (value != NULL)
		explicit_bzero(value, strlen(value));
	unsetenv(name);
}

void pass_wipe_env(void)
{
	wipe_env("VMKEEP_PASSPHRASE");
	unsetenv("VMKEEP_PASSPHRASE_FILE");
}

static char *copy_secret(const char *text, struct err *e)
{
	size_t n = strlen(text);
	char *secret;

	if (n >= PASS_MAX) {
		err_set(e, ERR_USAGE, "the passphrase has more than %d bytes",
			PASS_MAX - 1);
		return NULL;
	}
	secret = job_secret_new(PASS_MAX, e);
	if (secret != NULL)
		memcpy(secret, text, n + 1);
	return secret;
}

/* Cut at the first line's end. */
static int first_line(char *text, size_t n, struct err *e)
{
	size_t len = strcspn(text, "\r\n");

	if (len == n && n == PASS_MAX - 1)
		return err_set(e, ERR_USAGE,
			       "the first line has more than %d bytes",
			       PASS_MAX - 2);
	explicit_bzero(text + len, n - len);
	if (len == 0)
		return err_set(e, ERR_USAGE, "the first line is empty");
	return 0;
}

static char *read_secret(const char *path, struct err *e)
{
	AUTO(job_secret_free_at) char *secret = job_secret_new(PASS_MAX, e);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (secret == NULL)
		return NULL;
	if (fd < 0) {
		err_sys(e, "cannot open");
		return NULL;
	}
	if (fd_read_some(fd, secret, PASS_MAX - 1, &n, e) < 0 ||
	    first_line(secret, n, e) < 0)
		return NULL;
	return mem_take(&secret);
}

int pass_from_file(const char *path, char **secret, struct err *e)
{
	char *found = read_secret(path, e);

	if (found == NULL)
		return err_ctx(e, "passphrase file '%s'", path);
	*secret = found;
	return 0;
}

int pass_from_env(char **secret, struct err *e)
{
	const char *text = getenv("VMKEEP_PASSPHRASE");
	const char *path = getenv("VMKEEP_PASSPHRASE_FILE");
	char *found = NULL;
	int rc = 0;

	if (text != NULL && *text != '\0') {
		found = copy_secret(text, e);
		rc = found == NULL ? -1 : 0;
	} else if (path != NULL && *path != '\0') {
		rc = pass_from_file(path, &found, e);
	}
	pass_wipe_env();
	if (rc == 0)
		*secret = found;
	return rc;
}

/* ---- the terminal ---- */

/* The terminal with echo off.  Signals wait meanwhile, or a Ctrl-C would
 * leave it so. */
struct quiet_tty {
	int fd;
	struct termios before;
	sigset_t mask;
	const _Atomic bool *cancel;
};

static void hold_signals(sigset_t *held)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				       SIGTSTP };

	sigemptyset(held);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(held, signals[i]);
}

static int tty_open(struct quiet_tty *t, struct err *e)
{
	sigset_t held;
	struct termios quiet;

	t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (t->fd < 0 || tcgetattr(t->fd, &t->before) < 0) {
		fd_close_at(&t->fd);
		return err_set(e, ERR_USAGE,
			       "a passphrase is needed, and there is no "
			       "terminal to ask on: set "
			       "VMKEEP_PASSPHRASE_FILE or say --key-file");
	}
	hold_signals(&held);
	pthread_sigmask(SIG_BLOCK, &held, &t->mask);
	quiet = t->before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ECHONL | ICANON | ISIG;
	tcsetattr(t->fd, TCSAFLUSH, &quiet);
	return 0;
}

static void tty_close(struct quiet_tty *t)
{
	tcsetattr(t->fd, TCSAFLUSH, &t->before);
	fd_close_at(&t->fd);
	/* one that waits does now what it does */
	pthread_sigmask(SIG_SETMASK, &t->mask, NULL);
}

static bool interrupted(const struct quiet_tty *t)
{
	sigset_t waiting;

	if (t->cancel != NULL && *t->cancel)
		return true;
	sigpending(&waiting);
	return sigismember(&waiting, SIGINT) ||
	       sigismember(&waiting, SIGTERM) ||
	       sigismember(&waiting, SIGHUP) || sigismember(&waiting, SIGQUIT);
}

/* 1: there is something to read. */
static int wait_for_key(const struct quiet_tty *t, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };

		if (interrupted(t))
			return err_set(e, ERR_STOPPED,
				       "stopped while a passphrase was asked "
				       "for");
		if (poll(&p, 1, 100) > 0)
			return 1;
	}
}

static int read_line(const struct quiet_tty *t, char *line, struct err *e)
{
	size_t n = 0;

	for (;;) {
		char c;
		ssize_t got;

		if (wait_for_key(t, e) < 0)
			return -1;
		got = read(t->fd, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, ERR_USAGE, "no passphrase was given");
		if (c == '\n')
			break;
		if (n == PASS_MAX - 1)
			return err_set(e, ERR_USAGE,
				       "the passphrase has more than %d bytes",
				       PASS_MAX - 1);
		line[n++] = c;
	}
	line[n] = '\0';
	if (n == 0)
		return err_set(e, ERR_USAGE, "the passphrase is empty");
	return 0;
}

static char *ask_once(const struct quiet_tty *t, const char *prompt,
		      struct err *e)
{
	AUTO(job_secret_free_at) char *line = job_secret_new(PASS_MAX, e);

	if (line == NULL || fd_write_full(t->fd, prompt, strlen(prompt), e) < 0)
		return NULL;
	if (read_line(t, line, e) < 0)
		return NULL;
	return mem_take(&line);
}

static char *ask(const struct quiet_tty *t, const char *prompt, bool twice,
		 struct err *e)
{
	AUTO(job_secret_free_at) char *first = ask_once(t, prompt, e);
	AUTO(job_secret_free_at) char *second = NULL;

	if (first == NULL || !twice)
		return mem_take(&first);
	second = ask_once(t, "once more: ", e);
	if (second == NULL)
		return NULL;
	if (strcmp(first, second) != 0) {
		err_set(e, ERR_USAGE, "the two passphrases differ");
		return NULL;
	}
	return mem_take(&first);
}

char *pass_ask(const char *repository, bool twice, const _Atomic bool *cancel,
	       struct err *e)
{
	struct quiet_tty t = { .fd = -1, .cancel = cancel };
	autofree char *name = safe_text(repository);
	autofree char *prompt =
		mem_fmt("%spassphrase of %s: ", twice ? "new " : "", name);
	char *secret;

	if (tty_open(&t, e) < 0)
		return NULL;
	secret = ask(&t, prompt, twice, e);
	tty_close(&t);
	return secret;
}
