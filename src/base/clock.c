/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"

#define SECOND_NS INT64_C(1000000000)

static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return now(CLOCK_REALTIME);
}

int64_t clock_steady_ns(void)
{
	return now(CLOCK_MONOTONIC);
}

/* Whole seconds, rounded down before 1970 too. */
static time_t seconds_of(int64_t ns)
{
	return (time_t)(ns / SECOND_NS - (ns % SECOND_NS < 0));
}

void clock_text(int64_t wall_ns, char out[CLOCK_TEXT])
{
	time_t t = seconds_of(wall_ns);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_text_local(int64_t wall_ns, char out[CLOCK_TEXT])
{
	time_t t = seconds_of(wall_ns);
	struct tm tm;

	localtime_r(&t, &tm);

	size_t n = strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	long min = tm.tm_gmtoff / 60;
	unsigned abs_min = (unsigned)(min < 0 ? -min : min);

	snprintf(out + n, CLOCK_TEXT - n, "%c%02u:%02u", min < 0 ? '-' : '+',
		 abs_min / 60 % 100, abs_min % 60);
}

/* A time as written: how many of its fields are there, and their zone. */
struct written {
	struct tm tm;
	int fields;     /* 1 year ... 6 second */
	bool zoned;     /* has an offset; otherwise it is local time */
	int64_t offset; /* seconds east of Greenwich */
};

/* Exactly this many digits, between low and high. */
static bool number(const char **text, int digits, int low, int high, int *v)
{
	const char *p = *text;
	int n = 0;

	for (int i = 0; i < digits; i++, p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (*p - '0');
	}
	if (n < low || n > high)
		return false;
	*text = p;
	*v = n;
	return true;
}

/* Does "-05:00" start here, rather than "-05" of a date? */
static bool is_offset(const char *p)
{
	return (*p == '+' || *p == '-') && strnlen(p, 4) == 4 && p[3] == ':';
}

static bool read_fields(const char **text, struct written *w)
{
	/* the years that nanoseconds in 64 bits can hold */
	static const struct {
		char before;
		int digits, low, high;
	} field[] = {
		{ '\0', 4, 1678, 2261 }, { '-', 2, 1, 12 }, { '-', 2, 1, 31 },
		{ 'T', 2, 0, 23 },       { ':', 2, 0, 59 }, { ':', 2, 0, 59 },
	};
	int v[6] = { 0, 1, 1, 0, 0, 0 };

	for (w->fields = 0; w->fields < 6; w->fields++) {
		int i = w->fields;

		if (i > 0 && (**text != field[i].before || is_offset(*text)))
			break;
		*text += i > 0;
		if (!number(text, field[i].digits, field[i].low, field[i].high,
			    &v[i]))
			return false;
	}
	w->tm = (struct tm){ .tm_year = v[0] - 1900,
			     .tm_mon = v[1] - 1,
			     .tm_mday = v[2],
			     .tm_hour = v[3],
			     .tm_min = v[4],
			     .tm_sec = v[5] };
	return true;
}

static bool read_zone(const char **text, struct written *w)
{
	int hours;
	int minutes;
	bool west = **text == '-';

	w->zoned = **text != '\0';
	w->offset = 0;
	if (!w->zoned)
		return true;
	if (**text == 'Z') {
		(*text)++;
		return true;
	}
	if (!is_offset(*text))
		return false;
	(*text)++;
	if (!number(text, 2, 0, 23, &hours) || *(*text)++ != ':' ||
	    !number(text, 2, 0, 59, &minutes))
		return false;
	w->offset = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

/* The zone's offset at a moment, in seconds. */
static int64_t offset_at(time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	return tm.tm_gmtoff;
}

/* The moment between low and high (in seconds) when the clock was changed. */
static time_t change_between(time_t low, time_t high)
{
	int64_t after = offset_at(high);

	while (high - low > 1) {
		time_t mid = low + (high - low) / 2;

		if (offset_at(mid) == after)
			high = mid;
		else
			low = mid;
	}
	return high;
}

/* mktime() leaves it to the implementation what is shown twice or never. */
static time_t first_moment(time_t shown)
{
	/* clocks are changed less than once in two days */
	const time_t day = 24 * 3600;
	time_t early = shown - offset_at(shown - day);
	time_t late = shown - offset_at(shown + day);

	if (early + offset_at(early) == shown)
		return early;
	if (late + offset_at(late) == shown)
		return late;
	return change_between(late, early);
}

static time_t moment(const struct written *w, struct tm tm)
{
	time_t shown = timegm(&tm);

	return w->zoned ? shown - (time_t)w->offset : first_moment(shown);
}

static time_t span_end(const struct written *w, time_t from)
{
	struct tm next = w->tm;

	if (w->fields >= 5)
		return from + (w->fields == 5 ? 60 : 1);
	next.tm_year += w->fields == 1;
	next.tm_mon += w->fields == 2;
	next.tm_mday += w->fields == 3;
	next.tm_hour += w->fields == 4;
	return moment(w, next);
}

/* timegm() turns the 30th of February into the 1st or 2nd of March. */
static bool is_date(const struct written *w)
{
	struct tm tm = w->tm;

	timegm(&tm);
	return tm.tm_mday == w->tm.tm_mday;
}

/* Minutes and seconds that a clock change skips are never shown. */
static bool is_shown(const struct written *w, time_t from)
{
	struct tm tm = w->tm;

	return w->zoned || w->fields < 5 ||
	       from + offset_at(from) == timegm(&tm);
}

bool clock_parse(const char *text, int64_t *from_ns, int64_t *until_ns)
{
	struct written w;

	if (!read_fields(&text, &w) || !read_zone(&text, &w) || *text != '\0' ||
	    !is_date(&w))
		return false;

	time_t from = moment(&w, w.tm);
	time_t until = span_end(&w, from);

	if (from >= until || !is_shown(&w, from))
		return false;
	*from_ns = (int64_t)from * SECOND_NS;
	*until_ns = (int64_t)until * SECOND_NS;
	return true;
}

int64_t clock_to_local(int64_t moment_s)
{
	return moment_s + offset_at(moment_s);
}

int64_t clock_from_local(int64_t shown_s)
{
	return first_moment(shown_s);
}

int64_t clock_change(int64_t low_s, int64_t high_s)
{
	if (offset_at(low_s) == offset_at(high_s))
		return low_s;
	return change_between(low_s, high_s);
}

/* ---- zones ---- */

/* "Europe/Berlin", and nothing that leads elsewhere. */
static bool is_zone_name(const char *name)
{
	return name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL;
}

static bool has_zone(const char *name)
{
	const char *dir = getenv("TZDIR");
	autofree char *path =
		path_join(dir != NULL ? dir : "/usr/share/zoneinfo", name);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err ignored = ERR_INIT;
	char magic[4]; /* tzfile(5) */

	return fd >= 0 &&
	       fd_pread_full(fd, magic, sizeof(magic), 0, &ignored) == 0 &&
	       memcmp(magic, "TZif", sizeof(magic)) == 0;
}

int clock_set_zone(const char *name, struct err *e)
{
	/* ':' says that it is no rule of POSIX's */
	autofree char *value = mem_fmt(":%s", name);

	/* needs no tables */
	if (strcmp(name, "UTC") == 0) {
		free(value);
		value = mem_strdup("UTC0");
	} else if (!is_zone_name(name) || !has_zone(name)) {
		return err_set(e, ERR_USAGE,
			       "there is no time zone '%s' here; their names "
			       "are such as Europe/Berlin",
			       name);
	}
	if (setenv("TZ", value, 1) < 0)
		return err_sys(e, "cannot set the time zone");
	tzset();
	return 0;
}
