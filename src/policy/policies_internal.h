/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_POLICIES_INTERNAL_H
#define VMKEEP_POLICY_POLICIES_INTERNAL_H

/* Between the files that make a config. */

#include "policy/policies.h"

void policies_note(struct opt_list *to, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ", did you mean 'hourly'?" or "": the nearest so far. */
struct nearest {
	const char *typed;
	const char *name;
	unsigned distance;
};

void nearest_try(struct nearest *n, const char *name);

/* Free it. */
char *nearest_text(const struct nearest *n);

#endif
