/* SPDX-License-Identifier: MIT
 *
 * Contexts; see weft/context.h.
 *
 * Every context but the background is a node of one kind. It keeps its parent by a counted
 * reference; the parent knows its children by links that are not counted. A node's lock guards its
 * list of children, their links included, and orders its cancellation with their coming. No two
 * nodes' locks are held at once.
 *
 * Making a child.
 *   1. Count a reference to the parent.
 *   2. Under the parent's lock: if the parent is not cancelled, attach the child to it.
 *   3. If it is: mark the child, with the parent's reason.
 *
 * Mark, which cancels one node:
 *   4. Under the node's lock set err, unless it is set. From here on no child is attached to it.
 *   5. Stop the deadline's alarm.
 *   6. Close done, unless it is closed.
 * Who finds err set does 5 and 6 nevertheless: so whoever has gone through a mark knows that all of
 * it has taken effect.
 *
 * Cancel walks down from its root, depth first, with a reference to every node from the root to
 * where it is, and without memory of its own: the way back is the nodes' parents.
 *   7. Mark the root; it is the current node.
 *   8. Under the current node's lock look for its first child that can be counted one reference more,
 *      which is not possible for one whose count is 0. Such a child is detached on the way.
 *   9. Found: mark it, with the current node's reason; it is the current node; go to 8.
 *  10. Not found: detach the current node from its parent. If it is the root, the end. Else drop the
 *      reference to it; the parent is the current node; go to 8.
 *
 * All descendants are cancelled. At 10 everything that ever was below the current node is marked,
 * or being freed: it is marked itself, so that nothing comes into its list; and what left the list
 * left it at 8, being freed, or at 12, or at 10, of this walk or of another, where by the same
 * argument all below it was done. A walk that meets another, below or above its own root, therefore
 * does not take the other's word: it finds all nodes whose subtree is not done yet still attached,
 * and helps. Nor does it pass on its own reason where another came first: what a node is cancelled
 * with is its parent's reason, whoever gets there, unless it was cancelled alone before.
 *
 * The end of a walk. Every step 9 leads to a node that is marked then, and every step 10 takes a
 * node for good out of the list of a marked one, which gets no other. So the walk goes on for as
 * long only as there are nodes, and as others make descendants below the ones that it has not
 * reached.
 *
 * Dropping a reference.
 *  11. Count down. If that was not the last: the end.
 *  12. Detach from the parent. 13. Stop the alarm.
 *  14. Free. 15. Go to 11 with the parent.
 * A node whose count is 0 has no children left, since they count, and at 15 have been detached.
 *
 * Nothing is freed early. A walk uses nodes that it has counted, or that are found in a list under
 * the lock of their parent, which 12 needs. Nothing is leaked: each reference that 1 and 8 count is
 * dropped at 15 and 10, once.
 *
 * The deadline has an alarm, if it comes before the parent's. The alarm goes off on g0, where a
 * walk must not be made; it starts a goroutine for that. Both know the node only by a reference to
 * the alarm (alarm.h), which keeps the memory but not the context: the goroutine cancels if it can
 * count a reference to the node. All the references to the node together hold one to the alarm.
 *   - Set after step 2, under alarm.lock, unless err is set. Either the mark has set err by then, or
 *     its step 5 is still to come.
 *   - spawned is the run in which a goroutine was started that has not begun; one that is discarded
 *     with its run never takes its reference over, and so 13 drops it, as alarm.c does with a
 *     setting that was forgotten. One that has begun is not discarded (wi_stay).
 *
 * Stacks and time. Nothing here recurses. A walk, and the freeing of a chain, leave the runtime and
 * enter it again every BATCH nodes, so that a large tree is preempted like any other code, unless
 * it is a deadline's. A smaller one is done with in one go: a run that ends discards goroutines
 * only outside the runtime, and so does not leave the references of steps 1 and 8 behind.
 *
 * Rejected: a lock for each tree (all goroutines of a server would meet at it); detaching children
 * before they are cancelled, as Go does under the parent's lock (a second cancel would return too
 * early, and to hold the locks of a whole path would need as many); shared done channels of
 * children that add only a value (they can be cancelled alone).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <weft/context.h>
#include <weft/panic.h>
#include <weft/time.h>

#include "api/alarm.h"
#include "core/park.h"
#include "core/sched.h"
#include "sync/chan.h"

struct weft_ctx {
    struct wi_lock lock;
    uint32_t refs;    /* atomic */
    int err;          /* atomic; written under lock, once */
    bool timed;       /* constant: it is part of a struct timed */
    bool attached;    /* to the parent: guarded by the parent's lock, as are prev and next */
    weft_ctx *parent; /* constant; NULL: the background */
    weft_ctx *prev;   /* NULL: the parent's first */
    weft_ctx *next;   /* NULL: the last */
    weft_ctx *first;  /* guarded by lock: the children */
    weft_chan *done;  /* constant */
    int64_t deadline; /* constant */
    const void *key;  /* constant; NULL: no value */
    void *value;      /* constant */
};

