/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"
#include "ring_io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	VERSION = 1,
	BATCH = 1 << 20, /* bytes read at once by ring_load */
	SECTOR = 512,
	WHY = sizeof(((struct ring *)0)->why),
};

/* Offsets of 64-bit words in a record. The rest is a pattern of n. */
enum {
	R_MAGIC = 0,
	R_N = 8,
	R_PREV = 16,
	R_PAIR = 24,
	R_SUM = 32,
	R_FILL = 40
};

/* Offsets in the header, 64-bit words too. */
enum {
	H_MAGIC = 0,
	H_VERSION = 8,
	H_PAIR = 16,
	H_INDEX = 24,
	H_COUNT = 32,
	H_SLOT_SIZE = 40,
	H_SLOTS = 48,
	H_SUM = 56,
};

#define MAGIC_HEADER UINT64_C(0x474e49524b4d5657) /* "WVMKRING" */
#define MAGIC_RECORD UINT64_C(0x4345524b4d56574e) /* "NWVMKREC" */

__attribute__((format(printf, 2, 3))) static int fail(struct ring *r,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, sizeof(r->why), format, args);
	va_end(args);
	return -1;
}

/* --- where things are ---------------------------------------------------- */

static uint32_t disk_of(const struct ring *r, uint64_t n)
{
	return (uint32_t)(n % r->id.count);
}

static uint32_t slot_of(const struct ring *r, uint64_t n)
{
	return (uint32_t)(n / r->id.count % r->id.slots);
}

static uint64_t place_of(const struct ring *r, uint32_t slot)
{
	return (uint64_t)RING_START + RING_SLOTS +
	       (uint64_t)slot * r->id.slot_size;
}

/* The last number on the disk once the counter is at last. 0: none. */
static uint64_t last_on(const struct ring *r, uint32_t index, uint64_t last)
{
	uint64_t back = (last + r->id.count - index) % r->id.count;

	return back < last ? last - back : 0;
}

/*
 * The number that the slot holds when the disk's last one is last, or 0 when
 * the slot is still blank.
 */
static uint64_t number_in(const struct ring *r, uint32_t index, uint32_t slot,
			  uint64_t last)
{
	uint64_t turn = last / r->id.count;
	uint64_t back = (turn % r->id.slots + r->id.slots - slot) % r->id.slots;

	if (last == 0 || back > turn)
		return 0;
	return (turn - back) * r->id.count + index;
}

/* --- one record ----------------------------------------------------------- */

/* Fills buf with record n. Returns its checksum. */
static uint64_t record_make(const struct ring *r, uint8_t *buf, uint64_t n,
			    uint64_t prev)
{
	uint64_t x = (n ^ r->id.pair) | 1;
	uint64_t sum;

	put64(buf, R_MAGIC, MAGIC_RECORD);
	put64(buf, R_N, n);
	put64(buf, R_PREV, prev);
	put64(buf, R_PAIR, r->id.pair);
	for (size_t at = R_FILL; at < r->id.slot_size; at += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		put64(buf, at, x);
	}
	sum = sum_words(buf, r->id.slot_size, R_SUM);
	put64(buf, R_SUM, sum);
	return sum;
}

static bool is_blank(const uint8_t *buf, size_t size)
{
	for (size_t at = 0; at < size; at += 8)
		if (get64(buf, at) != 0)
			return false;
	return true;
}

/* The number in buf; 0 when blank; -1 when it is no whole record of ours. */
static int record_number(const struct ring *r, const uint8_t *buf, uint64_t *n)
{
	if (is_blank(buf, r->id.slot_size)) {
		*n = 0;
		return 0;
	}
	if (get64(buf, R_MAGIC) != MAGIC_RECORD ||
	    get64(buf, R_PAIR) != r->id.pair ||
	    get64(buf, R_SUM) != sum_words(buf, r->id.slot_size, R_SUM))
		return -1;
	*n = get64(buf, R_N);
	return 0;
}

/* --- opening -----------------------------------------------------------------
 */

static bool id_sane(const struct ring_id *id)
{
	return id->count >= 1 && id->count <= RING_MAX_DISKS &&
	       id->index < id->count && id->slots >= 2 &&
	       id->slot_size >= BLOCK && id->slot_size <= RING_SLOT_MAX &&
	       id->slot_size % BLOCK == 0;
}

