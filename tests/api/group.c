/* SPDX-License-Identifier: MIT
 *
 * Groups, and scopes in C; group.cc tries scopes in C++.
 */
#include "harness/test.h"

#include <pthread.h>

static int ran; /* atomic */

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int run(void *result)
{
    weft_yield();
    add(&ran, 1);
    return test_index(result);
}

static void *as_pointer(int result)
{
    return (void *)(intptr_t)result;
}

static void check_zero(const weft_group *group)
{
    static const weft_group zero;
    CHECK(memcmp(group, &zero, sizeof zero) == 0);
}

TEST_PROCS(waits_for_all)
{
    enum { N = 1000 };
    weft_group group;
    ran = 0;
    weft_group_init(&group, NULL);
    weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(&group));
    for (int i = 0; i < N; i++)
        CHECK_EQ(weft_group_go(&group, run, NULL), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
    CHECK_EQ(ran, N);
    CHECK_EQ(weft_ctx_err(ctx), -ECANCELED);
    CHECK(weft_group_ctx(&group) == NULL);
    check_zero(&group);
    weft_ctx_unref(ctx);
}

TEST_PROCS(zero_group)
{
    weft_group group = {0};
    CHECK(weft_group_ctx(&group) == NULL);
    CHECK_EQ(weft_group_wait(&group), 0);
    for (int round = 0; round < 10; round++) {
        ran = 0;
        for (int i = 0; i < 100; i++)
            CHECK_EQ(weft_group_go(&group, run, as_pointer(i == 50 ? -7 - round : 0)), 0);
        CHECK_EQ(weft_group_wait(&group), -7 - round);
        CHECK_EQ(ran, 100);
        check_zero(&group);
    }
    weft_group_end(&group);
}

/* ---- Errors ---- */

static int fail_after(void *order)
{
    weft_sleep(test_index(order) * 50 * WEFT_MILLISECOND);
    return -1 - test_index(order);
}

TEST_PROCS(first_error_wins)
{
    weft_group group;
    weft_group_init(&group, weft_ctx_background());
    CHECK_EQ(weft_group_go(&group, fail_after, as_pointer(2)), 0);
    CHECK_EQ(weft_group_go(&group, fail_after, as_pointer(0)), 0);
    CHECK_EQ(weft_group_go(&group, run, NULL), 0);
    weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(&group));
    CHECK_EQ(weft_chan_recv(weft_ctx_done(ctx), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(ctx), -1);
    CHECK_EQ(weft_group_go(&group, fail_after, as_pointer(1)), 0);
    CHECK_EQ(weft_group_wait(&group), -1);
    CHECK_EQ(weft_ctx_err(ctx), -1);
    weft_ctx_unref(ctx);
}

TEST_PROCS(a_positive_error)
{
    weft_group group;
    weft_group_init(&group, NULL);
    weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(&group));
    CHECK_EQ(weft_group_go(&group, run, as_pointer(42)), 0);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(ctx), NULL), -EPIPE);
    CHECK_EQ(weft_group_wait(&group), 42);
    CHECK_EQ(weft_ctx_err(ctx), -ECANCELED);
    weft_ctx_unref(ctx);
}

static int until_cancelled(void *arg)
{
    weft_group *group = arg;
    weft_ctx *ctx = weft_group_ctx(group);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(ctx), NULL), -EPIPE);
    add(&ran, 1);
    return weft_ctx_err(ctx);
}

TEST_PROCS(an_error_stops_the_others)
{
    weft_group group;
    ran = 0;
    weft_group_init(&group, NULL);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_group_go(&group, until_cancelled, &group), 0);
    CHECK_EQ(weft_group_go(&group, run, as_pointer(-EIO)), 0);
    CHECK_EQ(weft_group_wait(&group), -EIO);
    CHECK_EQ(ran, 51);
}

TEST_PROCS(the_parent_stops_all)
{
    weft_ctx *parent = weft_ctx_with_deadline(weft_ctx_background(), weft_after(WEFT_MILLISECOND));
    weft_group group;
    weft_group_init(&group, parent);
    CHECK_EQ(weft_ctx_deadline(weft_group_ctx(&group)), weft_ctx_deadline(parent));
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_group_go(&group, until_cancelled, &group), 0);
    CHECK_EQ(weft_group_wait(&group), -ETIMEDOUT);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_ctx_unref(parent);
}

/* ---- Limits ---- */

static int inside, most; /* atomic */

static int occupy(void *arg)
{
    int now = add(&inside, 1);
    int seen = load(&most);
    while (now > seen && !__atomic_compare_exchange_n(&most, &seen, now, true, __ATOMIC_ACQ_REL,
                                                      __ATOMIC_ACQUIRE))
        ;
    for (uint64_t i = test_random_below(4); i > 0; i--)
        weft_yield();
    add(&inside, -1);
    return run(arg);
}

