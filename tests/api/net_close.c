/* SPDX-License-Identifier: MIT
 *
 * Closing: wakes whoever waits, waits until they have left, and nothing of the old descriptor
 * reaches the one that gets its number next.
 */
#include "api/net_test.h"

#include <sys/eventfd.h>

static void close_wakes(struct call *calls, int count)
{
    for (int i = 0; i < count; i++)
        call_start(&calls[i], i + 1);
    CHECK_EQ(weft_close(calls[0].fd), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(call_join(&calls[i]), -ECANCELED);
    CHECK_EQ(net_waiters(), 0);
    CHECK_EQ(fcntl(calls[0].fd, F_GETFD), -1);
}

TEST_PROCS(wakes_read_write_and_wait)
{
    int fds[2];
    pair_tcp(fds);
    struct call calls[] = {
        {.fd = fds[0], .fn = call_read},
        {.fd = fds[0], .fn = call_write},
        {.fd = fds[0], .fn = call_read},
        {.fd = fds[0], .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER},
        {.fd = fds[0],
         .fn = call_wait,
         .events = POLLRDHUP,
         .deadline = weft_after(WEFT_SECOND * 900)},
        {.fd = fds[0], .fn = call_wait, .events = POLLIN | POLLOUT, .deadline = WEFT_FOREVER},
    };
    close_wakes(calls, 6);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST_PROCS(wakes_accept)
{
    struct endpoint at = endpoint_listen(KIND_UNIX, 1);
    struct call calls[] = {{.fd = at.fd, .fn = call_accept}, {.fd = at.fd, .fn = call_accept}};
    close_wakes(calls, 2);
    CHECK_EQ(unlink(at.address), 0);
}

/* Who waits to write, with full buffers, learns of it as who waits to read does. */
TEST_PROCS(shutdown_ends_waits)
{
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        for (int kind = 0; kind < 2; kind++) {
            int fds[2];
            kind ? pair_tcp(fds) : pair_unix(fds);
            struct call calls[] = {{.fd = fds[0], .fn = call_read},
                                   {.fd = fds[0], .fn = call_write}};
            bool ends[] = {how != SHUT_WR, how != SHUT_RD};
            call_start(&calls[0], 1);
            call_start(&calls[1], 2);
            weft_sleep(WEFT_MILLISECOND);
            CHECK(!call_done(&calls[0]) && !call_done(&calls[1]));
            CHECK_EQ(weft_shutdown(fds[0], how), 0);
            for (int i = 0; i < 2; i++)
                if (ends[i])
                    CHECK_EQ(call_join(&calls[i]), i ? -EPIPE : 0);
            CHECK_EQ(weft_close(fds[0]), 0);
            for (int i = 0; i < 2; i++)
                if (!ends[i])
                    CHECK_EQ(call_join(&calls[i]), -ECANCELED);
            CHECK_EQ(weft_close(fds[1]), 0);
        }
    }
}

static long call_close(struct call *call)
{
    return weft_close(call->fd);
}

/* A close that lingers, because the peer does not read, holds up neither a slot nor the
 * descriptor's lock; who gets the number meanwhile can use it afterwards. */
TEST_PROCS(lingers)
{
    int fds[2], successor[2];
    pair_tcp(fds);
    pair_unix(successor);
    struct linger linger = {.l_onoff = 1, .l_linger = 1};
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    fill_up(fds[0]);
    struct call call = {.fd = fds[0], .fn = call_close};
    call_go(&call);
    CHECK_SOON(fcntl(fds[0], F_GETFD) == -1);
    CHECK(!call_done(&call));
    CHECK_EQ(dup2(successor[0], fds[0]), fds[0]);
    char byte;
    CHECK_EQ(weft_write(fds[0], "x", 1), 1);
    CHECK_EQ(call_join(&call), 0);
    CHECK_EQ(weft_read(successor[1], &byte, 1), 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    pair_close(successor);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST_PROCS(never_used)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_close(fds[0]), -EBADF);
    char byte;
    CHECK_EQ(weft_read(fds[0], &byte, 1), -EBADF);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_close(fds[1]), -EBADF);
}

/* ---- Several closes at once ---- */

static int closed, canceled, not_open; /* atomic */
static weft_waitgroup closers;

static void close_it(void *arg)
{
    int result = weft_close((int)(intptr_t)arg);
    int *count = result == 0 ? &closed : result == -ECANCELED ? &canceled : &not_open;
    CHECK(result == 0 || result == -ECANCELED || result == -EBADF);
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    weft_waitgroup_done(&closers);
}

TEST_PROCS(twice)
{
    enum { ROUNDS = 200, CLOSERS = 4 };
    for (int i = 0; i < ROUNDS; i++) {
        int fds[2];
        pair_unix(fds);
        struct call call = {.fd = fds[0], .fn = call_read};
        call_go(&call);
        if (i % 2)
            weft_yield();
        weft_waitgroup_add(&closers, CLOSERS);
        for (int j = 0; j < CLOSERS; j++)
            CHECK_EQ(weft_go(close_it, (void *)(intptr_t)fds[0]), 0);
        weft_waitgroup_wait(&closers);
        long result = call_join(&call);
        CHECK(result == -ECANCELED || result == -EBADF);
        CHECK_EQ(weft_close(fds[1]), 0);
    }
    CHECK_EQ(closed, ROUNDS);
    CHECK_EQ(closed + canceled + not_open, ROUNDS * CLOSERS);
}

