/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/ramdump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "virt/ramdump_stream.h"

/* Head and tail are kept in memory: definition, devices' state. */
#define MAX_REST   (64u << 20)
#define MAX_BLOCKS 4096
#define VERSION    1

void ramdump_layout_fini(struct ramdump_layout *l)
{
	free(l->blocks);
	buf_fini(&l->head);
	buf_fini(&l->tail);
	memset(l, 0, sizeof(*l));
}

void ramdump_layout_encode(const struct ramdump_layout *l, struct buf *out)
{
	wr_u16(out, VERSION);
	wr_u32(out, l->section);
	wr_u8(out, l->footers);
	wr_u32(out, (uint32_t)l->block_count);
	for (size_t i = 0; i < l->block_count; i++) {
		wr_string(out, l->blocks[i].name);
		wr_u64(out, l->blocks[i].pages);
	}
	wr_u32(out, (uint32_t)l->head.len);
	wr_bytes(out, l->head.p, l->head.len);
	wr_u32(out, (uint32_t)l->tail.len);
	wr_bytes(out, l->tail.p, l->tail.len);
}

static void get_block(struct reader *r, struct ramdump_layout *l)
{
	struct ramdump_block *b = &l->blocks[l->block_count++];
	autofree char *name = rd_string(r, sizeof(b->name) - 1);

	if (name != NULL)
		memcpy(b->name, name, strlen(name) + 1); /* rd_string's max */
	b->pages = rd_u64(r);
	if (__builtin_add_overflow(l->pages, b->pages, &l->pages))
		r->bad = true;
}

static void get_bytes(struct reader *r, struct buf *b)
{
	size_t n = rd_u32(r);
	const uint8_t *p = rd_view(r, n);

	if (p != NULL)
		wr_bytes(b, p, n);
}

int ramdump_layout_decode(const void *data, size_t size,
			  struct ramdump_layout *l, struct err *e)
{
	struct reader r = reader_of(data, size);
	bool known = rd_u16(&r) == VERSION;

	memset(l, 0, sizeof(*l));
	l->section = rd_u32(&r);
	l->footers = rd_u8(&r) != 0;
	size_t count = rd_u32(&r);

	if (count > MAX_BLOCKS)
		r.bad = true;
	else
		l->blocks = mem_zalloc(count, sizeof(*l->blocks));
	while (!r.bad && l->block_count < count)
		get_block(&r, l);
	get_bytes(&r, &l->head);
	get_bytes(&r, &l->tail);
	if (known && rd_complete(&r))
		return 0;
	ramdump_layout_fini(l);
	return err_set(e, ERR_INTEGRITY, "not the layout of a RAM dump");
}

/* ---- apart ----------------------------------------------------------- */

void ramdump_fini(struct ramdump *d)
{
	ramdump_layout_fini(&d->layout);
	free(d->where);
	d->where = NULL;
}

static int read_rest(int fd, uint64_t from, uint64_t until, struct buf *b,
		     struct err *e)
{
	size_t size = (size_t)(until - from);

	if (until - from > MAX_REST)
		return err_set(e, ERR_REFUSED,
			       "more than %u bytes beside its "
			       "pages",
			       MAX_REST);
	if (fd_pread_full(fd, buf_room(b, size), size, from, e) < 0)
		return -1;
	b->len += size;
	return 0;
}

int ramdump_open(int fd, struct ramdump *d, struct err *e)
{
	struct stream s = { .fd = fd };
	struct stat st;
	int ok = -1;

	memset(d, 0, sizeof(*d));
	d->fd = fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at a RAM dump");
	s.size = (uint64_t)st.st_size;
	if (stream_scan(&s, d, e) == 0 &&
	    read_rest(fd, 0, s.head_end, &d->layout.head, e) == 0 &&
	    read_rest(fd, s.tail_start, s.size, &d->layout.tail, e) == 0)
		ok = 1;
	stream_fini(&s);
	if (ok < 0) {
		ramdump_fini(d);
		if (e->code == ERR_REFUSED || e->code == ERR_INTEGRITY)
			ok = 0;
	}
	return ok;
}

