/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "virt/jot.h"

struct plan_disk *plan_disk(struct plan *plan, const char *target)
{
	for (size_t i = 0; target && i < plan->disk_count; i++) {
		if (strcmp(plan->disks[i].target, target) == 0)
			return &plan->disks[i];
	}
	return NULL;
}

void plan_fini(struct plan *plan)
{
	for (size_t i = 0; i < plan->disk_count; i++) {
		free(plan->disks[i].target);
		free(plan->disks[i].base);
		free(plan->disks[i].format);
		free(plan->disks[i].overlay);
		for (size_t n = 0; n < plan->disks[i].between_count; n++)
			free(plan->disks[i].between[n].path);
		free(plan->disks[i].between);
	}
	free(plan->disks);
	free(plan->uuid);
	free(plan->name);
	free(plan->uri);
	free(plan->spool);
	*plan = (struct plan){ .domain_id = -1 };
}

static char *dup_field(const struct journal_record *r, const char *key)
{
	const char *v = journal_get(r, key);

	return v ? mem_strdup(v) : NULL;
}

static uint64_t number_field(const struct journal_record *r, const char *key)
{
	const char *v = journal_get(r, key);
	uint64_t n = 0;

	return v && num_parse(v, &n) ? n : 0;
}

static bool flag_field(const struct journal_record *r, const char *key)
{
	const char *v = journal_get(r, key);

	return v && strcmp(v, "1") == 0;
}

static int read_begin(struct plan *plan, const struct journal_record *r,
		      struct err *e)
{
	const char *id = journal_get(r, "id");

	if (plan->uuid || !journal_get(r, "uuid"))
		return err_set(e, ERR_INTEGRITY,
			       "the journal begins twice or names no domain");
	plan->uuid = dup_field(r, "uuid");
	plan->name = dup_field(r, "name");
	plan->uri = dup_field(r, "uri");
	plan->domain_id = id ? atoi(id) : -1;
	plan->paused_before = flag_field(r, "paused");
	return 0;
}

/* Absent in a capture. */
static void read_flat(struct plan_disk *d, const struct journal_record *r)
{
	const char *merge = journal_get(r, "merge");

	d->flat = merge != NULL;
	d->remove = merge && strcmp(merge, "delete") == 0;
	d->odev = number_field(r, "odev");
	d->oino = number_field(r, "oino");
	d->size = number_field(r, "size");
}

static int read_between(struct plan *plan, const struct journal_record *r,
			struct err *e)
{
	struct plan_disk *d = plan_disk(plan, journal_get(r, "target"));

	if (!d || !d->flat || !journal_get(r, "path"))
		return err_set(e, ERR_INTEGRITY,
			       "the journal has a bad record of an image");
	d->between =
		mem_grow(d->between, d->between_count + 1, sizeof(*d->between));
	d->between[d->between_count++] = (struct plan_image){
		.path = dup_field(r, "path"),
		.dev = number_field(r, "dev"),
		.ino = number_field(r, "ino"),
	};
	return 0;
}

static int read_disk(struct plan *plan, const struct journal_record *r,
		     struct err *e)
{
	struct plan_disk *d;
	const char *target = journal_get(r, "target");

	if (!target || !journal_get(r, "base") || !journal_get(r, "overlay") ||
	    !journal_get(r, "format") || plan_disk(plan, target))
		return err_set(e, ERR_INTEGRITY,
			       "the journal has a bad disk record");
	plan->disks = mem_grow(plan->disks, plan->disk_count + 1,
			       sizeof(*plan->disks));
	d = &plan->disks[plan->disk_count++];
	*d = (struct plan_disk){
		.target = mem_strdup(target),
		.base = dup_field(r, "base"),
		.format = dup_field(r, "format"),
		.overlay = dup_field(r, "overlay"),
		.dev = number_field(r, "dev"),
		.ino = number_field(r, "ino"),
		.step = STEP_NAMED,
	};
	read_flat(d, r);
	return 0;
}

static const struct {
	const char *word;
	enum plan_step step;
} disk_words[] = {
	{ JOT_COMMIT, STEP_COMMIT }, { JOT_PIVOT, STEP_PIVOT },
	{ JOT_OFFLINE, STEP_TAKEN }, { JOT_COMMITTED, STEP_COMMITTED },
	{ JOT_MERGED, STEP_MERGED }, { JOT_UNLINKED, STEP_GONE },
	{ JOT_UNDONE, STEP_UNDONE },
};

static void read_how(struct plan_disk *d, const struct journal_record *r)
{
	if (strcmp(r->word, JOT_OFFLINE) == 0)
		d->offline = true;
	else if (strcmp(r->word, JOT_COMMIT) == 0)
		d->offline = false;
	else if (strcmp(r->word, JOT_COMMITTED) == 0)
		d->stamp = number_field(r, "stamp");
}

/* 1 when it was a word about one disk. */
static int read_disk_step(struct plan *plan, const struct journal_record *r,
			  struct err *e)
{
	struct plan_disk *d;

