/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bareloop - what the machine can do: the bare loop over an image
 *
 * Does on all cores what every backup of an image must do, and nothing
 * else: no repository, no look-ups, no writing. It is the yardstick for
 * the engine.
 *
 *	hash	read, drop zero pages, SHA-256 of every 4 KiB page left
 *	full	the same, then zstd in frames of 512 KiB, AES-256-GCM, and
 *		each sealed frame opened, decompressed and compared
 *
 * The image is walked in 4 MiB extents. Holes that the file system knows
 * of are not read, for no backup should.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <zstd.h>

enum {
	PAGE = 4096,
	EXTENT = 4 << 20,
	FRAME = 512 << 10,
	TAG = 16,
	NONCE = 12,
	MAX_THREADS = 256,
};

struct loop {
	int fd;
	uint64_t size;
	bool full;
	int level;
	unsigned char key[32];
	atomic_uint_fast64_t next; /* extent */
};

struct totals {
	uint64_t read;
	uint64_t data; /* of pages that are not zero */
	uint64_t sealed;
};

struct worker {
	pthread_t thread;
	struct loop *loop;
	struct totals totals;
	EVP_MD *md;
	EVP_MD_CTX *hash;
	EVP_CIPHER_CTX *seal, *open;
	ZSTD_CCtx *zip;
	ZSTD_DCtx *unzip;
	uint64_t nonce;
	unsigned char digests; /* all of them xored, so that none is idle */
	unsigned char *pages, *packed, *sealed, *opened, *raw;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt,
								...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bareloop: ", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void *must(void *p)
{
	if (p == NULL)
		die("out of memory");
	return p;
}

static void must_ssl(int ok)
{
	if (ok != 1)
		die("a call to OpenSSL failed");
}

static size_t must_zstd(size_t n)
{
	if (ZSTD_isError(n))
		die("zstd: %s", ZSTD_getErrorName(n));
	return n;
}

static void read_fully(int fd, unsigned char *buf, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pread(fd, buf, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("read: %s", strerror(errno));
		if (n == 0)
			die("the image became shorter");
		buf += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
}

static bool is_zero(const unsigned char *page)
{
	uint64_t first;

	memcpy(&first, page, sizeof(first));
	return first == 0 &&
	       memcmp(page, page + sizeof(first), PAGE - sizeof(first)) == 0;
}

static void hash_page(struct worker *w, const unsigned char *page)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	must_ssl(EVP_DigestInit_ex(w->hash, w->md, NULL));
	must_ssl(EVP_DigestUpdate(w->hash, page, PAGE));
	must_ssl(EVP_DigestFinal_ex(w->hash, digest, NULL));
	w->digests ^= digest[0];
}

/* Hashes the pages that are not zero and moves them together. */
static size_t hash_pages(struct worker *w, unsigned char *buf, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len; at += PAGE) {
		if (is_zero(buf + at))
			continue;
		hash_page(w, buf + at);
		if (w->loop->full && kept != at)
			memcpy(buf + kept, buf + at, PAGE);
		kept += PAGE;
	}
	return kept;
}

static void next_nonce(struct worker *w, unsigned char nonce[NONCE])
{
	memset(nonce, 0, NONCE);
	memcpy(nonce, &w->nonce, sizeof(w->nonce));
	w->nonce++;
}

static void seal(struct worker *w, const unsigned char *nonce,
		 const unsigned char *in, size_t len, unsigned char *out)
{
	int n;

	must_ssl(EVP_EncryptInit_ex(w->seal, NULL, NULL, NULL, nonce));
	must_ssl(EVP_EncryptUpdate(w->seal, out, &n, in, (int)len));
	must_ssl(EVP_EncryptFinal_ex(w->seal, out + len, &n));
	must_ssl(EVP_CIPHER_CTX_ctrl(w->seal, EVP_CTRL_AEAD_GET_TAG, TAG,
				     out + len));
}

