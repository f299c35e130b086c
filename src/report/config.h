/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_CONFIG_H
#define VMKEEP_REPORT_CONFIG_H

/* The settings, in their own grammar or as JSON. */

#include "report/json.h"

void text_config(FILE *out, const struct result_config *r);
void json_config(FILE *out, const struct result_config *r,
		 const struct json_end *end);

#endif