	for (size_t i = 0; i < sizeof(disk_words) / sizeof(*disk_words); i++) {
		if (strcmp(r->word, disk_words[i].word) != 0)
			continue;
		d = plan_disk(plan, journal_get(r, "target"));
		if (!d)
			return err_set(e, ERR_INTEGRITY,
				       "the journal has '%s' of a disk that "
				       "it does not name",
				       r->word);
		d->step = disk_words[i].step;
		read_how(d, r);
		return 1;
	}
	return 0;
}

static void read_taken(struct plan *plan)
{
	plan->snapshotting = false;
	for (size_t i = 0; i < plan->disk_count; i++) {
		if (plan->disks[i].step == STEP_NAMED)
			plan->disks[i].step = STEP_TAKEN;
	}
}

static void read_spool_gone(struct plan *plan)
{
	free(plan->spool);
	plan->spool = NULL;
}

static void read_flags(struct plan *plan, const struct journal_record *r)
{
	const char *w = r->word;

	if (strcmp(w, JOT_FREEZE) == 0) {
		plan->frozen = true;
	} else if (strcmp(w, JOT_THAWED) == 0) {
		plan->frozen = false;
	} else if (strcmp(w, JOT_SNAPSHOT) == 0) {
		plan->snapshotting = true;
	} else if (strcmp(w, JOT_TAKEN) == 0) {
		read_taken(plan);
	} else if (strcmp(w, JOT_PAUSE) == 0) {
		plan->paused = true;
	} else if (strcmp(w, JOT_HOLD) == 0) {
		plan->held = true;
	} else if (strcmp(w, JOT_RESUMED) == 0) {
		plan->paused = false;
		plan->held = false;
	} else if (strcmp(w, JOT_MIGRATED) == 0) {
		plan->migrated = true;
	} else if (strcmp(w, JOT_SPOOL_DONE) == 0) {
		read_spool_gone(plan);
	} else if (strcmp(w, JOT_DOWNTIME_DONE) == 0) {
		plan->downtime_set = false;
	}
}

static int read_record(struct plan *plan, const struct journal_record *r,
		       struct err *e)
{
	if (strcmp(r->word, JOT_BEGIN) == 0)
		return read_begin(plan, r, e);
	if (!plan->uuid)
		return err_set(e, ERR_INTEGRITY,
			       "the journal has no beginning");
	if (strcmp(r->word, JOT_DISK) == 0)
		return read_disk(plan, r, e);
	if (strcmp(r->word, JOT_BETWEEN) == 0)
		return read_between(plan, r, e);
	if (strcmp(r->word, JOT_SPOOL) == 0) {
		free(plan->spool);
		plan->spool = dup_field(r, "path");
		return 0;
	}
	if (strcmp(r->word, JOT_DOWNTIME) == 0) {
		plan->downtime_set = true;
		plan->downtime_old = number_field(r, "old");
		return 0;
	}
	if (strcmp(r->word, JOT_WATCHDOG) == 0) {
		plan->watchdog_pid = number_field(r, "pid");
		plan->watchdog_start = number_field(r, "start");
		return 0;
	}
	read_flags(plan, r);
	return read_disk_step(plan, r, e) < 0 ? -1 : 0;
}

int plan_read(const struct journal_record *records, size_t count,
	      struct plan *plan, struct err *e)
{
	*plan = (struct plan){ .domain_id = -1 };
	for (size_t i = 0; i < count; i++) {
		if (read_record(plan, &records[i], e) < 0) {
			plan_fini(plan);
			return -1;
		}
	}
	return 0;
}

/*
 * The overlay is not in the chain of the running (or of the kept) definition.
 * It may go when it is known that the base has everything: that was verified
 * (MERGED), or it never got a byte, or the very QEMU process that was about
 * to pivot now runs on the base (a running chain changes in no other way).
 */
static enum plan_action decide_apart(const struct plan_disk *disk,
				     const struct plan_sight *sight)
{
	/* the guest was started between qemu-img's end and the definition */
	if (disk->step == STEP_COMMITTED && disk->offline && sight->touched)
		return ACT_KEEP_APART;
	if (disk->step >= STEP_COMMITTED || sight->overlay_empty)
		return ACT_UNLINK;
	if (disk->step == STEP_PIVOT && sight->active && sight->same_instance)
		return ACT_UNLINK;
	return ACT_KEEP_APART;
}

static enum plan_action decide_active(const struct plan_disk *disk,
				      const struct plan_sight *sight)
{
	switch (sight->live) {
	case TOP_OVERLAY:
		if (!sight->pivoted)
			return ACT_MERGE_LIVE;
		/* a start from the overlay would hide what was written to the
		 * base since */
		return sight->kept == TOP_OVERLAY ? ACT_REDEFINE
						  : ACT_KEEP_PIVOTED;
	case TOP_ABOVE:
		return ACT_KEEP_ABOVE;
	case TOP_NONE:
	case TOP_BASE:
	case TOP_OTHER:
	default:
		break;
	}
	if (sight->kept == TOP_OVERLAY)
		return decide_apart(disk, sight) == ACT_UNLINK ? ACT_REDEFINE
							       : ACT_KEEP_APART;
	return decide_apart(disk, sight);
}

