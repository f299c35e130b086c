/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <string.h>

#define NAME_MAX_BYTES 200

void store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

void store_close_at(struct store **s)
{
	store_close(*s);
}

static bool letter_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

/* The end of the part that starts here, or NULL when it is none. */
static const char *part_end(const char *p)
{
	if (!letter_ok(*p) || *p == '.')
		return NULL;
	while (letter_ok(*p))
		p++;
	return *p == '\0' || *p == '/' ? p : NULL;
}

/* Is it "a/b" (or, for a folder, "a/b/")? */
static bool path_ok(const char *p, bool folder)
{
	if (strnlen(p, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
		return false;
	if (strncmp(p, "tmp", 3) == 0 && (p[3] == '/' || p[3] == '\0'))
		return false;
	for (;;) {
		const char *end = part_end(p);

		if (end == NULL)
			return false;
		if (*end == '\0')
			return !folder;
		p = end + 1;
		if (*p == '\0')
			return folder;
	}
}

bool store_name_ok(const char *name)
{
	return path_ok(name, false);
}

static int check_name(const char *name, struct err *e)
{
	if (!store_name_ok(name))
		return err_set(e, ERR_INTEGRITY, "'%.*s' is no object's name",
			       NAME_MAX_BYTES, name);
	return 0;
}

int store_get(struct store *s, const char *name, uint64_t offset, size_t size,
	      void *to, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->get(s, name, offset, size, to, e);
}

int store_load(struct store *s, const char *name, size_t max, struct buf *b,
	       struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->load(s, name, max, b, e);
}

int store_put(struct store *s, const char *name, const struct iovec *iov,
	      size_t count, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->put(s, name, iov, count, false, e);
}

int store_put_new(struct store *s, const char *name, const struct iovec *iov,
		  size_t count, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->put(s, name, iov, count, true, e);
}

int store_stat(struct store *s, const char *name, struct store_stat *st,
	       struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->stat(s, name, st, e);
}

int store_list(struct store *s, const char *prefix, store_visit *visit,
	       void *ctx, struct err *e)
{
	if (*prefix != '\0' && !path_ok(prefix, true))
		return err_set(e, ERR_INTEGRITY, "'%.*s' is no objects' prefix",
			       NAME_MAX_BYTES, prefix);
	return s->ops->list(s, prefix, visit, ctx, e);
}

int store_del(struct store *s, const char *name, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	return s->ops->del(s, name, e);
}
