/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_TPM_BACK_H
#define VMKEEP_JOB_TPM_BACK_H

/* The state of a TPM, from a point to where libvirt looks for it. */

#include "base/err.h"
#include "job/places.h"
#include "job/result.h"
#include "virt/conn.h"

struct tpm_back {
	const struct places *places;
	const struct set *set;
	const struct point *point;
	struct conn *conn;                    /* NULL: no domain is defined */
	const char *xml;                      /* its new definition */
	struct result_strings *files, *notes; /* to be told */
};

/* Before the domain is defined.  Nothing when the point has none. */
int tpm_bring_back(const struct tpm_back *b, struct err *e);

#endif
