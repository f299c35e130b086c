/* SPDX-License-Identifier: Apache-2.0 */
#include "report/repair.h"

#include "base/num.h"
#include "report/json_parts.h"
#include "report/text.h"
#include "report/text_parts.h"

static void done(FILE *out, const struct result_repair *r)
{
	char objects[TEXT_COUNT], segments[TEXT_COUNT], images[TEXT_COUNT];
	char stored[NUM_TEXT];

	text_count(objects, sizeof(objects), r->objects, "object", "objects");
	text_count(segments, sizeof(segments), r->segments, "segment",
		   "segments");
	text_count(images, sizeof(images), r->images, "image", "images");
	num_size_text(r->stored_bytes, stored);
	if (r->objects > 0)
		text_line(out, "put back %s", objects);
	if (r->segments > 0)
		text_line(out, "made %s of the index again", segments);
	if (r->images > 0)
		text_line(out, "stored %s again of %s", stored, images);
}

void text_repair(FILE *out, const struct result_repair *r)
{
	char before[TEXT_COUNT], time[NUM_TEXT];

	num_duration_text(r->elapsed_ms, time);
	text_count(before, sizeof(before), r->damages_before, "damage",
		   "damages");
	done(out, r);
	text_unread(out, &r->left);
	if (r->damages_before == 0) {
		text_line(out, "nothing is %s, in %s",
			  r->left.unread > 0 ? "seen to be damaged" : "damaged",
			  time);
		return;
	}
	if (r->left.damage_count > 0)
		text_damages(out, r->left.damages, r->left.damage_count);
	if (r->left.damage_count == 0)
		text_line(out, "%s found, %s, in %s", before,
			  r->left.unread > 0 ? "none seen any more"
					     : "all is well now",
			  time);
	else
		text_line(out,
			  "%s found, %zu left, in %s: the next backup of the "
			  "same source, or 'vmkeep repair --from' another "
			  "repository, may put them back",
			  before, r->left.damage_count, time);
}

void json_repair(FILE *out, const struct result_repair *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_damages(root, "damages", r->left.damages,
			 r->left.damage_count);
	json_put_damages(root, "healed", r->left.healed, r->left.healed_count);
	json_put_unread(root, &r->left);
	json_put_number(root, "damages_before", r->damages_before);
	json_put_bool(root, "changed", r->changed);
	json_put_number(root, "objects", r->objects);
	json_put_number(root, "segments", r->segments);
	json_put_number(root, "images", r->images);
	json_put_number(root, "stored_bytes", r->stored_bytes);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
