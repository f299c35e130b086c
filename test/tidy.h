/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_TIDY_H
#define VMKEEP_TEST_TIDY_H

/*
 * Included first when clang-tidy reads a file.  It looks at one file at a
 * time, cannot know that these always return -1, and would take every path
 * on which they do not.
 */

#include "base/err.h"

#define err_set(...)   (err_set(__VA_ARGS__), -1)
#define err_sys(...)   (err_sys(__VA_ARGS__), -1)
#define err_sysno(...) (err_sysno(__VA_ARGS__), -1)
#define err_ctx(...)   (err_ctx(__VA_ARGS__), -1)

#ifdef TIDY_VIRT
#include "virt/conn_internal.h"

#define virt_err(...) (virt_err(__VA_ARGS__), -1)
#endif

#endif
