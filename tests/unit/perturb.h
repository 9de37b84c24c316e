/* SPDX-License-Identifier: MIT
 *
 * Widens the windows between the steps of a protocol. A test includes this, then a source of
 * src/sync/ or src/core/, which so takes the place of the library's, with random delays before and
 * after everything that other threads can see. What goes wrong once in a billion then goes wrong
 * within a second.
 */
#ifndef PERTURB_H
#define PERTURB_H

#include <sched.h>
#include <stdint.h>
#include <time.h>

#include "base/atomic.h"
#include "core/lock.h"
#include "core/park.h"

static uint64_t perturb_steps; /* atomic */

/* Not inlined: what it reads of the thread is read anew each time. */
static __attribute__((noinline)) void perturb(void)
{
    uint64_t r = wi_fetch_add_relaxed(&perturb_steps, 1) * UINT64_C(0x9E3779B97F4A7C15);
    r = (r ^ (r >> 29)) * UINT64_C(0xBF58476D1CE4E5B9) >> 32;
    if (r % 512 == 0) {
        struct timespec pause = {.tv_nsec = 20000};
        nanosleep(&pause, NULL);
    } else if (r % 64 == 0) {
        sched_yield();
    } else if (r % 8 == 0) {
        for (uint64_t i = 0; i < r / 512 % 128; i++)
            wi_cpu_relax();
    }
}

static inline void perturbed_lock(struct wi_lock *lock)
{
    perturb();
    wi_lock(lock);
    perturb();
}

static inline void perturbed_unlock(struct wi_lock *lock)
{
    perturb();
    wi_unlock(lock);
    perturb();
}

static inline void perturbed_ready(struct wi_g *gp)
{
    perturb();
    wi_ready(gp);
    perturb();
}

static inline void perturbed_ready_all(struct wi_glist *list)
{
    perturb();
    wi_ready_all(list);
    perturb();
}

static inline void perturbed_park(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why)
{
    perturb();
    wi_park(gp, lock, why);
    perturb();
}

static inline bool perturbed_park_until(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why,
                                        uint64_t ticket, int64_t deadline)
{
    perturb();
    bool result = wi_park_until(gp, lock, why, ticket, deadline);
    perturb();
    return result;
}

static inline bool perturbed_park_many(struct wi_g *gp, void (*unlock)(void *arg), void *arg,
                                       enum wi_wait why, uint64_t ticket, int64_t deadline)
{
    perturb();
    bool result = wi_park_many(gp, unlock, arg, why, ticket, deadline);
    perturb();
    return result;
}

#define wi_lock(lock)                            perturbed_lock(lock)
#define wi_unlock(lock)                          perturbed_unlock(lock)
#define wi_ready(gp)                             perturbed_ready(gp)
#define wi_ready_all(list)                       perturbed_ready_all(list)
#define wi_park(gp, lock, why)                   perturbed_park(gp, lock, why)
#define wi_park_until(gp, lock, why, t, d)       perturbed_park_until(gp, lock, why, t, d)
#define wi_park_many(gp, unlock, arg, why, t, d) perturbed_park_many(gp, unlock, arg, why, t, d)

/* A statement expression, so that the delay after it does not change its value. */
#define PERTURBED(operation)                                                                       \
    __extension__({                                                                                \
        perturb();                                                                                 \
        __typeof__(operation) result_ = (operation);                                               \
        perturb();                                                                                 \
        result_;                                                                                   \
    })

#undef wi_store_release
#define wi_store_release(p, v)                                                                     \
    do {                                                                                           \
        perturb();                                                                                 \
        __atomic_store_n((p), (v), __ATOMIC_RELEASE);                                              \
        perturb();                                                                                 \
    } while (0)

#define wi_wait_claim(gp, ticket) PERTURBED(wi_wait_claim(gp, ticket))

#undef wi_load_acquire
#undef wi_cas_relaxed
#undef wi_cas_acquire
#undef wi_cas_release
#undef wi_cas_acq_rel
#undef wi_fetch_add_acq_rel
#undef wi_fetch_sub_acq_rel
#undef wi_fetch_and_acq_rel
#define wi_load_acquire(p) PERTURBED(__atomic_load_n((p), __ATOMIC_ACQUIRE))
#define PERTURBED_CAS(p, expected, v, order, failure)                                              \
    PERTURBED(__atomic_compare_exchange_n((p), (expected), (v), false, order, failure))
#define wi_cas_relaxed(p, expected, v)                                                             \
    PERTURBED_CAS(p, expected, v, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define wi_cas_acquire(p, expected, v)                                                             \
    PERTURBED_CAS(p, expected, v, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define wi_cas_release(p, expected, v)                                                             \
    PERTURBED_CAS(p, expected, v, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define wi_cas_acq_rel(p, expected, v)                                                             \
    PERTURBED_CAS(p, expected, v, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define wi_fetch_add_acq_rel(p, v) PERTURBED(__atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
#define wi_fetch_sub_acq_rel(p, v) PERTURBED(__atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))
#define wi_fetch_and_acq_rel(p, v) PERTURBED(__atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL))

/* For the stress tests: every step takes longer, so a tenth of the rounds will do. */
#define STRESS_SHARE 10

#endif
