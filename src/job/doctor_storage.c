/* SPDX-License-Identifier: Apache-2.0 */

/* Rules about volumes (datasets, LVs, file systems) and pools. */

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "job/doctor_rules.h"

#define KIB 1024u

/* What guests write at least: the block of ext4, XFS, NTFS. */
#define GUEST_BLOCK (4 * KIB)

#define RECORD_BEST (64 * KIB)

/* Beyond these ZFS looks for free space the slow way, and is fragmented. */
#define ZPOOL_WARN  80
#define ZPOOL_ERROR 95

#define THIN_WARN      80
#define THIN_ERROR     95
#define METADATA_WARN  70
#define METADATA_ERROR 90
#define AUTOEXTEND_OFF 100
#define WANTED_SECTORS 4 /* in a record, for compression to gain */

static const struct traits_pool *pool_of(const struct doctor_case *c)
{
	return c->volume->pool != TRAITS_NONE
		       ? &c->facts->traits.pools[c->volume->pool]
		       : NULL;
}

/* ---- ZFS volumes ---- */

static void record_large(struct doctor_case *c)
{
	const struct traits_volume *v = c->volume;

	if (v->kind != TRAITS_DATASET || v->block <= RECORD_BEST)
		return;
	char size[NUM_TEXT];

	num_size_text(v->block, size);
	doctor_found(c, RESULT_WARNING,
		     "such a write reads, and writes again, a whole record; "
		     "64K is the cluster of qcow2 and good for raw images; "
		     "images keep their old records until they are copied "
		     "(cp), with the guest off",
		     mem_fmt("zfs set recordsize=64K %s", c->name),
		     "recordsize %s: a guest's write of 4 KiB becomes one %llu "
		     "times as large",
		     size, (unsigned long long)(v->block / GUEST_BLOCK));
}

static uint64_t sector(const struct doctor_case *c)
{
	const struct traits_pool *p = pool_of(c);

	return p != NULL && p->ashift > 0 && p->ashift < 32
		       ? (uint64_t)1 << p->ashift
		       : 0;
}

/* A block is stored in whole sectors: of two, compression saves half or
 * nothing. */
static char *larger_blocks(const struct doctor_case *c, uint64_t want)
{
	const struct traits_volume *v = c->volume;
	uint64_t kib = num_max(want, 16 * KIB) / KIB;

	if (v->kind == TRAITS_DATASET)
		return mem_fmt("zfs set recordsize=%lluK %s",
			       (unsigned long long)kib, c->name);
	autofree char *fresh = mem_fmt("%s.new", v->name);
	autofree char *word = doctor_word(fresh);

	return mem_fmt("zfs create -s -V %llu -o volblocksize=%lluK %s",
		       (unsigned long long)v->volsize, (unsigned long long)kib,
		       word);
}

static void block_small(struct doctor_case *c)
{
	const struct traits_volume *v = c->volume;
	uint64_t unit = sector(c);
	uint64_t want = WANTED_SECTORS * unit;

	if (v->block == 0 || unit == 0 || !v->compressed || v->block >= want)
		return;
	bool never = v->block <= unit;
	char size[NUM_TEXT], at_once[NUM_TEXT];

	num_size_text(v->block, size);
	num_size_text(unit, at_once);
	doctor_found(c, never ? RESULT_WARNING : RESULT_HINT,
		     never ? "a record takes a whole sector, however well it "
			     "is compressed; existing data must be copied to "
			     "get larger ones"
			   : "a record takes whole sectors, so compression "
			     "gains only where it saves one; existing data "
			     "must be copied to get larger ones",
		     larger_blocks(c, want),
		     "%s %s with compression on sectors of %s",
		     v->kind == TRAITS_ZVOL ? "volblocksize" : "recordsize",
		     size, at_once);
}

