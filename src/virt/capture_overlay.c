/* SPDX-License-Identifier: Apache-2.0 */

/* Overlays for the disks that were picked, and what libvirt is told. */

#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/jot.h"
#include "virt/overlay.h"
#include "virt/snapxml.h"

static int name_overlay(struct capture *cap, struct capture_pick *p, bool block,
			struct err *e)
{
	const struct overlay_want want = {
		.domain = cap->domain->name,
		.target = p->disk->target,
		.base = p->disk->chain[0].path,
		.dir = cap->opt.overlay_dir,
		.block = block,
	};

	free(mem_take(&p->overlay));
	p->overlay = overlay_name(&want, e);
	if (!p->overlay)
		return -1;
	if (overlay_reserve(p->overlay, cap->opt.overlay_reserve, &p->reserve,
			    e) < 0)
		return -1;
	if (overlay_room(p->overlay, p->reserve + overlay_growth(p->reserve),
			 "--overlay-dir", e) < 0)
		return err_ctx(e, "no room for an overlay of disk %s",
			       p->disk->target);
	return 0;
}

static int prepare_disk(struct capture *cap, struct capture_pick *p,
			struct err *e)
{
	const struct domain_image *base = &p->disk->chain[0];
	struct stat st;
	autofree char *dev = NULL;
	autofree char *ino = NULL;

	if (stat(base->path, &st) < 0)
		return err_sys(e, "disk %s: cannot look at '%s'",
			       p->disk->target, base->path);
	if (name_overlay(cap, p, S_ISBLK(st.st_mode), e) < 0)
		return -1;
	dev = mem_fmt("%llu", (unsigned long long)st.st_dev);
	ino = mem_fmt("%llu", (unsigned long long)st.st_ino);
	return JOT(cap->journal, JOT_DISK, e, { "target", p->disk->target },
		   { "base", base->path }, { "format", base->format },
		   { "dev", dev }, { "ino", ino }, { "overlay", p->overlay });
}

/* ---- how much ---- */

static char *overlay_folder(const struct capture *cap,
			    const struct capture_pick *p)
{
	return cap->opt.overlay_dir ? mem_strdup(cap->opt.overlay_dir)
				    : path_dir(p->disk->chain[0].path);
}

static void add_want(struct capture_want **wants, size_t *count,
		     struct capture_want want)
{
	*wants = mem_grow(*wants, *count + 1, sizeof(**wants));
	(*wants)[(*count)++] = want;
}

/* Beside a device there is none: that is said when it is named. */
static bool has_folder(const struct capture *cap, const struct capture_pick *p)
{
	struct stat st;

	return cap->opt.overlay_dir ||
	       (stat(p->disk->chain[0].path, &st) == 0 && S_ISREG(st.st_mode));
}

static int want_overlay(const struct capture *cap, const struct capture_pick *p,
			struct capture_want *want, struct err *e)
{
	autofree char *folder = overlay_folder(cap, p);
	autofree char *path = path_join(folder, "x");
	uint64_t reserve;

	if (overlay_reserve(path, cap->opt.overlay_reserve, &reserve, e) < 0)
		return err_ctx(e, "disk %s", p->disk->target);
	*want = (struct capture_want){
		.folder = mem_take(&folder),
		.bytes = overlay_growth(reserve),
		.reserve = reserve,
	};
	return 0;
}

int capture_wants(const struct capture *cap, struct capture_want **wants,
		  size_t *count, struct err *e)
{
	bool overlays = cap->mode == MODE_LIVE && cap->method == METHOD_OVERLAY;

	*wants = NULL;
	*count = 0;
	if (cap->with_memory)
		add_want(wants, count,
			 (struct capture_want){
				 .folder = mem_strdup(cap->opt.spool_dir),
				 .bytes = capture_ram_bytes(cap),
				 .ram = true,
			 });
	for (size_t i = 0; overlays && i < cap->pick_count; i++) {
		struct capture_want want;

		if (!has_folder(cap, &cap->picks[i]))
			continue;
		if (want_overlay(cap, &cap->picks[i], &want, e) < 0)
			return -1;
		add_want(wants, count, want);
	}
	return 0;
}

void capture_wants_free(struct capture_want *wants, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(wants[i].folder);
	free(wants);
}

/* ---- before ---- */

int capture_overlays(struct capture *cap, struct err *e)
{
	for (size_t i = 0; i < cap->pick_count; i++) {
		if (prepare_disk(cap, &cap->picks[i], e) < 0)
			return -1;
	}
	return 0;
}

static const struct capture_pick *pick_of(const struct capture *cap,
					  const struct domain_disk *d)
{
	for (size_t i = 0; i < cap->pick_count; i++) {
		if (cap->picks[i].disk == d)
			return &cap->picks[i];
	}
	return NULL;
}

/* Every disk has to be named: with an overlay, or left alone, of the instant
 * ("manual") or not ("no"). */
void capture_snapshot_xml(const struct capture *cap, struct buf *out)
{
	size_t n = cap->domain->disk_count;
	autofree struct snapxml_disk *disks = mem_zalloc(n + 1, sizeof(*disks));

	for (size_t i = 0; i < n; i++) {
		const struct capture_pick *p =
			pick_of(cap, &cap->domain->disks[i]);

		disks[i].target = cap->domain->disks[i].target;
		disks[i].overlay = p ? p->overlay : NULL;
		disks[i].manual = p && !p->overlay;
	}
	snapxml_write(cap->memory, disks, n, out);
}

/* libvirt makes them 0600; one older than the cure of CVE-2025-13193 might
 * not. */
void capture_close_overlays(struct capture *cap)
{
	struct stat st;

	for (size_t i = 0; i < cap->pick_count; i++) {
		const char *path = cap->picks[i].overlay;

		if (path && stat(path, &st) == 0 && (st.st_mode & 077))
			(void)!chmod(path, 0600);
	}
}
