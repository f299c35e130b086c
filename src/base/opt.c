/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"

static void *place(const struct opt *o, void *into)
{
	return (char *)into + o->offset;
}

static bool is_flag(const struct opt *o)
{
	return o->kind == OPT_FLAG || o->kind == OPT_TRISTATE;
}

/* ---- one value ---- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasecmp(text, *words) == 0)
			return true;
	return false;
}

static int parse_bool(const char *text, bool *v, struct err *e)
{
	/* sanoid's words */
	static const char *const yes[] = { "yes", "true", "on", "1", NULL };
	static const char *const no[] = { "no", "false", "off", "0", NULL };

	*v = text == NULL || is_one_of(text, yes);
	if (*v || is_one_of(text, no))
		return 0;
	return err_set(e, ERR_USAGE, "'%s' is neither yes nor no", text);
}

static int set_bool(const struct opt *o, void *into, const char *text,
		    struct err *e)
{
	bool v;

	if (parse_bool(text, &v, e) < 0)
		return -1;
	if (o->kind == OPT_FLAG)
		*(bool *)place(o, into) = v;
	else
		*(int *)place(o, into) = v;
	return 0;
}

static int set_number(const struct opt *o, void *into, const char *text,
		      struct err *e)
{
	uint64_t *v = place(o, into);

	if (o->kind == OPT_SIZE && !num_parse_size(text, v))
		return err_set(e, ERR_USAGE,
			       "'%s' is not a size such as 512M or 2G", text);
	if (o->kind == OPT_NUMBER && !num_parse(text, v))
		return err_set(e, ERR_USAGE, "'%s' is not a number", text);
	if (o->kind == OPT_DURATION && !num_parse_duration(text, v))
		return err_set(e, ERR_USAGE,
			       "'%s' is not a duration such as 500ms, 30s, "
			       "10m, 2h or 1d",
			       text);
	return 0;
}

static int set_string(const struct opt *o, void *into, const char *text)
{
	char **s = place(o, into);
	char *copy = mem_strdup(text);

	free(*s);
	*s = copy;
	return 0;
}

static void list_add(struct opt_list *l, const char *from, size_t n)
{
	l->items = mem_grow(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = mem_fmt("%.*s", (int)n, from);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int set_list(const struct opt *o, void *into, const char *text)
{
	struct opt_list *l = place(o, into);

	while (*text != '\0') {
		size_t n = strcspn(text, ",");
		const char *next = text + n + (text[n] == ',');

		while (n > 0 && is_blank(*text))
			text++, n--;
		while (n > 0 && is_blank(text[n - 1]))
			n--;
		if (n > 0)
			list_add(l, text, n);
		text = next;
	}
	return 0;
}

static int set_pair(const struct opt *o, void *into, const char *text,
		    struct err *e)
{
	const char *equal = strchr(text, '=');

	if (equal == NULL || equal == text)
		return err_set(e, ERR_USAGE, "'%s' is not KEY=VALUE", text);
	list_add(place(o, into), text, strlen(text));
	return 0;
}

static int refuse_choice(const struct opt *o, const char *text, struct err *e)
{
	AUTO(buf_fini) struct buf all = BUF_INIT;

	for (size_t i = 0; o->choices[i] != NULL; i++) {
		if (i > 0)
			wr_bytes(&all, ", ", 2);
		wr_bytes(&all, o->choices[i], strlen(o->choices[i]));
	}
	return err_set(e, ERR_USAGE, "'%s' is none of: %.*s", text,
		       (int)all.len, (const char *)all.p);
}

static int set_choice(const struct opt *o, void *into, const char *text,
		      struct err *e)
{
	for (int i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*(int *)place(o, into) = i;
			return 0;
		}
	}
	return refuse_choice(o, text, e);
}

int opt_set(const struct opt *o, void *into, const char *text, struct err *e)
{
	switch (o->kind) {
	case OPT_FLAG:
	case OPT_TRISTATE:
		return set_bool(o, into, text, e);
	case OPT_SIZE:
	case OPT_NUMBER:
	case OPT_DURATION:
		return set_number(o, into, text, e);
	case OPT_STRING:
		return set_string(o, into, text);
	case OPT_LIST:
		return set_list(o, into, text);
	case OPT_PAIRS:
		return set_pair(o, into, text, e);
	case OPT_CHOICE:
		return set_choice(o, into, text, e);
	}
	abort();
}

void opt_clear(const struct opt *o, void *into)
{
	if (o->kind == OPT_STRING) {
		char **s = place(o, into);

		free(*s);
		*s = NULL;
	} else if (o->kind == OPT_LIST || o->kind == OPT_PAIRS) {
		struct opt_list *l = place(o, into);

		for (size_t i = 0; i < l->count; i++)
			free(l->items[i]);
		free(l->items);
		*l = (struct opt_list){ NULL, 0 };
	}
}

void opt_fini(const struct opt *table, void *into)
{
	for (const struct opt *o = table; o->name != NULL; o++)
		opt_clear(o, into);
}

int opt_from_env(const struct opt *table, void *into, struct err *e)
{
	for (const struct opt *o = table; o->name != NULL; o++) {
		const char *text = o->env != NULL ? getenv(o->env) : NULL;

		if (text == NULL || *text == '\0')
			continue;
		if (opt_set(o, into, text, e) < 0)
			return err_ctx(e, "environment variable '%s'", o->env);
	}
	return 0;
}

/* ---- names ---- */

const struct opt *opt_find(const struct opt *table, const char *name)
{
	for (const struct opt *o = table; o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

#define WORD_MAX 63

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Optimal string alignment; three rows of the matrix at a time. */
static unsigned edits(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0];
	unsigned *last = rows[1];
	unsigned *row = rows[2];

	for (unsigned j = 0; j <= bn; j++)
		before[j] = last[j] = j;
	for (unsigned i = 1; i <= an; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= bn; j++) {
			bool same = a[i - 1] == b[j - 1];

			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] =
					min3(row[j], before[j - 2] + 1, row[j]);
		}

		unsigned *oldest = before;

		before = last;
		last = row;
		row = oldest;
	}
	return last[bn];
}

