/* SPDX-License-Identifier: MIT
 *
 * Pauses that double; see backoff.h.
 */
#include "api/backoff.h"

#include <errno.h>

#include <weft/time.h>

#include "os/os.h"

int wi_back_off(struct wi_backoff *backoff, int64_t deadline)
{
    if (deadline == WEFT_NOWAIT)
        return -EAGAIN;
    int64_t now = wi_os_now();
    if (deadline <= now)
        return -ETIMEDOUT;
    int64_t end = now + backoff->pause;
    weft_sleep_until(deadline < end ? deadline : end);
    if (backoff->pause < backoff->max)
        backoff->pause *= 2;
    return 0;
}
