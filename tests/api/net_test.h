/* SPDX-License-Identifier: MIT
 *
 * What the tests of net.h share: places to listen at, connected pairs, goroutines that are waited
 * for. Loopback only.
 */
#ifndef NET_TEST_H
#define NET_TEST_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness/test.h"

struct endpoint {
    const char *network;
    char address[128];
    int fd;
};

enum { KIND_TCP, KIND_TCP6, KIND_UNIX, KIND_ABSTRACT, KINDS };

static inline bool have_ipv6(void)
{
    int fd = weft_listen("tcp6", "[::1]:0", 1);
    if (fd < 0)
        return false;
    CHECK_EQ(weft_close(fd), 0);
    return true;
}

static inline int bound_port(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                            : ((struct sockaddr_in *)&name)->sin_port);
}

/* Listens at a place of that kind which nobody else uses. */
static inline struct endpoint endpoint_listen(int kind, int backlog)
{
    static int number; /* atomic */
    struct endpoint at = {.network = kind == KIND_TCP    ? "tcp"
                                     : kind == KIND_TCP6 ? "tcp6"
                                                         : "unix"};
    int n = __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED);
    if (kind == KIND_UNIX || kind == KIND_ABSTRACT)
        snprintf(at.address, sizeof at.address, "%sweft-test-%d-%d",
                 kind == KIND_UNIX ? "/tmp/" : "@", (int)getpid(), n);
    if (kind == KIND_UNIX)
        unlink(at.address); /* left by a process that was killed and had our number */
    const char *where = kind == KIND_TCP    ? "127.0.0.1:0"
                        : kind == KIND_TCP6 ? "[::1]:0"
                                            : at.address;
    at.fd = weft_listen(at.network, where, backlog);
    CHECK_GE(at.fd, 0);
    if (kind == KIND_TCP || kind == KIND_TCP6)
        snprintf(at.address, sizeof at.address, "%s:%d", kind == KIND_TCP ? "127.0.0.1" : "[::1]",
                 bound_port(at.fd));
    return at;
}

static inline void endpoint_close(const struct endpoint *at)
{
    CHECK_EQ(weft_close(at->fd), 0);
    if (at->address[0] == '/')
        CHECK_EQ(unlink(at->address), 0);
}

static inline int endpoint_dial(const struct endpoint *at)
{
    int fd = weft_dial(at->network, at->address, weft_after(30 * WEFT_SECOND));
    CHECK_GE(fd, 0);
    return fd;
}

/* Two connected stream sockets. */
static inline void pair_unix(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void pair_tcp(int fds[2])
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    fds[0] = endpoint_dial(&at);
    fds[1] = weft_accept(at.fd, NULL, NULL);
    CHECK_GE(fds[1], 0);
    endpoint_close(&at);
}

static inline void pair_close(int fds[2])
{
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

/* ---- Bytes ---- */

static inline struct iovec part_of(const char *text)
{
    return (struct iovec){(void *)text, strlen(text)};
}

/* Bytes that say where they are, also between pieces of a power of two. */
static inline unsigned char pattern_at(size_t offset)
{
    return (unsigned char)(offset * 13 + offset / 257);
}

static inline void pattern_fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_at(i);
}

/* What should be at that offset. */
static inline void pattern_check(const unsigned char *bytes, size_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern_at(offset + i))
            FAIL("byte %zu is %d", offset + i, bytes[i]);
}

/* Reads that much. */
static inline void read_full(int fd, void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = weft_read(fd, (char *)buffer + done, size - done);
        CHECK_GT(count, 0);
        done += (size_t)count;
    }
}

/* ---- Calls that wait ---- */

static inline int net_waiters(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    return stats.net_waiters;
}

/* A call in another goroutine: what it was, and its result once it is done. */
struct call {
    int fd;
    int events;
    int64_t deadline;
    long (*fn)(struct call *call);
    long result;
    weft_waitgroup running;
};

static inline long call_read(struct call *call)
{
    char byte;
    return weft_read(call->fd, &byte, 1);
}

/* Until it fails; fills the buffers and waits. */
static inline long call_write(struct call *call)
{
    static const char zeros[65536];
    ssize_t count;
    while ((count = weft_write_all(call->fd, zeros, sizeof zeros)) >= 0) {
    }
    return count;
}

/* Leaves no room: who writes then has to wait. */
static inline void fill_up(int fd)
{
    CHECK_EQ(weft_set_write_deadline(fd, WEFT_NOWAIT), 0);
    CHECK_EQ(call_write(&(struct call){.fd = fd}), -EAGAIN);
    CHECK_EQ(weft_set_write_deadline(fd, WEFT_FOREVER), 0);
}

/* Reads all that has come. */
static inline void read_up(int fd)
{
    char bytes[65536];
    CHECK_EQ(weft_set_read_deadline(fd, WEFT_NOWAIT), 0);
    while (weft_read(fd, bytes, sizeof bytes) > 0) {
    }
    CHECK_EQ(weft_set_read_deadline(fd, WEFT_FOREVER), 0);
}

static inline long call_accept(struct call *call)
{
    return weft_accept(call->fd, NULL, NULL);
}

static inline long call_wait(struct call *call)
{
    return weft_wait(call->fd, call->events, call->deadline);
}

static inline void call_run(void *arg)
{
    struct call *call = arg;
    call->result = call->fn(call);
    weft_waitgroup_done(&call->running);
}

static inline bool call_done(struct call *call)
{
    return weft_waitgroup_wait_until(&call->running, WEFT_NOWAIT) == 0;
}

static inline void call_go(struct call *call)
{
    weft_waitgroup_add(&call->running, 1);
    CHECK_EQ(weft_go(call_run, call), 0);
}

/* Starts it; returns when it, and all others that were started before, wait. */
static inline void call_start(struct call *call, int waiters)
{
    call_go(call);
    CHECK_SOON(net_waiters() == waiters);
    CHECK(!call_done(call));
}

static inline long call_join(struct call *call)
{
    CHECK_SOON(call_done(call));
    return call->result;
}

#endif
