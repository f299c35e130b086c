/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "report/safe.h"

#define SECOND_NS INT64_C(1000000000)

/* The step of this name, or the one that was silent for longest. */
static struct progress_step *find_step(struct progress *p, const char *what)
{
	struct progress_step *oldest = &p->steps[0];

	for (size_t i = 0; i < PROGRESS_STEPS; i++) {
		struct progress_step *s = &p->steps[i];

		if (strncmp(s->what, what, PROGRESS_WHAT - 1) == 0)
			return s;
		if (s->seen_ns < oldest->seen_ns)
			oldest = s;
	}
	memset(oldest, 0, sizeof(*oldest));
	snprintf(oldest->what, sizeof(oldest->what), "%s", what);
	return oldest;
}

/* Bytes a second since the last sample, at least half a second ago, with
 * the past counting for two thirds. */
static void sample(struct progress_step *s, uint64_t done, int64_t now_ns)
{
	int64_t span = now_ns - s->sample_ns;
	double rate;

	if (s->sample_ns == 0 || done < s->sample_done) {
		s->sample_ns = now_ns;
		s->sample_done = done;
		s->rate = 0;
		return;
	}
	if (span < SECOND_NS / 2)
		return;
	rate = (double)(done - s->sample_done) * (double)SECOND_NS /
	       (double)span;
	s->rate = s->rate > 0 ? (2 * s->rate + rate) / 3 : rate;
	s->sample_ns = now_ns;
	s->sample_done = done;
}

const struct progress_step *progress_note(struct progress *p,
					  const struct talk_progress *t,
					  int64_t now_ns)
{
	struct progress_step *s = find_step(p, t->what);

	sample(s, t->done, now_ns);
	s->done = t->done;
	s->total = t->total;
	s->seen_ns = now_ns;
	return s;
}

static char *amount(const struct progress_step *s)
{
	char done[NUM_TEXT], total[NUM_TEXT];

	num_size_text(s->done, done);
	if (s->total == 0)
		return mem_strdup(done);
	num_size_text(s->total, total);
	return mem_fmt("%s of %s (%u%%)", done, total,
		       (unsigned)((double)s->done * 100 / (double)s->total));
}

static char *speed(const struct progress_step *s)
{
	char rate[NUM_TEXT];

	if (s->rate < 1)
		return mem_strdup("");
	num_size_text((uint64_t)s->rate, rate);
	return mem_fmt("  %s/s", rate);
}

static char *remaining(const struct progress_step *s)
{
	char left[NUM_TEXT];
	double ms;

	if (s->rate < 1 || s->total <= s->done)
		return mem_strdup("");
	ms = (double)(s->total - s->done) * 1000 / s->rate;
	if (ms > 1e12)
		return mem_strdup("");
	/* whole seconds: tenths would only flicker */
	num_duration_text(((uint64_t)ms / 1000 + 1) * 1000, left);
	return mem_fmt("  %s left", left);
}

/* Cut the text at the column, between characters. */
static void cut(char *text, size_t width)
{
	char *p = text;
	size_t used = 0;

	while (*p != '\0') {
		unsigned code;
		size_t n = safe_char(p, &code);
		char after;

		n = n == 0 ? 1 : n;
		after = p[n];
		p[n] = '\0';
		used += safe_width(p);
		p[n] = after;
		if (used > width) {
			*p = '\0';
			return;
		}
		p += n;
	}
}

/* The name gives way first, then the end of the line. */
char *progress_line(const struct progress_step *s, size_t width)
{
	autofree char *what = safe_text(s->what);
	autofree char *much = amount(s);
	autofree char *fast = speed(s);
	autofree char *left = remaining(s);
	size_t rest = safe_width(much) + safe_width(fast) + safe_width(left);
	char *line;

	if (rest + 2 + safe_width(what) > width)
		cut(what, rest + 10 < width ? width - rest - 2 : 8);
	line = mem_fmt("%s  %s%s%s", what, much, fast, left);
	cut(line, width);
	return line;
}