/* Pages that stand one behind the other in the file are read by one call,
 * their headers to nowhere. */
#define RUN_PAGES 256

static size_t run_of(const uint64_t *where, size_t n)
{
	size_t run = 1;

	while (run < n && run < RUN_PAGES &&
	       where[run] == where[run - 1] + RAMDUMP_PAGE + 8)
		run++;
	return run;
}

static int read_run(int fd, uint64_t at, size_t pages, uint8_t *to,
		    struct err *e)
{
	struct iovec iov[2 * RUN_PAGES];
	uint8_t header[8];
	size_t want = pages * RAMDUMP_PAGE + (pages - 1) * sizeof(header);

	for (size_t i = 0; i < pages; i++) {
		iov[2 * i] =
			(struct iovec){ to + i * RAMDUMP_PAGE, RAMDUMP_PAGE };
		iov[2 * i + 1] = (struct iovec){ header, sizeof(header) };
	}
	ssize_t got = preadv(fd, iov, (int)(2 * pages - 1), (off_t)at);

	if (got == (ssize_t)want)
		return 0;
	if (got < 0 && errno != EINTR)
		return err_sys(e, "cannot read a RAM dump");
	/* cut short: page by page, which waits or says why */
	for (size_t i = 0; i < pages; i++)
		if (fd_pread_full(fd, to + i * RAMDUMP_PAGE, RAMDUMP_PAGE,
				  at + i * (RAMDUMP_PAGE + 8), e) < 0)
			return -1;
	return 0;
}

int ramdump_read(const struct ramdump *d, uint64_t offset, size_t size,
		 uint8_t *to, struct err *e)
{
	const uint64_t *where = d->where + offset / RAMDUMP_PAGE;
	size_t pages = size / RAMDUMP_PAGE;

	for (size_t i = 0; i < pages;) {
		size_t run = 1;

		if (where[i] == 0) {
			memset(to + i * RAMDUMP_PAGE, 0, RAMDUMP_PAGE);
		} else {
			run = run_of(where + i, pages - i);
			if (read_run(d->fd, where[i], run,
				     to + i * RAMDUMP_PAGE, e) < 0)
				return -1;
		}
		i += run;
	}
	return 0;
}

/* ---- together -------------------------------------------------------- */

int ramdump_start(const struct ramdump_layout *l, int fd, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	stream_put_section(&b, l->section);
	if (fd_write_full(fd, l->head.p, l->head.len, e) < 0)
		return -1;
	return fd_write_full(fd, b.p, b.len, e);
}

/* The block of a page, and the page's number in it. */
static const struct ramdump_block *block_of(const struct ramdump_layout *l,
					    uint64_t *page)
{
	size_t i = 0;

	while (i < l->block_count && *page >= l->blocks[i].pages)
		*page -= l->blocks[i++].pages;
	return i < l->block_count ? &l->blocks[i] : NULL;
}

int ramdump_pages(const struct ramdump_layout *l, int fd, uint64_t offset,
		  const uint8_t *pages, size_t size, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	for (size_t i = 0; i < size / RAMDUMP_PAGE; i++) {
		uint64_t number = offset / RAMDUMP_PAGE + i;
		const struct ramdump_block *block = block_of(l, &number);

		if (block == NULL)
			return err_set(e, ERR_INTEGRITY,
				       "more pages than blocks of RAM");
		/* a zero page is sent, too: not all memory starts as zeroes
		 * (ROMs are loaded by the machine) */
		stream_put_page(&b, number == 0 || i == 0 ? block->name : NULL,
				number * RAMDUMP_PAGE,
				pages + i * RAMDUMP_PAGE);
	}
	return fd_write_full(fd, b.p, b.len, e);
}

int ramdump_end(const struct ramdump_layout *l, int fd, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	stream_put_end(&b, l->section, l->footers);
	if (fd_write_full(fd, b.p, b.len, e) < 0)
		return -1;
	return fd_write_full(fd, l->tail.p, l->tail.len, e);
}
