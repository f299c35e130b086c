/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What becomes of a disk whose chain was being shortened.  Until the pivot
 * (or the end of qemu-img's commit) the chain is whole as it was, whatever
 * has reached the base: all that was written there is shadowed by the images
 * above.  So giving up is always possible before, and never after.
 */

#include "virt/plan.h"

static enum plan_action flat_on_base(const struct plan_disk *disk,
				     const struct plan_sight *s)
{
	if (s->overlay_locked)
		return ACT_KEEP_LOCKED;
	if (disk->step < STEP_PIVOT)
		return ACT_UNDO; /* by somebody else */
	if (s->kept != TOP_OVERLAY)
		return ACT_RELEASE;
	return disk->step >= STEP_COMMITTED || s->same_instance
		       ? ACT_REDEFINE
		       : ACT_KEEP_APART;
}

static enum plan_action flat_active(const struct plan_disk *disk,
				    const struct plan_sight *s)
{
	switch (s->live) {
	case TOP_OVERLAY:
		if (s->pivoted)
			return s->kept == TOP_OVERLAY ? ACT_REDEFINE
						      : ACT_KEEP_PIVOTED;
		/* started between qemu-img's end and the new definition, which
		 * would lose what the guest writes now */
		if (s->kept == TOP_BASE)
			return ACT_MERGE_LIVE;
		return disk->given_up ? ACT_UNDO : ACT_MERGE_LIVE;
	case TOP_BASE:
		return flat_on_base(disk, s);
	case TOP_NONE:
	case TOP_ABOVE:
	case TOP_OTHER:
	default:
		return ACT_UNDO;
	}
}

static enum plan_action flat_committed(const struct plan_disk *disk,
				       const struct plan_sight *s)
{
	if (!s->overlay_there || !s->touched)
		return ACT_REDEFINE;
	/* after a pivot the guest was on the base, too */
	if (!disk->offline)
		return ACT_KEEP_APART;
	return disk->given_up ? ACT_UNDO : ACT_MERGE_OFF;
}

static enum plan_action flat_off(const struct plan_disk *disk,
				 const struct plan_sight *s)
{
	switch (s->kept) {
	case TOP_OVERLAY:
		if (disk->step >= STEP_COMMITTED)
			return flat_committed(disk, s);
		if (disk->step == STEP_PIVOT && s->equal)
			return ACT_REDEFINE;
		/* see decide_off() in plan.c */
		if (disk->step == STEP_PIVOT && s->base_newer)
			return ACT_KEEP_UNSURE;
		return disk->given_up ? ACT_UNDO : ACT_MERGE_OFF;
	case TOP_BASE:
		if (s->overlay_locked)
			return ACT_KEEP_LOCKED;
		if (disk->step == STEP_COMMITTED && disk->offline &&
		    s->overlay_there && s->touched)
			return ACT_KEEP_APART;
		return disk->step >= STEP_PIVOT ? ACT_RELEASE : ACT_UNDO;
	case TOP_NONE:
	case TOP_ABOVE:
	case TOP_OTHER:
	default:
		return ACT_UNDO;
	}
}

enum plan_action plan_decide_flat(const struct plan_disk *disk,
				  const struct plan_sight *sight)
{
	if (!sight->exists)
		return ACT_UNDO; /* nothing of ours is left in it */
	return sight->active ? flat_active(disk, sight) : flat_off(disk, sight);
}
