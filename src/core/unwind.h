/* SPDX-License-Identifier: MIT
 *
 * What must be done when a goroutine leaves a frame without returning to it, by weft_exit. The
 * runtime's own frames that call user code push a record on their stack before and pop it after;
 * whoever ends the goroutine runs those that are left, newest first. A frame that is left in
 * another way leaves its record behind, dangling; the goroutine's return finds that.
 */
#ifndef WI_CORE_UNWIND_H
#define WI_CORE_UNWIND_H

#include <stddef.h>

#include "core/g.h"
#include "core/stack.h"

struct wi_unwind {
    struct wi_unwind *outer;
    void (*run)(void *arg); /* outside the runtime; may park */
    void *arg;
};

/* On a foreign thread both do nothing: it cannot call weft_exit. */
static inline void wi_unwind_push(struct wi_g *gp, struct wi_unwind *record)
{
    if (gp->foreign)
        return;
    record->outer = gp->stack->unwind;
    gp->stack->unwind = record;
}

static inline void wi_unwind_pop(struct wi_g *gp, struct wi_unwind *record)
{
    if (!gp->foreign)
        gp->stack->unwind = record->outer;
}

/* Takes off the newest record; NULL if none is left. */
static inline struct wi_unwind *wi_unwind_next(struct wi_g *gp)
{
    struct wi_unwind *record = gp->stack->unwind;
    if (record)
        gp->stack->unwind = record->outer;
    return record;
}

#endif
