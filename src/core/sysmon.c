/* SPDX-License-Identifier: MIT
 *
 * The monitor: a thread without a P that looks after those that do not look after themselves. It
 * is the thread that called weft_run.
 *
 *   - takes the P of an M that has been in a blocking region for 20 us;
 *   - asks a goroutine that has run for 10 ms while others wait to give way at its next call;
 *   - polls the network when nobody has for 10 ms, and wakes somebody for timers that are overdue;
 *   - delivers signals (api/signal.c): its errand;
 *   - follows changes of CPU affinity and quota, trims stacks, joins ended threads;
 *   - finds deadlocks. It does so when every M is asleep, and it is the only one besides foreign
 *     threads that could wake any, so nothing is in flight while it looks.
 *
 * Pace. FAST, every 20 us, while blocking regions are being entered; SLOW, backing off to 10 ms,
 * otherwise; ASLEEP after a second with all Ps idle, until one is taken from the idle list. An M
 * that enters a blocking region and sees a pace other than FAST nudges if anybody needs its P.
 *   1. M: mode = BLOCKING; 2. load pace.   3. sysmon: pace = SLOW; 4. membarrier; 5. look at all
 *   modes. Either 2 sees SLOW or 5 sees BLOCKING, by the argument of seize.c.
 * A post stores posted before it nudges; sysmon looks at posted after it has become slower (both
 * sequentially consistent). Either the post's exchange sees that pace, and wakes, or the post is
 * seen.
 */
#include <errno.h>

#include "core/netpoll.h"
#include "core/park.h"
#include "core/procs.h"
#include "core/sched.h"

enum { QUIET_ROUNDS = 50 };
#define BLOCKED_TOO_LONG INT64_C(20000)
#define FAST_PERIOD      INT64_C(20000)
#define SLOW_PERIOD_MIN  INT64_C(100000)
#define SLOW_PERIOD_MAX  INT64_C(10000000)
#define SLICE            INT64_C(10000000)
#define POLL_OVERDUE     INT64_C(10000000)
#define SLEEP_AFTER      INT64_C(1000000000)
#define CPU_PERIOD       INT64_C(1000000000)
#define TRIM_PERIOD      INT64_C(5000000000)

uint32_t wi_sysmon_pace;
void (*wi_sysmon_errand)(bool ending);
static uint32_t ended;  /* atomic */
static uint32_t posted; /* atomic */

void wi_sysmon_nudge(void)
{
    if (wi_exchange_seq_cst(&wi_sysmon_pace, WI_PACE_FAST) != WI_PACE_FAST)
        wi_os_futex_wake(&wi_sysmon_pace, 1);
}

void wi_sysmon_post(void)
{
    wi_store_seq_cst(&posted, 1);
    wi_sysmon_nudge();
}

static void run_errand(bool ending)
{
    void (*errand)(bool ending) = wi_load_acquire(&wi_sysmon_errand);
    if (errand)
        errand(ending);
}

void wi_sysmon_finish(void)
{
    run_errand(true);
}

void wi_sysmon_begin(void)
{
    wi_store_seq_cst(&ended, 0);
}

void wi_sysmon_end(void)
{
    wi_store_seq_cst(&ended, 1);
    wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_FAST);
    wi_os_futex_wake(&wi_sysmon_pace, 1);
}

/* True: the M is in a blocking region, and its P was not taken yet. */
static bool check_blocked(struct wi_p *pp, struct wi_m *mp, int64_t now)
{
    if (wi_load_acquire(&mp->mode) != WI_MODE_BLOCKING)
        return false;
    uint32_t block_tick = wi_load_relaxed(&mp->block_tick);
    if (block_tick != pp->seen_block_tick || mp != pp->seen_m) {
        pp->seen_block_tick = block_tick;
        pp->seen_m = mp;
        pp->seen_block_since = now;
        return true;
    }
    if (now - pp->seen_block_since < BLOCKED_TOO_LONG)
        return true;
    if (!wi_seize(pp, false))
        return true;
    wi_fetch_add_relaxed(&wi_sched.seizes, 1);
    wi_p_handoff(pp);
    return false;
}

