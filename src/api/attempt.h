/* SPDX-License-Identifier: MIT
 *
 * The frame of every call on a descriptor: it is tried at once, and waits for the netpoller only if
 * the kernel says EAGAIN. The protocol stands in core/netpoll.c.
 *
 *     wi_call             enter, begin; the call's body; end, leave
 *       TRY_UNTIL_READY   in the body, once for each system call that has to succeed
 *
 * A read or write that need not wait costs little more than its system call, so all of the frame is
 * inlined into each call; a body and its arguments dissolve in it.
 */
#ifndef WI_API_ATTEMPT_H
#define WI_API_ATTEMPT_H

#include <errno.h>
#include <sys/types.h>

#include <weft/time.h>

#include "base/compiler.h"
#include "core/blocking.h"
#include "core/netpoll.h"

/* What a call does with its descriptor. A result or a negative errno. */
typedef ssize_t wi_call_body(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *args);

/* A call that needs a turn in the direction, or none (0). */
static WI_ALWAYS_INLINE ssize_t wi_call(int fd, unsigned direction, wi_call_body *body, void *args)
{
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    ssize_t result = wi_poll_begin(gp, fd, direction, &desc);
    if (result == 0) {
        result = body(gp, desc, fd, args);
        wi_poll_end(gp, desc, direction);
    }
    wi_leave(gp);
    return result;
}

/* Attempts, until the kernel lets one through or waiting ends. ATTEMPT is an expression, a result or
 * a negative errno; it may look at seen. until bounds each wait between two attempts, besides the
 * descriptor's own deadline; WEFT_NOWAIT: one attempt.
 *
 * On a file an attempt is made whatever the deadline, and is a blocking region, as it may keep the
 * thread in the kernel for long. (Some that are files by their mode, such as /proc/kmsg, have
 * readiness after all; so EAGAIN is waited for there too.) */
#define TRY_UNTIL(gp, desc, direction, until, result, ATTEMPT)                                     \
    for (bool file_ = wi_poll_kind(desc) == WI_FD_FILE;;) {                                        \
        uint32_t seen;                                                                             \
        (result) = wi_poll_prepare(desc, direction, &seen);                                        \
        if ((result) != 0 && !(file_ && (result) == -ETIMEDOUT))                                   \
            break;                                                                                 \
        if (wi_unlikely(file_))                                                                    \
            wi_block_begin(gp);                                                                    \
        (result) = (ATTEMPT);                                                                      \
        if (wi_unlikely(file_))                                                                    \
            wi_block_end(gp);                                                                      \
        if ((result) != -EAGAIN)                                                                   \
            break;                                                                                 \
        (result) = wi_poll_wait(gp, desc, direction, seen, until);                                 \
        if ((result) != 0)                                                                         \
            break;                                                                                 \
    }

/* The same, bounded by the descriptor's deadline alone. */
#define TRY_UNTIL_READY(gp, desc, direction, result, ATTEMPT)                                      \
    TRY_UNTIL(gp, desc, direction, WEFT_FOREVER, result, ATTEMPT)

#endif
