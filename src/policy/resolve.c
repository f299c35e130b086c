/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/resolve.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/key.h"

/* ---- sections, from weak to strong ---- */

struct layers {
	const struct policy_section **items;
	size_t count;
};

static void add(struct layers *l, const struct policy_section *s)
{
	l->items = mem_grow(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = s;
}

static void layers_fini(struct layers *l)
{
	free(l->items);
}

static bool is_glob(const struct policy_section *s)
{
	return s->kind == SECTION_DOMAINS && !s->literal &&
	       strpbrk(s->name, "*?[") != NULL;
}

/* Letters that must be there: what makes one glob stronger than another. */
static size_t letters(const char *glob)
{
	size_t n = 0;

	for (; *glob != '\0'; glob++) {
		if (*glob == '[')
			glob += strcspn(glob, "]") - (strchr(glob, ']') == 0);
		else
			n += *glob != '*' && *glob != '?';
	}
	return n;
}

/* From the fewest letters on; of equals the later one stays behind. */
static void add_globs(const struct policies *c, const char *name,
		      struct layers *l)
{
	size_t first = l->count;

	for (size_t i = 0; i < c->count; i++) {
		const struct policy_section *s = c->sections[i];
		size_t at;

		if (!is_glob(s) || fnmatch(s->name, name, 0) != 0)
			continue;
		add(l, s);
		for (at = l->count - 1;
		     at > first &&
		     letters(l->items[at - 1]->name) > letters(s->name);
		     at--)
			l->items[at] = l->items[at - 1];
		l->items[at] = s;
	}
}

static const struct policy_section *own_section(const struct policies *c,
						const char *name)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct policy_section *s = c->sections[i];

		if (s->kind == SECTION_DOMAINS && !is_glob(s) &&
		    strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

/* "tank" and "tank/vm" lead to "tank/vm/web1". */
static bool leads_to(const char *above, const char *dataset)
{
	size_t n = strlen(above);

	return strncmp(above, dataset, n) == 0 &&
	       (dataset[n] == '\0' || dataset[n] == '/');
}

/* A pool has no '/': [tank] may be one as well as a domain. */
static bool is_dataset(const struct policy_section *s)
{
	return s->kind == SECTION_DATASET ||
	       (s->kind == SECTION_DOMAINS && !s->literal && !is_glob(s));
}

/* Sections of the dataset and those above it, from the pool down. */
static void add_path(const struct policies *c, const char *dataset,
		     struct layers *l)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct policy_section *s = c->sections[i];
		size_t at;

		if (!is_dataset(s) || !leads_to(s->name, dataset))
			continue;
		add(l, s);
		for (at = l->count - 1;
		     at > 0 && strlen(l->items[at - 1]->name) > strlen(s->name);
		     at--)
			l->items[at] = l->items[at - 1];
		l->items[at] = s;
	}
}

/*
 * What sanoid would do with a dataset: a recursive section hands its keys to
 * all below, skip_children takes away what came from above.  self: also where
 * it is for the children only.
 */
static void add_datasets(const struct policies *c, const char *dataset,
			 bool self, struct layers *l)
{
	AUTO(layers_fini) struct layers path = { .count = 0 };
	bool covered = false;

	add_path(c, dataset, &path);
	for (size_t i = 0; i < path.count; i++) {
		const struct policy_section *s = path.items[i];
		bool exact = strcmp(s->name, dataset) == 0;

		if (!exact && s->skip_children)
			l->count = 0;
		else if (exact || s->recursive != RECURSIVE_NO)
			add(l, s);
		if (exact)
			covered = self || !s->children_only;
		else
			covered = l->count > 0;
	}
	if (!covered)
		l->count = 0;
}

/* ---- values ---- */

static size_t table_size(void)
{
	size_t n = 0;

	while (policy_keys[n].opt.name != NULL)
		n++;
	return n;
}

static struct resolved_value *find(const struct resolved *r, const char *key)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->values[i].key, key) == 0)
			return &r->values[i];
	return NULL;
}

const struct resolved_value *resolved_value(const struct resolved *r,
					    const char *key)
{
	return find(r, key);
}

