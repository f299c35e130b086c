/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness: what runs in a test guest, and checks its disks on the host.
 *
 *	witness					in the guest, started by init
 *	witness --check FILE...			raw images: whole, of one
 *instant? witness --format SLOT_KIB SLOTS FILE...	empty witness disks
 *
 * In the guest it writes records in turn on all disks (ring.h), knows in RAM
 * what it wrote, and compares before each record. It speaks lines on the
 * virtio port org.vmkeep.witness:
 *
 *	HB n beat		heartbeat, every few ms, from its own thread:
 *				n is the counter, beat counts heartbeats
 *	WITNESS n=.. vda=.. vdb=.. mode=.. beat=.. fs=.. dirty=..
 *				now and then; n is the counter and vda the last
 *				record on that disk, all of one moment; fs
 *				counts files written, dirty MiB of RAM written
 *	WITNESS fresh | WITNESS continue n=..
 *				once, after a cold boot
 *	WITNESS FAIL why	something is not what it was; repeated for ever
 *	WITNESS done COMMAND	an order was carried out
 *
 * and obeys lines: "mode idle", "mode hard", "dirty MIB_PER_SECOND",
 * "check" (read all records), "sync", "poweroff", "reboot", "crash".
 * The kernel command line sets the start: witness.mode=, witness.dirty=,
 * witness.dirty_size= (MiB), witness.beat= (ms), witness.pause= (ms between
 * records when idle).
 */
#include "ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char PORT[] = "/dev/virtio-ports/org.vmkeep.witness";

enum { PAGE = 4096, MIB = 1 << 20, STATUS_MS = 250 };

/* Shared by the threads of the guest. */
struct witness {
	struct ring ring;                 /* only the writer writes to it */
	int port;                         /* -1: none */
	pthread_mutex_t lock;             /* of the next three */
	uint64_t last;                    /* the counter, and ... */
	uint64_t last_on[RING_MAX_DISKS]; /* ... each disk's, of one moment */
	char fail[300];                   /* "": all is well */
	atomic_bool hard;                 /* write as fast as possible */
	atomic_bool check;                /* ordered: read all records */
	atomic_ulong dirty;               /* MiB of RAM to write per second */
	atomic_ulong dirtied;             /* MiB written so far */
	atomic_ulong files;               /* files written so far */
	atomic_ulong beats;
	unsigned long beat_ms, pause_ms, dirty_mib;
};

static void sleep_ms(unsigned long ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/*
 * One line to the host. Never waits: with nobody listening it is dropped,
 * which is why what matters is repeated.
 */
__attribute__((format(printf, 2, 3))) static void say(const struct witness *w,
						      const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n >= (int)sizeof(line) - 1)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (w->port >= 0 && write(w->port, line, (size_t)n) < 0)
		return;
}

/* Keeps the first failure, shouts on the console too. */
static void failed(struct witness *w, const char *why)
{
	pthread_mutex_lock(&w->lock);
	if (w->fail[0] == '\0') {
		snprintf(w->fail, sizeof(w->fail), "%s", why);
		printf("WITNESS FAIL %s\n", why);
		fflush(stdout);
	}
	pthread_mutex_unlock(&w->lock);
	say(w, "WITNESS FAIL %s", why);
}

/* --- heartbeat and status --------------------------------------------------
 */

static void *beat_thread(void *arg)
{
	struct witness *w = arg;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		unsigned long beat = atomic_fetch_add(&w->beats, 1) + 1;
		uint64_t n = __atomic_load_n(&w->ring.last, __ATOMIC_ACQUIRE);

		say(w, "HB %llu %lu", (unsigned long long)n, beat);
		next.tv_nsec += (long)w->beat_ms * 1000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return NULL;
}

