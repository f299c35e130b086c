/* SPDX-License-Identifier: Apache-2.0 */

/* Rules about how a disk is connected, and about its chain as a whole. */

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "job/doctor_rules.h"

#define OUR_MARK ".vmkeep-" /* in the names of overlays: virt/overlay.h */

/* libvirt with json-c cannot start a domain with more (mended in 12.0). */
#define CHAIN_LONG 25

/* The first kernel whose btrfs copies before it makes a checksum. */
#define KERNEL_6_15 0x60fu

#define SECTOR_4K 4096u

static char *set_disk(const struct doctor_case *c, const char *what)
{
	return doctor_edit(c, "%s --edit target=%s --disk %s", c->name,
			   c->target, what);
}

/* O_DIRECT? */
static bool is_direct(const struct doctor_case *c)
{
	return doctor_is(c->how->cache, "none") ||
	       doctor_is(c->how->cache, "directsync");
}

static void cache_unsafe(struct doctor_case *c)
{
	if (!doctor_is(c->how->cache, "unsafe") || c->disk->readonly)
		return;
	doctor_found(c, RESULT_ERROR,
		     "what the guest has flushed is not on the disk: after a "
		     "crash of the host its file systems can be damaged",
		     set_disk(c, "cache=none"),
		     "cache='unsafe': the guest's flushes are ignored");
}

static void cache_twice(struct doctor_case *c)
{
	if (c->volume == NULL || c->volume->fs != NULL || is_direct(c) ||
	    doctor_is(c->how->cache, "unsafe"))
		return;
	doctor_found(c, RESULT_HINT,
		     "all is cached twice, in the guest and on the host, and "
		     "a snapshot by the storage lacks what is in the cache "
		     "unless that is flushed first",
		     set_disk(c, "cache=none"),
		     "a block device with cache='%s'%s",
		     c->how->cache != NULL ? c->how->cache : "writeback",
		     c->how->cache != NULL ? "" : ", QEMU's default");
}

static void btrfs_direct(struct doctor_case *c)
{
	uint32_t kernel = c->facts->host.kernel;

	if (c->volume == NULL || !doctor_is(c->volume->fs, "btrfs") ||
	    !is_direct(c) || !traits_cow(c->place, c->volume) ||
	    c->volume->nodatasum || kernel == 0 || kernel >= KERNEL_6_15)
		return;
	doctor_found(c, RESULT_WARNING,
		     "a page that the guest changes while it is written gets "
		     "a wrong checksum, and cannot be read any more (mended in "
		     "Linux 6.15)",
		     set_disk(c, "cache=writeback"),
		     "cache='%s' (O_DIRECT) on btrfs with checksums, Linux "
		     "%u.%u",
		     c->how->cache, kernel >> 8, kernel & 0xff);
}

static void zfs_direct(struct doctor_case *c)
{
	if (c->volume == NULL || c->volume->kind != TRAITS_DATASET ||
	    !c->volume->direct || !is_direct(c))
		return;
	autofree char *dataset = doctor_word(c->volume->name);

	doctor_found(c, RESULT_HINT,
		     "since ZFS 2.3 such writes go past its cache, are slow "
		     "where they are smaller than a record, and fail when the "
		     "guest changes a page meanwhile",
		     mem_fmt("zfs set direct=disabled %s", dataset),
		     "cache='%s' (O_DIRECT) on a ZFS dataset with direct I/O",
		     c->how->cache);
}

static bool is_thin(const struct doctor_case *c)
{
	if (c->file->qcow2)
		return true;
	if (c->volume == NULL)
		return false;
	if (c->volume->fs == NULL)
		return c->volume->kind == TRAITS_THIN ||
		       (c->volume->kind == TRAITS_ZVOL &&
			c->volume->reservation == 0);
	return c->file->size > 0 && c->file->allocated < c->file->size;
}

static void no_discard(struct doctor_case *c)
{
	if (doctor_is(c->how->discard, "unmap") || c->disk->readonly ||
	    strcmp(c->disk->device, "disk") != 0 || !is_thin(c))
		return;
	doctor_found(c, RESULT_HINT,
		     "what the guest deletes (fstrim) still takes space on "
		     "the host, and is read and stored by every backup",
		     set_disk(c, "discard=unmap"),
		     "thin storage, and discard='%s'",
		     c->how->discard != NULL ? c->how->discard : "ignore");
}

static void zeroes_kept(struct doctor_case *c)
{
	if (!doctor_is(c->how->detect_zeroes, "unmap") ||
	    doctor_is(c->how->discard, "unmap"))
		return;
	doctor_found(c, RESULT_HINT,
		     "zeroes become holes only where discard is passed on, "
		     "too; now they cost time to find, and space",
		     set_disk(c, "discard=unmap"),
		     "detect_zeroes='unmap' without discard='unmap'");
}

