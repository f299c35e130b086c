/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/point.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Limits on what we accept, and therefore on what we write. */
#define MAX_NAME     4096
#define MAX_VALUE    60000
#define MAX_ATTRS    4096
#define MAX_IMAGES   4096
#define MAX_POINTS   4096
#define MAX_SEGMENTS 65536
#define SET_VERSION  1

const char *image_kind_text(enum image_kind k)
{
	switch (k) {
	case IMAGE_DISK:
		return "disk";
	case IMAGE_RAM:
		return "ram";
	case IMAGE_NVRAM:
		return "nvram";
	case IMAGE_TPM:
		return "tpm";
	case IMAGE_XML:
		return "xml";
	case IMAGE_FILES:
		return "files";
	case IMAGE_STREAM:
		return "stream";
	}
	return "unknown";
}

struct point *set_add_point(struct set *s)
{
	s->points = mem_grow(s->points, s->point_count + 1, sizeof(*s->points));
	struct point *p = &s->points[s->point_count++];

	memset(p, 0, sizeof(*p));
	return p;
}

struct image *point_add_image(struct point *p)
{
	p->images = mem_grow(p->images, p->image_count + 1, sizeof(*p->images));
	struct image *i = &p->images[p->image_count++];

	memset(i, 0, sizeof(*i));
	return i;
}

const struct image *point_image(const struct point *p, const char *name)
{
	for (size_t i = 0; i < p->image_count; i++)
		if (strcmp(p->images[i].name, name) == 0)
			return &p->images[i];
	return NULL;
}

void image_fini(struct image *i)
{
	free(i->name);
	attrs_fini(&i->attrs);
}

void point_fini(struct point *p)
{
	free(p->name);
	attrs_fini(&p->attrs);
	for (size_t i = 0; i < p->image_count; i++)
		image_fini(&p->images[i]);
	free(p->images);
}

void set_fini(struct set *s)
{
	free(s->host);
	free(s->program);
	for (size_t i = 0; i < s->segment_count; i++)
		free(s->segments[i]);
	free(s->segments);
	attrs_fini(&s->attrs);
	for (size_t i = 0; i < s->point_count; i++)
		point_fini(&s->points[i]);
	free(s->points);
	memset(s, 0, sizeof(*s));
}

/* ---- encoding ------------------------------------------------------- */

static int check_text(const char *what, const char *s, size_t max,
		      struct err *e)
{
	if (s == NULL || strlen(s) > max)
		return err_set(e, ERR_FAILED, "%s is longer than %zu bytes",
			       what, max);
	return 0;
}

static int put_text(struct buf *b, const char *what, const char *s, size_t max,
		    struct err *e)
{
	if (check_text(what, s, max, e) < 0)
		return -1;
	wr_string(b, s);
	return 0;
}

static int put_count(struct buf *b, const char *what, size_t n, size_t max,
		     struct err *e)
{
	if (n > max)
		return err_set(e, ERR_FAILED, "more than %zu %s in a set", max,
			       what);
	wr_u32(b, (uint32_t)n);
	return 0;
}

static int put_attrs(struct buf *b, const struct attrs *a, struct err *e)
{
	if (put_count(b, "attributes", a->count, MAX_ATTRS, e) < 0)
		return -1;
	for (size_t i = 0; i < a->count; i++) {
		if (put_text(b, "key", a->items[i].key, MAX_NAME, e) < 0 ||
		    put_text(b, a->items[i].key, a->items[i].value, MAX_VALUE,
			     e) < 0)
			return -1;
	}
	return 0;
}

static int put_image(struct buf *b, const struct image *i, struct err *e)
{
	wr_u8(b, (uint8_t)i->kind);
	if (put_text(b, "image name", i->name, MAX_NAME, e) < 0)
		return -1;
	wr_u64(b, i->root.size);
	wr_u8(b, i->root.depth);
	wr_u8(b, i->root.hole);
	wr_bytes(b, i->root.top.b, HASH_SIZE);
	return put_attrs(b, &i->attrs, e);
}

static int put_point(struct buf *b, const struct point *p, struct err *e)
{
	wr_bytes(b, p->id.b, ID_SIZE);
	if (put_text(b, "point name", p->name, MAX_NAME, e) < 0)
		return -1;
	wr_u64(b, (uint64_t)p->time_ns);
	if (put_attrs(b, &p->attrs, e) < 0 ||
	    put_count(b, "images", p->image_count, MAX_IMAGES, e) < 0)
		return -1;
	for (size_t i = 0; i < p->image_count; i++)
		if (put_image(b, &p->images[i], e) < 0)
			return err_ctx(e, "point '%s'", p->name);
	return 0;
}

