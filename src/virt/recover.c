/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/recover.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/claim.h"
#include "virt/settle.h"

#define SUFFIX ".journal"

struct recovery {
	struct conn *conn;
	const char *state_dir;
	const struct talk *talk;
	struct recover_report *report;
	bool told; /* the journal in hand has a failed item already */
};

static void add(void *ctx, const char *domain, const char *text, int failed)
{
	struct recovery *r = ctx;
	struct recover_report *to = r->report;

	r->told = r->told || failed;
	talk_say(r->talk, failed ? TALK_WARN : TALK_INFO, "%s: %s", domain,
		 text);
	to->items = mem_grow(to->items, to->count + 1, sizeof(*to->items));
	to->items[to->count++] = (struct recover_item){
		.domain = mem_strdup(domain),
		.action = mem_strdup(text),
		.failed = failed,
	};
}

static void recover_claimed(struct recovery *r, const char *uuid,
			    const char *path)
{
	const struct settle s = {
		.conn = r->conn,
		.journal_path = path,
		.talk = r->talk,
		.dead = true,
		.ctx = r,
		.note = add,
	};
	struct err e = ERR_INIT;

	r->told = false;
	if (settle_run(&s, &e) < 0 && !r->told)
		add(r, uuid, e.msg, 1);
}

static void recover_one(struct recovery *r, const char *uuid)
{
	autofree char *path = claim_journal(r->state_dir, uuid);
	AUTO(fd_close_at) int lock = -1;
	struct err e = ERR_INIT;

	if (!file_exists(path))
		return;
	if (claim_take(r->state_dir, uuid, uuid, &lock, &e) == 0)
		recover_claimed(r, uuid, path);
	else if (e.code != ERR_BUSY)
		add(r, uuid, e.msg, 1);
}

/* "UUID.journal" to "UUID". */
static char *uuid_of(const char *name)
{
	size_t len = strlen(name);
	char *uuid;

	if (len != CONN_UUID_TEXT - 1 + strlen(SUFFIX) ||
	    strcmp(name + CONN_UUID_TEXT - 1, SUFFIX) != 0)
		return NULL;
	uuid = mem_strdup(name);
	uuid[CONN_UUID_TEXT - 1] = '\0';
	return uuid;
}

static int recover_dir(struct recovery *r, struct err *e)
{
	DIR *dir = opendir(r->state_dir);
	struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_sys(e, "cannot read '%s'", r->state_dir);
	while ((entry = readdir(dir)) != NULL) {
		autofree char *uuid = uuid_of(entry->d_name);

		if (uuid)
			recover_one(r, uuid);
	}
	closedir(dir);
	return 0;
}

int recover_run(struct conn *c, const char *state_dir, const char *uuid,
		const struct talk *talk, struct recover_report *report,
		struct err *e)
{
	struct recovery r = {
		.conn = c,
		.state_dir = state_dir,
		.talk = talk,
		.report = report,
	};

	*report = (struct recover_report){ .items = NULL };
	if (!uuid)
		return recover_dir(&r, e);
	recover_one(&r, uuid);
	return 0;
}

/* What a dead one has left comes first: its overlays would become part of
 * the chain that is to be kept. */
static int recover_before(struct conn *c, const char *state_dir,
			  const char *uuid, const struct talk *talk,
			  struct err *e)
{
	AUTO(recover_report_fini)
	struct recover_report report = { .items = NULL };

	if (recover_run(c, state_dir, uuid, talk, &report, e) < 0)
		return -1;
	for (size_t i = 0; i < report.count; i++) {
		if (report.items[i].failed)
			return err_set(e, ERR_BUSY,
				       "an earlier backup or flatten could "
				       "not be recovered: %s",
				       report.items[i].action);
	}
	return 0;
}

int recover_claim(struct conn *c, const char *state_dir,
		  const struct domain_info *d, const struct talk *talk,
		  int *lock, struct err *e)
{
	/* it takes and drops the lock by itself */
	if (recover_before(c, state_dir, d->uuid, talk, e) < 0)
		return -1;
	return claim_take(state_dir, d->uuid, d->name, lock, e);
}

void recover_report_fini(struct recover_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		free(report->items[i].domain);
		free(report->items[i].action);
	}
	free(report->items);
	*report = (struct recover_report){ .items = NULL };
}
