/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Captures without a repository: begin, wait, end.  For the tests of virt/,
 * which kill it at every step.
 *
 *	probe URI capture DOMAIN[,DOMAIN...] STATE SPOOL [name=value ...]
 *	probe URI recover STATE
 *
 * memory= require= sleep= (ms) overlay_dir= downtime= reserve= disk= hold=
 * (a file: wait until it is there) method= (number) snaps= (a suffix: the
 * storage has snapshots, which are reflinks with that suffix).
 */

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "virt/capture.h"
#include "virt/recover.h"

struct wish {
	struct capture_options opt;
	long sleep_ms;
	const char *hold;
	const char *snaps;
	char *disk;
};

struct all {
	const struct wish *wish;
	struct capture *caps[CAPTURE_TOGETHER];
	struct conn *conns[CAPTURE_TOGETHER];
	size_t count;
};

static void say(void *ctx, enum talk_level level, const char *text)
{
	(void)ctx;
	(void)level;
	printf("say %s\n", text);
}

static const struct talk talk = { .say = say };

static int fail(const char *what, const struct err *e)
{
	printf("error %s: code %d: %s\n", what, (int)e->code, e->msg);
	return e->code == ERR_BUSY ? 4 : 1;
}

static void wish_number(struct wish *w, const char *key, long n)
{
	if (strcmp(key, "memory") == 0)
		w->opt.memory = (int)n;
	else if (strcmp(key, "require") == 0)
		w->opt.require = (int)n;
	else if (strcmp(key, "sleep") == 0)
		w->sleep_ms = n;
	else if (strcmp(key, "method") == 0)
		w->opt.method = (enum capture_method)n;
	else if (strcmp(key, "downtime") == 0)
		w->opt.downtime_ms = (uint64_t)n;
	else if (strcmp(key, "reserve") == 0)
		w->opt.overlay_reserve = (uint64_t)n;
}

static void wish_read(struct wish *w, char *arg)
{
	char *value = strchr(arg, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(arg, "overlay_dir") == 0) {
		w->opt.overlay_dir = value;
	} else if (strcmp(arg, "snaps") == 0) {
		w->snaps = value;
		w->opt.no_snaps = NULL;
	} else if (strcmp(arg, "hold") == 0) {
		w->hold = value;
	} else if (strcmp(arg, "disk") == 0) {
		w->disk = value;
		w->opt.only_disks = &w->disk;
		w->opt.only_count = 1;
	} else {
		wish_number(w, arg, strtol(value, NULL, 10));
	}
}

static void show(const struct capture_result *r)
{
	printf("level %s\nmethod %s\npause_ms %llu\ndegraded %d\nstate_exact "
	       "%d\n",
	       capture_level_text(r->level), r->method,
	       (unsigned long long)r->pause_ms, r->degraded, r->state_exact);
	for (size_t i = 0; i < r->disk_count; i++)
		printf("disk %s %s %d %llu %s\n", r->disks[i].target,
		       r->disks[i].format, r->disks[i].shared,
		       (unsigned long long)r->disks[i].size, r->disks[i].path);
	for (size_t i = 0; i < r->file_count; i++)
		printf("file %s %zu\n", r->files[i].name, r->files[i].data.len);
	for (size_t i = 0; i < r->note_count; i++)
		printf("note %s\n", r->notes[i]);
	printf("memory %s\nbegun\n", r->memory ? r->memory : "-");
}

/* What a reader would do meanwhile. */
static int read_on(struct capture *cap, const struct wish *w, struct err *e)
{
	const struct timespec tick = { .tv_nsec = 20000000 };
	int64_t until = clock_steady_ns() + w->sleep_ms * 1000000;

	while (clock_steady_ns() < until ||
	       (w->hold && access(w->hold, F_OK) != 0)) {
		if (capture_check(cap, e) < 0)
			return -1;
		nanosleep(&tick, NULL);
	}
	return capture_sure(cap, e);
}

