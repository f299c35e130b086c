/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

const char *const place_words[] = { "local", "repository", NULL };

void place_apply(struct cli *c, int place)
{
	if (place >= 0)
		c->job.place = place_words[place];
}
