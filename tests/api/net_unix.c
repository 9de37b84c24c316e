/* SPDX-License-Identifier: MIT
 *
 * What only Unix sockets do: datagrams that wait for their receiver, and packets. net_pass.c has
 * what travels beside the bytes.
 */
#include "api/net_test.h"

#include <pthread.h>

/* ---- Datagrams ---- */

/* A bound socket at a place that nobody else uses; '@' or a path. */
static int bind_gram(char first, struct sockaddr_un *name, socklen_t *size, char address[108])
{
    static int number; /* atomic */
    int n = __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED);
    snprintf(address, 108, "%sweft-test-gram-%d-%d", first == '@' ? "@" : "/tmp/", (int)getpid(),
             n);
    int fd = weft_listen("unixgram", address, 0);
    CHECK_GE(fd, 0);
    *size = sizeof *name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)name, size), 0);
    return fd;
}

static void grams_there_and_back(char first)
{
    struct sockaddr_un names[2], from;
    socklen_t sizes[2], from_size = sizeof from;
    char addresses[2][108], text[8] = "";
    int fds[2];
    for (int i = 0; i < 2; i++)
        fds[i] = bind_gram(first, &names[i], &sizes[i], addresses[i]);
    CHECK_EQ(weft_listen("unixgram", addresses[0], 0), -EADDRINUSE);
    CHECK_EQ(weft_sendto(fds[0], "ping", 4, 0, (struct sockaddr *)&names[1], sizes[1]), 4);
    CHECK_EQ(weft_recvfrom(fds[1], text, sizeof text, 0, (struct sockaddr *)&from, &from_size), 4);
    CHECK_STR(text, "ping");
    CHECK_EQ(from_size, sizes[0]);
    CHECK(memcmp(&from, &names[0], from_size) == 0);
    CHECK_EQ(weft_sendto(fds[1], "", 0, 0, (struct sockaddr *)&from, from_size), 0);
    CHECK_EQ(weft_recvfrom(fds[0], text, sizeof text, 0, NULL, NULL), 0); /* an empty one */
    CHECK_EQ(weft_accept(fds[0], NULL, NULL), -EOPNOTSUPP);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_sendto(fds[0], "x", 1, 0, (struct sockaddr *)&names[1], sizes[1]), -ECONNREFUSED);
    CHECK_EQ(weft_close(fds[0]), 0);
    for (int i = 0; first != '@' && i < 2; i++)
        CHECK_EQ(unlink(addresses[i]), 0);
}

TEST_PROCS(datagrams)
{
    grams_there_and_back('/');
    grams_there_and_back('@');
}

/* ---- Datagrams to a receiver whose queue is full ---- */

struct gram {
    struct call call;
    struct sockaddr_un *to;
    socklen_t size;
    int flags;
    bool connected;
};

static long send_gram(struct call *call)
{
    struct gram *gram = (struct gram *)call;
    if (gram->connected)
        return weft_write(call->fd, "x", 1);
    return weft_sendto(call->fd, "x", 1, gram->flags, (struct sockaddr *)gram->to, gram->size);
}

static long send_gram_message(struct call *call)
{
    struct gram *gram = (struct gram *)call;
    struct iovec part = part_of("x");
    struct msghdr message = {
        .msg_name = gram->to, .msg_namelen = gram->size, .msg_iov = &part, .msg_iovlen = 1};
    return weft_sendmsg(call->fd, &message, gram->flags);
}

struct full {
    int receiver, filler;
    struct sockaddr_un name;
    struct gram gram;
    char address[108];
    int queued;
};

/* A sender, and a receiver that has no room because of what somebody else sent: the sender itself
 * hears when its own datagrams are taken. */
static void full_open(struct full *full, bool connected)
{
    memset(full, 0, sizeof *full);
    full->gram.to = &full->name;
    full->gram.connected = connected;
    full->gram.call.fn = send_gram;
    full->receiver = bind_gram('@', &full->name, &full->gram.size, full->address);
    int fd = full->gram.call.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    if (connected)
        CHECK_EQ(connect(fd, (struct sockaddr *)&full->name, full->gram.size), 0);
    full->filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct gram fill = full->gram;
    fill.call.fd = full->filler;
    fill.flags = MSG_DONTWAIT;
    fill.connected = false;
    while (send_gram(&fill.call) == 1)
        full->queued++;
    CHECK_EQ(send_gram(&fill.call), -EAGAIN);
}

static void full_close(struct full *full)
{
    CHECK_EQ(weft_close(full->gram.call.fd), 0);
    CHECK_EQ(weft_close(full->receiver), 0);
    CHECK_EQ(weft_close(full->filler), 0);
}

/* It is no waiter all the time, as it looks again now and then; so whether it has begun is not
 * sure. */
static void start_sending(struct call *call)
{
    call_go(call);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!call_done(call));
}

static void room_comes(bool connected, long (*send)(struct call *call))
{
    struct full full;
    char byte;
    full_open(&full, connected);
    full.gram.call.fn = send;
    for (int i = 0; i < 5; i++) {
        start_sending(&full.gram.call);
        CHECK_EQ(weft_read(full.receiver, &byte, 1), 1);
        CHECK_EQ(call_join(&full.gram.call), 1);
    }
    CHECK_EQ(weft_set_deadline(full.receiver, WEFT_NOWAIT, WEFT_FOREVER), 0);
    int queued = 0;
    while (weft_read(full.receiver, &byte, 1) == 1)
        queued++;
    CHECK_EQ(queued, full.queued);
    CHECK_EQ(net_waiters(), 0);
    full_close(&full);
}