static void block_tiny(struct doctor_case *c)
{
	const struct traits_volume *v = c->volume;

	if (v->block == 0 || v->block >= GUEST_BLOCK)
		return;
	char size[NUM_TEXT];

	num_size_text(v->block, size);
	doctor_found(c, RESULT_WARNING,
		     "each needs a record of its own with metadata as large; "
		     "existing data must be copied to get larger ones",
		     larger_blocks(c, 16 * KIB),
		     "%s %s is smaller than the 4 KiB that guests write",
		     v->kind == TRAITS_ZVOL ? "volblocksize" : "recordsize",
		     size);
}

static void reserved(struct doctor_case *c)
{
	const struct traits_volume *v = c->volume;
	const struct traits_pool *p = pool_of(c);

	if (v->reservation == 0)
		return;
	bool fails = p != NULL && p->size > p->used &&
		     p->size - p->used < v->referenced;
	char reserve[NUM_TEXT], data[NUM_TEXT];

	num_size_text(v->reservation, reserve);
	num_size_text(v->referenced, data);
	doctor_found(c, fails ? RESULT_ERROR : RESULT_WARNING,
		     fails ? "the first snapshot needs that much space again, "
			     "and the pool has less: it fails, or fills it"
			   : "the first snapshot takes as much again out of "
			     "the pool as the volume holds",
		     mem_fmt("zfs set refreservation=none %s", c->name),
		     "a reservation of %s, with %s of data", reserve, data);
}

static void sync_off(struct doctor_case *c)
{
	if (!c->volume->sync_off)
		return;
	doctor_found(c, RESULT_ERROR,
		     "what a guest has flushed is not on the disk: after a "
		     "power cut the last seconds are lost, and databases in it "
		     "can be damaged",
		     mem_fmt("zfs set sync=standard %s", c->name),
		     "sync=disabled: the guests' flushes are ignored");
}

/* ---- other volumes ---- */

static void thick(struct doctor_case *c)
{
	if (c->volume->kind != TRAITS_THICK)
		return;
	doctor_found(c, RESULT_HINT,
		     "a snapshot of it needs its size said beforehand, is "
		     "lost when that is full, and makes every write two; a "
		     "thin volume has neither, and the command makes one to "
		     "copy it to",
		     mem_fmt("lvcreate -T -V %llub -n NEW %.*s/POOL",
			     (unsigned long long)c->volume->size,
			     (int)strcspn(c->volume->name, "/"),
			     c->volume->name),
		     "a thick logical volume");
}

static void no_room(struct doctor_case *c)
{
	if (c->facts->host.overlays.path != NULL || !doctor_is_tight(c->volume))
		return;
	char free[NUM_TEXT], size[NUM_TEXT];

	num_size_text(c->volume->free, free);
	num_size_text(c->volume->size, size);
	doctor_found(c, RESULT_WARNING,
		     "overlays have no room there, so backups of running "
		     "guests are refused; and guests whose images grow are "
		     "paused when it is full",
		     mem_strdup("vmkeep backup --overlay-dir DIR DOMAIN"),
		     "%s of %s are free", free, size);
}

const struct doctor_rule doctor_volume_rules[] = {
	{ "record-large", record_large, "recordsize beyond 64K" },
	{ "record-small", block_small,
	  "records too small for compression to gain" },
	{ "record-tiny", block_tiny, "records below the guest's blocks" },
	{ "reservation", reserved, "thick zvols" },
	{ "sync-off", sync_off, "ZFS that ignores flushes" },
	{ "lvm-thick", thick, "disks on thick logical volumes" },
	{ "overlay-room", no_room, "no room for overlays beside disks" },
	{ NULL, NULL, NULL },
};

/* ---- pools ---- */

static void pool_ill(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (!p->zfs || p->health == NULL || strcmp(p->health, "ONLINE") == 0)
		return;
	bool degraded = strcmp(p->health, "DEGRADED") == 0;

	doctor_found(c, degraded ? RESULT_WARNING : RESULT_ERROR,
		     degraded ? "it goes on without a device that it should "
				"have: one more may be one too many"
			      : "it cannot be written to",
		     mem_fmt("zpool status -v %s", c->name), "the pool is %s",
		     p->health);
}

