/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_POLICY_POLICIES_H
#define VMKEEP_POLICY_POLICIES_H

/*
 * The sections of the settings that say what is to be done with whom.
 *
 *   [web1], [web*]     domains; a name with '/' is a dataset, and means the
 *                      domains whose disks lie on it
 *   [template_NAME]    keys that others take over with use_template
 *   [group:NAME]       domains that are taken at one instant
 *   [repository:NAME]  a place that holds points
 *   [replica:NAME]     where copies go
 *
 * Files are added, then all is checked at once; what makes no sense is noted,
 * all of it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ini.h"
#include "base/opt.h"

enum section_kind {
	SECTION_TEMPLATE,
	SECTION_DOMAINS, /* a name, or a glob; perhaps a pool's, too */
	SECTION_DATASET,
	SECTION_GROUP,
	SECTION_REPOSITORY,
	SECTION_REPLICA,
};

/* Children of a dataset. */
enum section_recursive {
	RECURSIVE_NO,
	RECURSIVE_YES,
	RECURSIVE_ZFS, /* in one snapshot with it */
};

struct policy_entry {
	char *key; /* with '_'; a place may stand before: "main.daily" */
	char *value;
	const char *file;
	unsigned line;
};

struct policy_section {
	enum section_kind kind;
	char *title;      /* as in the file: "group:shop" */
	char *name;       /* "shop"; what "domain" or "path" say instead */
	bool literal;     /* '*' in the name is a star */
	const char *file; /* where it was first */
	unsigned line;
	struct policy_entry *entries; /* all that was said in it */
	size_t count;

	/* what some of that means: after policies_finish() */
	struct opt_list templates; /* in the order of use_template */
	struct opt_list members;   /* of a group */
	int recursive;             /* enum section_recursive */
	bool children_only;        /* process_children_only */
	bool skip_children;
};

struct policies {
	struct policy_section **sections; /* as they came */
	size_t count;
	struct opt_list files;
	struct opt_list problems; /* each a sentence with its place */
	struct opt_list warnings;
};

void policies_fini(struct policies *c);

/*
 * Take a file's sections; ini may go afterwards.  Files that come later win
 * over earlier ones, key by key; within a file the first of several equal keys
 * counts, as in sanoid.  [vmkeep] is not ours, [version] is sanoid's.
 */
void policies_add(struct policies *c, const char *file, const struct ini *ini);

/* After the last file, once: what is said is understood, and what makes no
 * sense noted: unknown keys, wrong values, names that lead nowhere, dates that
 * are none. */
void policies_finish(struct policies *c);

/* 0, or ERR_USAGE with the first problem and how many there are: such a config
 * may be shown, but nobody should act on it. */
int policies_check(const struct policies *c, struct err *e);

/* By kind and name; NULL. */
const struct policy_section *policies_find(const struct policies *c,
					   enum section_kind kind,
					   const char *name);

/* Is it taken as one by a schedule?  A group that has only members is just a
 * name for them. */
bool section_is_unit(const struct policy_section *s);

/* The group that is called so; ERR_USAGE names the nearest one. */
const struct policy_section *policies_group(const struct policies *c,
					    const char *name, struct err *e);

/* Does any section need to know what datasets a domain lies on? */
bool policies_has_datasets(const struct policies *c);

/* What was said under this key, or NULL. */
const struct policy_entry *section_entry(const struct policy_section *s,
					 const char *key);

#endif
