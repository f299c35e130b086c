/* SPDX-License-Identifier: Apache-2.0 */
#include "retention_kit.h"

/* ---- whatever the tiers say ---- */

static void test_newest(void **state)
{
	struct world *w = begin("", "2026-11-28T12:00");

	(void)state;
	/* no tier keeps any */
	add(w, at("2026-11-28T10:00"), DAILY);
	add(w, at("2026-11-28T11:00"), DAILY);
	w->r.any_loss = true;
	expect(w, "dk");
	set(w, "retention", "sanoid");
	expect(w, "dk");
	/* the last one, whoever it is */
	w->r.count = 1;
	expect(w, "k");
	end(w);
}

static void test_by_hand_and_held(void **state)
{
	struct world *w = begin("daily=1", "2026-11-28T12:00");

	(void)state;
	add(w, at("2020-01-01"), 0);
	add(w, at("2020-01-02"), DAILY)->held = true;
	add(w, at("2026-11-27"), DAILY);
	add(w, at("2026-11-28"), DAILY);
	w->r.any_loss = true;
	expect(w, "kkdk");
	expect_why(w, 0, "taken by hand");
	expect_why(w, 1, "held");
	/* one that was taken by hand fills no day */
	add(w, at("2026-11-28T01:00"), 0);
	expect(w, "kkdkk");
	end(w);
}

/* Kept here until the other place has got that far. */
static void test_awaited(void **state)
{
	struct world *w = begin("keep=local,main daily=1 main.daily=9",
				"2026-11-28T12:00");

	(void)state;
	for (int d = 20; d < 28; d++)
		add(w, at("2026-11-01") + d * DAY, DAILY)->places = 1;
	w->r.any_loss = true;
	expect(w, "kkkkkkkk");
	expect_why(w, 0, "not in 'main' yet");
	/* it has all but the last two; one it has let go */
	for (int d = 0; d < 6; d++)
		w->sets[d].places = d == 3 ? 1 : 3;
	expect(w, "ddddddkk");
	/* asked about the other place: nothing is awaited here */
	w->r.place = 1;
	expect(w, "kkk.kk..");
	/* somebody has emptied it */
	w->r.place = 0;
	for (int d = 0; d < 8; d++)
		w->sets[d].places = 1;
	expect(w, "kkkkkkkk");
	end(w);
}

static void test_places(void **state)
{
	struct world *w = begin("keep=local,main daily=1 main.daily=3 "
				"main.ram_daily=1",
				"2026-11-28T12:00");

	(void)state;
	for (int d = 23; d < 28; d++) {
		struct retention_set *s =
			add(w, at("2026-11-01") + d * DAY, DAILY);

		s->places = 3;
		s->ram = true;
	}
	w->r.any_loss = true;
	expect(w, "ddddk");
	w->r.place = 1;
	expect(w, "ddrrk");
	end(w);
}

/* ---- guards, and ways around them ---- */

/* Daily points up to this morning, none by hand. */
static struct world *month_of_days(const char *settings)
{
	struct world *w = begin(settings, "2026-11-30T12:00");

	for (int d = 0; d < 30; d++)
		add(w, at("2026-11-01") + d * DAY, DAILY);
	return w;
}

static void expect_guard(struct world *w, const char *want)
{
	decide(w);
	assert_int_equal(count(w, RETENTION_DROP), 0);
	assert_int_equal(count(w, RETENTION_DEMOTE), 0);
	assert_non_null(w->plan.guard);
	assert_string_equal(w->plan.guard, want);
}

static void test_guard_off(void **state)
{
	struct world *w = month_of_days("daily=28 autoprune=no");

	(void)state;
	expect_guard(w, "autoprune is off");
	expect_why(w, 0, "but: autoprune is off");
	expect_why(w, 0, "no tier keeps it (daily 28)");
	/* and nobody overrules that */
	w->r.any_loss = true;
	expect_guard(w, "autoprune is off");
	/* where nothing would go, nothing is said */
	set(w, "daily", "30");
	decide(w);
	assert_null(w->plan.guard);
	end(w);
}

static void test_guard_policy(void **state)
{
	struct world *w = month_of_days("daily=28");

	(void)state;
	w->r.policy_accepted = false;
	expect_guard(w, "the policy is new, or has changed");
	w->r.any_loss = true;
	decide(w);
	assert_int_equal(count(w, RETENTION_DROP), 2);
	/* RAM is not lost before somebody has looked, either */
	w->r.any_loss = false;
	set(w, "daily", "30");
	set(w, "ram_daily", "0");
	w->sets[0].ram = true;
	expect_guard(w, "the policy is new, or has changed");
	w->r.policy_accepted = true;
	decide(w);
	assert_int_equal(count(w, RETENTION_DEMOTE), 1);
	end(w);
}

static void test_guard_mass(void **state)
{
	struct world *w = month_of_days("daily=14");

	(void)state;
	expect_guard(w, "16 of 30 points would be dropped at once");
	set(w, "daily", "15");
	decide(w);
	assert_null(w->plan.guard);
	assert_int_equal(count(w, RETENTION_DROP), 15);
	/* points by hand make it no smaller a part */
	set(w, "daily", "14");
	for (int i = 0; i < 100; i++)
		add(w, at("2026-11-30") - i * HOUR, 0);
	expect_guard(w, "16 of 30 points would be dropped at once");
	end(w);
}