static enum plan_action decide_off(const struct plan_disk *disk,
				   const struct plan_sight *sight)
{
	switch (sight->kept) {
	case TOP_OVERLAY:
		/* A daemon that died in the pivot may not know that QEMU went
		 * over to the base; an old overlay must not be committed onto
		 * what was written there since. */
		if (disk->step == STEP_PIVOT && sight->base_newer)
			return ACT_KEEP_UNSURE;
		/* also when it was committed before: the guest may have been
		 * started on it since, and twice does no harm */
		return ACT_MERGE_OFF;
	case TOP_ABOVE:
		return ACT_KEEP_ABOVE;
	case TOP_NONE:
	case TOP_BASE:
	case TOP_OTHER:
	default:
		return decide_apart(disk, sight);
	}
}

enum plan_action plan_decide(const struct plan_disk *disk,
			     const struct plan_sight *sight)
{
	bool named = sight->live == TOP_OVERLAY || sight->kept == TOP_OVERLAY;

	if (disk->step == STEP_GONE || disk->step == STEP_UNDONE)
		return ACT_NOTHING;
	if (disk->flat)
		return plan_decide_flat(disk, sight);
	if (sight->overlay_locked && sight->active)
		return ACT_MERGE_STRAY;
	/* its new host may be on this machine; nobody shall end it there */
	if (sight->overlay_locked)
		return sight->migrated ? ACT_KEEP_AWAY : ACT_KEEP_LOCKED;
	if (!sight->overlay_there && !named)
		return ACT_NOTHING;
	if (!sight->overlay_there && !sight->active &&
	    disk->step >= STEP_COMMITTED)
		return ACT_REDEFINE;
	if (!sight->overlay_there && !sight->active)
		return ACT_LOST;
	if (sight->active)
		return decide_active(disk, sight);
	if (disk->step == STEP_MERGED || disk->step == STEP_COMMITTED ||
	    sight->overlay_empty)
		return sight->exists ? decide_off(disk, sight) : ACT_UNLINK;
	if (sight->migrated)
		return ACT_KEEP_AWAY;
	if (!sight->exists)
		return ACT_KEEP_GONE;
	return decide_off(disk, sight);
}

char *plan_advice(enum plan_action action, const struct plan *plan,
		  const struct plan_disk *disk)
{
	const char *name = plan->name ? plan->name : plan->uuid;

	switch (action) {
	case ACT_KEEP_GONE:
		return mem_fmt("disk %s: the domain is no longer there; its "
			       "last writes are in '%s', kept: to bring them "
			       "into '%s' run: qemu-img commit '%s'",
			       disk->target, disk->overlay, disk->base,
			       disk->overlay);
	case ACT_KEEP_AWAY:
		return mem_fmt("disk %s: the domain was migrated away and "
			       "runs on '%s', kept: on its new host run: "
			       "virsh blockcommit '%s' %s --active --shallow "
			       "--pivot --wait",
			       disk->target, disk->overlay, name, disk->target);
	case ACT_KEEP_UNSURE:
		return mem_fmt("disk %s: libvirt's daemon died when the "
			       "domain went over from '%s' to '%s', and the "
			       "latter is newer: do not start the domain; "
			       "if it was on the latter last, set it with "
			       "virsh edit and remove the former, else run: "
			       "qemu-img commit -b '%s' '%s'",
			       disk->target, disk->overlay, disk->base,
			       disk->base, disk->overlay);
	case ACT_KEEP_LOCKED:
		return mem_fmt(
			"disk %s: some program that libvirt does not know "
			"(a QEMU that it has lost?) has '%s' open, "
			"kept: end it, then run vmkeep recover",
			disk->target, disk->overlay);
	case ACT_KEEP_PIVOTED:
		return mem_fmt(
			"disk %s: the guest is on '%s' and all is there, "
			"but libvirt, killed in the middle, still names "
			"'%s', kept: it learns better when the domain "
			"is shut off and started; then run vmkeep "
			"recover",
			disk->target, disk->base, disk->overlay);
	case ACT_KEEP_ABOVE:
		return mem_fmt("disk %s: somebody made a snapshot on top of "
			       "'%s', kept: to merge it run: virsh blockcommit "
			       "'%s' %s --top '%s' --base '%s' --wait",
			       disk->target, disk->overlay, name, disk->target,
			       disk->overlay, disk->base);
	case ACT_KEEP_APART:
		return mem_fmt("disk %s: the domain does not use '%s' any "
			       "more, which holds writes that '%s' may not "
			       "have; both are kept: compare them, then "
			       "remove the one, or run vmkeep recover after "
			       "removing it",
			       disk->target, disk->overlay, disk->base);
	case ACT_LOST:
		return mem_fmt("disk %s: the definition names '%s', which is "
			       "not there; its base is '%s'",
			       disk->target, disk->overlay, disk->base);
	case ACT_NOTHING:
	case ACT_MERGE_LIVE:
	case ACT_MERGE_STRAY:
	case ACT_MERGE_OFF:
	case ACT_REDEFINE:
	case ACT_UNLINK:
	case ACT_UNDO:
	case ACT_RELEASE:
	default:
		return NULL;
	}
}