static void say_status(struct witness *w)
{
	const struct ring *r = &w->ring;
	char disks[RING_MAX_DISKS * 40] = "", fail[sizeof(w->fail)];
	int at = 0;

	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < r->id.count && i < RING_MAX_DISKS; i++)
		at += snprintf(disks + at, sizeof(disks) - (size_t)at,
			       " %.16s=%llu", r->disk[i].name,
			       (unsigned long long)w->last_on[i]);
	snprintf(fail, sizeof(fail), "%s", w->fail);
	say(w, "WITNESS n=%llu%s mode=%s beat=%lu fs=%lu dirty=%lu",
	    (unsigned long long)w->last, disks,
	    atomic_load(&w->hard) ? "hard" : "idle", atomic_load(&w->beats),
	    atomic_load(&w->files), atomic_load(&w->dirtied));
	pthread_mutex_unlock(&w->lock);
	if (fail[0] != '\0')
		say(w, "WITNESS FAIL %s", fail);
}

static void *status_thread(void *arg)
{
	for (;;) {
		say_status(arg);
		sleep_ms(STATUS_MS);
	}
	return NULL;
}

/* --- disks ------------------------------------------------------------------
 */

static bool all_is_well(struct witness *w)
{
	bool well;

	pthread_mutex_lock(&w->lock);
	well = w->fail[0] == '\0';
	pthread_mutex_unlock(&w->lock);
	return well;
}

/* An order of the host, carried out between two records. */
static int obey_check(struct witness *w)
{
	if (ring_check(&w->ring) < 0)
		return -1;
	say(w, "WITNESS done check n=%llu", (unsigned long long)w->ring.last);
	return 0;
}

/* What the status says: numbers of one moment. */
static void publish(struct witness *w)
{
	pthread_mutex_lock(&w->lock);
	w->last = w->ring.last;
	for (uint32_t i = 0; i < w->ring.id.count; i++)
		w->last_on[i] = w->ring.disk[i].last;
	pthread_mutex_unlock(&w->lock);
}

/* One round: is everything as RAM says? Then the next record. */
static int write_round(struct witness *w)
{
	if (ring_verify(&w->ring) < 0)
		return -1;
	if (atomic_exchange(&w->check, false) && obey_check(w) < 0)
		return -1;
	if (ring_append(&w->ring) < 0)
		return -1;
	publish(w);
	return 0;
}

static void *writer_thread(void *arg)
{
	struct witness *w = arg;

	while (all_is_well(w)) {
		if (write_round(w) < 0)
			failed(w, w->ring.why);
		for (unsigned long ms = 0; ms < w->pause_ms; ms += 10)
			if (!atomic_load(&w->hard) && !atomic_load(&w->check))
				sleep_ms(10);
	}
	return NULL;
}

/* --- file systems: something for a freeze to hold back -----------------------
 */

static int write_file(const char *dir, unsigned long n)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/mnt/%s/tick", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (dprintf(fd, "%lu\n", n) < 0 || fsync(fd) < 0) {
		close(fd);
		return -1;
	}
	return close(fd);
}

