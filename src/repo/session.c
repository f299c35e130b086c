/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/session.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/internal.h"
#include "repo/obj.h"

#define SESSION_VERSION 1
#define OUTCOME_VERSION 1
#define BEAT_NS         (60 * (int64_t)1000000000)
#define MAX_TRIES       16

/* What seal and signature add to an outcome, and some more. */
#define OUTCOME_SPARE (64u << 10)

static void object_name(const char *folder, const struct id *id,
			char out[OUTCOME_NAME])
{
	char hex[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	snprintf(out, OUTCOME_NAME, "%s/%s", folder, hex);
}

void outcome_name(const struct id *session, char out[OUTCOME_NAME])
{
	object_name("points", session, out);
}

static int put_session(struct repo *r, const struct session *s,
		       const char *host, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[OUTCOME_NAME];

	wr_u16(&b, SESSION_VERSION);
	wr_bytes(&b, s->id.b, ID_SIZE);
	wr_u64(&b, s->generation);
	wr_u64(&b, (uint64_t)clock_wall_ns());
	wr_string(&b, host);
	object_name("sess", &s->id, name);
	if (obj_put_new(r->store, r->keys, name, &b, e) < 0)
		return err_ctx(e, "cannot open session '%s'", name);
	return 0;
}

/* 1 opened, 0 the generation moved, -1 failed. */
static int try_open(struct repo *r, const char *host, struct session *s,
		    struct err *e)
{
	uint64_t again;

	keys_random(s->id.b, ID_SIZE);
	if (index_refresh(r->index, &s->generation, e) < 0 ||
	    put_session(r, s, host, e) < 0 ||
	    generation_newest(r->store, &again, e) < 0)
		return -1;
	return again == s->generation;
}

int session_open(struct repo *r, const char *host, struct session *s,
		 struct err *e)
{
	for (unsigned i = 0; i < MAX_TRIES; i++) {
		int opened = try_open(r, host, s, e);

		if (opened < 0)
			return -1;
		if (opened == 1) {
			s->beat_ns = 0;
			return session_beat(r, s, e);
		}
	}
	return err_set(e, ERR_BUSY,
		       "the repository was collected %u times while a session "
		       "was opened: try again",
		       MAX_TRIES);
}

int session_beat(struct repo *r, struct session *s, struct err *e)
{
	int64_t now = clock_steady_ns();
	char name[OUTCOME_NAME];

	if (s->beat_ns != 0 && now - s->beat_ns < BEAT_NS)
		return 0;
	object_name("beat", &s->id, name);
	struct iovec iov = { .iov_base = name, .iov_len = strlen(name) };

	if (store_put(r->store, name, &iov, 1, e) < 0)
		return err_ctx(e, "cannot say that the session lives");
	s->beat_ns = now;
	return 0;
}

/*
 * The words of an outcome: a writer commits, a keeper revokes; an owner may
 * do either.
 */
static int load_words(struct repo *r, const char *name, struct buf *words,
		      struct err *e)
{
	struct err ignored = ERR_INIT;

	if (obj_load(r->store, r->keys, name, SIGN_WRITE, OBJECT_MAX_POINT,
		     words, e) == 0)
		return 0;
	if (e->code != ERR_INTEGRITY ||
	    obj_load(r->store, r->keys, name, SIGN_KEEP, OBJECT_MAX_POINT,
		     words, &ignored) < 0)
		return -1;
	if (words->len != 3 || words->p[2] != OUTCOME_REVOKED)
		return -1;
	err_clear(e);
	return 0;
}

/* What stands under the name: 0 our set, -1 something else or nothing. */
static int settle(struct repo *r, const char *name, const struct buf *want,
		  struct err *e)
{
	AUTO(buf_fini) struct buf got = BUF_INIT;

	if (load_words(r, name, &got, e) < 0)
		return -1;
	if (got.len == want->len && memcmp(got.p, want->p, got.len) == 0)
		return 0;
	return err_set(e, ERR_EXISTS,
		       "the session was ended by a collector: nothing was "
		       "lost, run the backup again");
}

/* The seal is fresh in each try; the words are the same. */
static int put_outcome(struct repo *r, const char *name,
		       const struct buf *words, struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;

	wr_bytes(&body, words->p, words->len);
	return obj_put_new(r->store, r->keys, name, &body, e);
}

/* After a failure that is neither "revoked" nor surely before the deed. */
static bool maybe_there(struct repo *r, const char *name,
			const struct buf *words, const struct err *why)
{
	struct err seen = ERR_INIT;

	return why->code != ERR_EXISTS && (settle(r, name, words, &seen) == 0 ||
					   seen.code != ERR_NOT_FOUND);
}

int session_commit(struct repo *r, const struct session *s,
		   const struct set *set, struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;
	char name[OUTCOME_NAME];

	wr_u16(&words, OUTCOME_VERSION);
	wr_u8(&words, OUTCOME_COMMIT);
	if (set_encode(set, &words, e) < 0)
		return -1;
	if (words.len > OBJECT_MAX_POINT - OUTCOME_SPARE)
		return err_set(e, ERR_FAILED,
			       "the record of the set has %zu bytes, more than "
			       "would be read again",
			       words.len);
	outcome_name(&s->id, name);
	int put = put_outcome(r, name, &words, e);

	/*
	 * A failure may have come after the name was there, and not durably.
	 * Putting again makes it durable (a store that answers EXISTS has
	 * synced the name before), and what stands then is the outcome.
	 */
	if (put < 0 && e->code != ERR_EXISTS)
		put = put_outcome(r, name, &words, e);
	if (put < 0 && e->code == ERR_EXISTS)
		put = settle(r, name, &words, e);
	if (put < 0 && maybe_there(r, name, &words, e))
		return err_ctx(e,
			       "it is not known whether '%s' was committed "
			       "('vmkeep points' will tell)",
			       name);
	return put < 0 ? err_ctx(e, "cannot commit '%s'", name) : 0;
}

int outcome_load(struct repo *r, const char *name, struct set *set,
		 struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char own[OUTCOME_NAME];

	if (load_words(r, name, &b, e) < 0)
		return -1;
	struct reader rd = reader_of(b.p, b.len);
	uint16_t version = rd_u16(&rd);
	uint8_t outcome = rd_u8(&rd);

	if (version == OUTCOME_VERSION && outcome == OUTCOME_REVOKED)
		return 0;
	if (version != OUTCOME_VERSION || outcome != OUTCOME_COMMIT)
		return err_set(e, ERR_INTEGRITY, "object '%s': unknown outcome",
			       name);
	if (set_decode(rd.p, rd.left, set, e) < 0)
		return err_ctx(e, "object '%s'", name);
	outcome_name(&set->session, own);
	if (strcmp(own, name) == 0)
		return 1;
	set_fini(set);
	return err_set(e, ERR_INTEGRITY,
		       "object '%s': the outcome of another session", name);
}
