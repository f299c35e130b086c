/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots without a VM, a call at a time; what has to be known from one to
 * the next is in the journal.
 *
 *	probe find PATH...             place KIND VOLUME INSIDE FS for each
 *	probe take JOURNAL SET PATH...  snap KIND VOLUME NAME GUID FS MS
 *	probe read JOURNAL N INSIDE    what it begins with
 *	probe hold JOURNAL N INSIDE    its path, until stdin ends
 *	probe check JOURNAL
 *	probe drop JOURNAL
 *	probe recover JOURNAL [keep]   note FAILED TEXT, then ends it
 *	probe list [PATH...]
 *
 * Columns are parted by tabs.  VMKEEP_PROBE_COPIES, _THICK (bytes) and
 * _DEADLINE (ms) are options.  An error is "error CODE TEXT" and status 1.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "snap/snap.h"

DEFINE_AUTO(journal_free, struct journal *);

static struct err e;

static int failed(void)
{
	printf("error\t%d\t%s\n", (int)e.code, e.msg);
	return 1;
}

static unsigned long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

static struct snap_how how_of(struct journal *j)
{
	return (struct snap_how){
		.journal = j,
		.deadline_ms = (unsigned)number("VMKEEP_PROBE_DEADLINE"),
		.thick_bytes = number("VMKEEP_PROBE_THICK"),
	};
}

static int find(char **paths, int count, struct snap_plan *plan)
{
	struct snap_find f = { .copies = number("VMKEEP_PROBE_COPIES") != 0 };

	return snap_find((const char *const *)paths, (size_t)count, &f, plan,
			 &e);
}

static void print_snaps(const struct snaps *snaps)
{
	for (size_t i = 0; i < snaps->count; i++) {
		const struct snap *s = &snaps->items[i];

		printf("snap\t%s\t%s\t%s\t%s\t%s\t%s\t%lld\n",
		       snap_kind_name(s->kind), s->volume, s->name, s->guid,
		       s->set, s->fs,
		       (long long)(s->end_ns - s->begin_ns) / 1000000);
	}
}

static int cmd_find(char **argv, int argc)
{
	AUTO(snap_plan_fini) struct snap_plan plan = { .volumes = NULL };

	if (find(argv, argc, &plan) < 0)
		return failed();
	for (size_t i = 0; i < plan.place_count; i++) {
		const struct snap_place *p = &plan.places[i];
		const struct snap_volume *v = &plan.volumes[p->volume];

		printf("place\t%zu\t%s\t%s\t%s\t%s\t%s\n", p->volume,
		       snap_kind_name(v->kind), v->name, p->inside, v->fs,
		       v->id);
	}
	return 0;
}

static int cmd_take(char **argv, int argc)
{
	AUTO(snap_plan_fini) struct snap_plan plan = { .volumes = NULL };
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	AUTO(journal_free_at) struct journal *j = journal_new(argv[0], &e);
	struct snap_how how = how_of(j);
	int64_t begin;

	if (j == NULL || find(argv + 2, argc - 2, &plan) < 0 ||
	    snap_ready(&plan, &how, &e) < 0)
		return failed();
	begin = clock_steady_ns();
	if (snap_take(&plan, argv[1], &how, &snaps, &e) < 0)
		return failed();
	printf("taken\t%lld\n",
	       (long long)(clock_steady_ns() - begin) / 1000000);
	print_snaps(&snaps);
	return 0;
}

/* What the journal says was taken. */
static int taken(const char *path, struct snaps *snaps)
{
	struct journal_record *records;
	size_t count;
	int rc = 0;

	if (journal_read(path, &records, &count, &e) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct journal_record r = records[i];

		if (strcmp(r.word, "snap_taken") != 0)
			continue;
		while (rc == 0 && r.fields[0].key) {
			rc = snap_from_record(&r, snaps, &e);
			r.fields += 8;
		}
	}
	journal_records_free(records, count);
	return rc;
}

/* What it begins with. */
static int spill(const char *path)
{
	char bytes[4096];
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n;

	if (fd < 0) {
		err_sys(&e, "cannot open '%s'", path);
		return failed();
	}
	if (fd_read_some(fd, bytes, sizeof(bytes), &n, &e) < 0)
		return failed();
	fwrite(bytes, 1, n, stdout);
	return 0;
}

