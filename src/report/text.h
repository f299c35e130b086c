/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_TEXT_H
#define VMKEEP_REPORT_TEXT_H

/*
 * Results for people: local times, sizes that can be read, names made safe.
 * What failed is not told here but by the command, on stderr.
 */

#include <stdio.h>

#include "job/result.h"

void text_init(FILE *out, const struct result_init *r);
void text_domains(FILE *out, const struct result_domains *r);
void text_backup(FILE *out, const struct result_backup *r);
void text_import(FILE *out, const struct result_backup *r);
void text_points(FILE *out, const struct result_points *r);
void text_show(FILE *out, const struct result_points *r);
void text_revert(FILE *out, const struct result_revert *r);
void text_restore(FILE *out, const struct result_restore *r);
void text_export(FILE *out, const struct result_export *r);
void text_damages(FILE *out, const struct result_damage *d, size_t count);

/* What could not be read now, where there was any. */
void text_unread(FILE *out, const struct result_verify *r);
void text_verify(FILE *out, const struct result_verify *r);
void text_recover(FILE *out, const struct result_recover *r);

#endif
