/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_UNIT_DOCTOR_KIT_H
#define VMKEEP_TEST_UNIT_DOCTOR_KIT_H

/*
 * A host where all is well, in the eyes of doctor, and what the tests of its
 * rules share: change one thing, and look at what is found.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/doctor_rules.h"

#define GIB ((uint64_t)1 << 30)
#define DAY ((int64_t)86400 * 1000000000)

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Two domains: "web 1" with a qcow2 image on ext4, "db" shut off. */
struct world {
	struct doctor_facts f;
	struct domain_info info[2];
	struct domain_disk disk[2];
	struct domain_image chain[2][30];
	struct checkup look[2];
	struct checkup_disk how[2];
	struct checkup_image image[2][30];
	struct checkup *domains[2];
	size_t files[2][30];
	size_t *file_lists[2];
	struct traits_file file[4];
	struct traits_volume volume[4];
	struct traits_pool pool[1];
	char *names[4][2]; /* of disks, of stale snapshots */
};

/* Literals that nobody writes to or frees. */
static inline char *lit(const char *s)
{
	union {
		const char *in;
		char *out;
	} u = { .in = s };

	return u.out;
}

static inline void make_domain(struct world *w, size_t i, const char *name,
			       const char *path)
{
	w->chain[i][0] = (struct domain_image){ .path = lit(path),
						.format = lit("qcow2"),
						.type = lit("file") };
	w->image[i][0] = (struct checkup_image){ .local = true,
						 .exists = true,
						 .readable = true,
						 .size = GIB,
						 .allocated = GIB / 2,
						 .qcow2 = true,
						 .version = 3,
						 .cluster = 65536 };
	w->disk[i] = (struct domain_disk){ .target = lit("vda"),
					   .device = lit("disk"),
					   .bus = lit("virtio"),
					   .chain = w->chain[i],
					   .chain_len = 1,
					   .size = GIB,
					   .captured = true };
	w->how[i] = (struct checkup_disk){ .cache = lit("none"),
					   .discard = lit("unmap"),
					   .images = w->image[i] };
	w->info[i] = (struct domain_info){ .name = lit(name),
					   .state = DOMAIN_RUNNING,
					   .persistent = true,
					   .memory = GIB,
					   .agent = AGENT_CONNECTED,
					   .disks = &w->disk[i],
					   .disk_count = 1 };
	w->look[i] = (struct checkup){ .info = &w->info[i],
				       .disks = &w->how[i],
				       .agent_answers = true };
	w->domains[i] = &w->look[i];
	w->file_lists[i] = w->files[i];
	w->files[i][0] = i;
	w->file[i] = (struct traits_file){ .volume = 0 };
}

static inline void make_volume(struct world *w, size_t i, const char *name,
			       const char *disk)
{
	w->names[i][0] = lit(disk);
	w->volume[i] = (struct traits_volume){
		.name = lit(name),
		.fs = lit("ext4"),
		.mount = lit(name),
		.source = lit("/dev/sdx"),
		.disks = &w->names[i][0],
		.disk_count = 1,
		.dev = i + 1,
		.pool = TRAITS_NONE,
		.size = 100 * GIB,
		.free = 50 * GIB,
	};
}

static inline void make_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	make_domain(w, 0, "web 1", "/srv/a b.qcow2");
	make_domain(w, 1, "db", "/srv/db.qcow2");
	w->info[1].state = DOMAIN_SHUT_OFF;
	make_volume(w, 0, "/srv", "sda");
	make_volume(w, 1, "/backup", "sdb");
	w->file[2].volume = 1;
	w->f = (struct doctor_facts){
		.domains = w->domains,
		.domain_count = 2,
		.files = w->file_lists,
		.traits = { .files = w->file,
			    .file_count = 3,
			    .volumes = w->volume,
			    .volume_count = 2,
			    .pools = w->pool },
		.host = { .kvm = true,
			  .kvm_works = true,
			  .memlock = UINT64_MAX,
			  .kernel = 0x601,
			  .spool = { "/backup/spool", 2 },
			  .overlays = { NULL, TRAITS_NONE } },
		.repo = { .name = "/backup/repo",
			  .dir = { "/backup/repo", 2 },
			  .opened = true,
			  .oldest_ns = DAY,
			  .verified_ns = 90 * DAY,
			  .now_ns = 100 * DAY },
	};
}

