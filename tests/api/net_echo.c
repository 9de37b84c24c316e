/* SPDX-License-Identifier: MIT
 *
 * Bytes get through: every kind of socket, many connections, more than buffers hold, both ways at
 * once.
 */
#include "api/net_test.h"

#include <limits.h>
#include <netinet/tcp.h>

static weft_waitgroup running;

static void echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[4096];
    ssize_t count;
    while ((count = weft_read(fd, buffer, sizeof buffer)) > 0)
        CHECK_EQ(weft_write_all(fd, buffer, (size_t)count), count);
    CHECK_EQ(count, 0);
    CHECK_EQ(weft_close(fd), 0);
    weft_waitgroup_done(&running);
}

/* Serves until the listener is closed. */
static void serve(void *arg)
{
    const struct endpoint *at = arg;
    int fd;
    while ((fd = weft_accept(at->fd, NULL, NULL)) >= 0) {
        weft_waitgroup_add(&running, 1);
        CHECK_EQ(weft_go(echo, (void *)(intptr_t)fd), 0);
    }
    CHECK(fd == -ECANCELED || fd == -EBADF); /* closed during the call, or before */
    weft_waitgroup_done(&running);
}

static void start_server(struct endpoint *at)
{
    weft_waitgroup_add(&running, 1);
    CHECK_EQ(weft_go(serve, at), 0);
}

static void ask(int fd, unsigned seed)
{
    unsigned char question[1000], answer[sizeof question];
    for (size_t i = 0; i < sizeof question; i++)
        question[i] = (unsigned char)(seed + i * i);
    CHECK_EQ(weft_write_all(fd, question, sizeof question), sizeof question);
    read_full(fd, answer, sizeof answer);
    CHECK(memcmp(question, answer, sizeof answer) == 0);
}

static void echo_over(int kind)
{
    struct endpoint at = endpoint_listen(kind, 0);
    start_server(&at);
    int fd = endpoint_dial(&at);
    for (unsigned i = 0; i < 100; i++)
        ask(fd, i);
    CHECK_EQ(weft_close(fd), 0);
    endpoint_close(&at);
    weft_waitgroup_wait(&running);
}

TEST_PROCS(tcp)
{
    echo_over(KIND_TCP);
}

TEST_PROCS(tcp6)
{
    if (!have_ipv6())
        SKIP("no IPv6 on the loopback interface");
    echo_over(KIND_TCP6);
}

TEST_PROCS(unix_path)
{
    echo_over(KIND_UNIX);
}

TEST_PROCS(unix_abstract)
{
    echo_over(KIND_ABSTRACT);
}

/* ---- Many connections ---- */

enum { CLIENTS = 1000, ROUNDS = 5 };

static void client(void *arg)
{
    const struct endpoint *at = arg;
    int fd = endpoint_dial(at);
    for (unsigned i = 0; i < ROUNDS; i++)
        ask(fd, (unsigned)fd + i);
    CHECK_EQ(weft_close(fd), 0);
    weft_waitgroup_done(&running);
}

TEST_PROCS(many_connections)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 0);
    start_server(&at);
    weft_waitgroup_add(&running, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weft_go(client, &at), 0);
    CHECK_SOON(weft_num_goroutine() <= 2);
    endpoint_close(&at);
    weft_waitgroup_wait(&running);
    CHECK_EQ(net_waiters(), 0);
}

/* ---- Large transfers ---- */

enum { TRANSFER = 16 << 20 };

struct transfer {
    int fd;
    unsigned char first;
};

static unsigned char byte_at(size_t i, unsigned char first)
{
    return (unsigned char)(first + i * 7 + (i >> 8));
}

static void fill(unsigned char *buffer, size_t offset, size_t size, unsigned char first)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = byte_at(offset + i, first);
}

/* Far more at once than a socket takes, so most writes are partial. */
static void send_much(void *arg)
{
    struct transfer *transfer = arg;
    enum { PIECE = 4 << 20 };
    unsigned char *buffer = malloc(PIECE);
    CHECK(buffer);
    for (size_t done = 0; done < TRANSFER; done += PIECE) {
        fill(buffer, done, PIECE, transfer->first);
        CHECK_EQ(weft_write_all(transfer->fd, buffer, PIECE), PIECE);
    }
    free(buffer);
    weft_waitgroup_done(&running);
}

static void receive_much(void *arg)
{
    struct transfer *transfer = arg;
    unsigned char buffer[30011];
    for (size_t done = 0; done < TRANSFER;) {
        ssize_t count = weft_read(transfer->fd, buffer, sizeof buffer);
        CHECK_GT(count, 0);
        for (ssize_t i = 0; i < count; i++)
            CHECK_EQ(buffer[i], byte_at(done + (size_t)i, transfer->first));
        done += (size_t)count;
    }
    weft_waitgroup_done(&running);
}