TEST_PROCS(limit_holds)
{
    enum { N = 2000 };
    for (int limit = 1; limit <= 9; limit += 4) {
        weft_group group;
        weft_group_init(&group, NULL);
        weft_group_limit(&group, limit);
        ran = inside = most = 0;
        for (int i = 0; i < N; i++) {
            int result = i % 3 ? weft_group_go(&group, occupy, NULL)
                               : weft_group_trygo(&group, occupy, NULL);
            CHECK(result == 0 || (i % 3 == 0 && result == -EAGAIN));
            if (result)
                add(&ran, 1);
        }
        CHECK_EQ(weft_group_wait(&group), 0);
        CHECK_EQ(ran, N);
        CHECK_LE(most, limit);
        CHECK_EQ(inside, 0);
    }
}

static weft_chan *gate;

static int wait_at_gate(void *arg)
{
    CHECK_EQ(weft_chan_recv(gate, NULL), -EPIPE);
    return run(arg);
}

static int open_later(void *arg)
{
    weft_sleep(10 * WEFT_MILLISECOND);
    CHECK_EQ(weft_chan_close(gate), 0);
    return run(arg);
}

TEST_PROCS(trygo_at_the_limit)
{
    weft_group group = {0}, other = {0};
    gate = weft_chan_new(0, 0);
    ran = 0;
    weft_group_limit(&group, 2);
    CHECK_EQ(weft_group_trygo(&group, wait_at_gate, NULL), 0);
    CHECK_EQ(weft_group_trygo(&group, wait_at_gate, NULL), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_group_trygo(&group, run, NULL), -EAGAIN);
    CHECK_EQ(weft_group_go(&other, open_later, NULL), 0);
    CHECK_EQ(weft_group_go(&group, run, NULL), 0); /* waits */
    CHECK_GE(load(&ran), 1);
    CHECK_EQ(weft_group_wait(&group), 0);
    CHECK_EQ(weft_group_wait(&other), 0);
    CHECK_EQ(ran, 4);
    weft_chan_unref(gate);
}

TEST_PROCS(limits_change)
{
    weft_group group;
    weft_group_init(&group, NULL);
    weft_group_limit(&group, 0);
    CHECK_EQ(weft_group_go(&group, run, NULL), -EINVAL);
    CHECK_EQ(weft_group_trygo(&group, run, NULL), -EAGAIN);
    weft_group_limit(&group, 1);
    CHECK_EQ(weft_group_go(&group, run, NULL), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
    /* The wait has forgotten the limit. */
    gate = weft_chan_new(0, 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_group_trygo(&group, wait_at_gate, NULL), 0);
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
    weft_chan_unref(gate);
    weft_group_limit(&group, 1);
    weft_group_limit(&group, -1);
    check_zero(&(weft_group){.flags = group.flags});
    weft_group_end(&group);
    check_zero(&group);
}

/* A go that fails gives its slot back, and is nothing that one waits for. */
TEST_PROCS(too_many_goroutines)
{
    weft_group group;
    weft_group_init(&group, NULL);
    weft_group_limit(&group, 2);
    int before = weft_set_max_goroutines(1);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_group_go(&group, run, NULL), -EAGAIN);
        CHECK_EQ(weft_group_trygo(&group, run, NULL), -EAGAIN);
    }
    weft_set_max_goroutines(before);
    CHECK_EQ(weft_ctx_err(weft_group_ctx(&group)), 0);
    CHECK_EQ(weft_group_go(&group, run, NULL), 0);
    CHECK_EQ(weft_group_go(&group, run, NULL), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
}

/* ---- How members end ---- */

/* From the bottom of a recursion. */
static int leave_early(void *depth)
{
    if (test_index(depth) > 0)
        return leave_early(as_pointer(test_index(depth) - 1)) + 1;
    weft_yield();
    if (add(&ran, 1) > 0)
        weft_exit();
    return -EIO;
}

TEST_PROCS(exit_counts_as_success)
{
    weft_group group;
    ran = 0;
    weft_group_init(&group, NULL);
    weft_group_limit(&group, 3);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_group_go(&group, i % 2 ? leave_early : run, as_pointer(i % 2 ? i : 0)), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
    CHECK_EQ(ran, 100);
}

/* Members start members. */
static weft_group family;

static int breed(void *generations)
{
    int n = test_index(generations);
    add(&ran, 1);
    for (int i = 0; n > 0 && i < 3; i++)
        CHECK_EQ(weft_group_go(&family, breed, as_pointer(n - 1)), 0);
    return 0;
}

TEST_PROCS(members_start_members)
{
    for (int round = 0; round < 20; round++) {
        ran = 0;
        weft_group_init(&family, NULL);
        CHECK_EQ(weft_group_go(&family, breed, as_pointer(5)), 0);
        CHECK_EQ(weft_group_wait(&family), 0);
        CHECK_EQ(ran, 1 + 3 + 9 + 27 + 81 + 243);
    }
}

