/* SPDX-License-Identifier: MIT
 *
 * The poll descriptor: what the runtime knows of one file descriptor number. Private to the
 * netpoller:
 *
 *     polldesc.c       the table; begin, end, close
 *     pollturn.c       whose turn it is
 *     pollwait.c       waiting for readiness
 *     pollqueue.c      who waits, and waking them
 *     polldeadline.c   deadlines
 *     pollwhen.c       goroutines that start when a descriptor is ready
 *     pollspare.c      one in reserve, to refuse connections with
 *     netpoll.c        the poller, its events, and the protocol of waiting and waking
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
#include "os/os.h"

enum { WI_DIRECTIONS = 2 };

/* state: flags, and two counts of operations that have begun and not ended. Those of goroutines are
 * counted apart, because the end of a run discards goroutines in the middle of one; so are their
 * turns. WI_POLL_CLOSED stands alone. */
#define WI_POLL_OPEN     (UINT64_C(1) << 0) /* in use by weft */
#define WI_POLL_CLOSING  (UINT64_C(1) << 1) /* no operation begins; close waits for the others */
#define WI_POLL_CLOSED   (UINT64_C(1) << 2) /* close(2) is being called */
#define WI_POLL_NO_TURNS (UINT64_C(1) << 3) /* a file: operations do not take turns */
/* For directions, enum wi_direction. */
#define WI_POLL_TURN(directions)         ((uint64_t)(directions) << 4) /* a goroutine has it */
#define WI_POLL_FOREIGN_TURN(directions) ((uint64_t)(directions) << 6) /* a foreign thread has it */
#define WI_POLL_QUEUE(directions)        ((uint64_t)(directions) << 8) /* others wait for it */
#define WI_POLL_OP                       (UINT64_C(1) << 10)
#define WI_POLL_OPS                      (((UINT64_C(1) << 27) - 1) << 10)
#define WI_POLL_FOREIGN_OP               (UINT64_C(1) << 37)
#define WI_POLL_FOREIGN_OPS              (((UINT64_C(1) << 27) - 1) << 37)
#define WI_POLL_ALL_OPS                  (WI_POLL_OPS | WI_POLL_FOREIGN_OPS)

/* One who waits for a descriptor: for readiness, in the queue of each direction it is interested
 * in; or for its turn in one direction. It lies on the waiter's stack, or in a wi_poll_when.
 * Guarded by the descriptor's lock while queued. */
struct wi_poll_waiter {
    struct wi_g *gp;     /* NULL: part of a wi_poll_when */
    uint64_t ticket;     /* the wait to claim, or 0 (park.h) */
    unsigned directions; /* constant */
    int result;          /* written by the one who wakes it */
    bool queued;
    struct wi_poll_waiter *next[WI_DIRECTIONS];
    struct wi_poll_waiter *prev[WI_DIRECTIONS];
};

/* The first's prev is the last: one pointer less in every descriptor. */
struct wi_poll_queue {
    struct wi_poll_waiter *first;
};

struct wi_poll_desc {
    /* First line: all that an operation touches which need not wait. */
    _Alignas(WI_CACHE_LINE) struct wi_lock lock;
    int fd;              /* constant while open */
    uint64_t state;      /* atomic; begins and ends being open, and closing, under lock */
    uint32_t events;     /* atomic, written under lock: events that were seen */
    uint32_t generation; /* guarded by lock: registrations that are over */
    uint32_t drained_at; /* atomic: events before a read that emptied it, or one less */
    int64_t deadline[WI_DIRECTIONS]; /* atomic, written under lock */
    uint8_t kind;                    /* enum wi_fd_kind; constant while open */
    bool special;                    /* atomic: an event said more than that there are data */
    bool pollable;                   /* atomic, written under lock: epoll takes it */
    bool registered;                 /* guarded by lock: epoll has it now */
    bool armed[WI_DIRECTIONS]; /* guarded by lock: the timer is set, or its call is on its way */
    struct wi_g *closer;       /* guarded by lock: who waits for the others to leave, or NULL */

    /* Guarded by lock. */
    struct wi_poll_queue waiters[WI_DIRECTIONS]; /* for readiness */
    struct wi_poll_queue turns[WI_DIRECTIONS];   /* for the turn; not empty: WI_POLL_QUEUE is set */
    struct wi_timer timer[WI_DIRECTIONS];
};

_Static_assert(sizeof(struct wi_poll_desc) <= 192, "there is one for every descriptor");

/* Goroutines to start, in the order in which they became ready. */
struct wi_poll_whens {
    struct wi_poll_when *first; /* of starved ones: atomic to read */
    struct wi_poll_when *last;
};

/* Who was taken from queues, on the way to wi_poll_unlock. */
struct wi_poll_wake {
    struct wi_glist list;
    struct wi_poll_whens whens; /* goroutines to start */
    uint32_t removed; /* all that left queues; more than these if others had won their waits */
};

/* ---- polldesc.c ---- */

