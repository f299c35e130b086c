/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define MAIN      "vmkeep.conf"
#define PARTS     "conf.d"
#define SUFFIX    ".conf"
#define MAX_PARTS 1000

static int add(struct settings *s, const char *path, struct err *e)
{
	s->files = mem_grow(s->files, s->count + 1, sizeof(*s->files));

	struct settings_file *f = &s->files[s->count++];

	*f = (struct settings_file){ .path = mem_strdup(path) };
	return ini_load(path, &f->ini, e);
}

static bool is_part(const char *name)
{
	size_t n = strlen(name);
	size_t suffix = strlen(SUFFIX);

	return name[0] != '.' && n > suffix &&
	       strcmp(name + n - suffix, SUFFIX) == 0;
}

struct names {
	char **items;
	size_t count;
};

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
}

/* By bytes, so that the locale changes nothing. */
static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *dir, struct names *names, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (d == NULL)
		return errno == ENOENT ? 0
				       : err_sys(e, "cannot read '%s'", dir);
	while ((entry = readdir(d)) != NULL && names->count <= MAX_PARTS) {
		if (!is_part(entry->d_name))
			continue;
		names->items = mem_grow(names->items, names->count + 1,
					sizeof(*names->items));
		names->items[names->count++] = mem_strdup(entry->d_name);
	}
	closedir(d);
	if (names->count > MAX_PARTS)
		return err_set(e, ERR_USAGE, "more than %d files in '%s'",
			       MAX_PARTS, dir);
	if (names->count > 0)
		qsort(names->items, names->count, sizeof(*names->items),
		      by_name);
	return 0;
}

/* all: also those that we may not read, which fails. */
static int add_parts(struct settings *s, const char *dir, bool all,
		     struct err *e)
{
	AUTO(names_fini) struct names names = { .count = 0 };
	autofree char *parts = path_join(dir, PARTS);

	if (list(parts, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		autofree char *path = path_join(parts, names.items[i]);

		if (!all && access(path, R_OK) < 0)
			continue;
		if (add(s, path, e) < 0)
			return -1;
	}
	return 0;
}

/* Who may not read the host's settings does without them. */
static int load_default(struct settings *s, struct err *e)
{
	static const char parts[] = SETTINGS_DIR "/" PARTS;
	static const char path[] = SETTINGS_DIR "/" MAIN;

	if (access(path, R_OK) == 0 && add(s, path, e) < 0)
		return -1;
	if (access(parts, R_OK | X_OK) < 0)
		return 0;
	return add_parts(s, SETTINGS_DIR, false, e);
}

int settings_load(const char *config, struct settings *s, struct err *e)
{
	struct stat st;

	*s = (struct settings){ .count = 0 };
	if (config == NULL)
		return load_default(s, e);
	if (stat(config, &st) < 0 || !S_ISDIR(st.st_mode))
		return add(s, config, e);

	autofree char *path = path_join(config, MAIN);

	if (add(s, path, e) < 0)
		return -1;
	return add_parts(s, config, true, e);
}

void settings_fini(struct settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->files[i].path);
		ini_fini(&s->files[i].ini);
	}
	free(s->files);
	*s = (struct settings){ .count = 0 };
}
