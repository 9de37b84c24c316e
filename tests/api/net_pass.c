/* SPDX-License-Identifier: MIT
 *
 * Control messages: descriptors and credentials that travel with the bytes of a Unix socket.
 */
#include "api/net_test.h"

/* ---- Descriptors ---- */

enum { PASSED_MAX = 4 };

union control {
    char bytes[CMSG_SPACE(PASSED_MAX * sizeof(int))];
    struct cmsghdr align;
};

static ssize_t pass(int to, const int *fds, int count)
{
    union control control = {0};
    char text[] = "fd";
    struct iovec part = {text, 2};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    return weft_sendmsg(to, &message, 0);
}

/* The descriptors that came with two bytes, room for capacity. Their number. */
static int receive(int from, int *fds, int capacity, int *flags)
{
    union control control;
    char text[3] = "";
    struct iovec part = {text, 2};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_LEN((size_t)capacity * sizeof(int))};
    CHECK_EQ(weft_recvmsg(from, &message, 0), 2);
    CHECK_STR(text, "fd");
    *flags = message.msg_flags;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header);
    CHECK_EQ(header->cmsg_level, SOL_SOCKET);
    CHECK_EQ(header->cmsg_type, SCM_RIGHTS);
    size_t size = header->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(header), size);
    for (size_t i = 0; i < size / sizeof(int); i++)
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    return (int)(size / sizeof(int));
}

static long call_receive(struct call *call)
{
    int fd, flags;
    CHECK_EQ(receive(call->fd, &fd, 1, &flags), 1);
    return fd;
}

/* One end of a pipe goes over, the other comes back; then bytes go through. */
static void pass_there_and_back(int fds[2])
{
    int ends[2];
    char byte;
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        struct call call = {.fd = fds[1 - i], .fn = call_receive};
        call_start(&call, 1);
        CHECK_EQ(pass(fds[i], &ends[i], 1), 2);
        int fd = (int)call_join(&call);
        CHECK_NE(fd, ends[i]);
        CHECK_EQ(weft_close(ends[i]), 0);
        ends[i] = fd;
    }
    CHECK_EQ(weft_write(ends[1], "x", 1), 1);
    CHECK_EQ(weft_read(ends[0], &byte, 1), 1);
    pair_close(ends);
}

TEST_PROCS(descriptors_both_ways)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, fds), 0);
        pass_there_and_back(fds);
        pair_close(fds);
    }
}

TEST_PROCS(several_descriptors)
{
    int fds[2], passed[PASSED_MAX], received[PASSED_MAX], flags;
    pair_unix(fds);
    for (int i = 0; i < PASSED_MAX; i++)
        passed[i] = fds[i % 2];
    CHECK_EQ(pass(fds[0], passed, PASSED_MAX), 2);
    CHECK_EQ(receive(fds[1], received, PASSED_MAX, &flags), PASSED_MAX);
    CHECK(!(flags & MSG_CTRUNC));
    for (int i = 0; i < PASSED_MAX; i++)
        CHECK_EQ(weft_close(received[i]), 0);
    CHECK_EQ(pass(fds[0], passed, PASSED_MAX), 2); /* with less room, the rest is closed */
    CHECK_EQ(receive(fds[1], received, 1, &flags), 1);
    CHECK(flags & MSG_CTRUNC);
    CHECK_EQ(weft_close(received[0]), 0);
    passed[0] = -1;
    CHECK_EQ(pass(fds[0], passed, 1), -EBADF);
    pair_close(fds);
}

/* ---- Credentials ---- */

TEST_PROCS(credentials)
{
    int fds[2], on = 1;
    char byte;
    pair_unix(fds);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    CHECK_EQ(weft_write(fds[0], "x", 1), 1);
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    CHECK_EQ(weft_recvmsg(fds[1], &message, 0), 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header);
    CHECK_EQ(header->cmsg_type, SCM_CREDENTIALS);
    struct ucred credentials;
    memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    CHECK_EQ(credentials.pid, getpid());
    CHECK_EQ(credentials.uid, getuid());
    CHECK_EQ(credentials.gid, getgid());
    pair_close(fds);
}
