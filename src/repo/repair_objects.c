/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "repo/checked.h"
#include "repo/damage.h"
#include "repo/obj.h"
#include "repo/pack.h"
#include "repo/repair_internal.h"

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* ---- is the copy whole? ---------------------------------------------- */

static int check_pack(const struct repo *from, const char *name,
		      const struct buf *b, struct err *e)
{
	struct footer footer = { .blobs = NULL };
	struct pack_header h;
	struct pack_trailer t;
	struct hash sum;
	char own[PACK_NAME];

	if (b->len < PACK_HEADER + PACK_TRAILER)
		return err_set(e, ERR_INTEGRITY, "too short for a pack");
	size_t body = b->len - PACK_TRAILER;

	if (pack_header_decode(b->p, &h, e) < 0 ||
	    pack_trailer_decode(b->p + body, &t, e) < 0)
		return -1;
	hash_sha256(b->p, body, &sum);
	pack_name(h.class, &h.pack, own);
	if (!hash_equal(&sum, &t.sum) || strcmp(own, name) != 0 ||
	    t.footer_offset + t.footer_size != body)
		return err_set(e, ERR_INTEGRITY, "not this pack, or damaged");
	if (footer_open(&h, from->keys->meta_key, b->p + t.footer_offset,
			t.footer_size, t.footer_offset, &footer, e) < 0)
		return -1;
	footer_fini(&footer);
	return 0;
}

static int check_slot(const struct repo *from, const char *name, struct err *e)
{
	AUTO(slots_fini) struct slots slots = { .count = 0 };

	if (slots_list(from->store, &slots, e) < 0)
		return -1;
	for (size_t i = 0; i < slots.count; i++)
		if (strcmp(slots.slots[i].name, name) == 0 &&
		    !slots.slots[i].damaged)
			return 0;
	return err_set(e, ERR_INTEGRITY, "the slot is damaged");
}

static int check_object(const struct repo *from, const char *name,
			const struct buf *b, struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;

	if (starts(name, "data/") || starts(name, "meta/"))
		return check_pack(from, name, b, e);
	if (starts(name, "keys/"))
		return check_slot(from, name, e);
	return obj_open(from->keys, name, SIGN_WRITE | SIGN_KEEP | SIGN_OWN,
			b->p, b->len, &body, e);
}

/* ---- putting back ---------------------------------------------------- */

/* What stands under the name is kept: it may be all that is left of it. */
static int set_aside(struct repair *p, const char *name, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	autofree char *aside = mem_fmt(ASIDE_PREFIX "%s", name);

	if (store_load(p->repo->store, name, OBJECT_MAX_SEGMENT, &b, e) < 0) {
		if (e->code != ERR_NOT_FOUND && e->code != ERR_INTEGRITY)
			return -1;
		err_clear(e);
		return 0;
	}
	struct iovec iov = { .iov_base = b.p, .iov_len = b.len };

	return store_put(p->repo->store, aside, &iov, 1, e);
}

/* 1 put back, 0 the copy has it not, or not whole. */
static int put_back(struct repair *p, const char *name, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct repo *from = p->o->from;
	struct err why = ERR_INIT;

	if (store_load(from->store, name, OBJECT_MAX_SEGMENT, &b, &why) < 0 ||
	    check_object(from, name, &b, &why) < 0) {
		if (err_passing(&why)) {
			*e = why;
			return err_ctx(e, "the copy");
		}
		talk_say(p->o->talk, TALK_INFO, "'%s' is not in the copy: %s",
			 name, why.msg);
		return 0;
	}
	if (set_aside(p, name, e) < 0)
		return err_ctx(e, "cannot set '%s' aside", name);
	struct iovec iov = { .iov_base = b.p, .iov_len = b.len };

	if (store_put(p->repo->store, name, &iov, 1, e) < 0)
		return err_ctx(e, "cannot put '%s' back", name);
	talk_say(p->o->talk, TALK_INFO, "put '%s' back", name);
	return 1;
}

/* A note is a hint: a damaged one is worth nothing, and another one has been
 * written. */
static bool is_note(const char *name)
{
	return starts(name, DAMAGE_PREFIX) || starts(name, CHECKED_PREFIX);
}

/* Was it in the list before?  A pack has one entry for each damaged blob. */
static bool is_first(const struct verify_result *found, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(found->damages[k].object,
			   found->damages[i].object) == 0)
			return false;
	return true;
}

int repair_objects(struct repair *p, const struct verify_result *found,
		   struct err *e)
{
	for (size_t i = 0; i < found->damage_count; i++) {
		const char *name = found->damages[i].object;

		if (name[0] == '\0' || !store_name_ok(name) || is_note(name) ||
		    !is_first(found, i))
			continue;
		int put = put_back(p, name, e);

		if (put < 0)
			return -1;
		p->result->objects += (uint64_t)put;
	}
	return repo_reload_issued(p->repo, e);
}
