/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Mark a message that did not fit, so that nobody takes half for whole. */
static void mark_cut(struct err *e, int wanted)
{
	if (wanted >= (int)sizeof(e->msg))
		memcpy(e->msg + sizeof(e->msg) - 4, "...", 4);
}

__attribute__((format(printf, 2, 0))) static void set_message(struct err *e,
							      const char *fmt,
							      va_list ap)
{
	mark_cut(e, vsnprintf(e->msg, sizeof(e->msg), fmt, ap));
}

static enum err_code code_of_errno(int sys)
{
	switch (sys) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case EBUSY:
	case EWOULDBLOCK:
		return ERR_BUSY;
	default:
		return ERR_FAILED;
	}
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	e->code = code;
	e->sys = 0;
	return -1;
}

static void add_errno(struct err *e, int sys)
{
	size_t len = strlen(e->msg);
	char text[128];

	/* the GNU form: may or may not use our buffer */
	const char *said = strerror_r(sys, text, sizeof(text));

	mark_cut(e, (int)len + snprintf(e->msg + len, sizeof(e->msg) - len,
					": %s", said));
	e->code = code_of_errno(sys);
	e->sys = sys;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	add_errno(e, sys);
	return -1;
}

int err_sysno(struct err *e, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_message(e, fmt, ap);
	va_end(ap);
	add_errno(e, sys);
	return -1;
}

int err_ctx(struct err *e, const char *fmt, ...)
{
	char ctx[sizeof(e->msg)];
	char old[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ctx, sizeof(ctx), fmt, ap);
	va_end(ap);
	memcpy(old, e->msg, sizeof(old));
	mark_cut(e, snprintf(e->msg, sizeof(e->msg), "%s: %s", ctx, old));
	return -1;
}

void err_clear(struct err *e)
{
	e->code = ERR_NONE;
	e->sys = 0;
	e->msg[0] = '\0';
}

bool err_passing(const struct err *e)
{
	return e->code != ERR_NONE && e->code != ERR_NOT_FOUND &&
	       e->code != ERR_INTEGRITY;
}
