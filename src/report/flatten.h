/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_FLATTEN_H
#define VMKEEP_REPORT_FLATTEN_H

/* What `vmkeep flatten` has to say. */

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_flatten(FILE *out, const struct result_flatten *r);
void json_flatten(FILE *out, const struct result_flatten *r,
		  const struct json_end *end);

#endif
