/* SPDX-License-Identifier: MIT
 *
 * Events that come late, again or for nothing: the poller is wrapped to report old ones. A late
 * event must not count for the descriptor that has the number now, and one that nobody expects is
 * harmless.
 */
#include "api/net_test.h"

#include "core/netpoll.h"
#include "core/park.h"
#include "core/polldesc.h"
#include "os/os.h"

enum { HISTORY = 256 };

static struct wi_lock history_lock;
static struct wi_os_event history[HISTORY]; /* guarded by history_lock, with the next two */
static uint32_t history_count;
static struct wi_os_event chosen; /* to be reported once more */
static int repeats;               /* atomic: how often chosen is still to be reported */
static bool repeat_at_random;     /* atomic */

int __real_wi_os_poller_wait(struct wi_os_poller *poller, struct wi_os_event *events, int capacity,
                             int64_t deadline, bool *woken);
int __wrap_wi_os_poller_wait(struct wi_os_poller *poller, struct wi_os_event *events, int capacity,
                             int64_t deadline, bool *woken);

int __wrap_wi_os_poller_wait(struct wi_os_poller *poller, struct wi_os_event *events, int capacity,
                             int64_t deadline, bool *woken)
{
    int count = __real_wi_os_poller_wait(poller, events, capacity - 1, deadline, woken);
    if (count < 0)
        return count;
    wi_lock(&history_lock);
    for (int i = 0; i < count; i++)
        history[history_count++ % HISTORY] = events[i];
    if (wi_load_relaxed(&repeats) > 0) {
        events[count++] = chosen;
        wi_store_relaxed(&repeats, repeats - 1);
    } else if (wi_load_relaxed(&repeat_at_random) && history_count > 0) {
        events[count++] = history[test_random_below(history_count) % HISTORY];
    }
    wi_unlock(&history_lock);
    return count;
}

/* Reports the event once more and returns when that was done. */
static void repeat(struct wi_os_event event)
{
    wi_lock(&history_lock);
    chosen = event;
    wi_store_relaxed(&repeats, 1);
    wi_unlock(&history_lock);
    CHECK_SOON(wi_load_relaxed(&repeats) == 0);
    weft_sleep(WEFT_MILLISECOND); /* it is handled right after */
}

static struct wi_os_event last_event(void)
{
    wi_lock(&history_lock);
    struct wi_os_event event = history[(history_count - 1) % HISTORY];
    wi_unlock(&history_lock);
    return event;
}

static uint32_t events_seen(int fd)
{
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    uint32_t seen;
    CHECK_EQ(wi_poll_begin(gp, fd, 0, &desc), 0);
    CHECK_EQ(wi_poll_prepare(desc, WI_READ, &seen), 0);
    wi_poll_end(gp, desc, 0);
    wi_leave(gp);
    return seen;
}

static void make_it_wait(int fds[2])
{
    struct call call = {.fd = fds[0], .fn = call_read};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&call), 1);
}

TEST_PROCS(generation)
{
    int fds[2], successor[2];
    pair_unix(fds);
    make_it_wait(fds);
    struct wi_os_event old = last_event();
    uint32_t seen = events_seen(fds[0]);
    repeat(old);
    CHECK_EQ(events_seen(fds[0]), seen + 1);
    pair_close(fds);

    pair_unix(successor);
    CHECK_EQ(successor[0], fds[0]);
    seen = events_seen(successor[0]);
    repeat(old); /* before it is registered */
    CHECK_EQ(events_seen(successor[0]), seen);
    make_it_wait(successor);
    seen = events_seen(successor[0]);
    repeat(old); /* and afterwards */
    CHECK_EQ(events_seen(successor[0]), seen);
    pair_close(successor);
    repeat(old); /* and when there is none */
}

/* ---- An event that is older than who waits ---- */

static int starts; /* atomic */

static void count_start(void *arg)
{
    (void)arg;
    wi_fetch_add_relaxed(&starts, 1);
}

/* What it told of has been read since: a call would wait again, a goroutine must not be started. */
TEST_PROCS(nothing_to_start_for)
{
    int fds[2];
    pair_unix(fds);
    make_it_wait(fds);
    struct wi_os_event old = last_event();
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, count_start, NULL), 0);
    for (int i = 0; i < 10; i++)
        repeat(old);
    CHECK_EQ(wi_load_relaxed(&starts), 0);
    CHECK_EQ(net_waiters(), 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_SOON(wi_load_relaxed(&starts) == 1);
    pair_close(fds);
}

