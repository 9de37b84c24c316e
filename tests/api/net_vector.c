/* SPDX-License-Identifier: MIT
 *
 * Reading into and writing from several buffers, and starting again in the middle of them.
 */
#include "api/net_test.h"

#include <limits.h>

/* ---- A few buffers ---- */

static void scatter_and_gather(int from, int to)
{
    char a[4] = "", b[8] = "";
    struct iovec out[] = {part_of("ab"), part_of(""), part_of("cdef"), part_of("g")};
    struct iovec in[] = {{a, 3}, {NULL, 0}, {b, 7}};
    CHECK_EQ(weft_writev(from, out, 4), 7);
    CHECK_EQ(weft_writev_all(from, out, 4), 7);
    CHECK_EQ(weft_readv(to, in, 3), 10); /* what is there, and no more */
    CHECK_STR(a, "abc");
    CHECK_STR(b, "defgabc");
    CHECK_EQ(weft_readv(to, in, 3), 4);
    CHECK_STR(a, "def");
    CHECK_STR(b, "gefgabc");
    CHECK_EQ(weft_writev_all(from, out, 1), 2);
    CHECK_EQ(weft_readv(to, in, 1), 2);
    CHECK_STR(a, "abf");
}

TEST_PROCS(pairs)
{
    int fds[2];
    pair_unix(fds);
    scatter_and_gather(fds[0], fds[1]);
    pair_close(fds);
    pair_tcp(fds);
    scatter_and_gather(fds[0], fds[1]);
    pair_close(fds);
    CHECK_EQ(pipe(fds), 0);
    scatter_and_gather(fds[1], fds[0]);
    pair_close(fds);
}

