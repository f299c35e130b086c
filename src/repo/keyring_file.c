/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/hash.h"
#include "repo/keyring_internal.h"

/* One line of text: word, hexadecimal bundle, first 8 digits of its
 * SHA-256. */
#define FILE_MAX (2 * BUNDLE_MAX + 64)

static const char file_word[] = "vmkeep-key-1";

/* ---- writing -------------------------------------------------------- */

/* A file that is there stays as it is; ours is whole or not there. */
static int write_new(const char *path, const char *text, size_t size,
		     struct err *e)
{
	autofree char *dir = path_dir(path);
	autofd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_EXISTS,
			       "key file '%s' exists already: name a new one, "
			       "or remove it if it opens nothing you need",
			       path);
	if (fd < 0)
		return err_sys(e, "cannot make key file '%s'", path);
	if (fchmod(fd, 0600) == 0 && fd_write_full(fd, text, size, e) == 0 &&
	    fsync(fd) == 0 && dir_sync(dir, e) == 0)
		return 0;
	if (e->code == ERR_NONE)
		err_sys(e, "cannot flush");
	unlink(path);
	return err_ctx(e, "cannot write key file '%s'", path);
}

/* Into FILE_MAX bytes; returns the length. */
static size_t encode_text(const struct buf *bundle, char *text)
{
	struct hash sum;
	char check[9];

	hash_sha256(bundle->p, bundle->len, &sum);
	hex_encode(sum.b, 4, check);
	char *end = stpcpy(stpcpy(text, file_word), " ");

	hex_encode(bundle->p, bundle->len, end);
	end += 2 * bundle->len;
	end = stpcpy(stpcpy(stpcpy(end, " "), check), "\n");
	return (size_t)(end - text);
}

static char *file_text(const struct keyring *k, size_t *size, struct err *e)
{
	AUTO(secret_buf_fini) struct buf bundle = BUF_INIT;
	AUTO(keys_secret_free_at) char *text = keys_secret_alloc(FILE_MAX, e);

	if (text == NULL || secret_buf(&bundle, e) < 0)
		return NULL;
	bundle_put(k, &bundle);
	*size = encode_text(&bundle, text);
	return mem_take(&text);
}

int keyring_put_file(const char *path, const struct keyring *k, struct err *e)
{
	size_t size = 0;
	AUTO(keys_secret_free_at) char *text = file_text(k, &size, e);

	return text != NULL ? write_new(path, text, size, e) : -1;
}

int keyring_put_fd(int fd, const struct keyring *k, struct err *e)
{
	size_t size = 0;
	AUTO(keys_secret_free_at) char *text = file_text(k, &size, e);

	return text != NULL ? fd_write_full(fd, text, size, e) : -1;
}

/* ---- reading -------------------------------------------------------- */

static bool parse_file(char *text, uint8_t *raw, size_t *size)
{
	char *save = NULL;
	const char *word = strtok_r(text, " \n", &save);
	const char *hex = strtok_r(NULL, " \n", &save);
	const char *check = strtok_r(NULL, " \n", &save);
	char want[9];
	struct hash sum;

	if (word == NULL || hex == NULL || check == NULL ||
	    strcmp(word, file_word) != 0 || strlen(hex) > 2 * BUNDLE_MAX ||
	    strlen(hex) % 2 != 0)
		return false;
	*size = strlen(hex) / 2;
	if (!hex_decode(hex, raw, *size))
		return false;
	hash_sha256(raw, *size, &sum);
	hex_encode(sum.b, 4, want);
	return strcmp(check, want) == 0;
}

bool keyring_decode_text(char *text, struct keyring *k)
{
	struct err ignored = ERR_INIT;
	AUTO(keys_secret_free_at)
	uint8_t *raw = keys_secret_alloc(BUNDLE_MAX, &ignored);
	size_t size;

	return raw != NULL && parse_file(text, raw, &size) &&
	       bundle_get(k, raw, size);
}

/*
 * As ssh(1) does: a key of ours that others can read is no secret any more,
 * and using it on would hide that.  Whoever reads another's file, or a pipe,
 * has been given it.
 */
static int check_mode(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at key file '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) == 0)
		return 0;
	return err_set(e, ERR_REFUSED,
		       "key file '%s' may be read or changed by others (mode "
		       "%04o), so it is not used: see who had it, then say "
		       "chmod 600",
		       path, (unsigned)(st.st_mode & 07777));
}

int key_file_open(const char *path, struct keyring *k, struct err *e)
{
	AUTO(keys_secret_free_at) char *text = keys_secret_alloc(FILE_MAX, e);
	autofd int fd = -1;
	size_t got = 0;

	if (text == NULL)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open key file '%s'", path);
	if (check_mode(fd, path, e) < 0)
		return -1;
	if (fd_read_some(fd, text, FILE_MAX - 1, &got, e) < 0)
		return err_ctx(e, "cannot read key file '%s'", path);
	text[got] = '\0';
	if (!keyring_decode_text(text, k))
		return err_set(e, ERR_REFUSED,
			       "'%s' is not a key file of vmkeep's, or it is "
			       "damaged",
			       path);
	return 0;
}
