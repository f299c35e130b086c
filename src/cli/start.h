/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_START_H
#define VMKEEP_CLI_START_H

/* What a command needs before it runs: folders, passphrase, signals. */

#include "cli/cli.h"

struct start {
	struct cli cli;
	char *passphrase; /* secret memory, or NULL */
};

/* The command, global, options, arguments and out of s->cli are set; fills
 * the rest.  On failure, too, start_end() is due. */
int start_begin(struct start *s, struct err *e);
void start_end(struct start *s);

#endif
