/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/speech.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "report/safe.h"

#define MS           INT64_C(1000000)
#define FIRST_AFTER  (500 * MS) /* short commands show no line */
#define REDRAW_AFTER (100 * MS)

struct speech {
	struct speech_options options;
	struct talk talk;
	pthread_mutex_t lock; /* all below */
	struct progress progress;
	int64_t start_ns;
	int64_t drawn_ns;
	bool shown;
};

/* ---- with the lock held ---- */

static void clear_line(struct speech *s)
{
	if (s->shown)
		fputs("\r\033[K", stderr);
	s->shown = false;
}

static void put_line(struct speech *s, const char *before, const char *text)
{
	autofree char *safe = safe_text(text);

	clear_line(s);
	fprintf(stderr, "%s%s\n", before, safe);
	fflush(stderr);
}

static size_t terminal_width(void)
{
	struct winsize w = { .ws_col = 0 };

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return 80;
	return w.ws_col;
}

static void draw(struct speech *s, const struct progress_step *step)
{
	/* the last column stays free: some terminals wrap there */
	autofree char *line = progress_line(step, terminal_width() - 1);

	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	s->shown = true;
}

/* ---- what a job is given ---- */

static void on_say(void *ctx, enum talk_level level, const char *text)
{
	speech_say(ctx, level, text);
}

static void on_progress(void *ctx, const struct talk_progress *p)
{
	struct speech *s = ctx;
	int64_t now = clock_steady_ns();
	const struct progress_step *step;

	pthread_mutex_lock(&s->lock);
	step = progress_note(&s->progress, p, now);
	if (now - s->start_ns >= FIRST_AFTER &&
	    now - s->drawn_ns >= REDRAW_AFTER) {
		draw(s, step);
		s->drawn_ns = now;
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- the contract ---- */

static bool can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL &&
	       strcmp(term, "dumb") != 0;
}

struct speech *speech_new(const struct speech_options *o)
{
	struct speech *s = mem_zalloc(1, sizeof(*s));

	s->options = *o;
	s->start_ns = clock_steady_ns();
	s->talk = (struct talk){ .ctx = s, .say = on_say };
	if (o->progress && !o->quiet && can_draw())
		s->talk.progress = on_progress;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void speech_free(struct speech *s)
{
	if (s == NULL)
		return;
	clear_line(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void speech_say(struct speech *s, enum talk_level level, const char *text)
{
	if (level == TALK_DEBUG && !s->options.verbose)
		return;
	if (level == TALK_INFO && s->options.quiet)
		return;
	pthread_mutex_lock(&s->lock);
	put_line(s, level == TALK_WARN ? "vmkeep: warning: " : "", text);
	pthread_mutex_unlock(&s->lock);
}

void speech_error(struct speech *s, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	put_line(s, "vmkeep: ", e->msg);
	pthread_mutex_unlock(&s->lock);
}

void speech_clear(struct speech *s)
{
	pthread_mutex_lock(&s->lock);
	clear_line(s);
	pthread_mutex_unlock(&s->lock);
}

const struct talk *speech_talk(const struct speech *s)
{
	return &s->talk;
}
