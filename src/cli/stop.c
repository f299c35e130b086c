/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct stop {
	_Atomic bool asked;
	struct speech *speech;
	sigset_t signals;
	pthread_t thread;
};

/* What nohup(1), or a shell for a job in the background, has us ignore, stays
 * ignored: sigwait() would take it all the same. */
static void stop_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

/* What the signal does to who has not said otherwise. */
static void die_of(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	_exit(128 + sig);
}

static void *wait_for_signals(void *arg)
{
	struct stop *s = arg;

	for (;;) {
		int sig = 0;

		if (sigwait(&s->signals, &sig) != 0)
			continue;
		if (atomic_exchange(&s->asked, true))
			die_of(sig);
		speech_say(s->speech, TALK_WARN,
			   "stopping and putting everything back; the same "
			   "again stops at once");
	}
	return NULL;
}

struct stop *stop_new(struct speech *speech, struct err *e)
{
	struct stop *s = mem_zalloc(1, sizeof(*s));
	int sys;

	s->speech = speech;
	stop_signals(&s->signals);
	pthread_sigmask(SIG_BLOCK, &s->signals, NULL);
	sys = pthread_create(&s->thread, NULL, wait_for_signals, s);
	if (sys != 0) {
		free(s);
		err_sysno(e, sys, "cannot start a thread");
		return NULL;
	}
	return s;
}

void stop_free(struct stop *s)
{
	if (s == NULL)
		return;
	/* sigwait() is where it waits and may be cancelled */
	pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
	free(s);
}

const _Atomic bool *stop_flag(const struct stop *s)
{
	return s == NULL ? NULL : &s->asked;
}
