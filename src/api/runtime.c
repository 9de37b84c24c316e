/* SPDX-License-Identifier: MIT
 *
 * Counts and limits; see weft/runtime.h.
 */
#include <weft/runtime.h>

#include "core/netpoll.h"
#include "core/procs.h"
#include "core/sched.h"
#include "core/spawn.h"

int weft_maxprocs(int n)
{
    return wi_procs_set(n);
}

int weft_num_cpu(void)
{
    return wi_os_cpu_count();
}

int weft_num_goroutine(void)
{
    int count = wi_goroutine_count();
    wi_sanitize_acquire(&wi_sched); /* pairs with wi_goroutine_exit: who is not counted has ended */
    return count;
}

int weft_num_thread(void)
{
    return wi_os_thread_count();
}

static int set_limit(int *limit, int n)
{
    return n < 1 ? wi_load_relaxed(limit) : wi_exchange_acq_rel(limit, n);
}

int weft_set_max_threads(int n)
{
    return set_limit(&wi_sched.max_threads, n);
}

int weft_set_max_goroutines(int n)
{
    return set_limit(&wi_sched.max_goroutines, n);
}

/* What the Ps count, each for itself. */
static void add_counters(weft_stats *stats)
{
    uint32_t made = wi_load_acquire(&wi_sched.ps_made);
    for (uint32_t i = 0; i < made; i++) {
        const struct wi_p *pp = wi_sched.ps[i];
        stats->timers += wi_load_relaxed(&pp->timers.count);
        stats->spawned += wi_load_relaxed(&pp->spawned);
        stats->switches += wi_load_relaxed(&pp->tick);
        stats->steals += wi_load_relaxed(&pp->steals);
        stats->preempts += wi_load_relaxed(&pp->preempts);
        stats->stacks_cached += wi_load_relaxed(&pp->stacks.count);
    }
}

void weft_read_stats(weft_stats *stats)
{
    if (!stats)
        return;
    *stats = (weft_stats){
        .maxprocs = wi_procs_set(0),
        .idle_procs = (int)wi_load_relaxed(&wi_sched.idle_p_count),
        .threads = wi_os_thread_count(),
        .idle_threads = (int)wi_load_relaxed(&wi_sched.idle_m_count),
        .goroutines = wi_goroutine_count(),
        .net_waiters = (int)wi_netpoll_waiters(),
        .spawned = wi_load_relaxed(&wi_sched.spawned),
        .seizes = wi_load_relaxed(&wi_sched.seizes),
        .stacks = wi_stack_made(),
        .stacks_cached = wi_stack_pooled(),
        .stack_guard = wi_stack_guard_name(),
        .refused = wi_netpoll_refused(),
    };
    add_counters(stats);
}
