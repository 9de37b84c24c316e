/* SPDX-License-Identifier: MIT
 *
 * A P's timers against a model: at every look exactly those that are due fire, the earliest first.
 */
#include "harness/test.h"

#include "core/p.h"
#include "core/sched.h"
#include "core/timer.h"

enum { TIMERS = 2000 };

static struct wi_p *p;
static struct wi_timer timers[TIMERS];
static bool set[TIMERS]; /* the model */
static int64_t last;     /* when the one that fired last was due */
static int64_t now;
static int fired;

static void begin(void)
{
    p = wi_p_new(0);
    CHECK(p != NULL);
    wi_sched.ps[0] = p;
    wi_sched.ps_made = 1;
    wi_sched.running = true;
    wi_sched.last_poll = 1; /* Nobody waits in the netpoller and would have to be told. */
}

static void fire(void *arg, uint64_t ticket)
{
    int n = test_index(arg);
    CHECK_EQ(ticket, n + 7);
    CHECK(set[n]);
    CHECK(timers[n].p == NULL);
    CHECK_LE(timers[n].when, now);
    CHECK_GE(timers[n].when, last);
    last = timers[n].when;
    set[n] = false;
    fired++;
}

static void add(int n, int64_t when)
{
    timers[n].when = when;
    timers[n].fire = fire;
    timers[n].arg = (void *)(intptr_t)n;
    timers[n].ticket = (uint64_t)n + 7;
    wi_timer_add(&timers[n]);
    set[n] = true;
}

static int64_t earliest_set(int64_t after)
{
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (set[i] && timers[i].when > after && timers[i].when < earliest)
            earliest = timers[i].when;
    return earliest;
}

static void look(int64_t then)
{
    bool any;
    int before = fired;
    now = then;
    last = INT64_MIN;
    int64_t next = wi_timers_run(p, &then, &any);
    CHECK_EQ(then, now);
    CHECK_EQ(any, fired != before);
    CHECK_EQ(next, earliest_set(now));
    CHECK_EQ(next, earliest_set(INT64_MIN)); /* Everything that was due has fired. */
    CHECK_EQ(wi_timers_earliest(), next);
}

TEST(in_order, .leaks = TEST_LEAKS_MEMORY)
{
    begin();
    for (int i = 0; i < TIMERS; i++)
        add(i, 1 + (int64_t)test_random_below(100000));
    for (int64_t then = 1; fired < TIMERS; then += 997)
        look(then);
}

TEST(all_at_once, .leaks = TEST_LEAKS_MEMORY)
{
    begin();
    for (int i = 0; i < TIMERS; i++)
        add(i, 1 + (int64_t)test_random_below(100));
    look(50000);
    CHECK_EQ(fired, TIMERS);
}

TEST(adding_and_removing, .leaks = TEST_LEAKS_MEMORY)
{
    begin();
    int64_t then = 1;
    for (int i = 0; i < 200000; i++) {
        int n = (int)test_random_below(TIMERS);
        if (test_random_below(3) == 0) {
            CHECK_EQ(wi_timer_remove(&timers[n]), set[n]);
            set[n] = false;
        } else if (!set[n]) {
            add(n, then + (int64_t)test_random_below(1000));
        }
        if (test_random_below(50) == 0)
            look(then += (int64_t)test_random_below(50));
    }
    for (int i = 0; i < TIMERS; i++)
        CHECK_EQ(wi_timer_remove(&timers[i]), set[i]);
    CHECK_EQ(p->timers.count, 0);
    CHECK_EQ(p->timers.earliest, INT64_MAX);
}

TEST(moving_to_another_p, .leaks = TEST_LEAKS_MEMORY)
{
    begin();
    struct wi_p *first = p, *second = wi_p_new(1);
    CHECK(second != NULL);
    wi_sched.ps[1] = second;
    wi_sched.ps_made = 2;
    for (int i = 0; i < TIMERS; i++)
        add(i, 1 + (int64_t)test_random_below(100000));
    wi_timers_move(first, second);
    CHECK_EQ(first->timers.count, 0);
    CHECK_EQ(second->timers.count, TIMERS);
    for (int i = 0; i < TIMERS; i += 2) {
        CHECK(wi_timer_remove(&timers[i]));
        set[i] = false;
    }
    p = second;
    for (int64_t then = 1; fired < TIMERS / 2; then += 997)
        look(then);
    add(0, 5);
    wi_timers_move(first, NULL);
    CHECK_EQ(first->timers.count, 0);
    CHECK(!wi_timer_remove(&timers[0]));
}
