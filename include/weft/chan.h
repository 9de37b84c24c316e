/* SPDX-License-Identifier: MIT
 *
 * Channels: typed by element size, bounded, FIFO among waiters. Every function: any thread.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <stddef.h>
#include <stdint.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

/* A channel for elements of elem_size bytes that holds up to capacity of them; capacity 0 makes a
 * rendezvous. Both may be 0. The caller holds one reference. NULL: out of memory, or the product
 * overflows. */
WEFT_API weft_chan *weft_chan_new(size_t elem_size, size_t capacity);

/* Take and drop a reference; the last drop frees. Both allow NULL; ref returns its argument. A
 * channel must not be freed while somebody waits on it, nor before a select that names it has
 * returned, whichever case was chosen. */
WEFT_API weft_chan *weft_chan_ref(weft_chan *chan);
WEFT_API void weft_chan_unref(weft_chan *chan);

/* Sends a copy of *elem. 0; -EPIPE if closed, before or while waiting; -EINVAL if chan is NULL, or
 * elem is NULL and the element size is not 0. May park. */
WEFT_API int weft_chan_send(weft_chan *chan, const void *elem);

/* Receives into *elem, or drops the value if elem is NULL. 0; -EPIPE once closed and drained, with
 * *elem untouched; -EINVAL if chan is NULL. May park. */
WEFT_API int weft_chan_recv(weft_chan *chan, void *elem);

/* The same, bounded: also -ETIMEDOUT, and with WEFT_NOWAIT -EAGAIN. What can be done at once is
 * done even if the deadline has passed. */
WEFT_API int weft_chan_send_until(weft_chan *chan, const void *elem, int64_t deadline);
WEFT_API int weft_chan_recv_until(weft_chan *chan, void *elem, int64_t deadline);

/* Closes: waiting senders get -EPIPE; receivers drain what is buffered, then get -EPIPE.
 * 0; -EPIPE if closed already; -EINVAL if NULL. */
WEFT_API int weft_chan_close(weft_chan *chan);

/* One case of a select: a send of *send if send is not NULL, else a receive into *recv, or of a
 * value to drop if that is NULL too. (To send elements of size 0, point send at anything.) A NULL
 * chan is never ready. */
typedef struct weft_case {
    weft_chan *chan;
    const void *send;
    void *recv;
    int result; /* of the case that was chosen: 0, or -EPIPE; the others' are left alone */
} weft_case;

enum { WEFT_SELECT_MAX = 65535 };

/* Waits until one of n cases can go on, does that one, and returns its index; a closed channel is
 * ready. Among several that are ready the choice is uniformly random. Otherwise: -ETIMEDOUT;
 * -EAGAIN with WEFT_NOWAIT (Go's default case); -EINVAL (n negative or above WEFT_SELECT_MAX, cases
 * NULL, a case with both send and recv); -ENOMEM (none is ready and there are more than 16; for
 * fewer nothing is allocated). What can be done at once is done even if the deadline has passed.
 * May park. */
WEFT_API int weft_select(weft_case *cases, int n, int64_t deadline);

/* Elements buffered now, and room for elements. 0 for NULL. */
WEFT_API size_t weft_chan_len(weft_chan *chan);
WEFT_API size_t weft_chan_cap(weft_chan *chan);

WEFT_END_DECLS

#endif
