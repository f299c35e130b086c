/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_OVERLAY_H
#define VMKEEP_VIRT_OVERLAY_H

/* Where overlays go, and whether there is room for them. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A new name "BASE.vmkeep-xxxxxxxx.qcow2" beside the base, or in dir (when
 * not NULL) "DOMAIN-TARGET.vmkeep-xxxxxxxx.qcow2"; long names are cut.  A
 * block device without dir is ERR_REFUSED.  The suffix is one that AppArmor's
 * profiles for guests know.  To be freed.
 */
struct overlay_want {
	const char *domain;
	const char *target;
	const char *base;
	const char *dir;
	bool block;
};

char *overlay_name(const struct overlay_want *want, struct err *e);

/*
 * How much of the file system that will hold path is to stay free: reserve,
 * or, when that is 0, a tenth of it, at most 2 GiB.
 */
int overlay_reserve(const char *path, uint64_t reserve, uint64_t *bytes,
		    struct err *e);

/* How much beside the reserve it is thought to grow by, at most. */
uint64_t overlay_growth(uint64_t reserve);

/* ERR_NO_SPACE when less than bytes is free there; the sentence names the
 * option that chooses another place. */
int overlay_room(const char *path, uint64_t bytes, const char *option,
		 struct err *e);

#endif
