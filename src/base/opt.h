/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_OPT_H
#define VMKEEP_BASE_OPT_H

/*
 * One table type for command-line options and configuration keys.  A table
 * fills a plain struct; help, completion and the manual check read the same
 * table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum opt_kind {
	OPT_FLAG,     /* bool: --name, --no-name */
	OPT_TRISTATE, /* int: -1 not said, 0 --no-name, 1 --name */
	OPT_SIZE,     /* uint64_t, bytes: num_parse_size() */
	OPT_NUMBER,   /* uint64_t */
	OPT_DURATION, /* uint64_t, ms */
	OPT_STRING,   /* char *, owned by the struct */
	OPT_LIST,     /* struct opt_list: comma separated, and may repeat;
		       * blanks around the items do not count */
	OPT_PAIRS,    /* struct opt_list of "key=value", may repeat */
	OPT_CHOICE,   /* int: index into choices */
};

struct opt_list {
	char **items;
	size_t count;
};

struct opt {
	const char *name; /* long name, without dashes */
	char letter;      /* or '\0' */
	enum opt_kind kind;
	size_t offset;              /* into the struct */
	const char *value;          /* what the value is called: "FILE" */
	const char *const *choices; /* OPT_CHOICE; ends with NULL */
	const char *env;            /* environment variable, or NULL */
	const char *help;           /* one line, lower case, no full stop */
};

/* A table ends with name NULL. */

/*
 * Set one option from text.  Flags and tristates: yes, true, on, 1 or no,
 * false, off, 0, any case, NULL for yes.  Lists grow.  ERR_USAGE says what is
 * allowed; it does not name the option, which has dashes or not: err_ctx().
 */
int opt_set(const struct opt *o, void *into, const char *text, struct err *e);

/* Forget one option's string or list; the other kinds stay as they are. */
void opt_clear(const struct opt *o, void *into);

/*
 * What the environment says; empty variables say nothing.  Called before
 * opt_parse(), which then overrides what is on the command line, too; lists
 * of both add up.
 */
int opt_from_env(const struct opt *table, void *into, struct err *e);

/* Find by long name; NULL. */
const struct opt *opt_find(const struct opt *table, const char *name);

/*
 * How far a word typed is from a known one: the letters to insert, delete,
 * change or swap with a neighbour; UINT_MAX when that is so many that it was
 * not meant.  The start of a word is near it.  For options, commands, names.
 */
unsigned opt_distance(const char *typed, const char *known);

/* The name that is nearest, or NULL when none was meant. */
const char *opt_nearest(const struct opt *table, const char *name);

/*
 * Parse argv (without the program's and command's name) against several
 * tables at once, each with its own struct.  Understood are --name VALUE,
 * --name=VALUE, -n VALUE, -nVALUE, and flags in one word: -abc.  What is no
 * option goes to rest (pointers into argv, NULL-terminated, freed with
 * free()); so does "-".  "--" ends options.  ERR_USAGE names the unknown
 * option and the nearest known one.  After a failure the structs hold what was
 * read before; opt_fini() them in any case.
 */
struct opt_group {
	const struct opt *table;
	void *into;
};

int opt_parse(const struct opt_group *groups, size_t count, char **argv,
	      char ***rest, size_t *rest_count, struct err *e);

/* Free what the table's strings and lists own: opt_clear() for each. */
void opt_fini(const struct opt *table, void *into);

#endif
