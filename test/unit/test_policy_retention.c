/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "retention_kit.h"

/* ---- calendar ---- */

static void test_nothing(void **state)
{
	struct world *w = begin("daily=1", "2026-11-28T12:00");

	(void)state;
	expect(w, "");
	assert_null(w->plan.guard);
	end(w);
}

static void test_days(void **state)
{
	struct world *w = begin("daily=2", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-26T23:59"), DAILY);
	add(w, at("2026-11-27T00:00"), DAILY);
	add(w, at("2026-11-27T23:59"), DAILY);
	add(w, at("2026-11-28T00:00"), DAILY);
	add(w, at("2026-11-28T11:00"), DAILY);
	w->r.any_loss = true;
	expect(w, "ddkdk");
	expect_why(w, 4, "daily 2026-11-28 (1 of 2)");
	expect_why(w, 4, "the newest here");
	expect_why(w, 2, "daily 2026-11-27 (2 of 2)");
	expect_why(w, 0, "no tier keeps it (daily 2)");
	end(w);
}

/* Days that have none do not count. */
static void test_gaps(void **state)
{
	struct world *w = begin("daily=3", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-01-01"), DAILY);
	add(w, at("2026-02-01"), DAILY);
	add(w, at("2026-11-01"), DAILY);
	add(w, at("2026-11-28"), DAILY);
	expect(w, "dkkk");
	end(w);
}

/* The order in which they are given means nothing. */
static void test_several_tiers(void **state)
{
	struct world *w = begin("hourly=2 daily=2 monthly=3 yearly=9",
				"2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-28T11:00"), HOURLY);
	add(w, at("2026-11-27T10:00"), HOURLY);
	add(w, at("2026-11-28T10:00"), HOURLY);
	add(w, at("2026-11-28T09:00"), HOURLY);
	add(w, at("2026-10-31T23:59"), HOURLY);
	add(w, at("2025-03-01T10:00"), HOURLY);
	add(w, at("2025-02-01T10:00"), HOURLY);
	expect(w, "kkkdkkd");
	expect_why(w, 0, "hourly 2026-11-28T11 (1 of 2)");
	expect_why(w, 0, "monthly 2026-11 (1 of 3)");
	expect_why(w, 4, "monthly 2026-10 (2 of 3)");
	expect_why(w, 5, "yearly 2025 (2 of 9)");
	end(w);
}

static void test_quality(void **state)
{
	struct world *w = begin("daily=2", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-27T10:00"), DAILY)->quality = 2;
	add(w, at("2026-11-27T11:00"), DAILY)->quality = 3;
	add(w, at("2026-11-27T12:00"), DAILY)->quality = 3;
	add(w, at("2026-11-27T13:00"), DAILY)->quality = 1;
	add(w, at("2026-11-28T10:00"), DAILY);
	w->r.any_loss = true;
	expect(w, "ddkdk");
	assert_true(retention_quality("ram", true) >
		    retention_quality("filesystem", false));
	/* without its RAM it is no better than after a power cut */
	assert_int_equal(retention_quality("ram", false),
			 retention_quality("crash", false));
	assert_int_equal(retention_quality("offline", false),
			 retention_quality("filesystem", false));
	assert_int_equal(retention_quality("import", false), 0);
	end(w);
}

/* An hour that is shown twice is two. */
static void test_clock_change(void **state)
{
	struct world *w = begin("hourly=3", "2026-10-25T04:30Z");

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	add(w, at("2026-10-25T01:30+02:00"), HOURLY);
	add(w, at("2026-10-25T02:30+02:00"), HOURLY);
	add(w, at("2026-10-25T02:30+01:00"), HOURLY);
	add(w, at("2026-10-25T03:30+01:00"), HOURLY);
	expect(w, "dkkk");
	end(w);
}

/* Weeks begin on Monday, also over the turn of the year. */
static void test_weeks(void **state)
{
	struct world *w = begin("weekly=2", "2027-01-05");

	(void)state;
	add(w, at("2026-12-27T23:00"), DAILY); /* Sunday */
	add(w, at("2026-12-28T00:00"), DAILY);
	add(w, at("2027-01-03T23:59"), DAILY);
	add(w, at("2027-01-04T00:00"), DAILY);
	expect(w, "ddkk");
	end(w);
}

/* ---- RAM ---- */

static void test_ram(void **state)
{
	struct world *w =
		begin("hourly=4 daily=2 ram_hourly=2", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-27T10:00"), DAILY)->ram = true;
	for (int h = 7; h < 12; h++)
		add(w, at("2026-11-28") + h * HOUR, HOURLY)->ram = true;
	expect(w, "rdrrkk");
	expect_why(w, 5, "RAM: hourly 2026-11-28T11 (1 of 2)");
	expect_why(w, 0, "no tier keeps its RAM (hourly 2)");
	/* said nowhere, it stays as long as the disks */
	set(w, "ram_hourly", "");
	expect(w, "kdkkkk");
	/* none of it */
	set(w, "ram_hourly", "0");
	expect(w, "rdrrrr");
	/* but what is held, or was taken by hand */
	w->sets[0].held = true;
	w->sets[3].tiers = 0;
	expect(w, "krrkrr");
	end(w);
}

/* The RAM that is kept is of a set that is kept. */
static void test_ram_follows(void **state)
{
	struct world *w = begin("daily=1 ram_daily=1", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-28T08:00"), DAILY)->quality = 3;
	add(w, at("2026-11-28T09:00"), DAILY)->ram = true;
	add(w, at("2026-11-28T10:00"), DAILY);
	w->sets[0].ram = true;
	expect(w, "kdk");
	end(w);
}

/* ---- sanoid ---- */

static void test_sanoid(void **state)
{
	struct world *w = begin("retention=sanoid daily=2", "2026-11-28T12:00");

	(void)state;
	add(w, at("2026-11-20T12:00"), DAILY);
	add(w, at("2026-11-26T11:00"), DAILY);
	add(w, at("2026-11-26T12:00"), DAILY);
	add(w, at("2026-11-28T11:00"), DAILY | HOURLY);
	/* old enough, and two are left without them */
	expect(w, "ddkk");
	expect_why(w, 2, "daily: younger than 2 periods");
	/* not young, but no two would be left */
	w->sets[2].time_s -= HOUR;
	expect(w, "ddkk");
	expect_why(w, 2, "daily: among the last 2");
	/* 0 means: none of that tier */
	set(w, "daily", "0");
	set(w, "hourly", "1");
	w->r.any_loss = true;
	expect(w, "dddk");
	end(w);
}

static char *table_path(void)
{
	const char *dir = getenv("VMKEEP_TEST_DATA");

	return path_join(dir != NULL ? dir : "test/data", "sanoid-prune");
}

/* What tiers keep the set, by the reasons that are given. */
static unsigned kept_by(const struct retention_item *item)
{
	unsigned bits = 0;

	for (size_t i = 0; i < item->why.count; i++)
		for (enum tier t = 0; t < TIERS; t++) {
			autofree char *mark = mem_fmt("%s: ", tier_names[t]);

			if (strncmp(item->why.items[i], mark, strlen(mark)) ==
			    0)
				bits |= TIER_BIT(t);
		}
	return bits;
}

static void compare(struct world *w, const unsigned *kept)
{
	if (w->r.count == 0)
		return;
	w->r.any_loss = true;
	decide(w);
	for (size_t i = 0; i < w->r.count; i++) {
		const struct retention_item *item = &w->plan.items[i];

		assert_int_equal(kept_by(item), kept[i]);
		/* beyond sanoid: the newest, and those of the future */
		if (kept[i] == 0 && item->verdict != RETENTION_DROP)
			assert_true(i == w->r.count - 1 ||
				    w->sets[i].time_s > w->r.now_s);
	}
}

/* Its own verdicts about random histories (test/policy/sanoid.py). */
static void test_as_sanoid(void **state)
{
	autofree char *path = table_path();
	FILE *f = fopen(path, "re");
	unsigned kept[MAX_SETS];
	struct world *w = begin("retention=sanoid", "2026-11-28");
	char line[200];
	size_t sets = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		uint64_t n[TIERS], period;
		int64_t time;
		unsigned tiers;

		if (sscanf(line,
			   "case %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
			   &time, &period, &n[0], &n[1], &n[2], &n[3], &n[4],
			   &n[5]) == 8) {
			compare(w, kept);
			w->p.frequent_period = period;
			w->r.now_s = time;
			w->r.count = 0;
			memcpy(w->p.counts.disks, n, sizeof(n));
			continue;
		}
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%" SCNd64 " %u %u", &time,
					&tiers, &kept[w->r.count]),
				 3);
		add(w, time, tiers);
		sets++;
	}
	compare(w, kept);
	assert_true(sets > 2000);
	fclose(f);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_several_tiers),
		cmocka_unit_test(test_quality),
		cmocka_unit_test(test_clock_change),
		cmocka_unit_test(test_weeks),
		cmocka_unit_test(test_ram),
		cmocka_unit_test(test_ram_follows),
		cmocka_unit_test(test_sanoid),
		cmocka_unit_test(test_as_sanoid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