/* ---- Reuse of numbers ---- */

/* One generation of a number. Bytes carry a tag of the pair they were written to; a reader that
 * finds another tag, or any result before its time, has got something that was meant for a
 * predecessor. */
struct pair {
    int fds[2];
    unsigned char tag;
    int closing; /* atomic */
    int64_t deadline;
    int readers_out; /* atomic: that have ended */
    int writers_out; /* atomic */
};

enum { READERS = 3 };

static void read_tagged(void *arg)
{
    struct pair *pair = arg;
    unsigned char byte;
    ssize_t count = weft_read(pair->fds[0], &byte, 1);
    if (count == 1)
        CHECK_EQ(byte, pair->tag);
    else if (count == -ETIMEDOUT)
        CHECK_GE(weft_now(), pair->deadline);
    else if (count == -ECANCELED)
        CHECK(__atomic_load_n(&pair->closing, __ATOMIC_SEQ_CST));
    else
        FAIL("read: %zd", count);
    __atomic_add_fetch(&pair->readers_out, 1, __ATOMIC_SEQ_CST);
}

/* Its own end stays open for as long as it may write. */
static void write_tagged(void *arg)
{
    struct pair *pair = arg;
    int64_t writes = (int64_t)test_random_below(READERS + 1);
    for (int64_t i = 0; i < writes; i++) {
        ssize_t count = weft_write(pair->fds[1], &pair->tag, 1);
        CHECK(count == 1 || count == -EPIPE || count == -ECONNRESET);
        if (test_random_below(2))
            weft_yield();
    }
    __atomic_add_fetch(&pair->writers_out, 1, __ATOMIC_SEQ_CST);
}

/* All readers have begun: each waits or has ended. In this order none is counted twice. */
static void await_readers(struct pair *pair, int others)
{
    for (;;) {
        int ended = __atomic_load_n(&pair->readers_out, __ATOMIC_SEQ_CST);
        if (ended + net_waiters() - others >= READERS)
            return;
        weft_yield();
    }
}

static void run_generation(unsigned char tag, int others)
{
    struct pair pair = {.tag = tag, .deadline = WEFT_FOREVER};
    if (tag % 8 == 0)
        pair_tcp(pair.fds);
    else
        pair_unix(pair.fds);
    if (tag % 3 == 0) {
        pair.deadline = weft_after((int64_t)test_random_below(200 * 1000));
        CHECK_EQ(weft_set_deadline(pair.fds[0], pair.deadline, WEFT_FOREVER), 0);
    }
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(weft_go(read_tagged, &pair), 0);
    await_readers(&pair, others);
    CHECK_EQ(weft_go(write_tagged, &pair), 0);
    for (uint64_t i = test_random_below(4); i > 0; i--)
        weft_yield();
    __atomic_store_n(&pair.closing, 1, __ATOMIC_SEQ_CST);
    CHECK_EQ(weft_close(pair.fds[0]), 0);
    /* The number is free for the next generation while these are still on their way out. */
    while (__atomic_load_n(&pair.readers_out, __ATOMIC_SEQ_CST) < READERS ||
           __atomic_load_n(&pair.writers_out, __ATOMIC_SEQ_CST) < 1)
        weft_yield();
    CHECK_EQ(weft_close(pair.fds[1]), 0);
}

TEST_PROCS(numbers_are_reused)
{
    int other[2];
    pair_unix(other);
    struct call calls[] = {{.fd = other[0], .fn = call_read}, {.fd = other[1], .fn = call_read}};
    call_start(&calls[0], 1);
    call_start(&calls[1], 2);
    for (int i = 0; i < test_many(5000); i++)
        run_generation((unsigned char)i, 2);
    CHECK(!call_done(&calls[0]) && !call_done(&calls[1]));
    CHECK_EQ(weft_write(other[0], "x", 1), 1);
    CHECK_EQ(weft_write(other[1], "x", 1), 1);
    CHECK_EQ(call_join(&calls[0]), 1);
    CHECK_EQ(call_join(&calls[1]), 1);
    pair_close(other);
}

/* What is known of a descriptor must not outlive it: that it is no socket, that it is non-blocking
 * and known to epoll, that it cannot be polled, its deadline. */
TEST_PROCS(successor_of_another_kind)
{
    int wanted = -1;
    for (int i = 0; i < 50; i++) {
        int fd = i % 3 == 0   ? eventfd(0, EFD_CLOEXEC)
                 : i % 3 == 1 ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
                              : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_GE(fd, 0);
        if (wanted < 0)
            wanted = fd;
        CHECK_EQ(fd, wanted);
        uint64_t one = 1;
        if (i % 3 == 0) {
            struct call call = {
                .fd = fd, .fn = call_wait, .events = POLLIN, .deadline = WEFT_FOREVER};
            call_start(&call, 1);
            CHECK_EQ(weft_write(fd, &one, sizeof one), sizeof one);
            CHECK_EQ(call_join(&call), POLLIN);
        } else if (i % 3 == 1) {
            CHECK_EQ(weft_wait(fd, POLLIN, WEFT_FOREVER), -EPERM);
            CHECK_EQ(weft_read(fd, &one, 4), 4);
        } else {
            CHECK_EQ(weft_write(fd, "x", 1), -ENOTCONN);
            CHECK_EQ(weft_wait(fd, POLLIN, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
        }
        CHECK_EQ(weft_set_deadline(fd, 1, 1), 0);
        CHECK_EQ(weft_close(fd), 0);
    }
}
