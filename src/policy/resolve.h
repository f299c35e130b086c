/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_RESOLVE_H
#define VMKEEP_POLICY_RESOLVE_H

/*
 * What counts for whom.  From weak to strong: what is built in,
 * [template_default], sections of the datasets a domain lies on (from the pool
 * down), sections whose glob fits it (from the fewest letters to the most), the
 * section of its name.  In each, its templates come first, in their order,
 * then its own keys.  The order of sections in the files means nothing, but
 * that of two globs with as many letters the later one wins.
 */

#include "policy/policies.h"
#include "policy/policy.h"

struct resolved_value {
	char *key;
	char *text;
	const struct policy_entry *said;  /* NULL: built in */
	const struct policy_section *why; /* where that stands, or NULL */
};

struct resolved {
	struct policy policy;
	struct resolved_value *values; /* in the order of the table of keys,
					* then those of places */
	size_t count;
};

void resolved_fini(struct resolved *r);

/* Never NULL for a key of the table. */
const struct resolved_value *resolved_value(const struct resolved *r,
					    const char *key);

/*
 * A domain, by its name and the datasets that its disks lie on, the most
 * important disk's first: the first that a section is for counts.  The section
 * that is strongest for it: a group's that takes it as one; or NULL, when there
 * is none, and r has what is built in.
 */
const struct policy_section *resolve_domain(const struct policies *c,
					    const char *name,
					    const struct opt_list *datasets,
					    struct resolved *r);

/* A dataset as such, in the same way. */
const struct policy_section *resolve_dataset(const struct policies *c,
					     const char *name,
					     struct resolved *r);

/* A section alone, and what it takes over from others: of a dataset those
 * above it, of a name the globs. */
void resolve_section(const struct policies *c, const struct policy_section *s,
		     struct resolved *r);

#endif
