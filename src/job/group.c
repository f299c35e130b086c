/* SPDX-License-Identifier: Apache-2.0 */
#include "job/group.h"

#include <string.h>

#include "base/mem.h"
#include "job/describe.h"

static int check_twice(const struct job_backup *asked, struct err *e)
{
	for (size_t i = 0; i < asked->domain_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(asked->domains[i], asked->domains[k]) == 0)
				return err_set(e, ERR_USAGE,
					       "'%s' is named twice",
					       asked->domains[i]);
	return 0;
}

int group_check(const struct job_backup *asked, struct err *e)
{
	if (!asked->together)
		return 0;
	if (asked->domain_count > CAPTURE_TOGETHER)
		return err_set(e, ERR_USAGE,
			       "at most %d domains can be taken together, not "
			       "%zu",
			       CAPTURE_TOGETHER, asked->domain_count);
	return check_twice(asked, e);
}

struct span {
	unsigned stopped; /* how many were */
	int64_t first, last;
	int64_t went; /* the first one that went on */
};

static void add(struct span *s, const struct capture *c)
{
	int64_t at = capture_stopped_ns(c);
	int64_t pause = (int64_t)capture_result(c)->pause_ms * 1000000;

	if (at == 0)
		return;
	if (s->stopped == 0 || at < s->first)
		s->first = at;
	if (s->stopped == 0 || at > s->last)
		s->last = at;
	if (s->stopped == 0 || at + pause < s->went)
		s->went = at + pause;
	s->stopped++;
}

void group_measure(struct member *members, size_t count,
		   struct group_skew *skew)
{
	struct span s = { .stopped = 0 };

	for (size_t i = 0; i < count; i++)
		if (!members[i].lost)
			add(&s, members[i].capture);
	*skew = (struct group_skew){
		.measured = s.stopped > 1,
		.ms = (uint64_t)(s.last - s.first + 999999) / 1000000,
	};
	for (size_t i = 0; s.last > s.went && i < count; i++) {
		struct result_backup_item *item = members[i].item;

		if (members[i].lost)
			continue;
		item->degraded = true;
		result_strings_add(&item->warnings,
				   "one of the group went on before the last "
				   "one stood still: what they said to one "
				   "another then may be in one point only");
	}
}

void group_describe(const struct group_skew *skew, const char *name,
		    const struct member *members, size_t count, struct set *set)
{
	if (name != NULL)
		attrs_set(&set->attrs, ATTR_GROUP, name);
	for (size_t i = 0; i < count; i++) {
		autofree char *key = mem_fmt(ATTR_FAILED "%s", members[i].name);

		if (members[i].lost)
			attrs_set(&set->attrs, key, members[i].item->err.msg);
	}
	for (size_t i = 0; skew->measured && i < set->point_count; i++)
		attrs_setf(&set->points[i].attrs, ATTR_SKEW, "%llu",
			   (unsigned long long)skew->ms);
}
