/* SPDX-License-Identifier: Apache-2.0 */

/* Rules about one image of a chain. */

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "job/doctor_rules.h"

static bool is_top(const struct doctor_case *c)
{
	return c->image == c->disk->chain;
}

static bool is_off(const struct doctor_case *c)
{
	return c->domain->info->state == DOMAIN_SHUT_OFF;
}

static bool is_raw(const struct doctor_case *c)
{
	return doctor_is(c->image->format, "raw");
}

static void missing(struct doctor_case *c)
{
	if (!c->file->local || c->file->exists)
		return;
	doctor_found(c, RESULT_ERROR,
		     is_off(c) ? "the guest cannot start; bring it back from "
				 "a point, or mount what it is on"
			       : "the guest has it open still, and loses it "
				 "when it ends",
		     NULL, "there is no '%s'", c->image->path);
}

static void unreadable(struct doctor_case *c)
{
	if (!c->file->exists || c->file->readable)
		return;
	doctor_found(c, RESULT_WARNING, "it cannot be backed up by this user",
		     mem_fmt("sudo setfacl -m u:$(id -un):r %s", c->path),
		     "'%s' may not be read", c->image->path);
}

static void in_memory(struct doctor_case *c)
{
	if (c->volume == NULL || !c->volume->memory)
		return;
	doctor_found(c, RESULT_WARNING,
		     "it is gone when the host is restarted; the command is "
		     "for when the guest is off, then name the copy in its "
		     "definition",
		     mem_fmt("cp --sparse=always %s /var/lib/libvirt/images/",
			     c->path),
		     "'%s' is in memory (%s)", c->image->path, c->volume->fs);
}

static void corrupt(struct doctor_case *c)
{
	if (!c->file->corrupt)
		return;
	doctor_found(c, RESULT_ERROR,
		     "QEMU found its tables damaged, and opens it for reading "
		     "only; copy it before you mend it, with the guest off",
		     mem_fmt("qemu-img check -r all %s", c->path),
		     "'%s' is marked as corrupt", c->image->path);
}

static void dirty(struct doctor_case *c)
{
	if (!c->file->dirty || !is_off(c))
		return;
	doctor_found(c, RESULT_WARNING,
		     "its reference counts are to be made anew, which delays "
		     "the next start and every reader",
		     mem_fmt("qemu-img check -r all %s", c->path),
		     "'%s' was not closed properly", c->image->path);
}

static void snapshots_inside(struct doctor_case *c)
{
	if (c->file->snapshots == 0)
		return;
	doctor_found(c, RESULT_HINT,
		     "what they alone need stays in the file, which grows; "
		     "points hold the present state only, and no bitmap "
		     "tracks changes across them; delete those that nobody "
		     "needs (virsh snapshot-delete, qemu-img snapshot -d)",
		     mem_fmt("qemu-img snapshot -U -l %s", c->path),
		     "'%s' has %u internal snapshot%s", c->image->path,
		     (unsigned)c->file->snapshots,
		     c->file->snapshots == 1 ? "" : "s");
}

/* The image below, as a word; NULL where it is no file. */
static char *below(const struct doctor_case *c)
{
	size_t n = (size_t)(c->image - c->disk->chain) + 1;

	if (n >= c->disk->chain_len || c->disk->chain[n].path == NULL)
		return NULL;
	return doctor_word(c->disk->chain[n].path);
}

static char *rebase(const struct doctor_case *c)
{
	autofree char *base = below(c);
	size_t n = (size_t)(c->image - c->disk->chain) + 1;

	return base != NULL ? mem_fmt("qemu-img rebase -u -F %s -b %s %s",
				      c->disk->chain[n].format, base, c->path)
			    : NULL;
}

static void base_relative(struct doctor_case *c)
{
	if (!c->file->relative)
		return;
	doctor_found(c, RESULT_HINT,
		     "moved, or opened through a snapshot of the storage, it "
		     "finds another base or none; the command is for when the "
		     "guest is off",
		     rebase(c), "'%s' names what it stands on without a folder",
		     c->image->path);
}

