/* SPDX-License-Identifier: MIT
 *
 * Select: one of several channel operations, whichever can go on first.
 *
 * Protocol.
 *   1. Look at all channels without their locks. Of the cases that seem ready draw one, take its
 *      channel's lock, and do it. If others were faster, draw again.
 *   2. If none seemed ready: with WEFT_NOWAIT a single case was not ready at some instant of the
 *      look (chan.c); -EAGAIN.
 *   3. Take the locks of all channels, each once, in order of address, and look again. Only now
 *      nothing can move from one channel to another between two looks. If a case can be done: do
 *      it, and release all. If none can and the caller does not wait: -EAGAIN.
 *   4. Open a wait (park.h), and queue a sudog of its ticket for every case. Park, which releases
 *      the locks.
 *   5. Whoever takes one of the sudogs off its queue and wins the wait does that case, on its side,
 *      and marks the sudog with the result. Time may win as well.
 *   6. Awake: take every other sudog out of its queue under its channel's lock. Those that others
 *      took off after they had lost the wait are off already, but the lock shows that they have
 *      done with them.
 *
 * No value is lost or taken twice: a case is done either in 1 or 3 by the select itself, which then
 * is in no queue, or in 5 by the one who won the wait, of whom there is one. Losing sudogs are
 * looked at by nobody after 6.
 *
 * The choice is uniform among the cases that were seen ready. What seems ready may be a queue of
 * waiters whose wait is over; to try such a case clears the queue, so that 3 ends.
 *
 * Locks. Address order keeps two selects from waiting for each other; nobody else holds more than
 * one.
 *
 * The list of locks lies on the selecting goroutine's stack, and is read while they are released in
 * 4, when the goroutine may already be awake. It does not return before the last of them is free:
 * in 6 it takes all of them but, perhaps, the winner's, and the winner has held that one after 4
 * released it. If that was not the last, 6 takes the last. The list is not read after the last is
 * released. Without any channel there is no lock to protect the list, so that such a select just
 * waits.
 *
 * The same channel may stand in several cases, in both directions; a select never meets itself,
 * because in 1 and 3 it is in no queue.
 *
 * Rejected: locking all channels at once for the first look, as Go does (a ready case, which is
 * usual, costs one lock here). Looks without locks for WEFT_NOWAIT with several cases (a value that
 * moves from a channel not yet seen to one already seen would be missed, though one was ready at
 * every instant). A shuffled order of cases, as in Go [30 instructions more with two cases, 35 ns
 * against 25], and a random start in a fixed order, which favours a ready case behind others that
 * are not.
 */
#include <stdlib.h>

#include <weft/time.h>

#include "core/p.h"
#include "sync/chan.h"

/* So many cases need no allocation. */
enum { FEW = 16 };

/* sudog.result while the wait is on; results are not positive. */
enum { PENDING = 1 };

/* A select that has to wait. */
struct select {
    struct wi_g *gp;
    weft_case *cases;
    uint32_t count;

    weft_chan **chans;        /* the channels, each once, by address */
    uint32_t chan_count;      /* of chans */
    struct wi_sudog *waiters; /* of each case */
};

