/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_DESCRIBE_H
#define VMKEEP_JOB_DESCRIBE_H

/*
 * The words in which a point's attributes are kept, and from there to
 * results.  The repository stores them and understands none.
 */

#include "job/result.h"
#include "repo/point.h"

/* Of a point. */
#define ATTR_LEVEL  "level" /* "ram", "filesystem", ... "import" */
#define ATTR_METHOD "method"
#define ATTR_UUID   "uuid"
#define ATTR_PAUSE  "pause_ms"
#define ATTR_PAUSED "paused"  /* "yes": the guest was paused before */
#define ATTR_NOTE   "note."   /* note.000, note.001, ... */
#define ATTR_SKEW   "skew_ms" /* first to last stop of the set's guests */
#define ATTR_SNAPS  "snap_ms" /* first to last storage snapshot of the set */

/* Of a set. */
#define ATTR_GROUP  "group"   /* its name in the settings */
#define ATTR_FAILED "failed." /* and a domain: why it is not in the set */

/* Of an image. */
#define ATTR_FORMAT "format" /* what the source was in */
#define ATTR_SOURCE "source" /* path it was read from */
#define ATTR_FOLDER "folder" /* of a file of the TPM: "tpm2" */
#define ATTR_OWNER  "owner"  /* and whose it was: "user:group" */

/* The images of a domain that are no disks. */
#define IMAGE_MEMORY     "memory"        /* pages, or a stream */
#define IMAGE_LAYOUT     "memory.layout" /* what makes pages a stream */
#define IMAGE_LIVE_XML   "live.xml"
#define IMAGE_INACTIVE   "inactive.xml"
#define IMAGE_MIGRATABLE "migratable.xml"
#define IMAGE_NVRAM_NAME "nvram"

void describe_point(const struct set *set, const struct point *p,
		    struct result_point *out);

/* 32 digits, to be freed. */
char *describe_id(const struct id *id);

#endif
