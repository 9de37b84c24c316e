/* SPDX-License-Identifier: MIT
 *
 * examples/proxy as a process of its own, before a target in the test's.
 */
#ifndef PROXY_TEST_H
#define PROXY_TEST_H

#include <stdatomic.h>

#include "api/net_test.h"
#include "servers/program.h"

struct target {
    weft_server server;
    int listener;
    char address[32];
    void (*handler)(weft_conn *conn, int fd, void *arg);
    weft_waitgroup serving;
    atomic_int now, most, total; /* connections */
};

static inline void target_handle(weft_conn *conn, int fd, void *arg)
{
    struct target *target = arg;
    int now = atomic_fetch_add(&target->now, 1) + 1, most = target->most;
    while (now > most && !atomic_compare_exchange_weak(&target->most, &most, now))
        continue;
    atomic_fetch_add(&target->total, 1);
    target->handler(conn, fd, arg);
    atomic_fetch_sub(&target->now, 1);
}

static inline void target_serve(void *arg)
{
    struct target *target = arg;
    CHECK_EQ(weft_serve(&target->server, target->listener, target_handle, target), 0);
    weft_waitgroup_done(&target->serving);
}

static inline void target_start(struct target *target,
                                void (*handler)(weft_conn *conn, int fd, void *arg))
{
    *target = (struct target){.handler = handler};
    target->listener = weft_listen("tcp", "127.0.0.1:0", 0);
    CHECK_GE(target->listener, 0);
    snprintf(target->address, sizeof target->address, "127.0.0.1:%d", bound_port(target->listener));
    weft_waitgroup_add(&target->serving, 1);
    CHECK_EQ(weft_go(target_serve, target), 0);
}

/* All connections have ended, or do now. */
static inline void target_stop(struct target *target)
{
    weft_yield();
    while (weft_waitgroup_wait_until(&target->serving, weft_after(WEFT_MILLISECOND)) < 0)
        weft_server_stop(&target->server, weft_after(20 * WEFT_SECOND));
}

/* A target that sends back what it gets, and a full stop once its input has ended. */
static inline void echo(weft_conn *conn, int fd, void *arg)
{
    char buffer[4096];
    ssize_t size;
    (void)conn, (void)arg;
    while ((size = weft_read(fd, buffer, sizeof buffer)) > 0)
        if (weft_write_all(fd, buffer, (size_t)size) < 0)
            return;
    weft_write_all(fd, ".", 1);
}

/* The number of this connection's round comes back. */
static inline void check_echo(int fd, int round)
{
    int back = ~round;
    CHECK_EQ(weft_write_all(fd, &round, sizeof round), sizeof round);
    CHECK_EQ(weft_read_full(fd, &back, sizeof back), sizeof back);
    CHECK_EQ(back, round);
}

/* A connection on which an echo has come back. */
static inline int dial_used(const struct program *proxy)
{
    int fd = program_dial(proxy);
    check_echo(fd, fd);
    return fd;
}

/* Ends the input: the full stop comes, and the end. */
static inline void check_goodbye(int fd)
{
    char rest[2] = "";
    CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
    CHECK_EQ(weft_read_full(fd, rest, 2), 1);
    CHECK_EQ(rest[0], '.');
    CHECK_EQ(weft_close(fd), 0);
}

/* Reads to the end, and closes. What ended it: 0, or an error. */
static inline ssize_t read_to_end(int fd)
{
    char buffer[16 * 1024];
    ssize_t size;
    while ((size = weft_read(fd, buffer, sizeof buffer)) > 0)
        continue;
    CHECK_EQ(weft_close(fd), 0);
    return size;
}

/* With status 0 and nothing left open on either side. */
static inline void proxy_stop(struct program *proxy, struct target *target)
{
    CHECK_EQ(program_stop(proxy, SIGTERM), 0);
    CHECK_EQ(program_figure(proxy, " cut at the end"), 0);
    if (target != NULL)
        target_stop(target);
}

#endif
