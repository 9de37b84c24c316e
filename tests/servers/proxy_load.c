/* SPDX-License-Identifier: MIT
 *
 * examples/proxy under load: thousands of connections at once, more than it may have, a signal
 * while it is busy, and tens of thousands that are dropped in every state, which leave nothing.
 */
#include "servers/proxy_test.h"
#include "stress/stress.h"

/* ---- Many at once ---- */

enum { MANY = 2500, LIMIT = 8 };

static struct program *loaded;
static weft_waitgroup all_open;

static void stay_a_while(void *index)
{
    int fd = dial_used(loaded);
    weft_waitgroup_done(&all_open);
    weft_waitgroup_wait(&all_open);
    check_echo(fd, test_index(index));
    check_goodbye(fd);
}

TEST_PROCS(many_at_once, .timeout = 120)
{
    int count = test_many(MANY) / (TEST_TSAN ? 4 : 1);
    struct target target;
    target_start(&target, echo);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "5000");
    loaded = &proxy;
    weft_waitgroup_add(&all_open, count);
    test_each(count, stay_a_while);
    CHECK_EQ(target.most, count);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " at once at most"), count);
    CHECK_EQ(program_figure(&proxy, " broken"), 0);
}

/* Those over the limit are connected, by the kernel, and get their echo when there is room. */
TEST_PROCS(over_the_limit)
{
    enum { WAITING = 40 };
    int inside[LIMIT], outside[WAITING];
    struct target target;
    target_start(&target, echo);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "8");
    for (int i = 0; i < LIMIT; i++)
        inside[i] = dial_used(&proxy);
    for (int i = 0; i < WAITING; i++) {
        outside[i] = program_dial(&proxy);
        CHECK_EQ(weft_write_all(outside[i], &i, sizeof i), sizeof i);
    }
    for (int i = 0; i < WAITING; i++)
        CHECK_EQ(weft_wait(outside[i], POLLIN, weft_after(2 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(target.total, LIMIT);
    for (int i = 0; i < LIMIT; i++)
        check_goodbye(inside[i]);
    for (int i = 0, back; i < WAITING; i++) { /* in the order in which they came */
        CHECK_EQ(weft_read_full(outside[i], &back, sizeof back), sizeof back);
        CHECK_EQ(back, i);
        check_goodbye(outside[i]);
    }
    CHECK_EQ(target.most, LIMIT);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " connections"), LIMIT + WAITING);
}

/* ---- The end under load ---- */

enum { BUSY = 200, STUCK = 50, STAY = -1 };

static weft_waitgroup stop_begun, stopped;

/* An echo. After a last number of -1 it leaves its end open. */
static void echo_or_stay(weft_conn *conn, int fd, void *arg)
{
    int number = 0;
    (void)conn, (void)arg;
    while (weft_read_full(fd, &number, sizeof number) == sizeof number)
        weft_write_all(fd, &number, sizeof number);
    weft_write_all(fd, ".", 1);
    if (number == STAY)
        weft_waitgroup_wait(&stopped);
}

/* It is between two of its echoes when the signal comes. */
static void run_busy(int index)
{
    int fd = dial_used(loaded);
    weft_waitgroup_done(&all_open);
    weft_waitgroup_wait(&stop_begun);
    for (int round = 0; round < 5; round++)
        check_echo(fd, round + index);
    check_goodbye(fd);
}

/* It never ends. Every other has ended its input, so nobody reads from it. */
static void run_stuck(int index)
{
    int fd = dial_used(loaded);
    if (index % 2 == 0) {
        char stop;
        check_echo(fd, STAY);
        CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
        CHECK_EQ(weft_read_full(fd, &stop, 1), 1);
    }
    weft_waitgroup_done(&all_open);
    CHECK_EQ(read_to_end(fd), -ECONNRESET);
}

static void run_either(void *index)
{
    if (test_index(index) == BUSY + STUCK) {
        weft_waitgroup_wait(&all_open);
        CHECK_EQ(weft_process_kill(&loaded->process, SIGTERM), 0);
        for (int fd; (fd = weft_dial("tcp", loaded->address, WEFT_FOREVER)) >= 0;)
            CHECK_EQ(weft_close(fd), 0); /* until it listens no more */
        weft_waitgroup_done(&stop_begun);
    } else if (test_index(index) < BUSY) {
        run_busy(test_index(index));
    } else {
        run_stuck(test_index(index));
    }
}

