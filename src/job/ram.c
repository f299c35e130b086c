/* SPDX-License-Identifier: Apache-2.0 */
#include "job/ram.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/gather.h"
#include "virt/ramdump.h"

#define RAM_THREADS 2
#define MAX_LAYOUT  (256u << 20)

static int read_pages(void *ctx, unsigned thread, uint64_t offset, size_t size,
		      uint8_t *to, struct err *e)
{
	(void)thread;
	return ramdump_read(ctx, offset, size, to, e);
}

static int feed_pages(const struct feed *f, struct ramdump *d, struct point *p,
		      struct err *e)
{
	AUTO(buf_fini) struct buf layout = BUF_INIT;
	const struct feed_source s = {
		.ctx = d,
		.size = d->layout.pages * RAMDUMP_PAGE,
		.threads = RAM_THREADS,
		.read = read_pages,
	};
	struct image_root root;

	if (feed_source(f, &s, &root, e) < 0)
		return -1;
	gather_image(p, IMAGE_RAM, IMAGE_MEMORY, &root);
	ramdump_layout_encode(&d->layout, &layout);
	if (intake_bytes(f->in, layout.p, layout.len, &root, e) < 0)
		return -1;
	gather_image(p, IMAGE_STREAM, IMAGE_LAYOUT, &root);
	return 0;
}

static int feed_stream_of(const struct feed *f, int fd, struct point *p,
			  struct err *e)
{
	struct image_root root;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at the RAM dump");
	if (feed_file(f, fd, (uint64_t)st.st_size, &root, e) < 0)
		return -1;
	gather_image(p, IMAGE_STREAM, IMAGE_MEMORY, &root);
	return 0;
}

int ram_feed(const struct feed *f, const char *path, struct point *p,
	     struct err *e)
{
	AUTO(ramdump_fini) struct ramdump d = { 0 };
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err why = ERR_INIT;

	if (fd < 0)
		return err_sys(e, "cannot open RAM dump '%s'", path);
	int understood = ramdump_open(fd, &d, &why);

	if (understood == 1)
		return feed_pages(f, &d, p, e);
	if (understood < 0) {
		*e = why;
		return -1;
	}
	talk_say(f->job->talk, TALK_INFO,
		 "%s: kept as a stream, which deduplicates badly: %s", f->what,
		 why.msg);
	return feed_stream_of(f, fd, p, e);
}

/* ---- back ------------------------------------------------------------ */

struct ram_sink {
	const struct ramdump_layout *layout;
	int fd;
};

static int write_pages(void *ctx, uint64_t offset, const uint8_t *data,
		       size_t size, struct err *e)
{
	const struct ram_sink *s = ctx;

	return ramdump_pages(s->layout, s->fd, offset, data, size, e);
}

static int pour_pages(const struct pour *pour,
		      const struct ramdump_layout *layout, int fd,
		      struct err *e)
{
	struct ram_sink sink = { .layout = layout, .fd = fd };

	if (layout->pages * RAMDUMP_PAGE != pour->root->size)
		return err_set(e, ERR_INTEGRITY,
			       "the RAM's layout does not fit its pages");
	if (ramdump_start(layout, fd, e) < 0 ||
	    pour_ordered(pour, write_pages, &sink, e) < 0)
		return -1;
	return ramdump_end(layout, fd, e);
}

int ram_pour(const struct pour *pour, const struct point *p, int fd,
	     struct err *e)
{
	const struct image *memory = point_image(p, IMAGE_MEMORY);
	const struct image *image = point_image(p, IMAGE_LAYOUT);
	AUTO(ramdump_layout_fini) struct ramdump_layout layout = { 0 };
	AUTO(buf_fini) struct buf b = BUF_INIT;

	if (memory->kind != IMAGE_RAM)
		return pour_stream(pour, fd, e);
	if (image == NULL)
		return err_set(e, ERR_INTEGRITY, "the RAM has no layout");
	if (reader_bytes(pour->repo, pour->set, &image->root, MAX_LAYOUT, &b,
			 e) < 0 ||
	    ramdump_layout_decode(b.p, b.len, &layout, e) < 0)
		return err_ctx(e, "RAM layout");
	return pour_pages(pour, &layout, fd, e);
}
