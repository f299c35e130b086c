/* SPDX-License-Identifier: Apache-2.0 */
#include "job/describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

char *describe_id(const struct id *id)
{
	char *hex = mem_alloc(ID_TEXT);

	hex_encode(id->b, ID_SIZE, hex);
	return hex;
}

static char *copy_attr(const struct attrs *a, const char *key)
{
	const char *v = attrs_get(a, key);

	return v != NULL ? mem_strdup(v) : NULL;
}

static void describe_images(const struct point *p, struct result_point *out)
{
	out->image_count = p->image_count;
	out->images = mem_zalloc(p->image_count, sizeof(*out->images));
	for (size_t i = 0; i < p->image_count; i++) {
		const struct image *from = &p->images[i];

		out->images[i] = (struct result_point_image){
			.kind = mem_strdup(image_kind_text(from->kind)),
			.name = mem_strdup(from->name),
			.size = from->root.size,
			.format = copy_attr(&from->attrs, ATTR_FORMAT),
			.source = copy_attr(&from->attrs, ATTR_SOURCE),
		};
		out->size += from->root.size;
	}
}

static void describe_attrs(const struct attrs *a, struct result_point *out)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct attr *at = &a->items[i];

		result_strings_add(&out->attrs, "%s", at->key);
		result_strings_add(&out->attrs, "%s", at->value);
		if (strncmp(at->key, ATTR_NOTE, strlen(ATTR_NOTE)) == 0)
			result_strings_add(&out->notes, "%s", at->value);
	}
}

/* Who should be in the set and is not. */
static void describe_missing(const struct set *set, struct result_point *out)
{
	for (size_t i = 0; i < set->attrs.count; i++) {
		const struct attr *at = &set->attrs.items[i];
		size_t len = strlen(ATTR_FAILED);

		if (strncmp(at->key, ATTR_FAILED, len) == 0)
			result_strings_add(&out->notes,
					   "'%s' is not in this set: %s",
					   at->key + len, at->value);
	}
}

/* Of a point whose RAM has been forgotten only the disks at that instant are
 * left. */
static char *level_of(const struct point *p)
{
	char *level = copy_attr(&p->attrs, ATTR_LEVEL);

	if (level == NULL || strcmp(level, "ram") != 0 ||
	    point_image(p, IMAGE_MEMORY) != NULL)
		return level;
	free(level);
	return mem_strdup("crash");
}

void describe_point(const struct set *set, const struct point *p,
		    struct result_point *out)
{
	const char *pause = attrs_get(&p->attrs, ATTR_PAUSE);
	const char *skew = attrs_get(&p->attrs, ATTR_SKEW);

	memset(out, 0, sizeof(*out));
	out->id = describe_id(&p->id);
	out->set = describe_id(&set->session);
	out->name = mem_strdup(p->name);
	out->time_ns = p->time_ns;
	out->level = level_of(p);
	out->method = copy_attr(&p->attrs, ATTR_METHOD);
	out->host = mem_strdup(set->host);
	out->program = mem_strdup(set->program);
	out->has_pause = pause != NULL && num_parse(pause, &out->pause_ms);
	out->has_skew = skew != NULL && num_parse(skew, &out->skew_ms);
	describe_images(p, out);
	describe_attrs(&p->attrs, out);
	describe_missing(set, out);
	out->group = copy_attr(&set->attrs, ATTR_GROUP);
}