static int put_set(struct buf *b, const struct set *s, struct err *e)
{
	wr_u16(b, SET_VERSION);
	wr_bytes(b, s->session.b, ID_SIZE);
	wr_u64(b, s->generation);
	wr_u64(b, (uint64_t)s->time_ns);
	if (put_text(b, "host name", s->host, MAX_NAME, e) < 0 ||
	    put_text(b, "program name", s->program, MAX_NAME, e) < 0 ||
	    put_count(b, "segments", s->segment_count, MAX_SEGMENTS, e) < 0)
		return -1;
	for (size_t i = 0; i < s->segment_count; i++)
		if (put_text(b, "segment", s->segments[i], MAX_NAME, e) < 0)
			return -1;
	if (put_attrs(b, &s->attrs, e) < 0 ||
	    put_count(b, "points", s->point_count, MAX_POINTS, e) < 0)
		return -1;
	for (size_t i = 0; i < s->point_count; i++)
		if (put_point(b, &s->points[i], e) < 0)
			return -1;
	return 0;
}

int set_encode(const struct set *s, struct buf *out, struct err *e)
{
	size_t start = out->len;

	if (put_set(out, s, e) == 0)
		return 0;
	out->len = start;
	return -1;
}

/* ---- decoding ------------------------------------------------------- */

/*
 * Decoders leave the set in a state that set_fini() can free, and mark the
 * reader bad: the one question is asked at the end.
 */

static char *get_text(struct reader *r, size_t max)
{
	char *s = rd_string(r, max);

	return s != NULL ? s : mem_strdup("");
}

/* A count of things that need at least `least` bytes each. */
static size_t get_count(struct reader *r, size_t max, size_t least)
{
	size_t n = rd_u32(r);

	if (n > max || n > r->left / least) {
		r->bad = true;
		return 0;
	}
	return n;
}

static void get_attrs(struct reader *r, struct attrs *a)
{
	size_t n = get_count(r, MAX_ATTRS, 4);

	if (n == 0)
		return;
	a->items = mem_zalloc(n, sizeof(*a->items));
	for (size_t i = 0; i < n && !r->bad; i++) {
		a->items[i].key = get_text(r, MAX_NAME);
		a->items[i].value = get_text(r, MAX_VALUE);
		a->count = i + 1;
		/* canonical: sorted, each key once */
		if (i > 0 && strcmp(a->items[i - 1].key, a->items[i].key) >= 0)
			r->bad = true;
	}
}

static void get_root(struct reader *r, struct image_root *root)
{
	root->size = rd_u64(r);
	root->depth = rd_u8(r);
	uint8_t hole = rd_u8(r);

	root->hole = hole == 1;
	rd_copy(r, root->top.b, HASH_SIZE);
	if (hole > 1 || root->depth > TREE_MAX_DEPTH ||
	    root->size > IMAGE_MAX_SIZE)
		r->bad = true;
}

static void get_image(struct reader *r, struct image *i)
{
	uint8_t kind = rd_u8(r);

	if (kind < IMAGE_DISK || kind > IMAGE_STREAM)
		r->bad = true;
	i->kind = kind;
	i->name = get_text(r, MAX_NAME);
	get_root(r, &i->root);
	get_attrs(r, &i->attrs);
}

static void get_point(struct reader *r, struct point *p)
{
	rd_copy(r, p->id.b, ID_SIZE);
	p->name = get_text(r, MAX_NAME);
	p->time_ns = (int64_t)rd_u64(r);
	get_attrs(r, &p->attrs);
	size_t n = get_count(r, MAX_IMAGES, 48);

	for (size_t i = 0; i < n && !r->bad; i++)
		get_image(r, point_add_image(p));
}

static void get_segments(struct reader *r, struct set *s)
{
	size_t n = get_count(r, MAX_SEGMENTS, 2);

	if (n == 0)
		return;
	s->segments = mem_zalloc(n, sizeof(*s->segments));
	for (size_t i = 0; i < n && !r->bad; i++) {
		s->segments[i] = get_text(r, MAX_NAME);
		s->segment_count = i + 1;
	}
}

static void get_set(struct reader *r, struct set *s)
{
	if (rd_u16(r) != SET_VERSION)
		r->bad = true;
	rd_copy(r, s->session.b, ID_SIZE);
	s->generation = rd_u64(r);
	s->time_ns = (int64_t)rd_u64(r);
	s->host = get_text(r, MAX_NAME);
	s->program = get_text(r, MAX_NAME);
	get_segments(r, s);
	get_attrs(r, &s->attrs);
	size_t n = get_count(r, MAX_POINTS, 34);

	for (size_t i = 0; i < n && !r->bad; i++)
		get_point(r, set_add_point(s));
}

int set_decode(const void *data, size_t size, struct set *s, struct err *e)
{
	struct reader r = reader_of(data, size);
	struct set got = { 0 };

	get_set(&r, &got);
	if (!rd_complete(&r)) {
		set_fini(&got);
		return err_set(e, ERR_INTEGRITY, "not the record of a set");
	}
	*s = got;
	return 0;
}
