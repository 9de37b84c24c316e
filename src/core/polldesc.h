/* SPDX-License-Identifier: MIT
 *
 * The poll descriptor: what the runtime knows of one file descriptor number. Private to the
 * netpoller: polldesc.c (the table, begin, end, close), netpoll.c (waiting and waking),
 * polldeadline.c.
 *
 * A descriptor is never freed and belongs to its number for good; while the number is not in use by
 * weft its state is 0.
 */
#ifndef WI_CORE_POLLDESC_H
#define WI_CORE_POLLDESC_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/time.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/g.h"
#include "core/lock.h"
#include "core/netpoll.h"
#include "core/timer.h"

enum { WI_DIRECTIONS = 2 };

/* state: two bits, and two counts of operations that have begun and not ended. Those of goroutines
 * are counted apart, because the end of a run discards goroutines in the middle of one. */
#define WI_POLL_OPEN        (UINT64_C(1) << 0) /* in use by weft */
#define WI_POLL_CLOSING     (UINT64_C(1) << 1) /* the last operation to end closes it */
#define WI_POLL_OP          (UINT64_C(1) << 2)
#define WI_POLL_OPS         (((UINT64_C(1) << 31) - 1) << 2)
#define WI_POLL_FOREIGN_OP  (UINT64_C(1) << 33)
#define WI_POLL_FOREIGN_OPS (((UINT64_C(1) << 31) - 1) << 33)
#define WI_POLL_ALL_OPS     (WI_POLL_OPS | WI_POLL_FOREIGN_OPS)

/* A waiter, on its own stack, in the queue of each direction it waits for. Guarded by the
 * descriptor's lock while queued. */
struct wi_poll_waiter {
    struct wi_g *gp;
    uint64_t ticket;     /* the wait to claim, or 0 (park.h) */
    unsigned directions; /* constant */
    int result;          /* written by the one who wakes it */
    bool queued;
    struct wi_poll_waiter *next[WI_DIRECTIONS];
    struct wi_poll_waiter *prev[WI_DIRECTIONS];
};

struct wi_poll_queue {
    struct wi_poll_waiter *first;
    struct wi_poll_waiter *last;
};

/* Who waits in wi_poll_close, on its own stack. */
struct wi_poll_closer {
    struct wi_g *gp;
    int result; /* of close(2) */
};

struct wi_poll_desc {
    /* First line: all that an operation touches which need not wait. */
    _Alignas(WI_CACHE_LINE) struct wi_lock lock;
    int fd;              /* constant while open */
    uint64_t state;      /* atomic; begins and ends being open, and closing, under lock */
    uint32_t events;     /* atomic, written under lock: events that were seen */
    uint32_t generation; /* guarded by lock: registrations that are over */
    int64_t deadline[WI_DIRECTIONS]; /* atomic, written under lock */
    bool not_socket;                 /* atomic: send(2) does not work */
    bool pollable;                   /* atomic, written under lock: epoll takes it */
    bool registered;                 /* guarded by lock: epoll has it now */
    bool armed[WI_DIRECTIONS]; /* guarded by lock: the timer is set, or its call is on its way */
    struct wi_poll_closer *closer; /* guarded by lock; NULL if nobody waits for the end */

    /* Guarded by lock. */
    struct wi_poll_queue waiters[WI_DIRECTIONS];
    struct wi_timer timer[WI_DIRECTIONS];
};

_Static_assert(sizeof(struct wi_poll_desc) <= 256, "there is one for every descriptor");

/* Waiters that were taken from queues, and closers, on their way to wi_poll_unlock. */
struct wi_poll_wake {
    struct wi_glist list;
    uint32_t removed; /* all that left queues; more than list holds if others had won their waits */
};

/* ---- polldesc.c ---- */

/* NULL: weft never used that number. */
struct wi_poll_desc *wi_poll_desc_find(int fd);

/* Calls visit for every descriptor that weft ever used. */
void wi_poll_desc_each(void (*visit)(struct wi_poll_desc *desc));

/* The end of a run: ends the operations of its goroutines, which no longer exist. The lock is held
 * and no goroutine is in its queues. */
void wi_poll_desc_forget_run(struct wi_poll_desc *desc, struct wi_poll_wake *wake);

/* ---- netpoll.c ---- */

/* Ends the waits in any of the directions with that result. The lock is held. */
void wi_poll_wake(struct wi_poll_desc *desc, unsigned directions, int result,
                  struct wi_poll_wake *wake);

/* Releases the lock and readies what was woken. foreign: the caller is no goroutine and not on an
 * M. */
void wi_poll_unlock(struct wi_poll_desc *desc, struct wi_poll_wake *wake, bool foreign);

/* Takes it out of epoll; events that were collected before mean nothing any more. The lock is held.
 */
void wi_poll_unregister(struct wi_poll_desc *desc);

/* ---- polldeadline.c ---- */

/* Makes sure that the deadlines will end a wait that is about to begin. The lock is held, a run is
 * on, and none of the deadlines is WEFT_NOWAIT. */
void wi_poll_deadline_arm(struct wi_poll_desc *desc, unsigned directions);

/* The lock is held. */
void wi_poll_deadline_disarm(struct wi_poll_desc *desc, unsigned directions);

/* The earliest of the directions' deadlines; WEFT_NOWAIT is the least of all values and
 * WEFT_FOREVER the greatest. */
static inline int64_t wi_poll_deadline(struct wi_poll_desc *desc, unsigned directions)
{
    int64_t read = directions & WI_READ ? wi_load_relaxed(&desc->deadline[0]) : WEFT_FOREVER;
    int64_t write = directions & WI_WRITE ? wi_load_relaxed(&desc->deadline[1]) : WEFT_FOREVER;
    return read < write ? read : write;
}

/* For the bits of directions: whether it holds direction number i. */
static inline bool wi_poll_has(unsigned directions, int i)
{
    return directions >> i & 1;
}

#endif
