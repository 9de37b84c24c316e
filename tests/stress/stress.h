/* SPDX-License-Identifier: MIT
 *
 * What stress tests have in common.
 */
#ifndef STRESS_H
#define STRESS_H

#include "harness/test.h"

/* The unit tests that include a stress test take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif

/* How often, for what takes n rounds by itself. */
static inline int share(int n)
{
    return 1 + n / STRESS_SHARE / test_scale();
}

/* For goroutines and threads with random numbers of their own; not 0 to begin with. */
static inline uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

#endif
