/* SPDX-License-Identifier: MIT
 *
 * examples/proxy: what it carries, how it passes ends on, its limits, and its end.
 */
#include "servers/proxy_test.h"

/* ---- What it carries ---- */

enum { STREAMS = 32, BLOCK = 1024 };

static struct program *stream_proxy;
static int stream_size;

static char octet(int index, int offset)
{
    return (char)(index * 31 + offset + (offset >> 8) * 7);
}

static int send_stream(void *arg)
{
    const int *stream = arg; /* its descriptor and its index */
    char block[BLOCK];
    for (int at = 0; at < stream_size; at += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            block[i] = octet(stream[1], at + i);
        CHECK_EQ(weft_write_all(stream[0], block, sizeof block), sizeof block);
    }
    CHECK_EQ(weft_shutdown(stream[0], SHUT_WR), 0);
    return 0;
}

static void run_stream(void *index)
{
    int stream[2] = {program_dial(stream_proxy), test_index(index)}, at = 0;
    weft_group sending = {0};
    CHECK_EQ(weft_group_go(&sending, send_stream, stream), 0);
    char buffer[3000];
    for (ssize_t size; (size = weft_read(stream[0], buffer, sizeof buffer)) != 0;) {
        CHECK_GT(size, 0);
        for (int i = 0; i < size; i++, at++)
            CHECK_EQ(buffer[i], at < stream_size ? octet(stream[1], at) : '.');
    }
    CHECK_EQ(at, stream_size + 1);
    CHECK_EQ(weft_group_wait(&sending), 0);
    CHECK_EQ(weft_close(stream[0]), 0);
}

TEST_PROCS(carries_every_byte)
{
    struct target target;
    target_start(&target, echo);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "8");
    stream_proxy = &proxy;
    stream_size = (1 << 20) / test_scale() / BLOCK * BLOCK;
    test_each(STREAMS, run_stream);
    CHECK_LE(target.most, 8);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " connections"), STREAMS);
    CHECK_EQ(program_figure(&proxy, " bytes up"), (long)STREAMS * stream_size);
    CHECK_EQ(program_figure(&proxy, " down"), (long)STREAMS * (stream_size + 1));
    CHECK_LE(program_figure(&proxy, " at once"), 8);
}

/* ---- Ends ---- */

static atomic_long target_saw;

static void note_end(weft_conn *conn, int fd, void *arg)
{
    char byte;
    (void)conn, (void)arg;
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    target_saw = weft_read(fd, &byte, 1);
}

static void hang_up(weft_conn *conn, int fd, void *arg)
{
    char byte;
    struct linger linger = {.l_onoff = 1};
    (void)conn, (void)arg;
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
}

TEST_PROCS(passes_a_reset_on)
{
    struct target target;
    char byte = 'x';
    target_start(&target, note_end);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "8");
    int fd = program_dial(&proxy);
    target_saw = 1;
    CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    program_hang_up(fd);
    CHECK_SOON(target_saw == -ECONNRESET);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " broken"), 1);

    target_start(&target, hang_up);
    PROGRAM(other, "proxy", "--target", target.address, "--max-connections", "8");
    fd = program_dial(&other);
    CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    CHECK_EQ(read_to_end(fd), -ECONNRESET);
    proxy_stop(&other, &target);
    CHECK_EQ(program_figure(&other, " broken"), 1);
}

static void refuse(weft_conn *conn, int fd, void *arg)
{
    char byte;
    (void)conn, (void)arg;
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(weft_write_all(fd, "no!", 3), 3);
}

static int upload(void *fd)
{
    static const char zeros[64 * 1024];
    while (weft_write_all(*(int *)fd, zeros, sizeof zeros) > 0)
        continue; /* until the connection ends */
    return 0;
}

