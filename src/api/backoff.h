/* SPDX-License-Identifier: MIT
 *
 * Looking again after pauses that grow, where nothing tells when it is worth it.
 */
#ifndef WI_API_BACKOFF_H
#define WI_API_BACKOFF_H

#include <stdint.h>

struct wi_backoff {
    int64_t pause; /* the next one; the first is the shortest */
    int64_t max;
};

/* Sleeps, not beyond the deadline. 0; -ETIMEDOUT: it has passed; -EAGAIN: it is WEFT_NOWAIT. Not in
 * the runtime. */
int wi_back_off(struct wi_backoff *backoff, int64_t deadline);

#endif
