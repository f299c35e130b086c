/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/store.h"

static struct store *inner; /* another handle of what is behind s */
static struct store *s;
static struct err e;

static void start(uint64_t fail_at, enum store_fault_kind kind)
{
	const struct store_fault_plan plan = {
		.fail_at = fail_at,
		.kind = kind,
	};

	inner = store_mem_new();
	s = store_fault_new(store_mem_share(inner), &plan);
	err_clear(&e);
}

static void end(void)
{
	store_close(s);
	store_close(inner);
}

static int put(const char *name)
{
	char hel[] = "hel";
	char lo[] = "lo!";
	const struct iovec iov[] = {
		{ .iov_base = hel, .iov_len = 3 },
		{ .iov_base = lo, .iov_len = 3 },
	};

	return store_put(s, name, iov, 2, &e);
}

/* What is really there: its size, or -1. */
static int64_t there(const char *name)
{
	struct err none = ERR_INIT;
	struct store_stat st;

	return store_stat(inner, name, &st, &none) < 0 ? -1 : (int64_t)st.size;
}

static void test_counts(void **state)
{
	struct store_stat st;

	(void)state;
	start(0, FAULT_FAIL);
	assert_int_equal(put("a"), 0);
	assert_int_equal(store_stat(s, "a", &st, &e), 0);
	assert_int_equal(store_del(s, "a", &e), 0);
	assert_int_equal(store_fault_calls(s), 3);
	end();
}

static void test_fail(void **state)
{
	(void)state;
	start(2, FAULT_FAIL);
	assert_int_equal(put("a"), 0);
	assert_int_equal(put("b"), -1);
	assert_int_equal(e.code, ERR_FAILED);
	assert_int_equal(put("c"), 0);
	assert_int_equal(there("a"), 6);
	assert_int_equal(there("b"), -1);
	assert_int_equal(there("c"), 6);
	end();
}

static void test_forget(void **state)
{
	(void)state;
	start(1, FAULT_FORGET);
	assert_int_equal(put("a"), -1);
	assert_int_equal(there("a"), 6);
	end();
	start(2, FAULT_FORGET);
	assert_int_equal(put("a"), 0);
	assert_int_equal(store_del(s, "a", &e), -1);
	assert_int_equal(e.code, ERR_FAILED);
	assert_int_equal(there("a"), -1);
	end();
}

static void test_tear(void **state)
{
	(void)state;
	start(1, FAULT_TEAR);
	assert_int_equal(put("a"), -1);
	assert_int_equal(there("a"), 3);
	end();
}

static void test_flip(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char text[7] = "";

	(void)state;
	start(2, FAULT_FLIP);
	assert_int_equal(put("a"), 0);
	assert_int_equal(store_get(s, "a", 0, 6, text, &e), 0);
	assert_string_equal(text, "helmo!");
	assert_int_equal(store_load(s, "a", 10, &b, &e), 0);
	assert_memory_equal(b.p, "hello!", 6);
	end();
	buf_clear(&b);
	start(1, FAULT_FLIP);
	assert_int_equal(put("a"), 0);
	assert_int_equal(there("a"), 6);
	end();
}

static void test_dead(void **state)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	start(2, FAULT_DEAD);
	assert_int_equal(put("a"), 0);
	assert_int_equal(put("b"), -1);
	assert_int_equal(put("c"), -1);
	assert_int_equal(store_load(s, "a", 10, &b, &e), -1);
	assert_int_equal(there("a"), 6);
	assert_int_equal(there("b"), -1);
	assert_int_equal(there("c"), -1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts), cmocka_unit_test(test_fail),
		cmocka_unit_test(test_forget), cmocka_unit_test(test_tear),
		cmocka_unit_test(test_flip),   cmocka_unit_test(test_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
