/* SPDX-License-Identifier: MIT
 *
 * The number of Ps; see procs.h.
 */
#include "core/procs.h"

#include "core/env.h"
#include "core/sched.h"

static int asked; /* atomic: by the program or the environment; 0: nobody */

static int clamp(int n)
{
    return n > WEFT_MAXPROCS_LIMIT ? WEFT_MAXPROCS_LIMIT : n;
}

static int asked_by_environment(void)
{
    static int known = -1; /* atomic: so that a bad value is complained of once */
    int n = wi_load_relaxed(&known);
    if (n < 0) {
        n = (int)wi_env_number("WEFT_MAXPROCS", 1, WEFT_MAXPROCS_LIMIT, 0);
        wi_store_relaxed(&known, n);
    }
    return n;
}

int wi_procs_wanted(void)
{
    int n = wi_load_relaxed(&asked);
    if (n == 0)
        n = asked_by_environment();
    return n ? n : clamp(wi_os_cpu_count());
}

int wi_procs_set(int n)
{
    int previous = (int)wi_load_relaxed(&wi_sched.maxprocs);
    if (previous == 0)
        previous = wi_procs_wanted();
    if (n < 1)
        return previous;
    n = clamp(n);
    int before = wi_exchange_acq_rel(&asked, n);
    if (wi_load_acquire(&wi_sched.running) && wi_p_resize((uint32_t)n) != 0)
        wi_store_relaxed(&asked, before); /* no memory for so many: nothing has changed */
    return previous;
}

void wi_procs_follow_cpus(void)
{
    if (wi_load_relaxed(&asked) || asked_by_environment())
        return;
    int n = clamp(wi_os_cpu_count());
    if (n != (int)wi_load_relaxed(&wi_sched.maxprocs))
        wi_p_resize((uint32_t)n);
    int meanwhile = wi_load_seq_cst(&asked); /* the program's word counts, and comes last */
    if (meanwhile)
        wi_p_resize((uint32_t)meanwhile);
}
