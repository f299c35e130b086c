/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/capture.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/claim.h"
#include "virt/jot.h"
#include "virt/recover.h"

const char *capture_level_text(enum capture_level l)
{
	switch (l) {
	case LEVEL_CRASH:
		return "crash";
	case LEVEL_FILESYSTEM:
		return "filesystem";
	case LEVEL_OFFLINE:
		return "offline";
	case LEVEL_RAM:
		return "ram";
	default:
		return "none";
	}
}

const char *capture_method_text(enum capture_method m)
{
	switch (m) {
	case METHOD_SNAPSHOT:
		return "snapshot";
	case METHOD_OVERLAY:
		return "overlay";
	case METHOD_SUSPEND:
		return "suspend";
	case METHOD_AUTO:
	default:
		return "auto";
	}
}

/* ---- notes ---- */

static void add_note(struct capture *cap, char *text)
{
	struct capture_result *r = &cap->result;

	r->notes = mem_grow(r->notes, r->note_count + 1, sizeof(*r->notes));
	r->notes[r->note_count++] = text;
}

void capture_note(struct capture *cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_note(cap, mem_vfmt(fmt, ap));
	va_end(ap);
}

void capture_degrade(struct capture *cap, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vfmt(fmt, ap);
	va_end(ap);
	cap->result.degraded = true;
	talk_say(cap->talk, TALK_WARN, "%s: %s", cap->domain->name, text);
	add_note(cap, text);
}

/* ---- making and freeing ---- */

static void result_fini(struct capture_result *r)
{
	for (size_t i = 0; i < r->file_count; i++)
		capture_file_fini(&r->files[i]);
	for (size_t i = 0; i < r->note_count; i++)
		free(r->notes[i]);
	free(r->files);
	free(r->notes);
	free(r->disks);
}

static void capture_free(struct capture *cap)
{
	if (!cap)
		return;
	watchdog_close(cap->watchdog);
	track_close(cap->track);
	journal_free(cap->journal);
	for (size_t i = 0; i < cap->pick_count; i++)
		free(cap->picks[i].overlay);
	free(cap->picks);
	free(cap->memory);
	free(cap->journal_path);
	result_fini(&cap->result);
	tpm_fini(&cap->tpm);
	domain_info_free(cap->domain);
	fd_close_at(&cap->lock);
	pthread_mutex_destroy(&cap->check_lock);
	free(cap);
}

DEFINE_AUTO(capture_free, struct capture *);

static struct capture *make(struct conn *c,
			    const struct capture_options *options,
			    const struct talk *talk)
{
	struct capture *cap = mem_zalloc(1, sizeof(*cap));

	cap->conn = c;
	cap->opt = *options;
	cap->talk = talk ? talk : &talk_none;
	cap->lock = -1;
	cap->members = 1;
	pthread_mutex_init(&cap->check_lock, NULL);
	return cap;
}

/* ---- beginning ---- */

static int claim(struct capture *cap, const struct domain_info *domain,
		 struct err *e)
{
	if (recover_claim(cap->conn, cap->opt.state_dir, domain, cap->talk,
			  &cap->lock, e) < 0)
		return -1;
	cap->journal_path = claim_journal(cap->opt.state_dir, domain->uuid);
	cap->domain = domain_inspect(cap->conn, domain->uuid, e);
	return cap->domain ? 0 : -1;
}

static void fill_disks(struct capture *cap)
{
	struct capture_result *r = &cap->result;

	r->disk_count = cap->pick_count;
	r->disks = mem_zalloc(cap->pick_count, sizeof(*r->disks));
	for (size_t i = 0; i < cap->pick_count; i++) {
		const struct domain_disk *d = cap->picks[i].disk;

		r->disks[i] = (struct capture_disk){
			.target = d->target,
			.path = d->chain[0].path,
			.format = d->chain[0].format,
			.size = d->size,
			.shared = cap->mode == MODE_PLACE,
			.yields = cap->mode == MODE_OFF,
		};
	}
}

struct capture *capture_new(struct conn *c, const struct domain_info *domain,
			    const struct capture_options *options,
			    const struct talk *talk, struct err *e)
{
	AUTO(capture_free_at) struct capture *cap = make(c, options, talk);

	if (claim(cap, domain, e) < 0 || capture_mode(cap, e) < 0 ||
	    capture_pick(cap, e) < 0 || capture_choose(cap, e) < 0)
		return NULL;
	fill_disks(cap);
	return mem_take(&cap);
}

bool capture_snaps(const struct capture *cap)
{
	return cap->mode == MODE_LIVE && cap->method != METHOD_OVERLAY;
}

bool capture_memory(const struct capture *cap)
{
	return cap->with_memory;
}

const struct err *capture_failed(const struct capture *cap)
{
	return cap->lost.code != ERR_NONE ? &cap->lost : NULL;
}

int64_t capture_stopped_ns(const struct capture *cap)
{
	return cap->stopped_ns;
}

const struct capture_result *capture_result(const struct capture *cap)
{
	return &cap->result;
}

/* ---- ending ---- */

int capture_drop_memory(struct capture *cap, struct err *e)
{
	if (!cap->memory)
		return 0;
	if (unlink(cap->memory) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '%s'", cap->memory);
	cap->result.memory = NULL;
	return JOT0(cap->journal, JOT_SPOOL_DONE, e);
}

int capture_end(struct capture *cap, struct err *e)
{
	int ret = capture_settle(cap, e);

	if (ret < 0)
		err_ctx(e,
			"%s: not all could be put back (vmkeep recover "
			"tries again)",
			cap->domain->name);
	capture_free(cap);
	return ret;
}
