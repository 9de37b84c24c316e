/* SPDX-License-Identifier: MIT
 *
 * Timers: a 4-ary heap for each P (as in Go: half the depth of a binary one, and four neighbours
 * share a cache line).
 *
 * Whoever needs a timer's heap reads timer->p, takes that heap's lock, and looks again: a timer
 * moves to another heap only under both heaps' locks. A timer that fires has p == NULL before the
 * lock is released, and its fields were copied; so its memory is the owner's again.
 *
 * Rejected: a pairing heap linked through the timers. It needs no array, but the first removal
 * after a million insertions visits all of them, each on a stack page of its own.
 */
#include "core/timer.h"

#include <errno.h>
#include <stddef.h>

#include "core/sched.h"
#include "core/self.h"
#include "os/os.h"

/* Address space only; pages appear as the heap grows. */
#define HEAP_ENTRIES ((size_t)1 << 26)
#define HEAP_MINIMUM ((size_t)1 << 16)

int wi_timers_init(struct wi_timers *timers)
{
    size_t entries = HEAP_ENTRIES;
    while (!(timers->heap = wi_os_reserve(entries * sizeof *timers->heap, wi_os_page_size()))) {
        entries /= 4;
        if (entries < HEAP_MINIMUM)
            return -ENOMEM;
    }
    timers->capacity = (uint32_t)entries;
    timers->earliest = INT64_MAX;
    return 0;
}

static void place(struct wi_timers *timers, uint32_t index, struct wi_timer_entry entry)
{
    timers->heap[index] = entry;
    entry.timer->index = index;
}

static void sift_up(struct wi_timers *timers, uint32_t index, struct wi_timer_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 4;
        if (timers->heap[parent].when <= entry.when)
            break;
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, entry);
}

static void sift_down(struct wi_timers *timers, uint32_t index, struct wi_timer_entry entry)
{
    struct wi_timer_entry *heap = timers->heap;
    for (;;) {
        uint32_t child = 4 * index + 1;
        if (child >= timers->count)
            break;
        uint32_t end = child + 4 < timers->count ? child + 4 : timers->count;
        uint32_t least = child;
        for (uint32_t i = child + 1; i < end; i++)
            if (heap[i].when < heap[least].when)
                least = i;
        if (heap[least].when >= entry.when)
            break;
        place(timers, index, heap[least]);
        index = least;
    }
    place(timers, index, entry);
}

/* The functions from here on to the next blank section need the heap's lock. */

static void note_earliest(struct wi_timers *timers)
{
    wi_store_relaxed(&timers->earliest, timers->count ? timers->heap[0].when : INT64_MAX);
}

static void insert(struct wi_p *pp, struct wi_timer *timer)
{
    struct wi_timers *timers = &pp->timers;
    if (timers->count == timers->capacity)
        wi_fatal("more than %u timers on one P", timers->capacity);
    wi_store_relaxed(&timer->p, pp);
    wi_store_relaxed(&timers->count, timers->count + 1);
    sift_up(timers, timers->count - 1, (struct wi_timer_entry){timer->when, timer});
    note_earliest(timers);
}

static void extract(struct wi_timers *timers, struct wi_timer *timer)
{
    uint32_t index = timer->index;
    wi_store_relaxed(&timers->count, timers->count - 1);
    struct wi_timer_entry last = timers->heap[timers->count];
    if (last.timer != timer) {
        if (index > 0 && last.when < timers->heap[(index - 1) / 4].when)
            sift_up(timers, index, last);
        else
            sift_down(timers, index, last);
    }
    note_earliest(timers);
    /* Release, and the last access: pairs with lock_heap_of, whose caller may reuse the memory. */
    wi_store_release(&timer->p, NULL);
}

/* The heap that the timer is in, locked; NULL if it is not set. */
static struct wi_timers *lock_heap_of(struct wi_timer *timer)
{
    struct wi_p *pp;
    while ((pp = wi_load_acquire(&timer->p)) && pp != WI_TIMER_FORGOTTEN) {
        wi_lock(&pp->timers.lock);
        if (wi_load_relaxed(&timer->p) == pp)
            return &pp->timers;
        wi_unlock(&pp->timers.lock);
    }
    return NULL;
}

/* The end of a run forgets the timers of the first P after it has cleared running. A foreign thread
 * that takes the heap's lock before that has its timer forgotten there, and one that takes it after
 * finds running cleared, or another run on.
 *
 * The M that adds will usually look for work next and sees the new timer then; only if it runs
 * something else must a sleeping poller be told (findrunnable.c). From elsewhere it must be told at
 * once. */
void wi_timer_add(struct wi_timer *timer)
{
    struct wi_m *mp = wi_getm();
    bool own = mp && mp->p;
    struct wi_p *pp = own ? mp->p : wi_load_acquire(&wi_sched.ps[0]);
    wi_lock(&pp->timers.lock);
    if (!own && !wi_load_relaxed(&wi_sched.running)) {
        wi_store_relaxed(&timer->p, WI_TIMER_FORGOTTEN);
        wi_unlock(&pp->timers.lock);
        return;
    }
    bool earliest = timer->when < pp->timers.earliest;
    int64_t when = timer->when;
    insert(pp, timer);
    wi_unlock(&pp->timers.lock);
    if (!earliest)
        return;
    if (own)
        pp->timers.unannounced = true;
    else
        wi_announce_timer(when);
}

bool wi_timer_remove(struct wi_timer *timer)
{
    struct wi_timers *timers = lock_heap_of(timer);
    if (!timers)
        return false;
    extract(timers, timer);
    wi_unlock(&timers->lock);
    return true;
}

int64_t wi_timers_run(struct wi_p *pp, int64_t *now, bool *fired)
{
    struct wi_timers *timers = &pp->timers;
    int64_t earliest = wi_load_relaxed(&timers->earliest);
    *fired = false;
    if (earliest == INT64_MAX)
        return earliest;
    if (*now == 0)
        *now = wi_os_now();
    if (earliest > *now)
        return earliest;

    wi_lock(&timers->lock);
    while (timers->count > 0 && timers->heap[0].when <= *now) {
        struct wi_timer *timer = timers->heap[0].timer;
        struct wi_timer due = *timer;
        extract(timers, timer);
        wi_unlock(&timers->lock);
        due.fire(due.arg, due.ticket);
        *fired = true;
        wi_lock(&timers->lock);
    }
    earliest = timers->earliest;
    wi_unlock(&timers->lock);
    return earliest;
}

void wi_timers_move(struct wi_p *from, struct wi_p *to)
{
    wi_lock(&from->timers.lock);
    if (to)
        wi_lock(&to->timers.lock);
    while (from->timers.count > 0) {
        struct wi_timer *timer = from->timers.heap[from->timers.count - 1].timer;
        wi_store_relaxed(&from->timers.count, from->timers.count - 1);
        if (to)
            insert(to, timer);
        else
            wi_store_release(&timer->p, WI_TIMER_FORGOTTEN); /* the last access, as in extract */
    }
    note_earliest(&from->timers);
    if (to)
        wi_unlock(&to->timers.lock);
    wi_unlock(&from->timers.lock);
}

int64_t wi_timers_earliest(void)
{
    int64_t earliest = INT64_MAX;
    uint32_t count = wi_load_acquire(&wi_sched.ps_made);
    for (uint32_t i = 0; i < count; i++) {
        int64_t when = wi_load_relaxed(&wi_sched.ps[i]->timers.earliest);
        if (when < earliest)
            earliest = when;
    }
    return earliest;
}
