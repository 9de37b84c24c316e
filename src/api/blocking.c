/* SPDX-License-Identifier: MIT
 *
 * Declared blocking regions; see weft/blocking.h and core/blocking.h.
 */
#include <weft/blocking.h>

#include <errno.h>

#include <weft/panic.h>

#include "core/blocking.h"

/* The innermost level is kept in user_mode, deeper ones in a count: a count for all would chain
 * every pair of calls to the one before through memory, 5 ns where the rest takes 3. */
void weft_blocking_begin(void)
{
    struct wi_g *gp = wi_getg();
    if (!gp)
        return;
    if (wi_unlikely(gp->user_mode == WI_MODE_BLOCKING)) {
        gp->blocking_depth++;
        return;
    }
    gp->user_mode = WI_MODE_BLOCKING;
    wi_block_begin(gp);
}

void weft_blocking_end(void)
{
    struct wi_g *gp = wi_enter();
    if (wi_unlikely(gp->foreign))
        return;
    if (wi_unlikely(gp->user_mode != WI_MODE_BLOCKING))
        weft_panic("weft_blocking_end without weft_blocking_begin");
    if (wi_unlikely(gp->blocking_depth != 0))
        gp->blocking_depth--;
    else
        gp->user_mode = WI_MODE_USER;
    wi_leave(gp);
}

long weft_blocking(long (*fn)(void *arg), void *arg)
{
    if (!fn)
        return -EINVAL;
    weft_blocking_begin();
    long result = fn(arg);
    weft_blocking_end();
    return result;
}
