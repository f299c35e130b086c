/* SPDX-License-Identifier: Apache-2.0 */
#include "job/room.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

/* Of all, on one file system. */
struct share {
	uint64_t bytes;
	size_t members;
	const struct member *last;
};

struct place {
	char *folder; /* the first one there */
	dev_t dev;
	uint64_t free;
	uint64_t reserve;
	struct share ram, overlays;
};

/* What a member wants where. */
struct want {
	struct member *member;
	size_t place;
	bool ram;
	const char *option; /* that chooses another place */
};

struct room {
	struct place *places;
	size_t place_count;
	struct want *wants;
	size_t want_count;
};

static void room_fini(struct room *r)
{
	for (size_t i = 0; i < r->place_count; i++)
		free(r->places[i].folder);
	free(r->places);
	free(r->wants);
}

/*
 * Subvolumes and datasets have devices of their own, and their space is the
 * pool's: what has as much room to the byte is taken for one.
 */
static int find_place(struct room *r, const char *folder, size_t *at,
		      struct err *e)
{
	struct file_room now;
	struct stat st;

	if (stat(folder, &st) < 0)
		return err_sys(e, "cannot look at '%s'", folder);
	if (file_room(folder, &now, e) < 0)
		return -1;
	for (*at = 0; *at < r->place_count; (*at)++)
		if (r->places[*at].dev == st.st_dev ||
		    r->places[*at].free == now.free)
			return 0;
	r->places = mem_grow(r->places, r->place_count + 1, sizeof(*r->places));
	r->places[r->place_count++] = (struct place){
		.folder = mem_strdup(folder),
		.dev = st.st_dev,
		.free = now.free,
	};
	return 0;
}

/* Overlays of one guest grow by what it writes, be they one or many. */
static void add_to(struct share *s, const struct member *m, uint64_t bytes,
		   bool each)
{
	if (s->last == m && !each)
		return;
	s->bytes += bytes;
	s->members += s->last != m;
	s->last = m;
}

static int add(struct room *r, struct member *m, const struct capture_want *w,
	       const char *option, struct err *e)
{
	size_t at = 0;

	if (find_place(r, w->folder, &at, e) < 0)
		return -1;
	struct place *p = &r->places[at];

	p->reserve = num_max(p->reserve, w->reserve);
	add_to(w->ram ? &p->ram : &p->overlays, m, w->bytes, w->ram);
	r->wants = mem_grow(r->wants, r->want_count + 1, sizeof(*r->wants));
	r->wants[r->want_count++] = (struct want){
		.member = m, .place = at, .ram = w->ram, .option = option
	};
	return 0;
}

/* Its dump is linked into the folder of local points, or is there twice. */
static int add_copy(struct room *r, struct member *m,
		    const struct capture_want *dump, const char *local_dir,
		    struct err *e)
{
	struct capture_want copy = *dump;
	struct stat a;
	struct stat b;

	if (local_dir == NULL || !dump->ram)
		return 0;
	if (stat(dump->folder, &a) < 0 || stat(local_dir, &b) < 0)
		return err_sys(e, "cannot look at '%s' and '%s'", dump->folder,
			       local_dir);
	if (a.st_dev == b.st_dev)
		return 0;
	copy.folder = (char *)(uintptr_t)local_dir;
	return add(r, m, &copy, "--ram-dir", e);
}

static int add_member(struct room *r, struct member *m, const char *local_dir,
		      struct err *e)
{
	struct capture_want *wants;
	size_t count;
	int ok = capture_wants(m->capture, &wants, &count, e);

	for (size_t i = 0; ok == 0 && i < count; i++) {
		ok = add(r, m, &wants[i],
			 wants[i].ram ? "--spool-dir" : "--overlay-dir", e);
		if (ok == 0)
			ok = add_copy(r, m, &wants[i], local_dir, e);
	}
	capture_wants_free(wants, count);
	return ok;
}

static void say(const struct place *p, const struct share *s, uint64_t want,
		const char *what, const char *option, struct err *e)
{
	char have_text[NUM_TEXT];
	char want_text[NUM_TEXT];

	num_size_text(p->free, have_text);
	num_size_text(want, want_text);
	err_set(e, ERR_NO_SPACE,
		"no room for %s: the file system of '%s' has %s left, %s are "
		"wanted there by %zu VM%s: make room, or say another %s",
		what, p->folder, have_text, want_text, s->members,
		s->members == 1 ? "" : "s", option);
}

static void check_overlays(const struct room *r, const struct want *w)
{
	const struct place *p = &r->places[w->place];
	uint64_t want = p->reserve + p->overlays.bytes;
	struct err e = ERR_INIT;

	if (w->ram || p->free >= want)
		return;
	say(p, &p->overlays, want, "overlays", "--overlay-dir", &e);
	member_lose(w->member, &e);
}

static void check_ram(const struct room *r, const struct want *w)
{
	const struct place *p = &r->places[w->place];
	uint64_t want = p->reserve + p->overlays.bytes + p->ram.bytes;
	struct err why = ERR_INIT;
	struct err e = ERR_INIT;

	if (!w->ram || p->free >= want || w->member->lost ||
	    !capture_memory(w->member->capture))
		return;
	say(p, &p->ram, want,
	    p->overlays.members > 0 ? "RAM and overlays" : "RAM", w->option,
	    &why);
	if (capture_without_memory(w->member->capture, why.msg, &e) < 0)
		member_lose(w->member, &e);
}

static void check_all(struct member *members, size_t count,
		      const char *local_dir,
		      void (*check)(const struct room *r, const struct want *w))
{
	AUTO(room_fini) struct room r = { .places = NULL };

	for (size_t i = 0; i < count; i++) {
		struct err e = ERR_INIT;

		if (!members[i].lost &&
		    add_member(&r, &members[i], local_dir, &e) < 0)
			member_lose(&members[i], &e);
	}
	for (size_t i = 0; i < r.want_count; i++)
		check(&r, &r.wants[i]);
}

/* Who is lost by then wants nothing any more. */
void room_check(struct member *members, size_t count, const char *local_dir)
{
	check_all(members, count, local_dir, check_overlays);
	check_all(members, count, local_dir, check_ram);
}
