/* SPDX-License-Identifier: MIT
 *
 * weft_read_full and weft_write_all: everything, or the end, or an error.
 */
#include "api/net_test.h"

enum { SIZE = 1 << 20 };

struct reader {
    struct call call;
    unsigned char *bytes;
    size_t size;
};

static long call_read_full(struct call *call)
{
    struct reader *reader = (struct reader *)call;
    return weft_read_full(call->fd, reader->bytes, reader->size);
}

/* Bytes that come in pieces, with pauses, are one read. */
static void in_pieces(int from, int to)
{
    unsigned char bytes[1000], in[1000];
    pattern_fill(bytes, sizeof bytes);
    struct reader reader = {
        .call = {.fd = to, .fn = call_read_full}, .bytes = in, .size = sizeof in};
    call_start(&reader.call, 1);
    for (size_t i = 0; i < 10; i++) {
        CHECK_SOON(net_waiters() == 1);
        CHECK(!call_done(&reader.call));
        CHECK_EQ(weft_write(from, bytes + i * 100, 100), 100);
    }
    CHECK_EQ(call_join(&reader.call), sizeof in);
    pattern_check(in, 0, sizeof in);
}

TEST_PROCS(pieces)
{
    int fds[2];
    pair_unix(fds);
    in_pieces(fds[0], fds[1]);
    pair_close(fds);
    pair_tcp(fds);
    in_pieces(fds[0], fds[1]);
    pair_close(fds);
    CHECK_EQ(pipe(fds), 0);
    in_pieces(fds[1], fds[0]);
    pair_close(fds);
}

TEST_PROCS(no_more_than_asked_for)
{
    char bytes[8] = "";
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[0], "abcdef", 6), 6);
    CHECK_EQ(weft_read_full(fds[1], bytes, 2), 2);
    CHECK_STR(bytes, "ab");
    CHECK_EQ(weft_read_full(fds[1], bytes, 0), 0);
    CHECK_EQ(weft_read_full(fds[1], bytes, 4), 4);
    CHECK_STR(bytes, "cdef");
    CHECK_EQ(weft_read_full(fds[1], NULL, 0), 0); /* nothing is there, and it does not wait */
    pair_close(fds);
}

/* Whatever is known of what is there. */
TEST_PROCS(nothing_at_any_time)
{
    char bytes[8];
    int fds[2];
    pair_tcp(fds);
    for (int i = 0; i < 2; i++) {
        struct call call = {.fd = fds[0], .fn = call_read};
        call_start(&call, 1);
        CHECK_EQ(weft_write(fds[1], "ab", 2), 2);
        CHECK_EQ(call_join(&call), 1);
        CHECK_EQ(weft_read(fds[0], bytes, 0), 0);
        CHECK_EQ(weft_read(fds[0], bytes, sizeof bytes), 1); /* there is no more */
        CHECK_EQ(weft_read(fds[0], bytes, 0), 0);
        CHECK_EQ(weft_read_full(fds[0], bytes, 0), 0);
        CHECK_EQ(weft_readv(fds[0], &(struct iovec){bytes, 0}, 1), 0);
    }
    pair_close(fds);
}

/* More than fits into a socket, both ways at once. */
static void write_much(void *arg)
{
    struct reader *writer = arg;
    CHECK_EQ(weft_write_all(writer->call.fd, writer->bytes, writer->size), writer->size);
    weft_waitgroup_done(&writer->call.running);
}

TEST_PROCS(much)
{
    int fds[2];
    unsigned char *bytes = malloc(3 * SIZE);
    CHECK(bytes);
    pattern_fill(bytes, SIZE);
    pair_tcp(fds);
    struct reader writers[2], readers[2];
    for (int i = 0; i < 2; i++) {
        writers[i] = (struct reader){.call = {.fd = fds[i]}, .bytes = bytes, .size = SIZE};
        readers[i] = (struct reader){.call = {.fd = fds[i], .fn = call_read_full},
                                     .bytes = bytes + (i + 1) * SIZE,
                                     .size = SIZE};
        weft_waitgroup_add(&writers[i].call.running, 1);
        CHECK_EQ(weft_go(write_much, &writers[i]), 0);
        call_go(&readers[i].call);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(call_join(&readers[i].call), SIZE);
        pattern_check(readers[i].bytes, 0, SIZE);
        weft_waitgroup_wait(&writers[i].call.running);
    }
    pair_close(fds);
    free(bytes);
}

/* ---- The end, and errors ---- */

TEST_PROCS(short_only_at_the_end)
{
    unsigned char bytes[8];
    int fds[2];
    pair_tcp(fds);
    struct reader reader = {
        .call = {.fd = fds[0], .fn = call_read_full}, .bytes = bytes, .size = 8};
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    call_start(&reader.call, 1);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(call_join(&reader.call), 3);
    CHECK_EQ(weft_read_full(fds[0], bytes, 8), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

TEST_PROCS(reset_in_the_middle)
{
    unsigned char bytes[8];
    int fds[2];
    pair_tcp(fds);
    struct reader reader = {
        .call = {.fd = fds[0], .fn = call_read_full}, .bytes = bytes, .size = 8};
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    call_start(&reader.call, 1);
    struct linger reset = {.l_onoff = 1};
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(call_join(&reader.call), -ECONNRESET);
    CHECK_EQ(weft_close(fds[0]), 0);
}

TEST_PROCS(deadline_in_the_middle)
{
    static unsigned char bytes[SIZE];
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(fds[0], deadline, deadline), 0);
    CHECK_EQ(weft_read_full(fds[0], bytes, 8), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, weft_after(20 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(weft_write_all(fds[0], bytes, sizeof bytes), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    CHECK_EQ(weft_read_full(fds[0], bytes, 8), -EAGAIN);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_write_all(fds[0], bytes, sizeof bytes), -EAGAIN);
    pair_close(fds);
}

static long call_write_much(struct call *call)
{
    static const unsigned char zeros[SIZE];
    return weft_write_all(call->fd, zeros, sizeof zeros);
}

TEST_PROCS(closed_in_the_middle)
{
    unsigned char bytes[8];
    int fds[2];
    pair_unix(fds);
    struct reader reader = {
        .call = {.fd = fds[0], .fn = call_read_full}, .bytes = bytes, .size = 8};
    struct call writer = {.fd = fds[0], .fn = call_write_much};
    CHECK_EQ(weft_write(fds[1], "abc", 3), 3);
    call_start(&reader.call, 1);
    call_start(&writer, 2);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(call_join(&reader.call), -ECANCELED);
    CHECK_EQ(call_join(&writer), -ECANCELED);
    CHECK_EQ(weft_close(fds[1]), 0);
}
