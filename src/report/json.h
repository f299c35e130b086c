/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_JSON_H
#define VMKEEP_REPORT_JSON_H

/*
 * Results for programs: one JSON object, as vmkeep(1) describes it.  Keys do
 * not change their meaning within a schema number.
 */

#include <stdio.h>

#include "base/err.h"
#include "base/opt.h"
#include "job/result.h"

/* How the command ended: in every object. */
struct json_end {
	const char *command;
	const struct err *error; /* NULL: no error */
	int exit;                /* the exit code */
};

void json_init(FILE *out, const struct result_init *r,
	       const struct json_end *end);
void json_domains(FILE *out, const struct result_domains *r,
		  const struct json_end *end);

/* import, too. */
void json_backup(FILE *out, const struct result_backup *r,
		 const struct json_end *end);
void json_points(FILE *out, const struct result_points *r,
		 const struct json_end *end);
void json_revert(FILE *out, const struct result_revert *r,
		 const struct json_end *end);
void json_restore(FILE *out, const struct result_restore *r,
		  const struct json_end *end);
void json_export(FILE *out, const struct result_export *r,
		 const struct json_end *end);
void json_verify(FILE *out, const struct result_verify *r,
		 const struct json_end *end);
void json_recover(FILE *out, const struct result_recover *r,
		  const struct json_end *end);

/* Nothing but how it ended. */
void json_error(FILE *out, const struct json_end *end);

void json_version(FILE *out, const char *version, const struct json_end *end);

/* A command as its help tells it. */
struct json_command {
	const char *name;
	const char *args; /* "POINT --to DIR" */
	const char *summary;
	const struct opt *options; /* NULL: none */
};

void json_help(FILE *out, const struct json_command *commands, size_t count,
	       const struct opt *const *globals, const struct json_end *end);

#endif
