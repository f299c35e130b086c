/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_ROOM_H
#define VMKEEP_JOB_ROOM_H

/*
 * Is there room for what a set writes on this host?  RAM dumps and overlays of
 * all its members grow at the same time, so what they want is added up for
 * each file system, before any guest is touched.
 */

#include "job/member.h"

/*
 * Members whose overlays have no room are lost.  Where it is RAM that is too
 * much, all that would put theirs there go without, or are lost where they
 * must have it: half a group's RAM could not be resumed together.  Its copy
 * for a point that stays goes to local_dir (NULL: none does).
 */
void room_check(struct member *members, size_t count, const char *local_dir);

#endif