struct timed {
    weft_ctx ctx;
    struct wi_alarm alarm;
    uint64_t spawned; /* guarded by alarm.lock: see above; or 0 */
};

enum { BATCH = 64 };

static weft_ctx background = {.deadline = WEFT_FOREVER};

static inline struct timed *timed_of(weft_ctx *ctx)
{
    return wi_container_of(ctx, struct timed, ctx);
}

/* ---- Counting ---- */

/* False: it is being freed. */
static bool try_ref(weft_ctx *ctx)
{
    uint32_t refs = wi_load_relaxed(&ctx->refs);
    while (refs != 0)
        if (wi_cas_acquire(&ctx->refs, &refs, refs + 1))
            return true;
    return false;
}

/* The parent's lock is held, and ctx attached. */
static void unlink_child(weft_ctx *parent, weft_ctx *ctx)
{
    if (ctx->prev)
        ctx->prev->next = ctx->next;
    else
        parent->first = ctx->next;
    if (ctx->next)
        ctx->next->prev = ctx->prev;
    ctx->attached = false;
}

static void detach(weft_ctx *ctx)
{
    weft_ctx *parent = ctx->parent;
    if (parent == &background)
        return;
    wi_lock(&parent->lock);
    if (ctx->attached)
        unlink_child(parent, ctx);
    wi_unlock(&parent->lock);
}

static void release_timed(struct timed *timed)
{
    if (wi_alarm_unref(&timed->alarm))
        free(timed);
}

/* Steps 13 and 14 for a context with a deadline of its own. */
static void drop_timed(struct timed *timed)
{
    wi_lock(&timed->alarm.lock);
    wi_alarm_unset(&timed->alarm);
    bool discarded = timed->spawned != 0 && timed->spawned != wi_load_relaxed(&wi_sched.run);
    wi_unlock(&timed->alarm.lock);
    if (discarded)
        wi_alarm_unref(&timed->alarm); /* not the last: ours is left */
    release_timed(timed);
}

/* A step of what may take many; in the runtime. */
static inline void count_step(struct wi_g *gp, uint32_t *steps)
{
    if (++*steps % BATCH == 0) {
        wi_leave(gp);
        wi_enter();
    }
}

/* True: ctx is to be freed. */
static inline bool count_down(weft_ctx *ctx)
{
    if (!ctx || ctx == &background)
        return false;
    wi_sanitize_release(&ctx->refs);
    if (wi_fetch_sub_acq_rel(&ctx->refs, 1) != 1)
        return false;
    wi_sanitize_acquire(&ctx->refs);
    return true;
}

/* Steps 12 to 15, for one that has been counted down to 0. In the runtime. */
static void free_upwards(struct wi_g *gp, weft_ctx *ctx, uint32_t *steps)
{
    weft_ctx *parent;
    do {
        parent = ctx->parent;
        detach(ctx);
        weft_chan_unref(ctx->done);
        if (ctx->timed)
            drop_timed(timed_of(ctx));
        else
            free(ctx);
        ctx = parent;
        count_step(gp, steps);
    } while (count_down(ctx));
}

weft_ctx *weft_ctx_ref(weft_ctx *ctx)
{
    if (ctx && ctx != &background)
        wi_fetch_add_relaxed(&ctx->refs, 1);
    return ctx;
}

