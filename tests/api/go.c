/* SPDX-License-Identifier: MIT
 *
 * Starting and ending goroutines.
 */
#include "harness/test.h"

static int count; /* atomic */

static void add_one(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&count, 1, __ATOMIC_ACQ_REL);
}

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

TEST_PROCS(spawn_and_join)
{
    count = 0;
    test_each(1000, add_one);
    CHECK_EQ(count, 1000);
    for (int i = 0; i < 100; i++)
        test_each(1, add_one);
    CHECK_EQ(count, 1100);
}

TEST_PROCS(hundred_thousand_queued, .leaks = TEST_LEAKS_MEMORY)
{
    count = 0;
    for (int i = 0; i < 100000; i++)
        CHECK_EQ(weft_go(add_one, NULL), 0);
    CHECK_SOON(load(&count) == 100000);
}

static void branch(void *arg)
{
    int depth = test_index(arg);
    if (depth > 0) {
        CHECK_EQ(weft_go(branch, (void *)(intptr_t)(depth - 1)), 0);
        CHECK_EQ(weft_go(branch, (void *)(intptr_t)(depth - 1)), 0);
    }
    add_one(NULL);
}

TEST_PROCS(goroutines_start_goroutines)
{
    count = 0;
    branch((void *)(intptr_t)12);
    CHECK_SOON(load(&count) == (1 << 13) - 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Copied arguments ---- */

static int copy_size;

static void check_copy(void *arg)
{
    const unsigned char *bytes = arg;
    CHECK_EQ((uintptr_t)arg % _Alignof(max_align_t), 0);
    for (int i = 0; i < copy_size; i++)
        CHECK_EQ(bytes[i], (copy_size + i * 7) & 255);
    memset(arg, 0x5A, (size_t)copy_size); /* It is the goroutine's own. */
    add_one(NULL);
}

TEST_PROCS(copies_of_every_size)
{
    unsigned char bytes[4096];
    for (copy_size = 0; copy_size <= (int)sizeof bytes; copy_size++) {
        for (int i = 0; i < copy_size; i++)
            bytes[i] = (unsigned char)(copy_size + i * 7);
        count = 0;
        CHECK_EQ(weft_go_copy(check_copy, bytes, (size_t)copy_size), 0);
        memset(bytes, 0, sizeof bytes);
        while (load(&count) == 0)
            weft_yield();
    }
}

struct parcel {
    int number;
    char padding[90];
    int same;
};

static void open_parcel(void *arg)
{
    struct parcel *parcel = arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(parcel->number, parcel->same);
        weft_yield();
    }
    __atomic_add_fetch(&count, parcel->number, __ATOMIC_ACQ_REL);
}

TEST_PROCS(copies_are_private)
{
    struct parcel parcel = {0};
    count = 0;
    for (int i = 1; i <= 1000; i++) {
        parcel.number = parcel.same = i;
        CHECK_EQ(weft_go_copy(open_parcel, &parcel, sizeof parcel), 0);
    }
    CHECK_SOON(load(&count) == 500500);
}

TEST_PROCS(copy_of_nothing)
{
    count = 0;
    CHECK_EQ(weft_go_copy(add_one, NULL, 0), 0);
    CHECK_SOON(load(&count) == 1);
}

/* ---- Names and bad arguments ---- */

TEST_PROCS(attributes)
{
    weft_attr attr = WEFT_ATTR_INIT;
    count = 0;
    CHECK_EQ(weft_go_with(NULL, add_one, NULL), 0);
    CHECK_EQ(weft_go_with(&attr, add_one, NULL), 0);
    attr.name = "named";
    CHECK_EQ(weft_go_with(&attr, add_one, NULL), 0);
    CHECK_SOON(load(&count) == 3);
}

TEST_PROCS(bad_arguments)
{
    static const size_t bad_sizes[] = {0, 1, WEFT_STACK_MIN - 1, WEFT_STACK_MAX + 1, SIZE_MAX};
    weft_attr attr = WEFT_ATTR_INIT;
    count = 0;
    CHECK_EQ(weft_go(NULL, &count), -EINVAL);
    CHECK_EQ(weft_go_copy(NULL, &count, sizeof count), -EINVAL);
    CHECK_EQ(weft_go_copy(add_one, NULL, 1), -EINVAL);
    CHECK_EQ(weft_go_with(&attr, NULL, NULL), -EINVAL);
    CHECK_EQ(weft_go_with(NULL, NULL, NULL), -EINVAL);
    for (size_t i = 0; i < sizeof bad_sizes / sizeof *bad_sizes; i++) {
        attr.stack_size = bad_sizes[i];
        CHECK_EQ(weft_go_with(&attr, add_one, NULL), -EINVAL);
    }
    weft_sleep(10 * WEFT_MILLISECOND);
    CHECK_EQ(count, 0);
    CHECK_EQ(weft_num_goroutine(), 1);
}

TEST_PROCS(copy_too_large)
{
    if (TEST_ASAN || TEST_TSAN)
        SKIP("the sanitizer ends a program that asks for that much");
    /* The source is not looked at before the memory is there. */
    int source = 0;
    CHECK_EQ(weft_go_copy(add_one, &source, (size_t)PTRDIFF_MAX - 100), -ENOMEM);
    CHECK_EQ(weft_num_goroutine(), 1);
}

TEST(outside_of_a_run)
{
    weft_attr attr = WEFT_ATTR_INIT;
    int value = 0;
    CHECK_EQ(weft_go(add_one, NULL), -EPERM);
    CHECK_EQ(weft_go_copy(add_one, &value, sizeof value), -EPERM);
    CHECK_EQ(weft_go_with(&attr, add_one, NULL), -EPERM);
    CHECK_EQ(weft_go(NULL, NULL), -EINVAL);
    CHECK(weft_after_func(0, add_one, NULL) == NULL);
    CHECK_EQ(weft_id(), 0);
    CHECK_EQ(weft_num_goroutine(), 0);
    CHECK_GE(weft_num_thread(), 1);
    CHECK_GE(weft_maxprocs(0), 1);
    weft_yield();
    CHECK_EQ(weft_sleep(WEFT_MILLISECOND), 0);
    weft_lock_os_thread();
    weft_unlock_os_thread();
    weft_blocking_begin();
    weft_blocking_end();
}

/* ---- Ending ---- */

static __attribute__((noinline)) int leave_at(int depth)
{
    volatile char frame[64];
    volatile int leaves = 1; /* Compilers warn of recursion that cannot return. */
    frame[0] = (char)depth;
    if (depth == 0 && leaves)
        weft_exit();
    return depth ? leave_at(depth - 1) + frame[0] : 0;
}

static void leave(void *arg)
{
    add_one(NULL);
    leave_at(test_index(arg));
    FAIL("weft_exit returned");
}

TEST_PROCS(exit_from_any_depth)
{
    count = 0;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_go(leave, (void *)(intptr_t)(i % 100)), 0);
    CHECK_SOON(load(&count) == 1000);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void leave_with_copy(void *arg)
{
    (void)arg;
    add_one(NULL);
    weft_exit();
}

TEST_PROCS(exit_frees_the_copy)
{
    char bytes[4000] = "";
    count = 0;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_go_copy(leave_with_copy, bytes, sizeof bytes), 0);
    CHECK_SOON(load(&count) == 1000);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void end_process(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(weft_num_goroutine(), 1);
    fprintf(stderr, "the last one\n");
    _exit(7);
}

static void main_leaves(void)
{
    CHECK_EQ(weft_go(end_process, NULL), 0);
    weft_exit();
}

DEATH_TEST(main_exits_others_go_on_1, 7, "the last one")
{
    test_in_runtime(1, main_leaves);
}

DEATH_TEST(main_exits_others_go_on_8, 7, "the last one")
{
    test_in_runtime(8, main_leaves);
}

/* ---- Ids ---- */

enum { IDS = 200000 };
static uint64_t ids[IDS];

static void note_id(void *arg)
{
    ids[test_index(arg)] = weft_id();
    if (test_index(arg) % 64 == 0)
        weft_yield();
    CHECK_EQ(ids[test_index(arg)], weft_id());
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

TEST_PROCS(ids_are_unique, .leaks = TEST_LEAKS_MEMORY, .timeout = 120)
{
    int n = TEST_TSAN ? IDS / 10 : IDS;
    test_each(n, note_id);
    qsort(ids, (size_t)n, sizeof *ids, compare_ids);
    CHECK_GT(ids[0], 0);
    for (int i = 1; i < n; i++)
        CHECK(ids[i - 1] != ids[i]);
    CHECK_GT(weft_id(), 0);
}