TEST_PROCS(stops_under_load)
{
    struct target target;
    target_start(&target, echo_or_stay);
    PROGRAM(proxy, "proxy", "--target", target.address, "--grace", TEST_TSAN ? "12" : "4");
    loaded = &proxy;
    weft_waitgroup_add(&all_open, BUSY + STUCK);
    weft_waitgroup_add(&stop_begun, 1);
    weft_waitgroup_add(&stopped, 1);
    test_each(BUSY + STUCK + 1, run_either);
    CHECK_EQ(program_end(&proxy), 0);
    weft_waitgroup_done(&stopped);
    target_stop(&target);
    CHECK_EQ(program_figure(&proxy, " cut at the end"), STUCK);
    CHECK_EQ(program_figure(&proxy, " broken"), 0);
}

/* ---- Nothing is left ---- */

enum { DIALLERS = 64, CONNECTIONS = 30000, ROUNDS = 6, WARM_UP = 2, GROWTH_MAX = 1536 /* KiB */ };

static atomic_int tickets; /* connections to be made in this round */

static void orderly(int fd)
{
    check_echo(fd, 1);
    check_goodbye(fd);
}

static void closed_at_once(int fd)
{
    CHECK_EQ(weft_close(fd), 0);
}

static void closed_after_use(int fd)
{
    check_echo(fd, 2);
    CHECK_EQ(weft_close(fd), 0);
}

static void reset_at_once(int fd)
{
    program_hang_up(fd);
}

static void reset_after_use(int fd)
{
    check_echo(fd, 3);
    program_hang_up(fd);
}

static void reset_in_the_middle(int fd)
{
    static const char zeros[50000];
    CHECK_GT(weft_write_all(fd, zeros, 1 + test_random_below(sizeof zeros)), 0);
    program_hang_up(fd);
}

/* The target's buffers and the proxy's fill up behind it. */
static void never_read(int fd)
{
    static const char zeros[8 << 20];
    CHECK_EQ(weft_set_write_deadline(fd, weft_after(20 * WEFT_MILLISECOND)), 0);
    ssize_t result = weft_write_all(fd, zeros, sizeof zeros);
    CHECK(result == -ETIMEDOUT || result == sizeof zeros);
    program_hang_up(fd);
}

static void half_closed(int fd)
{
    CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
    if (by_chance(2))
        program_hang_up(fd);
    else
        CHECK_LE(read_to_end(fd), 0);
}

static void (*const states[])(int fd) = {
    orderly,         closed_at_once,      closed_after_use, reset_at_once,
    reset_after_use, reset_in_the_middle, half_closed,
};

enum { STATES = sizeof states / sizeof states[0] };

static void drop_connections(void *index)
{
    (void)index;
    while (atomic_fetch_sub(&tickets, 1) > 0) {
        int fd = program_dial(loaded);
        if (by_chance(100))
            never_read(fd);
        else
            states[test_random_below(STATES)](fd);
    }
}

static void drop_many(struct target *target, int count)
{
    tickets = count;
    test_each(DIALLERS, drop_connections);
    CHECK_SOON(target->now == 0);
}

/* Has the proxy's goroutines use all of their buffers. */
static void fill_buffers(void *index)
{
    char block[32 * 1024] = "";
    int fd = dial_used(loaded);
    (void)index;
    weft_waitgroup_done(&all_open);
    weft_waitgroup_wait(&all_open);
    CHECK_EQ(weft_write_all(fd, block, sizeof block), sizeof block);
    CHECK_EQ(weft_read_full(fd, block, sizeof block), sizeof block);
    check_goodbye(fd);
}

/* As many at once as there can be: their stacks are kept for the connections that follow. */
static void warm_up(struct target *target, int count)
{
    weft_waitgroup_add(&all_open, 2 * DIALLERS);
    test_each(2 * DIALLERS, fill_buffers);
    for (int i = 0; i < WARM_UP; i++)
        drop_many(target, count);
}

TEST_PROCS(nothing_is_left, .timeout = 120)
{
    struct target target;
    target_start(&target, echo);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "128");
    loaded = &proxy;
    int descriptors = program_files(&proxy), round = share(CONNECTIONS) / ROUNDS;
    warm_up(&target, round);
    CHECK_SOON(program_files(&proxy) == descriptors);
    long before = program_status(&proxy, "RssAnon");
    for (int i = WARM_UP; i < ROUNDS; i++)
        drop_many(&target, round);
    CHECK_SOON(program_files(&proxy) == descriptors);
    long growth = program_status(&proxy, "RssAnon") - before;
    if (!TEST_ASAN && !TEST_TSAN)
        CHECK_LE(growth, GROWTH_MAX);
    proxy_stop(&proxy, &target);
}