static void check_slice(struct wi_p *pp, struct wi_m *mp, int64_t now)
{
    uint64_t tick = wi_load_relaxed(&pp->tick);
    if (tick != pp->seen_tick) {
        pp->seen_tick = tick;
        pp->seen_since = now;
    } else if (now - pp->seen_since >= SLICE &&
               (!wi_runq_empty(&pp->runq) || wi_load_relaxed(&wi_sched.queue_size) != 0)) {
        wi_store_relaxed(&mp->preempt, 1);
    }
    if (wi_load_relaxed(&pp->timers.earliest) < now)
        wi_store_relaxed(&mp->preempt, 1);
}

/* True: some M is in a blocking region with its P. */
static bool check_ps(int64_t now)
{
    bool blocked = false;
    uint32_t count = wi_load_acquire(&wi_sched.maxprocs);
    for (uint32_t i = 0; i < count; i++) {
        struct wi_p *pp = wi_load_acquire(&wi_sched.ps[i]);
        struct wi_m *mp = wi_load_acquire(&pp->m);
        if (!mp)
            continue;
        blocked |= check_blocked(pp, mp, now);
        check_slice(pp, mp, now);
    }
    return blocked;
}

static void check_network(int64_t now)
{
    int64_t last = wi_load_relaxed(&wi_sched.last_poll);
    if (last == 0 || now - last < POLL_OVERDUE || wi_netpoll_waiters() == 0)
        return;
    if (!wi_cas_seq_cst(&wi_sched.last_poll, &last, now))
        return;
    struct wi_glist list = {0};
    wi_netpoll(0, &list);
    wi_ready_all(&list);
}

static void check_timers(int64_t now)
{
    if (wi_timers_earliest() < now)
        wi_wake_p();
}

/* A P can be idle beside queued work when a thread could not be made, or while runnext cannot be
 * stolen because its P's M is long in the runtime. */
static void check_queues(void)
{
    wi_store_relaxed(&wi_sched.thread_failed, false);
    if (wi_load_relaxed(&wi_sched.idle_p_count) != 0 && wi_work_anywhere(true))
        wi_wake_p();
}

static bool all_idle(void)
{
    return wi_load_relaxed(&wi_sched.idle_p_count) == wi_load_relaxed(&wi_sched.maxprocs);
}

/* No M is awake or being made, no goroutine queued, no timer, no waiter on a descriptor, no channel
 * of signals. *dispatches is the number of dispatches so far, *threads that of weft's threads
 * besides this one. */
static bool nothing_moves(uint64_t *dispatches, uint32_t *threads)
{
    wi_lock(&wi_sched.lock);
    *threads = wi_sched.m_count;
    *dispatches = 0;
    for (uint32_t i = 0; i < wi_sched.ps_made; i++)
        *dispatches += wi_load_relaxed(&wi_sched.ps[i]->tick);
    bool still = all_idle() && wi_globq_count(&wi_sched.queue) == 0 &&
                 !wi_load_relaxed(&wi_sched.thread_failed) &&
                 wi_load_relaxed(&wi_sched.spinning) == 0 &&
                 *threads == wi_sched.idle_m_count + wi_sched.pinned_m_count &&
                 wi_timers_earliest() == INT64_MAX && wi_netpoll_waiters() == 0 &&
                 wi_load_relaxed(&wi_sched.listeners) == 0 && !wi_load_relaxed(&ended);
    wi_unlock(&wi_sched.lock);
    return still;
}

/* Nothing can ever become runnable if nothing moves and the process has no thread that is not
 * weft's. The two are looked at one after the other, and a foreign thread may ready a goroutine
 * and end in between; then something has been dispatched by the second look. */
