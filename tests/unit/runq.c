/* SPDX-License-Identifier: MIT
 *
 * A P's run queue: first in, first out, and however many thieves there are, nothing is lost and nothing
 * is had twice.
 */
#include "harness/test.h"

#include <pthread.h>
#include <sched.h>

#include "core/runq.h"

enum { GS = 1000, THIEVES = 3, ITEMS = 300000 };

static struct wi_g gs[GS];
static struct wi_runq queue;

static int number_of(const struct wi_g *gp)
{
    return (int)(gp - gs);
}

static uint32_t length(const struct wi_runq *of)
{
    return of->tail - of->head + (of->runnext != NULL);
}

TEST(first_in_first_out)
{
    int put = 0, got = 0;
    for (int round = 0; round < 2000; round++) {
        for (int n = (int)test_random_below(WI_RUNQ_SIZE); n > 0; n--) {
            if (!wi_runq_put(&queue, &gs[put % GS])) {
                CHECK_EQ(put - got, WI_RUNQ_SIZE);
                break;
            }
            put++;
        }
        CHECK_EQ(length(&queue), put - got);
        CHECK_EQ(wi_runq_empty(&queue), put == got);
        for (int n = (int)test_random_below(WI_RUNQ_SIZE); n > 0 && got < put; n--)
            CHECK(wi_runq_get(&queue) == &gs[got++ % GS]);
    }
    while (got < put)
        CHECK(wi_runq_get(&queue) == &gs[got++ % GS]);
    CHECK(wi_runq_get(&queue) == NULL);
}

TEST(indices_wrap)
{
    queue.head = queue.tail = UINT32_MAX - 100;
    test_first_in_first_out();
}

TEST(runnext)
{
    CHECK(wi_runq_take_next(&queue) == NULL);
    CHECK(wi_runq_put_next(&queue, &gs[1]) == NULL);
    CHECK(!wi_runq_empty(&queue));
    CHECK_EQ(length(&queue), 1);
    CHECK(wi_runq_put_next(&queue, &gs[2]) == &gs[1]);
    CHECK(wi_runq_take_next(&queue) == &gs[2]);
    CHECK(wi_runq_take_next(&queue) == NULL);
    CHECK(wi_runq_empty(&queue));
}

TEST(the_older_half_is_taken)
{
    struct wi_g *half[WI_RUNQ_SIZE / 2];
    for (int i = 0; i < WI_RUNQ_SIZE; i++)
        CHECK(wi_runq_put(&queue, &gs[i]));
    CHECK(!wi_runq_put(&queue, &gs[WI_RUNQ_SIZE]));
    CHECK_EQ(wi_runq_take_half(&queue, half), WI_RUNQ_SIZE / 2);
    for (int i = 0; i < WI_RUNQ_SIZE / 2; i++)
        CHECK(half[i] == &gs[i]);
    wi_runq_put_batch(&queue, half, 10);
    for (int i = WI_RUNQ_SIZE / 2; i < WI_RUNQ_SIZE; i++)
        CHECK(wi_runq_get(&queue) == &gs[i]);
    for (int i = 0; i < 10; i++)
        CHECK(wi_runq_get(&queue) == &gs[i]);
    CHECK(wi_runq_empty(&queue));
}

TEST(half_is_stolen)
{
    for (int n = 0; n <= WI_RUNQ_SIZE; n++) {
        static struct wi_runq thief;
        memset(&thief, 0, sizeof thief);
        for (int i = 0; i < n; i++)
            CHECK(wi_runq_put(&queue, &gs[i]));
        struct wi_g *last = wi_runq_steal(&thief, &queue);
        int stolen = (n + 1) / 2;
        CHECK_EQ(length(&thief), stolen ? stolen - 1 : 0);
        CHECK_EQ(length(&queue), n - stolen);
        CHECK(last == (stolen ? &gs[stolen - 1] : NULL));
        for (int i = 0; i < stolen - 1; i++)
            CHECK(wi_runq_get(&thief) == &gs[i]);
        for (int i = stolen; i < n; i++)
            CHECK(wi_runq_get(&queue) == &gs[i]);
    }
}

/* ---- Thieves ---- */

static int seen[GS]; /* atomic: how often each was had */
static int taken;    /* atomic */
static int goal;     /* atomic: what will have been put; -1 while not known */

static void note(const struct wi_g *gp)
{
    __atomic_add_fetch(&seen[number_of(gp)], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
}

static bool finished(void)
{
    return __atomic_load_n(&taken, __ATOMIC_RELAXED) == __atomic_load_n(&goal, __ATOMIC_RELAXED);
}

static void *steal(void *arg)
{
    static struct wi_runq own[THIEVES];
    struct wi_runq *mine = &own[test_index(arg)];
    while (!finished()) {
        struct wi_g *gp = wi_runq_steal(mine, &queue);
        if (!gp)
            sched_yield();
        for (; gp; gp = wi_runq_get(mine))
            note(gp);
    }
    return NULL;
}

TEST(nothing_is_lost_or_had_twice, .timeout = 120)
{
    pthread_t threads[THIEVES];
    struct wi_g *half[WI_RUNQ_SIZE / 2];
    int items = TEST_TSAN ? ITEMS / 10 : ITEMS, put = 0;
    goal = -1;
    for (int i = 0; i < THIEVES; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, steal, (void *)(intptr_t)i), 0);
    while (put < items) {
        for (int n = (int)test_random_below(100); n > 0 && put < items; n--, put++) {
            struct wi_g *gp = &gs[put % GS];
            if (n % 3 == 0 && !(gp = wi_runq_put_next(&queue, gp)))
                continue;
            while (!wi_runq_put(&queue, gp)) {
                uint32_t count = wi_runq_take_half(&queue, half);
                for (uint32_t i = 0; i < count; i++)
                    note(half[i]);
            }
        }
        for (int n = (int)test_random_below(50); n > 0; n--) {
            struct wi_g *gp = wi_runq_take_next(&queue);
            if (!gp && !(gp = wi_runq_get(&queue)))
                break;
            note(gp);
        }
        if (test_random_below(20) == 0)
            sched_yield();
    }
    struct wi_g *last = wi_runq_take_next(&queue); /* the holder's alone */
    if (last)
        note(last);
    __atomic_store_n(&goal, put, __ATOMIC_RELAXED);
    for (int i = 0; i < THIEVES; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(wi_runq_empty(&queue));
    for (int i = 0; i < GS; i++)
        CHECK_EQ(seen[i], put / GS + (i < put % GS));
}
