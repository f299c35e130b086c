/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/num.h"
#include "job/job.h"
#include "repo/pace.h"

static const struct {
	const char *name;
	int level;
} words[] = {
	{ "auto", LEVEL_AUTO },
	{ "fast", LEVEL_FAST },
	{ "archive", LEVEL_ARCHIVE },
};

int job_level(const char *text, int *level, struct err *e)
{
	uint64_t n;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i].name) == 0) {
			*level = words[i].level;
			return 0;
		}
	if (!num_parse(text, &n) || n < 1 || n > LEVEL_MAX)
		return err_set(e, ERR_USAGE,
			       "compression is auto, fast, archive or 1 to %d, "
			       "not '%s'",
			       LEVEL_MAX, text);
	*level = (int)n;
	return 0;
}