/* NULL: weft never used that number. */
struct wi_poll_desc *wi_poll_desc_find(int fd);

/* Calls visit for every descriptor that weft ever used. */
void wi_poll_desc_each(void (*visit)(struct wi_poll_desc *desc));

/* The end of a run: ends the operations and the turns of its goroutines, which no longer exist. The
 * lock is held and nobody is in a queue. True: close(2) is the caller's to call, without the lock,
 * by wi_poll_close_file. */
bool wi_poll_desc_forget_run(struct wi_poll_desc *desc, struct wi_poll_wake *wake);

/* What close(2) says; gp may be NULL for a thread that may block. Without the lock. */
int wi_poll_close_file(struct wi_g *gp, struct wi_poll_desc *desc);

/* ---- pollturn.c ---- */

/* For an operation that has begun: waits for its turn. 0, -ECANCELED, -ETIMEDOUT, -EAGAIN. */
int wi_poll_await_turn(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction);

/* Gives the turn to the first who waits for it, if nobody has it. */
void wi_poll_pass_turn(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction);

/* The bit in state that says that gp has the turn. */
static inline uint64_t wi_poll_turn_of(const struct wi_g *gp, unsigned direction)
{
    return gp->foreign ? WI_POLL_FOREIGN_TURN(direction) : WI_POLL_TURN(direction);
}

/* The bits any of which keeps a newcomer from taking the turn. */
static inline uint64_t wi_poll_turn_taken(unsigned direction)
{
    return WI_POLL_TURN(direction) | WI_POLL_FOREIGN_TURN(direction) | WI_POLL_QUEUE(direction);
}

/* ---- pollwhen.c ---- */

struct wi_poll_when *wi_poll_when_of(struct wi_poll_waiter *waiter);

/* Whether what it waits for is there. The lock is held, so the number is the descriptor's. */
bool wi_poll_when_is_ready(const struct wi_poll_when *when, int fd);

/* A record has left the queues: it waits for nothing any more, and is to start with this result.
 * The lock is held. */
void wi_poll_when_ended(struct wi_poll_when *when, int result, struct wi_poll_whens *whens);

/* Makes the goroutines and appends them to list, to be readied under the descriptor's lock or on an
 * M. Without a run: frees the records. */
void wi_poll_when_start(struct wi_poll_whens *whens, struct wi_glist *list);

/* Starts those for which there was no goroutine before. Without a run: frees the records. */
void wi_poll_when_retry(void);

/* ---- netpoll.c; under the lock ---- */

/* Makes epoll watch the descriptor. A run is on. */
int wi_poll_register(struct wi_poll_desc *desc);

/* Takes it out of epoll; events that were collected before mean nothing any more. */
void wi_poll_unregister(struct wi_poll_desc *desc);

/* ---- pollqueue.c; under the lock, but for the last three ---- */

/* queues: the waiters or the turns of a descriptor. */
void wi_poll_enqueue(struct wi_poll_queue *queues, struct wi_poll_waiter *waiter);
void wi_poll_dequeue(struct wi_poll_queue *queues, struct wi_poll_waiter *waiter);

/* Puts one who waits for readiness into the queues. A goroutine's own M polls when it runs dry; a
 * foreign thread has none, and all Ms may be asleep because nobody waited before: one is woken to
 * look, and finds that somebody must wait in wi_netpoll. */
void wi_poll_publish(struct wi_poll_desc *desc, struct wi_poll_waiter *waiter, bool foreign);

/* An event: wakes those whom it concerns. */
void wi_poll_notify(struct wi_poll_desc *desc, const struct wi_os_event *event,
                    struct wi_poll_wake *wake);

/* Wakes calls that wait for readiness in these directions, to look again. */
void wi_poll_try_again(struct wi_poll_desc *desc, unsigned directions, struct wi_poll_wake *wake);

/* Ends the waits for readiness and for the turn in one direction with that result, but not those of
 * goroutines yet to start. */
void wi_poll_end_waits(struct wi_poll_desc *desc, unsigned direction, int result,
                       struct wi_poll_wake *wake);

/* Ends every wait with -ECANCELED. */
void wi_poll_cancel(struct wi_poll_desc *desc, struct wi_poll_wake *wake);

/* Releases the lock and readies what was woken. foreign: the caller is no goroutine and not on an
 * M. */
void wi_poll_unlock(struct wi_poll_desc *desc, struct wi_poll_wake *wake, bool foreign);

/* Counts out who was woken and makes the goroutines that are to start; wake->list can be readied. */
void wi_poll_take_woken(struct wi_poll_wake *wake);

/* Counts out records that have left the queues in another way. */
void wi_poll_count_out(uint32_t removed);

static inline bool wi_poll_is_closing(struct wi_poll_desc *desc)
{
    return wi_load_relaxed(&desc->state) & WI_POLL_CLOSING;
}

/* ---- pollspare.c ---- */

/* Makes one if there is none and a run is on. */
void wi_poll_keep_spare(void);

void wi_poll_drop_spare(void);

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
