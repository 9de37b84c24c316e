/* SPDX-License-Identifier: MIT
 *
 * Several goroutines in one direction of a descriptor take turns, in the order in which they came.
 */
#include "api/net_test.h"

#include <pthread.h>

enum { MANY = 16 };

/* ---- Order ---- */

static long read_byte(struct call *call)
{
    unsigned char byte;
    ssize_t count = weft_read(call->fd, &byte, 1);
    return count == 1 ? byte : count;
}

TEST_PROCS(readers_in_order)
{
    int fds[2];
    pair_unix(fds);
    struct call calls[MANY];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < MANY; i++) {
            calls[i] = (struct call){.fd = fds[0], .fn = read_byte};
            call_start(&calls[i], i + 1);
        }
        unsigned char bytes[MANY];
        for (int i = 0; i < MANY; i++)
            bytes[i] = (unsigned char)(i + 1);
        CHECK_EQ(weft_write_all(fds[1], bytes, MANY), MANY);
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(call_join(&calls[i]), i + 1);
    }
    pair_close(fds);
}

TEST_PROCS(acceptors_in_order)
{
    struct endpoint at = endpoint_listen(KIND_TCP, MANY);
    struct call calls[MANY];
    int clients[MANY], connections[MANY];
    for (int i = 0; i < MANY; i++) {
        calls[i] = (struct call){.fd = at.fd, .fn = call_accept};
        call_start(&calls[i], i + 1);
    }
    for (int i = 0; i < MANY; i++) {
        char text[2] = {0};
        clients[i] = endpoint_dial(&at);
        connections[i] = (int)call_join(&calls[i]);
        CHECK_SOON(net_waiters() == MANY - i - 1); /* the next has its turn, and begins to wait */
        CHECK_EQ(weft_write(clients[i], "x", 1), 1);
        CHECK_EQ(weft_read(connections[i], text, sizeof text), 1);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_close(clients[i]), 0);
        CHECK_EQ(weft_close(connections[i]), 0);
    }
    endpoint_close(&at);
}

/* Readers and writers do not wait for each other. */
TEST_PROCS(directions_are_apart)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = read_byte};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[0], "a", 1), 1);
    CHECK_EQ(weft_write(fds[1], "b", 1), 1);
    CHECK_EQ(call_join(&call), 'b');
    pair_close(fds);
}

/* ---- What one call writes stays together ---- */

enum { WRITERS = 4, RECORDS = 50, RECORD = 100000 };

static weft_waitgroup writers;

static void write_records(void *arg)
{
    static char records[WRITERS][RECORD];
    static int numbers; /* atomic */
    int number = __atomic_fetch_add(&numbers, 1, __ATOMIC_RELAXED) % WRITERS;
    memset(records[number], 'a' + number, RECORD);
    for (int i = 0; i < RECORDS / WRITERS; i++)
        CHECK_EQ(weft_write_all((int)(intptr_t)arg, records[number], RECORD), RECORD);
    weft_waitgroup_done(&writers);
}

TEST_PROCS(writes_stay_together)
{
    static char record[RECORD];
    int fds[2];
    pair_tcp(fds);
    weft_waitgroup_add(&writers, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(weft_go(write_records, (void *)(intptr_t)fds[0]), 0);
    for (int i = 0; i < RECORDS / WRITERS * WRITERS; i++) {
        read_full(fds[1], record, RECORD);
        for (int j = 1; j < RECORD; j++)
            CHECK(record[j] == record[0]);
    }
    weft_waitgroup_wait(&writers);
    pair_close(fds);
}

/* ---- Deadlines and close end the wait for a turn too ---- */

static void start_readers(int fd, struct call *calls, int count)
{
    for (int i = 0; i < count; i++) {
        calls[i] = (struct call){.fd = fd, .fn = read_byte};
        call_start(&calls[i], i + 1);
    }
}

static void expect_all(struct call *calls, int count, long result)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(call_join(&calls[i]), result);
    CHECK_EQ(net_waiters(), 0);
}

TEST_PROCS(deadline)
{
    int fds[2];
    struct call calls[4];
    pair_unix(fds);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(20 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct call){.fd = fds[0], .fn = read_byte};
        call_go(&calls[i]);
    }
    expect_all(calls, 4, -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    start_readers(fds[0], calls, 4);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(WEFT_MILLISECOND), WEFT_FOREVER), 0);
    expect_all(calls, 4, -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    start_readers(fds[0], calls, 4);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_FOREVER), 0);
    expect_all(calls, 4, -EAGAIN);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1); /* the turn is free */
    CHECK_EQ(read_byte(&(struct call){.fd = fds[0]}), 'x');
    pair_close(fds);
}

TEST_PROCS(close_while_they_queue)
{
    int fds[2];
    struct call calls[4];
    pair_unix(fds);
    start_readers(fds[0], calls, 4);
    CHECK_EQ(weft_close(fds[0]), 0);
    expect_all(calls, 4, -ECANCELED);
    CHECK_EQ(weft_close(fds[1]), 0);
}

/* ---- Foreign threads queue among the goroutines; without a run they take turns too ---- */

static void *read_as_thread(void *arg)
{
    struct call *call = arg;
    call->result = read_byte(call);
    return NULL;
}

TEST_PROCS(foreign_threads_queue)
{
    enum { THREADS = 3 };
    int fds[2];
    struct call calls[2 * THREADS];
    pthread_t threads[THREADS];
    pair_unix(fds);
    for (int i = 0; i < 2 * THREADS; i++) {
        calls[i] = (struct call){.fd = fds[0], .fn = read_byte};
        if (i % 2)
            call_go(&calls[i]);
        else
            CHECK_EQ(pthread_create(&threads[i / 2], NULL, read_as_thread, &calls[i]), 0);
        CHECK_SOON(net_waiters() == i + 1);
    }
    CHECK_EQ(weft_write_all(fds[1], "\1\2\3\4\5\6", 6), 6);
    for (int i = 0; i < 2 * THREADS; i++) {
        if (i % 2 == 0)
            CHECK_EQ(pthread_join(threads[i / 2], NULL), 0);
        CHECK_EQ(i % 2 ? call_join(&calls[i]) : calls[i].result, i + 1);
    }
    pair_close(fds);
}

TEST(without_a_run)
{
    int fds[2];
    struct call calls[3];
    pthread_t threads[3];
    long sum = 0;
    pair_unix(fds);
    for (int i = 0; i < 3; i++) {
        calls[i] = (struct call){.fd = fds[0], .fn = read_byte};
        CHECK_EQ(pthread_create(&threads[i], NULL, read_as_thread, &calls[i]), 0);
    }
    usleep(20000);
    CHECK_EQ(weft_write_all(fds[1], "\1\2\3", 3), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        sum += calls[i].result;
    }
    CHECK_EQ(sum, 6);
    pair_close(fds);
}

/* ---- Goroutines that the end of a run discards do not keep their turns ---- */

static int kept[2];

static int leave_readers(int argc, char **argv)
{
    (void)argc, (void)argv;
    static struct call calls[3];
    start_readers(kept[0], calls, 3);
    return 0;
}

TEST(run_ends)
{
    pair_unix(kept);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_run(leave_readers, 0, NULL), 0);
        CHECK_EQ(weft_write(kept[1], "x", 1), 1);
        CHECK_EQ(read_byte(&(struct call){.fd = kept[0]}), 'x');
    }
    pair_close(kept);
}
