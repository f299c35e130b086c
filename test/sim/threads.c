/* SPDX-License-Identifier: Apache-2.0 */
/* its longjmp() takes another fiber's stack for a mistake */
#undef _FORTIFY_SOURCE

#include "threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK      (256u << 10)
#define MAX_FIBERS 256

enum state { FREE, READY, WAITING, ENDED };

struct fiber {
	enum state state;
	ucontext_t context; /* how it begins */
	bool begun;
	jmp_buf at; /* where it goes on */
	void *stack;
	void *(*fn)(void *);
	void *arg;
	const void *wants; /* what it waits for */
	bool timed;        /* it may stop waiting at any moment */
	bool timed_out;
	bool detached;
	unsigned actor;
};

static struct {
	uint64_t random;
	struct fiber fibers[MAX_FIBERS];
	unsigned count; /* of fibers that were ever used */
	struct fiber *now;
	jmp_buf home;
	unsigned weights[SIM_ACTORS];
} sim;

/* splitmix64, Steele, Lea and Flood 2014 */
static uint64_t next_random(void)
{
	uint64_t z = sim.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_random(uint64_t n)
{
	return next_random() % n;
}

unsigned sim_actor(void)
{
	return sim.now != NULL ? sim.now->actor : 0;
}

void sim_set_actor(unsigned actor)
{
	assert(actor < SIM_ACTORS);
	sim.now->actor = actor;
}

/* ---- fibers ---------------------------------------------------------- */

/* swapcontext() would ask the kernel for the mask of signals, twice. */
static void go_home(void)
{
	if (_setjmp(sim.now->at) == 0)
		_longjmp(sim.home, 1);
}

static void go_on(struct fiber *f)
{
	if (_setjmp(sim.home) != 0)
		return;
	if (f->begun)
		_longjmp(f->at, 1);
	f->begun = true;
	setcontext(&f->context);
}

void sim_yield(void)
{
	if (sim.now != NULL)
		go_home();
}

static void fiber_main(void)
{
	struct fiber *f = sim.now;

	f->fn(f->arg);
	f->state = ENDED;
	go_home();
}

static struct fiber *fiber_new(void *(*fn)(void *), void *arg)
{
	unsigned i = 0;

	while (i < sim.count && sim.fibers[i].state != FREE)
		i++;
	assert(i < MAX_FIBERS);
	if (i == sim.count)
		sim.count++;
	struct fiber *f = &sim.fibers[i];
	void *stack = f->stack != NULL ? f->stack : malloc(STACK);

	assert(stack != NULL);
	*f = (struct fiber){ .state = READY,
			     .stack = stack,
			     .fn = fn,
			     .arg = arg,
			     .actor = sim_actor() };
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
	return f;
}

static void wait_for(const void *what, bool timed)
{
	struct fiber *f = sim.now;

	f->state = WAITING;
	f->wants = what;
	f->timed = timed;
	f->timed_out = false;
	go_home();
}

static void wake(const void *what, bool all)
{
	unsigned from = sim.count > 0 ? (unsigned)sim_random(sim.count) : 0;

	for (unsigned k = 0; k < sim.count; k++) {
		struct fiber *f = &sim.fibers[(from + k) % sim.count];

		if (f->state != WAITING || f->wants != what)
			continue;
		f->state = READY;
		if (!all)
			return;
	}
}

void sim_wait(const void *what)
{
	wait_for(what, false);
}

void sim_wake(const void *what)
{
	wake(what, true);
}

/* Now and then an actor becomes faster, slower, or falls asleep. */
static void change_weights(void)
{
	static const unsigned weights[] = { 0, 0, 1, 4, 16 };

	if (sim_random(24) == 0)
		sim.weights[sim_random(SIM_ACTORS)] = weights[sim_random(5)];
}

/* One of the n; those whose actor sleeps only when all do. */
static struct fiber *draw_of(struct fiber *const *from, unsigned n)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < n; i++)
		total += sim.weights[from[i]->actor];
	if (total == 0)
		return from[sim_random(n)];
	uint64_t at = sim_random(total);
	unsigned i = 0;

	while (at >= sim.weights[from[i]->actor])
		at -= sim.weights[from[i++]->actor];
	return from[i];
}

/* One of those that can go on; where nobody can, one whose time is up. */
static struct fiber *draw(void)
{
	struct fiber *ready[MAX_FIBERS], *timed[MAX_FIBERS];
	unsigned n = 0, t = 0;

	change_weights();
	for (unsigned i = 0; i < sim.count; i++) {
		struct fiber *f = &sim.fibers[i];

		if (f->state == READY)
			ready[n++] = f;
		else if (f->state == WAITING && f->timed)
			timed[t++] = f;
	}
	if (n > 0 && (t == 0 || sim_random(256) > 0))
		return draw_of(ready, n);
	if (t == 0)
		return NULL;
	struct fiber *f = timed[sim_random(t)];

	f->timed_out = true;
	f->state = READY;
	return f;
}

static unsigned left(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sim.count; i++)
		n += sim.fibers[i].state == READY ||
		     sim.fibers[i].state == WAITING;
	return n;
}

struct start {
	void (*fn)(void *);
	void *ctx;
};

static void *start_main(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	s.fn(s.ctx);
	return NULL;
}

void sim_start(void (*fn)(void *), void *ctx)
{
	struct start *s = malloc(sizeof(*s));

	assert(s != NULL);
	*s = (struct start){ fn, ctx };
	fiber_new(start_main, s)->detached = true;
}

