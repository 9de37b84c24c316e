/* SPDX-License-Identifier: MIT
 *
 * Descriptors that many use at once, in both directions and in every way, while they are closed and
 * their numbers used again: goroutines and foreign threads that take turns, wait, move deadlines,
 * and leave goroutines to be started. Users may come too late and meet the successor: it is a pair
 * of sockets like the one before.
 */
#include "api/net_test.h"

#include <sys/syscall.h>

#include "stress/stress.h"

enum { PAIRS = 3, GOROUTINES = 24, FOREIGN = 3, ENDS = 2 * PAIRS };

static int ends[ENDS];   /* atomic: numbers, some closed meanwhile */
static int opened[ENDS]; /* the numbers that ends had at first */
static int registered, started;
static weft_waitgroup users;

static int64_t soon(uint64_t *random)
{
    return weft_after((int64_t)(next_random(random) % WEFT_MILLISECOND));
}

static void expect_possible(ssize_t result)
{
    CHECK(result >= 0 || result == -EBADF || result == -ECANCELED || result == -ETIMEDOUT ||
          result == -EAGAIN || result == -EPIPE || result == -ECONNRESET ||
          result == -EPERM); /* weft_go_when without a run */
}

/* ---- Each is started once ---- */

static void begun(void *arg)
{
    int result = weft_when_result();
    CHECK(arg == &started);
    CHECK(result == 0 || result == -ETIMEDOUT || result == -ECANCELED);
    __atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
}

static int leave_one(int fd, uint64_t *random)
{
    static const int events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, POLLRDHUP};
    int64_t deadline = next_random(random) % 2 ? soon(random) : WEFT_FOREVER;
    int result = weft_go_when(fd, events[next_random(random) % 4], deadline, begun, &started);
    if (result == 0)
        __atomic_add_fetch(&registered, 1, __ATOMIC_RELAXED);
    return result;
}

/* ---- Users ---- */

static int set_some_deadline(int fd, uint64_t *random)
{
    const int64_t times[] = {WEFT_FOREVER, WEFT_FOREVER, WEFT_NOWAIT, soon(random)};
    uint64_t r = next_random(random);
    return weft_set_deadline(fd, times[r % 4], times[r / 4 % 4]);
}

static void use_once(uint64_t *random)
{
    char buffer[1000] = {0};
    int fd = __atomic_load_n(&ends[next_random(random) % ENDS], __ATOMIC_ACQUIRE);
    size_t size = next_random(random) % sizeof buffer;
    switch (next_random(random) % 8) {
    case 0:
    case 1:
        expect_possible(weft_read(fd, buffer, size));
        break;
    case 2:
    case 3:
        expect_possible(weft_write(fd, buffer, size));
        break;
    case 4:
        expect_possible(weft_write_all(fd, buffer, size));
        break;
    case 5:
        expect_possible(weft_wait(fd, size % 2 ? POLLIN : POLLIN | POLLOUT, soon(random)));
        break;
    case 6:
        expect_possible(leave_one(fd, random));
        break;
    case 7:
        expect_possible(set_some_deadline(fd, random));
        break;
    }
}

static void use(void *number)
{
    uint64_t random = *(const uint64_t *)number * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < share(15000); i++)
        use_once(&random);
    weft_waitgroup_done(&users);
}

/* ---- The one who closes ---- */

/* Who comes too late races with who makes the successor: ThreadSanitizer is not to see this. */
static void open_pair(int i)
{
    int fds[2];
    CHECK_EQ(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int j = 0; j < 2; j++) {
        opened[2 * i + j] = fds[j];
        __atomic_store_n(&ends[2 * i + j], fds[j], __ATOMIC_RELEASE);
    }
}

static void close_pair(int i)
{
    pair_close(&opened[2 * i]);
}

TEST_PROCS(numbers_in_use, .timeout = 120)
{
    for (int i = 0; i < PAIRS; i++)
        open_pair(i);
    weft_waitgroup_add(&users, GOROUTINES + FOREIGN);
    for (uint64_t i = 0; i < GOROUTINES + FOREIGN; i++)
        start_with_copy(i < FOREIGN, use, &i, sizeof i);
    while (weft_waitgroup_wait_until(&users, weft_after(200 * WEFT_MICROSECOND)) != 0) {
        int i = (int)test_random_below(PAIRS);
        close_pair(i);
        open_pair(i);
    }
    for (int i = 0; i < PAIRS; i++)
        close_pair(i);
    CHECK_SOON(__atomic_load_n(&started, __ATOMIC_RELAXED) ==
               __atomic_load_n(&registered, __ATOMIC_RELAXED));
    CHECK_EQ(net_waiters(), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Runs that end in the middle of everything, while threads go on ---- */

static int stop; /* atomic */

static void use_until_stopped(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg * UINT64_C(0x9E3779B97F4A7C15) + 1;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        use_once(&random);
}

static void *use_as_thread(void *arg)
{
    use_until_stopped(arg);
    return NULL;
}

static void close_one(void *arg)
{
    (void)arg;
    int fd = __atomic_exchange_n(&ends[test_random_below(ENDS)], -1, __ATOMIC_ACQ_REL);
    if (fd >= 0) /* else one that an earlier run left behind was late */
        CHECK_EQ(weft_close(fd), 0);
    weft_sleep(WEFT_FOREVER);
}

static int run_for_a_moment(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (intptr_t i = 0; i < GOROUTINES; i++)
        CHECK_EQ(weft_go(use_until_stopped, (void *)(i + FOREIGN)), 0);
    weft_sleep((int64_t)test_random_below(500 * WEFT_MICROSECOND));
    CHECK_EQ(weft_go(close_one, NULL), 0);
    weft_sleep((int64_t)test_random_below(500 * WEFT_MICROSECOND));
    return 0;
}

/* What a goroutine took to close it may be closed, or left as it was, or the end of the run or the
 * last thread to leave closes it. */
static void renew_pair(int i)
{
    for (int j = 2 * i; j <= 2 * i + 1; j++) {
        __atomic_store_n(&ends[j], -1, __ATOMIC_RELAXED);
        int result = weft_close(opened[j]);
        CHECK(result == 0 || result == -EBADF || result == -ECANCELED);
        CHECK_SOON(fcntl(opened[j], F_GETFD) < 0);
    }
    open_pair(i);
}

static void renew_closed(void)
{
    for (int i = 0; i < PAIRS; i++)
        if (__atomic_load_n(&ends[2 * i], __ATOMIC_RELAXED) < 0 ||
            __atomic_load_n(&ends[2 * i + 1], __ATOMIC_RELAXED) < 0)
            renew_pair(i);
}

TEST(runs_come_and_go, .timeout = 120)
{
    pthread_t threads[FOREIGN];
    for (int i = 0; i < PAIRS; i++)
        open_pair(i);
    weft_maxprocs(4);
    for (intptr_t i = 0; i < FOREIGN; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_as_thread, (void *)i), 0);
    for (int i = 0; i < share(400); i++) {
        CHECK_EQ(weft_run(run_for_a_moment, 0, NULL), 0);
        renew_closed();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < PAIRS; i++) {
        renew_pair(i);
        close_pair(i);
    }
    for (int i = 0; i < FOREIGN; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(net_waiters(), 0);
}
