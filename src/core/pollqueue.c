/* SPDX-License-Identifier: MIT
 *
 * Who waits for a descriptor: the queues, and taking records out of them. netpoll.c has the
 * protocol; everything here happens under the descriptor's lock, unless said.
 */
#include "core/park.h"
#include "core/polldesc.h"
#include "core/sched.h"
#include "os/os.h"

static _Alignas(WI_CACHE_LINE) uint32_t waiters; /* atomic: records in queues */

uint32_t wi_netpoll_waiters(void)
{
    return wi_load_seq_cst(&waiters);
}

void wi_poll_enqueue(struct wi_poll_queue *queues, struct wi_poll_waiter *waiter)
{
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (!wi_poll_has(waiter->directions, i))
            continue;
        struct wi_poll_waiter *first = queues[i].first;
        waiter->next[i] = NULL;
        if (first) {
            waiter->prev[i] = first->prev[i];
            first->prev[i]->next[i] = waiter;
            first->prev[i] = waiter;
        } else {
            waiter->prev[i] = waiter;
            queues[i].first = waiter;
        }
    }
    waiter->queued = true;
    wi_fetch_add_seq_cst(&waiters, 1);
}

/* From every queue it is in. The caller counts it out of waiters. */
void wi_poll_dequeue(struct wi_poll_queue *queues, struct wi_poll_waiter *waiter)
{
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (!wi_poll_has(waiter->directions, i))
            continue;
        struct wi_poll_queue *queue = &queues[i];
        struct wi_poll_waiter *next = waiter->next[i];
        if (queue->first == waiter)
            queue->first = next;
        else
            waiter->prev[i]->next[i] = next;
        if (!next)
            next = queue->first; /* whose prev is the last */
        if (next)
            next->prev[i] = waiter->prev[i];
    }
    waiter->queued = false;
}

void wi_poll_publish(struct wi_poll_desc *desc, struct wi_poll_waiter *waiter, bool foreign)
{
    wi_poll_enqueue(desc->waiters, waiter);
    if (wi_unlikely(foreign) && wi_load_seq_cst(&wi_sched.last_poll) != 0)
        wi_wake_p();
}

/* ---- Waking ---- */

/* Which goroutines yet to start are concerned too. */
enum whens { WHENS_NONE, WHENS_READY, WHENS_ALL };

static bool is_concerned(const struct wi_poll_desc *desc, struct wi_poll_waiter *waiter,
                         enum whens whens)
{
    if (waiter->gp || whens == WHENS_ALL)
        return true;
    return whens == WHENS_READY && wi_poll_when_is_ready(wi_poll_when_of(waiter), desc->fd);
}

/* One that has left its queue. */
static void wake_one(struct wi_poll_waiter *waiter, int result, struct wi_poll_wake *wake)
{
    wake->removed++;
    if (!waiter->gp) {
        wi_poll_when_ended(wi_poll_when_of(waiter), result, &wake->whens);
    } else if (waiter->ticket == 0 || wi_wait_claim(waiter->gp, waiter->ticket)) {
        waiter->result = result;
        wi_glist_push(&wake->list, waiter->gp);
    }
}

static void wake_queue(struct wi_poll_desc *desc, struct wi_poll_queue *queues, int i,
                       enum whens whens, int result, struct wi_poll_wake *wake)
{
    struct wi_poll_waiter *next;
    for (struct wi_poll_waiter *waiter = queues[i].first; waiter; waiter = next) {
        next = waiter->next[i];
        if (!is_concerned(desc, waiter, whens))
            continue;
        wi_poll_dequeue(queues, waiter);
        wake_one(waiter, result, wake);
    }
}

static void wake_direction(struct wi_poll_desc *desc, int i, enum whens whens, int result,
                           struct wi_poll_wake *wake)
{
    wake_queue(desc, desc->waiters, i, whens, result, wake);
    if (desc->turns[i].first) {
        wake_queue(desc, desc->turns, i, whens, result, wake);
        wi_fetch_and_acq_rel(&desc->state, ~WI_POLL_QUEUE(1u << i));
    }
}

void wi_poll_notify(struct wi_poll_desc *desc, const struct wi_os_event *event,
                    struct wi_poll_wake *wake)
{
    if (event->readable)
        wake_queue(desc, desc->waiters, 0, WHENS_READY, 0, wake);
    if (event->writable)
        wake_queue(desc, desc->waiters, 1, WHENS_READY, 0, wake);
}

void wi_poll_try_again(struct wi_poll_desc *desc, unsigned directions, struct wi_poll_wake *wake)
{
    for (int i = 0; i < WI_DIRECTIONS; i++)
        if (wi_poll_has(directions, i))
            wake_queue(desc, desc->waiters, i, WHENS_NONE, 0, wake);
}

void wi_poll_end_waits(struct wi_poll_desc *desc, unsigned direction, int result,
                       struct wi_poll_wake *wake)
{
    wake_direction(desc, direction == WI_READ ? 0 : 1, WHENS_NONE, result, wake);
}

void wi_poll_cancel(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    for (int i = 0; i < WI_DIRECTIONS; i++)
        wake_direction(desc, i, WHENS_ALL, -ECANCELED, wake);
}

/* ---- After waking; without the lock ---- */

void wi_poll_count_out(uint32_t removed)
{
    if (removed)
        wi_fetch_sub_seq_cst(&waiters, removed);
}

void wi_poll_take_woken(struct wi_poll_wake *wake)
{
    wi_poll_count_out(wake->removed);
    wi_poll_when_start(&wake->whens, &wake->list);
}

static void ready_woken(struct wi_poll_wake *wake)
{
    wi_poll_take_woken(wake);
    if (wake->list.head)
        wi_ready_all(&wake->list);
}

/* The end of a run waits for its Ms, but not for foreign threads. These hand goroutines over before
 * they release the lock, so that none is between a queue of ours and the scheduler's when
 * wi_netpoll_fini has had every lock. */
void wi_poll_unlock(struct wi_poll_desc *desc, struct wi_poll_wake *wake, bool foreign)
{
    if (foreign)
        ready_woken(wake);
    wi_unlock(&desc->lock);
    if (!foreign)
        ready_woken(wake);
}
