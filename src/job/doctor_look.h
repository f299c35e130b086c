/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_DOCTOR_LOOK_H
#define VMKEEP_JOB_DOCTOR_LOOK_H

/* The facts about this host that doctor judges. */

#include "job/doctor_rules.h"
#include "job/job.h"

/* All of *h but its folders.  Free with look_host_fini(). */
void look_host(const struct job *j, struct doctor_host *h);
void look_host_fini(struct doctor_host *h);

/* "6.1.0-13-amd64" is 0x601; 0: no version. */
uint32_t look_kernel(const char *release);

/* The cards of default routes in /proc/net/route: how many, and which, to be
 * freed with the array; at most LOOK_ROUTES. */
#define LOOK_ROUTES 64
size_t look_routes(const char *text, char *cards[LOOK_ROUTES]);

/* snapshot_image_format in a qemu.conf, or NULL.  Free it. */
char *look_image_format(const char *text);

/* The qemu.conf of the daemon at a URI (NULL: root's or the user's); NULL:
 * not on this host, or not known.  Free it. */
char *look_qemu_conf(const char *uri);

#endif