TEST_PROCS(full_queue)
{
    room_comes(true, send_gram);
    room_comes(false, send_gram);
    room_comes(false, send_gram_message);
}

TEST_PROCS(full_queue_and_no_room)
{
    struct full full;
    full_open(&full, false);
    int fd = full.gram.call.fd;
    full.gram.flags = MSG_DONTWAIT;
    CHECK_EQ(send_gram(&full.gram.call), -EAGAIN);
    CHECK_EQ(send_gram_message(&full.gram.call), -EAGAIN);
    full.gram.flags = 0;
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, deadline), 0);
    CHECK_EQ(send_gram(&full.gram.call), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);

    start_sending(&full.gram.call);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, weft_after(20 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(call_join(&full.gram.call), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);
    start_sending(&full.gram.call);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_NOWAIT), 0);
    CHECK_EQ(call_join(&full.gram.call), -EAGAIN);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);

    start_sending(&full.gram.call); /* the receiver goes away */
    CHECK_EQ(weft_close(full.receiver), 0);
    CHECK_EQ(call_join(&full.gram.call), -ECONNREFUSED);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(full.filler), 0);

    full_open(&full, false); /* the sender does */
    start_sending(&full.gram.call);
    CHECK_EQ(weft_close(full.gram.call.fd), 0);
    long result = call_join(&full.gram.call);
    CHECK(result == -ECANCELED || result == -EBADF); /* closed during the call, or before */
    CHECK_EQ(weft_close(full.receiver), 0);
    CHECK_EQ(weft_close(full.filler), 0);
    CHECK_EQ(net_waiters(), 0);
}

static void *send_from_thread(void *arg)
{
    return (void *)(intptr_t)send_gram(arg);
}

/* For the kernel such a sender is writable all the time, and its attempts make events. */
static void does_not_spin(struct full *full)
{
    struct timespec before, after;
    int64_t patience = 300 * WEFT_MILLISECOND;
    CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    CHECK_EQ(weft_set_deadline(full->gram.call.fd, WEFT_FOREVER, weft_after(patience)), 0);
    CHECK_EQ(send_gram(&full->gram.call), -ETIMEDOUT);
    CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    CHECK_LT((after.tv_sec - before.tv_sec) * WEFT_SECOND + after.tv_nsec - before.tv_nsec,
             patience / 4);
}

static void full_queue_of_thread(void)
{
    struct full full;
    pthread_t thread;
    void *result;
    char byte;
    full_open(&full, false);
    CHECK_EQ(pthread_create(&thread, NULL, send_from_thread, &full.gram.call), 0);
    usleep(20000);
    CHECK_EQ(weft_read(full.receiver, &byte, 1), 1);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((intptr_t)result, 1);
    does_not_spin(&full);
    full_close(&full);
}

TEST_PROCS(full_queue_and_a_thread)
{
    full_queue_of_thread();
}

TEST(full_queue_without_a_run)
{
    full_queue_of_thread();
}

/* ---- Packets ---- */

static void packets(int listener, const char *address)
{
    char text[8] = "";
    int fds[2];
    fds[0] = weft_dial("unixpacket", address, weft_after(30 * WEFT_SECOND));
    CHECK_GE(fds[0], 0);
    fds[1] = weft_accept(listener, NULL, NULL);
    CHECK_GE(fds[1], 0);
    CHECK_EQ(weft_write(fds[0], "abcd", 4), 4);
    CHECK_EQ(weft_write(fds[0], "efgh", 4), 4);
    CHECK_EQ(weft_writev_all(fds[0], (struct iovec[]){part_of("ij"), part_of("kl")}, 2), 4);
    CHECK_EQ(weft_read(fds[1], text, 2), 2); /* the rest is lost */
    CHECK_STR(text, "ab");
    struct iovec part = {text, 7};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    CHECK_EQ(weft_recvmsg(fds[1], &message, 0), 4);
    CHECK_STR(text, "efgh");
    CHECK(!(message.msg_flags & MSG_TRUNC));
    CHECK_EQ(weft_recvfrom(fds[1], text, 7, 0, NULL, NULL), 4);
    CHECK_STR(text, "ijkl");
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_read(fds[1], text, 7), 0);
    CHECK_EQ(weft_write(fds[1], "x", 1), -EPIPE);
    CHECK_EQ(weft_sendto(fds[1], "x", 1, 0, NULL, 0), -EPIPE);
    CHECK_EQ(weft_sendmsg(fds[1], &message, 0), -EPIPE);
    CHECK_EQ(weft_writev(fds[1], &part, 1), -EPIPE);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST_PROCS(packets_over_connections)
{
    char address[108];
    snprintf(address, sizeof address, "@weft-test-packet-%d", (int)getpid());
    int listener = weft_listen("unixpacket", address, 0);
    CHECK_GE(listener, 0);
    packets(listener, address);
    CHECK_EQ(weft_dial("unix", address, WEFT_FOREVER), -ECONNREFUSED); /* another kind's name */
    CHECK_EQ(weft_close(listener), 0);
}
