/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_STATS_H
#define VMKEEP_REPORT_STATS_H

/* What `vmkeep stats` has to say. */

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_stats(FILE *out, const struct result_stats *r);
void json_stats(FILE *out, const struct result_stats *r,
		const struct json_end *end);

#endif
