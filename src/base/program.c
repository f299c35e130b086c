/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

/* exec's prototypes are older than const; it writes nowhere. */
static char *plain(const char *s)
{
	char *p;

	memcpy(&p, &s, sizeof(p));
	return p;
}

static size_t count_of(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

char **program_argv(const char *const *list)
{
	size_t n = count_of(list);
	char **v = mem_zalloc(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = plain(list[i]);
	return v;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool dropped(const char *entry, const char *const *more)
{
	static const char secret[] = "VMKEEP_PASSPHRASE";

	if (strncmp(entry, secret, sizeof(secret) - 1) == 0 ||
	    same_name("LC_ALL=", entry))
		return true;
	for (; more != NULL && *more != NULL; more++)
		if (same_name(*more, entry))
			return true;
	return false;
}

/* Ours, without secrets, with more.  The strings belong to others. */
char **program_env(const char *const *more)
{
	size_t ours = 0;
	size_t n = 0;

	while (environ != NULL && environ[ours] != NULL)
		ours++;

	char **env = mem_zalloc(ours + count_of(more) + 2, sizeof(*env));

	for (size_t i = 0; i < ours; i++)
		if (!dropped(environ[i], more))
			env[n++] = environ[i];
	env[n++] = plain("LC_ALL=C");
	for (; more != NULL && *more != NULL; more++)
		env[n++] = plain(*more);
	return env;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* The first program of that name in the folders, or NULL. */
static char *find_in(const char *folders, const char *name)
{
	while (*folders != '\0') {
		size_t n = strcspn(folders, ":");
		autofree char *path = mem_fmt("%.*s/%s", (int)n, folders, name);

		/* a relative folder is whatever folder we happen to be in */
		if (*folders == '/' && is_program(path))
			return mem_take(&path);
		folders += n + (folders[n] == ':');
	}
	return NULL;
}

char *program_find(const char *name, struct err *e)
{
	const char *folders = getenv("PATH");
	char *path = NULL;

	if (strchr(name, '/') != NULL && is_program(name))
		return mem_strdup(name);
	if (strchr(name, '/') == NULL) {
		if (folders != NULL)
			path = find_in(folders, name);
		if (path == NULL)
			path = find_in("/usr/local/sbin:/usr/sbin:/sbin:"
				       "/usr/local/bin:/usr/bin:/bin",
				       name);
	}
	if (path == NULL)
		err_set(e, ERR_NOT_FOUND, "program '%s' is not installed",
			name);
	return path;
}

/* A pipe whose ends are not 0, 1 or 2, in case ours are closed. */
int program_pipe(int *from, int *to, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	for (int i = 0; i < 2; i++) {
		if (ends[i] > 2)
			continue;

		int low = ends[i];

		ends[i] = fcntl(low, F_DUPFD_CLOEXEC, 3);
		close(low);
	}
	*from = ends[0];
	*to = ends[1];
	if (*from < 0 || *to < 0)
		return err_set(e, ERR_FAILED, "cannot make a pipe");
	return 0;
}

void words_add(struct words *w, const char *p, size_t n)
{
	if (n > sizeof(w->tail)) {
		p += n - sizeof(w->tail);
		n = sizeof(w->tail);
	}

	size_t keep = (size_t)num_min(w->len, sizeof(w->tail) - n);

	memmove(w->tail, w->tail + w->len - keep, keep);
	memcpy(w->tail + keep, p, n);
	w->len = keep + n;
}

void words_suck(struct words *w, int *fd)
{
	char block[PROGRAM_PIPE];
	ssize_t n = *fd >= 0 ? read(*fd, block, sizeof(block)) : -1;

	if (n == 0)
		fd_close_at(fd);
	if (n > 0)
		words_add(w, block, (size_t)n);
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_visible(char c)
{
	return !is_control(c) && c != ' ';
}

void words_last(const struct words *w, char out[PROGRAM_WORDS])
{
	size_t end = w->len;

	while (end > 0 && !is_visible(w->tail[end - 1]))
		end--;

	size_t start = end;

	while (start > 0 && w->tail[start - 1] != '\n' &&
	       w->tail[start - 1] != '\r')
		start--;
	while (start < end && !is_visible(w->tail[start]))
		start++;
	for (size_t i = start; i < end; i++)
		*out++ = is_control(w->tail[i]) ? ' ' : w->tail[i];
	*out = '\0';
}

int program_judge(const siginfo_t *how, const char *program,
		  const struct words *w, struct err *e)
{
	char last[PROGRAM_WORDS];
	const char *name = path_base(program);

	if (how->si_code == CLD_EXITED && how->si_status == 0)
		return 0;
	words_last(w, last);

	const char *colon = last[0] != '\0' ? ": " : "";

	if (how->si_code == CLD_EXITED)
		return err_set(e, ERR_FAILED, "'%s' ended with status %d%s%s",
			       name, how->si_status, colon, last);

	const char *sig = sigabbrev_np(how->si_status);

	return err_set(e, ERR_FAILED, "'%s' was killed by SIG%s%s%s", name,
		       sig != NULL ? sig : "?", colon, last);
}

/* A library that ignores SIGCHLD has made the kernel forget how. */
void program_reap(int pidfd, siginfo_t *how)
{
	int r;

	do
		r = waitid(P_PIDFD, (id_t)pidfd, how, WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		*how = (siginfo_t){ .si_code = CLD_EXITED, .si_status = -1 };
}

/* Wait for one of them; 0 when the time (-1: no end) is over. */
int program_poll(struct pollfd *fds, nfds_t n, int64_t until_ns)
{
	for (;;) {
		int ms = -1;

		if (until_ns >= 0) {
			int64_t left = until_ns - clock_steady_ns();

			left = left > 0 ? left / 1000000 + 1 : 0;
			ms = (int)num_min((uint64_t)left, INT_MAX);
		}

		int r = poll(fds, n, ms);

		if (r > 0 ||
		    (r == 0 && until_ns >= 0 && clock_steady_ns() >= until_ns))
			return r;
	}
}

int64_t program_until(unsigned ms)
{
	return clock_steady_ns() + INT64_C(1000000) * ms;
}
