/* SPDX-License-Identifier: MIT
 *
 * Channels.
 *
 * A channel is one block of memory: a header (chan.h) and a ring of capacity elements. One lock
 * guards everything in it but the constants and the reference count.
 *
 * Invariants, whenever the lock is free (a live waiter is one whose wait can still be won):
 *   - A live receiver waits only while the ring is empty and no live sender waits; a live sender
 *     only while the ring is full. (With capacity 0 the ring is always both. One goroutine's select
 *     may wait on both sides of a channel: it does not meet itself.)
 *   - The elements are the count slots from recv_offset on, oldest first, wrapping; send_offset is
 *     the slot behind them.
 *   - Nobody waits on a closed channel, and closed is never unset.
 * A waiter whose deadline has passed may stand in a queue until it has removed itself; wi_waitq_pop
 * passes over it.
 *
 * Protocol of a send; a receive mirrors it.
 *   1. Take the lock.
 *   2. wi_chan_try_send. Closed: -EPIPE. Else, if a receiver waits, win its wait, take it off the
 *      queue, and copy the element from the sender's memory straight into the receiver's. Else, if
 *      there is room, copy the element into the ring.
 *      (A receive from a full ring moves the first waiting sender's element into the slot that it
 *      emptied.) So each value is copied once into the channel's care and once out of it, or once
 *      in all when both sides meet, and the order of values is fixed under the lock.
 *   3. Release the lock. Then wake whoever was taken off the queue, who so does not run into it.
 *   4. If nothing could be done: put a sudog on our stack at the end of the senders' queue, and
 *      park, which releases the lock. Whoever takes the sudog off the queue writes its result, and
 *      then readies us.
 *   5. With a deadline, the wait has a ticket, and wi_park_until says who won it: the other side
 *      (the value has been copied, or the channel closed, as result says), or time (nothing was
 *      copied, nor will be; the sudog is removed under the lock if it still is in the queue).
 * Close sets closed, moves all waiters to a list of its own, unlocks, and wakes them.
 *
 * Lifetime. An operation last touches the channel in step 3, before anybody who waited for it runs;
 * and what an operation that did not wait reports to its caller (0, -EPIPE), it has learnt under
 * the lock, after the other side's critical section. So whoever has received the last value, or has
 * found the channel closed, may drop the last reference, although the one who sent or closed is
 * still on its way out of the call.
 * Not so a select: it takes the locks of the channels that it did not choose after it was served,
 * and that of the chosen one if it stands in another case too. Its channels live until it returns.
 *
 * WEFT_NOWAIT without the lock. Only -EAGAIN is decided so, from two loads:
 *   send: closed is read as 0; then the channel is seen full (unbuffered: without receivers). Had
 *         it been closed in between, then it was full before that, since a closed channel does not
 *         become full. So at some instant it was open and full: the operation takes effect then.
 *   recv: the channel is seen empty; then closed is read as 0. A closed channel is never reopened,
 *         so it was open when it was empty: the operation takes effect then.
 * The first load acquires, so that the second is not done before it. What happened before the call,
 * by any chain of synchronisation, is seen. Success and -EPIPE are not decided so, because of the
 * rule on lifetime.
 *
 * Rejected: a lock-free ring (select needs to hold several channels still, and an uncontended lock
 * costs what one CAS of a ring would); waking before unlocking (the woken one runs into the lock);
 * a block of its own for the ring (a second allocation, and a cache miss more).
 */
#include "sync/chan.h"

#include <stdlib.h>

#include <weft/panic.h>
#include <weft/time.h>

/* ---- Making and freeing ---- */

weft_chan *weft_chan_new(size_t elem_size, size_t capacity)
{
    size_t ring_size, size;
    if (__builtin_mul_overflow(elem_size, capacity, &ring_size) ||
        __builtin_add_overflow(ring_size, sizeof(weft_chan), &size) || size > PTRDIFF_MAX)
        return NULL;
    weft_chan *chan = malloc(size);
    if (!chan)
        return NULL;
    *chan = (weft_chan){
        .capacity = capacity, .elem_size = elem_size, .ring_size = ring_size, .refs = 1};
    return chan;
}

weft_chan *weft_chan_ref(weft_chan *chan)
{
    /* The caller has a reference, or is given one by someone who has; nothing to order. */
    if (chan)
        wi_fetch_add_relaxed(&chan->refs, 1);
    return chan;
}

void weft_chan_unref(weft_chan *chan)
{
    /* Release: what we did to the channel comes before the free; acquire: what the others did. */
    if (!chan)
        return;
    wi_sanitize_release(&chan->refs);
    if (wi_fetch_sub_acq_rel(&chan->refs, 1) == 1) {
        wi_sanitize_acquire(&chan->refs);
        free(chan);
    }
}

/* ---- Sending and receiving ---- */

/* Steps 4 and 5. The lock is held. Waits in queue, which is one of the channel's, until the other
 * side comes or time is up. elem is where the other side copies from or to. */
