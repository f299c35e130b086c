/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_TABLE_H
#define VMKEEP_SNAP_TABLE_H

/*
 * What zfs and lvs print with -H and --noheadings: a row a line, cells parted
 * by one character.  It is from outside: a row of another number of cells, a
 * NUL, or an end in the middle of a line is ERR_INTEGRITY.
 */

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

struct table {
	char *text;   /* owns the cells */
	char **cells; /* rows * columns, each a string */
	size_t rows, columns;
};

#define TABLE_INIT                                                             \
	{                                                                      \
		.text = NULL, .cells = NULL, .rows = 0, .columns = 0           \
	}

/* Blanks before a row's first cell are not its own (lvs indents).  `what` is
 * the program that printed it, for the error. */
int table_parse(const struct buf *out, char separator, size_t columns,
		const char *what, struct table *t, struct err *e);
void table_fini(struct table *t);

const char *table_get(const struct table *t, size_t row, size_t column);

#endif
