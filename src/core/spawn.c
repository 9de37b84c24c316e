/* SPDX-License-Identifier: MIT
 *
 * Starting a goroutine: fn and arg go into a struct wi_g, and that into a run queue. No stack yet.
 *
 * New goroutines go to the end of the local queue and not, as in Go, into runnext: that keeps them
 * in the order in which they were started, and needs no atomic read-modify-write.
 */
#include "core/spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched.h"
#include "core/self.h"

/* A goroutine may start on one P and end on another, so that the counters of one P mean nothing
 * alone. All ends are read before any start: what ended has its start counted then, and the sum is
 * too high for a moment at most, never too low. */
int wi_goroutine_count(void)
{
    uint32_t made = wi_load_acquire(&wi_sched.ps_made);
    uint64_t ended = wi_load_acquire(&wi_sched.discarded);
    for (uint32_t i = 0; i < made; i++)
        ended += wi_load_acquire(&wi_sched.ps[i]->exited); /* pairs with exit_action */
    uint64_t started = wi_load_relaxed(&wi_sched.spawned);
    for (uint32_t i = 0; i < made; i++)
        started += wi_load_relaxed(&wi_sched.ps[i]->spawned);
    uint64_t count = started - ended;
    return count > INT32_MAX ? INT32_MAX : (int)count;
}

static inline bool over_limit(void)
{
    int limit = wi_load_relaxed(&wi_sched.max_goroutines);
    return wi_unlikely(limit != INT32_MAX) && wi_goroutine_count() >= limit;
}

#if defined(WI_TSAN_EDGES)
/* ThreadSanitizer sees what a goroutine does with its copy, and the structure's next user has
 * nothing to do with that. The inline copy is made for those who look at it (api/group.c). */
enum { INLINE_IS_ENOUGH = false };
#else
enum { INLINE_IS_ENOUGH = true };
#endif

static int copy_argument(struct wi_g *gp, const struct wi_spawn *request)
{
    if (request->copy_size <= sizeof gp->copy) {
        wi_sanitize_hide();
        memcpy(gp->copy, request->arg, request->copy_size);
        wi_sanitize_show();
        gp->arg = gp->copy;
        if (INLINE_IS_ENOUGH)
            return 0;
    }
    gp->arg = malloc(request->copy_size);
    if (!gp->arg)
        return -ENOMEM;
    gp->copied = true;
    memcpy(gp->arg, request->arg, request->copy_size);
    return 0;
}

/* A P that is not held by this thread cannot be used: its queue has one producer. submit: into the
 * global queue. */
static int count_from_outside(struct wi_g *gp, bool submit)
{
    wi_lock(&wi_sched.lock);
    bool running = wi_load_relaxed(&wi_sched.running) && wi_load_relaxed(&wi_sched.maxprocs);
    if (running) {
        wi_store_relaxed(&wi_sched.spawned, wi_sched.spawned + 1);
        wi_store_relaxed(&gp->status, WI_G_WAITING);
        if (submit)
            wi_submit_global_locked(gp);
    }
    wi_unlock(&wi_sched.lock);
    return running ? 0 : -EPERM;
}

/* One that was not counted: its argument is the caller's again. */
static void unmake(struct wi_g *gp, const struct wi_spawn *request)
{
    if (request->owns_arg)
        gp->copied = false;
    wi_goroutine_free(NULL, gp);
}

/* The P that the caller holds, in whose queue it may put; NULL: elsewhere. */
static inline struct wi_p *own_p(const struct wi_g *gp)
{
    if (wi_likely(gp && !gp->foreign))
        return gp->m->p;
    const struct wi_m *mp = wi_getm();
    return mp ? mp->p : NULL;
}

/* Neither counted nor queued yet. Inlined into all callers, so that the plain spawn knows what it
 * does not need. */
static WI_ALWAYS_INLINE int make(struct wi_g *gp, struct wi_p *pp, const struct wi_spawn *request,
                                 struct wi_g **result)
{
    if (wi_unlikely(!pp && !wi_load_acquire(&wi_sched.running)))
        return -EPERM;
    if (over_limit() && !request->unlimited)
        return -EAGAIN;
    struct wi_g *new = wi_g_new(pp);
    if (wi_unlikely(!new))
        return -ENOMEM;

    new->fn = request->fn;
    new->arg = request->arg;
    new->name = request->name;
    new->parent = gp ? gp->id : 0;
    new->stack_class = request->stack_class;
    if (request->stack_class == WI_STACK_CLASS_DEFAULT)
        new->stack_class = wi_stack_class_default;
    if (request->copy_size != 0 && copy_argument(new, request) != 0) {
        wi_g_free(pp, new);
        return -ENOMEM;
    }
    if (request->owns_arg)
        new->copied = true;
    wi_sanitize_wake(&new->sanitize);
    *result = new;
    return 0;
}

static WI_ALWAYS_INLINE int spawn(struct wi_g *gp, const struct wi_spawn *request)
{
    struct wi_p *pp = own_p(gp);
    struct wi_g *new;
    int error = make(gp, pp, request, &new);
    if (wi_unlikely(error))
        return error;
    if (wi_likely(pp != NULL)) {
        wi_store_relaxed(&new->status, WI_G_RUNNABLE);
        wi_owner_add(&pp->spawned, 1);
        wi_submit(pp, new);
        wi_wake_another();
        return 0;
    }
    if (count_from_outside(new, true) != 0) {
        unmake(new, request);
        return -EPERM;
    }
    wi_wake_p();
    return 0;
}

int wi_spawn(struct wi_g *gp, void (*fn)(void *arg), void *arg)
{
    return spawn(gp,
                 &(struct wi_spawn){.fn = fn, .arg = arg, .stack_class = WI_STACK_CLASS_DEFAULT});
}

int wi_spawn_with(struct wi_g *gp, const struct wi_spawn *request)
{
    return spawn(gp, request);
}

int wi_spawn_waiting(const struct wi_spawn *request, struct wi_glist *list)
{
    struct wi_p *pp = own_p(NULL);
    struct wi_g *new;
    int error = make(NULL, pp, request, &new);
    if (error)
        return error;
    if (pp) {
        wi_store_relaxed(&new->status, WI_G_WAITING);
        wi_owner_add(&pp->spawned, 1);
    } else if (count_from_outside(new, false) != 0) {
        unmake(new, request);
        return -EPERM;
    }
    wi_glist_push(list, new);
    return 0;
}
