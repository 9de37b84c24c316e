/* SPDX-License-Identifier: MIT
 *
 * Finding the next goroutine to run, and going to sleep when there is none.
 *
 * Order: the goroutine pinned here; due timers; runnext and the P's ring; the global queue; the
 * network without waiting; other Ps' queues and timers; then the M gives up its P and sleeps, one
 * M in the netpoller until the next timer, the others on a futex. Every 61st dispatch looks at all
 * timers, the global queue and the network first, so that none starves.
 *
 * Submit/spin protocol: no work is left queued while a P is idle and nobody looks.
 *   submit: 1. put the goroutine into a queue; 2. full fence; 3. if a P is idle and no M is
 *           spinning, start a spinning M (wi_wake_p).
 *   look:   4. put the P on the idle list; spinning - 1 if counted; 5. full fence;
 *           6. look at all queues once more; if there is something, take a P and spin again.
 *   Either 3 sees the idle P with nobody spinning, or 6 sees the work: 2 and 5 order them.
 *   Everybody who puts a P on the idle list looks afterwards (go_idle, wi_p_handoff), spinning or
 *   not: a spinning M that step 3 relies on may itself find no P when it would look again. A
 *   spinning M that finds work wakes another (stop_spinning), so that the number of Ms follows the
 *   work. When the submitter holds the only P there is nobody to wake, and step 2 is left out.
 * At most half as many Ms spin as Ps are busy: more would burn CPU for little.
 *
 * Rejected: sparing submit the fence (5 ns) by a membarrier in step 5. It interrupts every busy
 * CPU each time an M goes idle, which a server does far more often than it needs to.
 */
#include "core/netpoll.h"
#include "core/park.h"
#include "core/sched.h"

enum {
    FAIRNESS_DISPATCHES = 61, /* a prime, as in Go: does not beat with regular patterns */
    STEAL_ROUNDS = 4,
    WATCH_STEP = 8, /* is_watched */
    WATCH_MAX = 64,
    RUNNEXT_TRIES = 3,
    RUNNEXT_PATIENCE = 3000, /* ns: a victim that runs will likely take its runnext itself */
};
#define POLL_STALE INT64_C(100000)

static bool start_spinning(struct wi_m *mp)
{
    uint32_t busy = wi_load_relaxed(&wi_sched.maxprocs) - wi_load_relaxed(&wi_sched.idle_p_count);
    if (!mp->spinning) {
        if (2 * wi_load_relaxed(&wi_sched.spinning) >= busy)
            return false;
        mp->spinning = true;
        wi_fetch_add_seq_cst(&wi_sched.spinning, 1);
    }
    return true;
}

static void stop_spinning(struct wi_m *mp)
{
    if (mp->spinning) {
        mp->spinning = false;
        wi_fetch_sub_seq_cst(&wi_sched.spinning, 1);
        wi_wake_p();
    }
}

void wi_wake_p(void)
{
    wi_fence_seq_cst();
    if (wi_load_relaxed(&wi_sched.idle_p_count) == 0 || wi_load_relaxed(&wi_sched.spinning) != 0)
        return;
    uint32_t none = 0;
    if (wi_cas_seq_cst(&wi_sched.spinning, &none, 1))
        wi_m_start(NULL, true);
}

/* Until when the poller sleeps may not be known yet: 0. */
static void wake_poller_before(int64_t when)
{
    int64_t until = wi_load_seq_cst(&wi_sched.poll_until);
    if (until == 0 || until > when)
        wi_netpoll_break();
}

void wi_announce_timer(int64_t when)
{
    if (wi_load_seq_cst(&wi_sched.last_poll) == 0)
        wake_poller_before(when);
    else
        wi_wake_p();
}

static struct wi_g *take_global(struct wi_p *pp, uint32_t limit)
{
    if (wi_load_relaxed(&wi_sched.queue_size) == 0)
        return NULL;
    wi_lock(&wi_sched.lock);
    struct wi_g *gp = wi_take_global_locked(pp, limit);
    wi_unlock(&wi_sched.lock);
    return gp;
}

/* Runs the first of a list at once and queues the others. */
static struct wi_g *take_list(struct wi_p *pp, struct wi_glist *list)
{
    struct wi_glist own = {0};
    struct wi_g *gp;
    while ((gp = wi_glist_pop(list))) {
        if (gp->foreign)
            wi_ready(gp);
        else
            wi_glist_push(&own, gp);
    }
    struct wi_g *first = wi_glist_pop(&own);
    if (!first)
        return NULL;
    while ((gp = wi_glist_pop(&own))) {
        wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
        wi_submit(pp, gp);
        wi_wake_p();
    }
    return first;
}

static struct wi_g *poll_network(struct wi_p *pp)
{
    if (wi_netpoll_waiters() == 0 || wi_load_relaxed(&wi_sched.last_poll) == 0)
        return NULL;
    struct wi_glist list = {0};
    wi_netpoll(0, &list);
    return take_list(pp, &list);
}

