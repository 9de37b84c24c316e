/* SPDX-License-Identifier: MIT
 *
 * The netpoller: waiting for a descriptor (pollwait.c), and waking who waits (here and in
 * pollqueue.c). Lifetime is polldesc.c's matter, turns are pollturn.c's, deadlines
 * polldeadline.c's.
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
 * wakes all. Of calls that take turns only one waits in each direction, so that no herd thunders;
 * the others are waits for readiness, which concern all. So also an event that another M has
 * collected and not yet handled may find that its descriptor was closed, and the number reused: the
 * generation in its tag keeps it from waking the successor's waiters, and if it did they would wait
 * again. Goroutines that are yet to start (pollwhen.c) cannot; of them only those are woken for
 * which poll(2) agrees.
 *
 * A claim in step 8 may be lost to the deadline of one wait (park.h); whoever takes a record out of
 * its queue counts it out of the waiters.
 *
 * A read of a TCP connection that gives less than it asked for has emptied it: what comes later
 * comes with an edge. If none has been seen since before that read, the next read skips step 2, and
 * spares the system call that nearly every request would end with. (epoll(7) says so of all
 * streams; but a Unix socket's read also ends where ancillary data changes, a pipe's at a packet.)
 * What may have come before without being part of what was read, and does not come again, is
 * remembered from its event: the end of file, an error, urgent data, before which a read stops.
 *
 * Foreign threads wait like goroutines while a run is on. While none is, nobody calls wi_netpoll,
 * and they use poll(2), in slices, since only the descriptor's state tells that it is being closed,
 * has a new deadline, or that a run began. A wake-up descriptor for each such wait was rejected: it
 * costs three system calls a wait, and there may be none left.
 *
 * Rejected: one ready flag for each direction, which prepare clears and an event sets. A call and a
 * weft_wait in one direction would clear each other's: the one that has got EAGAIN, and not yet
 * taken the lock, misses its edge.
 */
#include "core/netpoll.h"

#include "core/park.h"
#include "core/polldesc.h"
#include "core/sched.h"
#include "os/os.h"
#include "os/socket.h"

enum { BATCH = 128 };

static struct {
    struct wi_os_poller poller; /* constant while active */
    bool active;                /* atomic, ends under life: a run is on */
    struct wi_lock life;        /* keeps poller open while it is woken */
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

/* ---- The poller ---- */

bool wi_poll_active(void)
{
    return wi_load_seq_cst(&netpoll.active);
}

/* Step 4. */
int wi_poll_register(struct wi_poll_desc *desc)
{
    if (desc->registered)
        return 0;
    wi_sanitize_hide(); /* the poller's descriptors are nobody's */
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
    wi_sanitize_hide();
    if (desc->registered)
        wi_os_poller_remove(&netpoll.poller, desc->fd);
    wi_sanitize_show();
    desc->registered = false;
    desc->generation++;
}

/* ---- Events ---- */

static void handle_event(const struct wi_os_event *event, struct wi_poll_wake *wake)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(tag_fd(event->tag));
    wi_lock(&desc->lock);
    if (desc->generation == tag_generation(event->tag)) {
        if (event->special)
            wi_store_relaxed(&desc->special, true);
        wi_store_release(&desc->events, desc->events + 1);
        wi_poll_notify(desc, event, wake);
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
    wi_poll_take_woken(&wake);
    *list = wake.list;
}

/* Foreign threads may come late: the lock keeps the poller from being closed under them. */
void wi_netpoll_break(void)
{
    wi_sanitize_hide();
    wi_lock(&netpoll.life);
    if (wi_load_relaxed(&netpoll.active))
        wi_os_poller_wake(&netpoll.poller);
    wi_unlock(&netpoll.life);
    wi_sanitize_show();
}

void wi_poll_wake(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions)
{
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    wi_store_release(&desc->events, desc->events + 1);
    wi_poll_try_again(desc, directions, &wake);
    wi_poll_unlock(desc, &wake, gp->foreign);
}

/* ---- Beginning and end of a run ---- */

int wi_netpoll_init(void)
{
    wi_sanitize_hide();
    int err = wi_os_poller_open(&netpoll.poller);
    wi_sanitize_show();
    if (err)
        return err;
    wi_store_seq_cst(&netpoll.active, true);
    wi_poll_keep_spare();
    return 0;
}

/* Takes the waiters out of the queues: foreign threads are woken, goroutines no longer exist. Those
 * yet to start will not find a run. */
static void forget_waiters(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    wi_poll_cancel(desc, wake);
    struct wi_glist all = wake->list;
    wake->list = (struct wi_glist){0};
    struct wi_g *gp;
    while ((gp = wi_glist_pop(&all)))
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
    bool close_file = wi_poll_desc_forget_run(desc, &wake);
    wi_poll_unlock(desc, &wake, true);
    if (close_file)
        wi_poll_close_file(NULL, desc);
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
    wi_poll_when_retry();
    wi_os_poller_close(&netpoll.poller);
    wi_poll_drop_spare();
}
