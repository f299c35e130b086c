/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ini.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define MAX_SIZE ((size_t)4 * 1024 * 1024)

/* Some bytes of the text. */
struct span {
	const char *p;
	size_t n;
};

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct span trim(struct span s)
{
	while (s.n > 0 && is_white(s.p[0]))
		s.p++, s.n--;
	while (s.n > 0 && is_white(s.p[s.n - 1]))
		s.n--;
	return s;
}

static char *copy(struct span s)
{
	return mem_fmt("%.*s", (int)s.n, s.p);
}

static bool is_mark(char c)
{
	return c == '#' || c == ';';
}

static struct span without_comment(struct span s)
{
	for (size_t i = 1; i < s.n; i++)
		if (is_mark(s.p[i]) && is_white(s.p[i - 1]))
			s.n = i;
	return trim(s);
}

/* What is between a pair of quotes that has nothing but a comment behind. */
static bool unquote(struct span s, struct span *inside)
{
	const char *end;

	if (s.n < 2 || s.p[0] != '"')
		return false;
	end = memchr(s.p + 1, '"', s.n - 1);
	if (end == NULL)
		return false;

	struct span rest = { end + 1, (size_t)(s.p + s.n - end) - 1 };

	if (without_comment(rest).n > 0)
		return false;
	*inside = (struct span){ s.p + 1, (size_t)(end - s.p) - 1 };
	return true;
}

static struct span value_of(struct span s)
{
	struct span inside;

	return unquote(trim(s), &inside) ? inside : without_comment(s);
}

static void add(struct ini *ini, struct ini_entry entry)
{
	/* grows by doubling: at powers of two there is no room left */
	if ((ini->count & (ini->count - 1)) == 0)
		ini->entries = mem_grow(ini->entries,
					ini->count > 0 ? 2 * ini->count : 1,
					sizeof(*ini->entries));
	ini->entries[ini->count++] = entry;
}

static int wrong(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, "%s", what);
}

static void add_section(struct ini *ini, struct span name, unsigned line)
{
	size_t n = ini->section_count;

	if ((n & (n - 1)) == 0)
		ini->sections = mem_grow(ini->sections, n > 0 ? 2 * n : 1,
					 sizeof(*ini->sections));
	ini->sections[ini->section_count++] =
		(struct ini_section){ copy(name), line };
}

static int take_section(struct ini *ini, struct span line, unsigned number,
			char **section, struct err *e)
{
	line = without_comment(line);
	if (memchr(line.p, ']', line.n) == NULL)
		return wrong(e, "'[' without ']'");
	/* the last one ends it: a glob may have some of its own */
	if (line.p[line.n - 1] != ']')
		return wrong(e, "something behind ']'");

	struct span name = trim((struct span){ line.p + 1, line.n - 2 });

	if (name.n == 0)
		return wrong(e, "a section without a name");
	add_section(ini, name, number);
	free(*section);
	*section = copy(name);
	return 0;
}

/* One line; *section is where we are. */
static int take_line(struct ini *ini, struct span line, unsigned number,
		     char **section, struct err *e)
{
	line = trim(line);
	if (line.n == 0 || is_mark(line.p[0]))
		return 0;
	if (line.p[0] == '[')
		return take_section(ini, line, number, section, e);

	const char *equal = memchr(line.p, '=', line.n);

	if (equal == NULL)
		return wrong(e, "neither '[section]' nor 'key = value'");

	struct span key = { line.p, (size_t)(equal - line.p) };
	struct span value = { equal + 1, line.n - key.n - 1 };

	key = trim(key);
	if (key.n == 0)
		return wrong(e, "a value without a key");
	if (without_comment(key).n < key.n)
		return wrong(e, "a comment before '='");
	add(ini, (struct ini_entry){ .section = mem_strdup(*section),
				     .key = copy(key),
				     .value = copy(value_of(value)),
				     .line = number });
	return 0;
}

static int take_all(const char *name, const char *text, struct ini *ini,
		    struct err *e)
{
	autofree char *section = mem_strdup("");
	unsigned number = 0;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (*text != '\0') {
		struct span line = { text, strcspn(text, "\n") };

		number++;
		if (take_line(ini, line, number, &section, e) < 0)
			return err_ctx(e, "%s:%u", name, number);
		text += line.n + (text[line.n] == '\n');
	}
	return 0;
}

int ini_parse(const char *name, const char *text, struct ini *ini,
	      struct err *e)
{
	*ini = (struct ini){ .entries = NULL };
	if (take_all(name, text, ini, e) == 0)
		return 0;
	ini_fini(ini);
	return -1;
}

static unsigned line_of(const struct buf *text, const void *at)
{
	const uint8_t *p = text->p;
	unsigned line = 1;

	while (p < (const uint8_t *)at)
		line += *p++ == '\n';
	return line;
}

int ini_load(const char *path, struct ini *ini, struct err *e)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	*ini = (struct ini){ .entries = NULL };
	if (file_load(path, MAX_SIZE, &text, e) < 0)
		return -1;

	const void *nul = memchr(text.p, '\0', text.len);

	if (nul != NULL)
		return err_set(e, ERR_USAGE, "%s:%u: a NUL byte", path,
			       line_of(&text, nul));
	wr_u8(&text, '\0');
	return ini_parse(path, (const char *)text.p, ini, e);
}

void ini_fini(struct ini *ini)
{
	for (size_t i = 0; i < ini->count; i++) {
		free(ini->entries[i].section);
		free(ini->entries[i].key);
		free(ini->entries[i].value);
	}
	for (size_t i = 0; i < ini->section_count; i++)
		free(ini->sections[i].name);
	free(ini->entries);
	free(ini->sections);
	*ini = (struct ini){ .entries = NULL };
}