void weft_ctx_unref(weft_ctx *ctx)
{
    if (!count_down(ctx))
        return;
    uint32_t steps = 0;
    struct wi_g *gp = wi_enter();
    free_upwards(gp, ctx, &steps);
    wi_leave(gp);
}

/* ---- Cancelling; in the runtime ---- */

/* Steps 4 to 6. */
static void mark(weft_ctx *ctx, int reason)
{
    wi_lock(&ctx->lock);
    /* Release: pairs with weft_ctx_err. */
    if (wi_load_relaxed(&ctx->err) == 0) {
        wi_sanitize_release(&ctx->err);
        wi_store_release(&ctx->err, reason);
    }
    wi_unlock(&ctx->lock);
    if (ctx->timed)
        wi_alarm_stop(&timed_of(ctx)->alarm);
    wi_chan_close(ctx->done);
}

/* Step 8: a child, counted, or NULL. */
static weft_ctx *take_child(weft_ctx *ctx)
{
    weft_ctx *child;
    wi_lock(&ctx->lock);
    while ((child = ctx->first) && !try_ref(child))
        unlink_child(ctx, child);
    wi_unlock(&ctx->lock);
    return child;
}

/* Steps 7 to 10. The caller has a reference. */
static void cancel(struct wi_g *gp, weft_ctx *root, int reason)
{
    uint32_t steps = 0;
    weft_ctx *ctx = root;
    mark(root, reason);
    for (;;) {
        weft_ctx *child = take_child(ctx);
        if (child) {
            mark(child, wi_load_relaxed(&ctx->err));
            ctx = child;
            count_step(gp, &steps);
            continue;
        }
        weft_ctx *parent = ctx->parent;
        detach(ctx);
        if (ctx == root)
            return;
        if (count_down(ctx))
            free_upwards(gp, ctx, &steps);
        ctx = parent;
    }
}

void weft_ctx_cancel(weft_ctx *ctx, int reason)
{
    if (!ctx)
        weft_panic("weft_ctx_cancel: the context is NULL");
    if (ctx == &background)
        weft_panic("weft_ctx_cancel: the background cannot be cancelled");
    if (reason > 0)
        weft_panic("weft_ctx_cancel: the reason is positive: %d", reason);
    struct wi_g *gp = wi_enter();
    cancel(gp, ctx, reason ? reason : -ECANCELED);
    wi_leave(gp);
}

/* ---- Deadlines ---- */

/* Holds a reference to the alarm. */
static void expire(void *arg)
{
    struct timed *timed = arg;
    struct wi_g *gp = wi_enter();
    wi_stay(gp);
    wi_lock(&timed->alarm.lock);
    timed->spawned = 0;
    wi_unlock(&timed->alarm.lock);
    if (try_ref(&timed->ctx)) {
        uint32_t steps = 0;
        cancel(gp, &timed->ctx, -ETIMEDOUT);
        if (count_down(&timed->ctx))
            free_upwards(gp, &timed->ctx, &steps);
    }
    release_timed(timed);
    wi_leave(gp);
}

/* Sets the alarm, unless it is no longer wanted. The alarm's lock is held, in the runtime. */
static void arm(struct timed *timed, int64_t when)
{
    if (wi_load_acquire(&timed->ctx.err) == 0)
        wi_alarm_set(&timed->alarm, when);
}

/* The setting's reference goes to the goroutine. Out of memory for one now is no reason to lose the
 * deadline. */
static void fire(void *arg, uint64_t setting)
{
    struct timed *timed = wi_container_of(arg, struct timed, alarm);
    wi_lock(&timed->alarm.lock);
    bool due = wi_alarm_goes_off(&timed->alarm, setting);
    if (due)
        timed->spawned = wi_load_relaxed(&wi_sched.run);
    wi_unlock(&timed->alarm.lock);
    if (due) {
        struct wi_spawn request = {
            .fn = expire, .arg = timed, .stack_class = WI_STACK_CLASS_DEFAULT, .unlimited = true};
        if (wi_alarm_spawn(&timed->alarm, &request) == 0)
            return;
        wi_lock(&timed->alarm.lock);
        timed->spawned = 0;
        if (timed->alarm.setting == setting)
            arm(timed, wi_os_now() + WI_ALARM_RETRY);
        wi_unlock(&timed->alarm.lock);
    }
    release_timed(timed);
}

