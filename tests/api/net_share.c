/* SPDX-License-Identifier: MIT
 *
 * Several goroutines on one descriptor: nobody misses an edge that another one saw.
 */
#include "api/net_test.h"

static weft_waitgroup running;
static int taken; /* atomic */

/* ---- Readers ---- */

enum { READERS = 8, BYTES = 6144 };

/* One byte at a time, so that most of what an edge announced is left for others. */
static void read_bytes(void *arg)
{
    char byte;
    while (weft_read((int)(intptr_t)arg, &byte, 1) == 1)
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    weft_waitgroup_done(&running);
}

static void share_reading(int fds[2], int burst)
{
    static const char bytes[64];
    taken = 0;
    weft_waitgroup_add(&running, READERS);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(weft_go(read_bytes, (void *)(intptr_t)fds[0]), 0);
    for (int sent = 0; sent < BYTES; sent += burst) {
        CHECK_EQ(weft_write_all(fds[1], bytes, (size_t)burst), burst);
        if (test_random_below(4) == 0) /* until all is read, which somebody must do */
            while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < sent + burst)
                weft_yield();
    }
    CHECK_EQ(weft_close(fds[1]), 0);
    weft_waitgroup_wait(&running);
    CHECK_EQ(taken, BYTES);
    CHECK_EQ(weft_close(fds[0]), 0);
}

TEST_PROCS(readers)
{
    for (int burst = 1; burst <= 16; burst *= 4) {
        int fds[2];
        pair_unix(fds);
        share_reading(fds, burst);
        pair_tcp(fds);
        share_reading(fds, burst);
    }
}

/* ---- Acceptors ---- */

enum { ACCEPTORS = 8, CONNECTIONS = 1000 };

static void accept_some(void *arg)
{
    int fd;
    while ((fd = weft_accept((int)(intptr_t)arg, NULL, NULL)) >= 0) {
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK(fd == -ECANCELED || fd == -EBADF); /* closed during the call, or before */
    weft_waitgroup_done(&running);
}

static void dial_some(void *arg)
{
    for (int i = 0; i < CONNECTIONS / ACCEPTORS; i++)
        CHECK_EQ(weft_close(endpoint_dial(arg)), 0);
}

static void share_accepting(int kind)
{
    struct endpoint at = endpoint_listen(kind, 0);
    taken = 0;
    weft_waitgroup_add(&running, ACCEPTORS);
    for (int i = 0; i < ACCEPTORS; i++) {
        CHECK_EQ(weft_go(accept_some, (void *)(intptr_t)at.fd), 0);
        CHECK_EQ(weft_go(dial_some, &at), 0);
    }
    CHECK_SOON(__atomic_load_n(&taken, __ATOMIC_RELAXED) == CONNECTIONS);
    endpoint_close(&at);
    weft_waitgroup_wait(&running);
}

TEST_PROCS(acceptors)
{
    share_accepting(KIND_TCP);
    share_accepting(KIND_UNIX);
}

/* ---- Writers, with readers on the same descriptor ---- */

enum { WRITERS = 4, RECORDS = 2000, RECORD = 512 };

/* A datagram socket keeps records apart. */
static void write_records(void *arg)
{
    char record[RECORD];
    memset(record, 'a' + (int)test_random_below(26), sizeof record);
    for (int i = 0; i < RECORDS / WRITERS; i++)
        CHECK_EQ(weft_write((int)(intptr_t)arg, record, sizeof record), sizeof record);
    weft_waitgroup_done(&running);
}

static void read_records(void *arg)
{
    char record[RECORD + 1];
    for (;;) {
        int number = __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
        if (number > RECORDS)
            break;
        CHECK_EQ(weft_read((int)(intptr_t)arg, record, sizeof record), RECORD);
        for (int i = 1; i < RECORD; i++)
            CHECK_EQ(record[i], record[0]);
    }
    weft_waitgroup_done(&running);
}

TEST_PROCS(writers)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    int size = 4096; /* so that writers wait */
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    weft_waitgroup_add(&running, 2 * WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        CHECK_EQ(weft_go(write_records, (void *)(intptr_t)fds[0]), 0);
        CHECK_EQ(weft_go(read_records, (void *)(intptr_t)fds[1]), 0);
    }
    weft_waitgroup_wait(&running);
    pair_close(fds);
}
