/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_LVM_H
#define VMKEEP_SNAP_LVM_H

/* What lvs(8) says of logical volumes. */

#include "snap/internal.h"
#include "snap/table.h"

#define LVM_TAG_VIEW "vmkeep.view."

/* One LV; strings are the list's. */
struct lv {
	const char *vg, *name, *uuid, *origin, *pool, *tags;
	uint64_t size, vg_free; /* bytes */
	int data_percent;       /* -1: not told (inactive) */
	int meta_percent;
	bool thin;    /* a volume in a thin pool */
	bool pool_lv; /* is itself a pool */
	bool invalid; /* a thick snapshot that has overflowed */
	bool open;
	int major, minor; /* -1: inactive */
};

struct lvm {
	struct table table;
	struct lv *lvs;
	size_t count;
};

/* All LVs of this host.  ERR_REFUSED where there is no lvs(8). */
int lvm_list(const struct snap_time *t, struct lvm *out, struct err *e);
void lvm_fini(struct lvm *l);

/* From what lvs printed. */
int lvm_parse(const struct buf *text, struct lvm *out, struct err *e);

/* By "VG/LV"; NULL when it is not in the list. */
const struct lv *lvm_find(const struct lvm *l, const char *name);
/* By the 32 characters of its UUID without dashes. */
const struct lv *lvm_by_uuid(const struct lvm *l, const char *plain);
/* The pool of a thin LV, or NULL. */
const struct lv *lvm_pool(const struct lvm *l, const struct lv *lv);
/* Does the VG have any LV that is listed? */
bool lvm_has_vg(const struct lvm *l, const char *name);

bool lv_tagged(const struct lv *lv, const char *tag);

/* "VG/name" of a snap; free it. */
char *lvm_full(const struct snap *s);

/* The snap's LV in the list.  ERR_NOT_FOUND, ERR_REFUSED when it lacks our
 * tag or has another UUID, ERR_FAILED when its VG is not there. */
const struct lv *lvm_ours(const struct lvm *l, const struct snap *s,
			  struct err *e);

/* Remove an LV that is not open, again for some seconds: udev looks at new
 * devices. */
int lvm_remove(const char *name, const struct snap_time *t, struct err *e);

int lvm_view(struct snap_view *v, struct err *e);
int lvm_unview(const struct snap_thing *thing, const struct snap_time *t,
	       struct err *e);

#endif
