/* SPDX-License-Identifier: Apache-2.0 */
#include "job/revert_journal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/mem.h"
#include "job/revert.h"
#include "virt/claim.h"

#define ENDING   ".revert"
#define JOT_WHAT "revert" /* domain point safety */

struct revert_journal {
	struct journal *journal;
};

static char *path_of(const struct job *j, const char *uuid)
{
	return mem_fmt("%s/%s" ENDING, j->state_dir, uuid);
}

void revert_journal_free(struct revert_journal *r)
{
	if (r == NULL)
		return;
	journal_free(r->journal);
	free(r);
}

DEFINE_AUTO(revert_journal_free, struct revert_journal *);

struct revert_journal *revert_journal_begin(const struct job *j,
					    const struct domain_info *domain,
					    const struct result_revert *what,
					    struct err *e)
{
	AUTO(revert_journal_free_at)
	struct revert_journal *r = mem_zalloc(1, sizeof(*r));
	autofree char *path = path_of(j, domain->uuid);
	const struct journal_field fields[] = {
		{ "domain", domain->name },
		{ "point", what->point },
		{ "safety", what->safety != NULL ? what->safety : "" },
		{ NULL, NULL },
	};

	bool there = file_exists(path);

	r->journal = there ? journal_continue(path, e) : journal_new(path, e);
	if (r->journal == NULL)
		return NULL;
	if (journal_write(r->journal, JOT_WHAT, fields, e) == 0)
		return mem_take(&r);
	struct err ignored = ERR_INIT;

	/* nothing was changed yet; an earlier one may have */
	if (!there)
		(void)!journal_end(r->journal, &ignored);
	return NULL;
}

int revert_journal_end(struct revert_journal *r, struct err *e)
{
	return journal_end(r->journal, e);
}

/* ---- what was left ------------------------------------------------------ */

struct left {
	char *domain, *point, *safety;
};

static void left_fini(struct left *l)
{
	free(l->domain);
	free(l->point);
	free(l->safety);
}

static char *copy_of(const struct journal_record *r, const char *key)
{
	const char *value = journal_get(r, key);

	return value != NULL && *value != '\0' ? mem_strdup(value) : NULL;
}

/* The last intent counts, but the first safety point is what it was. */
static void read_left(const char *path, const char *uuid, struct left *l)
{
	struct err ignored = ERR_INIT;
	struct journal_record *records;
	size_t count;

	*l = (struct left){ .domain = mem_strdup(uuid) };
	if (journal_read(path, &records, &count, &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(records[i].word, JOT_WHAT) != 0)
			continue;
		char *domain = copy_of(&records[i], "domain");

		if (domain != NULL) {
			free(l->domain);
			l->domain = domain;
		}
		free(l->point);
		l->point = copy_of(&records[i], "point");
		if (l->safety == NULL)
			l->safety = copy_of(&records[i], "safety");
	}
	journal_records_free(records, count);
}

static char *advice(const struct left *l)
{
	const char *point = l->point != NULL ? l->point : "POINT";

	if (l->safety == NULL)
		return mem_fmt("a revert was cut short, its disks are neither "
			       "old nor new: 'vmkeep revert --no-safety "
			       "%.12s' does it again",
			       point);
	return mem_fmt("a revert was cut short, its disks are neither old nor "
		       "new: 'vmkeep revert --no-safety %.12s' does it again, "
		       "with %.12s it is what it was before",
		       point, l->safety);
}

int revert_pending(const struct job *j, const char *uuid, struct err *e)
{
	autofree char *path = path_of(j, uuid);
	AUTO(left_fini) struct left l = { 0 };

	if (!file_exists(path))
		return 0;
	read_left(path, uuid, &l);
	autofree char *text = advice(&l);

	return err_set(e, ERR_BUSY, "%s", text);
}

static void closedir_at(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

/* Somebody is at it now: nothing was left. */
static bool under_way(const struct job *j, const char *uuid)
{
	struct err e = ERR_INIT;
	autofd int lock = -1;

	return claim_take(j->state_dir, uuid, uuid, &lock, &e) < 0;
}

void revert_report(const struct job *j, void *ctx,
		   void (*note)(void *ctx, const char *domain,
				const char *text))
{
	AUTO(closedir_at) DIR *d = opendir(j->state_dir);
	size_t ending = strlen(ENDING);
	const struct dirent *n;

	while (d != NULL && (n = readdir(d)) != NULL) {
		size_t size = strlen(n->d_name);

		if (size <= ending ||
		    strcmp(n->d_name + size - ending, ENDING) != 0)
			continue;
		autofree char *uuid =
			mem_fmt("%.*s", (int)(size - ending), n->d_name);
		autofree char *path = path_of(j, uuid);
		AUTO(left_fini) struct left l = { 0 };

		if (under_way(j, uuid))
			continue;
		read_left(path, uuid, &l);
		autofree char *text = advice(&l);

		note(ctx, l.domain, text);
	}
}