/* xorshift64* of the P; foreign threads share a counter that is mixed as in splitmix64. */
static uint32_t random_below(struct wi_g *gp, uint32_t bound)
{
    static uint64_t counter; /* atomic */
    uint64_t r;
    if (wi_likely(!gp->foreign)) {
        r = wi_p_random(gp->m->p);
    } else {
        r = wi_fetch_add_relaxed(&counter, UINT64_C(0x9E3779B97F4A7C15));
        r = (r ^ (r >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        r = (r ^ (r >> 27)) * UINT64_C(0x94D049BB133111EB);
    }
    return (uint32_t)(((r >> 32) * bound) >> 32);
}

/* ---- Steps 1 and 2: what can be done at once ---- */

static inline bool seems_ready(const weft_case *c)
{
    if (!c->chan)
        return false;
    return c->send ? !wi_chan_send_would_wait(c->chan) : !wi_chan_recv_would_wait(c->chan);
}

/* The place-th of the cases that seem ready, from 0; the last if there are not so many by now. */
static int find_ready(const weft_case *cases, uint32_t count, uint32_t place)
{
    int found = -EAGAIN;
    for (uint32_t i = 0; i < count; i++) {
        if (!seems_ready(&cases[i]))
            continue;
        found = (int)i;
        if (place-- == 0)
            break;
    }
    return found;
}

/* One of the cases that seem ready, or -EAGAIN. */
static inline int draw(struct wi_g *gp, const weft_case *cases, uint32_t count)
{
    int last = -EAGAIN;
    uint32_t ready = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (seems_ready(&cases[i])) {
            last = (int)i;
            ready++;
        }
    }
    if (ready <= 1)
        return last;
    return find_ready(cases, count, random_below(gp, ready));
}

/* For ThreadSanitizer. The channel's lock is held, or the case was done: a sender then has no claim
 * to the channel any more. */
static inline void sends(const weft_case *c)
{
    wi_sanitize_read(c->send, c->chan->elem_size);
}

static inline void has_received(const weft_case *c)
{
    if (c->recv && c->result == 0)
        wi_sanitize_write(c->recv, c->chan->elem_size);
}

/* The channel's lock is held. */
static inline int try_case(weft_case *c, struct wi_g **wake)
{
    sends(c);
    int result = c->send ? wi_chan_try_send(c->chan, c->send, wake)
                         : wi_chan_try_recv(c->chan, c->recv, wake);
    if (result != -EAGAIN) {
        c->result = result;
        has_received(c);
    }
    return result;
}

/* Step 1: the index of the case that was done, or -EAGAIN. */
static inline int look(struct wi_g *gp, weft_case *cases, uint32_t count)
{
    int chosen;
    while ((chosen = draw(gp, cases, count)) >= 0) {
        weft_case *c = &cases[chosen];
        struct wi_g *wake;
        wi_lock(&c->chan->lock);
        int result = try_case(c, &wake);
        wi_unlock(&c->chan->lock);
        if (wi_likely(result != -EAGAIN)) {
            if (wake)
                wi_ready(wake);
            break;
        }
    }
    return chosen;
}

/* ---- Step 3: all at one instant ---- */

/* Shell's sort with Knuth's gaps: an insertion sort of few, and no worse than n^1.5 for many. */
static void sort_chans(weft_chan **chans, uint32_t count)
{
    uint32_t gap = 1;
    while (gap < count / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) {
        for (uint32_t i = gap; i < count; i++) {
            weft_chan *chan = chans[i];
            uint32_t j = i;
            for (; j >= gap && (uintptr_t)chans[j - gap] > (uintptr_t)chan; j -= gap)
                chans[j] = chans[j - gap];
            chans[j] = chan;
        }
    }
}

/* Makes chans. */
static void collect_chans(struct select *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->cases[i].chan)
            s->chans[count++] = s->cases[i].chan;
    sort_chans(s->chans, count);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || s->chans[i] != s->chans[i - 1])
            s->chans[distinct++] = s->chans[i];
    s->chan_count = distinct;
}

static void lock_all(const struct select *s)
{
    for (uint32_t i = 0; i < s->chan_count; i++)
        wi_lock(&s->chans[i]->lock);
}

/* Also called by wi_park_many, when the select may be gone after the last unlock. */
static void unlock_all(void *arg)
{
    const struct select *s = arg;
    weft_chan **chan = s->chans;
    weft_chan **end = chan + s->chan_count;
    while (chan < end)
        wi_unlock(&(*chan++)->lock);
}

/* All locks are held. */
static int look_locked(struct select *s, struct wi_g **wake)
{
    int chosen;
    while ((chosen = draw(s->gp, s->cases, s->count)) >= 0)
        if (try_case(&s->cases[chosen], wake) != -EAGAIN)
            break;
    return chosen;
}

/* ---- Steps 4 to 6: waiting ---- */

/* The side of its channel on which a case waits. */
static inline weft_waitq *queue_of(const weft_case *c)
{
    return c->send ? &c->chan->senders : &c->chan->receivers;
}

