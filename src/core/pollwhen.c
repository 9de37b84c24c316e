/* SPDX-License-Identifier: MIT
 *
 * Goroutines that start when a descriptor is ready: weft_go_when. Until then there is only a
 * record, in the same queues as those who wait for readiness (netpoll.c, whose reasons why nobody
 * misses an edge hold for it too), so that an idle connection costs no goroutine.
 *
 * Whoever takes the record out of the queues, under the descriptor's lock, ends its wait: an event,
 * the timer, close, or the end of a run. That happens once, so the goroutine is started once. The
 * record is no operation: close does not wait for it.
 *
 * An event is taken at its word by a call that waits, which tries again and may wait again; a record
 * cannot. The event may be older than the record, collected by an M that has not come to handle it,
 * and what it told of was read since; or be of the direction and not what is waited for. So poll(2)
 * is asked whether it is so [155 ns].
 *
 * timer: its call comes with the descriptor, which is never freed, and the record's number, which
 * is never used again; it looks for the record in the queues, under the lock, and finds that it
 * comes too late if it is not there.
 *
 * start: the record is the goroutine's argument, and freed when that ends. The goroutine joins
 * those that the same event wakes, so that an M which polls goes on with it at once. When none can
 * be had, for lack of memory or because of weft_set_max_goroutines, the record goes to the end of a
 * queue that a timer tries again, and others queue behind it. Without a run it is freed: its
 * goroutine would have been discarded.
 */
#include "core/polldesc.h"

#include <errno.h>
#include <stdlib.h>

#include "core/park.h"
#include "core/sched.h"
#include "core/spawn.h"
#include "core/timer.h"
#include "os/os.h"
#include "os/socket.h"

#define TRY_AGAIN WEFT_MILLISECOND

struct wi_poll_when {
    struct wi_poll_waiter waiter; /* first, gp is NULL; its result is the goroutine's */
    struct wi_poll_when *next;    /* in a list of those to start */
    void (*fn)(void *arg);
    void *arg;
    struct wi_timer timer; /* set only while queued */
    int events;            /* constant: of poll(2) */
};

_Static_assert(sizeof(struct wi_poll_when) + sizeof(struct wi_poll_desc) <= 384,
               "an idle connection takes these, and a place among the timers");

/* Those that could not be started yet. */
static struct {
    struct wi_lock lock;
    struct wi_poll_whens whens; /* guarded by lock, with armed */
    bool armed;
    struct wi_timer timer;
} starved;

struct wi_poll_when *wi_poll_when_new(void (*fn)(void *arg), void *arg, unsigned directions,
                                      int events, int64_t deadline)
{
    struct wi_poll_when *when = malloc(sizeof *when);
    if (when)
        *when = (struct wi_poll_when){.waiter.directions = directions,
                                      .fn = fn,
                                      .arg = arg,
                                      .timer.when = deadline,
                                      .events = events};
    return when;
}

struct wi_poll_when *wi_poll_when_of(struct wi_poll_waiter *waiter)
{
    return (struct wi_poll_when *)waiter;
}

bool wi_poll_when_is_ready(const struct wi_poll_when *when, int fd)
{
    return wi_os_fd_poll(fd, when->events, WEFT_NOWAIT) != 0;
}

/* ---- Waiting ---- */

static struct wi_poll_when *find(struct wi_poll_desc *desc, uint64_t number)
{
    for (int i = 0; i < WI_DIRECTIONS; i++)
        for (struct wi_poll_waiter *waiter = desc->waiters[i].first; waiter;
             waiter = waiter->next[i])
            if (!waiter->gp && wi_poll_when_of(waiter)->timer.ticket == number)
                return wi_poll_when_of(waiter);
    return NULL;
}

/* The timer's call. */
static void time_is_up(void *arg, uint64_t number)
{
    struct wi_poll_desc *desc = arg;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    struct wi_poll_when *when = find(desc, number);
    if (when) {
        wi_poll_dequeue(desc->waiters, &when->waiter);
        wake.removed = 1;
        wi_poll_when_ended(when, -ETIMEDOUT, &wake.whens);
    }
    wi_poll_unlock(desc, &wake, false);
}

static void set_timer(struct wi_poll_desc *desc, struct wi_poll_when *when)
{
    static uint64_t numbers; /* atomic; 0 is that of records without a timer */
    when->timer.fire = time_is_up;
    when->timer.arg = desc;
    when->timer.ticket = wi_fetch_add_relaxed(&numbers, 1) + 1;
    wi_timer_add(&when->timer);
}

