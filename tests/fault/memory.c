/* SPDX-License-Identifier: MIT
 *
 * Out of memory: calls that need some say so, and the program goes on.
 */
#include "harness/test.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* atomic: allocations to let through before they fail; negative: all */
static int mmaps_left = -1;
static int mallocs_left = -1;
static int failed; /* atomic */

static bool fails(int *left)
{
    int now = __atomic_load_n(left, __ATOMIC_ACQUIRE);
    while (now > 0)
        if (__atomic_compare_exchange_n(left, &now, now - 1, true, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return false;
    if (now != 0)
        return false;
    __atomic_add_fetch(&failed, 1, __ATOMIC_ACQ_REL);
    errno = ENOMEM; /* In a static program the C library fails too, and looks at it. */
    return true;
}

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(&mmaps_left) ? MAP_FAILED
                              : __real_mmap(address, size, protection, flags, fd, offset);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return fails(&mallocs_left) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(&mallocs_left) ? NULL : __real_calloc(count, size);
}

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fails(&mallocs_left) ? NULL : __real_aligned_alloc(align, size);
}

static void limit(int mmaps, int mallocs)
{
    __atomic_store_n(&failed, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mmaps_left, mmaps, __ATOMIC_RELEASE);
    __atomic_store_n(&mallocs_left, mallocs, __ATOMIC_RELEASE);
}

static int ran; /* atomic */

static void run(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&ran, 1, __ATOMIC_ACQ_REL);
}

/* Works afterwards: what every test here ends with. */
static void check_health(void)
{
    limit(-1, -1);
    ran = 0;
    test_each(1000, run);
    CHECK_EQ(ran, 1000);
}

/* Queued goroutines take memory of their own until there is none. */
TEST_PROCS(no_more_goroutines, .leaks = TEST_LEAKS_MEMORY)
{
    int accepted = 0, result = 0;
    ran = 0;
    limit(0, -1);
    while (accepted < 10000000 && (result = weft_go(run, NULL)) == 0)
        accepted++;
    CHECK_EQ(result, -ENOMEM);
    CHECK_GT(__atomic_load_n(&failed, __ATOMIC_ACQUIRE), 0);
    CHECK_GT(accepted, 0);
    limit(-1, -1);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE) == accepted);
    check_health();
}

/* Without memory for its record nothing waits; without a goroutine it starts when there is one. */
TEST_PROCS(no_memory_for_go_when, .leaks = TEST_LEAKS_MEMORY)
{
    int fds[2], accepted = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(weft_wait(fds[0], POLLOUT, WEFT_FOREVER), POLLOUT);
    limit(-1, 0);
    int result = weft_go_when(fds[0], POLLIN, WEFT_FOREVER, run, NULL);
    limit(-1, -1);
    CHECK_EQ(result, -ENOMEM);
    ran = 0;
    limit(0, -1);
    while (accepted < 10000000 && (result = weft_go(run, NULL)) == 0)
        accepted++;
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(weft_go_when(fds[0], POLLOUT, WEFT_FOREVER, run, NULL), 0);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, run, NULL), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
    limit(-1, -1);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE) == accepted + 2);
    CHECK_EQ(weft_close(fds[1]), 0);
    check_health();
}

TEST_PROCS(no_memory_for_a_copy)
{
    char bytes[4096] = "";
    limit(-1, 0);
    int result = weft_go_copy(run, bytes, sizeof bytes);
    limit(-1, -1);
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(weft_num_goroutine(), 1);
    check_health();
}

TEST_PROCS(no_memory_for_objects)
{
    limit(-1, 0);
    weft_chan *chan = weft_chan_new(8, 100);
    weft_timer *timer = weft_after_func(0, run, NULL);
    limit(-1, -1);
    CHECK(chan == NULL);
    CHECK(timer == NULL);
    CHECK_EQ(weft_num_goroutine(), 1);
    check_health();
}

/* Each of them needs two blocks; the parent is as it was. */
TEST_PROCS(no_memory_for_contexts_and_tickers)
{
    static int key;
    weft_ctx *parent = weft_ctx_with_cancel(weft_ctx_background());
    for (int blocks = 0; blocks < 2; blocks++) {
        limit(-1, blocks);
        weft_ctx *with_cancel = weft_ctx_with_cancel(parent);
        limit(-1, blocks);
        weft_ctx *with_deadline = weft_ctx_with_deadline(parent, weft_after(WEFT_SECOND));
        limit(-1, blocks);
        weft_ctx *with_value = weft_ctx_with_value(parent, &key, &key);
        limit(-1, blocks);
        weft_ctx *passed = weft_ctx_with_deadline(parent, 0);
        limit(-1, blocks);
        weft_ticker *ticker = weft_ticker_new(WEFT_SECOND);
        limit(-1, -1);
        CHECK(!with_cancel && !with_deadline && !with_value && !passed && !ticker);
    }
    CHECK_EQ(weft_ctx_err(parent), 0);
    /* No block is needed to cancel and to free. */
    weft_ctx *child = weft_ctx_with_deadline(parent, weft_after(WEFT_SECOND));
    limit(-1, 0);
    weft_ctx_cancel(parent, -EIO);
    CHECK_EQ(weft_ctx_err(child), -EIO);
    weft_ctx_unref(child);
    weft_ctx_unref(parent);
    limit(-1, -1);
    check_health();
}

