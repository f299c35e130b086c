/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_TABLE_H
#define VMKEEP_REPORT_TABLE_H

/*
 * Columns that line up.  A cell wider than TABLE_CELL counts for nothing: it
 * moves what follows in its own row, and no other row.
 */

#include <stdio.h>

struct table;

#define TABLE_CELL 64

/*
 * One character for each column: 'l' to the left, 'r' to the right.  Every
 * line starts with the indent.
 */
struct table *table_new(const char *columns, const char *indent);
void table_free(struct table *t);

/* The next cell, row after row; made safe for a terminal. */
void table_cell(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A cell from a name that may be NULL ("-"). */
void table_name(struct table *t, const char *name);

/* "1.5 GiB". */
void table_size(struct table *t, unsigned long long bytes);

void table_print(const struct table *t, FILE *out);

void table_free_at(struct table **t);

#endif
