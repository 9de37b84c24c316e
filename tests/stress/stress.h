/* SPDX-License-Identifier: MIT
 *
 * What stress tests have in common.
 */
#ifndef STRESS_H
#define STRESS_H

#include "harness/test.h"

#include <pthread.h>

/* The unit tests that include a stress test take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif

/* How often, for what takes n rounds by itself. */
static inline int share(int n)
{
    return 1 + n / STRESS_SHARE / test_scale();
}

/* True once in so many times. */
static inline bool by_chance(uint64_t times)
{
    return test_random_below(times) == 0;
}

/* For goroutines and threads with random numbers of their own; not 0 to begin with. */
static inline uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

struct copied_call {
    void (*fn)(void *arg);
    _Alignas(max_align_t) unsigned char arg[];
};

static inline void *run_copied_call(void *arg)
{
    struct copied_call *call = arg;
    call->fn(call->arg);
    free(call);
    return NULL;
}

/* Starts fn with a copy of its argument: weft_go_copy, or the same in a thread, detached. */
static inline void start_with_copy(bool in_thread, void (*fn)(void *arg), const void *arg,
                                   size_t size)
{
    if (!in_thread) {
        CHECK_EQ(weft_go_copy(fn, arg, size), 0);
        return;
    }
    pthread_t thread;
    struct copied_call *call = malloc(sizeof *call + size);
    call->fn = fn;
    memcpy(call->arg, arg, size);
    CHECK_EQ(pthread_create(&thread, NULL, run_copied_call, call), 0);
    pthread_detach(thread);
}

#endif