static int run_in_group(void *arg)
{
    run(arg);
    return 0;
}

TEST_PROCS(no_memory_for_a_group)
{
    for (int blocks = 0; blocks < 2; blocks++) {
        limit(-1, blocks);
        weft_group group;
        weft_group_init(&group, NULL);
        limit(-1, -1);
        CHECK(weft_group_ctx(&group) == NULL);
        weft_group_limit(&group, 3);
        CHECK_EQ(weft_group_go(&group, run_in_group, NULL), -ENOMEM);
        CHECK_EQ(weft_group_trygo(&group, run_in_group, NULL), -ENOMEM);
        if (blocks == 0)
            CHECK_EQ(weft_group_wait(&group), -ENOMEM);
        else
            weft_group_end(&group);
        /* Now it is as zero. */
        CHECK_EQ(weft_group_go(&group, run_in_group, NULL), 0);
        CHECK_EQ(weft_group_wait(&group), 0);
    }
    check_health();
}

/* A goroutine of a group needs memory too, but for its argument none. */
TEST_PROCS(no_memory_in_a_group, .leaks = TEST_LEAKS_MEMORY)
{
    if (TEST_TSAN)
        SKIP("for ThreadSanitizer every copied argument is allocated");
    weft_group group;
    weft_group_init(&group, NULL);
    int accepted = 0, result = 0;
    ran = 0;
    limit(0, 0);
    while (accepted < 10000000 && (result = weft_group_go(&group, run_in_group, NULL)) == 0)
        accepted++;
    CHECK_EQ(result, -ENOMEM);
    CHECK_GT(accepted, 0);
    limit(-1, -1);
    CHECK_EQ(weft_group_wait(&group), 0);
    CHECK_EQ(ran, accepted);
    check_health();
}

static weft_chan *gate;

static void wait_at_gate(void *arg)
{
    CHECK_EQ(weft_chan_recv(gate, NULL), -EPIPE);
    run(arg);
}

/* Stacks are bound at the first dispatch, where nobody can be told: the goroutine waits for others
 * to end, and to leave it theirs. */
TEST_PROCS(stacks_are_waited_for, .leaks = TEST_LEAKS_MEMORY)
{
    const int count = test_many(20000);
    ran = 0;
    gate = weft_chan_new(0, 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_go(wait_at_gate, NULL), 0);
    weft_yield(); /* some get theirs, and weft address space for some thousands more */
    limit(0, -1);
    for (int i = 0; i < 50; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE) == count);
    check_health();
    weft_chan_unref(gate);
}

/* maxprocs cannot grow then; what is there goes on. */
TEST_PROCS(no_memory_for_slots, .leaks = TEST_LEAKS_MEMORY)
{
    for (int i = 0; i < 10; i++) {
        limit(i % 2 ? 0 : -1, i % 2 ? -1 : i);
        weft_maxprocs(100 + i);
        limit(-1, -1);
        check_health();
    }
    CHECK_GE(weft_maxprocs(0), 1);
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    check_health();
    return 7;
}

/* Starting fails cleanly however far it gets, and works the next time. */
TEST(no_memory_to_start, .leaks = TEST_LEAKS_MEMORY)
{
    int result = 0, attempts = 0;
    while (attempts < 200) {
        limit(attempts, -1);
        result = weft_run(main_goroutine, 0, NULL);
        limit(-1, -1);
        if (result == 7)
            break;
        CHECK(result == -ENOMEM || result == -EAGAIN);
        CHECK_EQ(weft_num_goroutine(), 0);
        attempts++;
    }
    CHECK_EQ(result, 7);
    CHECK_GT(attempts, 0);
    for (attempts = 0; attempts < 200; attempts++) {
        limit(-1, attempts);
        result = weft_run(main_goroutine, 0, NULL);
        limit(-1, -1);
        if (result == 7)
            break;
        CHECK(result == -ENOMEM || result == -EAGAIN);
    }
    CHECK_EQ(result, 7);
}
