/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "report/json_parts.h"

static void put_damage(json_t *damage, const struct result_damage *d)
{
	json_put_text(damage, "object", d->object);
	json_put_text(damage, "point", d->point);
	json_put_text(damage, "image", d->image);
	json_put_number(damage, "offset", d->offset);
	json_put_number(damage, "size", d->size);
	json_put_text(damage, "message", d->msg);
}

void json_put_damages(json_t *root, const char *key,
		      const struct result_damage *d, size_t count)
{
	json_t *damages = json_put_array(root, key);

	for (size_t i = 0; i < count; i++)
		put_damage(json_add_object(damages), &d[i]);
}

void json_put_unread(json_t *root, const struct result_verify *r)
{
	json_put_number(root, "unread", r->unread);
	if (r->unread > 0)
		json_put_text(root, "unread_reason", r->unread_msg);
}

void json_verify(FILE *out, const struct result_verify *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_damages(root, "damages", r->damages, r->damage_count);
	json_put_damages(root, "healed", r->healed, r->healed_count);
	json_put_text(root, "level", r->level);
	json_put_bool(root, "read_data", strcmp(r->level, "data") == 0);
	json_put_bool(root, "complete", r->complete);
	json_put_unread(root, r);
	json_put_number(root, "sets", r->sets);
	json_put_number(root, "points", r->points);
	json_put_number(root, "images", r->images);
	json_put_number(root, "nodes", r->nodes);
	json_put_number(root, "chunks", r->chunks);
	json_put_number(root, "packs", r->packs);
	json_put_number(root, "packs_read", r->packs_read);
	json_put_number(root, "bytes_read", r->bytes_read);
	json_put_number(root, "bytes", r->bytes);
	json_put_number(root, "bytes_ever_read", r->bytes_ever);
	json_put_number(root, "bytes_read_recently", r->bytes_recent);
	if (r->oldest_ns != 0)
		json_put_time(root, "oldest", r->oldest_ns);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