static void queue_all(struct select *s, uint64_t ticket)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const weft_case *c = &s->cases[i];
        struct wi_sudog *sg = &s->waiters[i];
        sg->result = PENDING;
        if (!c->chan)
            continue;
        sg->g = s->gp;
        sg->ticket = ticket;
        sends(c);
        sg->elem = c->send ? (void *)(uintptr_t)c->send : c->recv;
        wi_waitq_push(queue_of(c), sg);
    }
}

/* Step 6. The index of the winner, or -ETIMEDOUT. */
static int leave_all(struct select *s)
{
    int winner = -ETIMEDOUT;
    for (uint32_t i = 0; i < s->count; i++) {
        weft_case *c = &s->cases[i];
        struct wi_sudog *sg = &s->waiters[i];
        if (!c->chan)
            continue;
        if (sg->result != PENDING) {
            c->result = sg->result;
            has_received(c);
            winner = (int)i;
            continue;
        }
        wi_lock(&c->chan->lock);
        wi_waitq_remove(queue_of(c), sg);
        wi_unlock(&c->chan->lock);
    }
    return winner;
}

static int wait_without_channels(struct wi_g *gp, int64_t deadline)
{
    if (deadline == WEFT_NOWAIT)
        return -EAGAIN;
    wi_park_until(gp, NULL, WI_WAIT_SELECT, wi_wait_open(gp), deadline);
    return -ETIMEDOUT;
}

/* Steps 3 to 6. */
static int select_locked(struct select *s, int64_t deadline)
{
    collect_chans(s);
    if (s->chan_count == 0)
        return wait_without_channels(s->gp, deadline);
    struct wi_g *wake = NULL;
    lock_all(s);
    int chosen = look_locked(s, &wake);
    if (chosen >= 0 || deadline == WEFT_NOWAIT) {
        unlock_all(s);
        if (wake)
            wi_ready(wake);
        return chosen;
    }
    wi_sanitize_offer(&s->gp->sanitize);
    uint64_t ticket = wi_wait_open(s->gp);
    queue_all(s, ticket);
    wi_park_many(s->gp, unlock_all, s, WI_WAIT_SELECT, ticket, deadline);
    return leave_all(s);
}

static WI_NOINLINE int select_few(struct wi_g *gp, weft_case *cases, uint32_t count,
                                  int64_t deadline)
{
    weft_chan *chans[FEW];
    struct wi_sudog waiters[FEW];
    struct select s = {.gp = gp, .cases = cases, .count = count};
    s.chans = chans;
    s.waiters = waiters;
    return select_locked(&s, deadline);
}

/* Allocates outside the runtime, since malloc may wait for its own lock. */
static WI_NOINLINE int select_many(struct wi_g *gp, weft_case *cases, uint32_t count,
                                   int64_t deadline)
{
    struct select s = {.gp = gp, .cases = cases, .count = count};
    wi_leave(gp);
    s.waiters = malloc(count * (sizeof *s.waiters + sizeof(weft_chan *)));
    wi_enter();
    if (!s.waiters)
        return -ENOMEM;
    s.chans = (weft_chan **)(void *)(s.waiters + count);
    int chosen = select_locked(&s, deadline);
    wi_leave(gp);
    free(s.waiters);
    wi_enter();
    return chosen;
}

/* ---- The call ---- */

static inline bool valid(const weft_case *cases, int n)
{
    if (n < 0 || n > WEFT_SELECT_MAX || (n > 0 && !cases))
        return false;
    for (int i = 0; i < n; i++)
        if (cases[i].send && cases[i].recv)
            return false;
    return true;
}

int weft_select(weft_case *cases, int n, int64_t deadline)
{
    if (wi_unlikely(!valid(cases, n)))
        return -EINVAL;
    uint32_t count = (uint32_t)n;
    struct wi_g *gp = wi_enter();
    int chosen = look(gp, cases, count);
    if (chosen < 0 && (deadline != WEFT_NOWAIT || count > 1))
        chosen = count <= FEW ? select_few(gp, cases, count, deadline)
                              : select_many(gp, cases, count, deadline);
    wi_leave(gp);
    return chosen;
}
