/* SPDX-License-Identifier: MIT
 *
 * Groups; see weft/group.h.
 *
 * A group is a waitgroup that counts its goroutines, a semaphore if their number is limited, and a
 * context. A goroutine of the group, a member:
 *   1. go: takes a slot, if there is a limit. 2. Counts the member. 3. Starts it.
 *   4. The member calls fn.
 *   5. If fn's result is not 0, and no member's was before: it is the group's error (CAS), and cancels
 *      the context.
 *   6. Gives back the slot. 7. Counts itself out.
 * weft_exit in fn runs 6 and 7 by a record for the unwinding.
 *
 * Lifetime. The group's memory belongs to the one that waits, who may reuse it as soon as the
 * counter is 0. So 7 is the last that a member does to it (waitgroup.c keeps the same rule for
 * itself), and what 4 to 6 did is seen by the one that waits. The context is dropped after the
 * wait. A member that starts others is counted while it does.
 *
 * The scope's end finds the members that still run among all goroutines: those whose function is
 * this file's, and whose argument, which is short enough to be kept in the goroutine, names the
 * group.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include <weft/go.h>
#include <weft/group.h>
#include <weft/panic.h>

#include "core/g.h"
#include "core/self.h"
#include "core/unwind.h"

_Static_assert(sizeof(weft_group) == 88, "part of the ABI");

/* flags; changed only while no member runs */
enum {
    LIMITED = 1,   /* slots counts */
    NO_MEMORY = 2, /* there should be a context */
};

struct member {
    weft_group *group;
    int (*fn)(void *arg);
    void *arg;
};

_Static_assert(sizeof(struct member) <= WI_COPY_INLINE, "see the scope's end");

static int32_t running(weft_group *group)
{
    return (int32_t)(wi_load_acquire(&group->running.state) >> 32);
}

/* ---- Members ---- */

/* Steps 6 and 7. */
static void count_out(weft_group *group)
{
    if (group->flags & LIMITED)
        weft_sem_release(&group->slots, 1);
    weft_waitgroup_done(&group->running);
}

static inline weft_group **group_of(struct wi_g *gp)
{
    return &((struct member *)(void *)gp->copy)->group;
}

/* Before it counts itself out the member is made one of no group: from then on the address may be
 * another group's. */
static void leave(void *group)
{
    wi_store_relaxed(group_of(wi_getg()), NULL);
    count_out(group);
}

/* Step 5. */
static void fail(weft_group *group, int result)
{
    int32_t none = 0;
    if (wi_cas_relaxed(&group->error, &none, result) && group->ctx)
        weft_ctx_cancel(group->ctx, result < 0 ? result : -ECANCELED);
}

static void run_member(void *arg)
{
    struct member *member = arg;
    struct wi_unwind record = {.run = leave, .arg = member->group};
    struct wi_g *gp = wi_getg();
    wi_unwind_push(gp, &record);
    int result = member->fn(member->arg);
    wi_unwind_pop(gp, &record);
    if (result != 0)
        fail(member->group, result);
    leave(member->group);
}

/* Steps 2 and 3; the slot is had. */
static int start(weft_group *group, int (*fn)(void *arg), void *arg)
{
    struct member member = {group, fn, arg};
    weft_waitgroup_add(&group->running, 1);
    int error = weft_go_copy(run_member, &member, sizeof member);
    if (error)
        count_out(group);
    return error;
}

static int check(weft_group *group, int (*fn)(void *arg))
{
    if (!group || !fn)
        return -EINVAL;
    return group->flags & NO_MEMORY ? -ENOMEM : 0;
}

int weft_group_go(weft_group *group, int (*fn)(void *arg), void *arg)
{
    int error = check(group, fn);
    if (!error && group->flags & LIMITED)
        error = weft_sem_acquire(&group->slots, 1);
    return error ? error : start(group, fn, arg);
}

int weft_group_trygo(weft_group *group, int (*fn)(void *arg), void *arg)
{
    int error = check(group, fn);
    if (error)
        return error;
    if (group->flags & LIMITED && weft_sem_tryacquire(&group->slots, 1) != 1)
        return -EAGAIN;
    return start(group, fn, arg);
}

/* ---- The group ---- */

void weft_group_init(weft_group *group, weft_ctx *parent)
{
    if (!group)
        weft_panic("weft_group_init: the group is NULL");
    *group = (weft_group){0};
    group->ctx = weft_ctx_with_cancel(parent ? parent : weft_ctx_background());
    if (!group->ctx)
        group->flags = NO_MEMORY;
}

void weft_group_limit(weft_group *group, int n)
{
    if (!group)
        weft_panic("weft_group_limit: the group is NULL");
    if (running(group) != 0)
        weft_panic("weft_group_limit: %" PRId32 " goroutines run in group %p", running(group),
                   (void *)group);
    group->flags &= ~(uint32_t)LIMITED;
    if (n >= 0) {
        weft_sem_init(&group->slots, n);
        group->flags |= LIMITED;
    }
}

weft_ctx *weft_group_ctx(weft_group *group)
{
    if (!group)
        weft_panic("weft_group_ctx: the group is NULL");
    return group->ctx;
}

/* No member runs. Makes it as zero. */
static void reset(weft_group *group)
{
    if (group->ctx) {
        weft_ctx_cancel(group->ctx, -ECANCELED);
        weft_ctx_unref(group->ctx);
    }
    *group = (weft_group){0};
}

int weft_group_wait(weft_group *group)
{
    if (!group)
        return -EINVAL;
    weft_waitgroup_wait(&group->running);
    int error = group->flags & NO_MEMORY ? -ENOMEM : group->error;
    reset(group);
    return error;
}

/* ---- The end of a scope ---- */

/* And some room for what else is said. */
enum { IDS_MAX = 32, ID_WIDTH = 20 + sizeof ", ", MORE = 32 };

struct search {
    weft_group *group;
    int count;
    uint64_t ids[IDS_MAX]; /* the lowest, in order */
};

static bool is_member(struct wi_g *gp, const weft_group *group)
{
    return wi_load_acquire(&gp->status) != WI_G_FREE && wi_load_relaxed(&gp->fn) == run_member &&
           wi_load_relaxed(group_of(gp)) == group;
}

static void look(struct wi_g *gp, void *arg)
{
    struct search *search = arg;
    if (!is_member(gp, search->group))
        return;
    int place = search->count < IDS_MAX ? search->count++ : IDS_MAX;
    for (; place > 0 && search->ids[place - 1] > gp->id; place--)
        if (place < IDS_MAX)
            search->ids[place] = search->ids[place - 1];
    if (place < IDS_MAX)
        search->ids[place] = gp->id;
}

/* Members that a run's end has discarded are counted for ever, and not found. */
static _Noreturn void report(weft_group *group, int32_t count)
{
    struct search search = {.group = group};
    char text[IDS_MAX * ID_WIDTH + MORE] = "";
    size_t used = 0;
    wi_g_each(look, &search);
    for (int i = 0; i < search.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRIu64, i ? ", " : ": ",
                                 search.ids[i]);
    if (search.count > 0 && search.count < count)
        snprintf(text + used, sizeof text - used, " and %" PRId32 " more", count - search.count);
    weft_panic("weft_group_end: the scope of group %p ends while %" PRId32
               " goroutines run in it%s",
               (void *)group, count, text);
}

void weft_group_end(weft_group *group)
{
    if (!group)
        weft_panic("weft_group_end: the group is NULL");
    int32_t count = running(group);
    if (count != 0)
        report(group, count);
    reset(group);
}
