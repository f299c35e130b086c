/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_MEM_H
#define VMKEEP_BASE_MEM_H

/*
 * Memory and scopes.
 *
 * Small allocations abort when memory is gone: there is nothing sensible to
 * do.  Whatever is sized by data or configuration uses mem_try() and is
 * checked.
 *
 * A scope frees its locals: AUTO(fn) calls fn(&variable) when the variable
 * goes out of scope; autofree does it for free().  mem_take() moves a pointer
 * out, so that success hands over and failure frees.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define AUTO(fn) __attribute__((cleanup(fn)))
#define autofree AUTO(mem_free_at)

/*
 * DEFINE_AUTO(foo_free, struct foo *) makes foo_free_at() for AUTO(); the
 * freeing function accepts NULL.
 */
#define DEFINE_AUTO(fn, type)                                                  \
	static inline void fn##_at(type *at)                                   \
	{                                                                      \
		fn(*at);                                                       \
	}                                                                      \
	struct mem_semicolon_eater

/* Move the pointer out of *(type **)at, leaving NULL. */
#define mem_take(at)                                                           \
	__extension__({                                                        \
		__typeof__(*(at)) taken_ = *(at);                              \
		*(at) = NULL;                                                  \
		taken_;                                                        \
	})

/* Allocate or abort.  n * size is checked.  Never NULL, also for 0 bytes. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t n, size_t size)
	__attribute__((malloc, returns_nonnull));
void *mem_grow(void *old, size_t n, size_t size)
	__attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
void *mem_dup(const void *p, size_t size)
	__attribute__((malloc, returns_nonnull));

/* A formatted string, to be freed. */
char *mem_fmt(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *mem_vfmt(const char *fmt, va_list ap)
	__attribute__((format(printf, 1, 0), malloc, returns_nonnull));

/* n * size bytes, zeroed, or NULL where they are not to be had. */
void *mem_try(size_t n, size_t size) __attribute__((malloc));

/* Page-aligned memory for I/O, or NULL.  Free with free(). */
void *mem_try_pages(size_t size) __attribute__((malloc));

/* For AUTO() on any pointer from malloc. */
void mem_free_at(void *at);

#endif
