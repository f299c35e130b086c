/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_SIM_THREADS_H
#define VMKEEP_TEST_SIM_THREADS_H

/*
 * Threads that are none: all pthread calls of the program under test (the
 * linker's --wrap leads them here) run as fibers of one thread, and who goes
 * on next is drawn from a seed.  The same seed gives the same run.
 *
 * Actors are drawn with weights that change now and then, and that may be
 * nothing: so that one sleeps through whole lives of others.
 */

#include <stdbool.h>
#include <stdint.h>

/* A number below n, from the seed. */
uint64_t sim_random(uint64_t n);

/* Start a world with this seed; run main() in a fiber, and all that it
 * starts, until every fiber has ended.  False when all that are left wait for
 * one another: a deadlock. */
bool sim_run(uint64_t seed, void (*main)(void *), void *ctx);

/* Start a fiber. */
void sim_start(void (*fn)(void *), void *ctx);

/* Let others go on; come back whenever it is drawn. */
void sim_yield(void);

/* Wait until somebody calls sim_wake() with the same pointer. */
void sim_wait(const void *what);
void sim_wake(const void *what);

/* The number of the actor that this fiber works for; fibers inherit it. */
unsigned sim_actor(void);
void sim_set_actor(unsigned actor);
#define SIM_ACTORS 16

#endif
