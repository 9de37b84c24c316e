/* SPDX-License-Identifier: MIT
 *
 * Pinning; see weft/thread.h. The scheduler's part is in core/findrunnable.c and core/m.c.
 */
#include <weft/thread.h>

#include <weft/panic.h>

#include "core/park.h"

void weft_lock_os_thread(void)
{
    struct wi_g *gp = wi_enter();
    if (!gp->foreign) {
        if (gp->pins == UINT16_MAX)
            weft_panic("weft_lock_os_thread nested too deeply");
        gp->pins++;
        gp->locked_m = gp->m;
        gp->m->locked_g = gp;
    }
    wi_leave(gp);
}

void weft_unlock_os_thread(void)
{
    struct wi_g *gp = wi_enter();
    if (!gp->foreign) {
        if (gp->pins == 0)
            weft_panic("weft_unlock_os_thread without weft_lock_os_thread");
        if (--gp->pins == 0) {
            gp->m->locked_g = NULL;
            gp->locked_m = NULL;
        }
    }
    wi_leave(gp);
}
