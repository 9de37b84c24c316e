/* SPDX-License-Identifier: MIT
 *
 * weft_go_when: exactly one goroutine, for readiness, for the deadline, or for close.
 */
#include "api/net_test.h"

#include <pthread.h>

/* What started, in order. */
enum { MOST = 64 };
static int results[MOST];
static int started; /* atomic */

static void append(int result)
{
    static int places; /* atomic */
    int place = __atomic_fetch_add(&places, 1, __ATOMIC_RELAXED);
    CHECK_LT(place, MOST);
    results[place] = result;
    __atomic_fetch_add(&started, 1, __ATOMIC_ACQ_REL);
}

static void start(void *arg)
{
    CHECK(arg == &started);
    append(weft_when_result());
}

static int go_when(int fd, int events, int64_t deadline)
{
    return weft_go_when(fd, events, deadline, start, &started);
}

static void expect_started(int count, int result)
{
    CHECK_SOON(__atomic_load_n(&started, __ATOMIC_ACQUIRE) == count);
    CHECK_EQ(results[count - 1], result);
    weft_sleep(WEFT_MILLISECOND); /* and not twice */
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), count);
}

TEST_PROCS(ready_at_once)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(go_when(fds[0], POLLOUT, WEFT_FOREVER), 0);
    expect_started(1, 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_NOWAIT), 0);
    expect_started(2, 0);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

TEST_PROCS(ready_later)
{
    int fds[2];
    pair_tcp(fds);
    for (int i = 1; i <= 10; i++) {
        char byte;
        CHECK_EQ(go_when(fds[0], POLLIN, i % 2 ? WEFT_FOREVER : weft_after(900 * WEFT_SECOND)), 0);
        CHECK_EQ(net_waiters(), 1);
        CHECK_EQ(weft_num_goroutine(), 1);
        weft_sleep(WEFT_MILLISECOND);
        CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), i - 1);
        CHECK_EQ(weft_write(fds[1], "x", 1), 1);
        expect_started(i, 0);
        CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    }
    pair_close(fds);
}

TEST_PROCS(writable_later)
{
    int fds[2];
    pair_unix(fds);
    fill_up(fds[0]);
    CHECK_EQ(go_when(fds[0], POLLOUT, WEFT_FOREVER), 0);
    CHECK_EQ(net_waiters(), 1);
    read_up(fds[1]);
    expect_started(1, 0);
    pair_close(fds);
}

TEST_PROCS(end_of_the_peer_only)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(go_when(fds[0], POLLRDHUP, WEFT_FOREVER), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(weft_shutdown(fds[1], SHUT_WR), 0);
    expect_started(1, 0);
    pair_close(fds);
}

TEST_PROCS(deadline)
{
    int fds[2];
    pair_unix(fds);
    int64_t begin = weft_now();
    CHECK_EQ(go_when(fds[0], POLLIN, weft_after(5 * WEFT_MILLISECOND)), 0);
    expect_started(1, -ETIMEDOUT);
    CHECK_GE(weft_now() - begin, 5 * WEFT_MILLISECOND);
    CHECK_EQ(go_when(fds[0], POLLIN, weft_now()), 0);
    expect_started(2, -ETIMEDOUT);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

/* The descriptor's own deadlines are for calls. */
TEST_PROCS(descriptors_deadline_does_not_matter)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(WEFT_MILLISECOND), WEFT_FOREVER), 0);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), 0);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_NOWAIT), 0);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    expect_started(1, 0);
    pair_close(fds);
}

TEST_PROCS(closed)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
    expect_started(1, -ECANCELED);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), -EBADF);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(net_waiters(), 0);
}

