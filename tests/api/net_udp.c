/* SPDX-License-Identifier: MIT
 *
 * UDP: datagrams with their addresses, empty ones, cut ones, refused ones; several goroutines on
 * one socket.
 */
#include "api/net_test.h"

/* A socket that is bound to a port of its own. */
static int udp_bind(const char *network, const char *address, struct sockaddr_storage *name,
                    socklen_t *size)
{
    int fd = weft_listen(network, address, 0);
    if (fd < 0)
        FAIL("listen %s %s: %d", network, address, fd);
    *size = sizeof *name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)name, size), 0);
    return fd;
}

/* Two that are connected to each other. */
static void pair_udp(int fds[2])
{
    struct sockaddr_storage names[2];
    socklen_t sizes[2];
    for (int i = 0; i < 2; i++)
        fds[i] = udp_bind("udp4", "127.0.0.1:0", &names[i], &sizes[i]);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(connect(fds[i], (struct sockaddr *)&names[1 - i], sizes[1 - i]), 0);
}

static void there_and_back(const char *network, const char *address, int family)
{
    struct sockaddr_storage names[2], from;
    socklen_t sizes[2], from_size = sizeof from;
    char text[16] = "";
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = udp_bind(network, address, &names[i], &sizes[i]);
        CHECK_EQ(names[i].ss_family, family);
    }
    CHECK_EQ(weft_sendto(fds[0], "ping", 4, 0, (struct sockaddr *)&names[1], sizes[1]), 4);
    CHECK_EQ(weft_recvfrom(fds[1], text, sizeof text, 0, (struct sockaddr *)&from, &from_size), 4);
    CHECK_STR(text, "ping");
    CHECK_EQ(from_size, sizes[0]);
    CHECK(memcmp(&from, &names[0], from_size) == 0);
    CHECK_EQ(weft_sendto(fds[1], "pong", 4, 0, (struct sockaddr *)&from, from_size), 4);
    CHECK_EQ(weft_recvfrom(fds[0], text, sizeof text, 0, NULL, NULL), 4);
    CHECK_STR(text, "pong");
    pair_close(fds);
}

TEST_PROCS(there_and_back_v4)
{
    there_and_back("udp", "127.0.0.1:0", AF_INET);
    there_and_back("udp4", "127.0.0.1:0", AF_INET);
    there_and_back("udp", "localhost:0", AF_INET);
}

TEST_PROCS(there_and_back_v6)
{
    if (!have_ipv6())
        SKIP("no IPv6 on the loopback interface");
    there_and_back("udp", "[::1]:0", AF_INET6);
    there_and_back("udp6", "[::1]:0", AF_INET6);
}

/* "udp" without a host hears both families, "udp4" and "udp6" one. */
TEST_PROCS(every_address)
{
    static const char *const networks[] = {"udp", "udp4"};
    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_storage name;
        socklen_t size;
        char byte;
        int fd = udp_bind(networks[i], ":0", &name, &size);
        int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)bound_port(fd)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        CHECK_EQ(weft_sendto(sender, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
        CHECK_EQ(weft_read(fd, &byte, 1), 1);
        CHECK_EQ(weft_close(sender), 0);
        CHECK_EQ(weft_close(fd), 0);
    }
}

TEST_PROCS(what_was_made)
{
    struct sockaddr_storage name;
    socklen_t size;
    int type, fd = udp_bind("udp", "127.0.0.1:0", &name, &size);
    size = sizeof type;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    CHECK_EQ(type, SOCK_DGRAM);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(weft_accept(fd, NULL, NULL), -EOPNOTSUPP);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", bound_port(fd));
    CHECK_EQ(weft_listen("udp", address, 0), -EADDRINUSE);
    CHECK_EQ(weft_close(fd), 0);
    fd = weft_listen("udp", address, 0);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_listen("udp", "192.0.2.1:0", 0), -EADDRNOTAVAIL); /* for documentation only */
}

static void malformed(const char *network, const char *address)
{
    CHECK_EQ(weft_listen(network, address, 0), -EINVAL);
}

TEST(malformed_addresses)
{
    malformed("udp", "");
    malformed("udp", "127.0.0.1");
    malformed("udp", "127.0.0.1:65536");
    malformed("udp", "[::1]");
    malformed("udp4", "[::1]:1");
    malformed("udp6", "127.0.0.1:1");
    malformed("udp5", "127.0.0.1:1");
    malformed("udp", NULL);
}