static void write_files(struct witness *w)
{
	DIR *mnt = opendir("/mnt");
	struct dirent *e;
	char why[400];

	while (mnt != NULL && (e = readdir(mnt)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (write_file(e->d_name, atomic_load(&w->files) + 1) < 0) {
			snprintf(why, sizeof(why), "file on %s: %s", e->d_name,
				 strerror(errno));
			failed(w, why);
		}
		atomic_fetch_add(&w->files, 1);
	}
	if (mnt != NULL)
		closedir(mnt);
}

static void *files_thread(void *arg)
{
	for (;;) {
		write_files(arg);
		sleep_ms(500);
	}
	return NULL;
}

/* --- RAM that changes, and is known --------------------------------------- */

struct pages {
	uint64_t *mem;   /* the pages */
	uint32_t *turns; /* how often each was written */
	size_t count;
	size_t next;
};

static uint64_t page_word(size_t page, uint32_t turn, size_t word)
{
	uint64_t x = ((uint64_t)page << 32 | turn) + word;

	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 31;
}

/* Compares the next page with what it was left as, and writes it anew. */
static bool page_turn(struct pages *p)
{
	size_t page = p->next, words = PAGE / sizeof(*p->mem);
	uint64_t *at = p->mem + page * words;
	uint32_t turn = p->turns[page]++;
	bool same = true;

	for (size_t i = 0; i < words; i++) {
		same &= turn == 0 || at[i] == page_word(page, turn, i);
		at[i] = page_word(page, turn + 1, i);
	}
	p->next = (page + 1) % p->count;
	return same;
}

static void *dirty_thread(void *arg)
{
	struct witness *w = arg;
	struct pages p = { .count = w->dirty_mib * MIB / PAGE };
	unsigned long todo = 0; /* pages times 100 */

	p.mem = malloc(p.count * PAGE);
	p.turns = calloc(p.count, sizeof(*p.turns));
	if (p.mem == NULL || p.turns == NULL) {
		failed(w, "no memory to dirty");
		return NULL;
	}
	for (;;) {
		sleep_ms(10);
		todo += atomic_load(&w->dirty) * (MIB / PAGE);
		for (; todo >= 100; todo -= 100) {
			if (!page_turn(&p))
				failed(w, "a page of RAM is not what it was");
			if (p.next % (MIB / PAGE) == 0)
				atomic_fetch_add(&w->dirtied, 1);
		}
	}
	return NULL;
}

/* --- orders of the host ------------------------------------------------------
 */

static void power(struct witness *w, int how)
{
	say(w, "WITNESS done power");
	sync();
	reboot(how);
}

static void crash(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "c", 1) < 0)
		return;
}

static void obey(struct witness *w, const char *line)
{
	if (strcmp(line, "mode hard") == 0)
		atomic_store(&w->hard, true);
	else if (strcmp(line, "mode idle") == 0)
		atomic_store(&w->hard, false);
	else if (strncmp(line, "dirty ", 6) == 0)
		atomic_store(&w->dirty, strtoul(line + 6, NULL, 10));
	else if (strcmp(line, "check") == 0)
		atomic_store(&w->check, true);
	else if (strcmp(line, "sync") == 0)
		sync();
	else if (strcmp(line, "poweroff") == 0)
		power(w, RB_POWER_OFF);
	else if (strcmp(line, "reboot") == 0)
		power(w, RB_AUTOBOOT);
	else if (strcmp(line, "crash") == 0)
		crash();
	else
		return;
	if (strcmp(line, "check") != 0) /* says so when it is done */
		say(w, "WITNESS done %s", line);
}

static void obey_lines(struct witness *w, char *buf, size_t *have)
{
	char *end;

	while ((end = memchr(buf, '\n', *have)) != NULL) {
		*end++ = '\0';
		obey(w, buf);
		*have -= (size_t)(end - buf);
		memmove(buf, end, *have);
	}
}

/* Never returns. A port without a host is always "ready", so do not spin. */
static void obey_for_ever(struct witness *w)
{
	struct pollfd p = { .fd = w->port, .events = POLLIN };
	char buf[128];
	size_t have = 0;
	ssize_t n;

	for (;;) {
		if (w->port < 0 || poll(&p, 1, -1) < 0 ||
		    (p.revents & POLLIN) == 0) {
			sleep_ms(50);
			continue;
		}
		n = read(w->port, buf + have, sizeof(buf) - have);
		if (n <= 0) {
			sleep_ms(50);
			continue;
		}
		have += (size_t)n;
		obey_lines(w, buf, &have);
		if (have == sizeof(buf))
			have = 0;
	}
}

/* --- start
 * --------------------------------------------------------------------- */

static unsigned long number_after(const char *text, const char *key,
				  unsigned long otherwise)
{
	const char *at = strstr(text, key);

	return at != NULL ? strtoul(at + strlen(key), NULL, 10) : otherwise;
}

static void read_options(struct witness *w)
{
	char text[4096] = "";
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	atomic_init(&w->hard, strstr(text, "witness.mode=hard") != NULL);
	atomic_init(&w->dirty, number_after(text, "witness.dirty=", 0));
	w->dirty_mib = number_after(text, "witness.dirty_size=", 32);
	w->beat_ms = number_after(text, "witness.beat=", 5);
	w->pause_ms = number_after(text, "witness.pause=", 200);
}

