/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct object {
	char *name;
	uint8_t *data;
	size_t size;
};

/* What all handles share; sorted by name. */
struct set {
	pthread_mutex_t lock;
	size_t handles;
	struct object *objects;
	size_t count;
};

struct mem_store {
	struct store store;
	struct set *set;
};

static struct set *set_of(struct store *s)
{
	return ((struct mem_store *)s)->set;
}

static void unlock_at(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

/* Until the end of the scope. */
#define LOCK(set)                                                              \
	AUTO(unlock_at) pthread_mutex_t *locked_ = &(set)->lock;               \
	pthread_mutex_lock(locked_)

static void object_fini(struct object *o)
{
	free(o->name);
	free(o->data);
}

static void set_free(struct set *set)
{
	for (size_t i = 0; i < set->count; i++)
		object_fini(&set->objects[i]);
	free(set->objects);
	pthread_mutex_destroy(&set->lock);
	free(set);
}

static void mem_close(struct store *s)
{
	struct set *set = set_of(s);
	size_t left;

	{
		LOCK(set);
		left = --set->handles;
	}
	if (left == 0)
		set_free(set);
	free(s);
}

/* The first object whose name is not before this one. */
static size_t place(const struct set *set, const char *name)
{
	size_t low = 0;
	size_t high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(set->objects[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct object *find(struct set *set, const char *name)
{
	size_t i = place(set, name);

	if (i < set->count && strcmp(set->objects[i].name, name) == 0)
		return &set->objects[i];
	return NULL;
}

static int not_found(const char *name, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no '%s'", name);
}

static int mem_get(struct store *s, const char *name, uint64_t offset,
		   size_t size, void *to, struct err *e)
{
	struct set *set = set_of(s);
	LOCK(set);
	const struct object *o = find(set, name);

	if (o == NULL)
		return not_found(name, e);
	if (offset > o->size || size > o->size - offset)
		return err_set(e, ERR_INTEGRITY, "'%s' ends early, at %zu",
			       name, o->size);
	if (size > 0)
		memcpy(to, o->data + offset, size);
	return 0;
}

static int mem_load(struct store *s, const char *name, size_t max,
		    struct buf *b, struct err *e)
{
	struct set *set = set_of(s);
	LOCK(set);
	const struct object *o = find(set, name);

	if (o == NULL)
		return not_found(name, e);
	if (o->size > max)
		return err_set(e, ERR_INTEGRITY,
			       "'%s' is larger than %zu bytes", name, max);
	wr_bytes(b, o->data, o->size);
	return 0;
}

/* All parts in one new piece of memory. */
static int join(const struct iovec *iov, size_t count, struct object *o,
		struct err *e)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += iov[i].iov_len;

	uint8_t *to = mem_try(1, size);

	if (to == NULL)
		return err_set(e, ERR_NO_SPACE, "no memory for %zu bytes",
			       size);
	o->data = to;
	o->size = size;
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len > 0)
			memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	return 0;
}

/* The set takes the object over. */
static void insert(struct set *set, const struct object *o)
{
	size_t i = place(set, o->name);

	set->objects =
		mem_grow(set->objects, set->count + 1, sizeof(*set->objects));
	memmove(set->objects + i + 1, set->objects + i,
		(set->count - i) * sizeof(*set->objects));
	set->objects[i] = *o;
	set->count++;
}

static int mem_put(struct store *s, const char *name, const struct iovec *iov,
		   size_t count, bool only_if_absent, struct err *e)
{
	struct set *set = set_of(s);
	struct object new = { .name = NULL };

	if (join(iov, count, &new, e) < 0)
		return -1;
	LOCK(set);
	struct object *old = find(set, name);

	if (old != NULL && only_if_absent) {
		free(new.data);
		return err_set(e, ERR_EXISTS, "'%s' exists", name);
	}
	if (old != NULL) {
		new.name = mem_take(&old->name);
		object_fini(old);
		*old = new;
	} else {
		new.name = mem_strdup(name);
		insert(set, &new);
	}
	return 0;
}

static int mem_stat(struct store *s, const char *name, struct store_stat *st,
		    struct err *e)
{
	struct set *set = set_of(s);
	LOCK(set);
	const struct object *o = find(set, name);

	if (o == NULL)
		return not_found(name, e);
	st->size = o->size;
	return 0;
}

/* The first object behind a name: its name, or NULL at the end. */
static char *next(struct set *set, const char *name, struct store_stat *st)
{
	LOCK(set);
	size_t i = place(set, name);

	if (i < set->count && strcmp(set->objects[i].name, name) == 0)
		i++;
	if (i == set->count)
		return NULL;
	st->size = set->objects[i].size;
	return mem_strdup(set->objects[i].name);
}

/* From name to name, so that the visitor may change what it visits. */
static int mem_list(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e)
{
	struct set *set = set_of(s);
	autofree char *at = mem_strdup(prefix);

	for (;;) {
		struct store_stat st;
		char *name = next(set, at, &st);

		free(at);
		at = name;
		if (name == NULL || strncmp(name, prefix, strlen(prefix)) != 0)
			return 0;

		int r = visit(ctx, name, &st, e);

		if (r != 0)
			return r;
	}
}

static int mem_del(struct store *s, const char *name, struct err *e)
{
	struct set *set = set_of(s);
	LOCK(set);
	struct object *o = find(set, name);

	if (o == NULL)
		return not_found(name, e);
	object_fini(o);
	set->count--;
	memmove(o, o + 1, (size_t)(set->objects + set->count - o) * sizeof(*o));
	return 0;
}

static const struct store_ops mem_ops = {
	.close = mem_close,
	.get = mem_get,
	.load = mem_load,
	.put = mem_put,
	.stat = mem_stat,
	.list = mem_list,
	.del = mem_del,
};

static struct store *handle(struct set *set)
{
	struct mem_store *m = mem_zalloc(1, sizeof(*m));

	m->store.ops = &mem_ops;
	m->set = set;
	return &m->store;
}

struct store *store_mem_new(void)
{
	struct set *set = mem_zalloc(1, sizeof(*set));

	pthread_mutex_init(&set->lock, NULL);
	set->handles = 1;
	return handle(set);
}

struct store *store_mem_share(struct store *s)
{
	struct set *set = set_of(s);
	LOCK(set);

	set->handles++;
	return handle(set);
}
