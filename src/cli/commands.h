/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_COMMANDS_H
#define VMKEEP_CLI_COMMANDS_H

/* The rows of the table, each in its cmd_*.c. */

#include "cli/cli.h"

extern const struct command cmd_init;
extern const struct command cmd_domains;
extern const struct command cmd_backup;
extern const struct command cmd_points;
extern const struct command cmd_show;
extern const struct command cmd_restore;
extern const struct command cmd_revert;
extern const struct command cmd_import;
extern const struct command cmd_export;
extern const struct command cmd_verify;
extern const struct command cmd_repair;
extern const struct command cmd_stats;
extern const struct command cmd_flatten;
extern const struct command cmd_forget;
extern const struct command cmd_gc;
extern const struct command cmd_recover;
extern const struct command cmd_doctor;
extern const struct command cmd_key;
extern const struct command cmd_config;
extern const struct command cmd_plan;
extern const struct command cmd_completion;
extern const struct command cmd_help;
extern const struct command cmd_version;

#endif
