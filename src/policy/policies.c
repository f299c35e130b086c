/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policies.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/policies_internal.h"

/* ---- what is said of it ---- */

void policies_note(struct opt_list *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	to->items = mem_grow(to->items, to->count + 1, sizeof(*to->items));
	to->items[to->count++] = mem_vfmt(fmt, ap);
	va_end(ap);
}

void nearest_try(struct nearest *n, const char *name)
{
	unsigned d = opt_distance(n->typed, name);

	if (d < UINT_MAX && (n->name == NULL || d < n->distance)) {
		n->name = name;
		n->distance = d;
	}
}

char *nearest_text(const struct nearest *n)
{
	return n->name == NULL ? mem_strdup("")
			       : mem_fmt(", did you mean '%s'?", n->name);
}

/* ---- sections ---- */

static const struct {
	const char *prefix;
	enum section_kind kind;
} prefixes[] = {
	{ "template_", SECTION_TEMPLATE },
	{ "group:", SECTION_GROUP },
	{ "repository:", SECTION_REPOSITORY },
	{ "replica:", SECTION_REPLICA },
};
#define PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

static enum section_kind kind_of(const char *title, const char **name)
{
	for (size_t i = 0; i < PREFIXES; i++) {
		size_t n = strlen(prefixes[i].prefix);

		if (strncmp(title, prefixes[i].prefix, n) == 0) {
			*name = title + n;
			return prefixes[i].kind;
		}
	}
	*name = title;
	/* libvirt takes no '/' in a domain's name */
	return strchr(title, '/') != NULL ? SECTION_DATASET : SECTION_DOMAINS;
}

/* "[grup:shop]" is hardly a domain. */
static void check_title(struct policies *c, const struct policy_section *s)
{
	const char *colon = strchr(s->title, ':');

	if (s->name[0] == '\0')
		policies_note(&c->problems, "%s:%u: [%s] has no name", s->file,
			      s->line, s->title);
	if (s->kind != SECTION_DOMAINS || colon == NULL)
		return;

	autofree char *word =
		mem_fmt("%.*s", (int)(colon - s->title) + 1, s->title);
	struct nearest near = { .typed = word };

	for (size_t i = 1; i < PREFIXES; i++)
		nearest_try(&near, prefixes[i].prefix);
	if (near.name != NULL)
		policies_note(
			&c->problems,
			"%s:%u: unknown kind of section [%s], did you mean "
			"[%s%s]?",
			s->file, s->line, s->title, near.name, colon + 1);
}

static struct policy_section *get(struct policies *c, const char *title,
				  const char *file, unsigned line)
{
	const char *name;

	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->sections[i]->title, title) == 0)
			return c->sections[i];
	c->sections = mem_grow(c->sections, c->count + 1, sizeof(*c->sections));

	struct policy_section *s = mem_zalloc(1, sizeof(*s));

	c->sections[c->count++] = s;
	s->title = mem_strdup(title);
	s->kind = kind_of(s->title, &name);
	s->name = mem_strdup(name);
	s->file = file;
	s->line = line;
	check_title(c, s);
	return s;
}

/* [vmkeep] and what stands before all sections is read elsewhere. */
static bool is_ours(const char *title)
{
	return title[0] != '\0' && strcmp(title, "vmkeep") != 0 &&
	       strcmp(title, "version") != 0;
}

/* ---- entries ---- */

static struct policy_entry *find_entry(const struct policy_section *s,
				       const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->entries[i].key, key) == 0)
			return &s->entries[i];
	return NULL;
}

/* As the table has it: '-' is as good as '_', but not in a place's name. */
static char *plain_key(const char *said)
{
	char *key = mem_strdup(said);
	char *dot = strrchr(key, '.');

	for (char *p = dot == NULL ? key : dot; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
	return key;
}

static struct policy_entry *new_entry(struct policy_section *s, const char *key)
{
	s->entries = mem_grow(s->entries, s->count + 1, sizeof(*s->entries));

	struct policy_entry *e = &s->entries[s->count++];

	*e = (struct policy_entry){ .key = mem_strdup(key) };
	return e;
}

static void take(struct policies *c, const char *file,
		 const struct ini_entry *said)
{
	autofree char *key = plain_key(said->key);
	struct policy_section *s = get(c, said->section, file, said->line);
	struct policy_entry *e = find_entry(s, key);

	if (e != NULL && e->file == file) {
		policies_note(
			&c->warnings,
			"%s:%u: '%s' was said in line %u already, and that "
			"counts",
			file, said->line, said->key, e->line);
		return;
	}
	if (e == NULL)
		e = new_entry(s, key);
	free(e->value);
	e->value = mem_strdup(said->value);
	e->file = file;
	e->line = said->line;
}

void policies_add(struct policies *c, const char *file, const struct ini *ini)
{
	policies_note(&c->files, "%s", file);
	file = c->files.items[c->files.count - 1];
	for (size_t i = 0; i < ini->section_count; i++)
		if (is_ours(ini->sections[i].name))
			get(c, ini->sections[i].name, file,
			    ini->sections[i].line);
	for (size_t i = 0; i < ini->count; i++)
		if (is_ours(ini->entries[i].section))
			take(c, file, &ini->entries[i]);
}

/* ---- questions ---- */

const struct policy_section *policies_find(const struct policies *c,
					   enum section_kind kind,
					   const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->sections[i]->kind == kind &&
		    strcmp(c->sections[i]->name, name) == 0)
			return c->sections[i];
	return NULL;
}

const struct policy_section *policies_group(const struct policies *c,
					    const char *name, struct err *e)
{
	const struct policy_section *s = policies_find(c, SECTION_GROUP, name);
	struct nearest near = { .typed = name };
	bool any = false;

	if (s != NULL && s->members.count > 0)
		return s;
	if (s != NULL) {
		err_set(e, ERR_USAGE, "%s:%u: group '%s' has no members",
			s->file, s->line, name);
		return NULL;
	}
	for (size_t i = 0; i < c->count; i++) {
		any |= c->sections[i]->kind == SECTION_GROUP;
		if (c->sections[i]->kind == SECTION_GROUP)
			nearest_try(&near, c->sections[i]->name);
	}
	autofree char *meant = nearest_text(&near);

	err_set(e, ERR_USAGE, "no group '%s' in the settings%s%s", name, meant,
		any ? "" : ": [group:NAME] with members = ... makes one");
	return NULL;
}

bool policies_has_datasets(const struct policies *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->sections[i]->kind == SECTION_DATASET)
			return true;
	return false;
}

const struct policy_entry *section_entry(const struct policy_section *s,
					 const char *key)
{
	return find_entry(s, key);
}

bool section_is_unit(const struct policy_section *s)
{
	if (s->kind != SECTION_GROUP)
		return s->kind == SECTION_DOMAINS || s->kind == SECTION_DATASET;
	return s->count > (find_entry(s, "members") != NULL);
}

/* ---- the end ---- */

static void fini_list(struct opt_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
}

static void free_section(struct policy_section *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->entries[i].key);
		free(s->entries[i].value);
	}
	free(s->entries);
	fini_list(&s->templates);
	fini_list(&s->members);
	free(s->title);
	free(s->name);
	free(s);
}

void policies_fini(struct policies *c)
{
	for (size_t i = 0; i < c->count; i++)
		free_section(c->sections[i]);
	free(c->sections);
	fini_list(&c->files);
	fini_list(&c->problems);
	fini_list(&c->warnings);
	*c = (struct policies){ .sections = NULL };
}
