/* SPDX-License-Identifier: MIT
 *
 * Starting, yielding and ending goroutines; see weft/go.h.
 */
#include <weft/go.h>

#include <errno.h>

#include <weft/panic.h>

#include "core/park.h"
#include "core/sched.h"
#include "core/spawn.h"
#include "core/unwind.h"

int weft_go(void (*fn)(void *arg), void *arg)
{
    if (wi_unlikely(!fn))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = wi_spawn(gp, fn, arg);
    wi_leave(gp);
    return result;
}

static int go_with(const struct wi_spawn *request)
{
    if (!request->fn)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    int result = wi_spawn_with(gp, request);
    wi_leave(gp);
    return result;
}

int weft_go_copy(void (*fn)(void *arg), const void *arg, size_t size)
{
    if (!arg && size != 0)
        return -EINVAL;
    return go_with(&(struct wi_spawn){.fn = fn,
                                      .arg = (void *)(uintptr_t)arg,
                                      .copy_size = size,
                                      .stack_class = WI_STACK_CLASS_DEFAULT});
}

int weft_go_with(const weft_attr *attr, void (*fn)(void *arg), void *arg)
{
    if (!attr)
        return weft_go(fn, arg);
    if (attr->stack_size < WEFT_STACK_MIN || attr->stack_size > WEFT_STACK_MAX)
        return -EINVAL;
    uint8_t class = attr->stack_size == WEFT_STACK_DEFAULT ? WI_STACK_CLASS_DEFAULT
                                                           : wi_stack_class_for(attr->stack_size);
    return go_with(
        &(struct wi_spawn){.fn = fn, .arg = arg, .name = attr->name, .stack_class = class});
}

void weft_yield(void)
{
    struct wi_g *gp = wi_enter();
    wi_yield(gp);
    wi_leave(gp);
}

void weft_exit(void)
{
    struct wi_g *gp = wi_enter();
    if (gp->foreign)
        weft_panic("weft_exit on a thread that is not weft's");
    struct wi_unwind *record;
    while ((record = wi_unwind_next(gp))) {
        wi_leave(gp);
        record->run(record->arg);
        wi_enter();
    }
    wi_goroutine_exit(gp);
}

uint64_t weft_id(void)
{
    struct wi_g *gp = wi_getg();
    return gp ? gp->id : 0;
}
