/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_ZFS_H
#define VMKEEP_SNAP_ZFS_H

/* What zfs(8) says of datasets and snapshots. */

#include "snap/internal.h"
#include "snap/table.h"

#define ZFS_PROP_VIEW "org.vmkeep:view"

/*
 * `zfs get -Hp -o name,property,value,source PROPERTIES NAMES...`: four
 * columns.  Fails when one of them does not exist: see zfs_missing().
 */
int zfs_get(const char *properties, const char *const *names, size_t count,
	    const struct snap_time *t, struct table *out, struct err *e);

/* The value, and whether it is the thing's own (source local); NULL when the
 * table has none. */
const char *zfs_value(const struct table *t, const char *name,
		      const char *property, bool *local);

/* 1 when this dataset or snapshot is surely not there: its pool was listed
 * without it; 0 when it is; -1. */
int zfs_missing(const char *name, const struct snap_time *t, struct err *e);

/* "dataset@name"; free it. */
char *zfs_full(const struct snap *s);

/* Is it there, of its set, with its guid?  ERR_NOT_FOUND, ERR_REFUSED.  *got
 * has its userrefs and clones, too. */
int zfs_ours(const struct snap *s, const struct snap_time *t, struct table *got,
	     struct err *e);

/* `zfs destroy NAME`, again for some seconds: udev looks at new devices. */
int zfs_destroy(const char *name, const struct snap_time *t, struct err *e);

/* The name of the volume behind an open device; "" when it is none. */
#define ZFS_NAME_MAX 256
void zvol_name(int fd, char name[ZFS_NAME_MAX]);

int zfs_view(struct snap_view *v, struct err *e);
int zfs_unview(const struct snap_thing *thing, const struct snap_time *t,
	       struct err *e);

#endif
