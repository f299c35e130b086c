/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_PLACE_H
#define VMKEEP_CLI_PLACE_H

/* --place, of all commands that take points. */

#include "cli/cli.h"

/* "local", "repository" */
extern const char *const place_words[];

/* A row of an option table; the command's options have an int `place`, which
 * starts as -1. */
#define PLACE_OPTION(type)                                                     \
	{                                                                      \
		.name = "place", .kind = OPT_CHOICE,                           \
		.offset = offsetof(type, place), .value = "PLACE",             \
		.choices = place_words,                                        \
		.help = "only points that are held there"                      \
	}

/* The job looks only there from now on; -1: everywhere. */
void place_apply(struct cli *c, int place);

#endif
