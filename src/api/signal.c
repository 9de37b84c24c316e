/* SPDX-License-Identifier: MIT
 *
 * Signals as values in channels; see weft/signal.h.
 *
 * Who delivers. The handler (os/linux/notify.c) runs on any thread and at any moment, with whatever
 * locks that thread holds; all it does is to note the signal and to post, which wakes sysmon
 * (core/sysmon.c). Sysmon takes what was noted and puts it into the channels. So nothing is needed
 * for it: no descriptor, no goroutine, no P, no memory; nothing that a signal, which comes between
 * two runs or while one ends, could find closed.
 *
 * A channel has room for each of its signals, and holds each at most once; so delivery never waits.
 * Deliver, for a signal that was taken, under signals.lock and the channel's:
 *    1. the ring holds the number: nothing. It came again before it was taken from the channel.
 *    2. else it is sent, and there is room, or a receiver.
 * (A program that sends values of its own into the channel takes that room away.)
 *
 * None is lost and none comes too late:
 *   - signals that were noted before a subscription are delivered before it begins (subscribe);
 *   - those that were noted before its end, to it too (unsubscribe); then the channel is closed,
 *     and what it holds can still be received;
 *   - a signal that comes when nobody wants it any more, or that a handler has not noted by then,
 *     has the action that it had before: notify.c.
 *
 * The end of a run. Sysmon, which is done with its own work then, ends all subscriptions as stop
 * does; no M runs any more, and foreign threads have been kept from subscribing (wi_sched.running,
 * looked at under signals.lock) or are waited for at that lock. They ready whom they wake before
 * they release it.
 *
 * signals.lock comes before the locks of channels. It is held over sigaction, up to twice for each
 * signal of a channel: a quarter of a microsecond each.
 *
 * Rejected: an eventfd that the handler writes and a goroutine that reads it. The number must not
 * be written to once it is closed, so the close has to wait for handlers; the goroutine is counted
 * as one of the program's, and waits its turn behind those that compute.
 */
#include <weft/signal.h>

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/lock.h"
#include "core/park.h"
#include "core/sched.h"
#include "os/process.h"
#include "sync/chan.h"

struct subscription {
    weft_chan *chan; /* holds a reference */
    uint64_t wanted; /* constant: bit n - 1 for signal n */
    struct subscription *next;
};

static struct {
    struct wi_lock lock;
    struct subscription *first; /* guarded by lock */
} signals;

static uint64_t bit_of(int signo)
{
    return UINT64_C(1) << (signo - 1);
}

/* The lowest signal in a set that is not empty, which leaves it. */
static int pop(uint64_t *set)
{
    int signo = __builtin_ctzll(*set) + 1;
    *set &= *set - 1;
    return signo;
}

/* ---- Delivering; in the runtime, with signals.lock held ---- */

/* All that somebody wants. */
static uint64_t wanted_by_all(void)
{
    uint64_t all = 0;
    for (const struct subscription *sub = signals.first; sub; sub = sub->next)
        all |= sub->wanted;
    return all;
}

/* The channel's lock is held. */
static bool holds(const weft_chan *chan, int signo)
{
    size_t offset = chan->recv_offset;
    for (size_t i = 0; i < chan->count; i++) {
        int held;
        memcpy(&held, chan->ring + offset, sizeof held);
        if (held == signo)
            return true;
        offset = wi_chan_after(chan, offset);
    }
    return false;
}

/* Not inlined: the compiler would warn of what the channel's copying does with larger elements. */
static WI_NOINLINE void deliver_to(weft_chan *chan, const int *signo)
{
    struct wi_g *wake = NULL;
    wi_lock(&chan->lock);
    if (!holds(chan, *signo))
        wi_chan_try_send(chan, signo, &wake);
    wi_unlock(&chan->lock);
    if (wake)
        wi_ready(wake);
}

static void deliver(int signo)
{
    for (const struct subscription *sub = signals.first; sub; sub = sub->next)
        if (sub->wanted & bit_of(signo))
            deliver_to(sub->chan, &signo);
}

