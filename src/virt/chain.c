/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/chain.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

/* QEMU's docs/interop/qcow2.txt; all numbers there are big-endian. */
#define MAGIC          0x514649fbu
#define EXT_END        0u
#define EXT_BACKING    0xe2792acau
#define HEADER_V2      72
#define MAX_BACKING    1023
#define MAX_FORMAT     64
#define MAX_EXTENSIONS 64
#define HEAD           (64u << 10)

/* Incompatible features. */
#define FEATURE_DIRTY   1u
#define FEATURE_CORRUPT 2u

#define MAX_CLUSTER_BITS 30 /* QEMU stops at 21 */

/* libvirt gives up at 200. */
#define MAX_DEPTH 200

static uint32_t be32(struct reader *r)
{
	return __builtin_bswap32(rd_u32(r));
}

static uint64_t be64(struct reader *r)
{
	return __builtin_bswap64(rd_u64(r));
}

static char *text(const uint8_t *p, size_t n)
{
	char *s = mem_alloc(n + 1);

	memcpy(s, p, n);
	s[n] = 0;
	return s;
}

static struct reader from(const uint8_t *data, size_t size, uint64_t at)
{
	size_t skip = at < size ? (size_t)at : size;

	return reader_of(data + skip, size - skip);
}

static void read_extensions(struct reader *r, struct chain_header *h)
{
	for (unsigned i = 0; i < MAX_EXTENSIONS && !r->bad; i++) {
		uint32_t type = be32(r);
		uint32_t n = be32(r);
		const uint8_t *p = rd_view(r, n);

		if (type == EXT_END || p == NULL)
			return;
		if (type == EXT_BACKING && n > 0 && n <= MAX_FORMAT &&
		    h->backing_format == NULL)
			h->backing_format = text(p, n);
		(void)rd_view(r, (8 - n % 8) % 8);
	}
}

static int read_backing(const uint8_t *data, size_t size, uint64_t at,
			uint32_t n, struct chain_header *h)
{
	if (n == 0 || at == 0)
		return 0;
	if (n > MAX_BACKING)
		return -1;
	struct reader r = from(data, size, at);
	const uint8_t *p = rd_view(&r, n);

	if (p == NULL)
		return -1;
	h->backing = text(p, n);
	return 0;
}

int chain_parse(const void *data, size_t size, struct chain_header *h,
		struct err *e)
{
	struct chain_header found = { .size = 0 };
	struct reader r = reader_of(data, size);
	uint32_t magic = be32(&r);
	uint32_t version = be32(&r);
	uint64_t backing_at = be64(&r);
	uint32_t backing_size = be32(&r);
	uint32_t length = HEADER_V2;

	uint32_t cluster_bits = be32(&r);

	found.version = version;
	found.size = be64(&r);
	(void)rd_view(&r, 60 - 32); /* encryption, L1, refcounts */
	found.snapshots = be32(&r);
	(void)be64(&r); /* where they are */
	if (version >= 3) {
		uint64_t features = be64(&r);

		found.dirty = features & FEATURE_DIRTY;
		found.corrupt = features & FEATURE_CORRUPT;
		(void)rd_view(&r, 100 - 80); /* all up to the length */
		length = be32(&r);
	}
	if (r.bad || magic != MAGIC || version < 2 || version > 3 ||
	    cluster_bits > MAX_CLUSTER_BITS ||
	    read_backing(data, size, backing_at, backing_size, &found) < 0)
		return err_set(e, ERR_INTEGRITY, "not a qcow2 header");
	if (found.backing != NULL) {
		r = from(data, size, length);
		read_extensions(&r, &found);
	}
	found.cluster = (uint64_t)1 << cluster_bits;
	*h = found;
	return 0;
}

void chain_header_fini(struct chain_header *h)
{
	free(h->backing);
	free(h->backing_format);
	*h = (struct chain_header){ .size = 0 };
}

int chain_load(const char *path, struct chain_header *h)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	autofree uint8_t *head = mem_alloc(HEAD);
	struct err e = ERR_INIT;
	size_t got;

	if (fd < 0 || fd_read_some(fd, head, HEAD, &got, &e) < 0)
		return -1;
	return chain_parse(head, got, h, &e);
}

static uint64_t raw_size(const char *path)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint64_t size = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		return (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return 0;
	return size;
}

uint64_t chain_size(const char *path, const char *format)
{
	struct chain_header h = { .size = 0 };
	uint64_t size;

	if (strcmp(format, "raw") == 0)
		return raw_size(path);
	if (strcmp(format, "qcow2") != 0 || chain_load(path, &h) < 0)
		return 0;
	size = h.size;
	chain_header_fini(&h);
	return size;
}

void chain_add(struct domain_disk *disk, char *path, char *format, char *type)
{
	disk->chain = mem_grow(disk->chain, disk->chain_len + 1,
			       sizeof(*disk->chain));
	disk->chain[disk->chain_len++] = (struct domain_image){
		.path = path,
		.format = format,
		.type = type,
	};
}

char *chain_resolve(const char *above, const char *backing)
{
	if (strncmp(backing, "file:", 5) == 0)
		backing += 5;
	if (backing[strcspn(backing, ":/")] == ':')
		return NULL;
	if (backing[0] == '/')
		return mem_strdup(backing);
	autofree char *dir = path_dir(above);

	return path_join(dir, backing);
}

/* Where nothing is written QEMU looks, and so do we. */
static char *guess_format(const char *path)
{
	struct chain_header h = { .size = 0 };

	if (chain_load(path, &h) < 0)
		return mem_strdup("raw");
	chain_header_fini(&h);
	return mem_strdup("qcow2");
}

static const char *type_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? "block" : "file";
}

void chain_follow(struct domain_disk *disk)
{
	while (disk->chain_len > 0 && disk->chain_len < MAX_DEPTH) {
		const struct domain_image *last =
			&disk->chain[disk->chain_len - 1];
		struct chain_header h = { .size = 0 };

		if (last->path == NULL || strcmp(last->format, "qcow2") != 0 ||
		    chain_load(last->path, &h) < 0)
			return;
		if (h.backing == NULL) {
			chain_header_fini(&h);
			return;
		}
		char *path = chain_resolve(last->path, h.backing);
		char *format = mem_take(&h.backing_format);
		const char *type = path != NULL ? type_of(path) : "network";

		if (format == NULL)
			format = path != NULL ? guess_format(path)
					      : mem_strdup("raw");
		chain_add(disk, path, format, mem_strdup(type));
		chain_header_fini(&h);
	}
}