/* ---- Sizes ---- */

/* An empty datagram is one. */
TEST_PROCS(empty_datagrams)
{
    int fds[2];
    char byte = 'y';
    pair_udp(fds);
    CHECK_EQ(weft_write(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_write_all(fds[0], "", 0), 0);
    CHECK_EQ(weft_writev(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_writev_all(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_sendto(fds[0], NULL, 0, 0, NULL, 0), 0);
    CHECK_EQ(weft_sendmsg(fds[0], &(struct msghdr){0}, 0), 0);
    CHECK_EQ(weft_write(fds[0], "x", 1), 1);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 0);
    CHECK_EQ(weft_read_full(fds[1], &byte, 1), 0);
    CHECK_EQ(weft_readv(fds[1], &(struct iovec){&byte, 1}, 1), 0);
    CHECK_EQ(weft_recvfrom(fds[1], &byte, 1, 0, NULL, NULL), 0);
    CHECK_EQ(weft_recvmsg(fds[1], &(struct msghdr){0}, 0), 0);
    CHECK_EQ(weft_recvfrom(fds[1], NULL, 0, 0, NULL, NULL), 0);
    CHECK_EQ(byte, 'y');
    CHECK_EQ(weft_read(fds[1], &byte, 0), 0); /* takes none */
    CHECK_EQ(weft_readv(fds[1], NULL, 0), 0);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(weft_read(fds[1], &byte, 0), 0); /* does not wait for one */
    CHECK_EQ(weft_recvfrom(fds[1], NULL, 0, MSG_DONTWAIT, NULL, NULL), -EAGAIN);
    pair_close(fds);
}

static long call_recv_nothing(struct call *call)
{
    return weft_recvfrom(call->fd, NULL, 0, 0, NULL, NULL);
}

TEST_PROCS(receiving_no_bytes_waits)
{
    int fds[2];
    char byte;
    pair_udp(fds);
    struct call call = {.fd = fds[0], .fn = call_recv_nothing};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "a", 1), 1);
    CHECK_EQ(call_join(&call), 0);
    CHECK_EQ(weft_write(fds[1], "b", 1), 1);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1); /* the first one was taken */
    CHECK_EQ(byte, 'b');
    pair_close(fds);
}

/* The rest of a datagram is lost, and one can know. */
TEST_PROCS(cut_datagrams)
{
    int fds[2];
    char text[4] = "";
    struct iovec parts[] = {{text, 2}, {text + 2, 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    pair_udp(fds);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_write(fds[0], "abcdef", 6), 6);
    CHECK_EQ(weft_write(fds[0], "z", 1), 1);
    CHECK_EQ(weft_recvfrom(fds[1], text, 1, MSG_PEEK, NULL, NULL), 1); /* takes nothing */
    CHECK_EQ(weft_read(fds[1], text, 3), 3);
    CHECK_STR(text, "abc");
    CHECK_EQ(weft_readv(fds[1], parts, 2), 3);
    CHECK_EQ(weft_recvfrom(fds[1], text, 3, MSG_TRUNC, NULL, NULL), 6);
    CHECK_EQ(weft_recvmsg(fds[1], &message, 0), 3);
    CHECK(message.msg_flags & MSG_TRUNC);
    CHECK_EQ(weft_recvmsg(fds[1], &message, MSG_TRUNC), 6);
    CHECK_EQ(weft_recvmsg(fds[1], &message, 0), 1);
    CHECK(!(message.msg_flags & MSG_TRUNC));
    CHECK_STR(text, "zbc");
    pair_close(fds);
}

TEST_PROCS(too_large)
{
    static char bytes[70000];
    int fds[2];
    pair_udp(fds);
    struct iovec parts[] = {{bytes, 35000}, {bytes, 35000}};
    CHECK_EQ(weft_write(fds[0], bytes, sizeof bytes), -EMSGSIZE);
    CHECK_EQ(weft_write_all(fds[0], bytes, sizeof bytes), -EMSGSIZE);
    CHECK_EQ(weft_writev_all(fds[0], parts, 2), -EMSGSIZE);
    CHECK_EQ(weft_write(fds[0], bytes, 60000), 60000);
    CHECK_EQ(weft_read(fds[1], bytes, sizeof bytes), 60000);
    pair_close(fds);
}

TEST_PROCS(address_that_does_not_fit)
{
    struct sockaddr_storage name;
    struct sockaddr_in from = {.sin_port = 77};
    socklen_t size, from_size = offsetof(struct sockaddr_in, sin_port);
    char byte;
    int fd = udp_bind("udp", "127.0.0.1:0", &name, &size);
    CHECK_EQ(weft_sendto(fd, "x", 1, 0, (struct sockaddr *)&name, size), 1); /* to itself */
    CHECK_EQ(weft_recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &from_size), 1);
    CHECK_EQ(from_size, sizeof from); /* what it would have taken */
    CHECK_EQ(from.sin_family, AF_INET);
    CHECK_EQ(from.sin_port, 77);
    CHECK_EQ(weft_sendto(fd, "x", 1, 0, (struct sockaddr *)&name, 3), -EINVAL);
    CHECK_EQ(weft_write(fd, "x", 1), -EDESTADDRREQ);
    CHECK_EQ(weft_close(fd), 0);
}

