/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/traits_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define MAX_FIELDS 16

/* The next line of *text, which moves on; NULL at the end.  Free it. */
static char *next_line(const char **text)
{
	const char *start = *text;
	size_t n = strcspn(start, "\n");

	if (*start == '\0')
		return NULL;
	*text = start + n + (start[n] == '\n');
	char *line = mem_alloc(n + 1);

	memcpy(line, start, n);
	line[n] = '\0';
	return line;
}

/* Cut a line in place; how many fields there are. */
static size_t split(char *line, char by, char *fields[MAX_FIELDS])
{
	size_t n = 0;

	while (line != NULL && n < MAX_FIELDS) {
		char *end = strchr(line, by);

		if (end != NULL)
			*end++ = '\0';
		fields[n++] = line;
		line = end;
	}
	return n;
}

/* Whole percents of "83.51", rounded down; 0 for anything else. */
static unsigned percent(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return end == text || n > 100 ? 0 : (unsigned)n;
}

static uint64_t number(const char *text)
{
	uint64_t n = 0;

	return num_parse(text, &n) ? n : 0;
}

bool traits_has_option(const char *options, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = options; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	}
	return false;
}

/* ---- ZFS ---- */

static void set_property(struct traits_volume *v, const char *name,
			 const char *value)
{
	bool block = strcmp(name, v->kind == TRAITS_ZVOL ? "volblocksize"
							 : "recordsize") == 0;

	if (block)
		v->block = number(value);
	else if (strcmp(name, "refreservation") == 0)
		v->reservation = number(value);
	else if (strcmp(name, "volsize") == 0)
		v->volsize = number(value);
	else if (strcmp(name, "referenced") == 0)
		v->referenced = number(value);
	else if (strcmp(name, "compression") == 0)
		v->compressed = strcmp(value, "off") != 0;
	else if (strcmp(name, "sync") == 0)
		v->sync_off = strcmp(value, "disabled") == 0;
	else if (strcmp(name, "direct") == 0)
		v->direct = strcmp(value, "disabled") != 0 &&
			    strcmp(value, "-") != 0;
}

static bool is_zfs(const struct traits_volume *v)
{
	return v->kind == TRAITS_DATASET || v->kind == TRAITS_ZVOL;
}

void traits_parse_zfs(const char *text, struct traits *t)
{
	char *line;

	while ((line = next_line(&text)) != NULL) {
		char *f[MAX_FIELDS];
		bool ok = split(line, '\t', f) == 3;

		for (size_t i = 0; ok && i < t->volume_count; i++)
			if (is_zfs(&t->volumes[i]) &&
			    strcmp(t->volumes[i].name, f[0]) == 0)
				set_property(&t->volumes[i], f[1], f[2]);
		free(line);
	}
}

static struct traits_pool *find_pool(struct traits *t, bool zfs,
				     const char *name)
{
	for (size_t i = 0; i < t->pool_count; i++)
		if (t->pools[i].zfs == zfs &&
		    strcmp(t->pools[i].name, name) == 0)
			return &t->pools[i];
	return NULL;
}

size_t traits_pool_of(struct traits *t, bool zfs, const char *name)
{
	const struct traits_pool *p = find_pool(t, zfs, name);

	if (p != NULL)
		return (size_t)(p - t->pools);
	t->pools = mem_grow(t->pools, t->pool_count + 1, sizeof(*t->pools));
	t->pools[t->pool_count] = (struct traits_pool){
		.zfs = zfs,
		.name = mem_strdup(name),
	};
	return t->pool_count++;
}

void traits_parse_zpools(const char *text, struct traits *t)
{
	char *line;

	while ((line = next_line(&text)) != NULL) {
		char *f[MAX_FIELDS];
		bool ok = split(line, '\t', f) == 6;
		struct traits_pool *p = ok ? find_pool(t, true, f[0]) : NULL;

		if (p != NULL && p->health == NULL) {
			p->size = number(f[1]);
			p->used = number(f[2]);
			p->data = percent(f[3]);
			p->health = mem_strdup(f[4]);
			p->ashift = (unsigned)num_min(number(f[5]), 63);
		}
		free(line);
	}
}

