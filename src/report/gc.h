/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_GC_H
#define VMKEEP_REPORT_GC_H

/* What `vmkeep forget` and `vmkeep gc` have to say. */

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_forget(FILE *out, const struct result_forget *r);
void json_forget(FILE *out, const struct result_forget *r,
		 const struct json_end *end);

void text_gc(FILE *out, const struct result_gc *r);
void json_gc(FILE *out, const struct result_gc *r, const struct json_end *end);

#endif
