/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/lvm.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

#define AGAIN_NS 200000000
#define PATIENCE 5000 /* ms */

/* In the order of the cells.  All are fields of LVs: one of segments would
 * give a row a segment. */
static const char fields[] =
	"vg_name,lv_name,lv_uuid,origin,pool_lv,lv_tags,lv_size,vg_free,"
	"data_percent,metadata_percent,lv_layout,lv_snapshot_invalid,"
	"lv_device_open,lv_kernel_major,lv_kernel_minor";

enum {
	VG,
	NAME,
	UUID,
	ORIGIN,
	POOL,
	TAGS,
	SIZE,
	VG_FREE,
	DATA,
	META,
	LAYOUT,
	INVALID,
	OPEN,
	MAJOR,
	MINOR,
	COLUMNS,
};

void lvm_fini(struct lvm *l)
{
	table_fini(&l->table);
	free(l->lvs);
	*l = (struct lvm){ .lvs = NULL };
}

/* "12.34" is 12; "" is -1. */
static bool percent(const char *text, int *value)
{
	char *end;
	long n = strtol(text, &end, 10);

	*value = -1;
	if (*text == '\0')
		return true;
	if (end == text || n < 0 || n > 100 || (*end != '\0' && *end != '.'))
		return false;
	*value = (int)n;
	return true;
}

/* "253", or "-1" where it is inactive. */
static bool device_number(const char *text, int *value)
{
	uint64_t n;

	*value = -1;
	if (strcmp(text, "-1") == 0 || *text == '\0')
		return true;
	if (!num_parse(text, &n) || n > INT32_MAX)
		return false;
	*value = (int)n;
	return true;
}

static bool row_read(const struct table *t, size_t row, struct lv *lv)
{
	char **cell = t->cells + row * t->columns;

	*lv = (struct lv){
		.vg = cell[VG],
		.name = cell[NAME],
		.uuid = cell[UUID],
		.origin = cell[ORIGIN],
		.pool = cell[POOL],
		.tags = cell[TAGS],
		.pool_lv = strstr(cell[LAYOUT], "pool") != NULL,
		.invalid = strcmp(cell[INVALID], "1") == 0,
		.open = strcmp(cell[OPEN], "1") == 0,
	};
	lv->thin = strstr(cell[LAYOUT], "thin") != NULL && !lv->pool_lv;
	return *lv->vg && *lv->name && *lv->uuid &&
	       num_parse(cell[SIZE], &lv->size) &&
	       num_parse(cell[VG_FREE], &lv->vg_free) &&
	       percent(cell[DATA], &lv->data_percent) &&
	       percent(cell[META], &lv->meta_percent) &&
	       device_number(cell[MAJOR], &lv->major) &&
	       device_number(cell[MINOR], &lv->minor);
}

int lvm_parse(const struct buf *text, struct lvm *out, struct err *e)
{
	AUTO(lvm_fini) struct lvm l = { .lvs = NULL };

	if (table_parse(text, '|', COLUMNS, "lvs", &l.table, e) < 0)
		return -1;
	l.lvs = mem_zalloc(l.table.rows, sizeof(*l.lvs));
	for (; l.count < l.table.rows; l.count++) {
		if (!row_read(&l.table, l.count, &l.lvs[l.count]))
			return err_set(e, ERR_INTEGRITY,
				       "line %zu of what 'lvs' printed cannot "
				       "be meant",
				       l.count + 1);
	}
	*out = l;
	l.table = (struct table)TABLE_INIT;
	l.lvs = NULL;
	return 0;
}

int lvm_list(const struct snap_time *t, struct lvm *out, struct err *e)
{
	const char *argv[] = {
		"lvs", "--noheadings", "--nosuffix", "--binary", "--units",
		"b",   "--separator",  "|",          "-o",       fields,
		NULL
	};
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (snap_tool(argv, &text, t, e) < 0)
		return -1;
	return lvm_parse(&text, out, e);
}

const struct lv *lvm_find(const struct lvm *l, const char *name)
{
	size_t vg = strcspn(name, "/");

	for (size_t i = 0; i < l->count; i++) {
		const struct lv *lv = &l->lvs[i];

		if (strlen(lv->vg) == vg && memcmp(lv->vg, name, vg) == 0 &&
		    name[vg] == '/' && strcmp(lv->name, name + vg + 1) == 0)
			return lv;
	}
	return NULL;
}

static bool same_uuid(const char *dashed, const char *plain)
{
	for (; *dashed; dashed++) {
		if (*dashed == '-')
			continue;
		if (*dashed != *plain)
			return false;
		plain++;
	}
	return *plain == '\0';
}

const struct lv *lvm_by_uuid(const struct lvm *l, const char *plain)
{
	for (size_t i = 0; i < l->count; i++) {
		if (same_uuid(l->lvs[i].uuid, plain))
			return &l->lvs[i];
	}
	return NULL;
}

const struct lv *lvm_pool(const struct lvm *l, const struct lv *lv)
{
	autofree char *name = mem_fmt("%s/%s", lv->vg, lv->pool);

	return lvm_find(l, name);
}

bool lvm_has_vg(const struct lvm *l, const char *name)
{
	size_t vg = strcspn(name, "/");

	for (size_t i = 0; i < l->count; i++) {
		if (strlen(l->lvs[i].vg) == vg &&
		    memcmp(l->lvs[i].vg, name, vg) == 0)
			return true;
	}
	return false;
}

/* Tags are parted by commas. */
bool lv_tagged(const struct lv *lv, const char *tag)
{
	size_t n = strlen(tag);

	for (const char *p = lv->tags; *p;) {
		size_t len = strcspn(p, ",");

		if (len == n && memcmp(p, tag, n) == 0)
			return true;
		p += len;
		p += *p == ',';
	}
	return false;
}

char *lvm_full(const struct snap *s)
{
	return mem_fmt("%.*s/%s", (int)strcspn(s->volume, "/"), s->volume,
		       s->name);
}

const struct lv *lvm_ours(const struct lvm *l, const struct snap *s,
			  struct err *e)
{
	autofree char *full = lvm_full(s);
	autofree char *tag = mem_fmt(SNAP_TAGSET "%s", s->set);
	const struct lv *lv = lvm_find(l, full);

	if (lv == NULL && !lvm_has_vg(l, full)) {
		err_set(e, ERR_FAILED, "the volume group of '%s' is not there",
			full);
		return NULL;
	}
	if (lv == NULL) {
		err_set(e, ERR_NOT_FOUND, "there is no LV '%s'", full);
		return NULL;
	}
	if (!lv_tagged(lv, SNAP_TAG) || !lv_tagged(lv, tag) ||
	    (s->guid[0] && strcmp(lv->uuid, s->guid) != 0)) {
		err_set(e, ERR_REFUSED,
			"the LV '%s' is not the snapshot that was made", full);
		return NULL;
	}
	return lv;
}

/* -y answers that it is active; in use, it is refused all the same. */
static int remove_once(const char *name, const struct snap_time *t,
		       struct err *e)
{
	const char *argv[] = { "lvremove", "-qq", "-y", name, NULL };

	return snap_tool(argv, NULL, t, e);
}

int lvm_remove(const char *name, const struct snap_time *t, struct err *e)
{
	int64_t until = clock_steady_ns() + (int64_t)PATIENCE * 1000000;
	struct timespec nap = { .tv_nsec = AGAIN_NS };

	while (remove_once(name, t, e) < 0) {
		if (clock_steady_ns() > until)
			return err_ctx(e, "cannot remove '%s'", name);
		nanosleep(&nap, NULL);
	}
	return 0;
}