static void open_sealed(struct worker *w, const unsigned char *nonce,
			unsigned char *in, size_t len, unsigned char *out)
{
	int n;

	must_ssl(EVP_DecryptInit_ex(w->open, NULL, NULL, NULL, nonce));
	must_ssl(EVP_DecryptUpdate(w->open, out, &n, in, (int)len));
	must_ssl(EVP_CIPHER_CTX_ctrl(w->open, EVP_CTRL_AEAD_SET_TAG, TAG,
				     in + len));
	must_ssl(EVP_DecryptFinal_ex(w->open, out + len, &n));
}

static size_t zip(struct worker *w, const unsigned char *in, size_t len,
		  bool *stored)
{
	size_t n = must_zstd(ZSTD_compressCCtx(w->zip, w->packed,
					       ZSTD_compressBound(FRAME), in,
					       len, w->loop->level));

	*stored = n >= len;
	return *stored ? len : n;
}

static void do_frame(struct worker *w, const unsigned char *in, size_t len)
{
	unsigned char nonce[NONCE];
	bool stored;
	size_t n = zip(w, in, len, &stored);
	const unsigned char *back = w->opened;

	next_nonce(w, nonce);
	seal(w, nonce, stored ? in : w->packed, n, w->sealed);
	open_sealed(w, nonce, w->sealed, n, w->opened);
	if (!stored) {
		size_t raw = must_zstd(ZSTD_decompressDCtx(
			w->unzip, w->raw, FRAME, w->opened, n));

		if (raw != len)
			die("a frame came back with another length");
		back = w->raw;
	}
	if (memcmp(back, in, len) != 0)
		die("a frame came back changed");
	w->totals.sealed += n + TAG;
}

static void do_frames(struct worker *w, const unsigned char *buf, size_t len)
{
	for (size_t at = 0; at < len; at += FRAME)
		do_frame(w, buf + at, len - at < FRAME ? len - at : FRAME);
}

/*
 * Reads what is not a hole of the bytes from `at` to `end` to the start of
 * the buffer, padded with zeroes to whole pages.
 */
static size_t read_data(struct worker *w, uint64_t at, uint64_t end)
{
	size_t len = 0;

	while (at < end) {
		off_t from = lseek(w->loop->fd, (off_t)at, SEEK_DATA);
		off_t to;

		if (from < 0 && errno == ENXIO)
			break;
		if (from < 0) /* knows no holes */
			from = (off_t)at;
		if ((uint64_t)from >= end)
			break;
		to = lseek(w->loop->fd, from, SEEK_HOLE);
		if (to < 0 || (uint64_t)to > end)
			to = (off_t)end;
		read_fully(w->loop->fd, w->pages + len, (size_t)(to - from),
			   (uint64_t)from);
		len += (size_t)(to - from);
		at = (uint64_t)to;
	}
	w->totals.read += len;
	memset(w->pages + len, 0, (PAGE - len % PAGE) % PAGE);
	return (len + PAGE - 1) / PAGE * PAGE;
}

static void do_extent(struct worker *w, uint64_t at)
{
	uint64_t end = at + EXTENT;
	size_t len;

	if (end > w->loop->size)
		end = w->loop->size;
	len = hash_pages(w, w->pages, read_data(w, at, end));
	w->totals.data += len;
	if (w->loop->full)
		do_frames(w, w->pages, len);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		uint64_t at = atomic_fetch_add(&w->loop->next, 1) * EXTENT;

		if (at >= w->loop->size)
			return NULL;
		do_extent(w, at);
	}
}

static unsigned char *buffer(size_t len)
{
	len = (len + PAGE - 1) / PAGE * PAGE;
	return must(aligned_alloc(PAGE, len));
}