/* Fires what is due on any P: the others' holders may be busy for long, and an idle P has none. */
static void run_all_timers(void)
{
    int64_t now = 0;
    bool fired;
    uint32_t count = wi_load_acquire(&wi_sched.maxprocs);
    for (uint32_t i = 0; i < count; i++)
        wi_timers_run(wi_load_acquire(&wi_sched.ps[i]), &now, &fired);
}

/* For the 61st dispatch, and the first of a P that was idle: what a busy local queue would starve. */
static struct wi_g *take_starved(struct wi_p *pp)
{
    run_all_timers();
    struct wi_g *gp = take_global(pp, 1);
    if (gp)
        return gp;
    if (wi_netpoll_waiters() != 0) {
        int64_t now = wi_os_now();
        int64_t last = wi_load_relaxed(&wi_sched.last_poll);
        if (last != 0 && now - last > POLL_STALE &&
            wi_cas_relaxed(&wi_sched.last_poll, &last, now) && (gp = poll_network(pp)))
            return gp;
    }
    /* A pair that readies each other through runnext would keep the ring waiting for ever. */
    return wi_runq_get(&pp->runq);
}

static struct wi_g *take_local(struct wi_p *pp)
{
    struct wi_g *gp;
    if (pp->until_fair-- == 0) {
        pp->until_fair = FAIRNESS_DISPATCHES;
        if ((gp = take_starved(pp)))
            return gp;
    }
    if (wi_load_relaxed(&pp->timers.count) != 0) {
        int64_t now = 0;
        bool fired;
        wi_timers_run(pp, &now, &fired);
    }
    if ((gp = wi_runq_take_next(&pp->runq)) || (gp = wi_runq_get(&pp->runq)))
        return gp;
    return take_global(pp, WI_RUNQ_SIZE / 2);
}

/* runnext was mostly readied by a goroutine that is about to park, and is then run by its own P at
 * once: it is taken only from a P that does not move on. If its M is in the runtime just then it
 * is tried again, and in the end left to sysmon (check_queues). */
static struct wi_g *steal_next(struct wi_p *victim)
{
    uint64_t tick = wi_load_relaxed(&victim->tick);
    for (int try = 0; try < RUNNEXT_TRIES && wi_load_relaxed(&victim->runq.runnext); try++) {
        wi_os_sleep(RUNNEXT_PATIENCE);
        if (wi_load_relaxed(&victim->tick) != tick)
            return NULL;
        struct wi_g *gp = wi_steal_next(victim);
        if (gp)
            return gp;
    }
    return NULL;
}

/* runnext and timers only when nothing else was found. */
static struct wi_g *steal_from(struct wi_p *pp, struct wi_p *victim, bool last_round)
{
    struct wi_g *gp = wi_runq_steal(&pp->runq, &victim->runq);
    if (gp || !last_round)
        return gp;
    int64_t now = 0;
    bool fired;
    wi_timers_run(victim, &now, &fired);
    if (fired && ((gp = wi_runq_take_next(&pp->runq)) || (gp = wi_runq_get(&pp->runq))))
        return gp;
    return steal_next(victim);
}

static struct wi_g *steal(struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    uint32_t count = wi_load_acquire(&wi_sched.maxprocs);
    if (count < 2 || !start_spinning(mp))
        return NULL;
    for (int round = 1; round <= STEAL_ROUNDS; round++) {
        uint32_t start = (uint32_t)(wi_p_random(pp) % count);
        for (uint32_t i = 0; i < count; i++) {
            struct wi_p *victim = wi_load_acquire(&wi_sched.ps[(start + i) % count]);
            if (victim == pp)
                continue;
            struct wi_g *gp = steal_from(pp, victim, round == STEAL_ROUNDS);
            if (gp) {
                wi_owner_add(&pp->steals, 1);
                return gp;
            }
        }
    }
    return NULL;
}

bool wi_work_anywhere(bool even_next)
{
    if (wi_load_acquire(&wi_sched.queue_size) != 0)
        return true;
    uint32_t count = wi_load_acquire(&wi_sched.maxprocs);
    for (uint32_t i = 0; i < count; i++) {
        struct wi_runq *queue = &wi_load_acquire(&wi_sched.ps[i])->runq;
        if (even_next ? !wi_runq_empty(queue) : !wi_runq_ring_empty(queue))
            return true;
    }
    return false;
}

/* Takes an idle P, to look for work again. spinning: the first work it finds wakes another M. */
static bool resume(struct wi_m *mp, bool spinning)
{
    wi_lock(&wi_sched.lock);
    struct wi_p *pp = wi_p_idle_get();
    wi_unlock(&wi_sched.lock);
    if (!pp)
        return false;
    wi_p_acquire(mp, pp);
    if (spinning) {
        mp->spinning = true;
        wi_fetch_add_seq_cst(&wi_sched.spinning, 1);
    }
    return true;
}

