/* SPDX-License-Identifier: MIT
 *
 * A server that ends well. It sends back every line that it gets; SIGINT or SIGTERM makes it accept
 * no more, let idle clients go, finish what it has begun for busy ones, and cut off those that have
 * not come to an end when the time is over.
 *
 *     make examples && build/default/examples/graceful [host:port [seconds to finish]]
 *
 * Without arguments it has some clients of each kind in the same process, and sends the signal
 * itself.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

static weft_server server;
static int64_t time_to_finish = 3 * WEFT_SECOND / 2;

/* ---- The server ---- */

static atomic_int reads; /* by which the clients below know how far the server is */

/* Answers the lines that are complete, and leaves the rest in text. A line that begins with "slow"
 * takes a while. */
static bool answer(int fd, char *text, size_t *size)
{
    char *end;
    while ((end = memchr(text, '\n', *size)) != NULL) {
        size_t length = (size_t)(end + 1 - text);
        if (strncmp(text, "slow", 4) == 0)
            weft_sleep(WEFT_SECOND / 4);
        if (weft_write_all(fd, text, length) < 0)
            return false;
        *size -= length;
        memmove(text, text + length, *size);
    }
    return true;
}

/* A client is idle while the server has nothing of it that was not answered. */
static void converse(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    char text[256];
    size_t size = 0;
    for (;;) {
        if (size == 0 && weft_conn_idle(conn, 1) < 0)
            return; /* the server is stopping */
        ssize_t more = weft_read(fd, text + size, sizeof text - size);
        weft_conn_idle(conn, 0);
        atomic_fetch_add(&reads, 1);
        if (more <= 0)
            return; /* the client has gone, the server is stopping, or the line is too long */
        size += (size_t)more;
        if (!answer(fd, text, &size))
            return;
    }
}

static int cut; /* how many had not come to an end */

static void stop_on_signal(void *signals)
{
    int signo = 0;
    weft_chan_recv(signals, &signo);
    printf("signal %d: stopping\n", signo);
    cut = weft_server_stop(&server, weft_after(time_to_finish));
    weft_signal_stop(signals);
}

static void serve(int listener)
{
    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    if (signals == NULL)
        expect(-ENOMEM, "weft_signal_chan");
    expect(weft_go(stop_on_signal, signals), "weft_go");
    expect(weft_serve(&server, listener, converse, NULL), "weft_serve");
    /* It accepts no more, but stop may not be done yet; it closes the channel then. */
    while (weft_chan_recv(signals, NULL) == 0) {
    }
}

/* ---- The clients ---- */

enum kind { IDLE, BUSY, STUCK, KINDS };
static const char *const names[KINDS] = {"idle", "busy", "stuck"};
static const char *const requests[KINDS] = {"hello\n", "slow\n", "half a li"};
static const int counts[KINDS] = {20, 10, 5};

static struct sockaddr_in address;
static atomic_int answered[KINDS], saw_end[KINDS];
static weft_waitgroup clients;

static void client(void *arg)
{
    enum kind kind = *(enum kind *)arg;
    char text[64], where[32];
    snprintf(where, sizeof where, "127.0.0.1:%d", ntohs(address.sin_port));
    int fd = expect(weft_dial("tcp", where, weft_after(10 * WEFT_SECOND)), "weft_dial");
    weft_write_all(fd, requests[kind], strlen(requests[kind]));
    ssize_t size;
    while ((size = weft_read(fd, text, sizeof text)) > 0)
        atomic_fetch_add(&answered[kind], size == (ssize_t)strlen(requests[kind]));
    atomic_fetch_add(&saw_end[kind], 1);
    weft_close(fd);
    weft_waitgroup_done(&clients);
}

/* Once the server has read what each of them wrote, the idle ones have their answer or are about to
 * get it, the busy ones wait for theirs, and the stuck ones will never have one. */
static void visit(void *arg)
{
    (void)arg;
    int total = 0;
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < counts[kind]; i++, total++)
            expect(weft_go_copy(client, &kind, sizeof kind), "weft_go_copy");
    while (atomic_load(&reads) < total)
        weft_sleep(WEFT_MILLISECOND);
    kill(getpid(), SIGTERM);
}

static void report(void)
{
    weft_waitgroup_wait(&clients);
    int total = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        total += counts[kind];
        printf("  %2d %-5s clients: %2d got their answer, %2d saw the end\n", counts[kind],
               names[kind], answered[kind], saw_end[kind]);
        check(answered[kind] == (kind == STUCK ? 0 : counts[kind]), "those get their answers");
        check(saw_end[kind] == counts[kind], "all see the end");
    }
    printf("%d ended by themselves, %d were cut\n", total - cut, cut);
    check(cut == counts[STUCK], "the stuck ones are cut, and no other");
}

static int main_goroutine(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "127.0.0.1:0";
    time_to_finish = argc > 2 ? argument(argc, argv, 2, 10) * WEFT_SECOND : time_to_finish;
    int listener = expect(weft_listen("tcp", where, 0), where);
    getsockname(listener, (struct sockaddr *)&address, &(socklen_t){sizeof address});
    if (argc == 1) {
        weft_waitgroup_add(&clients, counts[IDLE] + counts[BUSY] + counts[STUCK]);
        expect(weft_go(visit, NULL), "weft_go");
    }
    serve(listener);
    if (argc == 1)
        report();
    else
        printf("stopped; %d were cut\n", cut);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
