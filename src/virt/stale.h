/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_STALE_H
#define VMKEEP_VIRT_STALE_H

/*
 * What libvirt keeps about external snapshots whose overlays are merged: a
 * snapshot is the state that the image below its overlay had, and that image
 * has been written to.  Nobody can revert to it any more, and libvirt refuses
 * to undefine a domain that has one.
 */

#include "virt/conn.h"
#include "virt/plan.h"

enum stale {
	STALE_NOT,    /* none of its overlays is merged */
	STALE_PARTLY, /* some are */
	STALE_WHOLE,  /* all that it has are */
};

struct stale_snapshot {
	enum stale stale;
	char *memory; /* its RAM, a file; or NULL */
};

/* Of a <domainsnapshot>.  Pure.  Free memory. */
int stale_judge(const char *xml, const struct plan *plan,
		struct stale_snapshot *s, struct err *e);

/*
 * Let libvirt forget the snapshots that are stale as a whole; no file is
 * touched.  say(): what was done, or what cannot be decided.
 */
int stale_forget(struct conn *c, const struct plan *plan,
		 void (*say)(void *ctx, const char *text), void *ctx,
		 struct err *e);

#endif