bool sim_run(uint64_t seed, void (*fn)(void *), void *ctx)
{
	sim.random = seed;
	for (unsigned i = 0; i < SIM_ACTORS; i++)
		sim.weights[i] = 4;
	sim_start(fn, ctx);
	for (;;) {
		struct fiber *f = draw();

		if (f == NULL)
			break;
		sim.now = f;
		go_on(f);
		sim.now = NULL;
		if (f->state == ENDED) {
			wake(f, true);
			if (f->detached)
				f->state = FREE;
		}
	}
	bool fine = left() == 0;

	for (unsigned i = 0; i < sim.count; i++)
		sim.fibers[i].state = FREE;
	return fine;
}

/* ---- what the program calls ------------------------------------------ */

/*
 * The states of locks are kept in the first bytes of the real types, which
 * are zero when fresh: 0 is free, a mutex is held with 1, a rwlock by n
 * readers with n or by a writer with -1.
 */
static int *word(void *lock)
{
	return lock;
}

#define WRAP(name) __wrap_pthread_##name

int WRAP(create)(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *),
		 void *arg);
int WRAP(join)(pthread_t t, void **result);
int WRAP(detach)(pthread_t t);
int WRAP(mutex_init)(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int WRAP(mutex_destroy)(pthread_mutex_t *m);
int WRAP(mutex_lock)(pthread_mutex_t *m);
int WRAP(mutex_trylock)(pthread_mutex_t *m);
int WRAP(mutex_unlock)(pthread_mutex_t *m);
int WRAP(cond_init)(pthread_cond_t *c, const pthread_condattr_t *a);
int WRAP(cond_destroy)(pthread_cond_t *c);
int WRAP(cond_wait)(pthread_cond_t *c, pthread_mutex_t *m);
int WRAP(cond_timedwait)(pthread_cond_t *c, pthread_mutex_t *m,
			 const struct timespec *t);
int WRAP(cond_signal)(pthread_cond_t *c);
int WRAP(cond_broadcast)(pthread_cond_t *c);
int WRAP(rwlock_init)(pthread_rwlock_t *l, const pthread_rwlockattr_t *a);
int WRAP(rwlock_destroy)(pthread_rwlock_t *l);
int WRAP(rwlock_rdlock)(pthread_rwlock_t *l);
int WRAP(rwlock_wrlock)(pthread_rwlock_t *l);
int WRAP(rwlock_unlock)(pthread_rwlock_t *l);
void __wrap_randombytes_buf(void *p, size_t n);

int WRAP(create)(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *),
		 void *arg)
{
	(void)a;
	*t = (pthread_t)fiber_new(fn, arg);
	return 0;
}

int WRAP(join)(pthread_t t, void **result)
{
	struct fiber *f = (struct fiber *)t;

	assert(result == NULL);
	(void)result;
	while (f->state != ENDED)
		wait_for(f, false);
	f->state = FREE;
	return 0;
}

int WRAP(detach)(pthread_t t)
{
	struct fiber *f = (struct fiber *)t;

	f->detached = true;
	if (f->state == ENDED)
		f->state = FREE;
	return 0;
}

int WRAP(mutex_init)(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	(void)a;
	*word(m) = 0;
	return 0;
}

int WRAP(mutex_destroy)(pthread_mutex_t *m)
{
	assert(*word(m) == 0);
	return 0;
}

int WRAP(mutex_lock)(pthread_mutex_t *m)
{
	while (*word(m) != 0)
		wait_for(m, false);
	*word(m) = 1;
	return 0;
}

int WRAP(mutex_trylock)(pthread_mutex_t *m)
{
	if (*word(m) != 0)
		return EBUSY;
	*word(m) = 1;
	return 0;
}

int WRAP(mutex_unlock)(pthread_mutex_t *m)
{
	assert(*word(m) == 1);
	*word(m) = 0;
	wake(m, true);
	return 0;
}

int WRAP(cond_init)(pthread_cond_t *c, const pthread_condattr_t *a)
{
	(void)c;
	(void)a;
	return 0;
}

int WRAP(cond_destroy)(pthread_cond_t *c)
{
	(void)c;
	return 0;
}

int WRAP(cond_timedwait)(pthread_cond_t *c, pthread_mutex_t *m,
			 const struct timespec *t)
{
	struct fiber *f = sim.now;

	WRAP(mutex_unlock)(m);
	wait_for(c, t != NULL);
	bool late = f->timed_out;

	WRAP(mutex_lock)(m);
	return late ? ETIMEDOUT : 0;
}

int WRAP(cond_wait)(pthread_cond_t *c, pthread_mutex_t *m)
{
	return WRAP(cond_timedwait)(c, m, NULL);
}

int WRAP(cond_signal)(pthread_cond_t *c)
{
	wake(c, false);
	return 0;
}

int WRAP(cond_broadcast)(pthread_cond_t *c)
{
	wake(c, true);
	return 0;
}

int WRAP(rwlock_init)(pthread_rwlock_t *l, const pthread_rwlockattr_t *a)
{
	(void)a;
	*word(l) = 0;
	return 0;
}

int WRAP(rwlock_destroy)(pthread_rwlock_t *l)
{
	assert(*word(l) == 0);
	return 0;
}

int WRAP(rwlock_rdlock)(pthread_rwlock_t *l)
{
	while (*word(l) < 0)
		wait_for(l, false);
	++*word(l);
	return 0;
}

int WRAP(rwlock_wrlock)(pthread_rwlock_t *l)
{
	while (*word(l) != 0)
		wait_for(l, false);
	*word(l) = -1;
	return 0;
}

int WRAP(rwlock_unlock)(pthread_rwlock_t *l)
{
	*word(l) += *word(l) < 0 ? 1 : -1;
	if (*word(l) == 0)
		wake(l, true);
	return 0;
}

/* Ids, salts and keys follow from the seed, too. */
void __wrap_randombytes_buf(void *p, size_t n)
{
	uint8_t *to = p;

	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)next_random();
}
