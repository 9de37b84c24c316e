/* SPDX-License-Identifier: MIT
 *
 * Sockets when the system says no, or not now.
 */
#include "api/net_test.h"

#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>

/* The next calls of each kind fail so, as often as that. */
struct fault {
    int error;
    int count;
};

static struct fault adds, accepts, reads, binds, connects, closes, mmaps;
static int refused_family = -1;

static bool fails(struct fault *fault)
{
    if (fault->count == 0)
        return false;
    fault->count--;
    errno = fault->error;
    return true;
}

int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fails(&adds))
        return -1;
    return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return fails(&accepts) ? -1 : __real_accept4(fd, address, size, flags);
}

ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);

/* The other end of a descriptor that is to become readable right after a read found nothing. */
static int late_peer = -1; /* atomic */

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    if (fails(&reads))
        return -1;
    ssize_t result = __real_recv(fd, buffer, size, flags);
    int peer = __atomic_load_n(&late_peer, __ATOMIC_ACQUIRE);
    if (result < 0 && errno == EAGAIN && peer >= 0) {
        CHECK_EQ(write(peer, "x", 1), 1);
        __atomic_store_n(&late_peer, -1, __ATOMIC_RELEASE);
        usleep(30000); /* time enough for another thread to handle the event */
        errno = EAGAIN;
    }
    return result;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);

int __wrap_socket(int family, int type, int protocol)
{
    if (family == refused_family) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return __real_socket(family, type, protocol);
}

int __real_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return fails(&binds) ? -1 : __real_bind(fd, address, size);
}

int __real_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);

/* Interrupted, it goes on. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int result = __real_connect(fd, address, size);
    return fails(&connects) ? -1 : result;
}

int __real_close(int fd);
int __wrap_close(int fd);

/* Interrupted, the number is free nevertheless. */
int __wrap_close(int fd)
{
    int result = __real_close(fd);
    return fails(&closes) ? -1 : result;
}

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(&mmaps) ? MAP_FAILED : __real_mmap(address, size, protection, flags, fd, offset);
}

TEST_PROCS(poller_takes_no_more)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_read};
    adds = (struct fault){ENOSPC, 2};
    CHECK_EQ(call_read(&call), -ENOSPC);
    CHECK_EQ(weft_wait(fds[0], POLLIN, WEFT_FOREVER), -ENOSPC);
    CHECK_EQ(net_waiters(), 0);
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&call), 1);
    pair_close(fds);
}

TEST_PROCS(accept_errors)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 0);
    int fd = endpoint_dial(&at);
    accepts = (struct fault){ECONNABORTED, 3};
    int accepted = weft_accept(at.fd, NULL, NULL);
    CHECK_GE(accepted, 0);
    CHECK_EQ(accepts.count, 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(fd), 0);

    fd = endpoint_dial(&at);
    accepts = (struct fault){ENFILE, 1}; /* it looks again later */
    accepted = weft_accept(at.fd, NULL, NULL);
    CHECK_GE(accepted, 0);
    CHECK_EQ(accepts.count, 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(fd), 0);

    fd = endpoint_dial(&at);
    accepts = (struct fault){EINTR, 3};
    accepted = weft_accept(at.fd, NULL, NULL);
    CHECK_GE(accepted, 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(fd), 0);
    endpoint_close(&at);
}

TEST_PROCS(interrupted)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    reads = (struct fault){EINTR, 3};
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    CHECK_EQ(reads.count, 0);
    closes = (struct fault){EINTR, 1};
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_close(fds[0]), -EBADF);
    CHECK_EQ(weft_close(fds[1]), 0);

    struct endpoint at = endpoint_listen(KIND_TCP, 0);
    connects = (struct fault){EINTR, 1};
    CHECK_EQ(weft_close(endpoint_dial(&at)), 0);
    CHECK_EQ(connects.count, 0);
    endpoint_close(&at);
}

TEST_PROCS(close_tells_errors)
{
    int fds[2];
    pair_unix(fds);
    closes = (struct fault){EIO, 1};
    CHECK_EQ(weft_close(fds[0]), -EIO);
    CHECK_EQ(weft_close(fds[0]), -EBADF);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static void listens_on_v4(void)
{
    int fd = weft_listen("tcp", ":0", 1);
    CHECK_GE(fd, 0);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    CHECK_EQ(name.ss_family, AF_INET);
    CHECK_EQ(weft_close(fd), 0);
}

TEST(without_ipv6)
{
    refused_family = AF_INET6;
    listens_on_v4();
    CHECK_EQ(weft_listen("tcp6", ":0", 1), -EAFNOSUPPORT);
    CHECK_EQ(weft_listen("tcp", "[::1]:0", 1), -EAFNOSUPPORT);
    CHECK_EQ(weft_dial("tcp", "[::1]:1", WEFT_FOREVER), -EAFNOSUPPORT);
    refused_family = -1;
    binds = (struct fault){EADDRNOTAVAIL, 1};
    listens_on_v4();
    binds = (struct fault){EADDRNOTAVAIL, 1};
    CHECK_EQ(weft_listen("tcp6", ":0", 1), -EADDRNOTAVAIL);
}

/* The first use of a number may need memory; closing never does. */
TEST(no_memory)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    mmaps = (struct fault){ENOMEM, 3};
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ENOMEM);
    CHECK_EQ(weft_set_deadline(fds[0], 0, 0), -ENOMEM);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

/* An edge between the attempt and the wait, registered with epoll before or not. */
TEST_PROCS(readable_a_moment_later)
{
    int fds[2], other[2];
    pair_unix(fds);
    pair_unix(other);
    struct call bystander = {.fd = other[0], .fn = call_read}; /* so that somebody polls */
    call_start(&bystander, 1);
    for (int i = 0; i < 5; i++) {
        char byte;
        __atomic_store_n(&late_peer, fds[1], __ATOMIC_RELEASE);
        CHECK_EQ(weft_set_deadline(fds[0], weft_after(10 * WEFT_SECOND), WEFT_FOREVER), 0);
        CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    }
    CHECK_EQ(weft_write(other[1], "x", 1), 1);
    CHECK_EQ(call_join(&bystander), 1);
    pair_close(fds);
    pair_close(other);
}
