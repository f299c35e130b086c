/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_STORE_STORE_H
#define VMKEEP_STORE_STORE_H

/*
 * Named immutable objects somewhere.  Names are relative paths of
 * [a-z0-9._-] parts that do not begin with a dot, at most 200 bytes, not in
 * tmp/; no name is the folder of another one.  A store knows no meaning of
 * them.  All calls may come from several threads at once.
 *
 * An object is there whole or not at all, and when a put returns it is
 * durable, its name too.  So is what a list shows, and what made a put fail
 * with ERR_EXISTS: one may act on it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/err.h"

struct store;

struct store_stat {
	uint64_t size;
};

/* Called for each name under a prefix, in no order; a non-zero return ends
 * the listing with that failure (the callback has filled e). */
typedef int store_visit(void *ctx, const char *name,
			const struct store_stat *stat, struct err *e);

/* What an implementation provides.  Names and prefixes have been checked. */
struct store_ops {
	void (*close)(struct store *s);
	int (*get)(struct store *s, const char *name, uint64_t offset,
		   size_t size, void *to, struct err *e);
	int (*load)(struct store *s, const char *name, size_t max,
		    struct buf *b, struct err *e);
	int (*put)(struct store *s, const char *name, const struct iovec *iov,
		   size_t count, bool only_if_absent, struct err *e);
	int (*stat)(struct store *s, const char *name, struct store_stat *st,
		    struct err *e);
	int (*list)(struct store *s, const char *prefix, store_visit *visit,
		    void *ctx, struct err *e);
	int (*del)(struct store *s, const char *name, struct err *e);
};

/* Implementations embed this as their first member. */
struct store {
	const struct store_ops *ops;
};

/* Close.  NULL is fine. */
void store_close(struct store *s);
void store_close_at(struct store **s);

/* Exactly size bytes from offset.  ERR_NOT_FOUND when there is no such
 * object, ERR_INTEGRITY when it ends before. */
int store_get(struct store *s, const char *name, uint64_t offset, size_t size,
	      void *to, struct err *e);

/* The whole object, appended to b; more than max bytes is ERR_INTEGRITY. */
int store_load(struct store *s, const char *name, size_t max, struct buf *b,
	       struct err *e);

/* Make or replace. */
int store_put(struct store *s, const char *name, const struct iovec *iov,
	      size_t count, struct err *e);

/* Make; ERR_EXISTS when the name is taken (by whomever, by an earlier try of
 * ours too).  Any other failure means: unknown, it may be there. */
int store_put_new(struct store *s, const char *name, const struct iovec *iov,
		  size_t count, struct err *e);

int store_stat(struct store *s, const char *name, struct store_stat *st,
	       struct err *e);

/* Every object whose name starts with prefix, which is "" or ends in '/'.
 * Objects being put or deleted meanwhile may or may not be seen; others are.
 * A prefix without objects is an empty list. */
int store_list(struct store *s, const char *prefix, store_visit *visit,
	       void *ctx, struct err *e);

/* Delete; ERR_NOT_FOUND when it was not there. */
int store_del(struct store *s, const char *name, struct err *e);

/* Is this a name we may use?  Every call checks: ERR_INTEGRITY. */
bool store_name_ok(const char *name);

/*
 * A folder.  put: temporary file in tmp/, fdatasync, rename; put-if-absent:
 * link(2) instead; then fsync of the folder, before anyone is told.  A failed
 * fsync means that a new file is written from memory.
 *
 * Opening removes what dead processes have left in tmp/; whoever writes there
 * holds a flock(2) on the file.  A folder that cannot be written can be read.
 * ERR_NOT_FOUND when there is no folder.
 */
struct store *store_dir_open(const char *path, struct err *e);

/* Make the folder (or use an empty one, lost+found aside) and probe that
 * link(2), rename and fsync do what is needed, else ERR_REFUSED; ERR_EXISTS
 * when it is not empty. */
int store_dir_create(const char *path, struct err *e);

/* In memory, for tests.  All handles made by store_mem_share() see one set. */
struct store *store_mem_new(void);
struct store *store_mem_share(struct store *s);

/*
 * Around another store (which it owns): counts calls and fails one.
 * `fail_at` is the number of the call, from 1; 0 never.  A kind that means
 * nothing to the call fails it; FAULT_FLIP leaves it alone.
 */
enum store_fault_kind {
	FAULT_FAIL,   /* the call fails and did nothing */
	FAULT_FORGET, /* a put or del is done, but reported as failed */
	FAULT_TEAR,   /* a put leaves half the bytes, and fails */
	FAULT_FLIP,   /* a get returns a wrong bit, and succeeds */
	FAULT_DEAD,   /* this call and all later ones fail */
};

struct store_fault_plan {
	uint64_t fail_at;
	enum store_fault_kind kind;
	unsigned delay_us; /* every call sleeps that long first */
};

struct store *store_fault_new(struct store *inner,
			      const struct store_fault_plan *plan);
uint64_t store_fault_calls(struct store *s);

#endif
