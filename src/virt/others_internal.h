/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_OTHERS_INTERNAL_H
#define VMKEEP_VIRT_OTHERS_INTERNAL_H

#include <stdint.h>

#include "virt/others.h"

/* A file or a device, whatever it is called. */
struct others_id {
	uint64_t dev, ino;
	bool block;
	bool there;
};

struct others {
	const struct others_query *q;
	struct others_id *images;
	struct others_id *own;
	struct others_id top;
	char **folders;
	size_t folder_count;
	struct others_found *found;
};

struct others_id others_id(const char *path);
bool others_same(const struct others_id *a, const struct others_id *b);

/* Which of the images that is; -1: none. */
int others_which(const struct others *o, const struct others_id *id);

/* Note whom an image belongs to, unless an earlier one is noted.  Takes who. */
void others_note(struct others *o, int image, char *who);

/* Image files in the folders that are based on an image; open files. */
void others_scan_folders(struct others *o);
void others_scan_processes(struct others *o);

#endif
