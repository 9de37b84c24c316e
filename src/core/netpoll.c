/* SPDX-License-Identifier: MIT
 *
 * The netpoller: waiting for a descriptor, and waking who waits. Lifetime is polldesc.c's matter,
 * deadlines are polldeadline.c's.
 *
 * A descriptor is given to epoll, edge-triggered and in both directions, when an operation on it
 * first has to wait, and stays there until it is closed. Most of what follows is about the edge: it
 * is reported once, and who misses it waits for ever.
 *
 * wait:
 *    1. before the call is tried: seen = events (acquire; pairs with 7).
 *    2. the call: EAGAIN.
 *    3. under the lock: closing, or a deadline of WEFT_NOWAIT: an error. events differs from seen:
 *       try again from 1.
 *    4. the first time, epoll_ctl ADD.
 *    5. a waiter record on the own stack goes into the queue, and the goroutine parks; the lock is
 *       released when it is off its stack.
 * event:
 *    6. epoll_wait returns it; under the lock, its generation is the descriptor's:
 *    7. events + 1 (release),
 *    8. all waiters of the directions it is about leave the queue and are readied.
 *
 * Nobody misses an edge: it happens after step 2 looked, or step 2 would not have said EAGAIN. If
 * epoll had the descriptor by then, 6 follows the edge; either 7 comes before 3, which sees the
 * difference, or 8 finds the record. If epoll had it not, step 4, now or by somebody else before
 * the record of 5 is queued, makes the kernel report what is ready at that moment, and 6 follows.
 *
 * A wake-up for nothing is harmless everywhere: a waiter tries its call again and waits again. So 8
 * wakes all, although one may take everything there is: the edge does not come again for the
 * others, and how much is there for how many cannot be known. So also an event that another M has
 * collected and not yet handled may find that its descriptor was closed, and the number reused: the
 * generation in its tag keeps it from waking the successor's waiters, and if it did they would wait
 * again.
 *
 * A claim in step 8 may be lost to the deadline of one wait (park.h); whoever takes a record out of
 * its queue counts it out of netpoll.waiters.
 *
 * Foreign threads wait like goroutines while a run is on. While none is, nobody calls wi_netpoll,
 * and they use poll(2), in slices, since only the descriptor's state tells that it is being closed,
 * has a new deadline, or that a run began. A wake-up descriptor for each such wait was rejected: it
 * costs three system calls a wait, and there may be none left.
 *
 * Rejected: one ready flag for each direction, which prepare clears and an event sets. With two
 * readers one clears the flag that was meant for the other, which has got EAGAIN and not yet taken
 * the lock.
 */
#include "core/netpoll.h"

#include <errno.h>
#include <poll.h>

#include "core/park.h"
#include "core/polldesc.h"
#include "core/sched.h"
#include "os/os.h"
#include "os/socket.h"

enum { BATCH = 128 };
#define SLICE (20 * WEFT_MILLISECOND)

static struct {
    struct wi_os_poller poller;               /* constant while active */
    bool active;                              /* atomic, ends under life: a run is on */
    struct wi_lock life;                      /* keeps poller open while it is woken */
    _Alignas(WI_CACHE_LINE) uint32_t waiters; /* atomic: records in queues */
} netpoll;

/* ---- Tags: bit 0 is 0, then 31 bits for the number, then the generation ---- */

_Static_assert(sizeof(void *) == 8, "a tag holds a number and a generation");

static void *tag_of(const struct wi_poll_desc *desc)
{
    return (void *)((uintptr_t)desc->generation << 32 | (uintptr_t)desc->fd << 1);
}

static int tag_fd(void *tag)
{
    return (int)((uint32_t)(uintptr_t)tag >> 1);
}

static uint32_t tag_generation(void *tag)
{
    return (uint32_t)((uintptr_t)tag >> 32);
}

/* ---- Queues ---- */

static void enqueue(struct wi_poll_desc *desc, struct wi_poll_waiter *waiter)
{
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (!wi_poll_has(waiter->directions, i))
            continue;
        struct wi_poll_queue *queue = &desc->waiters[i];
        waiter->prev[i] = queue->last;
        if (queue->last)
            queue->last->next[i] = waiter;
        else
            queue->first = waiter;
        queue->last = waiter;
    }
    waiter->queued = true;
    wi_fetch_add_seq_cst(&netpoll.waiters, 1);
}

/* From every queue it is in. The caller counts it out of netpoll.waiters. */
static void dequeue(struct wi_poll_desc *desc, struct wi_poll_waiter *waiter)
{
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (!wi_poll_has(waiter->directions, i))
            continue;
        struct wi_poll_queue *queue = &desc->waiters[i];
        if (waiter->prev[i])
            waiter->prev[i]->next[i] = waiter->next[i];
        else
            queue->first = waiter->next[i];
        if (waiter->next[i])
            waiter->next[i]->prev[i] = waiter->prev[i];
        else
            queue->last = waiter->prev[i];
    }
    waiter->queued = false;
}

