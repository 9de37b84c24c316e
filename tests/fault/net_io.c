/* SPDX-License-Identifier: MIT
 *
 * Reading and writing when a signal comes in between, when the kernel takes or gives less than it
 * could, and when a listener of a group cannot be had.
 */
#include "api/net_test.h"

/* ---- Interruptions ---- */

static int interruptions; /* that are still to come; each test has one call at a time */
static int interrupted;   /* that have come */

static bool interrupt(void)
{
    if (interruptions == 0)
        return false;
    interruptions--;
    interrupted++;
    errno = EINTR;
    return true;
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
    return interrupt() ? -1 : __real_read(fd, buffer, size);
}

ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    return interrupt() ? -1 : __real_recv(fd, buffer, size, flags);
}

ssize_t __real_readv(int fd, const struct iovec *parts, int count);
ssize_t __wrap_readv(int fd, const struct iovec *parts, int count);

ssize_t __wrap_readv(int fd, const struct iovec *parts, int count)
{
    return interrupt() ? -1 : __real_readv(fd, parts, count);
}

ssize_t __real_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size);
ssize_t __wrap_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size);

ssize_t __wrap_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size)
{
    return interrupt() ? -1 : __real_recvfrom(fd, buffer, size, flags, from, from_size);
}

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    return interrupt() ? -1 : __real_recvmsg(fd, message, flags);
}

/* ---- Writes, which may also be cut ---- */

/* 0: as many bytes as the kernel takes. Or at most so many; or none at all. */
static size_t cut;
static bool no_progress;

static size_t cut_size(size_t size)
{
    return no_progress ? 0 : cut != 0 && cut < size ? cut : size;
}

/* Copies parts until they have that many bytes. Their number. */
static int cut_parts(const struct iovec *parts, int count, struct iovec *copy)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    size_t left = cut_size(size);
    int copied = 0;
    for (; copied < count && left > 0; copied++) {
        copy[copied] = parts[copied];
        if (copy[copied].iov_len > left)
            copy[copied].iov_len = left;
        left -= copy[copied].iov_len;
    }
    return copied;
}

ssize_t __real_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size);

ssize_t __wrap_write(int fd, const void *buffer, size_t size)
{
    return interrupt() ? -1 : __real_write(fd, buffer, cut_size(size));
}

ssize_t __real_send(int fd, const void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags);

ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags)
{
    CHECK(flags & MSG_NOSIGNAL);
    return interrupt() ? -1 : __real_send(fd, buffer, cut_size(size), flags);
}

ssize_t __real_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to,
                      socklen_t to_size);
ssize_t __wrap_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to,
                      socklen_t to_size);

ssize_t __wrap_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to,
                      socklen_t to_size)
{
    CHECK(flags & MSG_NOSIGNAL);
    return interrupt() ? -1 : __real_sendto(fd, buffer, size, flags, to, to_size);
}

enum { PARTS = 40 };

ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
    struct iovec copy[PARTS];
    return interrupt() ? -1 : __real_writev(fd, copy, cut_parts(parts, count, copy));
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec copy[PARTS];
    struct msghdr shorter = *message;
    CHECK(flags & MSG_NOSIGNAL);
    shorter.msg_iov = copy;
    shorter.msg_iovlen = (size_t)cut_parts(message->msg_iov, (int)message->msg_iovlen, copy);
    return interrupt() ? -1 : __real_sendmsg(fd, &shorter, flags);
}

TEST_PROCS(interrupted_calls)
{
    enum { TIMES = 3 };
    int fds[2], ends[2], calls = 0;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    pair_unix(fds);
    CHECK_EQ(pipe(ends), 0);
#define INTERRUPTED(call)                                                                          \
    do {                                                                                           \
        interruptions = TIMES;                                                                     \
        CHECK_EQ(call, 1);                                                                         \
        CHECK_EQ(interrupted, TIMES * ++calls);                                                    \
    } while (0)
    INTERRUPTED(weft_write(ends[1], &byte, 1));
    INTERRUPTED(weft_write_all(ends[1], &byte, 1));
    INTERRUPTED(weft_writev(ends[1], &part, 1));
    INTERRUPTED(weft_writev_all(ends[1], &part, 1));
    INTERRUPTED(weft_read(ends[0], &byte, 1));
    INTERRUPTED(weft_read_full(ends[0], &byte, 1));
    INTERRUPTED(weft_readv(ends[0], &part, 1));
    INTERRUPTED(weft_write(fds[0], &byte, 1));
    INTERRUPTED(weft_write_all(fds[0], &byte, 1));
    INTERRUPTED(weft_writev(fds[0], &part, 1));
    INTERRUPTED(weft_writev_all(fds[0], &part, 1));
    INTERRUPTED(weft_sendto(fds[0], &byte, 1, 0, NULL, 0));
    INTERRUPTED(weft_sendto(fds[0], &byte, 1, MSG_DONTWAIT, NULL, 0));
    INTERRUPTED(weft_sendmsg(fds[0], &message, 0));
    INTERRUPTED(weft_read(fds[1], &byte, 1));
    INTERRUPTED(weft_read_full(fds[1], &byte, 1));
    INTERRUPTED(weft_readv(fds[1], &part, 1));
    INTERRUPTED(weft_recvfrom(fds[1], &byte, 1, 0, NULL, NULL));
    INTERRUPTED(weft_recvfrom(fds[1], &byte, 1, MSG_DONTWAIT, NULL, NULL));
    INTERRUPTED(weft_recvmsg(fds[1], &message, 0));
#undef INTERRUPTED
    pair_close(fds);
    pair_close(ends);
}

/* ---- Short writes ---- */

enum { BYTES = 5 * PARTS }; /* so few that a socket holds them one by one */

