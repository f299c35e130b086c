/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_KEY_H
#define VMKEEP_REPORT_KEY_H

/* What `vmkeep key` has to say, for people and for programs. */

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_keys(FILE *out, const struct result_keys *r);
void json_keys(FILE *out, const struct result_keys *r,
	       const struct json_end *end);

#endif