int ring_identify(int fd, struct ring_id *id)
{
	uint8_t *buf = aligned(BLOCK);
	int found = 0;

	if (read_all(fd, buf, BLOCK, RING_START) == 0 &&
	    get64(buf, H_MAGIC) == MAGIC_HEADER &&
	    get64(buf, H_VERSION) == VERSION &&
	    get64(buf, H_SUM) == sum_words(buf, BLOCK, H_SUM)) {
		id->pair = get64(buf, H_PAIR);
		id->index = (uint32_t)get64(buf, H_INDEX);
		id->count = (uint32_t)get64(buf, H_COUNT);
		id->slot_size = (uint32_t)get64(buf, H_SLOT_SIZE);
		id->slots = (uint32_t)get64(buf, H_SLOTS);
		found = id_sane(id);
	}
	free(buf);
	return found;
}

static bool ring_is_new(const struct ring *r)
{
	return r->buf == NULL;
}

int ring_add(struct ring *r, int fd, const char *name, const struct ring_id *id)
{
	struct ring_disk *d = &r->disk[id->index];

	if (ring_is_new(r)) {
		r->id = *id;
		r->buf = aligned(id->slot_size);
	}
	if (id->pair != r->id.pair || id->count != r->id.count ||
	    id->slots != r->id.slots || id->slot_size != r->id.slot_size)
		return fail(r, "%s belongs to another guest", name);
	if (d->expect != NULL)
		return fail(r, "%s and %s are the same disk", name, d->name);
	d->fd = fd;
	d->expect = aligned(id->slot_size);
	snprintf(d->name, sizeof(d->name), "%s", name);
	return 0;
}

void ring_fini(struct ring *r)
{
	for (uint32_t i = 0; i < RING_MAX_DISKS; i++) {
		if (r->disk[i].expect != NULL)
			close(r->disk[i].fd);
		free(r->disk[i].expect);
	}
	free(r->buf);
	*r = (struct ring){ 0 };
}

/* --- reading all of it -----------------------------------------------------
 */

/* What ring_load remembers of each slot. */
struct slot {
	uint64_t n, sum, prev;
};

struct scan {
	struct ring *ring;
	struct slot *slot[RING_MAX_DISKS];
	uint64_t last[RING_MAX_DISKS];
};

static int scan_slot(struct scan *s, uint32_t index, uint32_t slot,
		     const uint8_t *buf)
{
	struct ring *r = s->ring;
	struct slot *to = &s->slot[index][slot];
	uint64_t n;

	if (record_number(r, buf, &n) < 0)
		return fail(r, "%s: slot %u is torn or foreign",
			    r->disk[index].name, slot);
	if (n == 0)
		return 0;
	if (disk_of(r, n) != index || slot_of(r, n) != slot)
		return fail(r, "%s: record %llu is misplaced",
			    r->disk[index].name, (unsigned long long)n);
	*to = (struct slot){ n, get64(buf, R_SUM), get64(buf, R_PREV) };
	if (n > s->last[index])
		s->last[index] = n;
	return 0;
}

static int scan_disk(struct scan *s, uint32_t index, uint8_t *buf)
{
	struct ring *r = s->ring;
	uint32_t batch = BATCH / r->id.slot_size;
	uint32_t size = r->id.slot_size;

	for (uint32_t slot = 0; slot < r->id.slots; slot += batch) {
		if (batch > r->id.slots - slot)
			batch = r->id.slots - slot;
		if (read_all(r->disk[index].fd, buf, (size_t)batch * size,
			     place_of(r, slot)) < 0)
			return fail(r, "%s: cannot read: %s",
				    r->disk[index].name, strerror(errno));
		for (uint32_t i = 0; i < batch; i++)
			if (scan_slot(s, index, slot + i,
				      buf + (size_t)i * size) < 0)
				return -1;
	}
	return 0;
}

/* Every slot must hold what it should after the disk's last record. */
static int scan_complete(struct scan *s, uint32_t index)
{
	struct ring *r = s->ring;

	for (uint32_t i = 0; i < r->id.slots; i++) {
		uint64_t want = number_in(r, index, i, s->last[index]);

		if (s->slot[index][i].n != want)
			return fail(r, "%s: slot %u holds %llu, not %llu",
				    r->disk[index].name, i,
				    (unsigned long long)s->slot[index][i].n,
				    (unsigned long long)want);
	}
	return 0;
}