static void test_guard_clock_ahead(void **state)
{
	static const char *const modes[] = { "calendar", "sanoid" };

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		struct world *w = month_of_days("daily=20");

		set(w, "retention", modes[m]);
		w->r.now_s = at("2036-01-01");
		expect_guard(w, "there is no new point since "
				"2026-11-30T00:00:00+00:00: is the clock "
				"right, and is there one tried?");
		/* a day after two periods it is too long ago */
		w->r.now_s = at("2026-11-30") + 3 * DAY;
		decide(w);
		assert_null(w->plan.guard);
		w->r.now_s++;
		decide(w);
		assert_non_null(w->plan.guard);
		end(w);
	}
}

/* With the clock ahead a point was taken before anything is pruned: then it
 * is fresh, and age alone must not empty the place. */
static void test_clock_ahead_with_point(void **state)
{
	struct world *w = month_of_days("daily=20 retention=sanoid");

	(void)state;
	w->r.now_s = at("2036-01-01");
	add(w, w->r.now_s - HOUR, DAILY);
	decide(w);
	assert_int_equal(count(w, RETENTION_DROP), 11);
	/* right again, the point of the future stops everything */
	w->r.now_s = at("2026-12-01");
	w->r.count = 31;
	expect_guard(w, "the newest point is of the future "
			"(2035-12-31T23:00:00+00:00): is the clock right?");
	end(w);
}

/* Ever so slowly: what is left is never less than the policy says. */
static void test_clock_creeps(void **state)
{
	static const char *const modes[] = { "calendar", "sanoid" };

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		struct world *w = month_of_days("daily=20");

		set(w, "retention", modes[m]);
		for (int i = 0; i < 1000; i++) {
			size_t left = 0;

			w->r.now_s += DAY;
			decide(w);
			for (size_t k = 0; k < w->r.count; k++)
				if (w->plan.items[k].verdict == RETENTION_KEEP)
					w->sets[left++] = w->sets[k];
			w->r.count = left;
			assert_true(left >= 20);
		}
		end(w);
	}
}

/* Pruned, and pruned again at the same moment: nothing more goes. */
static void test_again(void **state)
{
	struct world *w = month_of_days("daily=12 weekly=2 hourly=1");
	size_t left = 0;

	(void)state;
	w->r.any_loss = true;
	decide(w);
	for (size_t k = 0; k < w->r.count; k++)
		if (w->plan.items[k].verdict == RETENTION_KEEP)
			w->sets[left++] = w->sets[k];
	assert_true(left < 30);
	w->r.count = left;
	decide(w);
	assert_int_equal(count(w, RETENTION_KEEP), left);
	end(w);
}

/* ---- random histories ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return *seed >> 33;
}

static void make_history(struct world *w, uint64_t *seed)
{
	w->r.count = 0;
	for (size_t i = 0; i < 5 + *seed % 90; i++) {
		uint64_t age = next_random(seed) % (uint64_t)(200 * DAY);
		struct retention_set *s =
			add(w, w->r.now_s - (int64_t)age,
			    (unsigned)(next_random(seed) % 64));

		s->quality = (unsigned)(next_random(seed) % 4);
		s->places = next_random(seed) % 4;
		s->ram = next_random(seed) % 2 == 0;
		s->held = next_random(seed) % 16 == 0;
	}
	for (enum tier t = 0; t < TIERS; t++) {
		w->p.counts.disks[t] = next_random(seed) % 8;
		w->p.counts.ram[t] = next_random(seed) % 3;
	}
	w->p.retention = (int)(next_random(seed) % 2);
	w->r.any_loss = next_random(seed) % 2 == 0;
}

static void check_history(const struct world *w)
{
	const struct retention_set *newest = NULL;
	size_t n = 0;

	for (size_t i = 0; i < w->r.count; i++) {
		const struct retention_set *s = &w->sets[i];
		enum retention_verdict v = w->plan.items[i].verdict;

		assert_true((v == RETENTION_ELSEWHERE) ==
			    ((s->places & 1) == 0));
		if (s->held || s->tiers == 0)
			assert_true(v != RETENTION_DROP &&
				    v != RETENTION_DEMOTE);
		if (v == RETENTION_DEMOTE)
			assert_true(s->ram);
		if (w->plan.guard != NULL)
			assert_true(v != RETENTION_DROP);
		if (v != RETENTION_ELSEWHERE &&
		    (newest == NULL || s->time_s >= newest->time_s)) {
			newest = s;
			n = i;
		}
	}
	if (newest != NULL)
		assert_true(w->plan.items[n].verdict != RETENTION_DROP);
}

static void test_random(void **state)
{
	struct world *w = begin("keep=local,main", "2026-11-28T12:00");
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		make_history(w, &seed);
		decide(w);
		check_history(w);
	}
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest),
		cmocka_unit_test(test_by_hand_and_held),
		cmocka_unit_test(test_awaited),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_guard_off),
		cmocka_unit_test(test_guard_policy),
		cmocka_unit_test(test_guard_mass),
		cmocka_unit_test(test_guard_clock_ahead),
		cmocka_unit_test(test_clock_ahead_with_point),
		cmocka_unit_test(test_clock_creeps),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
