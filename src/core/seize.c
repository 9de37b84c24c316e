/* SPDX-License-Identifier: MIT
 *
 * Taking the P of an M that is in user code, without that M's help, so that the others go on while
 * it is blocked.
 *
 * Protocol: an asymmetric Dekker handshake between an M (frequent, so it pays nothing) and a
 * claimer (rare, so it pays for both with a membarrier). mode is written by the M only. claim: 0
 * the M owns its P; 1 a claimer asks; 2 the claimer took it; 3 the claimer looks into it, for a
 *   moment. M, entering the runtime (wi_enter):
 *     1. mode = RUNTIME (plain store); compiler barrier; 2. load claim (acquire: pairs with 9). 0:
 *     go on.
 *     3. 1: CAS 1->0, the P is kept. 2: the P is gone, get another. 3: wait until it is 0.
 *   M, leaving (wi_leave): 4. mode = USER or BLOCKING (release: what it did to its P comes before).
 *   Claimer, holding seize_lock, so that there is only one:
 *     5. mp = p->m; CAS claim 0->1; 6. membarrier; 7. load mode (acquire: pairs with 4).
 *     8. not RUNTIME: CAS 1->2, or 1->3; on success mp->p, read under the claim, is the claimer's.
 *        RUNTIME: CAS 1->0, and the M's preempt flag may ask it to come round by itself.
 *     9. after 3: store 0 (release).
 *   Correct because
 *     - if 7 misses the store of 1, then that store came after the barrier 6, and so did the load
 *       2, which therefore sees claim 1 or 2: the M does not go on without a CAS;
 *     - 3 and 8 are a CAS on one word: exactly one side ends with the P;
 *     - only one claimer exists, so claim cannot go 1->0->1 under 8;
 *     - p->m in 5 is a hint. It may be outdated when claim becomes 1; but then whatever P mp holds
 *       while its mode is not RUNTIME is read after the fact, from mp->p, which cannot change until
 *       the M has passed 3.
 *
 * In a forked child there are no claimers, and claim is 4 for good (fork.c): step 3 ends the child.
 *
 * An M that lost its P goes on with user code, and finds out at its next entry. In this file it
 * then takes an idle P, or queues its goroutine as runnable and lets its thread stop.
 */
#include "core/blocking.h"
#include "core/fork.h"

static struct wi_lock seize_lock;

enum { CLAIM_ASKED = 1, CLAIM_TAKEN = 2, CLAIM_VISITED = 3, CLAIM_FORKED = 4 };

/* Steps 5 to 8, seize_lock is held. The M whose claim is now as wanted, or NULL; *busy, if busy is
 * not NULL, is the M that was asked. */
static struct wi_m *claim(struct wi_p *pp, bool any_user, uint32_t wanted, struct wi_m **busy)
{
    struct wi_m *mp = wi_load_acquire(&pp->m);
    uint32_t expected = 0;
    if (!mp)
        return NULL;
    if (busy)
        *busy = mp;
    if (wi_load_relaxed(&mp->mode) == WI_MODE_RUNTIME || /* spares the fence; 7 decides */
        !wi_cas_seq_cst(&mp->claim, &expected, CLAIM_ASKED))
        return NULL;
    wi_os_fence_all();
    uint32_t mode = wi_load_acquire(&mp->mode);
    bool eligible = mode == WI_MODE_BLOCKING || (mode == WI_MODE_USER && any_user);
    expected = CLAIM_ASKED;
    if (eligible && wi_load_relaxed(&mp->p) == pp && wi_cas_acq_rel(&mp->claim, &expected, wanted))
        return mp;
    expected = CLAIM_ASKED;
    wi_cas_acq_rel(&mp->claim, &expected, 0);
    return NULL;
}

bool wi_seize(struct wi_p *pp, bool any_user)
{
    struct wi_m *busy = NULL;
    wi_lock(&seize_lock);
    bool taken = claim(pp, any_user, CLAIM_TAKEN, &busy) != NULL;
    if (taken)
        wi_store_release(&pp->m, NULL);
    else if (busy && any_user)
        wi_store_relaxed(&busy->preempt, 1);
    wi_unlock(&seize_lock);
    return taken;
}