/* The last numbers must follow one another: one instant. */
static int scan_instant(struct scan *s, uint64_t last)
{
	struct ring *r = s->ring;

	for (uint32_t i = 0; i < r->id.count; i++) {
		uint64_t want = last_on(r, i, last);

		if (s->last[i] != want)
			return fail(r,
				    "disks are of different instants: %s ends "
				    "with %llu, expected %llu, the others "
				    "reach %llu",
				    r->disk[i].name,
				    (unsigned long long)s->last[i],
				    (unsigned long long)want,
				    (unsigned long long)last);
	}
	return 0;
}

static const struct slot *scan_find(const struct scan *s, uint64_t n)
{
	const struct ring *r = s->ring;
	const struct slot *slot = &s->slot[disk_of(r, n)][slot_of(r, n)];

	return n > 0 && slot->n == n ? slot : NULL;
}

static int scan_chain(struct scan *s, uint64_t last)
{
	struct ring *r = s->ring;
	const struct slot *slot, *before;

	for (uint64_t n = last; (slot = scan_find(s, n)) != NULL; n--) {
		before = scan_find(s, n - 1);
		if ((before != NULL && before->sum != slot->prev) ||
		    (n == 1 && slot->prev != 0))
			return fail(r, "the chain is broken before %llu",
				    (unsigned long long)n);
	}
	return 0;
}

static int scan_run(struct scan *s, uint64_t *last)
{
	struct ring *r = s->ring;
	uint8_t *buf = aligned(BATCH);
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < r->id.count; i++)
		ret = scan_disk(s, i, buf);
	for (uint32_t i = 0; ret == 0 && i < r->id.count; i++)
		ret = scan_complete(s, i);
	free(buf);
	*last = 0;
	for (uint32_t i = 0; i < r->id.count; i++)
		if (s->last[i] > *last)
			*last = s->last[i];
	if (ret == 0)
		ret = scan_instant(s, *last);
	return ret == 0 ? scan_chain(s, *last) : -1;
}

/* RAM's copies of the last records, read from the disks. */
static int adopt(struct ring *r, uint64_t last)
{
	for (uint32_t i = 0; i < r->id.count; i++) {
		struct ring_disk *d = &r->disk[i];

		d->last = last_on(r, i, last);
		if (d->last != 0 &&
		    read_all(d->fd, d->expect, r->id.slot_size,
			     place_of(r, slot_of(r, d->last))) < 0)
			return fail(r, "%s: cannot read: %s", d->name,
				    strerror(errno));
	}
	r->last = last;
	r->last_sum =
		last == 0 ? 0 : get64(r->disk[disk_of(r, last)].expect, R_SUM);
	return 0;
}

static int ring_scan(struct ring *r, uint64_t *last)
{
	struct scan s = { .ring = r };
	int ret;

	for (uint32_t i = 0; i < r->id.count; i++) {
		if (r->disk[i].expect == NULL)
			return fail(r, "disk %u of %u is missing", i + 1,
				    r->id.count);
		s.slot[i] = calloc(r->id.slots, sizeof(*s.slot[i]));
		if (s.slot[i] == NULL)
			abort();
	}
	ret = scan_run(&s, last);
	for (uint32_t i = 0; i < r->id.count; i++)
		free(s.slot[i]);
	return ret;
}

int ring_load(struct ring *r)
{
	uint64_t last;

	if (ring_is_new(r))
		return fail(r, "no witness disk found");
	if (ring_scan(r, &last) < 0)
		return -1;
	return adopt(r, last);
}

int ring_check(struct ring *r)
{
	uint64_t last;

	if (ring_scan(r, &last) < 0)
		return -1;
	if (last != r->last)
		return fail(r, "disks end with %llu, RAM with %llu",
			    (unsigned long long)last,
			    (unsigned long long)r->last);
	return ring_verify(r);
}

/* --- writing and comparing ------------------------------------------------ */

int ring_append(struct ring *r)
{
	uint64_t n = r->last + 1;
	struct ring_disk *d = &r->disk[disk_of(r, n)];
	uint64_t sum = record_make(r, r->buf, n, r->last_sum);

	if (write_all(d->fd, r->buf, r->id.slot_size,
		      place_of(r, slot_of(r, n))) < 0 ||
	    fdatasync(d->fd) < 0)
		return fail(r, "%s: cannot write record %llu: %s", d->name,
			    (unsigned long long)n, strerror(errno));
	memcpy(d->expect, r->buf, r->id.slot_size);
	d->last = n;
	r->last_sum = sum;
	__atomic_store_n(&r->last, n, __ATOMIC_RELEASE);
	return 0;
}

