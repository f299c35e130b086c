/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/generation.h"
#include "repo/internal.h"
#include "repo/obj.h"
#include "repo/session_adopt.h"

#define SESSION_VERSION 1
#define OUTCOME_VERSION 1
#define BEAT_NS         (60 * (int64_t)1000000000)
#define MAX_TRIES       16

/* version and outcome */
#define REVOKED_WORDS 3

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

void session_name(const struct id *session, char out[OUTCOME_NAME])
{
	object_name("sess", session, out);
}

void beat_name(const struct id *session, char out[OUTCOME_NAME])
{
	object_name("beat", session, out);
}

/* ---- opening --------------------------------------------------------- */

static int put_session(struct repo *r, const struct session *s,
		       enum session_kind kind, const char *host, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char name[OUTCOME_NAME];

	wr_u16(&b, SESSION_VERSION);
	wr_bytes(&b, s->id.b, ID_SIZE);
	wr_u64(&b, s->generation);
	wr_u64(&b, (uint64_t)clock_wall_ns());
	wr_string(&b, host);
	wr_u8(&b, (uint8_t)kind);
	session_name(&s->id, name);
	if (obj_put_new(r->store, r->keys, name, &b, e) < 0)
		return err_ctx(e, "cannot open session '%s'", name);
	return 0;
}

int session_end_empty(struct repo *r, const struct session *s, const char *host,
		      struct err *e)
{
	const struct set set = {
		.session = s->id,
		.generation = s->generation,
		.time_ns = clock_wall_ns(),
		.host = (char *)(uintptr_t)host,
		.program = (char *)(uintptr_t) "vmkeep",
	};

	return session_commit(r, s, &set, e);
}

/* 1 opened, 0 the generation moved, -1 failed. */
static int try_open(struct repo *r, const char *host, struct session *s,
		    struct err *e)
{
	struct err ignored = ERR_INIT;
	uint64_t again, generation;

	if (index_refresh(r->index, &generation, e) < 0)
		return -1;
	if (session_adopt(r, host, generation, s))
		return 1;
	*s = (struct session){ .generation = generation };
	keys_random(s->id.b, ID_SIZE);
	session_lock(r, s);
	if (put_session(r, s, SESSION_WRITER, host, e) < 0 ||
	    generation_newest(r->store, &again, e) < 0)
		return -1;
	if (again == s->generation)
		return 1;
	/* where that fails, a collector will find it silent */
	session_end_empty(r, s, host, &ignored);
	session_close(s, true);
	return 0;
}

int session_open(struct repo *r, const char *host, struct session *s,
		 struct err *e)
{
	for (unsigned i = 0; i < MAX_TRIES; i++) {
		s->lock = NULL;
		int opened = try_open(r, host, s, e);

		if (opened == 1 && session_beat(r, s, e) == 0)
			return 0;
		if (opened != 0) {
			session_close(s, false);
			return -1;
		}
	}
	return err_set(e, ERR_BUSY,
		       "the repository was collected %u times while a session "
		       "was opened: try again",
		       MAX_TRIES);
}

int session_attempt(struct repo *r, const char *host, uint64_t generation,
		    struct session *s, struct err *e)
{
	*s = (struct session){ .generation = generation };
	keys_random(s->id.b, ID_SIZE);
	if (put_session(r, s, SESSION_COLLECTOR, host, e) < 0)
		return -1;
	return session_beat(r, s, e);
}

int session_beat(struct repo *r, struct session *s, struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	int64_t now = clock_steady_ns();
	char name[OUTCOME_NAME];

	if (s->beat_ns != 0 && now - s->beat_ns < BEAT_NS)
		return 0;
	beat_name(&s->id, name);
	wr_u64(&b, (uint64_t)clock_wall_ns());
	struct iovec iov = { .iov_base = b.p, .iov_len = b.len };

	if (store_put(r->store, name, &iov, 1, e) < 0)
		return err_ctx(e, "cannot say that the session lives");
	s->beat_ns = now;
	return 0;
}

/* ---- what others see ------------------------------------------------- */

static int decode_session(const struct buf *b, const char *name,
			  struct session_record *s, struct err *e)
{
	struct reader r = reader_of(b->p, b->len);
	char own[OUTCOME_NAME];
	uint16_t version = rd_u16(&r);

	rd_copy(&r, s->id.b, ID_SIZE);
	s->generation = rd_u64(&r);
	s->time_ns = (int64_t)rd_u64(&r);
	s->host = rd_string(&r, UINT16_MAX);
	uint8_t kind = rd_u8(&r);