static int cmd_view(char **argv, bool hold)
{
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	AUTO(journal_free_at)
	struct journal *j = journal_continue(argv[0], &e);
	struct snap_how how = how_of(j);
	size_t n = strtoul(argv[1], NULL, 10);
	struct snap_view *view;
	const char *path;
	int rc = 0;

	if (j == NULL || taken(argv[0], &snaps) < 0 || n >= snaps.count)
		return failed();
	view = snap_view_open(&snaps.items[n], &how, &e);
	if (view == NULL)
		return failed();
	path = snap_view_path(view, argv[2], &e);
	if (path == NULL) {
		rc = failed();
	} else if (hold) {
		printf("path\t%s\t%s\n", path,
		       snap_view_warning(view) ? snap_view_warning(view) : "");
		fflush(stdout);
		while (getchar() != EOF)
			;
	} else {
		rc = spill(path);
	}
	if (snap_view_close(view, &how, &e) < 0)
		return failed();
	return rc;
}

static int cmd_check(char **argv)
{
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };

	if (taken(argv[0], &snaps) < 0 ||
	    snap_check(snaps.items, snaps.count, &e) < 0)
		return failed();
	return 0;
}

static int cmd_drop(char **argv)
{
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };
	AUTO(journal_free_at)
	struct journal *j = journal_continue(argv[0], &e);
	struct snap_how how = how_of(j);

	if (j == NULL || taken(argv[0], &snaps) < 0 ||
	    snap_drop(snaps.items, snaps.count, &how, &e) < 0 ||
	    journal_end(j, &e) < 0)
		return failed();
	return 0;
}

static int keep(void *ctx, const struct snap *snap, struct err *why)
{
	(void)ctx;
	(void)why;
	return snap->guid[0] != '\0';
}

static void note(void *ctx, const char *text, int bad)
{
	(void)ctx;
	printf("note\t%d\t%s\n", bad, text);
}

static int cmd_recover(char **argv, int argc)
{
	struct journal_record *records;
	size_t count;
	AUTO(journal_free_at)
	struct journal *j = journal_continue(argv[0], &e);
	struct snap_how how = how_of(j);
	struct snap_recover r = { .how = &how,
				  .keep = argc > 1 ? keep : NULL,
				  .note = note };
	int rc;

	if (j == NULL || journal_read(argv[0], &records, &count, &e) < 0)
		return failed();
	rc = snap_recover(records, count, &r, &e);
	journal_records_free(records, count);
	if (rc < 0)
		return failed();
	if (argc == 1 && journal_end(j, &e) < 0)
		return failed();
	return 0;
}

static int cmd_list(char **argv, int argc)
{
	AUTO(snap_plan_fini) struct snap_plan plan = { .volumes = NULL };
	AUTO(snaps_fini) struct snaps snaps = { .items = NULL };

	if ((argc > 0 && find(argv, argc, &plan) < 0) ||
	    snap_list(argc > 0 ? &plan : NULL, &snaps, &e) < 0)
		return failed();
	print_snaps(&snaps);
	return 0;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";

	argv += 2;
	argc -= 2;
	if (strcmp(cmd, "find") == 0)
		return cmd_find(argv, argc);
	if (strcmp(cmd, "take") == 0 && argc > 2)
		return cmd_take(argv, argc);
	if (strcmp(cmd, "read") == 0 && argc == 3)
		return cmd_view(argv, false);
	if (strcmp(cmd, "hold") == 0 && argc == 3)
		return cmd_view(argv, true);
	if (strcmp(cmd, "check") == 0 && argc == 1)
		return cmd_check(argv);
	if (strcmp(cmd, "drop") == 0 && argc == 1)
		return cmd_drop(argv);
	if (strcmp(cmd, "recover") == 0 && argc > 0)
		return cmd_recover(argv, argc);
	if (strcmp(cmd, "list") == 0)
		return cmd_list(argv, argc);
	fprintf(stderr, "usage: see probe.c\n");
	return 2;
}