int wi_poll_when_add(struct wi_g *gp, struct wi_poll_desc *desc, struct wi_poll_when *when,
                     uint32_t seen)
{
    int result = 0;
    wi_sanitize_release(when);
    wi_lock(&desc->lock);
    if (wi_poll_is_closing(desc))
        result = -ECANCELED;
    else if (wi_load_relaxed(&desc->events) != seen)
        result = 1;
    else if (!wi_poll_active())
        result = -EPERM;
    else
        result = wi_poll_register(desc);
    if (result == 0) {
        wi_poll_publish(desc, &when->waiter, gp->foreign);
        if (when->timer.when != WEFT_FOREVER)
            set_timer(desc, when);
    }
    wi_unlock(&desc->lock);
    return result;
}

static void push(struct wi_poll_whens *whens, struct wi_poll_when *when)
{
    when->next = NULL;
    if (whens->first)
        whens->last->next = when;
    else
        wi_store_relaxed(&whens->first, when);
    whens->last = when;
}

void wi_poll_when_ended(struct wi_poll_when *when, int result, struct wi_poll_whens *whens)
{
    if (when->timer.fire)
        wi_timer_remove(&when->timer);
    when->waiter.result = result;
    push(whens, when);
}

/* ---- Starting ---- */

static void run(void *arg)
{
    struct wi_poll_when *when = arg;
    wi_sanitize_acquire(when);
    when->fn(when->arg);
}

int wi_poll_when_result(const struct wi_g *gp)
{
    return gp->fn == run ? ((struct wi_poll_when *)gp->arg)->waiter.result : -EINVAL;
}

static struct wi_spawn request_for(struct wi_poll_when *when)
{
    return (struct wi_spawn){
        .fn = run, .arg = when, .owns_arg = true, .stack_class = WI_STACK_CLASS_DEFAULT};
}

/* Appends the goroutine to list. False: none can be had now. */
static bool make(struct wi_poll_when *when, struct wi_glist *list)
{
    struct wi_spawn request = request_for(when);
    int error = wi_spawn_waiting(&request, list);
    if (error == -EPERM)
        free(when);
    return error == 0 || error == -EPERM;
}

/* The timer's call. */
static void try_again(void *arg, uint64_t ticket)
{
    (void)arg, (void)ticket;
    wi_poll_when_retry();
}

/* A timer that the end of a run made forget its call is set again by the next to come here. The
 * lock is held. */
static void arm(void)
{
    if (starved.armed && !wi_timer_was_forgotten(&starved.timer))
        return;
    starved.armed = true;
    starved.timer.when = wi_os_now() + TRY_AGAIN;
    starved.timer.fire = try_again;
    wi_timer_add(&starved.timer);
}

void wi_poll_when_retry(void)
{
    struct wi_glist list = {0};
    wi_lock(&starved.lock);
    starved.armed = false;
    struct wi_poll_when *when;
    while ((when = starved.whens.first)) {
        struct wi_poll_when *next = when->next;
        if (!make(when, &list)) {
            arm();
            break;
        }
        wi_store_relaxed(&starved.whens.first, next);
    }
    wi_unlock(&starved.lock);
    wi_ready_all(&list);
}

/* A foreign thread may come after the run has ended and wi_poll_when_retry has freed the others. */
static void starve(struct wi_poll_when *when)
{
    wi_lock(&starved.lock);
    bool active = wi_poll_active();
    if (active) {
        push(&starved.whens, when);
        arm();
    }
    wi_unlock(&starved.lock);
    if (!active)
        free(when);
}

void wi_poll_when_start(struct wi_poll_whens *whens, struct wi_glist *list)
{
    struct wi_poll_when *when, *next;
    for (when = whens->first; when; when = next) {
        next = when->next;
        if (wi_load_relaxed(&starved.whens.first) || !make(when, list))
            starve(when);
    }
}

void wi_poll_when_start_now(struct wi_poll_when *when, int result)
{
    struct wi_spawn request = request_for(when);
    when->waiter.result = result;
    wi_sanitize_release(when);
    int error = wi_load_relaxed(&starved.whens.first) ? -EAGAIN : wi_spawn_with(NULL, &request);
    if (error == -EPERM)
        free(when);
    else if (error)
        starve(when);
}
