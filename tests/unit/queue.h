/* SPDX-License-Identifier: MIT
 *
 * How many wait in a queue, so that a test can wait for the next one to be there.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "harness/test.h"

#include "core/park.h"
#include "sync/sudog.h"

static inline int queue_length(struct wi_lock *lock, const weft_waitq *queue)
{
    int length = 0;
    struct wi_g *gp = wi_enter();
    wi_lock(lock);
    const struct wi_sudog *last = NULL;
    for (const struct wi_sudog *sg = queue->first; sg; last = sg, sg = sg->next) {
        CHECK(sg->queued);
        CHECK(sg->prev == last);
        length++;
    }
    CHECK(!last || queue->last == last);
    wi_unlock(lock);
    wi_leave(gp);
    return length;
}

#define WAIT_FOR_LENGTH(lock, queue, n) CHECK_SOON(queue_length(lock, queue) == (n))

#endif
