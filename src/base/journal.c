/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

/* More than any capture writes, by far; a limit against nonsense. */
#define MAX_SIZE ((size_t)16 * 1024 * 1024)

/* What is reserved: an overlay may fill the disk that the journal is on. */
#define RESERVE 65536

struct journal {
	char *path;
	int fd;
	pthread_mutex_t lock; /* all below */
	uint64_t size;        /* where the next record goes */
	uint64_t number;      /* of the last record */
	uint64_t written;     /* by us */
	bool broken;          /* half a record is there and does not go away */
};

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = ~UINT32_C(0);

	for (; n > 0; n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^
			      (UINT32_C(0xedb88320) & (0 - (crc & 1)));
	}
	return ~crc;
}

static void add_text(struct buf *b, const char *s)
{
	wr_bytes(b, s, strlen(s));
}

static void add_value(struct buf *b, const char *value)
{
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		char code[4];

		if (c > ' ' && c != '%' && c != 0x7f) {
			wr_u8(b, c);
			continue;
		}
		snprintf(code, sizeof(code), "%%%02x", c);
		add_text(b, code);
	}
}

static bool is_name(const char *s)
{
	return *s != '\0' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == '\0';
}

/* The whole line. */
static void format(struct buf *line, uint64_t number, const char *word,
		   const struct journal_field *fields)
{
	char head[32];

	assert(is_name(word));
	wr_zero(line, 9);
	snprintf(head, sizeof(head), "%" PRIu64 " ", number);
	add_text(line, head);
	add_text(line, word);
	for (; fields != NULL && fields->key != NULL; fields++) {
		assert(is_name(fields->key));
		wr_u8(line, ' ');
		add_text(line, fields->key);
		wr_u8(line, '=');
		add_value(line, fields->value);
	}
	snprintf(head, sizeof(head), "%08" PRIx32 " ",
		 crc32_of(line->p + 9, line->len - 9));
	memcpy(line->p, head, 9);
	wr_u8(line, '\n');
}

/* ---- reading ---- */

/* What a file says. */
struct content {
	struct journal_record *records;
	size_t count;
	size_t intact; /* bytes of the lines that are right */
};

static void content_fini(struct content *c)
{
	journal_records_free(c->records, c->count);
}

static bool crc_right(const char *line, size_t n)
{
	char hex[9];
	uint8_t want[4];

	if (n < 9 || line[8] != ' ')
		return false;
	memcpy(hex, line, 8);
	hex[8] = '\0';
	if (!hex_decode(hex, want, 4))
		return false;

	uint32_t crc = crc32_of((const uint8_t *)line + 9, n - 9);

	return want[0] == crc >> 24 && want[1] == (crc >> 16 & 0xff) &&
	       want[2] == (crc >> 8 & 0xff) && want[3] == (crc & 0xff);
}

/* Undo add_value() in place. */
static bool decode(char *value)
{
	char *to = value;

	for (const char *from = value; *from != '\0'; from++) {
		char hex[3] = "";

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		memcpy(hex, from + 1, strnlen(from + 1, 2));
		if (!hex_decode(hex, to, 1) || *to == '\0')
			return false;
		to++;
		from += 2;
	}
	*to = '\0';
	return true;
}

/* Cut "key=value key=value" into fields; text keeps the strings. */
static bool parse_fields(char *text, struct journal_record *r)
{
	size_t n = 0;

	while (text != NULL) {
		char *key = strsep(&text, " ");
		char *value = key;

		strsep(&value, "=");
		if (value == NULL || !is_name(key) || !decode(value))
			return false;
		r->fields = mem_grow(r->fields, n + 2, sizeof(*r->fields));
		r->fields[n++] = (struct journal_field){ key, value };
		r->fields[n] = (struct journal_field){ NULL, NULL };
	}
	return true;
}

/* "number word key=value ..."; the record is to be freed in any case. */
static bool parse_record(const char *line, size_t n, uint64_t want,
			 struct journal_record *r)
{
	autofree char *number = mem_fmt("%.*s", (int)n, line);
	char *rest = number;
	uint64_t v;