static void deliver_noted(void)
{
    uint64_t set = wanted_by_all();
    while (set) {
        int signo = pop(&set);
        if (wi_os_signal_take(signo))
            deliver(signo);
    }
}

/* ---- Beginning and end of a subscription; the same holds ---- */

static void errand(bool ending);

static void subscribe(struct subscription *sub)
{
    deliver_noted();
    uint64_t set = sub->wanted & ~wanted_by_all();
    sub->next = signals.first;
    signals.first = sub;
    wi_store_relaxed(&wi_sched.listeners, wi_sched.listeners + 1);
    wi_store_release(&wi_sysmon_errand, errand);
    while (set)
        wi_os_signal_catch(pop(&set), wi_sysmon_post);
}

/* Takes *link out of the list; the rest, drop, is done without the lock. */
static struct subscription *unsubscribe(struct subscription **link)
{
    struct subscription *sub = *link;
    deliver_noted();
    *link = sub->next;
    uint64_t set = sub->wanted & ~wanted_by_all();
    while (set) {
        int signo = pop(&set);
        if (wi_os_signal_release(signo))
            deliver_to(sub->chan, &signo);
    }
    wi_store_relaxed(&wi_sched.listeners, wi_sched.listeners - 1);
    wi_chan_close(sub->chan);
    return sub;
}

static void drop(struct subscription *sub)
{
    weft_chan_unref(sub->chan);
    wi_sanitize_hide(); /* another goroutine may have made it */
    free(sub);
    wi_sanitize_show();
}

/* On sysmon's thread. */
static void errand(bool ending)
{
    struct subscription *sub, *ended = NULL;
    struct wi_g *gp = wi_enter();
    wi_lock(&signals.lock);
    deliver_noted();
    while (ending && signals.first) {
        sub = unsubscribe(&signals.first);
        sub->next = ended;
        ended = sub;
    }
    wi_unlock(&signals.lock);
    wi_leave(gp);
    while ((sub = ended)) {
        ended = sub->next;
        drop(sub);
    }
}

/* ---- For the program ---- */

static struct subscription *new_subscription(uint64_t wanted)
{
    wi_sanitize_hide();
    struct subscription *sub = malloc(sizeof *sub);
    wi_sanitize_show();
    weft_chan *chan = weft_chan_new(sizeof(int), (size_t)__builtin_popcountll(wanted));
    if (!sub || !chan) {
        free(sub);
        weft_chan_unref(chan);
        return NULL;
    }
    *sub = (struct subscription){.chan = weft_chan_ref(chan), .wanted = wanted};
    return sub;
}

/* The program's reference. */
static weft_chan *begin(uint64_t wanted)
{
    struct subscription *sub = new_subscription(wanted);
    if (!sub)
        return NULL;
    weft_chan *chan = sub->chan;
    struct wi_g *gp = wi_enter();
    wi_lock(&signals.lock);
    bool running = wi_load_acquire(&wi_sched.running);
    if (running)
        subscribe(sub);
    wi_unlock(&signals.lock);
    wi_leave(gp);
    if (running)
        return chan;
    drop(sub);
    weft_chan_unref(chan);
    return NULL;
}

weft_chan *(weft_signal_chan)(int signo, ...)
{
    uint64_t wanted = 0;
    bool valid = true;
    va_list list;
    va_start(list, signo);
    for (int number = signo; number != 0 && valid; number = va_arg(list, int)) {
        valid = wi_os_signal_can_catch(number);
        if (valid)
            wanted |= bit_of(number);
    }
    va_end(list);
    return valid && wanted ? begin(wanted) : NULL;
}

int weft_signal_stop(weft_chan *chan)
{
    struct wi_g *gp = wi_enter();
    wi_lock(&signals.lock);
    struct subscription **link = &signals.first;
    while (*link && (*link)->chan != chan)
        link = &(*link)->next;
    struct subscription *sub = *link ? unsubscribe(link) : NULL;
    wi_unlock(&signals.lock);
    wi_leave(gp);
    if (!sub)
        return -EINVAL;
    drop(sub);
    weft_chan_unref(chan);
    return 0;
}
