/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/groups.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PREFIX "group:"
#define BLANKS " \t"

static struct group_setting *get(struct group_settings *g, const char *name)
{
	for (size_t i = 0; i < g->count; i++)
		if (strcmp(g->items[i].name, name) == 0)
			return &g->items[i];
	g->items = mem_grow(g->items, g->count + 1, sizeof(*g->items));
	g->items[g->count] = (struct group_setting){ .name = mem_strdup(name) };
	return &g->items[g->count++];
}

static void add_member(struct group_setting *to, const char *p, size_t len)
{
	struct opt_list *l = &to->members;

	while (len > 0 && strchr(BLANKS, p[len - 1]) != NULL)
		len--;
	if (len == 0)
		return;
	l->items = mem_grow(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = mem_fmt("%.*s", (int)len, p);
}

/* Between blanks; or between commas, where there is one, for names that have
 * blanks in them. */
static void add_members(struct group_setting *to, const char *text)
{
	const char *ends = strchr(text, ',') != NULL ? "," : BLANKS;

	while (*text != '\0') {
		size_t len;

		text += strspn(text, BLANKS);
		len = strcspn(text, ends);
		add_member(to, text, len);
		text += len + (text[len] != '\0');
	}
}

int groups_take(struct group_settings *g, const struct ini_entry *entry,
		struct err *e)
{
	struct group_setting *to;

	if (strncmp(entry->section, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	/* a policy has more to say of groups */
	if (strcmp(entry->key, "members") != 0)
		return 1;
	to = get(g, entry->section + strlen(PREFIX));
	if (to->members.count > 0)
		return err_set(e, ERR_USAGE, "group '%s' has members already",
			       to->name);
	add_members(to, entry->value);
	if (to->members.count == 0)
		return err_set(e, ERR_USAGE, "group '%s' has no members",
			       to->name);
	return 1;
}

const struct group_setting *groups_find(const struct group_settings *g,
					const char *name, struct err *e)
{
	const char *near = NULL;
	unsigned least = UINT_MAX;

	for (size_t i = 0; i < g->count; i++) {
		unsigned d = opt_distance(name, g->items[i].name);

		if (strcmp(g->items[i].name, name) == 0)
			return &g->items[i];
		if (d < least) {
			least = d;
			near = g->items[i].name;
		}
	}
	if (near == NULL)
		err_set(e, ERR_USAGE,
			"no group '%s' in the settings: [group:%s] members = "
			"... makes one",
			name, name);
	else
		err_set(e, ERR_USAGE, "no group '%s', did you mean '%s'?", name,
			near);
	return NULL;
}

void groups_fini(struct group_settings *g)
{
	for (size_t i = 0; i < g->count; i++) {
		struct opt_list *l = &g->items[i].members;

		for (size_t k = 0; k < l->count; k++)
			free(l->items[k]);
		free(l->items);
		free(g->items[i].name);
	}
	free(g->items);
	*g = (struct group_settings){ .items = NULL };
}
