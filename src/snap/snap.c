/* SPDX-License-Identifier: Apache-2.0 */

/* Snaps and plans as values. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/proc.h"
#include "snap/internal.h"

#define PREFIX      "vmkeep_"
#define DEADLINE_MS 60000
#define SET_MIN     8
#define SET_MAX     64

static const char *const kinds[] = {
	[SNAP_ZFS] = "zfs",           [SNAP_ZVOL] = "zvol",
	[SNAP_LVM_THIN] = "lvm-thin", [SNAP_LVM_THICK] = "lvm-thick",
	[SNAP_BTRFS] = "btrfs",       [SNAP_REFLINK] = "reflink",
};

const char *snap_kind_name(enum snap_kind kind)
{
	return kinds[kind];
}

bool snap_kind_parse(const char *name, enum snap_kind *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(name, kinds[i]) == 0) {
			*kind = (enum snap_kind)i;
			return true;
		}
	}
	return false;
}

void snap_volume_fini(struct snap_volume *v)
{
	free(v->name);
	free(v->id);
	free(v->group);
	free(v->device);
	free(v->fs);
	*v = (struct snap_volume){ .name = NULL };
}

void snap_plan_fini(struct snap_plan *plan)
{
	for (size_t i = 0; i < plan->volume_count; i++)
		snap_volume_fini(&plan->volumes[i]);
	for (size_t i = 0; i < plan->place_count; i++) {
		free(plan->places[i].path);
		free(plan->places[i].inside);
	}
	free(plan->volumes);
	free(plan->places);
	*plan = (struct snap_plan){ .volumes = NULL };
}

void snap_fini(struct snap *s)
{
	free(s->volume);
	free(s->name);
	free(s->guid);
	free(s->set);
	free(s->fs);
	*s = (struct snap){ .volume = NULL };
}

void snap_copy(const struct snap *from, struct snap *to)
{
	*to = *from;
	to->volume = mem_strdup(from->volume);
	to->name = mem_strdup(from->name);
	to->guid = mem_strdup(from->guid);
	to->set = mem_strdup(from->set);
	to->fs = mem_strdup(from->fs);
}

void snaps_fini(struct snaps *snaps)
{
	for (size_t i = 0; i < snaps->count; i++)
		snap_fini(&snaps->items[i]);
	free(snaps->items);
	*snaps = (struct snaps){ .items = NULL };
}

void snaps_add(struct snaps *snaps, const struct snap *snap)
{
	snaps->items =
		mem_grow(snaps->items, snaps->count + 1, sizeof(*snaps->items));
	snap_copy(snap, &snaps->items[snaps->count]);
	snaps->count++;
}

/* "2026-11-20T16:30:05Z" without what ZFS or LVM would not have. */
void snap_name(int64_t wall_ns, const char *set, char out[SNAP_NAME_MAX])
{
	char text[CLOCK_TEXT];
	char *to = text;

	clock_text(wall_ns, text);
	for (const char *p = text; *p; p++) {
		if (*p != '-' && *p != ':')
			*to++ = *p;
	}
	*to = '\0';
	snprintf(out, SNAP_NAME_MAX, PREFIX "%s_%.8s", text, set);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool snap_set_valid(const char *set)
{
	size_t n = 0;

	for (; set[n]; n++) {
		if (!is_hex(set[n]) && (set[n] != '-' || n < SET_MIN))
			return false;
	}
	return n >= SET_MIN && n <= SET_MAX;
}

/* d a digit, h a hexadecimal one, all others themselves. */
static const char *matches(const char *text, const char *pattern)
{
	for (; *pattern; pattern++, text++) {
		bool ok = *pattern == 'd'   ? *text >= '0' && *text <= '9'
			  : *pattern == 'h' ? is_hex(*text)
					    : *text == *pattern;

		if (!ok)
			return NULL;
	}
	return text;
}

/* ... and, where there are several on one file system or in one VG, "_N". */
bool snap_name_valid(const char *name)
{
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	name = matches(name + strlen(PREFIX), "ddddddddTddddddZ_hhhhhhhh");
	if (name == NULL || *name == '\0')
		return name != NULL;
	if (*name++ != '_')
		return false;
	return strlen(name) > 0 && strlen(name) < 6 &&
	       strspn(name, "0123456789") == strlen(name);
}

void snap_to_fields(const struct snap *s, struct snap_fields *out)
{
	snprintf(out->begin, sizeof(out->begin), "%" PRId64, s->begin_ns);
	snprintf(out->end, sizeof(out->end), "%" PRId64, s->end_ns);

	const struct journal_field f[] = {
		{ "kind", snap_kind_name(s->kind) },
		{ "volume", s->volume },
		{ "name", s->name },
		{ "guid", s->guid },
		{ "set", s->set },
		{ "fs", s->fs },
		{ "begin", out->begin },
		{ "end", out->end },
		{ NULL, NULL },
	};

	memcpy(out->f, f, sizeof(f));
}

int snap_jot(struct journal *j, const char *word,
	     const struct snap *const *snaps, size_t count, struct err *e)
{
	autofree struct snap_fields *all = NULL;
	autofree struct journal_field *flat = NULL;
	size_t n = 0;

	if (j == NULL)
		return 0;
	all = mem_zalloc(count, sizeof(*all));
	flat = mem_zalloc(count * 8 + 1, sizeof(*flat));
	for (size_t i = 0; i < count; i++) {
		snap_to_fields(snaps[i], &all[i]);
		for (size_t k = 0; all[i].f[k].key; k++)
			flat[n++] = all[i].f[k];
	}
	return journal_write(j, word, flat, e);
}

/* Printable as far as ASCII goes, and nothing that could be an option. */
static bool text_ok(const char *s, const char *more)
{
	if (*s == '-')
		return false;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 'a' && c <= 'z')
			continue;
		if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (strchr(more, c) == NULL)
			return false;
	}
	return true;
}

