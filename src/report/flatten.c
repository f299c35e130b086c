/* SPDX-License-Identifier: Apache-2.0 */
#include "report/flatten.h"

#include "base/mem.h"
#include "base/num.h"
#include "report/json_parts.h"
#include "report/table.h"
#include "report/text_parts.h"

/* What a busy machine moves, for a rough guess: bytes in a second. */
#define SPEED ((uint64_t)100 << 20)

static uint64_t guess_ms(const struct result_flatten_disk *d)
{
	return d->bytes / SPEED * 1000 + d->bytes % SPEED * 1000 / SPEED;
}

static bool to_merge(const struct result_flatten_disk *d)
{
	return d->base > 0 && d->err.code == ERR_NONE;
}

static const char *fate(const struct result_flatten *r,
			const struct result_flatten_disk *d,
			const struct result_flatten_image *m)
{
	if (d->base == 0 || (!r->dry_run && !d->done))
		return "";
	if (m->number == d->base)
		return r->dry_run ? "base" : "in use";
	if (m->number < d->base)
		return "below";
	if (r->dry_run)
		return "to be merged";
	return m->left ? "merged, kept" : "merged, removed";
}

static void images(FILE *out, const struct result_flatten *r)
{
	AUTO(table_free_at) struct table *t = table_new("lrlrll", "  ");

	for (size_t i = 0; i < r->disk_count; i++) {
		const struct result_flatten_disk *d = &r->disks[i];

		for (size_t n = 0; n < d->image_count; n++) {
			const struct result_flatten_image *m = &d->images[n];

			table_name(t, n == 0 ? d->target : "");
			table_cell(t, "%zu", m->number);
			table_name(t, m->format);
			if (m->allocated > 0)
				table_size(t, m->allocated);
			else
				table_name(t, NULL);
			table_name(t, m->path);
			table_name(t, fate(r, d, m));
		}
	}
	table_print(t, out);
}

static void verdict(FILE *out, const struct result_flatten *r,
		    const struct result_flatten_disk *d)
{
	char size[NUM_TEXT];
	char time[NUM_TEXT];

	num_size_text(d->bytes, size);
	num_duration_text(guess_ms(d), time);
	if (d->err.code != ERR_NONE)
		text_line(out, "  not possible: %s", d->err.msg);
	else if (!to_merge(d))
		text_line(out, "  disk %s: nothing is to be merged", d->target);
	else if (r->dry_run)
		text_line(out,
			  "  disk %s: %s would go into image %zu, in about %s "
			  "at 100 MiB a second",
			  d->target, size, d->base, time);
	else if (!d->done)
		text_line(out, "  disk %s: not merged", d->target);
}

void text_flatten(FILE *out, const struct result_flatten *r)
{
	char time[NUM_TEXT];

	if (r->name == NULL)
		return;
	num_duration_text(r->elapsed_ms, time);
	text_line(out, "%s, %s%s%s", r->name, r->live ? "running" : "shut off",
		  r->dry_run ? "" : ": took ", r->dry_run ? "" : time);
	images(out, r);
	for (size_t i = 0; i < r->disk_count; i++)
		verdict(out, r, &r->disks[i]);
	text_strings(out, "  ", &r->notes);
}

static void put_images(json_t *object, const struct result_flatten_disk *d)
{
	json_t *list = json_put_array(object, "images");

	for (size_t i = 0; i < d->image_count; i++) {
		const struct result_flatten_image *m = &d->images[i];
		json_t *image = json_add_object(list);

		json_put_number(image, "number", m->number);
		json_put_text(image, "path", m->path);
		json_put_text(image, "format", m->format);
		json_put_number(image, "allocated", m->allocated);
		json_put_bool(image, "merged", m->merged);
		json_put_bool(image, "left", m->left);
	}
}

void json_flatten(FILE *out, const struct result_flatten *r,
		  const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *disks;

	json_put_text(root, "domain", r->name);
	json_put_bool(root, "live", r->live);
	json_put_bool(root, "dry_run", r->dry_run);
	disks = json_put_array(root, "disks");
	for (size_t i = 0; i < r->disk_count; i++) {
		const struct result_flatten_disk *d = &r->disks[i];
		json_t *disk = json_add_object(disks);

		json_put_text(disk, "target", d->target);
		json_put_number(disk, "base", d->base);
		json_put_number(disk, "bytes", d->bytes);
		json_put_bool(disk, "done", d->done);
		if (d->err.code != ERR_NONE)
			json_put_err(disk, "error", &d->err);
		put_images(disk, d);
	}
	json_put_strings(root, "notes", &r->notes);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
