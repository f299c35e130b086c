/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_trouble.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct trouble {
	char *name;
	struct err why;
};

void troubles_init(struct troubles *t)
{
	pthread_mutex_init(&t->lock, NULL);
	atomic_init(&t->passing, 0);
}

void troubles_fini(struct troubles *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->list[i].name);
	free(t->list);
	pthread_mutex_destroy(&t->lock);
}

/* Under the lock: the number of the trouble with this segment, or the count. */
static size_t number_of(const struct troubles *t, const char *name)
{
	size_t i = 0;

	while (i < t->count && strcmp(t->list[i].name, name) != 0)
		i++;
	return i;
}

/* Under the lock: one reason takes the place of another. */
static void count_passing(struct troubles *t, const struct err *old,
			  const struct err *new)
{
	unsigned n = atomic_load(&t->passing);

	atomic_store(&t->passing, n + err_passing(new) - err_passing(old));
}

void troubles_note(struct troubles *t, const char *name, const struct err *why)
{
	pthread_mutex_lock(&t->lock);
	size_t i = number_of(t, name);

	if (i == t->count) {
		t->list = mem_grow(t->list, ++t->count, sizeof(*t->list));
		t->list[i].name = mem_strdup(name);
		err_clear(&t->list[i].why);
	}
	count_passing(t, &t->list[i].why, why);
	t->list[i].why = *why;
	pthread_mutex_unlock(&t->lock);
}

void troubles_drop(struct troubles *t, const char *name)
{
	pthread_mutex_lock(&t->lock);
	size_t i = number_of(t, name);

	if (i < t->count) {
		const struct err none = ERR_INIT;

		count_passing(t, &t->list[i].why, &none);
		free(t->list[i].name);
		t->list[i] = t->list[--t->count];
	}
	pthread_mutex_unlock(&t->lock);
}

bool troubles_has(struct troubles *t, const char *name)
{
	pthread_mutex_lock(&t->lock);
	bool has = number_of(t, name) < t->count;

	pthread_mutex_unlock(&t->lock);
	return has;
}

bool troubles_first(struct troubles *t, struct err *why)
{
	pthread_mutex_lock(&t->lock);
	size_t i = 0;
	bool any = t->count > 0;

	while (i < t->count && !err_passing(&t->list[i].why))
		i++;
	if (any)
		*why = t->list[i < t->count ? i : 0].why;
	pthread_mutex_unlock(&t->lock);
	return any;
}

bool troubles_passing(const struct troubles *t)
{
	return atomic_load_explicit(&t->passing, memory_order_acquire) > 0;
}
