/* SPDX-License-Identifier: MIT
 *
 * Ms: starting threads and putting them to sleep.
 *
 * An M sleeps on its wakeup word. Whoever wakes it has taken it off the idle list under sched.lock
 * (or has taken the one goroutine pinned to it from a run queue), so there is exactly one waker,
 * who writes next_p, spinning and then wakeup (release), which the M reads (acquire). A wake-up
 * that comes before the sleep is found in the word.
 *
 * M structures are reused and never freed. A run's Ms end with it; those that are in user code
 * then, the orphans, end by themselves at their next entry into the runtime (seize.c,
 * reacquire_action).
 */
#include "core/m.h"

#include <stdlib.h>
#include <string.h>

#include "core/netpoll.h"
#include "core/sched.h"
#include "core/self.h"

#define END_PAUSE INT64_C(20000)

/* Linked into C++ programs; what it returns is constant for a thread. */
extern void *__cxa_get_globals(void) __attribute__((weak));

static void wake(struct wi_m *mp, struct wi_p *pp)
{
    mp->next_p = pp;
    wi_store_release(&mp->wakeup, 1);
    wi_os_futex_wake(&mp->wakeup, 1);
}

/* True: with a P now. */
static bool sleep_until_woken(struct wi_m *mp)
{
    while (wi_load_acquire(&mp->wakeup) == 0)
        wi_os_futex_wait(&mp->wakeup, 0, INT64_MAX);
    wi_store_relaxed(&mp->wakeup, 0);
    struct wi_p *pp = mp->next_p;
    mp->next_p = NULL;
    if (!pp)
        return false;
    wi_p_acquire(mp, pp);
    return true;
}

static bool run_is_over(const struct wi_m *mp)
{
    return wi_load_relaxed(&wi_sched.maxprocs) == 0 || mp->run != wi_load_relaxed(&wi_sched.run);
}

/* The last an M does: afterwards its structure may be reused, and its thread joined. */
static void end(struct wi_m *mp)
{
    wi_os_altstack_free(mp->altstack);
    mp->altstack = NULL;
    wi_setm(NULL);
    wi_lock(&wi_sched.lock);
    if (mp->orphan) {
        mp->free_next = wi_sched.free_ms;
        wi_sched.free_ms = mp;
    } else {
        wi_sched.m_count--;
        mp->ended = true;
    }
    wi_unlock(&wi_sched.lock);
}

static void thread_main(void *arg)
{
    struct wi_m *mp = arg;
    wi_setm(mp);
    wi_sanitize_adopt(&mp->sanitize);
    wi_sanitize_hide();
    wi_os_thread_stack(&mp->stack_low, &mp->stack_size);
    wi_os_set_timer_slack(1);
    mp->altstack = wi_os_altstack_new();
    mp->errno_address = wi_os_errno();
    wi_sanitize_errno(mp->errno_address);
    mp->cxa_address = __cxa_get_globals ? __cxa_get_globals() : NULL;
    wi_fp_control_read(&mp->fp);
    if (sleep_until_woken(mp))
        wi_schedule(mp);
    end(mp);
    wi_sanitize_show();
}

/* sched.lock is held. */
static struct wi_m *allocate(void)
{
    struct wi_m *mp = wi_sched.free_ms;
    if (mp)
        wi_sched.free_ms = mp->free_next;
    else if (!(mp = malloc(sizeof *mp)))
        return NULL;
    memset(mp, 0, sizeof *mp);
    mp->run = wi_load_relaxed(&wi_sched.run);
    mp->all_next = wi_sched.all_ms;
    wi_sched.all_ms = mp;
    wi_sched.m_count++;
    return mp;
}

/* sched.lock is held. */
static void unlink_m(struct wi_m *mp)
{
    struct wi_m **link = &wi_sched.all_ms;
    while (*link != mp)
        link = &(*link)->all_next;
    *link = mp->all_next;
}

/* No thread to be had: the P goes back, its work to the global queue, and sysmon tries again. */
static void start_failed(struct wi_m *mp, struct wi_p *pp, bool spinning)
{
    wi_lock(&wi_sched.lock);
    if (mp) {
        unlink_m(mp);
        wi_sched.m_count--;
        mp->free_next = wi_sched.free_ms;
        wi_sched.free_ms = mp;
    }
    wi_submit_global_all_locked(pp);
    wi_p_idle_put(pp);
    wi_store_relaxed(&wi_sched.thread_failed, true);
    wi_unlock(&wi_sched.lock);
    if (spinning)
        wi_fetch_sub_seq_cst(&wi_sched.spinning, 1);
}

static void start_thread(struct wi_p *pp, bool spinning)
{
    wi_lock(&wi_sched.lock);
    if (wi_sched.m_count >= (uint32_t)wi_load_relaxed(&wi_sched.max_threads))
        wi_fatal("more than %d threads needed: see weft_set_max_threads", wi_sched.max_threads);
    struct wi_m *mp = allocate();
    wi_unlock(&wi_sched.lock);
    if (!mp || wi_os_thread_start(&mp->thread, thread_main, mp) != 0) {
        start_failed(mp, pp, spinning);
        return;
    }
    mp->spinning = spinning;
    wake(mp, pp);
}

