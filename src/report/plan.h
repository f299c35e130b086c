/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_PLAN_H
#define VMKEEP_REPORT_PLAN_H

/* When points are due, as text and JSON. */

#include "report/json.h"

void text_plan(FILE *out, const struct result_plan *r);
void json_plan(FILE *out, const struct result_plan *r,
	       const struct json_end *end);

#endif
