/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/talk.h"

struct heard {
	enum talk_level level;
	char text[2000];
	uint64_t done;
	uint64_t total;
};

static void hear(void *ctx, enum talk_level level, const char *text)
{
	struct heard *h = ctx;

	h->level = level;
	snprintf(h->text, sizeof(h->text), "%s", text);
}

static void hear_progress(void *ctx, const struct talk_progress *p)
{
	struct heard *h = ctx;

	snprintf(h->text, sizeof(h->text), "%s", p->what);
	h->done = p->done;
	h->total = p->total;
}

static void test_none(void **state)
{
	(void)state;
	talk_say(&talk_none, TALK_WARN, "nobody hears %d", 1);
	talk_progress(&talk_none, "nothing", 1, 2);
}

static void test_say(void **state)
{
	struct heard h = { .level = TALK_INFO };
	const struct talk t = { .ctx = &h, .say = hear };

	(void)state;
	talk_say(&t, TALK_WARN, "disk '%s': %d%%", "vda", 50);
	assert_int_equal(h.level, TALK_WARN);
	assert_string_equal(h.text, "disk 'vda': 50%");
	talk_progress(&t, "not heard", 1, 2);
	assert_string_equal(h.text, "disk 'vda': 50%");
}

static void test_say_long(void **state)
{
	struct heard h = { .level = TALK_INFO };
	const struct talk t = { .ctx = &h, .say = hear };

	(void)state;
	talk_say(&t, TALK_DEBUG, "%01500d", 7);
	assert_int_equal(strlen(h.text), 1500);
}

static void test_progress(void **state)
{
	struct heard h = { .level = TALK_INFO };
	const struct talk t = { .ctx = &h, .progress = hear_progress };

	(void)state;
	talk_progress(&t, "web1: vda", 5, UINT64_MAX);
	assert_string_equal(h.text, "web1: vda");
	assert_int_equal(h.done, 5);
	assert_true(h.total == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_say),
		cmocka_unit_test(test_say_long),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
