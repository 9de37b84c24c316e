/* SPDX-License-Identifier: MIT
 *
 * weft_wait: any descriptor that can be polled, in one direction or both, by level.
 */
#include "api/net_test.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

TEST_PROCS(pipe_and_its_ends)
{
    int ends[2];
    char byte;
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(weft_wait(ends[1], POLLOUT, WEFT_NOWAIT), POLLOUT);
    CHECK_EQ(weft_wait(ends[0], POLLIN, WEFT_NOWAIT), -EAGAIN);
    struct call call = {.fd = ends[0], .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
    call_start(&call, 1);
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    CHECK_EQ(call_join(&call), POLLIN);
    for (int i = 0; i < 2; i++) { /* by level: ready until the last byte is read */
        CHECK_EQ(weft_wait(ends[0], POLLIN, WEFT_FOREVER), POLLIN);
        CHECK_EQ(weft_read(ends[0], &byte, 1), 1);
    }
    call_start(&call, 1);
    CHECK_EQ(weft_close(ends[1]), 0);
    CHECK_EQ(call_join(&call), POLLHUP);
    CHECK_EQ(weft_close(ends[0]), 0);
}

TEST_PROCS(full_pipe)
{
    int ends[2];
    char bytes[4096];
    CHECK_EQ(pipe(ends), 0);
    fill_up(ends[1]);
    struct call call = {
        .fd = ends[1], .fn = call_wait, .events = POLLOUT, .deadline = WEFT_FOREVER};
    call_start(&call, 1);
    CHECK_EQ(weft_read(ends[0], bytes, sizeof bytes), sizeof bytes); /* a page makes room */
    CHECK_EQ(call_join(&call), POLLOUT);
    CHECK_EQ(weft_close(ends[0]), 0);
    CHECK_EQ(weft_wait(ends[1], POLLOUT, WEFT_FOREVER) & POLLERR, POLLERR);
    CHECK_EQ(weft_close(ends[1]), 0);
}

TEST_PROCS(event_and_timer)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t count = 1;
    struct call call = {.fd = fd, .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
    for (int i = 0; i < 100; i++) {
        call_start(&call, 1);
        CHECK_EQ(weft_write(fd, &count, sizeof count), sizeof count);
        CHECK_EQ(call_join(&call), POLLIN);
        CHECK_EQ(weft_read(fd, &count, sizeof count), sizeof count);
        CHECK_EQ(count, 1);
    }
    CHECK_EQ(weft_wait(fd, POLLIN | POLLOUT, WEFT_FOREVER), POLLOUT);
    CHECK_EQ(weft_close(fd), 0);

    fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec in = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 1000000};
    CHECK_EQ(timerfd_settime(fd, 0, &in, NULL), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weft_wait(fd, POLLIN, WEFT_FOREVER), POLLIN);
        CHECK_EQ(weft_read(fd, &count, sizeof count), sizeof count);
    }
    CHECK_EQ(weft_close(fd), 0);
}

/* A wait for both ends with whichever comes first, and leaves nothing in the other queue. */
TEST_PROCS(both_directions)
{
    int fds[2];
    char bytes[4096];
    pair_unix(fds);
    struct call call = {
        .fd = fds[0], .fn = call_wait, .events = POLLIN | POLLOUT, .deadline = WEFT_FOREVER};
    CHECK_EQ(call_wait(&call), POLLOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_NOWAIT), 0);
    CHECK_EQ(call_write(&call), -EAGAIN);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);

    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&call), POLLIN);
    CHECK_EQ(weft_read(fds[0], bytes, 1), 1);

    call.deadline = weft_after(600 * WEFT_SECOND);
    call_start(&call, 1);
    read_up(fds[1]);
    CHECK_EQ(call_join(&call), POLLOUT);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

TEST_PROCS(both_directions_and_time)
{
    int fds[2];
    pair_unix(fds);
    fill_up(fds[0]);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_wait(fds[0], POLLIN | POLLOUT, weft_after(100 * WEFT_MICROSECOND)),
                 -ETIMEDOUT);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

TEST_PROCS(peer_shuts_down)
{
    int fds[2];
    pair_tcp(fds);
    struct call call = {
        .fd = fds[0], .fn = call_wait, .events = POLLRDHUP, .deadline = WEFT_FOREVER};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1); /* not what it waits for */
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!call_done(&call));
    CHECK_EQ(shutdown(fds[1], SHUT_WR), 0);
    CHECK_EQ(call_join(&call), POLLRDHUP);
    CHECK_EQ(weft_wait(fds[0], POLLIN | POLLOUT | POLLRDHUP, WEFT_FOREVER),
             POLLIN | POLLOUT | POLLRDHUP);
    pair_close(fds);
}

TEST_PROCS(listener)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    struct call call = {.fd = at.fd, .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
    call_start(&call, 1);
    int fd = endpoint_dial(&at);
    CHECK_EQ(call_join(&call), POLLIN);
    CHECK_EQ(weft_close(weft_accept(at.fd, NULL, NULL)), 0);
    CHECK_EQ(weft_close(fd), 0);
    endpoint_close(&at);
}

static void cannot_be_polled(void)
{
    const char *const paths[] = {"/proc/self/exe", "/tmp", "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        CHECK_GE(fd, 0);
        CHECK_EQ(weft_wait(fd, POLLIN, WEFT_FOREVER), -EPERM);
        CHECK_EQ(weft_wait(fd, POLLIN | POLLOUT, WEFT_NOWAIT), -EPERM);
        CHECK_EQ(weft_close(fd), 0);
    }
}

TEST_PROCS(regular_file)
{
    cannot_be_polled();
}

TEST(regular_file_without_a_run)
{
    cannot_be_polled();
}

TEST_PROCS(events_that_make_no_sense)
{
    int fds[2];
    pair_unix(fds);
    int events[] = {0, POLLPRI, POLLERR, POLLHUP, POLLNVAL, POLLIN | POLLPRI, -1, 1 << 20};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        CHECK_EQ(weft_wait(fds[0], events[i], WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_wait(-1, POLLIN, WEFT_NOWAIT), -EBADF);
    pair_close(fds);
}
