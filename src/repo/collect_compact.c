/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/hash.h"
#include "repo/collect_internal.h"
#include "repo/packer.h"

/*
 * Sealed blobs are copied as they are, and their new pack's footer says where
 * each was sealed first: no data key is needed, and none is in the new pack's
 * header.
 */

/* Dead bytes in all candidates of a class that make it worth while: a
 * thirty-second of a pack.  So a repository where little changes is not copied
 * for nothing again and again. */
#define WORTH_PART 32

struct compaction {
	struct step *step;
	struct packer *packer;
	uint32_t *made;    /* numbers of pack_recs by the packer's table */
	struct err failed; /* of the packer's thread */
};

/* ---- which packs ------------------------------------------------------------
 */

/* Most packs are mostly alive: they are ruled out by counting blobs.  Where
 * damage is noted the note names the place: it must not move. */
static bool may_be_worth(const struct step *s, const struct pack_rec *p)
{
	return p->indexed && !p->odd && !p->missing && p->live > 0 &&
	       p->live < p->blobs && p->live < p->blobs - p->blobs / 4 &&
	       locations_pack(&s->damage.places, &p->id) == NULL;
}

static uint64_t live_bytes(const struct step *s, const struct pack_rec *p,
			   const struct footer *f)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < f->blob_count; i++)
		if (bit_get(s->blob_bits + p->bits, i))
			sum += f->blobs[i].stored;
	return sum;
}

/* Dead bytes when less than half is live, else 0; a pack whose footer cannot
 * be read stays as it is. */
static int weigh(struct step *s, struct pack_rec *p, uint64_t *dead,
		 struct err *e)
{
	const struct footer_use *use =
		footers_get(s->view.footers, p->class, &p->id, e);

	*dead = 0;
	if (use == NULL) {
		if (e->code != ERR_INTEGRITY)
			return -1;
		err_clear(e);
		return 0;
	}
	if (use->footer.blob_count == p->blobs) {
		uint64_t live = live_bytes(s, p, &use->footer);

		*dead = 2 * live < p->size ? p->size - live : 0;
	}
	footers_put(s->view.footers, use);
	return 0;
}

static int choose(struct step *s, enum blob_class class, struct err *e)
{
	const struct repo_config *c = &s->c->repo->config;
	uint64_t worth =
		(class == BLOB_DATA ? c->data_pack_size : c->node_pack_size) /
		WORTH_PART;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->pack_count; i++) {
		struct pack_rec *p = &s->packs[i];
		uint64_t dead = 0;

		if (p->class != class || !may_be_worth(s, p))
			continue;
		if (weigh(s, p, &dead, e) < 0)
			return -1;
		p->moving = dead > 0;
		sum += dead;
	}
	for (size_t i = 0; sum < worth && i < s->pack_count; i++)
		if (s->packs[i].class == class)
			s->packs[i].moving = false;
	return 0;
}

/* ---- copying
 * ----------------------------------------------------------------- */

static void origin_of(const struct footer_use *use, uint32_t number,
		      struct blob *b)
{
	if (b->moved)
		return;
	b->moved = true;
	b->origin = (struct blob_origin){ .pack = use->header.pack,
					  .key = use->header.key,
					  .number = number };
	memcpy(b->origin.salt, use->header.salt, SALT_SIZE);
}

static int copy_blob(struct compaction *k, const struct footer_use *use,
		     uint32_t number, const uint8_t *data, struct err *e)
{
	struct step *s = k->step;
	const struct pack_rec *p = pack_find(s, &use->header.pack);
	struct blob b = use->footer.blobs[number];
	uint32_t from = b.offset;
	struct reservation r;

	origin_of(use, number, &b);
	if (packer_reserve(k->packer, use->header.class, &b,
			   use->footer.slots + b.first, &r, e) < 0)
		return -1;
	memcpy(r.at, data + from, b.stored);
	packer_done(k->packer, &r);
	s->moves[p->moved_first + number] =
		(struct move){ .pack = r.pack_number, .blob = r.number };
	s->c->result->moved_bytes += b.stored;
	return step_alive(s, e);
}

int pack_load(struct step *s, const struct footer_use *use, uint8_t **data,
	      struct err *e)
{
	size_t size = (size_t)use->size - PACK_TRAILER;
	char name[PACK_NAME];
	struct hash sum;