struct wi_g *wi_steal_next(struct wi_p *pp)
{
    struct wi_g *gp = NULL;
    wi_lock(&seize_lock);
    struct wi_m *mp = claim(pp, true, CLAIM_VISITED, NULL);
    if (mp) {
        gp = wi_runq_take_next(&pp->runq);
        wi_store_release(&mp->claim, 0);
    }
    wi_unlock(&seize_lock);
    return gp;
}

/* On g0, without a P: run on when there is one. */
static void reacquire_action(struct wi_m *mp, struct wi_g *gp)
{
    wi_lock(&wi_sched.lock);
    if (mp->run != wi_load_relaxed(&wi_sched.run) || !wi_load_relaxed(&wi_sched.maxprocs)) {
        wi_unlock(&wi_sched.lock);
        mp->ending = true;
        mp->locked_g = NULL;
        gp->locked_m = NULL;
        wi_sanitize_release_for(&gp->sanitize, &wi_sched);
        wi_goroutine_free(NULL, gp);
        return;
    }
    struct wi_p *pp = wi_p_idle_get();
    if (!pp)
        wi_submit_global_locked(gp);
    wi_unlock(&wi_sched.lock);
    if (pp) {
        wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
        wi_p_acquire(mp, pp);
        wi_submit_next(pp, gp);
    }
}

/* The M's P is gone and the M is in the runtime. */
static void reacquire(struct wi_g *gp)
{
    struct wi_m *mp = gp->m;
    struct wi_p *pp = NULL;
    wi_store_relaxed(&mp->p, NULL);
    wi_store_release(&mp->claim, 0);
    if (wi_load_relaxed(&wi_sched.idle_p_count) != 0 && mp->run == wi_load_relaxed(&wi_sched.run)) {
        wi_lock(&wi_sched.lock);
        if (mp->run == wi_load_relaxed(&wi_sched.run))
            pp = wi_p_idle_get();
        wi_unlock(&wi_sched.lock);
    }
    if (pp)
        wi_p_acquire(mp, pp);
    else
        wi_switch_to_g0(gp, reacquire_action);
}

void wi_enter_slow(struct wi_g *gp)
{
    enum { VISIT_SPINS = 256 };
    struct wi_m *mp = gp->m;
    uint32_t seen, spins = 0;
    while ((seen = wi_load_acquire(&mp->claim)) != 0) {
        if (seen == CLAIM_TAKEN) {
            reacquire(gp);
            return;
        }
        if (seen == CLAIM_ASKED && wi_cas_acq_rel(&mp->claim, &seen, 0))
            return;
        if (seen == CLAIM_FORKED)
            wi_fork_fatal();
        if (++spins % VISIT_SPINS == 0)
            wi_os_yield(); /* the visitor may have lost its CPU */
        wi_cpu_relax();
    }
}

void wi_enter_never(struct wi_m *mp)
{
    wi_store_relaxed(&mp->claim, CLAIM_FORKED);
}

static void preempt_action(struct wi_m *mp, struct wi_g *gp)
{
    wi_owner_add(&mp->p->preempts, 1);
    wi_store_relaxed(&gp->status, WI_G_WAITING);
    wi_submit_global(gp);
    wi_wake_another();
}

/* The slice is over, or the P is to be retired: give way. */
void wi_leave_slow(struct wi_g *gp)
{
    if (gp->user_mode == WI_MODE_RUNTIME) /* wi_stay; later */
        return;
    wi_store_relaxed(&gp->m->preempt, 0);
    wi_switch_to_g0(gp, preempt_action);
}

/* sysmon looks seldom: is there anybody who would miss this P before it does? Work that waits for
 * it, or nobody else awake to notice new work. */
void wi_block_nudge(const struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    if (wi_load_relaxed(&mp->claim) == CLAIM_TAKEN)
        return;
    bool work = !wi_runq_empty(&pp->runq) || wi_load_relaxed(&wi_sched.queue_size) != 0;
    bool others =
        wi_load_relaxed(&wi_sched.spinning) != 0 || wi_load_relaxed(&wi_sched.last_poll) == 0;
    if (work || !others)
        wi_sysmon_nudge();
}