/* They wait beside each other, and beside a reader. */
TEST_PROCS(several)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    call_start(&call, 1);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), 0);
    CHECK_EQ(go_when(fds[0], POLLIN, weft_after(5 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(go_when(fds[0], POLLRDHUP, WEFT_FOREVER), 0);
    CHECK_EQ(net_waiters(), 4);
    expect_started(1, -ETIMEDOUT);
    CHECK_EQ(net_waiters(), 3);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&call), 1);
    expect_started(2, 0);
    CHECK_EQ(net_waiters(), 1);
    CHECK_EQ(weft_close(fds[1]), 0);
    expect_started(3, 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

/* What else the descriptor is ready for is no reason to start. */
TEST_PROCS(writable_or_end_of_the_peer)
{
    int fds[2];
    pair_unix(fds);
    fill_up(fds[0]);
    CHECK_EQ(go_when(fds[0], POLLOUT | POLLRDHUP, WEFT_FOREVER), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(weft_shutdown(fds[1], SHUT_WR), 0);
    expect_started(1, 0);
    pair_close(fds);
}

/* ---- From a foreign thread, when all of weft's threads are asleep ---- */

static weft_waitgroup asleep;

static void awaken(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_when_result(), 0);
    weft_waitgroup_done(&asleep);
}

static void *go_when_as_thread(void *arg)
{
    const int *fds = arg;
    usleep(1500 * 1000); /* the monitor sleeps after a second */
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, awaken, NULL), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    return NULL;
}

static void sleep_until_started(void)
{
    int fds[2];
    pthread_t thread;
    pair_unix(fds);
    weft_waitgroup_add(&asleep, 1);
    CHECK_EQ(pthread_create(&thread, NULL, go_when_as_thread, fds), 0);
    weft_waitgroup_wait(&asleep);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pair_close(fds);
}

TEST(foreign_thread)
{
    test_in_runtime(2, sleep_until_started);
}

TEST_PROCS(bad_input)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, NULL, NULL), -EINVAL);
    CHECK_EQ(go_when(fds[0], 0, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(go_when(fds[0], POLLPRI, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(go_when(-1, POLLIN, WEFT_FOREVER), -EBADF);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_GE(file, 0);
    CHECK_EQ(go_when(file, POLLIN, WEFT_FOREVER), -EPERM);
    CHECK_EQ(weft_close(file), 0);
    CHECK_EQ(weft_when_result(), -EINVAL);
    pair_close(fds);
}

TEST(needs_a_run)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), -EPERM);
    CHECK_EQ(weft_when_result(), -EINVAL);
    pair_close(fds);
}

/* ---- The end of a run ---- */

static int kept[2];

static int leave_some(int argc, char **argv)
{
    (void)argc, (void)argv;
    CHECK_EQ(go_when(kept[0], POLLIN, WEFT_FOREVER), 0);
    CHECK_EQ(go_when(kept[0], POLLIN | POLLRDHUP, weft_after(900 * WEFT_SECOND)), 0);
    return 0;
}

TEST(run_ends)
{
    pair_unix(kept);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_run(leave_some, 0, NULL), 0);
    CHECK_EQ(weft_write(kept[1], "x", 1), 1);
    pair_close(kept);
    CHECK_EQ(started, 0);
}

/* ---- No goroutine can be had ---- */

static void hold(void *arg)
{
    weft_waitgroup_wait(arg);
}

TEST_PROCS(starts_when_there_is_room)
{
    int fds[2];
    weft_waitgroup gate = {0};
    pair_unix(fds);
    weft_waitgroup_add(&gate, 1);
    CHECK_EQ(weft_go(hold, &gate), 0);
    CHECK_EQ(go_when(fds[0], POLLIN, WEFT_FOREVER), 0);
    int limit = weft_set_max_goroutines(2);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    weft_sleep(10 * WEFT_MILLISECOND);
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(go_when(fds[1], POLLOUT, WEFT_FOREVER), 0);
    pair_close(fds);
    weft_waitgroup_done(&gate);
    CHECK_SOON(__atomic_load_n(&started, __ATOMIC_ACQUIRE) == 2);
    CHECK_EQ(results[0], 0);
    CHECK_EQ(results[1], 0);
    weft_set_max_goroutines(limit);
}

/* As many at a time as there is room for, in the order in which they became ready. */
static void start_index(void *arg)
{
    append(test_index(arg));
}