static bool path_ok(const char *s)
{
	if (*s != '/' || s[1] == '\0')
		return false;
	return strchr(s, '\n') == NULL;
}

static bool volume_ok(enum snap_kind kind, const char *name)
{
	const char *slash;

	switch (kind) {
	case SNAP_ZFS:
	case SNAP_ZVOL:
		return *name && strlen(name) < 256 && text_ok(name, "_.: -/%");
	case SNAP_LVM_THIN:
	case SNAP_LVM_THICK:
		slash = strchr(name, '/');
		return slash != NULL && slash != name && slash[1] != '\0' &&
		       slash[1] != '-' && strchr(slash + 1, '/') == NULL &&
		       strlen(name) < 256 && text_ok(name, "_.+-/");
	case SNAP_BTRFS:
	case SNAP_REFLINK:
		break;
	}
	return path_ok(name);
}

static bool snap_ok(const struct snap *s)
{
	return volume_ok(s->kind, s->volume) && snap_name_valid(s->name) &&
	       snap_set_valid(s->set) && strlen(s->guid) < 80 &&
	       text_ok(s->guid, ":-") && strlen(s->fs) < 32 &&
	       text_ok(s->fs, "_.");
}

bool snap_thing_valid(const struct snap_thing *thing)
{
	return thing->kind != SNAP_BTRFS && thing->kind != SNAP_REFLINK &&
	       volume_ok(thing->kind, thing->name) &&
	       strstr(thing->name, PREFIX) != NULL;
}

static bool time_of(const char *text, int64_t *ns)
{
	uint64_t n;

	if (text == NULL || !num_parse(text, &n) || n > INT64_MAX)
		return false;
	*ns = (int64_t)n;
	return true;
}

/* One snap's fields begin with "kind"; those of the next are the next's. */
static const char *get(const struct journal_field *f, const char *key)
{
	for (size_t i = 0; f[i].key; i++) {
		if (i > 0 && strcmp(f[i].key, "kind") == 0)
			return NULL;
		if (strcmp(f[i].key, key) == 0)
			return f[i].value;
	}
	return NULL;
}

/* Its strings stay the record's. */
static bool from_fields(const struct journal_field *f, struct snap *s)
{
	const char *const texts[] = { get(f, "volume"), get(f, "name"),
				      get(f, "guid"), get(f, "set"),
				      get(f, "fs") };
	char *own[5];

	if (!snap_kind_parse(f[0].value, &s->kind) ||
	    !time_of(get(f, "begin"), &s->begin_ns) ||
	    !time_of(get(f, "end"), &s->end_ns))
		return false;
	for (size_t i = 0; i < 5; i++) {
		if (texts[i] == NULL) {
			while (i > 0)
				free(own[--i]);
			return false;
		}
		own[i] = mem_strdup(texts[i]);
	}
	s->volume = own[0];
	s->name = own[1];
	s->guid = own[2];
	s->set = own[3];
	s->fs = own[4];
	return true;
}

static int add_one(const struct journal_record *r,
		   const struct journal_field *f, struct snaps *add,
		   struct err *e)
{
	AUTO(snap_fini) struct snap s = { .volume = NULL };

	if (!from_fields(f, &s) || !snap_ok(&s))
		return err_set(e, ERR_INTEGRITY,
			       "a record '%s' of a snapshot makes no sense",
			       r->word);
	snaps_add(add, &s);
	return 0;
}

static const struct journal_field *kind_from(const struct journal_field *f)
{
	while (f->key && strcmp(f->key, "kind") != 0)
		f++;
	return f;
}

int snap_from_record(const struct journal_record *record, struct snaps *add,
		     struct err *e)
{
	const struct journal_field *f = kind_from(record->fields);

	if (f->key == NULL)
		return err_set(e, ERR_INTEGRITY,
			       "a record '%s' names no snapshot", record->word);
	return add_one(record, f, add, e);
}

int snap_many_from_record(const struct journal_record *r, struct snaps *add,
			  struct err *e)
{
	const struct journal_field *f = kind_from(r->fields);

	for (; f->key; f = kind_from(f + 1)) {
		if (add_one(r, f, add, e) < 0)
			return -1;
	}
	return 0;
}

struct snap_time snap_time_of(unsigned deadline_ms)
{
	int64_t ms = deadline_ms ? deadline_ms : DEADLINE_MS;

	return (struct snap_time){ clock_steady_ns() + ms * 1000000 };
}

unsigned snap_time_left(const struct snap_time *t, const char *what,
			struct err *e)
{
	int64_t ms = (t->until - clock_steady_ns()) / 1000000;

	if (ms > 0)
		return (unsigned)num_min((uint64_t)ms, UINT32_MAX);
	err_set(e, ERR_FAILED, "there was no time left for '%s'", what);
	return 0;
}

int snap_tool(const char *const *argv, struct buf *out,
	      const struct snap_time *t, struct err *e)
{
	static const char *const env[] = { "LVM_SUPPRESS_FD_WARNINGS=1", NULL };
	struct proc_run run = { .argv = argv,
				.env = env,
				.deadline_ms = snap_time_left(t, argv[0], e),
				.max_out = (size_t)64 << 20 };

	if (run.deadline_ms == 0)
		return -1;
	if (proc_run(&run, out, e) == 0)
		return 0;
	/* That there is no such program says nothing of the snapshot. */
	if (e->code == ERR_NOT_FOUND)
		e->code = ERR_REFUSED;
	return -1;
}
