/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (p == NULL) {
		fputs("vmkeep: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return must(malloc(size > 0 ? size : 1));
}

void *mem_zalloc(size_t n, size_t size)
{
	return must(n > 0 && size > 0 ? calloc(n, size) : calloc(1, 1));
}

void *mem_grow(void *old, size_t n, size_t size)
{
	return must(reallocarray(old, n > 0 ? n : 1, size));
}

char *mem_strdup(const char *s)
{
	return must(strdup(s));
}

void *mem_dup(const void *p, size_t size)
{
	void *copy = mem_alloc(size);

	if (size > 0)
		memcpy(copy, p, size);
	return copy;
}

char *mem_vfmt(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return must(s);
}

char *mem_fmt(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *s = mem_vfmt(fmt, ap);
	va_end(ap);
	return s;
}

void *mem_try(size_t n, size_t size)
{
	return calloc(n > 0 ? n : 1, size > 0 ? size : 1);
}

void *mem_try_pages(size_t size)
{
	void *p;

	return posix_memalign(&p, 4096, size) == 0 ? p : NULL;
}

void mem_free_at(void *at)
{
	void *p;

	/* at is a pointer to a pointer of some type: no cast can say so */
	memcpy(&p, at, sizeof(p));
	free(p);
}