/* By whoever finds that there is work; its history is not the new thread's. */
static void start_new(struct wi_p *pp, bool spinning)
{
    wi_sanitize_hide();
    start_thread(pp, spinning);
    wi_sanitize_show();
}

void wi_m_start(struct wi_p *pp, bool spinning)
{
    wi_lock(&wi_sched.lock);
    if (!pp && !(pp = wi_p_idle_get())) {
        if (spinning) /* under the lock: whoever puts a P next looks for work himself */
            wi_fetch_sub_seq_cst(&wi_sched.spinning, 1);
        wi_unlock(&wi_sched.lock);
        return;
    }
    struct wi_m *mp = wi_sched.idle_ms;
    if (mp) {
        wi_sched.idle_ms = mp->idle_next;
        wi_store_relaxed(&wi_sched.idle_m_count, wi_sched.idle_m_count - 1);
    }
    wi_unlock(&wi_sched.lock);
    if (!mp) {
        start_new(pp, spinning);
        return;
    }
    mp->spinning = spinning;
    wake(mp, pp);
}

bool wi_m_stop(struct wi_m *mp)
{
    wi_lock(&wi_sched.lock);
    if (run_is_over(mp)) {
        wi_unlock(&wi_sched.lock);
        return false;
    }
    mp->idle_next = wi_sched.idle_ms;
    wi_sched.idle_ms = mp;
    wi_store_relaxed(&wi_sched.idle_m_count, wi_sched.idle_m_count + 1);
    wi_unlock(&wi_sched.lock);
    return sleep_until_woken(mp);
}

/* Its waker may come before the sleep, and is found in the word then; so it is this M that counts
 * itself out again. */
bool wi_m_stop_pinned(struct wi_m *mp)
{
    if (mp->p)
        wi_p_handoff(wi_p_release(mp));
    wi_lock(&wi_sched.lock);
    if (run_is_over(mp) && wi_load_relaxed(&mp->wakeup) == 0) {
        wi_unlock(&wi_sched.lock);
        return false;
    }
    mp->stopped_pinned = true;
    wi_sched.pinned_m_count++;
    wi_unlock(&wi_sched.lock);

    bool woken = sleep_until_woken(mp);

    wi_lock(&wi_sched.lock);
    mp->stopped_pinned = false;
    wi_sched.pinned_m_count--;
    wi_unlock(&wi_sched.lock);
    return woken;
}

/* Once the run is ending that M may have ended, and the P with it, if it were given one. */
void wi_m_start_pinned(struct wi_m *mp, struct wi_g *gp)
{
    struct wi_p *pp = wi_p_release(mp);
    wi_lock(&wi_sched.lock);
    if (run_is_over(mp))
        wi_p_idle_put(pp);
    else
        wake(gp->locked_m, pp);
    wi_unlock(&wi_sched.lock);
}

/* Leaves an M that is in user code to itself. sched.lock is held, so it cannot end meanwhile. */
static void orphan(struct wi_m *mp)
{
    unlink_m(mp);
    wi_sched.m_count--;
    mp->orphan = true;
    wi_os_thread_detach(&mp->thread);
}

/* Tells every M that sleeps to end, once each. The number of Ms that have not ended. */
static uint32_t end_some(void)
{
    uint32_t left = 0;
    wi_lock(&wi_sched.lock);
    struct wi_m *mp;
    while ((mp = wi_sched.idle_ms)) {
        wi_sched.idle_ms = mp->idle_next;
        wi_store_relaxed(&wi_sched.idle_m_count, wi_sched.idle_m_count - 1);
        wake(mp, NULL);
    }
    struct wi_m *next;
    for (mp = wi_sched.all_ms; mp; mp = next) {
        next = mp->all_next;
        if (mp->ended)
            continue;
        if (wi_load_acquire(&mp->claim) == 2 && wi_load_acquire(&mp->mode) != WI_MODE_RUNTIME) {
            orphan(mp);
        } else if (mp->stopped_pinned && !mp->told_to_end && wi_load_relaxed(&mp->wakeup) == 0) {
            mp->told_to_end = true;
            wake(mp, NULL);
        }
        left += !mp->orphan;
    }
    wi_unlock(&wi_sched.lock);
    return left;
}

void wi_m_end_all(void)
{
    while (end_some() != 0) {
        wi_netpoll_break();
        wi_os_sleep(END_PAUSE);
    }
    wi_m_reap();
}

void wi_m_reap(void)
{
    struct wi_m *ended = NULL;
    struct wi_m *next;
    wi_lock(&wi_sched.lock);
    for (struct wi_m *mp = wi_sched.all_ms; mp; mp = next) {
        next = mp->all_next;
        if (mp->ended) {
            unlink_m(mp);
            mp->free_next = ended;
            ended = mp;
        }
    }
    wi_unlock(&wi_sched.lock);
    for (struct wi_m *mp = ended; mp; mp = next) {
        next = mp->free_next;
        wi_os_thread_join(&mp->thread);
        wi_lock(&wi_sched.lock);
        mp->free_next = wi_sched.free_ms;
        wi_sched.free_ms = mp;
        wi_unlock(&wi_sched.lock);
    }
}