/* Takes every disk of the guest that is a witness disk. */
static int open_disks(struct ring *r)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *e;
	struct ring_id id;
	char path[300];
	int fd, ret = 0;

	while (ret == 0 && dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ring_identify(fd, &id))
			close(fd);
		else
			ret = ring_add(r, fd, e->d_name, &id);
	}
	if (dir != NULL)
		closedir(dir);
	return ret;
}

static void start(struct witness *w, void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, w) != 0)
		failed(w, "cannot start a thread");
}

static void start_writer(struct witness *w)
{
	if (open_disks(&w->ring) < 0 || ring_load(&w->ring) < 0) {
		failed(w, w->ring.why);
		return;
	}
	if (w->ring.last == 0)
		say(w, "WITNESS fresh");
	else
		say(w, "WITNESS continue n=%llu",
		    (unsigned long long)w->ring.last);
	publish(w);
	start(w, writer_thread);
}

static int run_guest(void)
{
	static struct witness w = { .lock = PTHREAD_MUTEX_INITIALIZER };

	read_options(&w);
	w.port = open(PORT, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	start(&w, beat_thread);
	start_writer(&w);
	start(&w, status_thread);
	start(&w, files_thread);
	start(&w, dirty_thread);
	printf("WITNESS runs\n");
	fflush(stdout);
	obey_for_ever(&w);
	return 1;
}

/* --- on the host -------------------------------------------------------------
 */

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "witness: %s: %s\n", what, why);
	return 1;
}

static int add_image(struct ring *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct ring_id id;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return complain(path, strerror(errno));
	if (!ring_identify(fd, &id)) {
		close(fd);
		return complain(path, "is no witness disk");
	}
	if (ring_add(r, fd, slash != NULL ? slash + 1 : path, &id) < 0) {
		close(fd);
		return complain(path, r->why);
	}
	return 0;
}

static int run_check(int count, char **paths)
{
	struct ring r = { 0 };
	int bad = 0;

	for (int i = 0; i < count && bad == 0; i++)
		bad = add_image(&r, paths[i]);
	if (bad == 0 && ring_load(&r) < 0)
		bad = complain("check", r.why);
	if (bad == 0) {
		printf("ok n=%llu", (unsigned long long)r.last);
		for (uint32_t i = 0; i < r.id.count; i++)
			printf(" %s=%llu", r.disk[i].name,
			       (unsigned long long)r.disk[i].last);
		printf("\n");
	}
	ring_fini(&r);
	return bad;
}

static int format_one(const char *path, const struct ring_id *id)
{
	char why[256];
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC), bad = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		bad = complain(path, strerror(errno));
	else if (ring_format(fd, id, (uint64_t)st.st_size, why) < 0)
		bad = complain(path, why);
	if (fd >= 0)
		close(fd);
	return bad;
}

static int run_format(int argc, char **argv)
{
	struct ring_id id = {
		.slot_size = (uint32_t)strtoul(argv[0], NULL, 10) << 10,
		.slots = (uint32_t)strtoul(argv[1], NULL, 10),
		.count = (uint32_t)(argc - 2),
	};
	int bad = 0;

	if (getrandom(&id.pair, sizeof(id.pair), 0) != sizeof(id.pair))
		return complain("format", strerror(errno));
	for (; bad == 0 && id.index < id.count; id.index++)
		bad = format_one(argv[2 + id.index], &id);
	return bad;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return run_guest();
	if (argc >= 3 && strcmp(argv[1], "--check") == 0)
		return run_check(argc - 2, argv + 2);
	if (argc >= 5 && strcmp(argv[1], "--format") == 0)
		return run_format(argc - 2, argv + 2);
	fprintf(stderr, "usage: witness [--check FILE... | "
			"--format SLOT_KIB SLOTS FILE...]\n");
	return 2;
}
