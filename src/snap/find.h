/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_FIND_H
#define VMKEEP_SNAP_FIND_H

/* What each storage says of a path. */

#include "snap/lvm.h"
#include "snap/where.h"

/* What is asked once for all paths. */
struct find_cache {
	struct snap_time time;
	bool listed;
	struct lvm lvm;
};

/* One path on its way to a volume. */
struct finding {
	const struct snap_find *find;
	struct find_cache *cache;
	struct where where;
	struct snap_volume volume;
	char *inside;
	char *why; /* the last thing that was missing */
};

/* Say what is missing. */
void finding_why(struct finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* 1: it is mine, volume and inside are set; 0: not mine, why may be set; -1:
 * error. */
int zfs_find(struct finding *f, struct err *e);
int lvm_find_volume(struct finding *f, struct err *e);
int btrfs_find(struct finding *f, struct err *e);
int reflink_find(struct finding *f, struct err *e);

/* The ids of the plan's volumes of ZFS, in one command. */
int zfs_identify(struct snap_plan *plan, const struct snap_time *t,
		 struct err *e);

#endif
