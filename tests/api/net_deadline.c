/* SPDX-License-Identifier: MIT
 *
 * Deadlines of descriptors: passed, met, moved while somebody waits, removed, never waiting.
 */
#include "api/net_test.h"

#define SHORT (20 * WEFT_MILLISECOND)
#define LONG  (600 * WEFT_SECOND)

TEST_PROCS(passed_before_the_call)
{
    int fds[2];
    char byte = 0;
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[1], "ab", 2), 2);
    int64_t past[] = {weft_now() - 1, 0, -1, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        CHECK_EQ(weft_set_deadline(fds[0], past[i], past[i]), 0);
        CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT); /* although there is something */
        CHECK_EQ(weft_write(fds[0], &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weft_write_all(fds[0], &byte, 1), -ETIMEDOUT);
        CHECK_EQ(weft_wait(fds[0], POLLIN, WEFT_FOREVER), -ETIMEDOUT);
    }
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, 0), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    CHECK_EQ(weft_write(fds[0], &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], 0, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weft_write(fds[0], &byte, 1), 1);
    pair_close(fds);
}

static void passes_in(struct call *call, bool reading)
{
    int64_t deadline = weft_after(SHORT);
    CHECK_EQ(weft_set_deadline(call->fd, reading ? deadline : WEFT_FOREVER,
                               reading ? WEFT_FOREVER : deadline),
             0);
    CHECK_EQ(call->fn(call), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(call->fn(call), -ETIMEDOUT); /* it stays so */
    CHECK_EQ(net_waiters(), 0);
}

TEST_PROCS(passes_while_waiting)
{
    int fds[2];
    pair_unix(fds);
    passes_in(&(struct call){.fd = fds[0], .fn = call_read}, true);
    passes_in(&(struct call){.fd = fds[0], .fn = call_write}, false);
    pair_close(fds);
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    passes_in(&(struct call){.fd = at.fd, .fn = call_accept}, true);
    endpoint_close(&at);
}

TEST_PROCS(bounds_wait_too)
{
    int fds[2];
    pair_unix(fds);
    struct call in = {.fd = fds[0], .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
    passes_in(&in, true);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    in.deadline = weft_after(SHORT);
    CHECK_EQ(call_wait(&in), -ETIMEDOUT);
    CHECK_GE(weft_now(), in.deadline);
    in.deadline = weft_now() - 1;
    CHECK_EQ(call_wait(&in), -ETIMEDOUT);
    in.deadline = WEFT_NOWAIT;
    CHECK_EQ(call_wait(&in), -EAGAIN);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

TEST_PROCS(brought_forward_while_waiting)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(LONG), WEFT_FOREVER), 0);
    call_start(&call, 1);
    int64_t deadline = weft_after(SHORT);
    CHECK_EQ(weft_set_deadline(fds[0], deadline, WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&call), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    pair_close(fds);
}

TEST_PROCS(set_while_waiting)
{
    int fds[2];
    pair_unix(fds);
    struct call reader = {.fd = fds[0], .fn = call_read};
    struct call writer = {.fd = fds[0], .fn = call_write};
    call_start(&reader, 1);
    call_start(&writer, 2);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(SHORT), WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&reader), -ETIMEDOUT);
    CHECK(!call_done(&writer));
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, weft_now() - 1), 0);
    CHECK_EQ(call_join(&writer), -ETIMEDOUT);
    pair_close(fds);
}

/* The timer goes off for the old deadline and must not end the wait. */
TEST_PROCS(put_off_while_waiting)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    int64_t first = weft_after(SHORT), second = first + SHORT;
    CHECK_EQ(weft_set_deadline(fds[0], first, WEFT_FOREVER), 0);
    call_go(&call);
    CHECK_EQ(weft_set_deadline(fds[0], second, WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&call), -ETIMEDOUT);
    CHECK_GE(weft_now(), second);
    pair_close(fds);
}

TEST_PROCS(removed_while_waiting)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(5 * SHORT), WEFT_FOREVER), 0);
    call_go(&call);
    weft_sleep(SHORT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    weft_sleep(8 * SHORT);
    if (call_done(&call)) /* this machine was very slow */
        CHECK_EQ(call.result, -ETIMEDOUT);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_SOON(call_done(&call));
    pair_close(fds);
}

