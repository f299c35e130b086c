/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_JOURNAL_H
#define VMKEEP_BASE_JOURNAL_H

/*
 * The write-ahead journal of a capture: what we are about to do, and that it
 * is done, each line on disk before the next step is taken.  It knows nothing
 * of what its lines mean.
 *
 * The file is text, one record a line:
 *     CRC32 (8 hex digits) SPACE number SPACE word SPACE key=value ...
 * with blanks, control characters and '%' in values as %xx, numbers counting
 * from 1, and the CRC (that of zlib) over all behind its space up to the line
 * feed.  A torn last line (a crash in the middle of a write) is ignored; a
 * wrong line before the last is ERR_INTEGRITY.
 *
 * The journal exists while something has to be undone or finished: its
 * existence is the claim, journal_end() removes it.  Space for what may have
 * to be written on the way back is reserved at the start, where the file
 * system can.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct journal;

/* A new journal; ERR_EXISTS when there is one already (recover first). */
struct journal *journal_new(const char *path, struct err *e);

/* Continue an existing journal: a torn last line is cut off, new records are
 * appended.  Errors as journal_read(). */
struct journal *journal_continue(const char *path, struct err *e);

/* Close; the file stays.  NULL is fine. */
void journal_free(struct journal *j);

struct journal_field {
	const char *key;   /* letters, digits, '_' */
	const char *value; /* any bytes but NUL */
};

/*
 * Append one record and fsync.  The last field's key is NULL; fields NULL is
 * none.  The word is of letters, digits, '_' and '-'.  Threads may call at
 * the same time.  On failure the record is taken back; where not even that
 * was possible, all further ones fail too.
 *
 * In builds with -Dtest_kill=true the process kills itself with SIGKILL after
 * the N-th record of a journal where VMKEEP_TEST_KILL=N is set (N:MS: MS
 * milliseconds after it, from another thread), or after a record with a word
 * where that is set instead of N, and stops itself with SIGSTOP
 * after the first record with the word that VMKEEP_TEST_STOP names.
 */
int journal_write(struct journal *j, const char *word,
		  const struct journal_field *fields, struct err *e);

/* The work is finished: remove the file, durably.  journal_free() is still
 * to be called. */
int journal_end(struct journal *j, struct err *e);

struct journal_record {
	char *word;                   /* owns the fields' strings too */
	struct journal_field *fields; /* ends with key NULL */
};

/* Every intact record, oldest first.  ERR_NOT_FOUND when there is no file. */
int journal_read(const char *path, struct journal_record **records,
		 size_t *count, struct err *e);
void journal_records_free(struct journal_record *records, size_t count);

/* The value of a key in a record, or NULL. */
const char *journal_get(const struct journal_record *r, const char *key);

#endif
