/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_GLOBAL_H
#define VMKEEP_CLI_GLOBAL_H

/*
 * What every command understands.  The command line comes first, then the
 * environment, then the settings file, then what is built in.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"
#include "policy/policies.h"

struct global {
	/* also in the settings file */
	char *repository;
	char *key_file;
	char *connect;
	char *overlay_dir;
	char *spool_dir;
	char *state_dir;
	char *ram_dir;
	char *cache;
	char *compression;
	char *time_zone;
	uint64_t snapshot_size;
	int capture;              /* index into global_captures */
	int level;                /* what that means */
	struct policies policies; /* the other sections; not checked */

	/* only on the command line */
	char *config;
	bool json;
	bool quiet;
	bool verbose;
	bool no_progress;
	bool help;
	bool version;
};

/* How running VMs are captured; ends with NULL, "auto" is the first. */
extern const char *const global_captures[];

/* Keys of the settings file's section [vmkeep], and options. */
extern const struct opt global_settings[];

/* Options alone. */
extern const struct opt global_run[];

/* Both, for help; ends with NULL. */
extern const struct opt *const global_tables[];

void global_fini(struct global *g);

/* The settings files into g, once; config as settings_load() has it. */
int global_load(struct global *g, const char *config, struct err *e);

/* Environment variables into g. */
int global_env(struct global *g, struct err *e);

/* What was not said: default folders.  And what was said wrongly. */
int global_complete(struct global *g, struct err *e);

/* A path that does not depend on where we are.  Free it. */
char *global_absolute(const char *path);

#endif
