/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct fault_store {
	struct store store;
	struct store *inner;
	struct store_fault_plan plan;
	_Atomic uint64_t calls;
};

static struct fault_store *fault_of(struct store *s)
{
	return (struct fault_store *)s;
}

static void fault_close(struct store *s)
{
	struct fault_store *f = fault_of(s);

	store_close(f->inner);
	free(f);
}

/* Count a call, and wait.  Is it one to go wrong? */
static bool hit(struct fault_store *f)
{
	uint64_t call = atomic_fetch_add(&f->calls, 1) + 1;
	struct timespec t = {
		.tv_sec = f->plan.delay_us / 1000000,
		.tv_nsec = (long)(f->plan.delay_us % 1000000) * 1000,
	};

	if (f->plan.delay_us > 0)
		nanosleep(&t, NULL);
	if (f->plan.fail_at == 0)
		return false;
	return call == f->plan.fail_at ||
	       (f->plan.kind == FAULT_DEAD && call > f->plan.fail_at);
}

static int failure(const char *what, const char *name, struct err *e)
{
	return err_set(e, ERR_FAILED, "cannot %s '%s': fault on purpose", what,
		       name);
}

/* For calls that change nothing: does the call fail? */
static bool fails(const struct fault_store *f, bool is_hit)
{
	return is_hit && f->plan.kind != FAULT_FLIP;
}

static int fault_get(struct store *s, const char *name, uint64_t offset,
		     size_t size, void *to, struct err *e)
{
	struct fault_store *f = fault_of(s);
	bool is_hit = hit(f);

	if (fails(f, is_hit))
		return failure("get", name, e);
	if (store_get(f->inner, name, offset, size, to, e) < 0)
		return -1;
	if (is_hit && size > 0)
		((uint8_t *)to)[size / 2] ^= 1;
	return 0;
}

static int fault_load(struct store *s, const char *name, size_t max,
		      struct buf *b, struct err *e)
{
	struct fault_store *f = fault_of(s);
	size_t before = b->len;
	bool is_hit = hit(f);

	if (fails(f, is_hit))
		return failure("load", name, e);
	if (store_load(f->inner, name, max, b, e) < 0)
		return -1;
	if (is_hit && b->len > before)
		b->p[before + (b->len - before) / 2] ^= 1;
	return 0;
}

static int put(struct store *s, const char *name, const struct iovec *iov,
	       size_t count, bool only_if_absent, struct err *e)
{
	return only_if_absent ? store_put_new(s, name, iov, count, e)
			      : store_put(s, name, iov, count, e);
}

/* Put the first half of the bytes. */
static int tear(struct store *s, const char *name, const struct iovec *iov,
		size_t count, bool only_if_absent, struct err *e)
{
	struct iovec *half = mem_zalloc(count, sizeof(*half));
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		left += iov[i].iov_len;
	left /= 2;
	for (size_t i = 0; i < count; i++) {
		half[i] = iov[i];
		if (half[i].iov_len > left)
			half[i].iov_len = left;
		left -= half[i].iov_len;
	}

	int r = put(s, name, half, count, only_if_absent, e);

	free(half);
	return r;
}

static int fault_put(struct store *s, const char *name, const struct iovec *iov,
		     size_t count, bool only_if_absent, struct err *e)
{
	struct fault_store *f = fault_of(s);
	struct err ignored = ERR_INIT;

	if (!fails(f, hit(f)))
		return put(f->inner, name, iov, count, only_if_absent, e);
	if (f->plan.kind == FAULT_FORGET)
		put(f->inner, name, iov, count, only_if_absent, &ignored);
	if (f->plan.kind == FAULT_TEAR)
		tear(f->inner, name, iov, count, only_if_absent, &ignored);
	return failure("put", name, e);
}

static int fault_stat(struct store *s, const char *name, struct store_stat *st,
		      struct err *e)
{
	struct fault_store *f = fault_of(s);

	if (fails(f, hit(f)))
		return failure("stat", name, e);
	return store_stat(f->inner, name, st, e);
}

static int fault_list(struct store *s, const char *prefix, store_visit *visit,
		      void *ctx, struct err *e)
{
	struct fault_store *f = fault_of(s);

	if (fails(f, hit(f)))
		return failure("list", prefix, e);
	return store_list(f->inner, prefix, visit, ctx, e);
}

static int fault_del(struct store *s, const char *name, struct err *e)
{
	struct fault_store *f = fault_of(s);
	struct err ignored = ERR_INIT;

	if (!fails(f, hit(f)))
		return store_del(f->inner, name, e);
	if (f->plan.kind == FAULT_FORGET)
		store_del(f->inner, name, &ignored);
	return failure("delete", name, e);
}

static const struct store_ops fault_ops = {
	.close = fault_close,
	.get = fault_get,
	.load = fault_load,
	.put = fault_put,
	.stat = fault_stat,
	.list = fault_list,
	.del = fault_del,
};

struct store *store_fault_new(struct store *inner,
			      const struct store_fault_plan *plan)
{
	struct fault_store *f = mem_zalloc(1, sizeof(*f));

	f->store.ops = &fault_ops;
	f->inner = inner;
	f->plan = *plan;
	return &f->store;
}

uint64_t store_fault_calls(struct store *s)
{
	return atomic_load(&fault_of(s)->calls);
}
