/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/zfs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define COLUMNS  4
#define AGAIN_NS 200000000
#define PATIENCE 5000 /* ms */

char *zfs_full(const struct snap *s)
{
	return mem_fmt("%s@%s", s->volume, s->name);
}

/* The words of a command and the names it is for. */
static const char **argv_of(const char *const *words, const char *const *names,
			    size_t count)
{
	size_t n = 0;
	const char **argv;

	while (words[n])
		n++;
	argv = mem_zalloc(n + count + 1, sizeof(*argv));
	for (size_t i = 0; i < n; i++)
		argv[i] = words[i];
	for (size_t i = 0; i < count; i++)
		argv[n + i] = names[i];
	return argv;
}

int zfs_get(const char *properties, const char *const *names, size_t count,
	    const struct snap_time *t, struct table *out, struct err *e)
{
	const char *words[] = {
		"zfs",      "get", "-Hp", "-o", "name,property,value,source",
		properties, NULL
	};
	autofree const char **argv = argv_of(words, names, count);
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (snap_tool(argv, &text, t, e) < 0)
		return -1;
	return table_parse(&text, '\t', COLUMNS, "zfs get", out, e);
}

const char *zfs_value(const struct table *t, const char *name,
		      const char *property, bool *local)
{
	for (size_t i = 0; i < t->rows; i++) {
		if (strcmp(table_get(t, i, 0), name) != 0 ||
		    strcmp(table_get(t, i, 1), property) != 0)
			continue;
		if (local)
			*local = strcmp(table_get(t, i, 3), "local") == 0;
		return table_get(t, i, 2);
	}
	return NULL;
}

/* Is name the first cell of a row of what this prints? */
static int printed(const char *const *argv, const char *name,
		   const struct snap_time *t, struct err *e)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(table_fini) struct table got = TABLE_INIT;

	if (snap_tool(argv, &text, t, e) < 0 ||
	    table_parse(&text, '\t', 1, "zfs list", &got, e) < 0)
		return -1;
	for (size_t i = 0; i < got.rows; i++) {
		if (strcmp(table_get(&got, i, 0), name) == 0)
			return 1;
	}
	return 0;
}

static int dataset_missing(const char *name, const struct snap_time *t,
			   struct err *e)
{
	autofree char *pool = mem_strdup(name);
	const char *argv[] = { "zfs", "list", "-Hp",
			       "-r",  "-t",   "filesystem,volume",
			       "-o",  "name", pool,
			       NULL };

	pool[strcspn(pool, "/")] = '\0';

	int there = printed(argv, name, t, e);

	return there < 0 ? -1 : !there;
}

int zfs_missing(const char *name, const struct snap_time *t, struct err *e)
{
	autofree char *dataset = mem_strdup(name);
	const char *argv[] = { "zfs",      "list", "-Hp",  "-d",    "1", "-t",
			       "snapshot", "-o",   "name", dataset, NULL };
	int missing;

	dataset[strcspn(dataset, "@")] = '\0';
	missing = dataset_missing(dataset, t, e);
	if (missing != 0 || strchr(name, '@') == NULL)
		return missing;

	int there = printed(argv, name, t, e);

	return there < 0 ? -1 : !there;
}

int zfs_ours(const struct snap *s, const struct snap_time *t, struct table *got,
	     struct err *e)
{
	autofree char *full = zfs_full(s);
	const char *names[] = { full };
	struct err more = ERR_INIT;
	bool local = false;

	if (zfs_get("guid,userrefs,clones," SNAP_PROP, names, 1, t, got, e) <
	    0) {
		if (zfs_missing(full, t, &more) == 1)
			return err_set(e, ERR_NOT_FOUND,
				       "there is no snapshot '%s'", full);
		return -1;
	}

	const char *guid = zfs_value(got, full, "guid", NULL);
	const char *set = zfs_value(got, full, SNAP_PROP, &local);

	if (guid == NULL || set == NULL || !local || strcmp(set, s->set) != 0 ||
	    (s->guid[0] && strcmp(guid, s->guid) != 0))
		return err_set(e, ERR_REFUSED,
			       "'%s' is not the snapshot that was made", full);
	return 0;
}

static int destroy_once(const char *name, const struct snap_time *t,
			struct err *e)
{
	const char *argv[] = { "zfs", "destroy", name, NULL };

	return snap_tool(argv, NULL, t, e);
}

int zfs_destroy(const char *name, const struct snap_time *t, struct err *e)
{
	int64_t until = clock_steady_ns() + (int64_t)PATIENCE * 1000000;
	struct timespec nap = { .tv_nsec = AGAIN_NS };

	while (destroy_once(name, t, e) < 0) {
		struct err more = ERR_INIT;

		if (zfs_missing(name, t, &more) == 1) {
			err_clear(e);
			return 0;
		}
		if (clock_steady_ns() > until)
			return err_ctx(e, "cannot remove '%s'", name);
		nanosleep(&nap, NULL);
	}
	return 0;
}