static void start_in_order(void)
{
    enum { WAITING = 20 };
    int fds[2];
    char byte;
    pair_unix(fds);
    int limit = weft_set_max_goroutines(1);
    for (int i = 0; i < WAITING; i++)
        CHECK_EQ(weft_go_when(fds[i % 2], i % 4 ? POLLOUT : POLLIN, WEFT_FOREVER, start_index,
                              (void *)(intptr_t)i),
                 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    weft_sleep(3 * WEFT_MILLISECOND);
    CHECK_EQ(__atomic_load_n(&started, __ATOMIC_ACQUIRE), 0);
    weft_set_max_goroutines(4);
    CHECK_SOON(__atomic_load_n(&started, __ATOMIC_ACQUIRE) == WAITING);
    weft_set_max_goroutines(limit);
    for (int i = 1; i < WAITING; i++)
        CHECK((results[i - 1] % 4 == 0) == (results[i] % 4 == 0) ? results[i - 1] < results[i]
                                                                 : results[i] % 4 == 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    pair_close(fds);
}

TEST(starved_start_in_order)
{
    test_in_runtime(1, start_in_order);
}

/* ---- Everything at once ---- */

enum { LINKS = 200, ROUNDS = 20 };

/* One registration: how often it was started, and with what. */
struct link {
    int fds[2];
    int times;  /* atomic */
    int result; /* atomic */
};

static void count(void *arg)
{
    struct link *link = arg;
    __atomic_store_n(&link->result, weft_when_result(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&link->times, 1, __ATOMIC_RELEASE);
}

/* Of two that wait for the same the deadline ends the wait of the one whose it is. */
TEST_PROCS(deadline_of_one)
{
    static struct link links[2];
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, count, &links[0]), 0);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, weft_after(WEFT_MILLISECOND), count, &links[1]), 0);
    CHECK_SOON(net_waiters() == 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_SOON(__atomic_load_n(&links[0].times, __ATOMIC_ACQUIRE) == 1);
    CHECK_SOON(__atomic_load_n(&links[1].times, __ATOMIC_ACQUIRE) == 1);
    CHECK_EQ(links[0].result, -ECANCELED);
    CHECK_EQ(links[1].result, -ETIMEDOUT);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static weft_waitgroup disturbers;

/* Something that ends the wait, or two things that race. */
static void disturb(void *arg)
{
    struct link *link = arg;
    switch (test_random_below(4)) {
    case 0:
        CHECK_EQ(weft_write(link->fds[1], "x", 1), 1);
        break;
    case 1:
        CHECK_EQ(weft_close(link->fds[0]), 0);
        link->fds[0] = -1;
        break;
    case 2:
        CHECK_EQ(weft_write(link->fds[1], "x", 1), 1);
        CHECK_EQ(weft_close(link->fds[0]), 0);
        link->fds[0] = -1;
        break;
    case 3:
        break; /* the deadline alone */
    }
    weft_waitgroup_done(&disturbers);
}

TEST_PROCS(each_is_started_once)
{
    static struct link links[LINKS];
    for (int round = 0; round < ROUNDS; round++) {
        weft_waitgroup_add(&disturbers, LINKS);
        for (int i = 0; i < LINKS; i++) {
            struct link *link = &links[i];
            pair_unix(link->fds);
            link->times = 0;
            int64_t wait = (int64_t)test_random_below(2 * WEFT_MILLISECOND);
            CHECK_EQ(weft_go_when(link->fds[0], POLLIN, weft_after(wait), count, link), 0);
            CHECK_EQ(weft_go(disturb, link), 0);
        }
        weft_waitgroup_wait(&disturbers);
        for (int i = 0; i < LINKS; i++) {
            struct link *link = &links[i];
            CHECK_SOON(__atomic_load_n(&link->times, __ATOMIC_ACQUIRE) == 1);
            int result = __atomic_load_n(&link->result, __ATOMIC_RELAXED);
            CHECK(result == 0 || result == -ETIMEDOUT ||
                  (result == -ECANCELED && link->fds[0] < 0));
            if (link->fds[0] >= 0)
                CHECK_EQ(weft_close(link->fds[0]), 0);
            CHECK_EQ(weft_close(link->fds[1]), 0);
        }
    }
    CHECK_EQ(net_waiters(), 0);
    weft_sleep(3 * WEFT_MILLISECOND);
    for (int i = 0; i < LINKS; i++)
        CHECK_EQ(__atomic_load_n(&links[i].times, __ATOMIC_ACQUIRE), 1);
}