static int reflink(const char *path, const char *suffix, struct err *e)
{
	autofree char *to = mem_fmt("%s%s", path, suffix);
	autofd int from = open(path, O_RDONLY | O_CLOEXEC);
	autofd int into =
		open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (from < 0 || into < 0 || ioctl(into, FICLONE, from) < 0)
		return err_sys(e, "cannot clone '%s'", path);
	return 0;
}

static int take(void *ctx, struct err *e)
{
	const struct all *a = ctx;

	for (size_t i = 0; i < a->count; i++) {
		const struct capture_result *r = capture_result(a->caps[i]);

		if (capture_failed(a->caps[i]) || !capture_snaps(a->caps[i]))
			continue;
		for (size_t d = 0; d < r->disk_count; d++) {
			if (reflink(r->disks[d].path, a->wish->snaps, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int open_one(struct all *a, const char *uri, const char *name,
		    struct err *e)
{
	struct conn *c = conn_open(uri, e);
	AUTO(domain_info_free_at)
	struct domain_info *d = c ? domain_inspect(c, name, e) : NULL;

	if (!d)
		return -1;
	a->conns[a->count] = c;
	a->caps[a->count] = capture_new(c, d, &a->wish->opt, &talk, e);
	return a->caps[a->count++] ? 0 : -1;
}

static int end_one(struct capture *cap, const struct wish *w)
{
	struct err e = ERR_INIT;
	int ret = 0;

	if (capture_failed(cap))
		ret = fail("member", capture_failed(cap));
	else
		show(capture_result(cap));
	if (!capture_failed(cap) && read_on(cap, w, &e) < 0)
		ret = fail("check", &e);
	err_clear(&e);

	int64_t from = clock_steady_ns();

	if (capture_end(cap, &e) < 0)
		return fail("end", &e);
	printf("ended %lld ms\n",
	       (long long)(clock_steady_ns() - from) / 1000000);
	return ret;
}

static int run(const char *uri, char *names, const struct wish *w)
{
	struct all a = { .wish = w };
	const struct capture_instant instant = { .ctx = &a, .take = take };
	struct err e = ERR_INIT;
	int ret = 0;

	for (char *n = strtok(names, ","); n && ret == 0; n = strtok(NULL, ","))
		ret = open_one(&a, uri, n, &e);
	if (ret == 0)
		ret = capture_take(a.caps, a.count, &instant, &e);
	if (ret < 0)
		ret = fail("begin", &e);
	for (size_t i = 0; i < a.count; i++) {
		if (a.caps[i])
			ret |= end_one(a.caps[i], w);
		conn_close(a.conns[i]);
	}
	return ret;
}

static int recover(struct conn *c, const char *state)
{
	struct recover_report report;
	struct err e = ERR_INIT;
	int ret = 0;

	if (recover_run(c, state, NULL, &talk, &report, &e) < 0)
		return fail("recover", &e);
	for (size_t i = 0; i < report.count; i++) {
		printf("item %d %s: %s\n", report.items[i].failed,
		       report.items[i].domain, report.items[i].action);
		ret |= report.items[i].failed;
	}
	recover_report_fini(&report);
	return ret;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct wish w = { .opt = { .memory = -1, .no_snaps = "not asked" } };
	struct conn *c;
	int ret = 2;

	if (argc > 1 && strcmp(argv[1], "__watchdog") == 0)
		return watchdog_main(argc - 1, argv + 1);
	if (argc < 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	c = conn_open(argv[1], &e);
	if (!c)
		return fail("connect", &e);
	if (strcmp(argv[2], "recover") == 0) {
		ret = recover(c, argv[3]);
	} else if (argc >= 6) {
		w.opt.state_dir = argv[4];
		w.opt.spool_dir = argv[5];
		for (int i = 6; i < argc; i++)
			wish_read(&w, argv[i]);
		ret = run(argv[1], argv[3], &w);
	}
	conn_close(c);
	return ret;
}