static void check_deadlock(void)
{
    uint64_t before, after;
    uint32_t threads;
    if (nothing_moves(&before, &threads) && wi_os_thread_count() == (int)threads + 1 &&
        nothing_moves(&after, &threads) && after == before)
        wi_fatal_deadlock();
}

/* False: a P was taken, the run ended, or something was posted, in the meantime. */
static bool try_to_sleep(void)
{
    wi_lock(&wi_sched.lock);
    bool asleep = all_idle() && !wi_load_relaxed(&ended);
    if (asleep)
        wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_ASLEEP);
    if (wi_load_seq_cst(&posted)) {
        wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_FAST);
        asleep = false;
    }
    wi_unlock(&wi_sched.lock);
    return asleep;
}

/* What sysmon remembers from one look to the next. */
struct watch {
    uint32_t quiet;     /* looks in a row without a blocked M */
    int64_t period;     /* to the next look */
    int64_t idle_since; /* 0: not all Ps are idle */
    int64_t cpus_checked;
    int64_t trimmed;
};

static void housekeeping(struct watch *watch, int64_t now)
{
    check_network(now);
    check_timers(now);
    check_queues();
    if (now - watch->cpus_checked >= CPU_PERIOD) {
        watch->cpus_checked = now;
        wi_procs_follow_cpus();
        wi_m_reap();
    }
    if (now - watch->trimmed >= TRIM_PERIOD) {
        watch->trimmed = now;
        wi_stack_trim(false);
    }
    if (!all_idle()) {
        watch->idle_since = 0;
        return;
    }
    check_deadlock();
    if (watch->idle_since == 0)
        watch->idle_since = now;
}

static void sleep_fast(struct watch *watch)
{
    watch->period = SLOW_PERIOD_MIN;
    wi_os_sleep(FAST_PERIOD);
}

static void sleep_slowly(struct watch *watch, int64_t now)
{
    bool idle = watch->idle_since != 0 && now - watch->idle_since >= SLEEP_AFTER;
    if (idle) /* nobody trims while sysmon sleeps, and nobody needed these for a while */
        wi_stack_trim(true);
    if (idle && try_to_sleep()) {
        while (wi_load_acquire(&wi_sysmon_pace) == WI_PACE_ASLEEP)
            wi_os_futex_wait(&wi_sysmon_pace, WI_PACE_ASLEEP, INT64_MAX);
        *watch = (struct watch){.period = SLOW_PERIOD_MIN, .trimmed = wi_os_now()};
        return;
    }
    if (wi_load_relaxed(&wi_sysmon_pace) == WI_PACE_FAST) {
        wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_SLOW);
        wi_os_fence_all();
        if (check_ps(now) || wi_load_seq_cst(&posted)) {
            wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_FAST);
            watch->quiet = 0;
            return;
        }
    }
    wi_os_futex_wait(&wi_sysmon_pace, WI_PACE_SLOW, now + watch->period);
    if (wi_load_relaxed(&wi_sysmon_pace) == WI_PACE_FAST)
        watch->quiet = 0;
    else if (watch->period < SLOW_PERIOD_MAX)
        watch->period *= 2;
}

void wi_sysmon(void)
{
    long slack = wi_os_set_timer_slack(1);
    struct watch watch = {.period = SLOW_PERIOD_MIN, .trimmed = wi_os_now()};
    wi_store_seq_cst(&wi_sysmon_pace, WI_PACE_FAST);
    while (!wi_load_seq_cst(&ended)) {
        int64_t now = wi_os_now();
        if (wi_load_relaxed(&posted) && wi_exchange_seq_cst(&posted, 0))
            run_errand(false);
        if (check_ps(now))
            watch.quiet = 0;
        else if (watch.quiet < QUIET_ROUNDS)
            watch.quiet++;
        housekeeping(&watch, now);
        if (watch.quiet < QUIET_ROUNDS)
            sleep_fast(&watch);
        else
            sleep_slowly(&watch, now);
    }
    wi_os_set_timer_slack(slack);
}
