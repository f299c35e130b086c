/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_POUR_INTERNAL_H
#define VMKEEP_JOB_POUR_INTERNAL_H

/* Pouring from what is held on this host, for the pour*.c files alone. */

#include "job/outlet.h"
#include "job/pour.h"

/* At any place, by several threads; synced at the end. */
int pour_held(const struct pour *p, struct outlet *o, struct err *e);

int pour_held_ordered(const struct pour *p, pour_sink *sink, void *ctx,
		      struct err *e);

#endif
