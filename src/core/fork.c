/* SPDX-License-Identifier: MIT
 *
 * The guard against fork while a run is on.
 *
 * Such a child has one thread and a copy of everything else: Ps held by Ms that do not exist, locks
 * that nobody will release, and an epoll instance that it shares with its parent. It may call exec
 * or _exit, and what needs no runtime (weft_now, weft_id); a weft call that would run into the rest
 * ends it with a message instead of a hang. Calls that are not in a child pay nothing for that:
 *   - the thread of a goroutine that forks gets a claim that is never taken back, so that the next
 *     wi_enter takes its slow path (seize.c), which looks at it;
 *   - any other thread comes by wi_foreign_g in every call (self.c), and weft_run looks too.
 *
 * A child that is forked while no run is on is like its parent, and may have runs.
 *
 * The child keeps its copies of the poller's descriptors until exec: nothing in it can come as far
 * as to use them, and it has no say in what the parent has registered there. posix_spawn, system
 * and popen, as vfork, run no such handler, and need none.
 */
#include "core/fork.h"

#include "core/sched.h"
#include "core/self.h"

bool wi_forked;

void wi_fork_fatal(void)
{
    wi_fatal("weft was called in a forked child: only exec and _exit may follow a fork while a "
             "runtime runs");
}

static void in_child(void)
{
    if (!wi_load_relaxed(&wi_run_taken))
        return;
    wi_store_relaxed(&wi_forked, true);
    struct wi_m *mp = wi_getm();
    if (mp)
        wi_enter_never(mp);
}

int wi_fork_init(void)
{
    return wi_os_at_fork(in_child);
}