static void worker_init(struct worker *w, struct loop *loop, unsigned number)
{
	const EVP_CIPHER *gcm = EVP_aes_256_gcm();

	w->loop = loop;
	w->md = must(EVP_MD_fetch(NULL, "SHA256", NULL));
	w->hash = must(EVP_MD_CTX_new());
	w->seal = must(EVP_CIPHER_CTX_new());
	w->open = must(EVP_CIPHER_CTX_new());
	must_ssl(EVP_EncryptInit_ex(w->seal, gcm, NULL, loop->key, NULL));
	must_ssl(EVP_DecryptInit_ex(w->open, gcm, NULL, loop->key, NULL));
	w->zip = must(ZSTD_createCCtx());
	w->unzip = must(ZSTD_createDCtx());
	w->nonce = (uint64_t)number << 48;
	w->pages = buffer(EXTENT);
	w->packed = buffer(ZSTD_compressBound(FRAME));
	w->sealed = buffer(FRAME + TAG);
	w->opened = buffer(FRAME);
	w->raw = buffer(FRAME);
}

static void worker_fini(struct worker *w)
{
	EVP_MD_free(w->md);
	EVP_MD_CTX_free(w->hash);
	EVP_CIPHER_CTX_free(w->seal);
	EVP_CIPHER_CTX_free(w->open);
	ZSTD_freeCCtx(w->zip);
	ZSTD_freeDCtx(w->unzip);
	free(w->pages);
	free(w->packed);
	free(w->sealed);
	free(w->opened);
	free(w->raw);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct totals run(struct loop *loop, unsigned threads)
{
	static struct worker workers[MAX_THREADS];
	struct totals sum = { 0 };

	for (unsigned i = 0; i < threads; i++) {
		worker_init(&workers[i], loop, i);
		if (pthread_create(&workers[i].thread, NULL, work,
				   &workers[i]) != 0)
			die("cannot start a thread");
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sum.read += workers[i].totals.read;
		sum.data += workers[i].totals.data;
		sum.sealed += workers[i].totals.sealed;
		worker_fini(&workers[i]);
	}
	return sum;
}

static void open_image(struct loop *loop, const char *path)
{
	off_t end;

	loop->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (loop->fd < 0)
		die("cannot open '%s': %s", path, strerror(errno));
	end = lseek(loop->fd, 0, SEEK_END);
	if (end < 0)
		die("'%s' has no size: %s", path, strerror(errno));
	loop->size = (uint64_t)end;
}

/* MiB/s are of the data, not of the image: zeroes and holes are free. */
static void print(const struct loop *loop, unsigned threads, struct totals sum,
		  double s)
{
	printf("{\"mode\": \"%s\", \"level\": %d, \"threads\": %u, "
	       "\"seconds\": %.4f, \"mib_per_s\": %.1f, "
	       "\"image_bytes\": %llu, \"read_bytes\": %llu, "
	       "\"data_bytes\": %llu, \"sealed_bytes\": %llu}\n",
	       loop->full ? "full" : "hash", loop->level, threads, s,
	       (double)sum.data / s / (1 << 20), (unsigned long long)loop->size,
	       (unsigned long long)sum.read, (unsigned long long)sum.data,
	       (unsigned long long)sum.sealed);
}

static void usage(void)
{
	fputs("usage: bareloop [-l LEVEL] [-t THREADS] hash|full IMAGE\n",
	      stderr);
	exit(2);
}

static long number(const char *text, long min, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < min || n > max)
		usage();
	return n;
}

int main(int argc, char **argv)
{
	struct loop loop = { .level = 3 };
	long threads = sysconf(_SC_NPROCESSORS_ONLN);
	struct totals sum;
	double start;
	int c;

	while ((c = getopt(argc, argv, "l:t:")) != -1) {
		if (c == 'l')
			loop.level = (int)number(optarg, -50, 22);
		else if (c == 't')
			threads = number(optarg, 1, MAX_THREADS);
		else
			usage();
	}
	if (argc - optind != 2)
		usage();
	loop.full = strcmp(argv[optind], "full") == 0;
	if (!loop.full && strcmp(argv[optind], "hash") != 0)
		usage();
	open_image(&loop, argv[optind + 1]);
	must_ssl(RAND_bytes(loop.key, sizeof(loop.key)));
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	start = now();
	sum = run(&loop, (unsigned)threads);
	print(&loop, (unsigned)threads, sum, now() - start);
	close(loop.fd);
	return 0;
}
