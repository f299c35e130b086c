/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_FLATTEN_INTERNAL_H
#define VMKEEP_VIRT_FLATTEN_INTERNAL_H

#include "virt/domain.h"
#include "virt/flatten.h"

struct flatten {
	struct conn *conn;
	const struct flatten_options *opt;
	struct flatten_report *report;
	struct domain_info *domain;
	bool active;
};

/* Fill report->disks, each with a reason where it cannot be merged. */
int flatten_look(struct flatten *f, struct err *e);

/* The image that is merged into, by its place from the top. */
size_t flatten_base_at(const struct flatten_disk *d);

/* Reasons in the images themselves: kinds, formats, sizes, room. */
int flatten_check_images(const struct flatten_disk *d, struct err *e);

void flatten_note(struct flatten_report *report, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