void wi_poll_wake(struct wi_poll_desc *desc, unsigned directions, int result,
                  struct wi_poll_wake *wake)
{
    struct wi_poll_waiter *waiter;
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        while (wi_poll_has(directions, i) && (waiter = desc->waiters[i].first)) {
            dequeue(desc, waiter);
            wake->removed++;
            if (waiter->ticket != 0 && !wi_wait_claim(waiter->gp, waiter->ticket))
                continue;
            waiter->result = result;
            wi_glist_push(&wake->list, waiter->gp);
        }
    }
}

static void count_out(uint32_t waiters)
{
    if (waiters)
        wi_fetch_sub_seq_cst(&netpoll.waiters, waiters);
}

static void ready_woken(struct wi_poll_wake *wake)
{
    count_out(wake->removed);
    if (wake->list.head)
        wi_ready_all(&wake->list);
}

/* The end of a run waits for its Ms, but not for foreign threads. These hand goroutines over before
 * they release the lock, so that none is between a queue of ours and the scheduler's when
 * wi_netpoll_fini has had every lock. */
void wi_poll_unlock(struct wi_poll_desc *desc, struct wi_poll_wake *wake, bool foreign)
{
    if (foreign)
        ready_woken(wake);
    wi_unlock(&desc->lock);
    if (!foreign)
        ready_woken(wake);
}

uint32_t wi_netpoll_waiters(void)
{
    return wi_load_seq_cst(&netpoll.waiters);
}

/* ---- Waiting ---- */

/* Step 4. The lock is held and a run is on. */
static int register_desc(struct wi_poll_desc *desc)
{
    if (desc->registered)
        return 0;
    wi_sanitize_hide(); /* the poller's descriptor is nobody's */
    int err = wi_os_poller_add(&netpoll.poller, desc->fd, tag_of(desc));
    wi_sanitize_show();
    if (err)
        return err;
    desc->registered = true;
    wi_store_relaxed(&desc->pollable, true);
    return 0;
}

void wi_poll_unregister(struct wi_poll_desc *desc)
{
    if (desc->registered)
        wi_os_poller_remove(&netpoll.poller, desc->fd);
    desc->registered = false;
    desc->generation++;
}

int wi_poll_can_wait(struct wi_poll_desc *desc)
{
    if (wi_load_relaxed(&desc->pollable))
        return 0;
    wi_lock(&desc->lock);
    int err = wi_load_relaxed(&netpoll.active) ? register_desc(desc) : wi_os_fd_can_poll(desc->fd);
    if (err == 0)
        wi_store_relaxed(&desc->pollable, true);
    wi_unlock(&desc->lock);
    return err;
}

static bool is_closing(struct wi_poll_desc *desc)
{
    return wi_load_relaxed(&desc->state) & WI_POLL_CLOSING;
}

static bool has_passed(int64_t deadline)
{
    return deadline != WEFT_FOREVER && deadline != WEFT_NOWAIT && deadline <= wi_os_now();
}

int wi_poll_prepare(struct wi_poll_desc *desc, unsigned directions, uint32_t *seen)
{
    *seen = wi_load_acquire(&desc->events);
    if (wi_unlikely(is_closing(desc)))
        return -ECANCELED;
    int64_t deadline = wi_poll_deadline(desc, directions);
    if (wi_unlikely(deadline != WEFT_FOREVER) && has_passed(deadline))
        return -ETIMEDOUT;
    return 0;
}

/* Step 5's queue. A goroutine's own M polls when it runs dry; a foreign thread has none, and all Ms
 * may be asleep because nobody waited before: one is to look, and finds that somebody must wait in
 * wi_netpoll. */
static void publish(struct wi_poll_desc *desc, struct wi_poll_waiter *waiter)
{
    enqueue(desc, waiter);
    if (wi_unlikely(waiter->gp->foreign) && wi_load_seq_cst(&wi_sched.last_poll) != 0)
        wi_wake_p();
}

/* Queued and parked until woken or deadline, which is not the descriptor's. The lock is held. */
static int park(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, int64_t deadline)
{
    struct wi_poll_waiter waiter = {.gp = gp, .directions = directions};
    enum wi_wait why = directions & WI_READ ? WI_WAIT_READ : WI_WAIT_WRITE;
    if (deadline == WEFT_FOREVER) {
        publish(desc, &waiter);
        wi_park(gp, &desc->lock, why);
        return waiter.result;
    }
    waiter.ticket = wi_wait_open(gp);
    publish(desc, &waiter);
    if (wi_park_until(gp, &desc->lock, why, waiter.ticket, deadline))
        return waiter.result;
    wi_lock(&desc->lock);
    if (waiter.queued) {
        dequeue(desc, &waiter);
        count_out(1);
    }
    wi_unlock(&desc->lock);
    return -ETIMEDOUT;
}

