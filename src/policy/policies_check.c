/* SPDX-License-Identifier: Apache-2.0 */

/* What the sections' keys mean, and whether they mean anything. */

#include "policy/policies.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/key.h"
#include "policy/policies_internal.h"
#include "policy/resolve.h"

/* ---- keys that say whom a section is for ---- */

#define AT(field) offsetof(struct policy_section, field)

enum {
	FOR_DOMAINS = 1 << SECTION_DOMAINS,
	FOR_DATASET = 1 << SECTION_DATASET,
	FOR_GROUP = 1 << SECTION_GROUP,
	FOR_REPOSITORY = 1 << SECTION_REPOSITORY,
	FOR_REPLICA = 1 << SECTION_REPLICA,
	FOR_WHOM = FOR_DOMAINS | FOR_DATASET,
	FOR_KEPT = FOR_REPOSITORY | FOR_REPLICA, /* text, as it is */
};

static const char *const recursives[] = { "no", "yes", "zfs", NULL };

static const struct shape {
	struct opt opt;
	unsigned where;
} shapes[] = {
	{ { .name = "use_template", .kind = OPT_LIST, .offset = AT(templates) },
	  FOR_WHOM | FOR_GROUP },
	{ { .name = "recursive",
	    .kind = OPT_CHOICE,
	    .offset = AT(recursive),
	    .choices = recursives },
	  FOR_WHOM },
	{ { .name = "process_children_only",
	    .kind = OPT_FLAG,
	    .offset = AT(children_only) },
	  FOR_WHOM },
	{ { .name = "skip_children",
	    .kind = OPT_FLAG,
	    .offset = AT(skip_children) },
	  FOR_WHOM },
	{ { .name = "path", .kind = OPT_STRING, .offset = AT(name) },
	  FOR_WHOM },
	{ { .name = "domain", .kind = OPT_STRING, .offset = AT(name) },
	  FOR_WHOM },
	{ { .name = "members", .kind = OPT_LIST, .offset = AT(members) },
	  FOR_GROUP },
	{ { .name = "url", .kind = OPT_STRING }, FOR_REPOSITORY },
	{ { .name = "key_file", .kind = OPT_STRING }, FOR_REPOSITORY },
	{ { .name = "target", .kind = OPT_STRING }, FOR_REPLICA },
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static const struct shape *find_shape(const char *key)
{
	for (size_t i = 0; i < SHAPES; i++)
		if (strcmp(shapes[i].opt.name, key) == 0)
			return &shapes[i];
	return NULL;
}

static void problem(struct policies *c, const struct policy_entry *e,
		    const char *what)
{
	policies_note(&c->problems, "%s:%u: %s: %s", e->file, e->line, e->key,
		      what);
}

static int set_recursive(struct policy_section *s, const char *text,
			 struct err *e)
{
	static const struct opt flag = { .kind = OPT_FLAG };
	bool yes;

	if (strcmp(text, "zfs") == 0) {
		s->recursive = RECURSIVE_ZFS;
		return 0;
	}
	if (opt_set(&flag, &yes, text, e) < 0)
		return err_set(e, ERR_USAGE, "'%s' is none of: yes, no, zfs",
			       text);
	s->recursive = yes ? RECURSIVE_YES : RECURSIVE_NO;
	return 0;
}

/* Groups may part their members by blanks alone, as long as no name has any. */
static char *with_commas(const char *text)
{
	char *copy = mem_strdup(text);

	for (char *p = copy; strchr(text, ',') == NULL && *p != '\0'; p++)
		if (*p == ' ' || *p == '\t')
			*p = ',';
	return copy;
}

static int set_shape(struct policy_section *s, const struct shape *shape,
		     const char *text, struct err *e)
{
	autofree char *members = with_commas(text);

	if (shape->opt.kind == OPT_CHOICE)
		return set_recursive(s, text, e);
	opt_clear(&shape->opt, s);
	return opt_set(&shape->opt, s,
		       shape->opt.offset == AT(members) ? members : text, e);
}

/* Whom it is for, said by a key instead of the title. */
static void set_name(struct policies *c, struct policy_section *s,
		     const struct policy_entry *said)
{
	bool path = strcmp(said->key, "path") == 0;

	if (s->literal) {
		problem(c, said, "a section has either 'domain' or 'path'");
		return;
	}
	free(s->name);
	s->name = mem_strdup(said->value);
	s->literal = true;
	s->kind = path ? SECTION_DATASET : SECTION_DOMAINS;
}

static void take_shape(struct policies *c, struct policy_section *s,
		       const struct policy_entry *said,
		       const struct shape *shape)
{
	/* sanoid.defaults.conf has "recursive =" */
	bool empty = said->value[0] == '\0';
	struct err e = ERR_INIT;

	if ((shape->where & FOR_KEPT) != 0) {
		if (empty)
			problem(c, said, "is empty");
	} else if (shape->opt.offset == AT(name)) {
		if (!empty)
			set_name(c, s, said);
	} else if (set_shape(s, shape,
			     empty && shape->opt.kind != OPT_LIST ? "no"
								  : said->value,
			     &e) < 0) {
		problem(c, said, e.msg);
	}
}

/* ---- all keys of a section ---- */

static bool has_policy(const struct policy_section *s)
{
	return s->kind != SECTION_REPOSITORY && s->kind != SECTION_REPLICA;
}

/* "main.daly" means "main.daily". */
static char *meant_key(const struct policy_section *s, const char *said)
{
	const char *dot = strrchr(said, '.');
	const char *bare = dot == NULL ? said : dot + 1;
	struct nearest near = { .typed = bare };
	const char *key = has_policy(s) ? policy_key_nearest(bare) : NULL;

	if (key != NULL)
		nearest_try(&near, key);
	for (size_t i = 0; dot == NULL && i < SHAPES; i++)
		if ((shapes[i].where & (1U << s->kind)) != 0)
			nearest_try(&near, shapes[i].opt.name);
	if (near.name == NULL)
		return mem_strdup("");
	return mem_fmt(", did you mean '%.*s%s'?", (int)(bare - said), said,
		       near.name);
}

static void unknown(struct policies *c, const struct policy_section *s,
		    const struct policy_entry *said)
{
	autofree char *meant = meant_key(s, said->key);

	policies_note(&c->problems, "%s:%u: unknown key '%s' in [%s]%s",
		      said->file, said->line, said->key, s->title, meant);
}

/* sanoid, too, warns of these in a template and goes on. */
static bool is_left_out(const struct policy_section *s, const char *key)
{
	return s->kind == SECTION_TEMPLATE &&
	       (strstr(key, "template") != NULL ||
		strstr(key, "recursive") != NULL);
}

static void take_entry(struct policies *c, struct policy_section *s,
		       const struct policy_entry *said, struct policy *scratch)
{
	const struct shape *shape = find_shape(said->key);
	struct err e = ERR_INIT;

	/* sanoid.defaults.conf has "recursive =" and "path =" there */
	if (s->kind == SECTION_TEMPLATE && shape != NULL &&
	    said->value[0] == '\0')
		return;
	if (is_left_out(s, said->key))
		policies_note(&c->warnings,
			      "%s:%u: '%s' means nothing in a template",
			      said->file, said->line, said->key);
	else if (shape != NULL && (shape->where & (1U << s->kind)) != 0)
		take_shape(c, s, said, shape);
	else if (!has_policy(s) || policy_key_find(said->key) == NULL)
		unknown(c, s, said);
	else if (policy_set(scratch, said->key, said->value, &e) < 0)
		problem(c, said, e.msg);
}

static void check_section(struct policies *c, struct policy_section *s)
{
	AUTO(policy_fini) struct policy scratch;

	policy_init(&scratch);
	for (size_t i = 0; i < s->count; i++)
		take_entry(c, s, &s->entries[i], &scratch);
}

/* ---- names that lead somewhere ---- */

static void check_templates(struct policies *c, const struct policy_section *s)
{
	const struct policy_entry *said = section_entry(s, "use_template");

	for (size_t i = 0; i < s->templates.count; i++) {
		const char *name = s->templates.items[i];
		struct nearest near = { .typed = name };

		/* what is built in needs no section */
		if (strcmp(name, "default") == 0 ||
		    policies_find(c, SECTION_TEMPLATE, name) != NULL)
			continue;
		for (size_t k = 0; k < c->count; k++)
			if (c->sections[k]->kind == SECTION_TEMPLATE)
				nearest_try(&near, c->sections[k]->name);
		autofree char *meant = nearest_text(&near);

		policies_note(
			&c->problems,
			"%s:%u: use_template: there is no [template_%s]%s",
			said->file, said->line, name, meant);
	}
}

/* "local", "repository" and whatever has a section. */
static void check_place(struct policies *c, const struct policy_entry *said,
			const char *name)
{
	struct nearest near = { .typed = name };

	if (strcmp(name, "local") == 0 || strcmp(name, "repository") == 0 ||
	    policies_find(c, SECTION_REPOSITORY, name) != NULL)
		return;
	nearest_try(&near, "local");
	nearest_try(&near, "repository");
	for (size_t i = 0; i < c->count; i++)
		if (c->sections[i]->kind == SECTION_REPOSITORY)
			nearest_try(&near, c->sections[i]->name);
	autofree char *meant = nearest_text(&near);

	policies_note(&c->problems,
		      "%s:%u: %s: there is no place '%s'%s (places are local, "
		      "repository, and each [repository:NAME])",
		      said->file, said->line, said->key, name, meant);
}

static void check_places(struct policies *c, const struct policy_entry *said)
{
	static const struct opt list = { .kind = OPT_LIST };
	struct opt_list names = { .count = 0 };
	const char *dot = strrchr(said->key, '.');
	struct err e = ERR_INIT;

	if (dot != NULL && policy_key_find(said->key) != NULL) {
		autofree char *name =
			mem_fmt("%.*s", (int)(dot - said->key), said->key);

		check_place(c, said, name);
	}
	if (strcmp(said->key, "keep") != 0)
		return;
	if (opt_set(&list, &names, said->value, &e) < 0)
		problem(c, said, e.msg);
	else if (names.count == 0)
		problem(c, said, "names no place");
	for (size_t i = 0; i < names.count; i++)
		check_place(c, said, names.items[i]);
	opt_clear(&list, &names);
}

static void check_names(struct policies *c, const struct policy_section *s)
{
	static const struct {
		enum section_kind kind;
		const char *key;
	} needed[] = {
		{ SECTION_GROUP, "members" },
		{ SECTION_REPOSITORY, "url" },
		{ SECTION_REPLICA, "target" },
	};

	check_templates(c, s);
	for (size_t i = 0; has_policy(s) && i < s->count; i++)
		check_places(c, &s->entries[i]);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (s->kind == needed[i].kind &&
		    section_entry(s, needed[i].key) == NULL)
			policies_note(&c->problems, "%s:%u: [%s] has no '%s'",
				      s->file, s->line, s->title,
				      needed[i].key);
	if (s->kind == SECTION_REPOSITORY &&
	    (strcmp(s->name, "local") == 0 ||
	     strcmp(s->name, "repository") == 0))
		policies_note(&c->problems, "%s:%u: '%s' is a place already",
			      s->file, s->line, s->name);
}

/* ---- groups ---- */

static bool has_member(const struct policy_section *s, const char *name)
{
	for (size_t i = 0; i < s->members.count; i++)
		if (strcmp(s->members.items[i], name) == 0)
			return true;
	return false;
}

/* Nobody is taken by two schedules. */
static void check_members(struct policies *c, size_t index)
{
	const struct policy_section *s = c->sections[index];

	for (size_t m = 0; m < s->members.count; m++) {
		const char *name = s->members.items[m];
		const struct policy_section *own =
			policies_find(c, SECTION_DOMAINS, name);

		for (size_t i = 0; i < index; i++)
			if (c->sections[i]->kind == SECTION_GROUP &&
			    section_is_unit(c->sections[i]) &&
			    has_member(c->sections[i], name))
				policies_note(&c->problems,
					      "%s:%u: '%s' is in [%s] already, "
					      "and can have one schedule only",
					      s->file, s->line, name,
					      c->sections[i]->title);
		if (own != NULL)
			policies_note(&c->warnings,
				      "%s:%u: '%s' is taken as [%s] says; "
				      "[%s] counts for nothing",
				      own->file, own->line, name, s->title,
				      own->title);
	}
}

/* ---- dates ---- */

/* In a leap year: on the 29th of February the others have their last day. */
static uint64_t days_of(uint64_t month)
{
	static const unsigned char days[] = { 31, 29, 31, 30, 31, 30,
					      31, 31, 30, 31, 30, 31 };

	return days[month - 1];
}

static void check_date(struct policies *c, const struct policy_section *s)
{
	AUTO(resolved_fini) struct resolved r;
	const struct resolved_value *day, *month;

	resolve_section(c, s, &r);
	day = resolved_value(&r, "yearly_mday");
	month = resolved_value(&r, "yearly_mon");
	if (r.policy.yearly_mday > days_of(r.policy.yearly_mon)) {
		const struct policy_entry *said =
			day->said != NULL ? day->said : month->said;

		policies_note(&c->problems,
			      "%s:%u: impossible date: month %s has no day %s "
			      "([%s])",
			      said->file, said->line, month->text, day->text,
			      s->title);
	}
}

/* ---- all of it ---- */

/* [tank] with "recursive" is a pool, not a domain. */
static void settle_kind(struct policies *c, struct policy_section *s)
{
	if (s->kind == SECTION_DOMAINS && !s->literal &&
	    (s->recursive != RECURSIVE_NO || s->children_only ||
	     s->skip_children))
		s->kind = SECTION_DATASET;
	/* ZFS takes none of these in a name */
	if (s->kind == SECTION_DATASET && strpbrk(s->name, "*?[") != NULL)
		policies_note(&c->problems,
			      "%s:%u: [%s]: a dataset is named in full, with "
			      "'recursive = yes' for all below it",
			      s->file, s->line, s->title);
}

void policies_finish(struct policies *c)
{
	for (size_t i = 0; i < c->count; i++) {
		check_section(c, c->sections[i]);
		settle_kind(c, c->sections[i]);
	}
	for (size_t i = 0; i < c->count; i++)
		check_names(c, c->sections[i]);
	for (size_t i = 0; i < c->count; i++)
		if (c->sections[i]->kind == SECTION_GROUP &&
		    section_is_unit(c->sections[i]))
			check_members(c, i);
	for (size_t i = 0; i < c->count; i++)
		if (has_policy(c->sections[i]))
			check_date(c, c->sections[i]);
}

int policies_check(const struct policies *c, struct err *e)
{
	if (c->problems.count == 0)
		return 0;
	if (c->problems.count == 1)
		return err_set(e, ERR_USAGE, "%s", c->problems.items[0]);
	return err_set(e, ERR_USAGE,
		       "%s (and %zu more: see 'vmkeep config check')",
		       c->problems.items[0], c->problems.count - 1);
}
