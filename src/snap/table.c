/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void table_fini(struct table *t)
{
	free(t->text);
	free(t->cells);
	*t = (struct table)TABLE_INIT;
}

const char *table_get(const struct table *t, size_t row, size_t column)
{
	assert(row < t->rows && column < t->columns);
	return t->cells[row * t->columns + column];
}

/* Cut one line into t's next row. */
static bool row_add(struct table *t, char *line, char separator)
{
	char **row = t->cells + t->rows * t->columns;

	while (*line == ' ')
		line++;
	for (size_t i = 0; i < t->columns; i++) {
		char *end = strchr(line, separator);

		if ((end == NULL) != (i + 1 == t->columns))
			return false;
		row[i] = line;
		if (end != NULL) {
			*end = '\0';
			line = end + 1;
		}
	}
	t->rows++;
	return true;
}

static size_t lines(const char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

static bool parse(struct table *t, char separator, size_t size)
{
	char *line = t->text;

	if (size > 0 &&
	    (memchr(t->text, 0, size) != NULL || t->text[size - 1] != '\n'))
		return false;
	while (*line) {
		char *end = strchr(line, '\n');

		*end = '\0';
		if (!row_add(t, line, separator))
			return false;
		line = end + 1;
	}
	return true;
}

int table_parse(const struct buf *out, char separator, size_t columns,
		const char *what, struct table *t, struct err *e)
{
	AUTO(table_fini)
	struct table got = { .text = mem_alloc(out->len + 1),
			     .columns = columns };

	if (out->len > 0)
		memcpy(got.text, out->p, out->len);
	got.text[out->len] = '\0';
	got.cells = mem_try(lines(got.text, out->len) * columns + 1,
			    sizeof(*got.cells));
	if (got.cells == NULL)
		return err_set(e, ERR_FAILED,
			       "what '%s' printed is too much for the memory",
			       what);
	if (!parse(&got, separator, out->len))
		return err_set(e, ERR_INTEGRITY,
			       "line %zu of what '%s' printed cannot be meant",
			       got.rows + 1, what);
	*t = got;
	got = (struct table)TABLE_INIT;
	return 0;
}
