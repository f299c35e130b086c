/* SPDX-License-Identifier: Apache-2.0 */
#include "job/choose.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* The only image that can be meant. */
static const struct image *only_image(const struct point *p)
{
	const struct image *found = NULL;

	assert(p->image_count == 0 || p->images != NULL);
	if (p->image_count == 1)
		return &p->images[0];
	for (size_t i = 0; i < p->image_count; i++) {
		if (p->images[i].kind != IMAGE_DISK)
			continue;
		if (found != NULL)
			return NULL;
		found = &p->images[i];
	}
	return found;
}

/* "vda, vdb, memory": to be freed. */
static char *image_names(const struct point *p)
{
	struct buf all = BUF_INIT;

	for (size_t i = 0; i < p->image_count; i++) {
		const char *name = p->images[i].name;

		if (i > 0)
			wr_bytes(&all, ", ", 2);
		wr_bytes(&all, name, strlen(name));
	}
	wr_u8(&all, 0);
	return (char *)all.p;
}

static int choose_only(const char *text, struct choice *choice, struct err *e)
{
	choice->image = only_image(choice->hit.point);
	if (choice->image != NULL)
		return 0;
	autofree char *names = image_names(choice->hit.point);

	return err_set(e, ERR_USAGE,
		       "'%s' has several images: say which, as '%s/NAME' "
		       "(%s)",
		       text, text, names);
}

int choose_image(const struct catalog *c, const char *text,
		 struct choice *choice, struct err *e)
{
	const char *slash = strrchr(text, '/');
	struct err first = ERR_INIT;

	if (catalog_find(c, text, &choice->hit, &first) == 0)
		return choose_only(text, choice, e);
	if (slash == NULL) {
		*e = first;
		return -1;
	}
	autofree char *point = mem_fmt("%.*s", (int)(slash - text), text);

	if (catalog_find(c, point, &choice->hit, e) < 0)
		return -1;
	choice->image = point_image(choice->hit.point, slash + 1);
	if (choice->image != NULL)
		return 0;
	autofree char *names = image_names(choice->hit.point);

	return err_set(e, ERR_NOT_FOUND, "'%s' has no image '%s', but %s",
		       point, slash + 1, names);
}