TEST_PROCS(never_waits)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -EAGAIN);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    struct call writer = {.fd = fds[0], .fn = call_write};
    CHECK_EQ(call_write(&writer), -EAGAIN);
    struct call reader = {.fd = fds[1], .fn = call_read};
    CHECK_EQ(weft_read(fds[1], &byte, 1), 1);
    pair_close(fds);

    pair_unix(fds);
    reader.fd = fds[0];
    call_start(&reader, 1);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&reader), -EAGAIN);
    pair_close(fds);
}

/* What a server does: a deadline for every request, seldom met. No timer may be left over or go off
 * in the successor. */
TEST_PROCS(moved_on_with_every_request)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(weft_set_deadline(fds[0], weft_after(LONG + i), weft_after(LONG)), 0);
        struct call call = {.fd = fds[0], .fn = call_read};
        if (i % 10 == 0)
            call_start(&call, 1);
        CHECK_EQ(weft_write(fds[1], "x", 1), 1);
        if (i % 10 == 0)
            CHECK_EQ(call_join(&call), 1);
        else
            CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    }
    pair_close(fds);
    weft_stats stats;
    weft_read_stats(&stats);
    CHECK_EQ(stats.timers, 0);
}

TEST_PROCS(does_not_reach_the_successor)
{
    for (int i = 0; i < 20; i++) {
        int fds[2];
        pair_unix(fds);
        struct call call = {.fd = fds[0], .fn = call_read};
        CHECK_EQ(weft_set_deadline(fds[0], weft_after(SHORT / 10), WEFT_FOREVER), 0);
        if (i % 2)
            call_go(&call);
        else
            CHECK_EQ(call_read(&call), -ETIMEDOUT);
        weft_yield();
        pair_close(fds);
        if (i % 2)
            call_join(&call);

        pair_unix(fds);
        struct call successor = {.fd = fds[0], .fn = call_read};
        call_start(&successor, 1);
        weft_sleep(SHORT / 5);
        CHECK(!call_done(&successor));
        CHECK_EQ(weft_write(fds[1], "x", 1), 1);
        CHECK_EQ(call_join(&successor), 1);
        pair_close(fds);
    }
}

/* Many deadlines moved about by others while their owners wait. */
enum { MOVERS = 100 };

static void wait_for_deadline(void *arg)
{
    struct call *call = arg;
    call->result = call_read(call);
    weft_waitgroup_done(&call->running);
}

TEST_PROCS(moved_about)
{
    static struct call calls[MOVERS];
    static int peers[MOVERS];
    for (int i = 0; i < MOVERS; i++) {
        int fds[2];
        pair_unix(fds);
        calls[i] = (struct call){.fd = fds[0]};
        peers[i] = fds[1];
        weft_waitgroup_add(&calls[i].running, 1);
        CHECK_EQ(weft_go(wait_for_deadline, &calls[i]), 0);
    }
    for (int i = 0; i < 100 * MOVERS; i++) {
        int64_t deadline = weft_after((int64_t)test_random_below((uint64_t)(20 * SHORT)) + SHORT);
        int fd = calls[test_random_below(MOVERS)].fd;
        CHECK_EQ(weft_set_deadline(fd, deadline, deadline), 0);
    }
    for (int i = 0; i < MOVERS; i++)
        CHECK_EQ(weft_set_deadline(calls[i].fd, calls[i].deadline = weft_after(SHORT), 0), 0);
    for (int i = 0; i < MOVERS; i++) {
        CHECK_EQ(call_join(&calls[i]), -ETIMEDOUT);
        CHECK_EQ(weft_close(calls[i].fd), 0);
        CHECK_EQ(weft_close(peers[i]), 0);
    }
}

/* ---- One direction at a time ---- */

TEST_PROCS(one_direction)
{
    int fds[2];
    pair_unix(fds);
    struct call reading = {.fd = fds[0], .fn = call_read};
    struct call writing = {.fd = fds[0], .fn = call_write};
    call_start(&reading, 1);
    call_start(&writing, 2);
    CHECK_EQ(weft_set_read_deadline(fds[0], weft_now()), 0);
    CHECK_EQ(call_join(&reading), -ETIMEDOUT);
    weft_sleep(WEFT_MILLISECOND);
    CHECK(!call_done(&writing));
    CHECK_EQ(weft_set_write_deadline(fds[0], WEFT_NOWAIT), 0);
    CHECK_EQ(call_join(&writing), -EAGAIN);
    char byte;
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT); /* as before */
    CHECK_EQ(weft_set_read_deadline(-1, WEFT_FOREVER), -EBADF);
    CHECK_EQ(weft_set_write_deadline(-1, WEFT_FOREVER), -EBADF);
    pair_close(fds);
}