static struct resolved_value *new_value(struct resolved *r, const char *key)
{
	r->values = mem_grow(r->values, r->count + 1, sizeof(*r->values));

	struct resolved_value *v = &r->values[r->count++];

	*v = (struct resolved_value){ .key = mem_strdup(key) };
	return v;
}

static void start(struct resolved *r)
{
	*r = (struct resolved){ .count = 0 };
	policy_init(&r->policy);
	for (size_t i = 0; i < table_size(); i++) {
		const char *text = policy_keys[i].standard;

		new_value(r, policy_keys[i].opt.name)->text =
			mem_strdup(text == NULL ? "" : text);
	}
}

/* What is no key of a policy, or wrong, was noted by policies_check(). */
static void take(struct resolved *r, const struct policy_section *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct policy_entry *said = &s->entries[i];
		struct err e = ERR_INIT;
		struct resolved_value *v;

		if (policy_key_find(said->key) == NULL ||
		    policy_set(&r->policy, said->key, said->value, &e) < 0)
			continue;
		v = find(r, said->key);
		if (v == NULL)
			v = new_value(r, said->key);
		free(v->text);
		v->text = mem_strdup(said->value);
		v->said = said;
		v->why = s;
	}
}

static void take_template(struct resolved *r, const struct policies *c,
			  const char *name)
{
	const struct policy_section *s =
		policies_find(c, SECTION_TEMPLATE, name);

	if (s != NULL)
		take(r, s);
}

static void take_layers(struct resolved *r, const struct policies *c,
			const struct layers *l)
{
	start(r);
	take_template(r, c, "default");
	for (size_t i = 0; i < l->count; i++) {
		const struct policy_section *s = l->items[i];

		for (size_t k = 0; k < s->templates.count; k++)
			take_template(r, c, s->templates.items[k]);
		take(r, s);
	}
}

void resolved_fini(struct resolved *r)
{
	policy_fini(&r->policy);
	for (size_t i = 0; i < r->count; i++) {
		free(r->values[i].key);
		free(r->values[i].text);
	}
	free(r->values);
	*r = (struct resolved){ .count = 0 };
}

/* ---- for whom ---- */

static const struct policy_section *group_of(const struct policies *c,
					     const char *name)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct policy_section *s = c->sections[i];

		if (s->kind != SECTION_GROUP || !section_is_unit(s))
			continue;
		for (size_t k = 0; k < s->members.count; k++)
			if (strcmp(s->members.items[k], name) == 0)
				return s;
	}
	return NULL;
}

static const struct policy_section *finish(struct resolved *r,
					   const struct policies *c,
					   const struct layers *l)
{
	take_layers(r, c, l);
	return l->count > 0 ? l->items[l->count - 1] : NULL;
}

const struct policy_section *resolve_domain(const struct policies *c,
					    const char *name,
					    const struct opt_list *datasets,
					    struct resolved *r)
{
	AUTO(layers_fini) struct layers l = { .count = 0 };
	const struct policy_section *own = group_of(c, name);

	if (own == NULL) {
		for (size_t i = 0; i < datasets->count && l.count == 0; i++)
			add_datasets(c, datasets->items[i], false, &l);
		add_globs(c, name, &l);
		own = own_section(c, name);
	}
	if (own != NULL)
		add(&l, own);
	return finish(r, c, &l);
}

const struct policy_section *resolve_dataset(const struct policies *c,
					     const char *name,
					     struct resolved *r)
{
	AUTO(layers_fini) struct layers l = { .count = 0 };

	add_datasets(c, name, false, &l);
	return finish(r, c, &l);
}

void resolve_section(const struct policies *c, const struct policy_section *s,
		     struct resolved *r)
{
	AUTO(layers_fini) struct layers l = { .count = 0 };

	if (s->kind == SECTION_DATASET)
		add_datasets(c, s->name, true, &l);
	else if (s->kind == SECTION_DOMAINS && !is_glob(s))
		add_globs(c, s->name, &l);
	if (l.count == 0 || l.items[l.count - 1] != s)
		add(&l, s);
	take_layers(r, c, &l);
}
