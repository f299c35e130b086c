/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_HELP_H
#define VMKEEP_CLI_HELP_H

/* What the tables say, for people and for the shell. */

#include <stdio.h>

#include "cli/cli.h"

void help_all(FILE *out);
void help_command(FILE *out, const struct command *command);

/* Both of them, for programs. */
void help_json(FILE *out, const struct json_end *end);

/* A script for bash that completes commands, options and choices. */
void help_completion(FILE *out);

#endif
