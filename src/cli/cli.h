/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_CLI_H
#define VMKEEP_CLI_CLI_H

/*
 * A command is a row in a table: its words, its options, what it needs, and a
 * function that parses nothing more, calls one job and prints its result.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/opt.h"
#include "cli/global.h"
#include "cli/speech.h"
#include "cli/stop.h"
#include "job/job.h"
#include "report/json.h"

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_PARTLY = 3, /* some failed, or less than was asked for */
	CLI_BUSY = 4,
	CLI_INTEGRITY = 5,
};

enum cli_needs {
	CLI_REPOSITORY = 1,  /* one is named, its passphrase is at hand */
	CLI_STATE = 2,       /* the state folder exists */
	CLI_SPOOL = 4,       /* and the one for RAM on its way */
	CLI_ORDERLY = 8,     /* the first Ctrl-C undoes what was begun */
	CLI_ACTION = 16,     /* its result is no answer: --quiet drops it */
	CLI_PASSPHRASE = 32, /* at hand; CLI_REPOSITORY says it, too */
	CLI_POINTS = 64,     /* the same of a repository, where one is named:
			      * points may be held on this host alone */
};

struct cli;

struct command {
	struct json_command about;
	const char *details; /* paragraphs for `help COMMAND` */
	size_t min_args, max_args;
	unsigned needs;
	const void *defaults; /* what options start from; NULL: none */
	size_t options_size;
	int (*run)(struct cli *c); /* returns the exit code */
};

/* What a command runs with.  It owns nothing of it. */
struct cli {
	const struct command *command;
	const struct global *global;
	struct speech *speech;
	struct stop *stop;
	struct job job;
	const void *options; /* the command's own struct */
	char **args;         /* NULL-terminated */
	size_t arg_count;
	FILE *out;
};

/* All of them, in the order of the manual; ends with NULL. */
extern const struct command *const commands[];

const struct command *command_find(const char *name);

/* The name that was meant, or NULL. */
const char *command_nearest(const char *name);

enum cli_exit cli_exit_of(const struct err *e);

/*
 * The job has ended: take the progress line away, say on stderr what went
 * wrong, and make what the JSON object ends with.  good: the exit code where
 * the job did not fail.
 */
struct json_end cli_end(struct cli *c, int rc, const struct err *e,
			enum cli_exit good);

/* Is the result to be shown as text (and not as JSON, or not at all)? */
bool cli_wants_text(const struct cli *c);

/* The one optional argument, or NULL. */
const char *cli_only_arg(const struct cli *c);

/* Say what is wrong with what was typed. */
int cli_usage(struct cli *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