static void sector_hidden(struct doctor_case *c)
{
	if (c->volume == NULL || c->volume->fs != NULL ||
	    c->volume->physical < SECTOR_4K || c->how->physical != 0)
		return;
	char size[NUM_TEXT];

	num_size_text(c->volume->physical, size);
	doctor_found(c, RESULT_HINT,
		     "the guest may write less than a sector, which the "
		     "device must then read and write again",
		     set_disk(c, "blockio.physical_block_size=4096"),
		     "the device writes %s at once, the guest is told of 512 "
		     "bytes",
		     size);
}

/* ---- what was left ---- */

/* All that is above this image goes into it. */
static char *flatten(const struct doctor_case *c, size_t base)
{
	autofree char *into =
		base > 1 ? mem_fmt(" --base %zu", base) : mem_strdup("");

	return doctor_vmkeep(c, "flatten %s --disk %s%s", c->name, c->target,
			     into);
}

/* The active image into the one below.  flatten refuses where the kept
 * definition names another one. */
static char *merge(const struct doctor_case *c)
{
	if (c->domain->journal)
		return mem_strdup("vmkeep recover");
	if (c->how->kept != NULL)
		return doctor_virsh(c,
				    "blockcommit %s %s --active --pivot "
				    "--shallow --wait",
				    c->name, c->target);
	return flatten(c, c->disk->chain_len - 1);
}

static void kept_elsewhere(struct doctor_case *c)
{
	if (c->how->kept == NULL || c->domain->claimed)
		return;
	doctor_found(c, RESULT_ERROR,
		     "when the guest is shut off and started again, all that "
		     "it has written since is not there",
		     c->how->kept_below ? merge(c) : NULL,
		     "the guest writes to '%s', and its kept definition names "
		     "'%s'",
		     c->image->path != NULL ? c->image->path : "(network)",
		     c->how->kept);
}

static void job_left(struct doctor_case *c)
{
	if (!c->disk->job_active || c->domain->claimed || c->domain->journal)
		return;
	doctor_found(
		c, RESULT_WARNING,
		"nothing else can be done with the disk until it ends; "
		"one that is ready waits for --pivot or --abort",
		doctor_virsh(c, "blockjob %s %s --info", c->name, c->target),
		"a block job runs on it, and it is not vmkeep's");
}

static bool is_ours(const char *path)
{
	return path != NULL && strstr(path, OUR_MARK) != NULL;
}

static void overlay_left(struct doctor_case *c)
{
	if (c->disk->chain_len < 2 || !is_ours(c->image->path) ||
	    c->domain->claimed)
		return;
	doctor_found(c, RESULT_WARNING,
		     "all that the guest writes goes there, and it grows: do "
		     "not delete it, merge it",
		     merge(c), "its active image is vmkeep's overlay '%s'",
		     c->image->path);
}

static bool has_image(const struct checkup *k, const char *path)
{
	for (size_t i = 0; i < k->info->disk_count; i++)
		for (size_t n = 0; n < k->info->disks[i].chain_len; n++)
			if (doctor_is(k->info->disks[i].chain[n].path, path))
				return true;
	return false;
}

/* Is an image below the active one in another domain's chain, too? */
static bool is_shared(const struct doctor_case *c)
{
	for (size_t n = 1; n < c->disk->chain_len; n++)
		for (size_t i = 0; i < c->facts->domain_count; i++)
			if (c->facts->domains[i] != c->domain &&
			    c->disk->chain[n].path != NULL &&
			    has_image(c->facts->domains[i],
				      c->disk->chain[n].path))
				return true;
	return false;
}

static void chain_left(struct doctor_case *c)
{
	if (c->disk->chain_len < 2 || is_ours(c->image->path) || is_shared(c))
		return;
	doctor_found(c,
		     c->disk->chain_len > CHAIN_LONG ? RESULT_WARNING
						     : RESULT_HINT,
		     "each image more makes reading slower and is one more to "
		     "lose; the command brings all into the base, also while "
		     "the guest runs, and refuses where another VM or image "
		     "needs one of them",
		     flatten(c, 1), "a chain of %zu images under '%s'",
		     c->disk->chain_len,
		     c->image->path != NULL ? c->image->path : "(network)");
}

const struct doctor_rule doctor_disk_rules[] = {
	{ "cache-unsafe", cache_unsafe, "flushes of the guest are ignored" },
	{ "cache-twice", cache_twice, "a device behind the host's page cache" },
	{ "btrfs-direct", btrfs_direct, "O_DIRECT on btrfs with checksums" },
	{ "zfs-direct", zfs_direct, "O_DIRECT on ZFS 2.3 and later" },
	{ "no-discard", no_discard, "thin storage that never gets thinner" },
	{ "zeroes-kept", zeroes_kept, "detect_zeroes without discard" },
	{ "sector-hidden", sector_hidden,
	  "large sectors that the guest is not told of" },
	{ "kept-elsewhere", kept_elsewhere,
	  "the next start would use other images" },
	{ "job-left", job_left, "a block job that is not vmkeep's" },
	{ "overlay-left", overlay_left, "an overlay of vmkeep's in use" },
	{ "chain-left", chain_left, "a chain of images that could be one" },
	{ NULL, NULL, NULL },
};
