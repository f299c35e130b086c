/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_INI_H
#define VMKEEP_BASE_INI_H

/*
 * Settings files in sanoid's grammar: [section] up to the line's last ']',
 * key = value, comments from '#' or ';' at the start of a line or after white
 * space, blank lines.
 * Values are kept as written, without surrounding white space or one pair of
 * double quotes; inside such a pair '#' and ';' are nothing special.  No
 * continuation lines, no escapes.  Lines end with LF or CRLF and may be of
 * any length; a byte order mark is skipped.
 *
 * Beyond sanoid (Config::IniFiles without options) are comments behind values
 * and quotes.  A key that repeats is two entries; what that means is the
 * caller's (for sanoid the first counts).
 */

#include <stddef.h>

#include "base/err.h"

struct ini_entry {
	char *section; /* "" before the first */
	char *key;
	char *value;
	unsigned line; /* from 1 */
};

/* Where "[name]" stands; a section may be there more than once, and need have
 * no entries. */
struct ini_section {
	char *name;
	unsigned line;
};

struct ini {
	struct ini_entry *entries; /* in file order */
	size_t count;
	struct ini_section *sections; /* in file order */
	size_t section_count;
};

/* Parse text; the name is for messages ("name:12: ...").  ERR_USAGE for what
 * is no settings file.  On failure *ini is empty. */
int ini_parse(const char *name, const char *text, struct ini *ini,
	      struct err *e);

/* The same for a file of at most 4 MiB; NUL bytes are ERR_USAGE too. */
int ini_load(const char *path, struct ini *ini, struct err *e);
void ini_fini(struct ini *ini);

#endif