	pack_name(use->header.class, &use->header.pack, name);
	*data = mem_try_pages(size);
	if (*data == NULL)
		return err_set(e, ERR_FAILED, "no memory to copy a pack");
	if (store_get(s->c->repo->store, name, 0, size, *data, e) < 0)
		return err_ctx(e, "pack '%s'", name);
	hash_sha256(*data, size, &sum);
	return hash_equal(&sum, &use->sum);
}

static void say_damaged(struct step *s, const struct pack_rec *p)
{
	char name[PACK_NAME];

	pack_name(p->class, &p->id, name);
	talk_say(s->c->o.talk, TALK_WARN,
		 "pack '%s' is not copied, for it is damaged: see 'vmkeep "
		 "verify'",
		 name);
}

static void packer_failed(void *ctx, const struct err *e)
{
	struct compaction *k = ctx;

	k->failed = *e;
}

/* With the first pack that is copied, and not before. */
static int open_packer(struct compaction *k, struct err *e)
{
	struct step *s = k->step;

	if (k->packer != NULL)
		return 0;
	if (step_open(s, e) < 0)
		return -1;
	const struct packer_parts parts = {
		.repo = s->c->repo,
		.session = s->attempt.id,
		.copies = true,
		.failed = packer_failed,
		.ctx = k,
	};

	k->packer = packer_new(&parts, e);
	return k->packer != NULL ? 0 : -1;
}

static int copy_blobs(struct compaction *k, struct pack_rec *p,
		      const struct footer_use *use, struct err *e)
{
	struct step *s = k->step;
	autofree uint8_t *data = NULL;
	int loaded = pack_load(s, use, &data, e);

	if (loaded < 0)
		return -1;
	if (loaded == 0)
		say_damaged(s, p);
	p->moving = loaded == 1;
	if (p->moving && open_packer(k, e) < 0)
		return -1;
	for (uint32_t i = 0; p->moving && i < p->blobs; i++)
		if (bit_get(s->blob_bits + p->bits, i) &&
		    copy_blob(k, use, i, data, e) < 0)
			return -1;
	return 0;
}

static int copy_pack(struct compaction *k, struct pack_rec *p, struct err *e)
{
	struct footers *footers = k->step->view.footers;
	const struct footer_use *use =
		footers_get(footers, p->class, &p->id, e);

	if (use == NULL)
		return -1;
	int ok = copy_blobs(k, p, use, e);

	footers_put(footers, use);
	return ok;
}

/* Room for where the blobs go. */
static size_t make_moves(struct step *s)
{
	size_t packs = 0;

	for (size_t i = 0; i < s->pack_count; i++) {
		if (!s->packs[i].moving)
			continue;
		s->packs[i].moved_first = s->move_count;
		s->move_count += s->packs[i].blobs;
		packs++;
	}
	s->moves = mem_zalloc(s->move_count + 1, sizeof(*s->moves));
	for (size_t i = 0; i < s->move_count; i++)
		s->moves[i].pack = UINT32_MAX;
	return packs;
}

/* The packer's numbers become ours. */
static void settle_moves(struct compaction *k)
{
	struct step *s = k->step;
	size_t count;
	const struct segment_pack *table = packer_table(k->packer, &count);

	k->made = mem_zalloc(count + 1, sizeof(*k->made));
	for (size_t i = 0; i < count; i++)
		k->made[i] = packs_add(s, &table[i]);
	for (size_t i = 0; i < s->move_count; i++)
		if (s->moves[i].pack != UINT32_MAX)
			s->moves[i].pack = k->made[s->moves[i].pack];
}

static int copy_all(struct compaction *k, struct err *e)
{
	struct step *s = k->step;
	size_t packs = s->pack_count;

	for (size_t i = 0; i < packs; i++)
		if (s->packs[i].moving && copy_pack(k, &s->packs[i], e) < 0)
			return -1;
	/* all that were chosen are damaged */
	if (k->packer == NULL)
		return 0;
	if (packer_drain(k->packer, e) < 0)
		return -1;
	settle_moves(k);
	return 0;
}

int compact(struct step *s, struct err *e)
{
	struct compaction k = { .step = s, .failed = ERR_INIT };

	if (choose(s, BLOB_DATA, e) < 0 || choose(s, BLOB_NODE, e) < 0)
		return -1;
	if (make_moves(s) == 0 || s->c->o.dry_run)
		return 0;
	int ok = copy_all(&k, e);

	packer_free(k.packer); /* joins its thread */
	free(k.made);
	if (ok < 0 && k.failed.code != ERR_NONE)
		*e = k.failed;
	return ok;
}