static void transfer_both_ways(int fds[2])
{
    struct transfer transfers[4] = {{fds[0], 1}, {fds[1], 1}, {fds[1], 9}, {fds[0], 9}};
    weft_waitgroup_add(&running, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_go(i & 1 ? receive_much : send_much, &transfers[i]), 0);
    weft_waitgroup_wait(&running);
    pair_close(fds);
}

TEST_PROCS(transfer_tcp)
{
    int fds[2];
    pair_tcp(fds);
    transfer_both_ways(fds);
}

TEST_PROCS(transfer_unix)
{
    int fds[2];
    pair_unix(fds);
    transfer_both_ways(fds);
}

TEST_PROCS(transfer_pipe)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    struct transfer to = {fds[1], 3}, from = {fds[0], 3};
    weft_waitgroup_add(&running, 2);
    CHECK_EQ(weft_go(receive_much, &from), 0);
    CHECK_EQ(weft_go(send_much, &to), 0);
    weft_waitgroup_wait(&running);
    pair_close(fds);
}

/* ---- Edges of read and write ---- */

TEST_PROCS(write_without_reader)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_write(fds[0], "x", 1), -EPIPE);
    CHECK_EQ(weft_write_all(fds[0], "x", 1), -EPIPE);
    char byte;
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

TEST_PROCS(writer_is_woken_by_peers_end)
{
    int fds[2];
    pair_tcp(fds);
    struct call call = {.fd = fds[0], .fn = call_write};
    call_start(&call, 1);
    CHECK_EQ(weft_close(fds[1]), 0);
    long result = call_join(&call);
    CHECK(result == -EPIPE || result == -ECONNRESET);
    CHECK_EQ(weft_close(fds[0]), 0);
}

TEST_PROCS(sizes)
{
    int fds[2], ends[2];
    char byte;
    pair_unix(fds);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(weft_write(fds[0], "", 0), 0);
    CHECK_EQ(weft_write_all(fds[0], "", 0), 0);
    CHECK_EQ(weft_write_all(ends[1], "", 0), 0);
    CHECK_EQ(weft_read(ends[0], &byte, 0), 0);
    CHECK_EQ(weft_write(fds[0], "a", 1), 1);
    CHECK_EQ(weft_read(fds[1], &byte, 0), 0);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 1);
    CHECK_EQ(weft_read(fds[1], &byte, SIZE_MAX), -EINVAL);
    CHECK_EQ(weft_write(fds[1], &byte, (size_t)SSIZE_MAX + 1), -EINVAL);
    CHECK_EQ(weft_write_all(fds[1], &byte, SIZE_MAX), -EINVAL);
    CHECK_EQ(weft_write(ends[0], "a", 1), -EBADF); /* not open for writing */
    pair_close(fds);
    pair_close(ends);
}

TEST(regular_file)
{
    char path[] = "/tmp/weft-test-XXXXXX", text[6] = "";
    int fd = mkstemp(path);
    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(weft_write_all(fd, "hello", 5), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(weft_read(fd, text, 5), 5);
    CHECK_STR(text, "hello");
    CHECK_EQ(weft_read(fd, text, 5), 0);
    CHECK_EQ(weft_close(fd), 0);
}

TEST_PROCS(options_of_sockets)
{
    int fds[2];
    pair_tcp(fds);
    for (int i = 0; i < 2; i++) {
        int value = 0;
        socklen_t size = sizeof value;
        CHECK_EQ(getsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
        CHECK_NE(value, 0);
        CHECK(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    }
    pair_close(fds);
}

TEST_PROCS(accept_tells_the_peer)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    int client_fd = endpoint_dial(&at);
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int fd = weft_accept(at.fd, (struct sockaddr *)&peer, &size);
    CHECK_GE(fd, 0);
    CHECK_EQ(size, sizeof peer);
    CHECK_EQ(ntohs(peer.sin_port), bound_port(client_fd));
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(client_fd), 0);
    endpoint_close(&at);
}

TEST_PROCS(not_open)
{
    char byte = 0;
    int numbers[] = {-1, INT32_MIN, INT32_MAX, 900, 1 << 20, 1 << 24};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int fd = numbers[i];
        CHECK_EQ(weft_read(fd, &byte, 1), -EBADF);
        CHECK_EQ(weft_write(fd, &byte, 1), -EBADF);
        CHECK_EQ(weft_write_all(fd, &byte, 1), -EBADF);
        CHECK_EQ(weft_accept(fd, NULL, NULL), -EBADF);
        CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), -EBADF);
        CHECK_EQ(weft_wait(fd, POLLIN, WEFT_NOWAIT), -EBADF);
        CHECK_EQ(weft_close(fd), -EBADF);
    }
}

TEST_PROCS(not_a_listener)
{
    int fds[2], ends[2];
    pair_unix(fds);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(weft_accept(fds[0], NULL, NULL), -EINVAL);
    CHECK_EQ(weft_accept(ends[0], NULL, NULL), -ENOTSOCK);
    pair_close(fds);
    pair_close(ends);
}
