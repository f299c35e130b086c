/* SPDX-License-Identifier: Apache-2.0 */
#include "job/keep.h"

#include "job/describe.h"

struct keeping {
	const struct capture_result *capture;
	const struct snapped *snapped;
	struct local_new *local;
	struct point *point;
};

static int keep_disk(struct keeping *k, const struct capture_disk *cd,
		     struct err *e)
{
	struct local_disk d = {
		.target = cd->target,
		.format = cd->format,
		.source = cd->path,
		.size = cd->size,
	};

	if (snapped_where(k->snapped, cd->path, &d.snap, &d.inside, e) < 0)
		return err_ctx(e, "disk %s", cd->target);
	local_add_disk(k->point, &d);
	return 0;
}

static int keep_file(struct keeping *k, const struct capture_file *file,
		     struct err *e)
{
	if (local_add_bytes(k->local, k->point, member_file_kind(file),
			    file->name, &file->data, e) < 0)
		return -1;
	member_file_attrs(file, &k->point->images[k->point->image_count - 1]);
	return 0;
}

static int keep_all(struct keeping *k, struct err *e)
{
	const struct capture_result *c = k->capture;

	for (size_t i = 0; i < c->disk_count; i++)
		if (keep_disk(k, &c->disks[i], e) < 0)
			return -1;
	if (c->memory != NULL &&
	    local_add_file(k->local, k->point, IMAGE_STREAM, IMAGE_MEMORY,
			   c->memory, e) < 0)
		return -1;
	for (size_t i = 0; i < c->file_count; i++)
		if (keep_file(k, &c->files[i], e) < 0)
			return -1;
	return 0;
}

int keep_failed(const struct job *j, struct err *e)
{
	if (e->code == ERR_NO_SPACE)
		err_ctx(e,
			"'%s' is full: make room there, or say another "
			"--ram-dir",
			j->local_dir);
	return err_ctx(e, "cannot be kept on this host");
}

int keep_member(struct member *m, const struct snapped *snapped,
		struct local_new *local, struct set *set, struct err *e)
{
	struct keeping k = {
		.capture = capture_result(m->capture),
		.snapped = snapped,
		.local = local,
		.point = member_point(m, set),
	};

	/* a shut-off one may have been started meanwhile */
	if (keep_all(&k, e) == 0 && capture_sure(m->capture, e) == 0)
		return 0;
	point_fini(k.point);
	set->point_count--;
	return keep_failed(m->job, e);
}