	s->kind =
		kind == SESSION_COLLECTOR ? SESSION_COLLECTOR : SESSION_WRITER;
	session_name(&s->id, own);
	if (version == SESSION_VERSION && kind == s->kind && rd_complete(&r) &&
	    strcmp(own, name) == 0)
		return 0;
	session_record_fini(s);
	return err_set(e, ERR_INTEGRITY, "object '%s': not a session's record",
		       name);
}

int session_load(struct repo *r, const char *name, struct session_record *s,
		 struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct signer by;
	const struct sign_want want = { .name = name,
					.uses = SIGN_WRITE | SIGN_KEEP,
					.by = &by };

	memset(s, 0, sizeof(*s));
	if (obj_load_want(r->store, r->keys, &want, OBJECT_MAX_SMALL, &b, e) <
		    0 ||
	    decode_session(&b, name, s, e) < 0)
		return -1;
	s->removed = by.removed;
	if (by.uses & (s->kind == SESSION_WRITER ? SIGN_WRITE : SIGN_KEEP))
		return 0;
	session_record_fini(s);
	return err_set(e, ERR_INTEGRITY,
		       "object '%s': signed by a key of the wrong role", name);
}

void session_record_fini(struct session_record *s)
{
	free(s->host);
	s->host = NULL;
}

int session_last_beat(struct repo *r, const struct id *session,
		      int64_t *wall_ns, struct err *e)
{
	char name[OUTCOME_NAME];
	uint8_t raw[8];
	struct err why = ERR_INIT;

	beat_name(session, name);
	if (store_get(r->store, name, 0, sizeof(raw), raw, &why) < 0) {
		/* cut short: not a beat */
		if (why.code == ERR_NOT_FOUND || why.code == ERR_INTEGRITY)
			return 0;
		*e = why;
		return -1;
	}
	struct reader rd = reader_of(raw, sizeof(raw));

	*wall_ns = (int64_t)rd_u64(&rd);
	return 1;
}

/* ---- outcomes -------------------------------------------------------- */

/* The words of an outcome: a writer commits, a keeper revokes; an owner may
 * do either. */
static int load_words(struct repo *r, const char *name, struct buf *words,
		      struct err *e)
{
	struct signer by;
	const struct sign_want want = { .name = name,
					.uses = SIGN_WRITE | SIGN_KEEP,
					.by = &by };

	if (obj_load_want(r->store, r->keys, &want, OBJECT_MAX_POINT, words,
			  e) < 0)
		return -1;
	bool revoked = words->len == REVOKED_WORDS &&
		       words->p[REVOKED_WORDS - 1] == OUTCOME_REVOKED;

	if (by.uses & (revoked ? SIGN_KEEP : SIGN_WRITE))
		return 0;
	return err_set(e, ERR_INTEGRITY,
		       "object '%s': signed by a key of the wrong role", name);
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

/*
 * A session that was silent for too long may have been revoked and cleaned up
 * before our commit came: then it counts for nothing.
 */
static int check_session(struct repo *r, const struct id *session,
			 struct err *e)
{
	char name[OUTCOME_NAME];
	struct store_stat st;
	struct err again = ERR_INIT;

	session_name(session, name);
	if (store_stat(r->store, name, &st, &again) == 0 ||
	    (again.code != ERR_NOT_FOUND &&
	     store_stat(r->store, name, &st, e) == 0)) {
		err_clear(e);
		return 0;
	}
	if (again.code == ERR_NOT_FOUND || e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_EXISTS,
			       "the session was silent for long, ended by a "
			       "collector, and cleaned up: run the backup "
			       "again");
	return err_ctx(e, "it is not known whether the set was committed "
			  "('vmkeep points' will tell)");
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
	if (put < 0)
		return err_ctx(e, "cannot commit '%s'", name);
	if (check_session(r, &s->id, e) < 0)
		return -1;
	return repo_check_counts(r, name, e);
}

int session_revoke(struct repo *r, const struct id *session, struct err *e)
{
	AUTO(buf_fini) struct buf words = BUF_INIT;
	char name[OUTCOME_NAME];

	wr_u16(&words, OUTCOME_VERSION);
	wr_u8(&words, OUTCOME_REVOKED);
	outcome_name(session, name);
	if (put_outcome(r, name, &words, e) == 0)
		return 1;
	/* the answer may have been lost, as with a commit */
	if (e->code != ERR_EXISTS && put_outcome(r, name, &words, e) == 0)
		return 1;
	if (e->code != ERR_EXISTS)
		return err_ctx(e, "cannot end session '%s'", name);
	err_clear(e);
	return 0;
}

int outcome_load(struct repo *r, const char *name, struct set *set,
		 struct err *e)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;
	char own[OUTCOME_NAME];

	if (load_words(r, name, &b, e) < 0) {
		/* by a key that had been removed: as if it was revoked */
		if (e->code != ERR_REFUSED)
			return -1;
		err_clear(e);
		return 0;
	}
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
