/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#define TAG (PAGES_SIZE - PAGES_CONTENT)

/* Written to the file at once. */
#define BATCH (512 * PAGES_SIZE)

/* room: key, number, content.  Its sum. */
static void page_sum(struct page_room *room, const struct hash *key,
		     uint64_t number, struct hash *sum)
{
	memcpy(room->b, key->b, HASH_SIZE);
	for (size_t i = 0; i < 8; i++)
		room->b[HASH_SIZE + i] = (uint8_t)(number >> 8 * i);
	hash_sha256(room->b, HASH_SIZE + 8 + PAGES_CONTENT, sum);
}

/* ---- writing --------------------------------------------------------- */

void pages_writer_init(struct pages_writer *w, int fd, const struct hash *key)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	w->key = *key;
}

void pages_writer_fini(struct pages_writer *w)
{
	buf_fini(&w->out);
}

static void write_out(struct pages_writer *w)
{
	if (w->fd < 0)
		return;
	if (w->fail.code == ERR_NONE)
		fd_write_full(w->fd, w->out.p, w->out.len, &w->fail);
	buf_clear(&w->out);
}

static void end_page(struct pages_writer *w)
{
	struct page_room room;
	struct hash sum = { { 0 } };

	memset(w->content + w->used, 0, PAGES_CONTENT - w->used);
	if (w->fd >= 0) {
		memcpy(room.b + HASH_SIZE + 8, w->content, PAGES_CONTENT);
		page_sum(&room, &w->key, w->pages, &sum);
	}
	wr_bytes(&w->out, w->content, PAGES_CONTENT);
	wr_bytes(&w->out, sum.b, TAG);
	w->pages++;
	w->used = 0;
	if (w->out.len >= BATCH)
		write_out(w);
}

void pages_add(struct pages_writer *w, const void *p, size_t n)
{
	if (w->used + n > PAGES_CONTENT)
		end_page(w);
	memcpy(w->content + w->used, p, n);
	w->used += n;
}

void pages_stream(struct pages_writer *w, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (n > 0) {
		if (w->used == PAGES_CONTENT)
			end_page(w);
		size_t part = num_min(n, PAGES_CONTENT - w->used);

		memcpy(w->content + w->used, from, part);
		w->used += part;
		from += part;
		n -= part;
	}
}

uint64_t pages_next(struct pages_writer *w)
{
	if (w->used > 0)
		end_page(w);
	return w->pages;
}

int pages_finish(struct pages_writer *w, struct err *e)
{
	pages_next(w);
	write_out(w);
	if (w->fail.code == ERR_NONE)
		return 0;
	*e = w->fail;
	return -1;
}

/* ---- reading --------------------------------------------------------- */

void pages_fini(struct pages *p)
{
	fd_close_at(&p->fd);
	free(p->path);
	buf_fini(&p->held);
	p->path = NULL;
}

static int read_page(const struct pages *p, uint64_t i, uint8_t *to,
		     struct err *e)
{
	autofd int own = p->fd < 0
				 ? open(p->path, O_RDONLY | O_CLOEXEC |
							 O_NOFOLLOW | O_NOCTTY)
				 : -1;
	int fd = p->fd < 0 ? own : p->fd;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", p->path);
	return fd_pread_full(fd, to, PAGES_SIZE, i * PAGES_SIZE, e);
}

const uint8_t *pages_get(const struct pages *p, uint64_t i,
			 struct page_room *room, struct err *e)
{
	uint8_t *content = room->b + HASH_SIZE + 8;
	struct hash sum;

	if (i >= p->count) {
		err_set(e, ERR_INTEGRITY, "no page of that number");
		return NULL;
	}
	if (p->held.p != NULL)
		return p->held.p + i * PAGES_SIZE;
	if (read_page(p, i, content, e) < 0)
		return NULL;
	page_sum(room, &p->key, i, &sum);
	if (memcmp(sum.b, content + PAGES_CONTENT, TAG) == 0)
		return content;
	err_set(e, ERR_INTEGRITY, "a page is not what was written");
	return NULL;
}

int pages_hold(struct pages *p, struct err *e)
{
	struct buf all = BUF_INIT;
	struct page_room room;

	for (uint64_t i = 0; i < p->count; i++) {
		const uint8_t *content = pages_get(p, i, &room, e);

		if (content == NULL) {
			buf_fini(&all);
			return -1;
		}
		wr_bytes(&all, content, PAGES_CONTENT);
		wr_zero(&all, TAG);
	}
	pages_fini(p);
	p->held = all;
	return 0;
}

int pages_load(const struct pages *p, uint64_t i, void *to, size_t size,
	       struct err *e)
{
	uint8_t *at = to;
	struct page_room room;

	while (size > 0) {
		const uint8_t *content = pages_get(p, i++, &room, e);
		size_t n = num_min(size, PAGES_CONTENT);

		if (content == NULL)
			return -1;
		memcpy(at, content, n);
		at += n;
		size -= n;
	}
	return 0;
}
