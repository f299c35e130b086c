/* SPDX-License-Identifier: Apache-2.0 */
#include "report/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "report/safe.h"

struct table {
	const char *columns;
	const char *indent;
	size_t width; /* number of columns */
	char **cells;
	size_t count;
};

struct table *table_new(const char *columns, const char *indent)
{
	struct table *t = mem_zalloc(1, sizeof(*t));

	t->columns = columns;
	t->indent = indent;
	t->width = strlen(columns);
	return t;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void table_free_at(struct table **t)
{
	table_free(*t);
}

void table_name(struct table *t, const char *name)
{
	t->cells = mem_grow(t->cells, t->count + 1, sizeof(*t->cells));
	t->cells[t->count++] = safe_text(name);
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = mem_vfmt(fmt, ap);
	va_end(ap);
	table_name(t, text);
}

void table_size(struct table *t, unsigned long long bytes)
{
	char text[NUM_TEXT];

	num_size_text(bytes, text);
	table_name(t, text);
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t widest = 0;

	for (size_t i = column; i < t->count; i += t->width) {
		size_t w = safe_width(t->cells[i]);

		if (w > widest && w <= TABLE_CELL)
			widest = w;
	}
	return widest;
}

static void put_spaces(FILE *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fputc(' ', out);
}

/* Is everything right of this column empty in its row? */
static bool last_in_row(const struct table *t, size_t cell)
{
	for (size_t i = cell + 1; i % t->width != 0; i++)
		if (t->cells[i][0] != '\0')
			return false;
	return true;
}

/* Returns true when nothing follows in this row. */
static bool print_cell(const struct table *t, size_t i, size_t width, FILE *out)
{
	size_t own = safe_width(t->cells[i]);
	size_t gap = own < width ? width - own : 0;
	bool last = last_in_row(t, i);

	if (t->columns[i % t->width] == 'r') {
		put_spaces(out, gap);
		gap = 0;
	}
	fputs(t->cells[i], out);
	if (!last)
		put_spaces(out, gap + 2);
	return last;
}

void table_print(const struct table *t, FILE *out)
{
	autofree size_t *widths = mem_zalloc(t->width, sizeof(*widths));

	for (size_t i = 0; i < t->width; i++)
		widths[i] = column_width(t, i);
	for (size_t row = 0; row < t->count; row += t->width) {
		fputs(t->indent, out);
		for (size_t i = 0; i < t->width; i++)
			if (print_cell(t, row + i, widths[i], out))
				break;
		fputc('\n', out);
	}
}