/* While no run is on. */
static int wait_for_kernel(struct wi_poll_desc *desc, unsigned directions, int64_t deadline)
{
    int events =
        (directions & WI_READ ? POLLIN | POLLRDHUP : 0) | (directions & WI_WRITE ? POLLOUT : 0);
    for (;;) {
        int64_t slice = wi_os_now() + SLICE;
        int64_t own = wi_poll_deadline(desc, directions);
        int64_t until = own < deadline ? own : deadline;
        int ready = wi_os_fd_poll(desc->fd, events, until < slice ? until : slice);
        if (ready != 0)
            return ready < 0 ? ready : 0;
        if (is_closing(desc))
            return -ECANCELED;
        own = wi_poll_deadline(desc, directions);
        if (own == WEFT_NOWAIT)
            return -EAGAIN;
        if (has_passed(own) || has_passed(deadline))
            return -ETIMEDOUT;
        if (wi_load_relaxed(&netpoll.active))
            return 0;
    }
}

int wi_poll_wait(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, uint32_t seen,
                 int64_t deadline)
{
    if (deadline == WEFT_NOWAIT)
        return -EAGAIN;
    wi_lock(&desc->lock);
    int err = 0;
    if (is_closing(desc)) {
        err = -ECANCELED;
    } else if (wi_poll_deadline(desc, directions) == WEFT_NOWAIT) {
        err = -EAGAIN;
    } else if (wi_load_relaxed(&desc->events) == seen) {
        if (!wi_load_seq_cst(&netpoll.active)) {
            wi_unlock(&desc->lock);
            return wait_for_kernel(desc, directions, deadline);
        }
        err = register_desc(desc);
        if (err == 0) {
            wi_poll_deadline_arm(desc, directions);
            return park(gp, desc, directions, deadline);
        }
    }
    wi_unlock(&desc->lock);
    return err;
}

bool wi_poll_is_socket(struct wi_poll_desc *desc)
{
    return !wi_load_relaxed(&desc->not_socket);
}

void wi_poll_is_not_socket(struct wi_poll_desc *desc)
{
    wi_store_relaxed(&desc->not_socket, true);
}

/* ---- Events ---- */

static void handle_event(const struct wi_os_event *event, struct wi_poll_wake *wake)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(tag_fd(event->tag));
    unsigned directions = (event->readable ? WI_READ : 0u) | (event->writable ? WI_WRITE : 0u);
    wi_lock(&desc->lock);
    if (desc->generation == tag_generation(event->tag)) {
        wi_store_release(&desc->events, desc->events + 1);
        wi_poll_wake(desc, directions, 0, wake);
    }
    wi_unlock(&desc->lock);
}

void wi_netpoll(int64_t deadline, struct wi_glist *list)
{
    struct wi_os_event events[BATCH];
    bool woken;
    int count = wi_os_poller_wait(&netpoll.poller, events, BATCH, deadline, &woken);
    struct wi_poll_wake wake = {.list = *list};
    for (int i = 0; i < count; i++)
        handle_event(&events[i], &wake);
    *list = wake.list;
    count_out(wake.removed);
}

/* Foreign threads may come late: the lock keeps the poller from being closed under them. */
void wi_netpoll_break(void)
{
    wi_lock(&netpoll.life);
    if (wi_load_relaxed(&netpoll.active))
        wi_os_poller_wake(&netpoll.poller);
    wi_unlock(&netpoll.life);
}

/* ---- Beginning and end of a run ---- */

int wi_netpoll_init(void)
{
    int err = wi_os_poller_open(&netpoll.poller);
    if (err == 0)
        wi_store_seq_cst(&netpoll.active, true);
    return err;
}

/* Takes the waiters out of the queues: foreign threads are woken, goroutines no longer exist. */
static void forget_waiters(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    struct wi_poll_wake all = {0};
    wi_poll_wake(desc, WI_READ | WI_WRITE, -ECANCELED, &all);
    wake->removed += all.removed;
    struct wi_g *gp;
    while ((gp = wi_glist_pop(&all.list)))
        if (gp->foreign)
            wi_glist_push(&wake->list, gp);
}

static void forget_run(struct wi_poll_desc *desc)
{
    if (wi_load_seq_cst(&desc->state) == 0)
        return;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    forget_waiters(desc, &wake);
    wi_poll_deadline_disarm(desc, WI_READ | WI_WRITE);
    /* The kernel forgets all registrations when the poller is closed. */
    desc->registered = false;
    desc->generation++;
    wi_poll_desc_forget_run(desc, &wake);
    wi_poll_unlock(desc, &wake, true);
}

/* Whoever takes a descriptor's lock after it was visited here sees that no run is on. */
void wi_netpoll_fini(void)
{
    wi_lock(&netpoll.life);
    bool was_active = wi_exchange_seq_cst(&netpoll.active, false);
    wi_unlock(&netpoll.life);
    if (!was_active)
        return;
    wi_poll_desc_each(forget_run);
    wi_os_poller_close(&netpoll.poller);
}