unsigned opt_distance(const char *typed, const char *known)
{
	size_t n = strnlen(typed, WORD_MAX + 1);
	size_t k = strnlen(known, WORD_MAX + 1);

	if (n > WORD_MAX || k > WORD_MAX)
		return UINT_MAX;

	unsigned d = edits(typed, n, known, k);

	/* a third of the letters may be wrong, and in short words one */
	if (d <= num_max(num_max(n, k) / 3, 1) && d < num_min(n, k))
		return d;
	return n >= 2 && strncmp(typed, known, n) == 0 ? d : UINT_MAX;
}

const char *opt_nearest(const struct opt *table, const char *name)
{
	unsigned best = UINT_MAX;
	const char *nearest = NULL;

	for (const struct opt *o = table; o->name != NULL; o++) {
		unsigned d = opt_distance(name, o->name);

		if (d < best) {
			best = d;
			nearest = o->name;
		}
	}
	return nearest;
}

/* ---- the command line ---- */

struct parse {
	const struct opt_group *groups;
	size_t count;
	char **next; /* the next argument */
};

struct found {
	const struct opt *o; /* NULL: no such option */
	void *into;
};

static struct found find_long(const struct parse *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct opt *o = opt_find(p->groups[i].table, name);

		if (o != NULL)
			return (struct found){ o, p->groups[i].into };
	}
	return (struct found){ NULL, NULL };
}

static struct found find_letter(const struct parse *p, char letter)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct opt *o = p->groups[i].table;

		for (; o->name != NULL; o++)
			if (o->letter == letter)
				return (struct found){ o, p->groups[i].into };
	}
	return (struct found){ NULL, NULL };
}

static int unknown(const struct parse *p, const char *name, struct err *e)
{
	unsigned best = UINT_MAX;
	const char *nearest = NULL;

	for (size_t i = 0; i < p->count; i++) {
		const char *n = opt_nearest(p->groups[i].table, name);
		unsigned d = n != NULL ? opt_distance(name, n) : UINT_MAX;

		if (d < best) {
			best = d;
			nearest = n;
		}
	}
	if (nearest == NULL)
		return err_set(e, ERR_USAGE, "unknown option '--%s'", name);
	return err_set(e, ERR_USAGE,
		       "unknown option '--%s', did you mean '--%s'?", name,
		       nearest);
}

/* Set it; value NULL: the next argument is it. */
static int take_value(struct parse *p, struct found f, const char *value,
		      struct err *e)
{
	if (value == NULL && *p->next == NULL)
		return err_set(e, ERR_USAGE, "option '--%s' needs a value: %s",
			       f.o->name,
			       f.o->value != NULL ? f.o->value : "VALUE");
	if (value == NULL)
		value = *p->next++;
	if (opt_set(f.o, f.into, value, e) < 0)
		return err_ctx(e, "option '--%s'", f.o->name);
	return 0;
}

/* name without dashes, value NULL where there was no '='. */
static int take_long(struct parse *p, const char *name, const char *value,
		     struct err *e)
{
	struct found f = find_long(p, name);
	const char *said = NULL;

	if (f.o == NULL && strncmp(name, "no-", 3) == 0) {
		f = find_long(p, name + 3);
		said = "no";
		if (f.o != NULL && !is_flag(f.o))
			f.o = NULL;
	}
	if (f.o == NULL)
		return unknown(p, name, e);
	if (!is_flag(f.o))
		return take_value(p, f, value, e);
	if (value != NULL)
		return err_set(e, ERR_USAGE, "option '--%s' takes no value",
			       name);
	return opt_set(f.o, f.into, said, e);
}

/* "-abc": flags, the last one may have its value behind it. */
static int take_letters(struct parse *p, const char *letters, struct err *e)
{
	for (; *letters != '\0'; letters++) {
		struct found f = find_letter(p, *letters);

		if (f.o == NULL)
			return err_set(e, ERR_USAGE, "unknown option '-%c'",
				       *letters);
		if (!is_flag(f.o))
			return take_value(
				p, f, letters[1] != '\0' ? letters + 1 : NULL,
				e);
		if (opt_set(f.o, f.into, NULL, e) < 0)
			return -1;
	}
	return 0;
}

/* One argument that starts with '-'. */
static int take_option(struct parse *p, const char *arg, struct err *e)
{
	if (arg[1] != '-')
		return take_letters(p, arg + 1, e);

	size_t n = strcspn(arg + 2, "=");
	autofree char *name = mem_fmt("%.*s", (int)n, arg + 2);

	return take_long(p, name, arg[2 + n] == '=' ? arg + 3 + n : NULL, e);
}

int opt_parse(const struct opt_group *groups, size_t count, char **argv,
	      char ***rest, size_t *rest_count, struct err *e)
{
	struct parse p = { .groups = groups, .count = count, .next = argv };
	size_t n = 0;

	while (argv[n] != NULL)
		n++;

	autofree char **others = mem_zalloc(n + 1, sizeof(*others));
	bool options = true;

	n = 0;
	while (*p.next != NULL) {
		char *arg = *p.next++;

		if (options && strcmp(arg, "--") == 0)
			options = false;
		else if (!options || arg[0] != '-' || arg[1] == '\0')
			others[n++] = arg;
		else if (take_option(&p, arg, e) < 0)
			return -1;
	}
	*rest = mem_take(&others);
	*rest_count = n;
	return 0;
}
