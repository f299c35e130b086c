/* SPDX-License-Identifier: Apache-2.0 */
#include "odd_store.h"

#include <stdlib.h>

#include "base/mem.h"

struct odd_store {
	struct store store;
	struct store *inner;
	const struct odd *odd;
};

static struct odd_store *odd_of(struct store *s)
{
	return (struct odd_store *)s;
}

static void odd_close(struct store *s)
{
	store_close(odd_of(s)->inner);
	free(s);
}

static void before(const struct odd_store *o, const char *name)
{
	if (o->odd->before != NULL)
		o->odd->before(o->odd->ctx, name);
}

static int reads(const struct odd_store *o, const char *name, struct err *e)
{
	before(o, name);
	if (o->odd->fails == NULL || !o->odd->fails(o->odd->ctx, name))
		return 0;
	return err_set(e, ERR_FAILED, "'%s': the line is down", name);
}

static int odd_get(struct store *s, const char *name, uint64_t offset,
		   size_t size, void *to, struct err *e)
{
	struct odd_store *o = odd_of(s);

	if (reads(o, name, e) < 0)
		return -1;
	return store_get(o->inner, name, offset, size, to, e);
}

static int odd_load(struct store *s, const char *name, size_t max,
		    struct buf *b, struct err *e)
{
	struct odd_store *o = odd_of(s);

	return reads(o, name, e) < 0 ? -1
				     : store_load(o->inner, name, max, b, e);
}

static int odd_put(struct store *s, const char *name, const struct iovec *iov,
		   size_t count, bool only_if_absent, struct err *e)
{
	struct odd_store *o = odd_of(s);

	before(o, name);
	return only_if_absent ? store_put_new(o->inner, name, iov, count, e)
			      : store_put(o->inner, name, iov, count, e);
}

static int odd_stat(struct store *s, const char *name, struct store_stat *st,
		    struct err *e)
{
	struct odd_store *o = odd_of(s);

	return reads(o, name, e) < 0 ? -1 : store_stat(o->inner, name, st, e);
}

struct visiting {
	const struct odd *odd;
	store_visit *visit;
	void *ctx;
};

static int visit_one(void *ctx, const char *name, const struct store_stat *st,
		     struct err *e)
{
	const struct visiting *v = ctx;

	if (v->odd->hides != NULL && v->odd->hides(v->odd->ctx, name))
		return 0;
	return v->visit(v->ctx, name, st, e);
}

static int odd_list(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e)
{
	struct odd_store *o = odd_of(s);
	struct visiting v = { o->odd, visit, ctx };

	return store_list(o->inner, prefix, visit_one, &v, e);
}

static int odd_del(struct store *s, const char *name, struct err *e)
{
	struct odd_store *o = odd_of(s);

	before(o, name);
	return store_del(o->inner, name, e);
}

static const struct store_ops odd_ops = {
	.close = odd_close,
	.get = odd_get,
	.load = odd_load,
	.put = odd_put,
	.stat = odd_stat,
	.list = odd_list,
	.del = odd_del,
};

struct store *store_odd_new(struct store *inner, const struct odd *odd)
{
	struct odd_store *o = mem_zalloc(1, sizeof(*o));

	o->store.ops = &odd_ops;
	o->inner = inner;
	o->odd = odd;
	return &o->store;
}