static void check_arrival(int fd, const unsigned char *out, size_t size)
{
    unsigned char in[BYTES];
    CHECK_EQ(weft_read_full(fd, in, size), size);
    CHECK(memcmp(in, out, size) == 0);
}

static void write_in_cuts(int from, int to, size_t largest_cut)
{
    unsigned char out[BYTES];
    struct iovec parts[PARTS], before[PARTS];
    size_t size = 0;
    for (int i = 0; i < PARTS; i++) {
        size_t length = test_random_below(4) == 0 ? 0 : test_random_below(BYTES / PARTS + 1);
        parts[i] = (struct iovec){out + size, length};
        size += length;
    }
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)test_random();
    memcpy(before, parts, sizeof parts);
    cut = 1 + test_random_below(largest_cut);
    CHECK_EQ(weft_writev_all(from, parts, PARTS), size);
    CHECK(memcmp(before, parts, sizeof parts) == 0);
    check_arrival(to, out, size);
    cut = 1 + test_random_below(largest_cut);
    CHECK_EQ(weft_write_all(from, out, size), size);
    check_arrival(to, out, size);
}

TEST_PROCS(short_writes)
{
    int fds[2], ends[2];
    pair_unix(fds);
    CHECK_EQ(pipe(ends), 0);
    for (size_t largest = 1; largest <= BYTES; largest++) {
        write_in_cuts(fds[0], fds[1], largest);
        write_in_cuts(ends[1], ends[0], largest);
    }
    cut = 1;
    struct iovec part = {(void *)"abc", 3};
    CHECK_EQ(weft_write(fds[0], "abc", 3), 1); /* one write is one write */
    CHECK_EQ(weft_writev(fds[0], &part, 1), 1);
    CHECK_EQ(weft_writev(ends[1], &part, 1), 1);
    pair_close(fds);
    pair_close(ends);
}

/* Rather than try for ever. */
TEST_PROCS(writes_without_progress)
{
    int ends[2];
    struct iovec parts[] = {{NULL, 0}, {(void *)"abc", 3}};
    CHECK_EQ(pipe(ends), 0);
    no_progress = true;
    CHECK_EQ(weft_write_all(ends[1], "abc", 3), -EIO);
    CHECK_EQ(weft_writev_all(ends[1], parts, 2), -EIO);
    CHECK_EQ(weft_write(ends[1], "abc", 3), 0);
    CHECK_EQ(weft_writev(ends[1], parts, 2), 0);
    CHECK_EQ(weft_writev_all(ends[1], parts, 1), 0);
    pair_close(ends);
}

/* ---- Groups that cannot be completed ---- */

enum { GROUP = 4 };

/* The call with that number, from 1, fails so. */
static struct fault {
    int error;
    int number;
} sockets, options, names, listens;

static bool fails(struct fault *fault)
{
    if (fault->number == 0 || --fault->number != 0)
        return false;
    errno = fault->error;
    return true;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);

int __wrap_socket(int family, int type, int protocol)
{
    return fails(&sockets) ? -1 : __real_socket(family, type, protocol);
}

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t size);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if (option == SO_REUSEPORT && level == SOL_SOCKET && fails(&options))
        return -1;
    return __real_setsockopt(fd, level, option, value, size);
}

int __real_getsockname(int fd, struct sockaddr *name, socklen_t *size);
int __wrap_getsockname(int fd, struct sockaddr *name, socklen_t *size);

int __wrap_getsockname(int fd, struct sockaddr *name, socklen_t *size)
{
    return fails(&names) ? -1 : __real_getsockname(fd, name, size);
}

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

int __wrap_listen(int fd, int backlog)
{
    return fails(&listens) ? -1 : __real_listen(fd, backlog);
}

static void group_fails(const char *network, int error)
{
    int fds[GROUP + 1];
    memset(fds, 0, sizeof fds);
    int lowest = dup(STDIN_FILENO);
    CHECK_EQ(close(lowest), 0);
    CHECK_EQ(weft_listen_group(network, "127.0.0.1:0", 0, fds, GROUP), -error);
    for (int i = 0; i < GROUP; i++)
        CHECK_LE(fds[i], 0); /* untouched, or no descriptor any more */
    int next = dup(STDIN_FILENO);
    CHECK_EQ(next, lowest); /* nothing was left open */
    CHECK_EQ(close(next), 0);
    CHECK_EQ(sockets.number + options.number + names.number + listens.number, 0);
    CHECK_EQ(weft_listen_group(network, "127.0.0.1:0", 0, fds, GROUP), 0);
    for (int i = 0; i < GROUP; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
}

static void each_step_fails(const char *network)
{
    for (int i = 1; i <= GROUP; i++) {
        sockets = (struct fault){EMFILE, i};
        group_fails(network, EMFILE);
        options = (struct fault){ENOPROTOOPT, i};
        group_fails(network, ENOPROTOOPT);
    }
    names = (struct fault){ENOBUFS, 1};
    group_fails(network, ENOBUFS);
}

TEST_PROCS(group_is_all_or_nothing)
{
    each_step_fails("tcp");
    each_step_fails("udp");
    listens = (struct fault){EADDRINUSE, GROUP};
    group_fails("tcp", EADDRINUSE);
}

TEST(group_without_ipv6)
{
    int fds[GROUP];
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    sockets = (struct fault){EAFNOSUPPORT, 1};
    CHECK_EQ(weft_listen_group("udp", ":0", 0, fds, GROUP), 0);
    for (int i = 0; i < GROUP; i++) {
        CHECK_EQ(getsockname(fds[i], (struct sockaddr *)&name, &size), 0);
        CHECK_EQ(name.ss_family, AF_INET);
        CHECK_EQ(bound_port(fds[i]), bound_port(fds[0]));
    }
    for (int i = 0; i < GROUP; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
}