/* ---- Waiting ---- */

static long call_recvfrom(struct call *call)
{
    char byte;
    return weft_recvfrom(call->fd, &byte, 1, 0, NULL, NULL);
}

TEST_PROCS(waits_and_stops_waiting)
{
    int fds[2];
    char byte;
    pair_udp(fds);
    struct call call = {.fd = fds[0], .fn = call_recvfrom};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(call_join(&call), 1);
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(fds[0], deadline, WEFT_FOREVER), 0);
    CHECK_EQ(call_recvfrom(&call), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_recvfrom(fds[0], &byte, 1, MSG_DONTWAIT, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_recvfrom(fds[0], &byte, 1, MSG_DONTWAIT, NULL, NULL), -EAGAIN);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_recvfrom(fds[0], &byte, 1, MSG_DONTWAIT, NULL, NULL), 1);
    CHECK_EQ(net_waiters(), 0);
    pair_close(fds);
}

/* Nobody is there any more: the answer to a datagram is an error, which wakes. */
TEST_PROCS(refused)
{
    int fds[2];
    pair_udp(fds);
    CHECK_EQ(weft_close(fds[1]), 0);
    struct call call = {.fd = fds[0], .fn = call_recvfrom};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[0], "x", 1), 1);
    CHECK_EQ(call_join(&call), -ECONNREFUSED);
    CHECK_EQ(weft_close(fds[0]), 0);
}

/* ---- Several goroutines on one socket ---- */

enum { SERVERS = 4, CLIENTS = 20, ROUNDS = 100 };

static int server_fd, served;
static struct sockaddr_storage server_name;
static socklen_t server_size;
static weft_waitgroup running;

static void serve(void *arg)
{
    (void)arg;
    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        int question;
        ssize_t count = weft_recvfrom(server_fd, &question, sizeof question, 0,
                                      (struct sockaddr *)&from, &size);
        if (count < 0) {
            CHECK(count == -ECANCELED || count == -EBADF);
            break;
        }
        CHECK_EQ(count, sizeof question);
        __atomic_add_fetch(&served, 1, __ATOMIC_RELAXED);
        int answer = question + 1;
        CHECK_EQ(weft_sendto(server_fd, &answer, sizeof answer, 0, (struct sockaddr *)&from, size),
                 sizeof answer);
    }
    weft_waitgroup_done(&running);
}

static void ask(void *index)
{
    struct sockaddr_storage name;
    socklen_t size;
    int fd = udp_bind("udp", "127.0.0.1:0", &name, &size);
    for (int i = 0; i < ROUNDS; i++) {
        int question = test_index(index) * ROUNDS + i, answer;
        CHECK_EQ(weft_sendto(fd, &question, sizeof question, 0, (struct sockaddr *)&server_name,
                             server_size),
                 sizeof question);
        CHECK_EQ(weft_recvfrom(fd, &answer, sizeof answer, 0, NULL, NULL), sizeof answer);
        CHECK_EQ(answer, question + 1);
    }
    CHECK_EQ(weft_close(fd), 0);
}

TEST_PROCS(servers_share_a_socket)
{
    served = 0;
    server_fd = udp_bind("udp", "127.0.0.1:0", &server_name, &server_size);
    weft_waitgroup_add(&running, SERVERS);
    for (int i = 0; i < SERVERS; i++)
        CHECK_EQ(weft_go(serve, NULL), 0);
    test_each(CLIENTS, ask);
    CHECK_EQ(weft_close(server_fd), 0);
    weft_waitgroup_wait(&running);
    CHECK_EQ(served, CLIENTS * ROUNDS);
}
