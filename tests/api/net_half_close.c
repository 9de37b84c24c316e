/* SPDX-License-Identifier: MIT
 *
 * weft_shutdown: each side sees the end of the direction, also whoever waits in it, and the other
 * direction goes on.
 */
#include "api/net_test.h"

static void pair_of(int kind, int fds[2])
{
    if (kind == KIND_TCP)
        pair_tcp(fds);
    else
        pair_unix(fds);
}

/* A request that ends with the end of the stream, and its answer. */
static void request_and_answer(int kind)
{
    int fds[2];
    char text[8] = "";
    pair_of(kind, fds);
    CHECK_EQ(weft_write(fds[0], "ask", 3), 3);
    CHECK_EQ(weft_shutdown(fds[0], SHUT_WR), 0);
    CHECK_EQ(weft_read_full(fds[1], text, sizeof text), 3);
    CHECK_STR(text, "ask");
    CHECK_EQ(weft_write(fds[0], "x", 1), -EPIPE);
    CHECK_EQ(weft_write(fds[1], "answer", 6), 6);
    CHECK_EQ(weft_shutdown(fds[1], SHUT_WR), 0);
    CHECK_EQ(weft_read_full(fds[0], text, sizeof text), 6);
    CHECK_STR(text, "answer");
    CHECK_EQ(weft_shutdown(fds[0], SHUT_WR), kind == KIND_TCP ? -ENOTCONN : 0); /* all is over */
    pair_close(fds);
}

TEST_PROCS(half_a_connection)
{
    request_and_answer(KIND_TCP);
    request_and_answer(KIND_UNIX);
}

/* ---- Whoever waits ---- */

static void waiters_see_the_end(int kind, int how)
{
    int fds[2];
    pair_of(kind, fds);
    struct call reader = {.fd = fds[0], .fn = call_read};
    struct call second = {.fd = fds[0], .fn = call_read};
    struct call writer = {.fd = fds[0], .fn = call_write};
    struct call wait = {
        .fd = fds[0], .fn = call_wait, .events = POLLRDHUP, .deadline = WEFT_FOREVER};
    call_start(&reader, 1);
    call_start(&writer, 2);
    call_start(&wait, 3);
    call_go(&second);
    CHECK_EQ(weft_shutdown(fds[0], how), 0);
    if (how != SHUT_WR) {
        CHECK_EQ(call_join(&reader), 0);
        CHECK_EQ(call_join(&second), 0);
        CHECK_NE(call_join(&wait) & POLLRDHUP, 0);
    }
    if (how != SHUT_RD)
        CHECK_EQ(call_join(&writer), -EPIPE);
    if (how == SHUT_WR)
        CHECK(!call_done(&reader) && !call_done(&second) && !call_done(&wait));
    if (how == SHUT_RD)
        CHECK(!call_done(&writer));
    CHECK_GE(fcntl(fds[0], F_GETFD), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
    struct call *all[] = {&reader, &second, &writer, &wait};
    for (int i = 0; i < 4; i++) {
        long result = call_join(all[i]);
        bool canceled = result == -ECANCELED || result == -EBADF; /* the second may begin late */
        CHECK(canceled || how != SHUT_WR || all[i] == &writer);
    }
    CHECK_EQ(net_waiters(), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST_PROCS(waiters_of_this_side)
{
    static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    for (int i = 0; i < 3; i++) {
        waiters_see_the_end(KIND_TCP, hows[i]);
        if (hows[i] != SHUT_WR) /* of which the kernel makes no event for Unix sockets */
            waiters_see_the_end(KIND_UNIX, hows[i]);
    }
}

TEST_PROCS(reader_of_the_other_side)
{
    for (int i = 0; i < 2; i++) {
        int fds[2];
        pair_of(i ? KIND_TCP : KIND_UNIX, fds);
        struct call reader = {.fd = fds[1], .fn = call_read};
        call_start(&reader, 1);
        CHECK_EQ(weft_shutdown(fds[0], SHUT_WR), 0);
        CHECK_EQ(call_join(&reader), 0);
        pair_close(fds);
    }
}

/* That nobody will read: Unix sockets tell the peer, TCP only once the socket is closed. */
TEST_PROCS(writer_of_the_other_side)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_shutdown(fds[0], SHUT_RD), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), -EPIPE);
    CHECK_EQ(weft_write(fds[0], "x", 1), 1);
    pair_close(fds);
    pair_tcp(fds);
    CHECK_EQ(weft_shutdown(fds[0], SHUT_RD), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    struct call writer = {.fd = fds[1], .fn = call_write};
    call_start(&writer, 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    long result = call_join(&writer);
    CHECK(result == -EPIPE || result == -ECONNRESET);
    CHECK_EQ(weft_close(fds[1]), 0);
}

/* ---- Others than connections ---- */

TEST_PROCS(listener)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    struct call call = {.fd = at.fd, .fn = call_accept};
    call_start(&call, 1);
    CHECK_EQ(weft_shutdown(at.fd, SHUT_RDWR), 0);
    CHECK_EQ(call_join(&call), -EINVAL);
    CHECK_EQ(weft_accept(at.fd, NULL, NULL), -EINVAL);
    endpoint_close(&at);
}

TEST_PROCS(not_connected)
{
    int fd = weft_listen("udp", "127.0.0.1:0", 0);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_shutdown(fd, SHUT_RD), -ENOTCONN);
    CHECK_EQ(weft_shutdown(fd, 99), -EINVAL);
    CHECK_EQ(weft_close(fd), 0);
}

/* A thread that waits without a run sees it too. */
TEST(without_a_run)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    CHECK_EQ(weft_shutdown(fds[0], SHUT_WR), 0);
    CHECK_EQ(weft_read(fds[1], &byte, 1), 0);
    pair_close(fds);
}
