/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_REPAIR_H
#define VMKEEP_REPORT_REPAIR_H

/* What `vmkeep repair` has to say. */

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_repair(FILE *out, const struct result_repair *r);
void json_repair(FILE *out, const struct result_repair *r,
		 const struct json_end *end);

#endif
