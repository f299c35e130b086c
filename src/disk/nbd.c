/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/nbd.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

/* Enough to keep a local qemu-nbd busy on every core; more of either gained
 * nothing. */
#define IN_FLIGHT 16
#define PIECE     (256u << 10)

/* Zeroes carry no data; a request's length has 32 bits. */
#define PIECE_ZERO (1u << 30)

struct nbdconn {
	struct nbd_handle *nbd;
	struct nbdconn_export export;
	bool can_zero;
	bool can_flush;
	bool lost;
};

static int failed(struct err *e, const char *what)
{
	int sys = nbd_get_errno();
	const char *text = nbd_get_error();

	err_set(e, ERR_FAILED, "%s: %s", what,
		text != NULL ? text : "unknown error");
	e->sys = sys;
	return -1;
}

static int prepare(struct nbdconn *n, const char *export_name)
{
	struct nbd_handle *nbd = n->nbd;
	/* QEMU's block layer takes requests of any alignment, also where it
	 * announces a minimum; libnbd would refuse them on our side. */
	uint32_t strict =
		nbd_get_strict_mode(nbd) & ~(uint32_t)LIBNBD_STRICT_ALIGN;

	if (nbd_set_strict_mode(nbd, strict) < 0 ||
	    nbd_set_export_name(nbd, export_name) < 0 ||
	    nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
		return -1;
	/* A failed read fails the whole call: nobody sees the buffer. */
	return nbd_set_pread_initialize(nbd, false);
}

static int ask_export(struct nbdconn *n)
{
	int64_t size = nbd_get_size(n->nbd);
	int readonly = nbd_is_read_only(n->nbd);
	int multi = nbd_can_multi_conn(n->nbd);
	int status =
		nbd_can_meta_context(n->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
	int zero = nbd_can_zero(n->nbd);
	int flush = nbd_can_flush(n->nbd);

	if (size < 0 || readonly < 0 || multi < 0 || status < 0 || zero < 0 ||
	    flush < 0)
		return -1;
	n->export.size = (uint64_t)size;
	n->export.writable = readonly == 0;
	n->export.multi = multi == 1;
	n->export.status = status == 1;
	n->can_zero = zero == 1;
	n->can_flush = flush == 1;
	return 0;
}

DEFINE_AUTO(nbdconn_close, struct nbdconn *);

struct nbdconn *nbdconn_open(int fd, const char *export_name, struct err *e)
{
	AUTO(nbdconn_close_at) struct nbdconn *n = mem_zalloc(1, sizeof(*n));

	n->nbd = nbd_create();
	if (n->nbd == NULL || prepare(n, export_name) < 0) {
		close(fd);
		failed(e, "cannot set up NBD");
		return NULL;
	}
	/* libnbd owns the descriptor from here on. */
	if (nbd_connect_socket(n->nbd, fd) < 0 || ask_export(n) < 0) {
		failed(e, "NBD handshake failed");
		return NULL;
	}
	return mem_take(&n);
}

void nbdconn_close(struct nbdconn *n)
{
	if (n == NULL)
		return;
	if (n->nbd != NULL && !n->lost && nbd_aio_is_ready(n->nbd) == 1)
		(void)nbd_shutdown(n->nbd, 0);
	nbd_close(n->nbd);
	free(n);
}

const struct nbdconn_export *nbdconn_export(const struct nbdconn *n)
{
	return &n->export;
}

/* -- many requests in flight ------------------------------------------ */

struct run {
	struct nbdconn *conn;
	const struct nbdconn_work *work;
	uint64_t done; /* bytes sent off */
	unsigned flying;
	int sys; /* the first failure's errno */
};

/* A request has ended, well or not.  1: forget it. */
static int landed(void *opaque, int *error)
{
	struct run *r = opaque;

	r->flying--;
	if (*error != 0 && r->sys == 0)
		r->sys = *error;
	return 1;
}

static int64_t send_one(struct run *r, size_t size)
{
	const struct nbdconn_work *w = r->work;
	struct nbd_handle *nbd = r->conn->nbd;
	nbd_completion_callback end = { .callback = landed, .user_data = r };
	uint64_t at = w->offset + r->done;

	switch (w->verb) {
	case NBDCONN_READ:
		return nbd_aio_pread(nbd, w->to + r->done, size, at, end, 0);
	case NBDCONN_WRITE:
		return nbd_aio_pwrite(nbd, w->from + r->done, size, at, end, 0);
	case NBDCONN_ZERO:
		return nbd_aio_zero(nbd, size, at, end, 0);
	}
	return -1;
}

static int send_some(struct run *r)
{
	uint64_t piece = r->work->verb == NBDCONN_ZERO ? PIECE_ZERO : PIECE;

	while (r->sys == 0 && r->flying < IN_FLIGHT &&
	       r->done < r->work->size) {
		size_t size = num_min(piece, r->work->size - r->done);

		r->flying++;
		if (send_one(r, size) < 0) {
			/* Refused before it flew: no completion comes. */
			r->flying--;
			r->sys = nbd_get_errno() != 0 ? nbd_get_errno() : EIO;
			return -1;
		}
		r->done += size;
	}
	return 0;
}

static bool is_lost(struct nbdconn *n)
{
	if (nbd_aio_is_dead(n->nbd) != 0 || nbd_aio_is_closed(n->nbd) != 0)
		n->lost = true;
	return n->lost;
}

static int lost_err(struct nbdconn *n, struct err *e)
{
	n->lost = true;
	err_set(e, ERR_FAILED, "the NBD server has gone");
	e->sys = ENOTCONN;
	return -1;
}

static int run_all(struct run *r, struct err *e)
{
	struct nbdconn *n = r->conn;

	while (r->flying > 0 || (r->done < r->work->size && r->sys == 0)) {
		/* A failure to send shows when the others have landed. */
		(void)send_some(r);
		if (r->flying > 0 && nbd_poll(n->nbd, -1) < 0 && is_lost(n))
			break;
	}
	if (n->lost || is_lost(n))
		return lost_err(n, e);
	return r->sys != 0 ? err_sysno(e, r->sys, "NBD server") : 0;
}

/* For servers without the command: real zeroes. */
static int write_zeroes(struct nbdconn *n, const struct nbdconn_work *work,
			struct err *e)
{
	autofree uint8_t *zeroes = mem_zalloc(1, PIECE);

	for (uint64_t done = 0; done < work->size;) {
		struct nbdconn_work part = {
			.verb = NBDCONN_WRITE,
			.offset = work->offset + done,
			.size = num_min(PIECE, work->size - done),
			.from = zeroes,
		};

		if (nbdconn_run(n, &part, e) < 0)
			return -1;
		done += part.size;
	}
	return 0;
}

int nbdconn_run(struct nbdconn *n, const struct nbdconn_work *work,
		struct err *e)
{
	struct run r = { .conn = n, .work = work };

	if (n->lost)
		return lost_err(n, e);
	if (work->verb == NBDCONN_ZERO && !n->can_zero)
		return write_zeroes(n, work, e);
	return run_all(&r, e);
}

int nbdconn_flush(struct nbdconn *n, struct err *e)
{
	if (n->lost)
		return lost_err(n, e);
	if (!n->can_flush || nbd_flush(n->nbd, 0) == 0)
		return 0;
	if (is_lost(n))
		return lost_err(n, e);
	return failed(e, "cannot flush");
}

/* -- block status ------------------------------------------------------ */

struct status {
	nbdconn_extent *each;
	void *ctx;
	uint64_t seen;
};

static int status_reply(void *opaque, const char *context, uint64_t offset,
			uint32_t *entries, size_t count, int *error)
{
	struct status *s = opaque;

	(void)offset;
	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		if (entries[i] == 0)
			continue;
		s->each(s->ctx, entries[i],
			(entries[i + 1] & LIBNBD_STATE_ZERO) != 0);
		s->seen += entries[i];
	}
	return 0;
}

int nbdconn_status(struct nbdconn *n, uint64_t offset, uint64_t size,
		   nbdconn_extent *each, void *ctx, struct err *e)
{
	struct status s = { .each = each, .ctx = ctx };
	nbd_extent_callback reply = { .callback = status_reply,
				      .user_data = &s };

	if (n->lost)
		return lost_err(n, e);
	if (nbd_block_status(n->nbd, num_min(size, PIECE_ZERO), offset, reply,
			     0) < 0) {
		if (is_lost(n))
			return lost_err(n, e);
		return failed(e, "cannot ask for block status");
	}
	if (s.seen == 0)
		return err_set(e, ERR_FAILED,
			       "the NBD server answers nothing about its "
			       "blocks");
	return 0;
}
