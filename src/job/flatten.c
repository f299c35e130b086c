/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/flatten.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/flatten.h"

static void copy_image(const struct flatten_disk *d, size_t at,
		       struct result_flatten_image *to)
{
	const struct flatten_image *from = &d->images[at];

	*to = (struct result_flatten_image){
		.number = d->image_count - at,
		.path = from->path ? mem_strdup(from->path) : NULL,
		.format = mem_strdup(from->format),
		.allocated = from->allocated,
		.merged = d->base > 0 && d->image_count - at > d->base,
		.left = from->left,
	};
}

static void copy_disk(const struct flatten_disk *from,
		      struct result_flatten_disk *to)
{
	*to = (struct result_flatten_disk){
		.target = mem_strdup(from->target),
		.images = mem_zalloc(from->image_count, sizeof(*to->images)),
		.image_count = from->image_count,
		.base = from->base,
		.bytes = from->bytes,
		.err = from->why,
		.done = from->done,
	};
	for (size_t i = 0; i < from->image_count; i++)
		copy_image(from, i, &to->images[i]);
}

static void copy(const struct flatten_report *from, struct result_flatten *to)
{
	to->name = from->name ? mem_strdup(from->name) : NULL;
	to->live = from->live;
	to->disks = mem_zalloc(from->disk_count, sizeof(*to->disks));
	to->disk_count = from->disk_count;
	for (size_t i = 0; i < from->disk_count; i++)
		copy_disk(&from->disks[i], &to->disks[i]);
	for (size_t i = 0; i < from->note_count; i++)
		result_strings_add(&to->notes, "%s", from->notes[i]);
}

int job_flatten(const struct job *j, const struct job_flatten *f,
		struct result_flatten *result, struct err *e)
{
	int64_t start = clock_steady_ns();
	AUTO(flatten_report_fini) struct flatten_report report = { 0 };
	const struct flatten_options o = {
		.disks = f->disks,
		.disk_count = f->disk_count,
		.base = f->base,
		.remove = f->remove,
		.dry_run = f->dry_run,
		.state_dir = j->state_dir,
		.watchdog = "/proc/self/exe",
		.cancel = j->cancel,
	};

	memset(result, 0, sizeof(*result));
	result->dry_run = f->dry_run;
	AUTO(conn_close_at) struct conn *c = conn_open(j->uri, e);

	if (c == NULL)
		return -1;
	int ok = flatten_run(c, f->domain, &o, j->talk, &report, e);

	copy(&report, result);
	result->elapsed_ms = (uint64_t)(clock_steady_ns() - start) / 1000000;
	return ok;
}