/* A group in a group: the inner's error goes up, the outer's cancellation down. */
struct level {
    weft_group *outer;
    int depth;
    int error;
};

static int nest(void *arg)
{
    struct level *level = arg;
    if (level->depth == 0)
        return level->error ? level->error : until_cancelled(level->outer);
    WEFT_GROUP_SCOPE(inner, weft_group_ctx(level->outer));
    struct level fails = {&inner, level->depth - 1, level->error};
    struct level waits = {&inner, level->depth - 1, 0};
    CHECK_EQ(weft_group_go(&inner, nest, &fails), 0);
    CHECK_EQ(weft_group_go(&inner, nest, &waits), 0);
    return weft_group_wait(&inner);
}

TEST_PROCS(groups_in_groups)
{
    weft_group group;
    ran = 0;
    weft_group_init(&group, NULL);
    struct level level = {&group, 6, -EIO};
    CHECK_EQ(weft_group_go(&group, nest, &level), 0);
    CHECK_EQ(weft_group_wait(&group), -EIO);
    CHECK_EQ(ran, 63); /* all leaves but the one that fails */
}

/* ---- Scopes ---- */

static weft_ctx *scope(int way)
{
    for (int i = 0; i < 3; i++) {
        WEFT_GROUP_SCOPE(group, NULL);
        weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(&group));
        CHECK_EQ(weft_ctx_err(ctx), 0);
        if (way == 0)
            return ctx;
        CHECK_EQ(weft_group_go(&group, run, NULL), 0);
        CHECK_EQ(weft_group_wait(&group), 0);
        if (way == 1)
            return ctx;
        weft_ctx_unref(ctx);
        if (way == 2)
            goto out;
        if (way == 3)
            break;
    }
out:
    return NULL;
}

TEST_PROCS(scopes_end_in_any_way)
{
    for (int way = 0; way < 5; way++) {
        weft_ctx *ctx = scope(way);
        if (ctx)
            CHECK_EQ(weft_ctx_err(ctx), -ECANCELED);
        weft_ctx_unref(ctx);
    }
}

/* From group.cc; without a C++ compiler this one stands for it. */
int scopes_in_cxx(void);
__attribute__((weak)) int scopes_in_cxx(void)
{
    return -1;
}

TEST_PROCS(scopes_in_cxx)
{
    int result = scopes_in_cxx();
    if (result < 0)
        SKIP("no C++ compiler");
    CHECK_EQ(result, 0);
}

/* ---- Elsewhere ---- */

TEST(group_without_a_runtime)
{
    weft_group group;
    weft_group_init(&group, NULL);
    CHECK_EQ(weft_group_go(&group, run, NULL), -EPERM);
    CHECK_EQ(weft_group_trygo(&group, run, NULL), -EPERM);
    weft_group_limit(&group, 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_group_go(&group, run, NULL), -EPERM);
    CHECK_EQ(weft_group_wait(&group), 0);
    weft_group_end(&group);
}

TEST(group_bad_arguments)
{
    weft_group group = {0};
    CHECK_EQ(weft_group_go(NULL, run, NULL), -EINVAL);
    CHECK_EQ(weft_group_trygo(NULL, run, NULL), -EINVAL);
    CHECK_EQ(weft_group_go(&group, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_group_trygo(&group, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_group_wait(NULL), -EINVAL);
    check_zero(&group);
}

static void *use_in_thread(void *arg)
{
    weft_group group;
    weft_group_init(&group, NULL);
    weft_group_limit(&group, 2);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_group_go(&group, run, as_pointer(i == 99 ? -EIO : 0)), 0);
    CHECK_EQ(weft_group_wait(&group), -EIO);
    return arg;
}

TEST_PROCS(foreign_threads_have_groups)
{
    pthread_t threads[4];
    ran = 0;
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_in_thread, NULL), 0);
    weft_blocking_begin();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
    CHECK_EQ(ran, 400);
}

/* The group's memory is gone as soon as the wait is over. */
static void short_lived(void *index)
{
    for (int i = 0; i < 1000 / test_scale(); i++) {
        weft_group *group = malloc(sizeof *group);
        weft_group_init(group, NULL);
        if (i % 2)
            weft_group_limit(group, 1 + i % 3);
        for (int n = 0; n < 1 + i % 4; n++)
            CHECK_EQ(weft_group_go(group, run, as_pointer(i % 8 == 0 ? -EIO : 0)), 0);
        CHECK_EQ(weft_group_wait(group), i % 8 == 0 ? -EIO : 0);
        memset(group, 0xff, sizeof *group);
        free(group);
    }
    (void)index;
}

TEST_PROCS(short_lived_groups)
{
    test_each(8, short_lived);
}
