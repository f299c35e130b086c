/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/ramdump_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#define WINDOW (1u << 20)

/* libvirt, qemu_saveimage.h */
#define SAVE_MAGIC      "LibvirtQemudSave"
#define SAVE_HEADER     92
#define SAVE_COMPRESSED 28 /* u32: 0 is raw */

/* QEMU, migration/savevm.c */
#define VM_MAGIC       0x5145564d
#define VM_VERSION     3
#define SECTION_START  0x01
#define SECTION_PART   0x02
#define SECTION_END    0x03
#define SECTION_CONFIG 0x07
#define SECTION_FOOTER 0x7e

/* QEMU, migration/ram.c */
#define RAM_ZERO     0x02
#define RAM_MEM_SIZE 0x04
#define RAM_PAGE     0x08
#define RAM_EOS      0x10
#define RAM_CONTINUE 0x20
#define RAM_FLAGS    0xfff
#define RAM_VERSION  4

#define MAX_XML    (64u << 20)
#define MAX_PAGES  (1ull << 36) /* 256 TiB of RAM */
#define MAX_BLOCKS 4096

/* ---- reading --------------------------------------------------------- */

void stream_fini(struct stream *s)
{
	free(s->window);
}

static void odd(struct stream *s, const char *what)
{
	if (s->err.code == ERR_NONE)
		err_set(&s->err, ERR_REFUSED, "%s at byte %llu", what,
			(unsigned long long)s->at);
}

static void fill(struct stream *s, size_t need)
{
	size_t n = num_min(WINDOW, s->size - s->at);

	if (s->window == NULL)
		s->window = mem_alloc(WINDOW);
	if (n < need) {
		odd(s, "the dump ends early");
		return;
	}
	if (fd_pread_full(s->fd, s->window, n, s->at, &s->err) < 0)
		return;
	s->window_at = s->at;
	s->window_len = n;
}

/* The next n bytes (n is small), or zeroes after a failure. */
static const uint8_t *take(struct stream *s, size_t n)
{
	static const uint8_t none[256];

	if (s->err.code == ERR_NONE &&
	    (s->at < s->window_at || s->at + n > s->window_at + s->window_len))
		fill(s, n);
	if (s->err.code != ERR_NONE)
		return none;
	const uint8_t *p = s->window + (s->at - s->window_at);

	s->at += n;
	return p;
}

static void skip(struct stream *s, uint64_t n)
{
	if (s->err.code != ERR_NONE)
		return;
	if (n > s->size - s->at)
		odd(s, "the dump ends early");
	else
		s->at += n;
}

