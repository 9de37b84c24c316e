/* SPDX-License-Identifier: MIT
 *
 * Contexts that goroutines and threads make, share, cancel and drop at random: a cancel that has
 * returned has reached everything below, whoever else was cancelling there, and nothing is freed
 * too early or never.
 */
#include "harness/test.h"

#include <pthread.h>

/* The unit tests include this file and take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif

#if TEST_ASAN
int __lsan_do_recoverable_leak_check(void);
#endif

/* How often, for what takes n rounds by itself. */
static int share(int n)
{
    return 1 + n / STRESS_SHARE / test_scale();
}

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}

static bool chance(uint64_t *random, uint64_t one_in)
{
    return next_random(random) % one_in == 0;
}

static void check_cancelled(weft_ctx *ctx)
{
    CHECK_LT(weft_ctx_err(ctx), 0);
    CHECK_EQ(weft_chan_recv_until(weft_ctx_done(ctx), NULL, WEFT_NOWAIT), -EPIPE);
}

/* ---- What all see ---- */

enum { SLOTS = 16, TREE = 12, WORKERS = 8, THREADS = 2 };

static struct slot {
    weft_mutex mutex;
    weft_ctx *ctx;
} slots[SLOTS];

static weft_ctx *take(uint64_t *random)
{
    struct slot *slot = &slots[next_random(random) % SLOTS];
    weft_mutex_lock(&slot->mutex);
    weft_ctx *ctx = weft_ctx_ref(slot->ctx);
    weft_mutex_unlock(&slot->mutex);
    return ctx;
}

static void put(uint64_t *random, weft_ctx *ctx)
{
    struct slot *slot = &slots[next_random(random) % SLOTS];
    weft_mutex_lock(&slot->mutex);
    weft_ctx *old = slot->ctx;
    slot->ctx = ctx;
    weft_mutex_unlock(&slot->mutex);
    weft_ctx_unref(old);
}

static weft_ctx *derive(uint64_t *random, weft_ctx *parent)
{
    uint64_t r = next_random(random);
    weft_ctx *ctx;
    if (r % 4 == 0)
        ctx = weft_ctx_with_deadline(parent, weft_after((int64_t)(r / 4 % 200000)));
    else if (r % 4 == 1)
        ctx = weft_ctx_with_value(parent, slots, random);
    else
        ctx = weft_ctx_with_cancel(parent);
    CHECK(ctx != NULL);
    return ctx;
}

/* ---- What one does ---- */

static void make_one(uint64_t *random)
{
    weft_ctx *parent = chance(random, 4) ? weft_ctx_background() : take(random);
    put(random, derive(random, parent));
    weft_ctx_unref(parent);
}

static void cancel_one(uint64_t *random)
{
    weft_ctx *ctx = take(random);
    if (ctx != weft_ctx_background()) {
        weft_ctx_cancel(ctx, -(int)(next_random(random) % 100));
        check_cancelled(ctx);
    }
    weft_ctx_unref(ctx);
}

static void await_one(uint64_t *random)
{
    weft_ctx *ctx = take(random);
    int64_t deadline = weft_after((int64_t)(next_random(random) % 50000));
    weft_chan *done = weft_ctx_done(ctx);
    if (done && weft_chan_recv_until(done, NULL, deadline) == -EPIPE)
        check_cancelled(ctx);
    weft_ctx_unref(ctx);
}

/* A tree below a shared node; some of it becomes shared too. Cancels a part, and looks at all of
 * that part. */
static void grow_and_fell(uint64_t *random)
{
    weft_ctx *tree[TREE];
    int parent[TREE];
    bool below[TREE] = {false};
    tree[0] = take(random);
    parent[0] = -1;
    for (int i = 1; i < TREE; i++) {
        parent[i] = chance(random, 2) ? i - 1 : (int)(next_random(random) % (uint64_t)i);
        tree[i] = derive(random, tree[parent[i]]);
        if (chance(random, 4))
            put(random, weft_ctx_ref(tree[i]));
    }
    if (chance(random, 2))
        weft_yield();
    int root = (int)(next_random(random) % TREE);
    if (tree[root] != weft_ctx_background()) {
        weft_ctx_cancel(tree[root], -1);
        below[root] = true;
        for (int i = root; i < TREE; i++) {
            below[i] |= i > root && below[parent[i]];
            if (below[i])
                check_cancelled(tree[i]);
        }
    }
    int first = (int)(next_random(random) % TREE);
    for (int i = 0; i < TREE; i++)
        weft_ctx_unref(tree[(first + i) % TREE]);
}

static void work(uint64_t random, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        switch (next_random(&random) % 6) {
        case 0:
        case 1:
            make_one(&random);
            break;
        case 2:
            cancel_one(&random);
            break;
        case 3:
            await_one(&random);
            break;
        default:
            grow_and_fell(&random);
        }
    }
}

static void work_in_goroutine(void *index)
{
    (void)index;
    work(test_random() | 1, share(20000));
}

static void *work_in_thread(void *seed)
{
    work(*(uint64_t *)seed, share(10000));
    return NULL;
}