/* Whether the M that is about to wait in the netpoller shall, when it leaves with a goroutine to
 * run, wake another to take its place. If it does, that is two switches and as many futex calls for
 * every request to a server that is not busy [one connection, two Ps: 16.9 us of processor time a
 * request, and 11.2 with what follows]. If not, nobody polls while the goroutine runs, and an event
 * or a timer waits although a P is idle, for up to 10 ms (sysmon). Go does not wake another.
 *
 * So it depends on for how long nobody polled when nobody was woken: each time that was long, the
 * number of times that somebody is woken before that is tried again grows by WATCH_STEP, and it
 * shrinks by one each time it was not. One goroutine in nine that runs long is enough to keep it
 * up. Guarded by being the M for which last_poll is 0. */
static bool is_watched(int64_t unpolled)
{
    if (wi_sched.watch_left > 0)
        return --wi_sched.watch_left > 0;
    if (unpolled > POLL_STALE)
        wi_sched.watch_level =
            wi_sched.watch_level < WATCH_MAX ? wi_sched.watch_level + WATCH_STEP : WATCH_MAX;
    else if (wi_sched.watch_level > 0)
        wi_sched.watch_level--;
    wi_sched.watch_left = wi_sched.watch_level;
    return wi_sched.watch_left > 0;
}

/* Waits in the netpoller on behalf of all, where nobody has been since left. True: look for work
 * again, with a P. */
static bool wait_in_netpoller(struct wi_m *mp, int64_t until, int64_t left)
{
    struct wi_glist list = {0};
    bool watched = is_watched(wi_os_now() - left);
    wi_store_seq_cst(&wi_sched.poll_until, until);
    wi_netpoll(until, &list);
    wi_store_seq_cst(&wi_sched.poll_until, 0);
    wi_store_seq_cst(&wi_sched.last_poll, wi_os_now());

    if (!resume(mp, watched || !list.head)) {
        if (list.head)
            wi_sysmon_nudge(); /* every P is held, perhaps by a blocked M */
        wi_ready_all(&list);
        return false;
    }
    struct wi_g *first = take_list(mp->p, &list);
    if (first) {
        wi_store_relaxed(&first->status, WI_G_RUNNABLE);
        wi_submit_next(mp->p, first);
    }
    return true;
}

/* Gives up the P and sleeps. True: look for work again, with a P; false: the thread is to end. */
static bool go_idle(struct wi_m *mp)
{
    wi_lock(&wi_sched.lock);
    if (wi_load_relaxed(&wi_sched.queue_size) != 0 &&
        mp->p->id < wi_load_relaxed(&wi_sched.maxprocs)) {
        wi_unlock(&wi_sched.lock);
        return true;
    }
    wi_p_idle_put(wi_p_release(mp));
    wi_unlock(&wi_sched.lock);

    if (mp->spinning) {
        mp->spinning = false;
        wi_fetch_sub_seq_cst(&wi_sched.spinning, 1);
    }
    wi_fence_seq_cst();
    if (wi_work_anywhere(false) && resume(mp, true))
        return true;
    int64_t until = wi_timers_earliest();
    if (until != INT64_MAX || wi_netpoll_waiters() != 0) {
        int64_t left = wi_exchange_seq_cst(&wi_sched.last_poll, 0);
        if (left != 0) {
            if (wait_in_netpoller(mp, until, left))
                return true;
        } else if (until != INT64_MAX) {
            wake_poller_before(until);
        }
    }
    return wi_m_stop(mp);
}

static struct wi_g *look_for_work(struct wi_m *mp)
{
    struct wi_g *gp;
    if ((gp = take_local(mp->p)) || (gp = poll_network(mp->p)))
        return gp;
    return steal(mp);
}

struct wi_g *wi_findrunnable(struct wi_m *mp)
{
    for (;;) {
        if (wi_unlikely(mp->ending))
            return NULL;
        if (wi_unlikely(mp->locked_g != NULL))
            return wi_m_stop_pinned(mp) ? mp->locked_g : NULL;
        if (wi_unlikely(!mp->p) && !wi_m_stop(mp))
            return NULL;
        wi_store_relaxed(&mp->preempt, 0);

        struct wi_g *gp = NULL;
        if (wi_likely(mp->p->id < wi_load_relaxed(&wi_sched.maxprocs)))
            gp = look_for_work(mp);
        if (!gp) {
            if (!go_idle(mp))
                return NULL;
            continue;
        }
        stop_spinning(mp);
        if (wi_unlikely(mp->p->timers.unannounced)) {
            mp->p->timers.unannounced = false;
            wi_announce_timer(wi_load_relaxed(&mp->p->timers.earliest));
        }
        if (wi_likely(!gp->locked_m))
            return gp;
        wi_m_start_pinned(mp, gp);
    }
}
