/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_DOCTOR_H
#define VMKEEP_REPORT_DOCTOR_H

#include <stdio.h>

#include "job/result.h"
#include "report/json.h"

void text_doctor(FILE *out, const struct result_doctor *r);
void text_rules(FILE *out, const struct result_doctor *r);
void json_doctor(FILE *out, const struct result_doctor *r,
		 const struct json_end *end);

#endif