static void start_alarm(struct timed *timed)
{
    wi_lock(&timed->alarm.lock);
    arm(timed, timed->ctx.deadline);
    wi_unlock(&timed->alarm.lock);
}

/* ---- Making ---- */

/* Step 2: 0, or the parent's reason. */
static int attach(weft_ctx *ctx)
{
    weft_ctx *parent = ctx->parent;
    if (parent == &background)
        return 0;
    wi_lock(&parent->lock);
    int err = wi_load_relaxed(&parent->err);
    if (err == 0) {
        ctx->next = parent->first;
        if (ctx->next)
            ctx->next->prev = ctx;
        parent->first = ctx;
        ctx->attached = true;
    }
    wi_unlock(&parent->lock);
    return err;
}

static weft_ctx *allocate(bool timed)
{
    weft_ctx *ctx = calloc(1, timed ? sizeof(struct timed) : sizeof *ctx);
    if (!ctx)
        return NULL;
    ctx->done = weft_chan_new(0, 0);
    if (!ctx->done) {
        free(ctx);
        return NULL;
    }
    if (timed)
        wi_alarm_init(&timed_of(ctx)->alarm, fire);
    ctx->timed = timed;
    ctx->refs = 1;
    return ctx;
}

/* Steps 1 to 3, and the start of the alarm, for a new node that has its constants but no parent. */
static weft_ctx *join(weft_ctx *ctx, weft_ctx *parent)
{
    struct wi_g *gp = wi_enter();
    ctx->parent = weft_ctx_ref(parent);
    int err = attach(ctx);
    if (err)
        mark(ctx, err);
    else if (ctx->timed)
        start_alarm(timed_of(ctx));
    wi_leave(gp);
    return ctx;
}

weft_ctx *weft_ctx_background(void)
{
    return &background;
}

weft_ctx *weft_ctx_with_cancel(weft_ctx *parent)
{
    weft_ctx *ctx = parent ? allocate(false) : NULL;
    if (!ctx)
        return NULL;
    ctx->deadline = parent->deadline;
    return join(ctx, parent);
}

weft_ctx *weft_ctx_with_deadline(weft_ctx *parent, int64_t deadline)
{
    if (!parent)
        return NULL;
    bool own = deadline < parent->deadline;
    if (!own)
        deadline = parent->deadline;
    bool passed = deadline <= wi_os_now();
    bool timed = own && !passed;
    if (timed && !wi_load_acquire(&wi_sched.running))
        return NULL;
    weft_ctx *ctx = allocate(timed);
    if (!ctx)
        return NULL;
    ctx->deadline = deadline;
    join(ctx, parent);
    if (passed)
        weft_ctx_cancel(ctx, -ETIMEDOUT);
    return ctx;
}

weft_ctx *weft_ctx_with_value(weft_ctx *parent, const void *key, void *value)
{
    if (!key)
        weft_panic("weft_ctx_with_value: the key is NULL");
    weft_ctx *ctx = parent ? allocate(false) : NULL;
    if (!ctx)
        return NULL;
    ctx->deadline = parent->deadline;
    ctx->key = key;
    ctx->value = value;
    return join(ctx, parent);
}

/* ---- Looking ---- */

int weft_ctx_err(weft_ctx *ctx)
{
    if (!ctx)
        return -EINVAL;
    int err = wi_load_acquire(&ctx->err);
    if (err != 0)
        wi_sanitize_acquire(&ctx->err);
    return err;
}

weft_chan *weft_ctx_done(weft_ctx *ctx)
{
    return ctx ? ctx->done : NULL;
}

int64_t weft_ctx_deadline(weft_ctx *ctx)
{
    return ctx ? ctx->deadline : WEFT_FOREVER;
}

void *weft_ctx_value(weft_ctx *ctx, const void *key)
{
    for (; ctx && key; ctx = ctx->parent)
        if (ctx->key == key)
            return ctx->value;
    return NULL;
}