static void pool_full(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (!p->zfs || p->data < ZPOOL_WARN)
		return;
	char used[NUM_TEXT], size[NUM_TEXT];

	num_size_text(p->used, used);
	num_size_text(p->size, size);
	doctor_found(c, p->data >= ZPOOL_ERROR ? RESULT_ERROR : RESULT_WARNING,
		     "it gets slow beyond 80 %; when it is full guests are "
		     "paused, and even deleting may fail",
		     mem_fmt("zfs list -r -o space -S used %s", c->name),
		     "%u %% used (%s of %s)", p->data, used, size);
}

static void ashift_small(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (!p->zfs || p->ashift == 0 || p->ashift > 31 ||
	    p->physical <= (uint64_t)1 << p->ashift)
		return;
	char size[NUM_TEXT];

	num_size_text(p->physical, size);
	doctor_found(c, RESULT_WARNING,
		     "each smaller write makes the device read a sector and "
		     "write it again; it is fixed when a vdev is made: make a "
		     "new pool and send everything there",
		     mem_strdup("zpool create -o ashift=12 NEW DEVICE"),
		     "ashift %u (%llu bytes), and its devices have sectors of "
		     "%s",
		     p->ashift, 1ULL << p->ashift, size);
}

static char *extend(const struct doctor_case *c)
{
	return mem_fmt("lvextend -l +10%%FREE %s", c->name);
}

static void thin_full(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (p->zfs || p->data < THIN_WARN)
		return;
	char size[NUM_TEXT], spare[NUM_TEXT];

	num_size_text(p->size, size);
	num_size_text(p->vg_free, spare);
	doctor_found(c, p->data >= THIN_ERROR ? RESULT_ERROR : RESULT_WARNING,
		     p->errors_when_full
			     ? "when it is full every guest in it gets I/O "
			       "errors"
			     : "when it is full every guest in it hangs, and "
			       "after a minute gets I/O errors",
		     p->vg_free > 0 ? extend(c) : NULL,
		     "data %u %% full, of %s; the volume group has %s free",
		     p->data, size, spare);
}

static void metadata_full(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (p->zfs || p->metadata < METADATA_WARN)
		return;
	doctor_found(c,
		     p->metadata >= METADATA_ERROR ? RESULT_ERROR
						   : RESULT_WARNING,
		     "when it is full the pool is read-only and must be "
		     "repaired offline; every snapshot needs some",
		     mem_fmt("lvextend --poolmetadatasize +128M %s", c->name),
		     "metadata %u %% full", p->metadata);
}

static void no_autoextend(struct doctor_case *c)
{
	const struct traits_pool *p = c->pool;

	if (p->zfs || p->autoextend != AUTOEXTEND_OFF)
		return;
	bool over = p->promised > p->size;
	char promised[NUM_TEXT], size[NUM_TEXT];

	num_size_text(p->promised, promised);
	num_size_text(p->size, size);
	doctor_found(c, over ? RESULT_WARNING : RESULT_HINT,
		     over ? "the pool can fill, and nothing makes it larger"
			  : "snapshots can fill the pool, and nothing makes it "
			    "larger",
		     mem_strdup("sed -i 's/^.*thin_pool_autoextend_threshold "
				"=.*/\tthin_pool_autoextend_threshold = 70/' "
				"/etc/lvm/lvm.conf"),
		     "volumes of %s in a pool of %s, and autoextend is off",
		     promised, size);
}

const struct doctor_rule doctor_pool_rules[] = {
	{ "zpool-ill", pool_ill, "a zpool that is degraded or worse" },
	{ "zpool-full", pool_full, "a zpool that is nearly full" },
	{ "ashift-small", ashift_small, "ashift below the devices' sectors" },
	{ "thin-full", thin_full, "a thin pool that is nearly full" },
	{ "thin-metadata", metadata_full,
	  "a thin pool's metadata that is nearly full" },
	{ "thin-autoextend", no_autoextend,
	  "a thin pool that does not grow by itself" },
	{ NULL, NULL, NULL },
};
