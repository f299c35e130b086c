/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_GROUPS_H
#define VMKEEP_CLI_GROUPS_H

/* Groups of domains in the settings file: [group:NAME] members = a b. */

#include "base/err.h"
#include "base/ini.h"
#include "base/opt.h"

struct group_setting {
	char *name;
	struct opt_list members;
};

struct group_settings {
	struct group_setting *items;
	size_t count;
};

/* Take a line of the file: 1 when it is a group's, 0 when not, -1 when it
 * makes no sense (the message has no place). */
int groups_take(struct group_settings *g, const struct ini_entry *entry,
		struct err *e);

/* ERR_USAGE names the nearest one. */
const struct group_setting *groups_find(const struct group_settings *g,
					const char *name, struct err *e);

void groups_fini(struct group_settings *g);

#endif