TEST_PROCS(nobody_reads)
{
    struct iovec part = part_of("x");
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_writev(fds[0], &part, 1), -EPIPE);
    CHECK_EQ(weft_writev_all(fds[0], &part, 1), -EPIPE);
    char byte;
    CHECK_EQ(weft_readv(fds[0], &(struct iovec){&byte, 1}, 1), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

static long call_readv(struct call *call)
{
    char bytes[2];
    struct iovec parts[] = {{bytes, 1}, {bytes + 1, 1}};
    return weft_readv(call->fd, parts, 2);
}

static long call_writev(struct call *call)
{
    struct iovec parts[] = {part_of("a"), part_of("b")};
    return weft_writev(call->fd, parts, 2);
}

TEST_PROCS(wait_to_be_ready)
{
    static char buffer[65536];
    int fds[2];
    pair_unix(fds);
    struct call reader = {.fd = fds[0], .fn = call_readv};
    call_start(&reader, 1);
    CHECK_EQ(weft_write(fds[1], "xyz", 3), 3);
    CHECK_EQ(call_join(&reader), 2);
    CHECK_EQ(weft_read(fds[0], buffer, sizeof buffer), 1);
    fill_up(fds[0]);
    struct call writer = {.fd = fds[0], .fn = call_writev};
    call_start(&writer, 1);
    read_up(fds[1]);
    CHECK_EQ(call_join(&writer), 2);
    pair_close(fds);
}

TEST_PROCS(nothing_and_nowhere)
{
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    CHECK_EQ(weft_readv(fds[0], NULL, 1), -EFAULT);
    CHECK_EQ(weft_writev(fds[0], NULL, 1), -EFAULT);
    CHECK_EQ(weft_writev_all(fds[0], NULL, 1), -EFAULT);
    CHECK_EQ(weft_recvmsg(fds[0], NULL, 0), -EFAULT);
    CHECK_EQ(weft_sendmsg(fds[0], NULL, 0), -EFAULT);
    CHECK_EQ(weft_recvmsg(fds[0], &(struct msghdr){.msg_iovlen = 1}, 0), -EFAULT);
    CHECK_EQ(weft_sendmsg(fds[0], &(struct msghdr){.msg_iovlen = 1}, 0), -EFAULT);
    CHECK_EQ(weft_readv(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_writev(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_writev_all(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_read(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_read_full(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_write(fds[0], NULL, 0), 0);
    CHECK_EQ(weft_write_all(fds[0], NULL, 0), 0);
    char byte;
    struct iovec twice[] = {{&byte, SSIZE_MAX}, {&byte, SSIZE_MAX}};
    CHECK_EQ(weft_readv(fds[0], twice, 2), -EFAULT); /* together more than there is memory */
    CHECK_EQ(weft_writev(fds[0], twice, 2), -EFAULT);
    CHECK_EQ(weft_writev_all(fds[0], twice, 2), -EFAULT);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 1); /* and it is still there */
    CHECK_EQ(weft_read(fds[1], &byte, 0), 0);
    CHECK_EQ(weft_set_deadline(fds[1], WEFT_NOWAIT, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[1], &byte, 1), -EAGAIN); /* nothing was written */
    struct iovec part = {&byte, 1};
    struct sockaddr *nowhere = (struct sockaddr *)1; /* which does not matter if it has no size */
    struct msghdr message = {.msg_name = nowhere, .msg_iov = &part, .msg_iovlen = 1};
    CHECK_EQ(weft_sendmsg(fds[0], &message, 0), 1);
    CHECK_EQ(weft_sendto(fds[0], &byte, 1, 0, nowhere, 0), 1);
    message.msg_namelen = sizeof(struct sockaddr);
    CHECK_EQ(weft_sendmsg(fds[0], &message, 0), -EFAULT);
    CHECK_EQ(weft_sendto(fds[0], &byte, 1, 0, nowhere, sizeof(struct sockaddr)), -EFAULT);
    CHECK_EQ(weft_shutdown(fds[0], -1), -EINVAL);
    CHECK_EQ(weft_shutdown(fds[0], 3), -EINVAL);
    pair_close(fds);
}

/* ---- Many buffers, and more bytes than a socket takes at once ---- */

struct load {
    int fd;
    struct iovec parts[IOV_MAX];
    struct iovec copy[IOV_MAX]; /* what parts must still be afterwards */
    int count;
    size_t size;
    weft_waitgroup running;
};

/* Parts of one buffer, one after the other, of sizes up to max, one in four empty. */
static void fill_load(struct load *load, unsigned char *bytes, int count, size_t max)
{
    load->count = count;
    load->size = 0;
    for (int i = 0; i < count; i++) {
        size_t size = test_random_below(4) == 0 ? 0 : test_random_below(max + 1);
        load->parts[i] = (struct iovec){bytes + load->size, size};
        load->size += size;
    }
    pattern_fill(bytes, load->size);
    memcpy(load->copy, load->parts, sizeof load->parts);
}

static void write_load(void *arg)
{
    struct load *load = arg;
    CHECK_EQ(weft_writev_all(load->fd, load->parts, load->count), load->size);
    CHECK(memcmp(load->copy, load->parts, (size_t)load->count * sizeof load->parts[0]) == 0);
    weft_waitgroup_done(&load->running);
}

static void read_load(int fd, size_t size)
{
    unsigned char bytes[4096];
    for (size_t done = 0; done < size;) {
        ssize_t count = weft_read(fd, bytes, 1 + test_random_below(sizeof bytes));
        CHECK_GT(count, 0);
        pattern_check(bytes, done, (size_t)count);
        done += (size_t)count;
    }
}

static void transfer(struct load *load, int from, int to)
{
    load->fd = from;
    weft_waitgroup_add(&load->running, 1);
    CHECK_EQ(weft_go(write_load, load), 0);
    read_load(to, load->size);
    weft_waitgroup_wait(&load->running);
}

TEST_PROCS(restarts_anywhere)
{
    static struct load load;
    static const struct {
        int count;
        size_t max;
    } shapes[] = {{1, 2000000}, {2, 500000},     {9, 100000},
                  {40, 30000},  {IOV_MAX, 1000}, {IOV_MAX, 1}};
    enum { BYTES = 3 << 20 };
    unsigned char *bytes = malloc(BYTES);
    CHECK(bytes);
    for (size_t i = 0; i < 3 * sizeof shapes / sizeof shapes[0]; i++) {
        int fds[2];
        fill_load(&load, bytes, shapes[i / 3].count, shapes[i / 3].max);
        CHECK_LE(load.size, BYTES);
        if (i % 3 == 0)
            pair_unix(fds);
        else if (i % 3 == 1)
            pair_tcp(fds);
        else
            CHECK_EQ(pipe(fds), 0);
        transfer(&load, i % 3 == 2 ? fds[1] : fds[0], i % 3 == 2 ? fds[0] : fds[1]);
        pair_close(fds);
    }
    free(bytes);
}

TEST_PROCS(fails_in_the_middle)
{
    static char bytes[1 << 20];
    struct iovec parts[] = {{bytes, 10}, {bytes, sizeof bytes}, {bytes, sizeof bytes}};
    int fds[2];
    char received[1000];
    pair_unix(fds);
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, deadline), 0);
    CHECK_EQ(weft_writev_all(fds[0], parts, 3), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_read(fds[1], received, sizeof received), sizeof received);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_writev_all(fds[0], parts, 3), -EAGAIN);
    pair_close(fds);
}

/* ---- Several writers ---- */

enum { WRITERS = 4, RECORDS = 5, RECORD = 300000 };

static int shared_fd;
static weft_waitgroup writers;

/* Records of one letter, larger than what a socket takes at once. */
static void write_records(void *index)
{
    static char letters[WRITERS][RECORD];
    char *bytes = letters[test_index(index)];
    memset(bytes, 'a' + test_index(index), RECORD);
    struct iovec parts[] = {{bytes, 1}, {bytes, RECORD / 2 - 1}, {bytes, RECORD / 2}};
    for (int i = 0; i < RECORDS; i++)
        CHECK_EQ(weft_writev_all(shared_fd, parts, 3), RECORD);
    weft_waitgroup_done(&writers);
}

/* Nothing of another's comes in between. */
TEST_PROCS(records_stay_together)
{
    static char record[RECORD];
    int fds[2];
    pair_unix(fds);
    shared_fd = fds[0];
    weft_waitgroup_add(&writers, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(weft_go(write_records, (void *)(intptr_t)i), 0);
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        CHECK_EQ(weft_read_full(fds[1], record, RECORD), RECORD);
        for (int j = 1; j < RECORD; j++)
            CHECK_EQ(record[j], record[0]);
    }
    weft_waitgroup_wait(&writers);
    pair_close(fds);
}
