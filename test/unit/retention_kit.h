/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_RETENTION_KIT_H
#define VMKEEP_TEST_RETENTION_KIT_H

/* A place with sets, and what is decided about them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/key.h"
#include "policy/retention.h"
#include "policy/schedule.h"

#define S    INT64_C(1000000000)
#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

enum { MAX_SETS = 1000 };

/* A place, what it holds, and what is asked of it. */
struct world {
	struct policy p;
	struct retention r;
	struct retention_set sets[MAX_SETS];
	struct retention_plan plan;
};

static inline int64_t at(const char *text)
{
	int64_t from, until;

	if (!clock_parse(text, &from, &until))
		fail_msg("'%s' is no time", text);
	return from / S;
}

static inline void set(struct world *w, const char *key, const char *text)
{
	struct err e = ERR_INIT;

	if (policy_set(&w->p, key, text, &e) < 0)
		fail_msg("%s = %s: %s", key, text, e.msg);
}

/* Nothing is kept of any tier, but for what the settings say:
 * "daily=3 ram_daily=1". */
static inline struct world *begin(const char *settings, const char *now)
{
	struct world *w = mem_zalloc(1, sizeof(*w));
	autofree char *copy = mem_strdup(settings);
	char *save = NULL;

	setenv("TZ", "UTC0", 1);
	tzset();
	policy_init(&w->p);
	for (int t = 0; t < TIERS; t++)
		set(w, tier_names[t], "0");
	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *equal = strchr(word, '=');

		*equal = '\0';
		set(w, word, equal + 1);
	}
	w->r = (struct retention){ .policy = &w->p,
				   .sets = w->sets,
				   .now_s = at(now),
				   .policy_accepted = true };
	return w;
}

static inline void end(struct world *w)
{
	retention_plan_fini(&w->plan);
	policy_fini(&w->p);
	free(w);
}

#define HOURLY 2U
#define DAILY  4U

/* One more in the first place, of quality 1. */
static inline struct retention_set *add(struct world *w, int64_t time_s,
					unsigned tiers)
{
	struct retention_set *s = &w->sets[w->r.count++];

	assert_true(w->r.count <= MAX_SETS);
	*s = (struct retention_set){
		.time_s = time_s, .tiers = tiers, .quality = 1, .places = 1
	};
	return s;
}

static inline void decide(struct world *w)
{
	retention_plan_fini(&w->plan);
	retention_decide(&w->r, &w->plan);
	assert_int_equal(w->plan.count, w->r.count);
	for (size_t i = 0; i < w->plan.count; i++)
		assert_true((w->plan.items[i].why.count == 0) ==
			    (w->plan.items[i].verdict == RETENTION_ELSEWHERE));
}

/* "kkd.r": keep, drop, elsewhere, demote (its RAM goes). */
static inline void expect(struct world *w, const char *want)
{
	static const char letters[] = { '.', 'k', 'r', 'd' };
	char have[MAX_SETS + 1] = "";

	decide(w);
	for (size_t i = 0; i < w->plan.count; i++)
		have[i] = letters[w->plan.items[i].verdict];
	assert_string_equal(have, want);
}

static inline void expect_why(const struct world *w, size_t i, const char *want)
{
	for (size_t k = 0; k < w->plan.items[i].why.count; k++)
		if (strcmp(w->plan.items[i].why.items[k], want) == 0)
			return;
	for (size_t k = 0; k < w->plan.items[i].why.count; k++)
		print_error("%s\n", w->plan.items[i].why.items[k]);
	fail_msg("there is no '%s' among these", want);
}

static inline size_t count(const struct world *w,
			   enum retention_verdict verdict)
{
	size_t n = 0;

	for (size_t i = 0; i < w->plan.count; i++)
		n += w->plan.items[i].verdict == verdict;
	return n;
}

#endif
