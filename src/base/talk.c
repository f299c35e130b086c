/* SPDX-License-Identifier: Apache-2.0 */
#include "base/talk.h"

#include <stdarg.h>
#include <stddef.h>

#include "base/mem.h"

const struct talk talk_none = { .ctx = NULL, .say = NULL, .progress = NULL };

void talk_say(const struct talk *t, enum talk_level level, const char *fmt, ...)
{
	va_list ap;

	if (t->say == NULL)
		return;
	va_start(ap, fmt);
	autofree char *text = mem_vfmt(fmt, ap);
	va_end(ap);
	t->say(t->ctx, level, text);
}

void talk_progress(const struct talk *t, const char *what, uint64_t done,
		   uint64_t total)
{
	struct talk_progress p = { .what = what, .done = done, .total = total };

	if (t->progress != NULL)
		t->progress(t->ctx, &p);
}
