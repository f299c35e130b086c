/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/press.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* The sealer of the pack used last, of each class. */
struct press_sealer {
	struct sealer *sealer;
	struct id pack;
};

struct press {
	struct packer *packer;
	struct claims *claims;
	struct pace *pace;
	struct zip *zip;
	struct press_sealer sealers[2];
	struct buf aad;
	uint8_t *packed; /* zip_bound() of a blob */
	uint8_t *opened; /* the same */
	uint8_t *check;  /* a blob */
};

DEFINE_AUTO(press_free, struct press *);

struct press *press_new(struct packer *packer, struct claims *claims,
			struct pace *pace, struct err *e)
{
	AUTO(press_free_at) struct press *p = mem_zalloc(1, sizeof(*p));

	p->packer = packer;
	p->claims = claims;
	p->pace = pace;
	p->zip = zip_new(pace_level(pace), e);
	if (p->zip == NULL)
		return NULL;
	p->packed = mem_alloc(zip_bound(pace->plan.blob_raw));
	p->opened = mem_alloc(zip_bound(pace->plan.blob_raw));
	p->check = mem_alloc(pace->plan.blob_raw);
	return mem_take(&p);
}

void press_free(struct press *p)
{
	if (p == NULL)
		return;
	zip_free(p->zip);
	for (size_t i = 0; i < 2; i++)
		sealer_free(p->sealers[i].sealer);
	buf_fini(&p->aad);
	free(p->packed);
	free(p->opened);
	free(p->check);
	free(p);
}

static struct sealer *sealer_for(struct press *p, enum blob_class class,
				 const struct reservation *r, struct err *e)
{
	struct press_sealer *s = &p->sealers[class == BLOB_NODE];
	const struct id *pack = packer_pack(r);

	if (s->sealer != NULL && memcmp(s->pack.b, pack->b, ID_SIZE) == 0)
		return s->sealer;
	sealer_free(s->sealer);
	s->sealer = packer_sealer(p->packer, r, e);
	s->pack = *pack;
	return s->sealer;
}

static int wrong(struct err *e)
{
	return err_set(e, ERR_FAILED,
		       "what was sealed does not open to the same bytes: "
		       "nothing was stored; test this machine's memory");
}

static int seal_and_check(struct press *p, const struct blob_raw *raw,
			  const struct blob *b, const struct reservation *r,
			  struct err *e)
{
	struct sealer *s = sealer_for(p, raw->class, r, e);
	size_t zipped = b->stored - SEAL_TAG;
	struct err ignored = ERR_INIT;

	if (s == NULL)
		return -1;
	blob_aad(raw->class, b, raw->slots, &p->aad);
	if (sealer_seal(s, r->number, p->aad.p, p->aad.len, p->packed, zipped,
			r->at, e) < 0)
		return -1;
	if (sealer_open(s, r->number, p->aad.p, p->aad.len, r->at, zipped,
			p->opened, &ignored) < 0 ||
	    zip_unpack(p->zip, b->method, p->opened, zipped, p->check,
		       raw->size, &ignored) < 0 ||
	    memcmp(p->check, raw->data, raw->size) != 0)
		return wrong(e);
	return 0;
}

static int reserve(struct press *p, const struct blob_raw *raw,
		   const struct blob *b, struct reservation *r, struct err *e)
{
	int64_t start = clock_steady_ns();
	int ok = packer_reserve(p->packer, raw->class, b, raw->slots, r, e);

	pace_store(p->pace, clock_steady_ns() - start);
	return ok;
}

int press_store(struct press *p, const struct blob_raw *raw, struct err *e)
{
	enum zip_method method;

	assert(raw->size <= p->pace->plan.blob_raw);
	zip_set_level(p->zip, pace_level(p->pace));
	size_t zipped =
		zip_pack(p->zip, raw->data, raw->size, p->packed, &method);
	struct blob b = {
		.stored = (uint32_t)(zipped + SEAL_TAG),
		.raw = raw->size,
		.method = (uint8_t)method,
		.slots = raw->slot_count,
	};
	struct reservation r;

	if (reserve(p, raw, &b, &r, e) < 0)
		return -1;
	int sealed = seal_and_check(p, raw, &b, &r, e);

	for (size_t i = 0; i < raw->slot_count && sealed == 0; i++)
		claims_place(p->claims, &raw->slots[i].id, r.pack_number,
			     r.number, (uint8_t)i);
	packer_done(p->packer, &r);
	pace_compressed(p->pace, raw->size);
	return sealed;
}
