/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "report/json_parts.h"

static void put_images(json_t *object, const struct result_point *p)
{
	json_t *images = json_put_array(object, "images");

	for (size_t i = 0; i < p->image_count; i++) {
		const struct result_point_image *m = &p->images[i];
		json_t *image = json_add_object(images);

		json_put_text(image, "kind", m->kind);
		json_put_text(image, "name", m->name);
		json_put_number(image, "size", m->size);
		json_put_text(image, "format", m->format);
		json_put_text(image, "source", m->source);
	}
}

static void put_attributes(json_t *object, const struct result_strings *s)
{
	json_t *attributes = json_object();

	for (size_t i = 0; i + 1 < s->count; i += 2)
		json_put_text(attributes, s->items[i], s->items[i + 1]);
	json_object_set_new(object, "attributes", attributes);
}

void json_put_point(json_t *object, const struct result_point *p)
{
	json_put_text(object, "id", p->id);
	json_put_text(object, "set", p->set);
	json_put_text(object, "name", p->name);
	json_put_time(object, "time", p->time_ns);
	json_put_text(object, "level", p->level);
	json_put_text(object, "method", p->method);
	json_put_number(object, "size", p->size);
	if (p->has_pause)
		json_put_number(object, "pause_ms", p->pause_ms);
	else
		json_put_text(object, "pause_ms", NULL);
	if (p->group != NULL)
		json_put_text(object, "group", p->group);
	if (p->has_skew)
		json_put_number(object, "skew_ms", p->skew_ms);
	json_put_text(object, "host", p->host);
	json_put_text(object, "program", p->program);
	json_put_strings(object, "places", &p->places);
	put_images(object, p);
	json_put_strings(object, "notes", &p->notes);
	if (p->attrs.count > 0)
		put_attributes(object, &p->attrs);
}

void json_points(FILE *out, const struct result_points *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *points = json_put_array(root, "points");

	for (size_t i = 0; i < r->count; i++)
		json_put_point(json_add_object(points), &r->points[i]);
	json_put_strings(root, "damaged", &r->damaged);
	json_finish(out, root, end);
}

static void put_item(json_t *item, const struct result_backup_item *r)
{
	json_put_text(item, "name", r->name);
	json_put_bool(item, "ok", r->ok);
	if (r->ok) {
		json_t *point = json_object();

		json_put_point(point, &r->point);
		json_object_set_new(item, "point", point);
	} else {
		json_put_err(item, "error", &r->err);
	}
	json_put_bool(item, "degraded", r->degraded);
	json_put_strings(item, "warnings", &r->warnings);
}

void json_backup(FILE *out, const struct result_backup *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *items = json_put_array(root, "items");

	for (size_t i = 0; i < r->count; i++)
		put_item(json_add_object(items), &r->items[i]);
	json_put_number(root, "read_bytes", r->read_bytes);
	json_put_number(root, "new_bytes", r->new_bytes);
	json_put_number(root, "stored_bytes", r->stored_bytes);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}

void json_revert(FILE *out, const struct result_revert *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_text(root, "point", r->point);
	json_put_text(root, "domain", r->domain);
	json_put_text(root, "safety", r->safety);
	json_put_text(root, "state", r->state);
	json_put_bool(root, "resumed", r->resumed);
	json_put_strings(root, "files", &r->files);
	json_put_strings(root, "notes", &r->notes);
	json_put_number(root, "bytes", r->bytes);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}

void json_restore(FILE *out, const struct result_restore *r,
		  const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_text(root, "point", r->point);
	json_put_text(root, "domain", r->domain);
	json_put_text(root, "state", r->state);
	json_put_bool(root, "resumed", r->resumed);
	json_put_strings(root, "files", &r->files);
	json_put_strings(root, "notes", &r->notes);
	json_put_number(root, "bytes", r->bytes);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