	if (strlen(number) != n)
		return false;
	strsep(&rest, " ");
	if (rest == NULL || !num_parse(number, &v) || v != want)
		return false;
	r->word = mem_strdup(rest);
	rest = r->word;
	strsep(&rest, " ");
	r->fields = mem_zalloc(1, sizeof(*r->fields));
	return is_name(r->word) && parse_fields(rest, r);
}

static int parse_line(struct content *c, const char *line, size_t n,
		      struct err *e)
{
	struct journal_record *r;

	c->records = mem_grow(c->records, c->count + 1, sizeof(*c->records));
	r = &c->records[c->count++];
	*r = (struct journal_record){ NULL, NULL };
	if (!parse_record(line + 9, n - 9, c->count, r))
		return err_set(e, ERR_INTEGRITY, "line %zu is no record",
			       c->count);
	c->intact += n + 1;
	return 0;
}

static int parse(const struct buf *text, struct content *c, struct err *e)
{
	while (c->intact < text->len) {
		const char *line = (const char *)text->p + c->intact;
		size_t left = text->len - c->intact;
		const char *end = memchr(line, '\n', left);

		if (end == NULL)
			return 0;

		size_t n = (size_t)(end - line);
		bool last = n + 1 == left;

		if (!crc_right(line, n))
			return last ? 0
				    : err_set(e, ERR_INTEGRITY,
					      "line %zu is damaged",
					      c->count + 1);
		if (parse_line(c, line, n, e) < 0)
			return -1;
	}
	return 0;
}

static int load(const char *path, struct content *c, struct err *e)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (file_load(path, MAX_SIZE, &text, e) < 0)
		return err_ctx(e, "journal");
	if (parse(&text, c, e) < 0)
		return err_ctx(e, "journal '%s'", path);
	return 0;
}

int journal_read(const char *path, struct journal_record **records,
		 size_t *count, struct err *e)
{
	AUTO(content_fini) struct content c = { NULL, 0, 0 };

	if (load(path, &c, e) < 0)
		return -1;
	*records = mem_take(&c.records);
	*count = c.count;
	c.count = 0;
	return 0;
}

void journal_records_free(struct journal_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(records[i].word);
		free(records[i].fields);
	}
	free(records);
}

const char *journal_get(const struct journal_record *r, const char *key)
{
	for (const struct journal_field *f = r->fields; f->key != NULL; f++)
		if (strcmp(f->key, key) == 0)
			return f->value;
	return NULL;
}

/* ---- writing ---- */

static struct journal *journal_of(const char *path, int fd)
{
	struct journal *j = mem_zalloc(1, sizeof(*j));

	j->path = mem_strdup(path);
	j->fd = fd;
	pthread_mutex_init(&j->lock, NULL);
	return j;
}

void journal_free(struct journal *j)
{
	if (j == NULL)
		return;
	fd_close_at(&j->fd);
	pthread_mutex_destroy(&j->lock);
	free(j->path);
	free(j);
}

/* Not all file systems can reserve; only a full one is a reason to stop. */
static int reserve(int fd, struct err *e)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE) < 0 &&
	    (errno == ENOSPC || errno == EDQUOT))
		return err_sys(e, "cannot reserve space");
	return 0;
}

static int make_durable(const char *path, int fd, struct err *e)
{
	autofree char *dir = path_dir(path);

	if (reserve(fd, e) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(e, "cannot flush");
	return dir_sync(dir, e);
}

struct journal *journal_new(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		err_sys(e, "cannot create journal '%s'", path);
		return NULL;
	}
	if (make_durable(path, fd, e) < 0) {
		err_ctx(e, "journal '%s'", path);
		unlink(path);
		return NULL;
	}
	return journal_of(path, fd_take(&fd));
}

struct journal *journal_continue(const char *path, struct err *e)
{
	AUTO(content_fini) struct content c = { NULL, 0, 0 };
	autofd int fd = open(path, O_RDWR | O_CLOEXEC);
	struct err none = ERR_INIT;