static void run_forest(void)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (int i = 0; i < SLOTS; i++)
        slots[i].ctx = weft_ctx_background();
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = test_random() | 1;
        CHECK_EQ(pthread_create(&threads[i], NULL, work_in_thread, &seeds[i]), 0);
    }
    test_each(WORKERS, work_in_goroutine);
    weft_blocking_begin();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
    for (int i = 0; i < SLOTS; i++)
        weft_ctx_unref(slots[i].ctx);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void check_leaks(void)
{
#if TEST_ASAN
    memset(slots, 0, sizeof slots);
    CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
#endif
}

TEST_PROCS(forest, .timeout = 120)
{
    run_forest();
    check_leaks();
}

/* ---- A deadline, the last drop and a cancel at the same time ---- */

static weft_ctx *doomed;

static void drop_in_time(void *index)
{
    weft_sleep_until(weft_ctx_deadline(doomed) - 20000 + (int64_t)test_random_below(40000));
    if (test_index(index) == 0 && test_random_below(4) == 0)
        weft_ctx_cancel(doomed, 0);
    weft_ctx_unref(doomed);
}

TEST_PROCS(deadline_and_last_drop, .timeout = 120)
{
    enum { DROPPERS = 3 };
    for (int round = 0; round < share(5000); round++) {
        weft_ctx *parent = weft_ctx_with_cancel(weft_ctx_background());
        doomed = weft_ctx_with_deadline(parent, weft_after(40000));
        for (int i = 1; i < DROPPERS; i++)
            weft_ctx_ref(doomed);
        if (round % 2)
            weft_ctx_unref(parent);
        test_each(DROPPERS, drop_in_time);
        if (round % 2 == 0)
            weft_ctx_unref(parent);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    check_leaks();
}

/* ---- Runs that end with deadlines in every state ---- */

enum { LEFT = 200 };

static weft_ctx *left[LEFT];

static void leave_behind(void)
{
    for (int i = 0; i < LEFT; i++) {
        left[i] = weft_ctx_with_deadline(i % 2 && left[i - 1] ? left[i - 1] : weft_ctx_background(),
                                         weft_after((int64_t)test_random_below(300000)));
        CHECK(left[i] != NULL);
    }
    weft_sleep((int64_t)test_random_below(300000));
}

/* Nothing is leaked, as these trees are small (context.c, "Stacks and time"). */
TEST(runs_end_at_deadlines, .timeout = 120)
{
    for (int run = 0; run < share(200); run++) {
        test_in_runtime(1 + run % 3, leave_behind);
        for (int i = 0; i < LEFT; i++) {
            int error = weft_ctx_err(left[i]);
            CHECK(error == 0 || error == -ETIMEDOUT);
        }
        for (int i = 0; i < LEFT; i += 3)
            weft_ctx_cancel(left[i], -EIO);
        for (int i = 0; i < LEFT; i++)
            weft_ctx_unref(left[i]);
        memset(left, 0, sizeof left);
    }
}

/* ---- Groups: members fail, exit, start others and have groups of their own ---- */

struct team {
    weft_group *group;
    uint64_t random;
    int depth;
};

static int ended, started; /* atomic */

static int play(void *arg);

static void hire(uint64_t *random, weft_group *group, int depth)
{
    struct team *team = malloc(sizeof *team);
    *team = (struct team){group, next_random(random) | 1, depth};
    int result =
        chance(random, 3) ? weft_group_trygo(group, play, team) : weft_group_go(group, play, team);
    CHECK(result == 0 || result == -EAGAIN);
    if (result == 0)
        __atomic_add_fetch(&started, 1, __ATOMIC_ACQ_REL);
    else
        free(team);
}

static int play(void *arg)
{
    struct team team = *(struct team *)arg;
    free(arg);
    for (int i = 0; i < 3 && team.depth > 0; i++) {
        if (chance(&team.random, 2)) {
            weft_group *inner = malloc(sizeof *inner);
            weft_group_init(inner, weft_group_ctx(team.group));
            if (chance(&team.random, 2))
                weft_group_limit(inner, 1 + (int)(next_random(&team.random) % 3));
            for (int n = 0; n < 3; n++)
                hire(&team.random, inner, team.depth - 1);
            weft_group_wait(inner);
            memset(inner, 0xff, sizeof *inner);
            free(inner);
        } else if (chance(&team.random, 2)) {
            weft_yield();
        }
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_ACQ_REL);
    if (chance(&team.random, 5))
        weft_exit();
    return chance(&team.random, 5) ? -1 - (int)(next_random(&team.random) % 100) : 0;
}

TEST_PROCS(teams, .timeout = 120)
{
    uint64_t random = test_random() | 1;
    ended = started = 0;
    for (int round = 0; round < share(300); round++) {
        weft_group group;
        weft_group_init(&group, NULL);
        if (round % 2)
            weft_group_limit(&group, 2);
        for (int i = 0; i < 10; i++)
            hire(&random, &group, 3);
        CHECK_LE(weft_group_wait(&group), 0);
    }
    CHECK_EQ(ended, started);
    CHECK_SOON(weft_num_goroutine() == 1);
    check_leaks();
}