/* A target that answers and closes while its client has more to say: the answer arrives. */
TEST_PROCS(passes_a_refusal_on)
{
    struct target target;
    target_start(&target, refuse);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "8");
    for (int i = 0; i < 20; i++) {
        char answer[4] = "";
        int fd = program_dial(&proxy);
        weft_group uploading = {0};
        CHECK_EQ(weft_group_go(&uploading, upload, &fd), 0);
        CHECK_EQ(weft_read_full(fd, answer, 3), 3);
        CHECK_STR(answer, "no!");
        CHECK_EQ(weft_group_wait(&uploading), 0);
        CHECK_LE(read_to_end(fd), 0);
    }
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " idle"), 0);
}

TEST_PROCS(cuts_an_idle_connection)
{
    struct target target;
    target_start(&target, echo);
    PROGRAM(proxy, "proxy", "--target", target.address, "--idle", "1.5");
    int64_t begin = weft_now();
    int fd = dial_used(&proxy);
    CHECK_EQ(read_to_end(fd), -ECONNRESET);
    CHECK_GE(weft_now() - begin, 1500 * WEFT_MILLISECOND);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " idle"), 1);
}

/* ---- Slow readers ---- */

enum { FLOOD = 16 << 20 };

static void flood(weft_conn *conn, int fd, void *arg)
{
    static const char zeros[64 * 1024];
    (void)conn, (void)arg;
    for (int i = 0; i < FLOOD; i += (int)sizeof zeros)
        if (weft_write_all(fd, zeros, sizeof zeros) < 0)
            return;
}

/* It takes longer than a connection may be idle, but it reads. */
TEST_PROCS(waits_for_a_slow_reader)
{
    static char buffer[128 * 1024];
    struct target target;
    target_start(&target, flood);
    PROGRAM(proxy, "proxy", "--target", target.address, "--idle", TEST_TSAN ? "6" : "1.5");
    int fd = program_dial(&proxy);
    for (int i = 0; i < FLOOD; i += (int)sizeof buffer) {
        CHECK_EQ(weft_read_full(fd, buffer, sizeof buffer), sizeof buffer);
        weft_sleep(20 * WEFT_MILLISECOND);
    }
    CHECK_EQ(read_to_end(fd), 0);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " idle"), 0);
}

TEST_PROCS(cuts_a_stuck_reader)
{
    struct target target;
    target_start(&target, flood);
    PROGRAM(proxy, "proxy", "--target", target.address, "--idle", "0.3");
    int fd = program_dial(&proxy);
    CHECK_SOON(target.total == 1);
    CHECK_SOON(target.now == 0); /* its write has failed */
    CHECK_EQ(read_to_end(fd), -ECONNRESET);
    proxy_stop(&proxy, &target);
    CHECK_EQ(program_figure(&proxy, " idle"), 1);
}

/* ---- Targets that do not answer ---- */

TEST_PROCS(a_dead_target)
{
    struct target target;
    target_start(&target, echo);
    target_stop(&target);
    PROGRAM(proxy, "proxy", "--target", target.address, "--max-connections", "8");
    for (int i = 0; i < 20; i++)
        CHECK_LE(read_to_end(program_dial(&proxy)), 0);
    proxy_stop(&proxy, NULL);
    CHECK_EQ(program_figure(&proxy, " with no answer"), 20);
}

/* Its queue is full, and it does not accept. */
TEST_PROCS(a_target_that_stalls)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    int fds[64], count = 0;
    while ((fds[count] = weft_dial("tcp", at.address, weft_after(200 * WEFT_MILLISECOND))) >= 0)
        CHECK_LT(++count, 64);
    CHECK_EQ(fds[count], -ETIMEDOUT);
    PROGRAM(proxy, "proxy", "--target", at.address, "--dial-time", "0.3");
    int64_t begin = weft_now();
    CHECK_EQ(read_to_end(program_dial(&proxy)), 0);
    CHECK_GE(weft_now() - begin, 250 * WEFT_MILLISECOND);
    proxy_stop(&proxy, NULL);
    CHECK_EQ(program_figure(&proxy, " with no answer"), 1);
    while (count > 0)
        CHECK_EQ(weft_close(fds[--count]), 0);
    endpoint_close(&at);
}