/* ---- A timer's call that comes after the timer was set again ---- */

TEST_PROCS(late_timer)
{
    int fds[2];
    weft_stats stats;
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(3600 * WEFT_SECOND), WEFT_FOREVER), 0);
    call_start(&call, 1);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(1800 * WEFT_SECOND), WEFT_FOREVER), 0);
    struct wi_timer *timer = &wi_poll_desc_find(fds[0])->timer[0];
    struct wi_g *gp = wi_enter();
    timer->fire(timer->arg, timer->ticket - 2);
    wi_leave(gp);
    CHECK(wi_poll_desc_find(fds[0])->armed[0]);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK(!call_done(&call));
    pair_close(fds);
    CHECK_EQ(call_join(&call), -ECANCELED);
    CHECK_SOON((weft_read_stats(&stats), stats.timers == 0));
}

/* ---- At random, among descriptors that come and go ---- */

static void reuse_once(int kind)
{
    struct endpoint at = endpoint_listen(kind, 1);
    struct call accept = {.fd = at.fd, .fn = call_accept};
    call_start(&accept, 1);
    int fds[2] = {endpoint_dial(&at), (int)call_join(&accept)};
    CHECK_GE(fds[1], 0);
    struct call calls[] = {
        {.fd = fds[0], .fn = call_read},
        {.fd = fds[0], .fn = call_write},
        {.fd = fds[1], .fn = call_wait, .events = POLLRDHUP, .deadline = WEFT_FOREVER},
    };
    for (int i = 0; i < 3; i++)
        call_start(&calls[i], i + 1);
    weft_sleep(200 * WEFT_MICROSECOND);
    for (int i = 0; i < 3; i++)
        CHECK(!call_done(&calls[i]));
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&calls[0]), 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    /* As the kernel moves on what was written, the writer may be between two writes just then. */
    long written = call_join(&calls[1]);
    CHECK(written == -ECANCELED || written == -EBADF);
    /* The end of the stream comes after all that was written. */
    static char buffer[65536];
    while (weft_read(fds[1], buffer, sizeof buffer) > 0) {
    }
    CHECK_NE(call_join(&calls[2]) & POLLRDHUP, 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    endpoint_close(&at);
}

TEST_PROCS(random_repeats)
{
    wi_store_relaxed(&repeat_at_random, true);
    for (int i = 0; i < 200; i++)
        reuse_once(i % 2 ? KIND_TCP : KIND_UNIX);
}

/* ---- A connection is not there because its socket was woken ---- */

static int stop; /* atomic */

static void wake_for_nothing(int fd)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(fd);
    struct wi_poll_wake wake = {0};
    struct wi_g *gp = wi_enter();
    if (desc) {
        wi_lock(&desc->lock);
        wi_poll_end_waits(desc, WI_READ, 0, &wake);
        wi_poll_end_waits(desc, WI_WRITE, 0, &wake);
        wi_poll_unlock(desc, &wake, gp->foreign);
    }
    wi_leave(gp);
}

static void wake_all_for_nothing(void *arg)
{
    (void)arg;
    while (!wi_load_relaxed(&stop)) {
        for (int fd = 0; fd < 64; fd++)
            wake_for_nothing(fd);
        weft_sleep(100 * WEFT_MICROSECOND);
    }
    wi_store_relaxed(&stop, 0);
}

TEST_PROCS(connection_in_progress)
{
    enum { MANY = 16 };
    int fds[MANY], count = 0;
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    CHECK_EQ(weft_go(wake_all_for_nothing, NULL), 0);
    do
        fds[count] = weft_dial(at.network, at.address, weft_after(50 * WEFT_MILLISECOND));
    while (fds[count] >= 0 && ++count < MANY);
    CHECK_LT(count, MANY);
    CHECK_EQ(fds[count], -ETIMEDOUT);
    wi_store_relaxed(&stop, 1);
    CHECK_SOON(wi_load_relaxed(&stop) == 0);
    while (count > 0)
        CHECK_EQ(weft_close(fds[--count]), 0);
    endpoint_close(&at);
}
