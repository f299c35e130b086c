/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/obj.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "codec/seal.h"

static const char magic[4] = "VMKO";

DEFINE_AUTO(sealer_free, struct sealer *);

/* Associated data of a frame: header, name, is it the last? */
static void frame_aad(struct buf *aad, const uint8_t *header, const char *name,
		      bool last)
{
	buf_clear(aad);
	wr_bytes(aad, header, OBJ_HEADER);
	wr_string(aad, name);
	wr_u8(aad, last);
}

static int seal_frames(struct sealer *s, const char *name,
		       const struct buf *body, struct buf *out, struct err *e)
{
	AUTO(buf_fini) struct buf aad = BUF_INIT;
	uint8_t header[OBJ_HEADER];
	size_t at = 0;

	memcpy(header, out->p + out->len - OBJ_HEADER, OBJ_HEADER);
	for (uint64_t i = 0; at < body->len || i == 0; i++) {
		size_t n = num_min(OBJ_FRAME, body->len - at);
		uint8_t *to = buf_room(out, n + SEAL_TAG);

		frame_aad(&aad, header, name, at + n == body->len);
		if (sealer_seal(s, i, aad.p, aad.len, body->p + at, n, to, e) <
		    0)
			return -1;
		out->len += n + SEAL_TAG;
		at += n;
	}
	return 0;
}

/*
 * Who may make what (FORMAT.md, 1).  Readers check it by the signature; this
 * is for an honest program with the wrong key, before it has done half of
 * something.
 */
static int check_maker(const struct keyring *k, const char *name, struct err *e)
{
	static const struct {
		const char *prefix;
		enum key_need need;
	} makers[] = {
		{ "gen/", NEED_KEEP },   { "tomb/", NEED_KEEP },
		{ "ring/", NEED_WRITE }, { "issued/", NEED_OWN },
		{ "void/", NEED_OWN },
	};

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strncmp(name, makers[i].prefix, strlen(makers[i].prefix)) ==
		    0)
			return keyring_need(k, makers[i].need, e);
	return 0;
}

static int seal_body(const struct keyring *k, const char *name,
		     const struct buf *body, struct buf *out, struct err *e)
{
	uint8_t salt[SALT_SIZE];

	keys_random(salt, sizeof(salt));
	wr_bytes(out, magic, sizeof(magic));
	wr_u16(out, FORMAT_VERSION);
	wr_u8(out, FORMAT_SUITE);
	wr_u8(out, 0);
	wr_bytes(out, salt, sizeof(salt));

	AUTO(sealer_free_at)
	struct sealer *s =
		sealer_new(k->meta_key, salt, sizeof(salt), "vmkeep object", e);

	return s != NULL ? seal_frames(s, name, body, out, e) : -1;
}

int obj_seal(const struct keyring *k, const char *name, struct buf *body,
	     struct buf *out, struct err *e)
{
	if (check_maker(k, name, e) < 0 || keyring_sign(k, name, body, e) < 0)
		return -1;
	return seal_body(k, name, body, out, e);
}

static int open_frames(struct sealer *s, const char *name, const uint8_t *data,
		       size_t size, struct buf *out, struct err *e)
{
	AUTO(buf_fini) struct buf aad = BUF_INIT;
	size_t at = OBJ_HEADER;

	for (uint64_t i = 0; at < size || i == 0; i++) {
		size_t n = num_min(OBJ_FRAME + SEAL_TAG, size - at);

		if (n < SEAL_TAG)
			return err_set(e, ERR_INTEGRITY, "cut short");
		n -= SEAL_TAG;
		frame_aad(&aad, data, name, at + n + SEAL_TAG == size);
		if (sealer_open(s, i, aad.p, aad.len, data + at, n,
				buf_room(out, n), e) < 0)
			return -1;
		out->len += n;
		at += n + SEAL_TAG;
	}
	return 0;
}

static int check_header(const uint8_t *data, size_t size, struct err *e)
{
	struct reader r = reader_of(data, size);
	char m[sizeof(magic)];

	rd_copy(&r, m, sizeof(m));
	if (size < OBJ_HEADER || memcmp(m, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_INTEGRITY, "not an object of vmkeep's");
	uint16_t version = rd_u16(&r);

	/* 'config' says what the repository is; here it is damage */
	if (version != FORMAT_VERSION || rd_u8(&r) != FORMAT_SUITE)
		return err_set(
			e, ERR_INTEGRITY,
			"of a format that this repository does not have");
	return 0;
}

static int open_body(const struct keyring *k, const struct sign_want *want,
		     const uint8_t *data, size_t size, struct buf *out,
		     struct err *e)
{
	size_t start = out->len;

	if (check_header(data, size, e) < 0)
		return -1;
	AUTO(sealer_free_at)
	struct sealer *s = sealer_new(k->meta_key, data + 8, SALT_SIZE,
				      "vmkeep object", e);

	if (s == NULL || open_frames(s, want->name, data, size, out, e) < 0)
		return -1;
	size_t body = out->len - start;

	if (want->uses != SIGN_NONE &&
	    keyring_check(k, want, out->p + start, &body, e) < 0)
		return -1;
	out->len = start + body;
	return 0;
}

int obj_open_want(const struct keyring *k, const struct sign_want *want,
		  const void *data, size_t size, struct buf *out, struct err *e)
{
	size_t start = out->len;

	if (open_body(k, want, data, size, out, e) == 0)
		return 0;
	out->len = start;
	return err_ctx(e, "object '%s'", want->name);
}

int obj_open(const struct keyring *k, const char *name, unsigned uses,
	     const void *data, size_t size, struct buf *out, struct err *e)
{
	const struct sign_want want = { .name = name, .uses = uses };

	return obj_open_want(k, &want, data, size, out, e);
}

int obj_put_new(struct store *s, const struct keyring *k, const char *name,
		struct buf *body, struct err *e)
{
	AUTO(buf_fini) struct buf sealed = BUF_INIT;

	if (obj_seal(k, name, body, &sealed, e) < 0)
		return -1;
	struct iovec iov = { .iov_base = sealed.p, .iov_len = sealed.len };

	return store_put_new(s, name, &iov, 1, e);
}

int obj_put_unsigned(struct store *s, const struct keyring *k, const char *name,
		     const struct buf *body, struct err *e)
{
	AUTO(buf_fini) struct buf sealed = BUF_INIT;

	if (seal_body(k, name, body, &sealed, e) < 0)
		return -1;
	struct iovec iov = { .iov_base = sealed.p, .iov_len = sealed.len };

	return store_put_new(s, name, &iov, 1, e);
}

int obj_load_want(struct store *s, const struct keyring *k,
		  const struct sign_want *want, size_t max, struct buf *out,
		  struct err *e)
{
	AUTO(buf_fini) struct buf sealed = BUF_INIT;

	if (store_load(s, want->name, max, &sealed, e) < 0)
		return -1;
	return obj_open_want(k, want, sealed.p, sealed.len, out, e);
}

int obj_load(struct store *s, const struct keyring *k, const char *name,
	     unsigned uses, size_t max, struct buf *out, struct err *e)
{
	const struct sign_want want = { .name = name, .uses = uses };

	return obj_load_want(s, k, &want, max, out, e);
}
