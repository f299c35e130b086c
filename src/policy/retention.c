/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/retention.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/policies_internal.h"
#include "policy/retention_internal.h"
#include "policy/schedule.h"

#define HOUR      INT64_C(3600)
#define DAY       (24 * HOUR)
#define SECOND_NS INT64_C(1000000000)

unsigned retention_quality(const char *level, bool with_ram)
{
	if (strcmp(level, "ram") == 0)
		/* without, what is left are the disks of one instant */
		return with_ram ? 3 : 1;
	if (strcmp(level, "filesystem") == 0 || strcmp(level, "offline") == 0)
		return 2;
	return strcmp(level, "crash") == 0 ? 1 : 0;
}

void retention_plan_fini(struct retention_plan *plan)
{
	static const struct opt list = { .kind = OPT_LIST };

	for (size_t i = 0; i < plan->count; i++)
		opt_clear(&list, &plan->items[i].why);
	free(plan->items);
	free(plan->guard);
	*plan = (struct retention_plan){ .items = NULL };
}

/* ---- those of this place ---- */

static bool is_here(const struct retention *r, const struct retention_set *s)
{
	return (s->places >> r->place & 1) != 0;
}

static int by_time(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	if (x->set->time_s != y->set->time_s)
		return x->set->time_s < y->set->time_s ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* Oldest first. */
static void gather(const struct retention *r, struct retention_plan *plan,
		   struct candidates *all)
{
	all->items = mem_zalloc(r->count + 1, sizeof(*all->items));
	for (size_t i = 0; i < r->count; i++)
		if (is_here(r, &r->sets[i]))
			all->items[all->count++] = (struct candidate){
				.set = &r->sets[i],
				.index = i,
				.why = &plan->items[i].why,
			};
	qsort(all->items, all->count, sizeof(*all->items), by_time);
}

static void candidates_fini(struct candidates *c)
{
	free(c->items);
}

/* ---- what stays, whatever the tiers say ---- */

static bool has_newer(const struct retention *r, size_t place, int64_t time_s)
{
	for (size_t i = 0; i < r->count; i++)
		if ((r->sets[i].places >> place & 1) != 0 &&
		    r->sets[i].time_s > time_s)
			return true;
	return false;
}

/* A place that has newer ones had its chance, or does not want it. */
static const char *awaited_by(const struct retention *r,
			      const struct retention_set *s)
{
	for (size_t i = 0; i < r->policy->keep.count && i < 64; i++)
		if (i != r->place && (s->places >> i & 1) == 0 &&
		    !has_newer(r, i, s->time_s))
			return r->policy->keep.items[i];
	return NULL;
}

static void keep(struct candidate *c, bool ram, const char *why)
{
	policies_note(c->why, "%s", why);
	c->keep = true;
	c->keep_ram |= ram;
}

static void keep_others(const struct retention *r, struct candidates *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct candidate *c = &all->items[i];
		const char *place = awaited_by(r, c->set);

		if (c->set->tiers == 0)
			keep(c, true, "taken by hand");
		if (c->set->held)
			keep(c, true, "held");
		if (c->set->time_s > r->now_s)
			keep(c, true, "of the future");
		if (place != NULL) {
			autofree char *why = mem_fmt("not in '%s' yet", place);

			keep(c, true, why);
		}
		if (i == all->count - 1)
			keep(c, false, "the newest here");
	}
}

/* ---- guards ---- */

/* Of the finest tier that is taken, or kept here; a year where none is. */
static int64_t finest_period(const struct retention *r)
{
	struct tier_counts counts;

	policy_counts(r->policy, r->policy->keep.items[r->place], &counts);
	for (enum tier t = 0; t < TIERS; t++)
		if (counts.disks[t] > 0 || policy_takes(r->policy, t))
			return retention_period_s(r->policy, t);
	return retention_period_s(r->policy, TIER_YEARLY);
}

static char *when(int64_t time_s)
{
	char text[CLOCK_TEXT];

	clock_text_local(time_s * SECOND_NS, text);
	return mem_strdup(text);
}