static int read_slot(struct ring *r, uint32_t index, uint32_t slot)
{
	struct ring_disk *d = &r->disk[index];

	if (read_all(d->fd, r->buf, r->id.slot_size, place_of(r, slot)) < 0)
		return fail(r, "%s: cannot read slot %u: %s", d->name, slot,
			    strerror(errno));
	return 0;
}

static int verify_last(struct ring *r, uint32_t index)
{
	struct ring_disk *d = &r->disk[index];

	if (d->last == 0)
		return 0;
	if (read_slot(r, index, slot_of(r, d->last)) < 0)
		return -1;
	if (memcmp(r->buf, d->expect, r->id.slot_size) != 0)
		return fail(r, "%s: RAM says record %llu, the disk has %llu",
			    d->name, (unsigned long long)d->last,
			    (unsigned long long)get64(r->buf, R_N));
	return 0;
}

static int verify_slot(struct ring *r, uint32_t index, uint32_t slot)
{
	struct ring_disk *d = &r->disk[index];
	uint64_t want = number_in(r, index, slot, d->last), n;

	if (read_slot(r, index, slot) < 0)
		return -1;
	if (record_number(r, r->buf, &n) < 0)
		return fail(r, "%s: slot %u is torn or foreign", d->name, slot);
	if (n != want)
		return fail(r, "%s: slot %u holds %llu, RAM says %llu", d->name,
			    slot, (unsigned long long)n,
			    (unsigned long long)want);
	return 0;
}

int ring_verify(struct ring *r)
{
	for (uint32_t i = 0; i < r->id.count; i++) {
		uint32_t next = slot_of(r, r->disk[i].last + r->id.count);

		/* Before the first record, slot 0 of disk 0 stays blank. */
		if (verify_last(r, i) < 0 || verify_slot(r, i, next) < 0 ||
		    verify_slot(r, i, r->scrub) < 0)
			return -1;
	}
	r->scrub = (r->scrub + 1) % r->id.slots;
	return 0;
}

/* --- making an empty one -----------------------------------------------------
 */

static void put32(uint8_t *buf, uint64_t value)
{
	uint32_t le = htole32((uint32_t)value);

	memcpy(buf, &le, sizeof(le));
}

/* A classic partition table, so that the guest's kernel finds a file system. */
static void make_mbr(uint8_t *mbr, uint64_t end, uint64_t size)
{
	uint8_t *entry = mbr + 446;

	entry[4] = 0xda; /* no file system */
	put32(entry + 8, RING_START / SECTOR);
	put32(entry + 12, (end - RING_START) / SECTOR);
	if (size > end) {
		entry[16 + 4] = 0x83;
		put32(entry + 16 + 8, end / SECTOR);
		put32(entry + 16 + 12, (size - end) / SECTOR);
	}
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
}

static void make_header(uint8_t *buf, const struct ring_id *id)
{
	put64(buf, H_MAGIC, MAGIC_HEADER);
	put64(buf, H_VERSION, VERSION);
	put64(buf, H_PAIR, id->pair);
	put64(buf, H_INDEX, id->index);
	put64(buf, H_COUNT, id->count);
	put64(buf, H_SLOT_SIZE, id->slot_size);
	put64(buf, H_SLOTS, id->slots);
	put64(buf, H_SUM, sum_words(buf, BLOCK, H_SUM));
}

int ring_format(int fd, const struct ring_id *id, uint64_t size, char *why)
{
	uint8_t mbr[SECTOR] = { 0 }, header[BLOCK] = { 0 };
	uint64_t end = (uint64_t)RING_START + RING_SLOTS +
		       (uint64_t)id->slots * id->slot_size;

	if (!id_sane(id) || end > size) {
		snprintf(why, WHY, "a ring of %u slots does not fit",
			 id->slots);
		return -1;
	}
	/* The partition after it starts at a whole MiB. */
	end = (end + (1 << 20) - 1) & ~(uint64_t)((1 << 20) - 1);
	make_mbr(mbr, end < size ? end : size, size);
	make_header(header, id);
	if (write_all(fd, mbr, sizeof(mbr), 0) < 0 ||
	    write_all(fd, header, sizeof(header), RING_START) < 0) {
		snprintf(why, WHY, "cannot write: %s", strerror(errno));
		return -1;
	}
	return 0;
}
