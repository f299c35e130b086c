/* SPDX-License-Identifier: Apache-2.0 */
#include "job/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/key.h"
#include "policy/resolve.h"
#include "snap/traits.h"

/* ---- parts of the result ---- */

static void copy_list(struct result_strings *to, const struct opt_list *from)
{
	for (size_t i = 0; i < from->count; i++)
		result_strings_add(to, "%s", from->items[i]);
}

static const char *kind_text(const struct policy_section *s)
{
	switch (s->kind) {
	case SECTION_TEMPLATE:
		return "template";
	case SECTION_DATASET:
		return "dataset";
	case SECTION_GROUP:
		return "group";
	case SECTION_REPOSITORY:
		return "repository";
	case SECTION_REPLICA:
		return "replica";
	case SECTION_DOMAINS:
	default:
		return "domain";
	}
}

static struct result_unit *new_unit(struct result_config *r, const char *kind,
				    const char *name, const char *section)
{
	r->units = mem_grow(r->units, r->unit_count + 1, sizeof(*r->units));

	struct result_unit *u = &r->units[r->unit_count++];

	*u = (struct result_unit){ .kind = mem_strdup(kind),
				   .name = mem_strdup(name),
				   .section = mem_strdup(section) };
	return u;
}

static struct result_value *add_value(struct result_unit *u, const char *key,
				      const char *text)
{
	u->values = mem_grow(u->values, u->value_count + 1, sizeof(*u->values));

	struct result_value *v = &u->values[u->value_count++];

	*v = (struct result_value){ .key = mem_strdup(key),
				    .text = mem_strdup(text) };
	return v;
}

static void set_origin(struct result_value *v, const struct policy_entry *said,
		       const char *section)
{
	v->section = mem_strdup(section);
	v->file = mem_strdup(said->file);
	v->line = said->line;
}

/* all: what is built in, too. */
static void add_values(struct result_unit *u, const struct resolved *r,
		       bool all)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct resolved_value *v = &r->values[i];

		if (v->said != NULL)
			set_origin(add_value(u, v->key, v->text), v->said,
				   v->why->title);
		else if (all)
			add_value(u, v->key, v->text);
	}
}

/* What of a section is no policy: whom it is for. */
static void add_scope(struct result_unit *u, const struct policy_section *s)
{
	static const char *const keys[] = { "domain",
					    "path",
					    "members",
					    "use_template",
					    "recursive",
					    "skip_children",
					    "process_children_only" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct policy_entry *said = section_entry(s, keys[i]);

		if (said != NULL && said->value[0] != '\0')
			result_strings_add(&u->scope, "%s = %s", keys[i],
					   said->value);
	}
}

/* ---- check ---- */

void job_config_check(const struct policies *c, struct result_config *result)
{
	copy_list(&result->files, &c->files);
	copy_list(&result->problems, &c->problems);
	copy_list(&result->warnings, &c->warnings);
	result->sections = c->count;
}

/* ---- keys ---- */

void job_config_keys(struct result_config *result)
{
	struct result_unit *u =
		new_unit(result, "template", "default", "template_default");

	result->show = true;
	for (const struct policy_key *k = policy_keys; k->opt.name != NULL;
	     k++) {
		struct result_value *v = add_value(
			u, k->opt.name, k->standard == NULL ? "" : k->standard);

		v->about = mem_strdup(k->opt.help);
	}
}

/* ---- show ---- */

static void show_section(const struct policies *c,
			 const struct policy_section *s,
			 struct result_config *result)
{
	AUTO(resolved_fini) struct resolved r = { .count = 0 };
	struct result_unit *u =
		new_unit(result, kind_text(s), s->name, s->title);

	add_scope(u, s);
	if (s->kind != SECTION_REPOSITORY && s->kind != SECTION_REPLICA) {
		resolve_section(c, s, &r);
		add_values(u, &r, false);
		return;
	}
	for (size_t i = 0; i < s->count; i++)
		set_origin(add_value(u, s->entries[i].key, s->entries[i].value),
			   &s->entries[i], s->title);
}

static void add_path(const char ***paths, size_t *count, const char *path)
{
	*paths = mem_grow(*paths, *count + 1, sizeof(**paths));
	(*paths)[(*count)++] = path;
}

static void add_dataset(struct opt_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], name) == 0)
			return;
	l->items = mem_grow(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = mem_strdup(name);
}

/* What the newest images of its disks lie on, in the disks' order. */
static void datasets_of(const struct result_domain *d, struct opt_list *l)
{
	autofree const char **paths = NULL;
	struct traits t = { .files = NULL };
	size_t count = 0;

	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].captured && d->disks[i].chain_len > 0 &&
		    d->disks[i].chain[0].path != NULL)
			add_path(&paths, &count, d->disks[i].chain[0].path);
	if (count == 0)
		return;
	traits_read(paths, count, &t);
	for (size_t i = 0; i < t.file_count; i++) {
		size_t v = t.files[i].volume;

		if (v != TRAITS_NONE && (t.volumes[v].kind == TRAITS_DATASET ||
					 t.volumes[v].kind == TRAITS_ZVOL))
			add_dataset(l, t.volumes[v].name);
	}
	traits_fini(&t);
}

static void find_datasets(const struct job *j, const char *name,
			  struct opt_list *l, struct result_strings *warnings)
{
	struct result_domains domains = { .domains = NULL };
	struct err e = ERR_INIT;

	if (job_domains(j, name, &domains, &e) < 0)
		result_strings_add(warnings,
				   "sections of datasets were left out, for "
				   "the disks could not be looked at: %s",
				   e.msg);
	for (size_t i = 0; i < domains.count; i++)
		datasets_of(&domains.domains[i], l);
	result_domains_fini(&domains);
}

const struct policy_section *job_config_resolve(
	const struct job *j, const struct policies *c, const char *name,
	struct resolved *r, struct result_strings *warnings, struct err *e)
{
	static const struct opt list = { .kind = OPT_LIST };
	bool dataset = strchr(name, '/') != NULL;
	struct opt_list on = { .count = 0 };
	const struct policy_section *s;

	if (!dataset && policies_has_datasets(c))
		find_datasets(j, name, &on, warnings);
	s = dataset ? resolve_dataset(c, name, r)
		    : resolve_domain(c, name, &on, r);
	opt_clear(&list, &on);
	if (s == NULL)
		err_set(e, ERR_NOT_FOUND,
			"no section is for '%s': nothing is done with it by "
			"itself",
			name);
	return s;
}

static int show_one(const struct job *j, const struct policies *c,
		    const char *name, struct result_config *result,
		    struct err *e)
{
	AUTO(resolved_fini) struct resolved r = { .count = 0 };
	const struct policy_section *s =
		job_config_resolve(j, c, name, &r, &result->warnings, e);

	if (s == NULL)
		return -1;

	const char *kind = strchr(name, '/') != NULL ? "dataset" : "domain";
	struct result_unit *u = new_unit(result, kind, name, s->title);

	if (s->kind == SECTION_GROUP)
		add_scope(u, s);
	add_values(u, &r, true);
	return 0;
}

int job_config_show(const struct job *j, const struct policies *c,
		    const char *name, struct result_config *result,
		    struct err *e)
{
	result->show = true;
	job_config_check(c, result);
	if (name != NULL)
		return show_one(j, c, name, result, e);
	for (size_t i = 0; i < c->count; i++)
		show_section(c, c->sections[i], result);
	return 0;
}