static void base_guessed(struct doctor_case *c)
{
	if (!c->file->guessed)
		return;
	doctor_found(c, RESULT_WARNING,
		     "QEMU must guess: a guest that writes a qcow2 header into "
		     "a raw base can name any file of the host as its disk; "
		     "the command is for when the guest is off",
		     rebase(c), "'%s' does not say of what format its base is",
		     c->image->path);
}

/* Storage that tells itself what has changed needs no bitmaps. */
static bool tells_changes(const struct traits_volume *v)
{
	return v->kind == TRAITS_DATASET || v->kind == TRAITS_ZVOL ||
	       v->kind == TRAITS_THIN || doctor_is(v->fs, "btrfs");
}

static void no_bitmaps(struct doctor_case *c)
{
	if (!is_top(c) || !c->disk->captured || !c->file->exists)
		return;
	if (c->file->qcow2 && c->file->version < 3)
		doctor_found(
			c, RESULT_HINT,
			"it cannot hold the bitmaps that track changed "
			"blocks, so all of it is read by every backup; "
			"the command is for when the guest is off",
			mem_fmt("qemu-img amend -o compat=1.1 %s", c->path),
			"'%s' is qcow2 of version 2", c->image->path);
	else if (is_raw(c) && c->volume != NULL && !tells_changes(c->volume))
		doctor_found(c, RESULT_HINT,
			     "neither it nor its storage can tell what has "
			     "changed, so all of it is read by every backup; "
			     "the command is for when the guest is off",
			     mem_fmt("qemu-img convert -p -O qcow2 %s "
				     "NEW.qcow2",
				     c->path),
			     "'%s' is raw, on %s", c->image->path,
			     c->volume->fs != NULL ? c->volume->fs
						   : "a plain device");
}

static void cow_on_cow(struct doctor_case *c)
{
	if (!c->file->qcow2 || c->volume == NULL || !is_top(c) ||
	    !traits_cow(c->place, c->volume))
		return;
	doctor_found(c, RESULT_HINT,
		     "each write is mapped twice, and both maps fragment; raw "
		     "images have snapshots, compression and holes from the "
		     "storage; the command is for when the guest is off",
		     mem_fmt("qemu-img convert -p -O raw %s NEW.raw", c->path),
		     "'%s' is qcow2 on %s, which copies on write, too",
		     c->image->path,
		     c->volume->fs != NULL ? c->volume->fs : "a zvol");
}

static void allocated_in_vain(struct doctor_case *c)
{
	if (c->volume == NULL || c->volume->kind != TRAITS_DATASET ||
	    c->volume->compressed || !is_raw(c) || c->file->size == 0 ||
	    c->file->allocated < c->file->size)
		return;
	char size[NUM_TEXT];

	num_size_text(c->file->size, size);
	doctor_found(c, RESULT_HINT,
		     "ZFS never overwrites in place, so preallocation gives "
		     "neither speed nor safety; the command frees zeroes",
		     mem_fmt("fallocate --dig-holes %s", c->path),
		     "'%s' is allocated in full (%s) on ZFS without "
		     "compression",
		     c->image->path, size);
}

const struct doctor_rule doctor_image_rules[] = {
	{ "image-missing", missing, "an image that is not there" },
	{ "image-unreadable", unreadable, "an image that may not be read" },
	{ "image-in-memory", in_memory, "an image on a tmpfs" },
	{ "qcow2-corrupt", corrupt, "a qcow2 image marked as corrupt" },
	{ "qcow2-dirty", dirty, "a qcow2 image that was not closed" },
	{ "snapshots-inside", snapshots_inside, "internal snapshots" },
	{ "base-relative", base_relative, "a base named without its folder" },
	{ "base-guessed", base_guessed, "a base without its format" },
	{ "no-bitmaps", no_bitmaps, "disks whose changes nobody can track" },
	{ "cow-on-cow", cow_on_cow, "qcow2 on ZFS or btrfs" },
	{ "allocated-in-vain", allocated_in_vain, "preallocation on ZFS" },
	{ NULL, NULL, NULL },
};