/* The clock, seen by what was taken last. */
static char *clock_guard(const struct retention *r, const struct candidates *c)
{
	int64_t newest = c->items[c->count - 1].set->time_s;
	autofree char *is = when(newest);

	if (newest > r->now_s + HOUR)
		return mem_fmt("the newest point is of the future (%s): is the "
			       "clock right?",
			       is);
	if (newest < r->now_s - 2 * finest_period(r) - DAY)
		return mem_fmt("there is no new point since %s: is the clock "
			       "right, and is there one tried?",
			       is);
	return NULL;
}

static char *mass_guard(const struct candidates *c)
{
	size_t drops = 0;
	size_t taken = 0;

	for (size_t i = 0; i < c->count; i++) {
		taken += c->items[i].set->tiers != 0;
		drops += !c->items[i].keep;
	}
	if (drops < 3 || 2 * drops <= taken)
		return NULL;
	return mem_fmt("%zu of %zu points would be dropped at once", drops,
		       taken);
}

static bool loses(const struct candidate *c)
{
	return !c->keep || (c->set->ram && !c->keep_ram);
}

static bool loses_any(const struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (loses(&c->items[i]))
			return true;
	return false;
}

/* NULL: what the tiers say may be done. */
static char *find_guard(const struct retention *r, const struct candidates *c)
{
	char *guard = NULL;

	if (!loses_any(c))
		return NULL;
	if (!r->policy->autoprune)
		return mem_strdup("autoprune is off");
	if (r->any_loss)
		return NULL;
	guard = clock_guard(r, c);
	if (guard == NULL && !r->policy_accepted)
		guard = mem_strdup("the policy is new, or has changed");
	return guard != NULL ? guard : mass_guard(c);
}

/* ---- the verdict ---- */

/* "hourly 36, daily 30"; free it. */
static char *tiers_text(const uint64_t counts[TIERS])
{
	char *text = mem_strdup("");

	for (enum tier t = 0; t < TIERS; t++) {
		autofree char *before = text;

		if (counts[t] == 0 || counts[t] == POLICY_UNSAID)
			text = mem_take(&before);
		else
			text = mem_fmt("%s%s%s %" PRIu64, before,
				       before[0] != '\0' ? ", " : "",
				       tier_names[t], counts[t]);
	}
	return text;
}

static void say_loss(const struct retention *r, const struct candidate *c)
{
	struct tier_counts n;

	policy_counts(r->policy, r->policy->keep.items[r->place], &n);
	autofree char *tiers = tiers_text(c->keep ? n.ram : n.disks);

	policies_note(c->why, "no tier keeps %s (%s)",
		      c->keep ? "its RAM" : "it",
		      tiers[0] != '\0' ? tiers : "all are 0");
}

static void judge(const struct retention *r, const struct candidates *all,
		  struct retention_plan *plan)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct candidate *c = &all->items[i];
		struct retention_item *item = &plan->items[c->index];
		bool guarded = plan->guard != NULL && loses(c);

		if (loses(c))
			say_loss(r, c);
		if (guarded)
			policies_note(&item->why, "but: %s", plan->guard);
		if (guarded || !loses(c))
			item->verdict = RETENTION_KEEP;
		else
			item->verdict =
				c->keep ? RETENTION_DEMOTE : RETENTION_DROP;
	}
}

/* RAM goes by the same rule among what stays, or with its disks. */
static void apply_tiers(const struct retention *r, struct candidates *all)
{
	struct tier_counts n;

	policy_counts(r->policy, r->policy->keep.items[r->place], &n);
	retention_apply(r, all, n.disks, false);
	for (size_t i = 0; i < all->count; i++)
		if (n.ram[0] == POLICY_UNSAID)
			all->items[i].keep_ram = true;
	if (n.ram[0] != POLICY_UNSAID)
		retention_apply(r, all, n.ram, true);
}

void retention_decide(const struct retention *r, struct retention_plan *plan)
{
	AUTO(candidates_fini) struct candidates all = { .count = 0 };

	*plan = (struct retention_plan){ .count = r->count };
	plan->items = mem_zalloc(r->count + 1, sizeof(*plan->items));
	gather(r, plan, &all);
	keep_others(r, &all);
	apply_tiers(r, &all);
	plan->guard = find_guard(r, &all);
	judge(r, &all, plan);
}
