/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_FAIL_H
#define VMKEEP_TEST_FAIL_H

/*
 * The N-th call that changes files, or looks into them, goes wrong.  The
 * program is linked with --wrap for these calls (see meson.build).
 */

#include <stdbool.h>

/* From now on; counted from 1, 0: none. */
void fail_at(unsigned n, int sys);

/* Has it come to that? */
bool fail_came(void);

#endif