/* QEMU's numbers are big-endian, and only here. */
static uint64_t number(struct stream *s, size_t size)
{
	const uint8_t *p = take(s, size);
	uint64_t v = 0;

	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static uint8_t get_u8(struct stream *s)
{
	return (uint8_t)number(s, 1);
}

static uint32_t get_be32(struct stream *s)
{
	return (uint32_t)number(s, 4);
}

static uint64_t get_be64(struct stream *s)
{
	return number(s, 8);
}

static void get_name(struct stream *s, char name[256])
{
	size_t n = get_u8(s);
	const uint8_t *p = take(s, n);

	memcpy(name, p, n);
	name[n] = '\0';
	if (strlen(name) != n)
		odd(s, "a name with a zero inside");
}

static uint32_t host_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* ---- what comes before the pages ------------------------------------- */

static void read_save_header(struct stream *s)
{
	uint8_t h[SAVE_HEADER];

	memcpy(h, take(s, SAVE_HEADER), SAVE_HEADER);
	uint32_t xml = host_u32(h + 20);

	if (memcmp(h, SAVE_MAGIC, strlen(SAVE_MAGIC)) != 0)
		odd(s, "not libvirt's save format");
	else if (host_u32(h + SAVE_COMPRESSED) != 0)
		odd(s, "the dump is compressed (snapshot_image_format)");
	else if (xml > MAX_XML)
		odd(s, "a definition too large");
	skip(s, xml);
}

static void read_vm_header(struct stream *s)
{
	if (get_be32(s) != VM_MAGIC || get_be32(s) != VM_VERSION)
		odd(s, "not QEMU's migration stream");
	uint8_t type = get_u8(s);

	if (type == SECTION_CONFIG) {
		skip(s, get_be32(s)); /* the machine's name */
		type = get_u8(s);
	}
	if (type != SECTION_START)
		odd(s, "an unknown configuration");
}

static void read_block(struct stream *s, struct ramdump_layout *l)
{
	struct ramdump_block *b;

	if (l->block_count == MAX_BLOCKS) {
		odd(s, "too many blocks of RAM");
		return;
	}
	l->blocks = mem_grow(l->blocks, l->block_count + 1, sizeof(*b));
	b = &l->blocks[l->block_count++];
	memset(b, 0, sizeof(*b));
	get_name(s, b->name);
	uint64_t size = get_be64(s);

	b->pages = size / RAMDUMP_PAGE;
	if (size % RAMDUMP_PAGE != 0 || b->pages > MAX_PAGES)
		odd(s, "a block of RAM of an odd size");
	l->pages += b->pages;
}

/* The START section of "ram": the table of blocks. */
static void read_ram_start(struct stream *s, struct ramdump_layout *l)
{
	char name[256];

	l->section = get_be32(s);
	get_name(s, name);
	get_be32(s); /* instance */
	if (strcmp(name, "ram") != 0 || get_be32(s) != RAM_VERSION)
		odd(s, "another section before RAM's");
	uint64_t total = get_be64(s);
	uint64_t seen = 0;

	if ((total & RAM_FLAGS) != RAM_MEM_SIZE)
		odd(s, "no table of RAM");
	total &= ~(uint64_t)RAM_FLAGS;
	while (seen < total && s->err.code == ERR_NONE) {
		read_block(s, l);
		seen = l->pages * RAMDUMP_PAGE;
	}
	if (seen != total || get_be64(s) != RAM_EOS)
		odd(s, "an unknown table of RAM");
}

/* Sections end with a mark since QEMU 2.4, unless the machine is older. */
static void read_footer(struct stream *s, const struct ramdump_layout *l)
{
	if (!l->footers)
		return;
	if (get_u8(s) != SECTION_FOOTER || get_be32(s) != l->section)
		odd(s, "no mark at a section's end");
}

static void read_first_footer(struct stream *s, struct ramdump_layout *l)
{
	uint64_t at = s->at;

	l->footers = get_u8(s) == SECTION_FOOTER;
	s->at = at;
	read_footer(s, l);
}

/* ---- the pages ------------------------------------------------------- */

/* Blocks by name: a dump names one where it changes. */
static uint64_t find_block(struct stream *s, const struct ramdump_layout *l,
			   const char *name, uint64_t *pages)
{
	uint64_t first = 0;

	for (size_t i = 0; i < l->block_count; i++) {
		if (strcmp(l->blocks[i].name, name) == 0) {
			*pages = l->blocks[i].pages;
			return first;
		}
		first += l->blocks[i].pages;
	}
	odd(s, "a page of no block");
	*pages = 0;
	return 0;
}

/* Where in RAM the records are; goes on from section to section. */
struct spot {
	uint64_t first; /* page where the block starts */
	uint64_t pages; /* in the block */
};

static void read_page(struct stream *s, struct ramdump *d, struct spot *spot,
		      uint64_t word)
{
	uint64_t flags = word & RAM_FLAGS;
	uint64_t page = word / RAMDUMP_PAGE;
	char name[256];

	if ((flags & RAM_CONTINUE) == 0) {
		get_name(s, name);
		spot->first = find_block(s, &d->layout, name, &spot->pages);
	}
	flags &= ~(uint64_t)RAM_CONTINUE;
	if (page >= spot->pages) {
		odd(s, "a page outside its block");
	} else if (flags == RAM_ZERO) {
		if (get_u8(s) != 0)
			odd(s, "a page filled with a byte");
		d->where[spot->first + page] = 0;
	} else if (flags == RAM_PAGE) {
		d->where[spot->first + page] = s->at;
		skip(s, RAMDUMP_PAGE);
	} else {
		odd(s, "an unknown record of RAM");
	}
}

static void read_records(struct stream *s, struct ramdump *d, struct spot *spot)
{
	uint64_t word;

	while (s->err.code == ERR_NONE) {
		word = get_be64(s);
		if ((word & RAM_FLAGS) == RAM_EOS)
			break;
		read_page(s, d, spot, word);
	}
	read_footer(s, &d->layout);
}

/* PART, PART, ..., END: then come the devices. */
static void read_sections(struct stream *s, struct ramdump *d)
{
	struct spot spot = { 0, 0 };
	uint8_t type = SECTION_PART;

	assert(d->where != NULL);
	while (type != SECTION_END && s->err.code == ERR_NONE) {
		type = get_u8(s);
		if ((type != SECTION_PART && type != SECTION_END) ||
		    get_be32(s) != d->layout.section)
			odd(s, "another section between RAM's");
		read_records(s, d, &spot);
	}
}

int stream_scan(struct stream *s, struct ramdump *d, struct err *e)
{
	read_save_header(s);
	read_vm_header(s);
	read_ram_start(s, &d->layout);
	read_first_footer(s, &d->layout);
	s->head_end = s->at;
	if (s->err.code == ERR_NONE) {
		d->where = mem_try(d->layout.pages, sizeof(*d->where));
		if (d->where == NULL)
			err_set(&s->err, ERR_REFUSED,
				"no memory for a table of %llu pages",
				(unsigned long long)d->layout.pages);
	}
	if (s->err.code == ERR_NONE)
		read_sections(s, d);
	s->tail_start = s->at;
	if (s->err.code == ERR_NONE)
		return 0;
	*e = s->err;
	return -1;
}

/* ---- writing --------------------------------------------------------- */

static void put_number(struct buf *b, uint64_t v, size_t size)
{
	for (size_t i = size; i > 0; i--)
		wr_u8(b, (uint8_t)(v >> 8 * (i - 1)));
}

void stream_put_section(struct buf *b, uint32_t section)
{
	wr_u8(b, SECTION_END);
	put_number(b, section, 4);
}

void stream_put_page(struct buf *b, const char *name, uint64_t address,
		     const uint8_t *page)
{
	bool zero = bytes_zero(page, RAMDUMP_PAGE);
	uint64_t word = address | (zero ? RAM_ZERO : RAM_PAGE);

	put_number(b, word | (name == NULL ? RAM_CONTINUE : 0), 8);
	if (name != NULL) {
		wr_u8(b, (uint8_t)strlen(name));
		wr_bytes(b, name, strlen(name));
	}
	if (zero)
		wr_u8(b, 0);
	else
		wr_bytes(b, page, RAMDUMP_PAGE);
}

void stream_put_end(struct buf *b, uint32_t section, bool footers)
{
	put_number(b, RAM_EOS, 8);
	if (footers) {
		wr_u8(b, SECTION_FOOTER);
		put_number(b, section, 4);
	}
}