unsigned traits_parse_zdb(const char *text)
{
	static const char key[] = "ashift: ";
	unsigned least = 0;

	while ((text = strstr(text, key)) != NULL) {
		text += strlen(key);
		unsigned n = (unsigned)strtoul(text, NULL, 10);

		if (n > 0 && n < 64 && (least == 0 || n < least))
			least = n;
	}
	return least;
}

/* ---- LVM ---- */

const char traits_lvs_fields[] =
	"vg_name,lv_name,lv_kernel_major,lv_kernel_minor,lv_layout,pool_lv,"
	"lv_size,data_percent,metadata_percent,lv_when_full,vg_free";

/* The same as numbers. */
enum lvs_field {
	LVS_VG,
	LVS_LV,
	LVS_MAJOR,
	LVS_MINOR,
	LVS_LAYOUT,
	LVS_POOL,
	LVS_SIZE,
	LVS_DATA,
	LVS_METADATA,
	LVS_WHEN_FULL,
	LVS_VG_FREE,
	LVS_FIELDS,
};

static void name_volume(struct traits *t, struct traits_volume *v,
			char *f[MAX_FIELDS])
{
	/* what is mounted from an LV keeps its mount point for a name */
	if (v->fs == NULL) {
		free(v->name);
		v->name = mem_fmt("%s/%s", f[LVS_VG], f[LVS_LV]);
		v->kind = *f[LVS_POOL] != '\0' ? TRAITS_THIN : TRAITS_THICK;
	}
	if (*f[LVS_POOL] == '\0')
		return;
	autofree char *pool = mem_fmt("%s/%s", f[LVS_VG], f[LVS_POOL]);

	v->pool = traits_pool_of(t, false, pool);
}

static void find_volumes(struct traits *t, char *f[MAX_FIELDS])
{
	for (size_t i = 0; *f[LVS_MAJOR] != '\0' && i < t->volume_count; i++) {
		struct traits_volume *v = &t->volumes[i];

		if (v->major != 0 && v->major == number(f[LVS_MAJOR]) &&
		    v->minor == number(f[LVS_MINOR]))
			name_volume(t, v, f);
	}
}

static void fill_pool(struct traits *t, char *f[MAX_FIELDS])
{
	autofree char *name = mem_fmt("%s/%s", f[LVS_VG], f[LVS_LV]);
	struct traits_pool *p = find_pool(t, false, name);

	if (p == NULL || strstr(f[LVS_LAYOUT], "pool") == NULL)
		return;
	p->size = number(f[LVS_SIZE]);
	p->data = percent(f[LVS_DATA]);
	p->metadata = percent(f[LVS_METADATA]);
	p->used = p->size / 100 * p->data;
	p->vg_free = number(f[LVS_VG_FREE]);
	p->errors_when_full = strcmp(f[LVS_WHEN_FULL], "error") == 0;
}

static void add_promise(struct traits *t, char *f[MAX_FIELDS])
{
	autofree char *name = mem_fmt("%s/%s", f[LVS_VG], f[LVS_POOL]);
	struct traits_pool *p = find_pool(t, false, name);

	if (p != NULL)
		p->promised += number(f[LVS_SIZE]);
}

/* For each LV, its fields without the blanks that lvs pads with. */
static void each_lv(const char *text, struct traits *t,
		    void (*call)(struct traits *t, char *f[MAX_FIELDS]))
{
	char *line;

	while ((line = next_line(&text)) != NULL) {
		char *f[MAX_FIELDS];
		char *start = line + strspn(line, " ");

		if (split(start, '\t', f) == LVS_FIELDS)
			call(t, f);
		free(line);
	}
}

void traits_parse_lvs(const char *text, struct traits *t)
{
	each_lv(text, t, find_volumes);
	each_lv(text, t, fill_pool);
	each_lv(text, t, add_promise);
}

unsigned traits_parse_autoextend(const char *text)
{
	const char *value = strchr(text, '=');

	return value != NULL ? percent(value + 1) : 0;
}