	if (fd < 0) {
		err_sys(e, "cannot open journal '%s'", path);
		return NULL;
	}
	if (load(path, &c, e) < 0)
		return NULL;
	if (ftruncate(fd, (off_t)c.intact) < 0 || fsync(fd) < 0) {
		err_sys(e, "cannot cut journal '%s'", path);
		return NULL;
	}
	/* recovery goes on where the disk is full too */
	reserve(fd, &none);

	struct journal *j = journal_of(path, fd_take(&fd));

	j->size = c.intact;
	j->number = c.count;
	return j;
}

#ifdef VMKEEP_TEST_KILL
static void *kill_later(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg * 1000);
	kill(getpid(), SIGKILL);
	return NULL;
}

/* "N" or "N:MS"; "WORD" or "WORD:MS" */
static bool test_meant(const char *when, uint64_t written, const char *word,
		       unsigned long *ms)
{
	size_t len = strlen(word);
	unsigned long n;

	if (sscanf(when, "%lu:%lu", &n, ms) >= 1)
		return n == written;
	return strncmp(when, word, len) == 0 &&
	       (when[len] == '\0' || sscanf(when + len, ":%lu", ms) == 1);
}

static void test_kill(uint64_t written, const char *word)
{
	const char *when = getenv("VMKEEP_TEST_KILL");
	unsigned long ms = 0;
	pthread_t thread;

	if (when == NULL || !test_meant(when, written, word, &ms))
		return;
	if (ms == 0)
		kill(getpid(), SIGKILL);
	if (pthread_create(&thread, NULL, kill_later, (void *)(uintptr_t)ms) ==
	    0)
		pthread_detach(thread);
}

static void test_stop(const char *word)
{
	const char *when = getenv("VMKEEP_TEST_STOP");

	if (when == NULL || strcmp(when, word) != 0)
		return;
	/* once: what comes after it must not wait again */
	unsetenv("VMKEEP_TEST_STOP");
	/* this thread, before it does anything else: kill(2) may choose
	 * another one, and be late */
	raise(SIGSTOP);
}
#else
static void test_kill(uint64_t written, const char *word)
{
	(void)written;
	(void)word;
}

static void test_stop(const char *word)
{
	(void)word;
}
#endif

static int append(struct journal *j, const struct buf *line, struct err *e)
{
	if (fd_pwrite_full(j->fd, line->p, line->len, j->size, e) == 0 &&
	    fsync(j->fd) == 0)
		return 0;
	if (e->code == ERR_NONE)
		err_sys(e, "cannot flush");
	/* half a line before the next one would be damage */
	if (ftruncate(j->fd, (off_t)j->size) < 0)
		j->broken = true;
	return -1;
}

static int write_locked(struct journal *j, const char *word,
			const struct journal_field *fields, struct err *e)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;

	if (j->broken)
		return err_set(e, ERR_FAILED,
			       "half a record could not be taken back");
	format(&line, j->number + 1, word, fields);
	if (j->size + line.len > MAX_SIZE)
		return err_set(e, ERR_FAILED, "too long");
	if (append(j, &line, e) < 0)
		return -1;
	j->size += line.len;
	j->number++;
	j->written++;
	test_kill(j->written, word);
	test_stop(word);
	return 0;
}

int journal_write(struct journal *j, const char *word,
		  const struct journal_field *fields, struct err *e)
{
	struct err why = ERR_INIT;

	pthread_mutex_lock(&j->lock);

	int r = write_locked(j, word, fields, &why);

	pthread_mutex_unlock(&j->lock);
	if (r < 0) {
		*e = why;
		err_ctx(e, "journal '%s'", j->path);
	}
	return r;
}

int journal_end(struct journal *j, struct err *e)
{
	autofree char *dir = path_dir(j->path);

	if (unlink(j->path) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove journal '%s'", j->path);
	return dir_sync(dir, e);
}
