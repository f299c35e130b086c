/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_MEETING_H
#define VMKEEP_VIRT_MEETING_H

/*
 * Where the captures of a group wait for one another: nobody is stopped
 * before all are ready to be.  Each comes once, or leaves.
 */

#include <stdbool.h>

struct meeting;

/* For so many, at least 1. */
struct meeting *meeting_new(unsigned count);
void meeting_free(struct meeting *m);
void meeting_free_at(struct meeting **m);

/* One more is there.  Those who have come must not leave. */
void meeting_come(struct meeting *m);

/* One has failed and will not come. */
void meeting_leave(struct meeting *m);

/* There are not threads enough: nobody waits any more. */
void meeting_break(struct meeting *m);

/* Are all there that have not left?  Waits for it, at most ms. */
bool meeting_full(struct meeting *m, unsigned ms);

#endif
