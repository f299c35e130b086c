/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_ODD_STORE_H
#define VMKEEP_TEST_ODD_STORE_H

/* A store that goes wrong where it is told to: by the name, not by the number
 * of the call. */

#include <stdbool.h>

#include "store/store.h"

struct odd {
	/* Lists leave the name out; NULL: never. */
	bool (*hides)(void *ctx, const char *name);
	/* A get, load or stat of this name fails as when a line is down; NULL:
	 * never. */
	bool (*fails)(void *ctx, const char *name);
	/* Somebody else does something before a call with this name; NULL:
	 * nobody. */
	void (*before)(void *ctx, const char *name);
	void *ctx;
};

/* Around another store, which it owns; the words stay the caller's. */
struct store *store_odd_new(struct store *inner, const struct odd *odd);

#endif
