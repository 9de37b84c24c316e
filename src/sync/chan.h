/* SPDX-License-Identifier: MIT
 *
 * The inside of a channel, for chan.c and select.c. The rules stand in chan.c.
 */
#ifndef WI_SYNC_CHAN_H
#define WI_SYNC_CHAN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weft/chan.h>

#include "arch/sanitize.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lock.h"
#include "core/park.h"
#include "sync/sudog.h"

struct weft_chan {
    /* All that a rendezvous touches; 64 bytes. */
    struct wi_lock lock;
    uint32_t closed;      /* atomic to read; written under lock, 0 to 1 once */
    size_t count;         /* atomic to read; written under lock: elements in the ring */
    size_t capacity;      /* constant */
    size_t elem_size;     /* constant */
    weft_waitq receivers; /* guarded by lock */
    weft_waitq senders;   /* guarded by lock */

    /* Places in the ring, in bytes. */
    size_t send_offset; /* guarded by lock: the slot to fill next */
    size_t recv_offset; /* guarded by lock: the oldest element's slot */
    size_t ring_size;   /* constant */
    uint32_t refs;      /* atomic */
    _Alignas(max_align_t) unsigned char ring[];
};

/* The usual sizes are copied by plain moves, without a call. */
static inline void wi_chan_copy(const weft_chan *chan, void *to, const void *from)
{
    size_t size = chan->elem_size;
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else if (size == 16)
        memcpy(to, from, 16);
    else if (size != 0)
        memcpy(to, from, size);
}

static inline size_t wi_chan_after(const weft_chan *chan, size_t offset)
{
    offset += chan->elem_size;
    return offset == chan->ring_size ? 0 : offset;
}

/* Two who meet over an empty ring count as having passed by it, so that the k-th receive happens
 * before the send that is the capacity later. */
static inline void wi_chan_meet(weft_chan *chan, const struct wi_sudog *sg)
{
    wi_sanitize_meet(&sg->g->sanitize);
#if defined(WI_TSAN_EDGES)
    if (chan->capacity != 0 && chan->count == 0) {
        wi_sanitize_acquire(chan->ring + chan->send_offset);
        wi_sanitize_release(chan->ring + chan->send_offset);
        chan->send_offset = wi_chan_after(chan, chan->send_offset);
        chan->recv_offset = chan->send_offset;
    }
#else
    (void)chan;
#endif
}

/* Does what a send or a receive can do at once: 0 or -EPIPE; or -EAGAIN, and nothing has happened.
 * chan->lock is held. *wake becomes the goroutine to ready once the lock is released, or NULL. */
static inline int wi_chan_try_send(weft_chan *chan, const void *elem, struct wi_g **wake)
{
    *wake = NULL;
    if (wi_unlikely(chan->closed)) {
        wi_sanitize_acquire(&chan->closed);
        return -EPIPE;
    }
    struct wi_sudog *sg = wi_waitq_pop(&chan->receivers);
    if (sg) {
        wi_chan_meet(chan, sg);
        if (sg->elem)
            wi_chan_copy(chan, sg->elem, elem);
        sg->result = 0;
        *wake = sg->g;
        return 0;
    }
    if (chan->count == chan->capacity)
        return -EAGAIN;
    wi_sanitize_acquire(chan->ring + chan->send_offset);
    wi_chan_copy(chan, chan->ring + chan->send_offset, elem);
    wi_sanitize_release(chan->ring + chan->send_offset);
    chan->send_offset = wi_chan_after(chan, chan->send_offset);
    wi_store_relaxed(&chan->count, chan->count + 1);
    return 0;
}

static inline int wi_chan_try_recv(weft_chan *chan, void *elem, struct wi_g **wake)
{
    struct wi_sudog *sg;
    *wake = NULL;
    if (chan->count == 0) {
        sg = wi_waitq_pop(&chan->senders);
        if (!sg) {
            if (!chan->closed)
                return -EAGAIN;
            wi_sanitize_acquire(&chan->closed);
            return -EPIPE;
        }
        wi_chan_meet(chan, sg);
        if (elem)
            wi_chan_copy(chan, elem, sg->elem);
    } else {
        void *slot = chan->ring + chan->recv_offset;
        wi_sanitize_acquire(slot);
        if (elem)
            wi_chan_copy(chan, elem, slot);
        wi_sanitize_release(slot);
        chan->recv_offset = wi_chan_after(chan, chan->recv_offset);
        sg = wi_waitq_pop(&chan->senders);
        if (!sg) {
            wi_store_relaxed(&chan->count, chan->count - 1);
            return 0;
        }
        /* The ring was full, so the slot just emptied is the one behind the newest element. */
        wi_chan_meet(chan, sg);
        wi_chan_copy(chan, slot, sg->elem);
        wi_sanitize_release(slot);
        chan->send_offset = chan->recv_offset;
    }
    sg->result = 0;
    *wake = sg->g;
    return 0;
}

/* Without the lock: true if a send or a receive could not have been done at once at some instant
 * during the call. chan.c argues why that suffices for WEFT_NOWAIT. */
static inline bool wi_chan_send_would_wait(weft_chan *chan)
{
    if (wi_load_acquire(&chan->closed))
        return false;
    return chan->capacity == 0 ? wi_waitq_was_empty(&chan->receivers)
                               : wi_load_relaxed(&chan->count) == chan->capacity;
}

static inline bool wi_chan_recv_would_wait(weft_chan *chan)
{
    bool empty = chan->capacity == 0 ? wi_waitq_was_empty(&chan->senders)
                                     : wi_load_acquire(&chan->count) == 0;
    return empty && !wi_load_relaxed(&chan->closed);
}

/* weft_chan_close for one who is in the runtime already. */
int wi_chan_close(weft_chan *chan);

#endif
