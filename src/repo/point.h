/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPO_POINT_H
#define VMKEEP_REPO_POINT_H

/*
 * Points and sets: what a repository is for.  A set is one object,
 * points/<session id>; writing it is the commit.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "repo/format.h"

enum image_kind {
	IMAGE_DISK = 1,
	IMAGE_RAM = 2,
	IMAGE_NVRAM = 3,
	IMAGE_TPM = 4,
	IMAGE_XML = 5,
	IMAGE_FILES = 6,
	IMAGE_STREAM = 7,
};

const char *image_kind_text(enum image_kind k); /* "disk", ... */

/* Words that the repository keeps and does not understand. */
struct attr {
	char *key;
	char *value;
};

struct attrs {
	struct attr *items; /* sorted by key, each key once */
	size_t count;
};

/* Set a value (replaces); copies both. */
void attrs_set(struct attrs *a, const char *key, const char *value);
void attrs_setf(struct attrs *a, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The value, or NULL. */
const char *attrs_get(const struct attrs *a, const char *key);
void attrs_fini(struct attrs *a);

/* The root of an image's tree. */
struct image_root {
	uint64_t size;   /* bytes */
	uint8_t depth;   /* levels of inner nodes above the extents */
	bool hole;       /* nothing but zeroes: there is no top node */
	struct hash top; /* id of the top node */
};

struct image {
	enum image_kind kind;
	char *name; /* "vda", "memory", "live.xml" */
	struct image_root root;
	struct attrs attrs;
};

struct point {
	struct id id;
	char *name;      /* whose point: a domain's name, or import's */
	int64_t time_ns; /* the instant, wall clock */
	struct attrs attrs;
	struct image *images;
	size_t image_count;
};

struct set {
	struct id session; /* also the name of the set */
	uint64_t generation;
	int64_t time_ns; /* of the commit */
	char *host;
	char *program;   /* "vmkeep 0.1.0" */
	char **segments; /* names under idx/ */
	size_t segment_count;
	struct attrs attrs; /* what the session did: bytes read, new, ... */
	struct point *points;
	size_t point_count;
};

/* Make room for one more; the result is valid until the next call. */
struct point *set_add_point(struct set *s);
struct image *point_add_image(struct point *p);

/* An image of a point by name, or NULL. */
const struct image *point_image(const struct point *p, const char *name);

void image_fini(struct image *i);
void point_fini(struct point *p);
void set_fini(struct set *s);

/* The canonical bytes of a set and back; ERR_INTEGRITY for anything else. */
int set_encode(const struct set *s, struct buf *out, struct err *e);
int set_decode(const void *data, size_t size, struct set *s, struct err *e);

#endif