static inline struct result_doctor judge(const struct world *w)
{
	struct result_doctor r = { .findings = NULL };
	const struct doctor_ignore none = { .ids = NULL };

	doctor_judge(&w->f, &none, &r);
	return r;
}

/* ---- kinds of storage under vda of "web 1" ---- */

static inline void raw(struct world *w)
{
	w->chain[0][0].format = lit("raw");
	w->image[0][0].qcow2 = false;
	w->image[0][0].allocated = GIB;
}

static inline void device(struct world *w, enum traits_kind kind)
{
	raw(w);
	w->chain[0][0].type = lit("block");
	w->image[0][0].size = w->image[0][0].allocated = 0;
	w->file[0].volume = 2;
	w->volume[2] = (struct traits_volume){
		.kind = kind,
		.name = lit("tank/web"),
		.source = lit("/dev/sdc"),
		.pool = TRAITS_NONE,
		.size = 10 * GIB,
		.physical = 512,
	};
	w->f.traits.volume_count = 3;
}

static inline void chain(struct world *w, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		w->chain[0][i] = w->chain[0][0];
		w->chain[0][i].path = lit("/srv/base.qcow2");
		w->image[0][i] = w->image[0][0];
		w->files[0][i] = 0;
	}
	w->disk[0].chain_len = len;
}

static inline void zpool(struct world *w, size_t volume)
{
	w->pool[0] = (struct traits_pool){ .zfs = true,
					   .name = lit("tank"),
					   .size = 100 * GIB,
					   .used = 50 * GIB,
					   .data = 50,
					   .health = lit("ONLINE"),
					   .ashift = 12,
					   .physical = 4096 };
	w->f.traits.pool_count = 1;
	w->volume[volume].pool = 0;
	w->volume[volume].compressed = true;
	w->volume[volume].block = 65536;
}

static inline void dataset(struct world *w)
{
	raw(w);
	make_volume(w, 2, "tank/vm", "zpool tank");
	w->file[0].volume = 2;
	w->f.traits.volume_count = 3;
	w->volume[2].kind = TRAITS_DATASET;
	w->volume[2].fs = lit("zfs");
	zpool(w, 2);
}

static inline void zvol(struct world *w)
{
	device(w, TRAITS_ZVOL);
	zpool(w, 2);
	w->volume[2].block = 16384;
	w->volume[2].volsize = 10 * GIB;
}

static inline void thin(struct world *w)
{
	device(w, TRAITS_THIN);
	zpool(w, 2);
	w->pool[0].zfs = false;
	w->pool[0].name = lit("vg/thin");
	w->pool[0].autoextend = 70;
}

/* ---- what is found ---- */

struct sample {
	void (*change)(struct world *w);
	const char *rule;
	enum result_severity severity;
	const char *subject;
	const char *command; /* a part of it; NULL: there is none */
};

static inline const struct result_finding *find(const struct result_doctor *r,
						const char *rule)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->findings[i].rule, rule) == 0)
			return &r->findings[i];
	return NULL;
}

static inline void check(const struct sample *s, bool alone)
{
	struct world w;

	make_world(&w);
	s->change(&w);
	struct result_doctor r = judge(&w);
	const struct result_finding *f = find(&r, s->rule);

	if (f == NULL || (alone && r.count != 1))
		fail_msg("%s: %zu findings, the first of %s", s->rule, r.count,
			 r.count > 0 ? r.findings[0].rule : "none");
	if (f->severity != s->severity || strcmp(f->subject, s->subject) != 0)
		fail_msg("%s: %s, '%s'", s->rule,
			 result_severity_text(f->severity), f->subject);
	if (s->command == NULL)
		assert_null(f->command);
	else if (f->command == NULL || strstr(f->command, s->command) == NULL)
		fail_msg("%s: command %s", s->rule, f->command);
	assert_true(strlen(f->fact) > 0 && strlen(f->why) > 0);
	result_doctor_fini(&r);
}

static inline void nothing(void (*change)(struct world *w))
{
	struct world w;

	make_world(&w);
	change(&w);
	struct result_doctor r = judge(&w);

	if (r.count > 0)
		fail_msg("%s: %s", r.findings[0].rule, r.findings[0].fact);
	result_doctor_fini(&r);
}

#endif
