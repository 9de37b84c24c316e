/* SPDX-License-Identifier: MIT
 *
 * A read that gave less than it asked for has emptied the connection, and the next one does not ask
 * the kernel before there is an event. What had come before, and has no event of its own any more,
 * must be found nevertheless.
 */
#include "api/net_test.h"

#include <pthread.h>

/* Each begins with a connection on which an event was seen and a read was short. */
static void drain(int fds[2])
{
    char bytes[8];
    pair_tcp(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_EQ(call_join(&call), 1);
    CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 2);
}

TEST_PROCS(waits_for_more)
{
    int fds[2];
    drain(fds);
    for (int i = 0; i < 50; i++) {
        char bytes[8];
        struct call call = {.fd = fds[0], .fn = call_read};
        if (i % 2)
            call_start(&call, 1);
        else
            call_go(&call);
        CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
        CHECK_EQ(call_join(&call), 1);
        CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 2);
    }
    pair_close(fds);
}

TEST_PROCS(end_of_file)
{
    char byte;
    int fds[2];
    drain(fds);
    CHECK_EQ(weft_shutdown(fds[1], SHUT_WR), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    pair_close(fds);
}

/* One event for the data and the end, then a short read. */
static void drain_before_the_end(int fds[2])
{
    char bytes[8];
    drain(fds);
    struct call call = {
        .fd = fds[0], .fn = call_wait, .events = POLLRDHUP, .deadline = WEFT_FOREVER};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_EQ(weft_shutdown(fds[1], SHUT_WR), 0);
    CHECK(call_join(&call) & POLLRDHUP);
    CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 3);
}

TEST_PROCS(end_with_the_data)
{
    for (int i = 0; i < 20; i++) {
        char byte;
        int fds[2];
        drain_before_the_end(fds);
        CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
        pair_close(fds);
    }
}

TEST_PROCS(reset)
{
    char bytes[8];
    int fds[2];
    drain(fds);
    struct linger linger = {.l_onoff = 1};
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), -ECONNRESET);
    CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

/* A read stops before urgent data, which all were announced by one event. */
TEST_PROCS(urgent_data)
{
    for (int i = 0; i < 20; i++) {
        char bytes[8];
        int fds[2];
        drain(fds);
        struct pollfd poll_fd = {.fd = fds[0], .events = POLLPRI};
        struct call call = {
            .fd = fds[0], .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
        call_start(&call, 1);
        CHECK_EQ(weft_sendto(fds[1], "ab!", 3, MSG_OOB, NULL, 0), 3);
        CHECK_EQ(weft_write(fds[1], "cd", 2), 2);
        CHECK(call_join(&call) & POLLIN);
        CHECK_SOON(poll(&poll_fd, 1, 0) == 1);
        weft_sleep(WEFT_MILLISECOND); /* everything is here and announced */
        CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 2);
        CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 2);
        CHECK_EQ(memcmp(bytes, "cd", 2), 0);
        pair_close(fds);
    }
}

/* WEFT_NOWAIT asks what is there now, whatever was announced. */
TEST_PROCS(nowait)
{
    char bytes[8];
    int fds[2];
    drain(fds);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), -EAGAIN);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_SOON(weft_read(fds[0], bytes, sizeof bytes) == 3);
    pair_close(fds);
}

/* ---- weft_go_when does not ask either ---- */

static int started; /* atomic */

static void count_start(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&started, 1, __ATOMIC_RELEASE);
}

static bool has_started(void)
{
    return __atomic_load_n(&started, __ATOMIC_ACQUIRE) == 1;
}

TEST_PROCS(goroutine_waits_for_more)
{
    int fds[2];
    drain(fds);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, count_start, NULL), 0);
    weft_sleep(WEFT_MILLISECOND);
    CHECK(!has_started());
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_SOON(has_started());
    pair_close(fds);
}

/* An event has come for what is there, perhaps before, perhaps after the record. */
TEST_PROCS(goroutine_finds_more)
{
    int fds[2];
    drain(fds);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, count_start, NULL), 0);
    CHECK_SOON(has_started());
    pair_close(fds);
}

TEST_PROCS(goroutine_finds_the_end_that_came_with_the_data)
{
    int fds[2];
    drain_before_the_end(fds);
    CHECK_EQ(weft_go_when(fds[0], POLLIN, WEFT_FOREVER, count_start, NULL), 0);
    CHECK_SOON(has_started());
    pair_close(fds);
}

/* ---- Across runs, and without one ---- */

static int kept[2];

static int drain_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    drain(kept);
    return 0;
}

static int read_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    char bytes[8];
    return (int)weft_read(kept[0], bytes, sizeof bytes);
}

static void *write_later(void *arg)
{
    usleep(5000);
    CHECK_EQ(weft_write(*(int *)arg, "abcd", 4), 4);
    return NULL;
}

TEST(without_a_run)
{
    CHECK_EQ(weft_run(drain_it, 0, NULL), 0);
    pthread_t thread;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, write_later, &kept[1]), 0);
        CHECK_EQ(i % 2 ? weft_run(read_it, 0, NULL) : read_it(0, NULL), 4);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(weft_write(kept[1], "ab", 2), 2);
    CHECK_EQ(weft_run(read_it, 0, NULL), 2);
    pair_close(kept);
}