static inline int chan_wait(struct wi_g *gp, weft_chan *chan, weft_waitq *queue, void *elem,
                            enum wi_wait why, int64_t deadline)
{
    struct wi_sudog sg;
    sg.g = gp;
    sg.elem = elem;
    sg.ticket = 0;
    wi_sanitize_offer(&gp->sanitize);
    if (wi_likely(deadline == WEFT_FOREVER)) {
        wi_waitq_push(queue, &sg);
        wi_park(gp, &chan->lock, why);
        return sg.result;
    }
    sg.ticket = wi_wait_open(gp);
    wi_waitq_push(queue, &sg);
    if (wi_park_until(gp, &chan->lock, why, sg.ticket, deadline))
        return sg.result;
    wi_lock(&chan->lock);
    wi_waitq_remove(queue, &sg);
    wi_unlock(&chan->lock);
    return -ETIMEDOUT;
}

static inline int chan_send(struct wi_g *gp, weft_chan *chan, const void *elem, int64_t deadline)
{
    struct wi_g *wake;
    wi_sanitize_read(elem, chan->elem_size);
    wi_lock(&chan->lock);
    int result = wi_chan_try_send(chan, elem, &wake);
    if (result == -EAGAIN && deadline != WEFT_NOWAIT)
        return chan_wait(gp, chan, &chan->senders, (void *)(uintptr_t)elem, WI_WAIT_CHAN_SEND,
                         deadline);
    wi_unlock(&chan->lock);
    if (wake)
        wi_ready(wake);
    return result;
}

static inline int chan_recv(struct wi_g *gp, weft_chan *chan, void *elem, int64_t deadline)
{
    struct wi_g *wake;
    wi_lock(&chan->lock);
    int result = wi_chan_try_recv(chan, elem, &wake);
    if (result == -EAGAIN && deadline != WEFT_NOWAIT)
        return chan_wait(gp, chan, &chan->receivers, elem, WI_WAIT_CHAN_RECV, deadline);
    wi_unlock(&chan->lock);
    if (wake)
        wi_ready(wake);
    return result;
}

static inline bool can_send(const weft_chan *chan, const void *elem)
{
    return chan && (elem || chan->elem_size == 0);
}

int weft_chan_send(weft_chan *chan, const void *elem)
{
    if (wi_unlikely(!can_send(chan, elem)))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = chan_send(gp, chan, elem, WEFT_FOREVER);
    wi_leave(gp);
    return result;
}

int weft_chan_recv(weft_chan *chan, void *elem)
{
    if (wi_unlikely(!chan))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = chan_recv(gp, chan, elem, WEFT_FOREVER);
    if (result == 0)
        wi_sanitize_write(elem, chan->elem_size);
    wi_leave(gp);
    return result;
}

/* A goroutine that polls enters the runtime even when nothing is to be done there: leaving is where
 * it gives way once its slice is over. */
int weft_chan_send_until(weft_chan *chan, const void *elem, int64_t deadline)
{
    if (wi_unlikely(!can_send(chan, elem)))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = -EAGAIN;
    if (deadline != WEFT_NOWAIT || !wi_chan_send_would_wait(chan))
        result = chan_send(gp, chan, elem, deadline);
    wi_leave(gp);
    return result;
}

int weft_chan_recv_until(weft_chan *chan, void *elem, int64_t deadline)
{
    if (wi_unlikely(!chan))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = -EAGAIN;
    if (deadline != WEFT_NOWAIT || !wi_chan_recv_would_wait(chan))
        result = chan_recv(gp, chan, elem, deadline);
    if (result == 0)
        wi_sanitize_write(elem, chan->elem_size);
    wi_leave(gp);
    return result;
}

/* ---- Closing ---- */

static void take_all(weft_waitq *queue, struct wi_glist *list)
{
    struct wi_sudog *sg;
    while ((sg = wi_waitq_pop(queue))) {
        sg->result = -EPIPE;
        wi_glist_push(list, sg->g);
    }
}

int wi_chan_close(weft_chan *chan)
{
    struct wi_glist list = {0};
    wi_lock(&chan->lock);
    bool closed = chan->closed;
    if (!closed) {
        /* Release: pairs with the acquire in wi_chan_send_would_wait. */
        wi_store_release(&chan->closed, 1);
        wi_sanitize_release(&chan->closed);
        take_all(&chan->receivers, &list);
        take_all(&chan->senders, &list);
    }
    wi_unlock(&chan->lock);
    wi_ready_all(&list);
    return closed ? -EPIPE : 0;
}

int weft_chan_close(weft_chan *chan)
{
    if (wi_unlikely(!chan))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = wi_chan_close(chan);
    wi_leave(gp);
    return result;
}

/* ---- Looking ---- */

size_t weft_chan_len(weft_chan *chan)
{
    return chan ? wi_load_relaxed(&chan->count) : 0;
}

size_t weft_chan_cap(weft_chan *chan)
{
    return chan ? chan->capacity : 0;
}
