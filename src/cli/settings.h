/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_SETTINGS_H
#define VMKEEP_CLI_SETTINGS_H

/* Which settings files there are, and what is written in them. */

#include "base/err.h"
#include "base/ini.h"

#define SETTINGS_DIR "/etc/vmkeep"

struct settings_file {
	char *path;
	struct ini ini;
};

struct settings {
	struct settings_file *files; /* from weak to strong */
	size_t count;
};

/*
 * vmkeep.conf of the folder, then conf.d/[!.]*.conf in it by their names.
 * config: another folder, or one file; NULL: SETTINGS_DIR, where nothing need
 * be there.  *s is for settings_fini() in any case.
 */
int settings_load(const char *config, struct settings *s, struct err *e);
void settings_fini(struct settings *s);

#endif
