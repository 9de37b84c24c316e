/* SPDX-License-Identifier: MIT
 *
 * counts OPERATION N: does one operation N times and reports nothing; bench/counts.sh counts the
 * instructions of two runs with different N, so that all but the operation cancels.
 */
#include <sys/socket.h>

#include <weft.h>

#include "bench.h"

enum { BATCH = 100 };

static weft_chan *ping;
static weft_chan *pong;
static int count;

static void done(void *wg)
{
    weft_waitgroup_done(wg);
}

static void spawn(void)
{
    for (int i = 0; i < count; i += BATCH) {
        weft_waitgroup wg = {0};
        weft_waitgroup_add(&wg, BATCH);
        for (int j = 0; j < BATCH; j++)
            bench_must(weft_go(done, &wg), "weft_go");
        weft_waitgroup_wait(&wg);
    }
}

static void yielder(void *wg)
{
    for (int i = 0; i < count; i++)
        weft_yield();
    weft_waitgroup_done(wg);
}

/* Two goroutines share the count, so that an operation is one switch. */
static void yield(void)
{
    weft_waitgroup wg = {0};
    count /= 2;
    weft_waitgroup_add(&wg, 2);
    bench_must(weft_go(yielder, &wg), "weft_go");
    bench_must(weft_go(yielder, &wg), "weft_go");
    weft_waitgroup_wait(&wg);
}

static void echo(void *arg)
{
    (void)arg;
    int value;
    while (!weft_chan_recv(ping, &value))
        weft_chan_send(pong, &value);
}

static void pingpong(void)
{
    ping = weft_chan_new(sizeof(int), 0);
    pong = weft_chan_new(sizeof(int), 0);
    bench_must(weft_go(echo, NULL), "weft_go");
    for (int i = 0; i < count; i++) {
        weft_chan_send(ping, &i);
        weft_chan_recv(pong, NULL);
    }
}

static void produce(void *chan)
{
    for (int i = 0; i < count; i++)
        weft_chan_send(chan, &i);
    weft_chan_close(chan);
}

static void buffered(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 128);
    bench_must(weft_go(produce, chan), "weft_go");
    while (!weft_chan_recv(chan, NULL))
        continue;
}

/* One goroutine selects over two channels, with a sender each. */
static void select_over(size_t capacity)
{
    weft_chan *chans[2];
    count /= 2;
    for (int i = 0; i < 2; i++) {
        chans[i] = weft_chan_new(sizeof(int), capacity);
        bench_must(weft_go(produce, chans[i]), "weft_go");
    }
    for (int closed = 0; closed < 2;) {
        weft_case cases[2] = {{.chan = chans[0]}, {.chan = chans[1]}};
        int chosen = weft_select(cases, 2, WEFT_FOREVER);
        if (cases[chosen].result) {
            chans[chosen] = NULL;
            closed++;
        }
    }
}

static void select_wait(void)
{
    select_over(0);
}

static void select_ready(void)
{
    select_over(128);
}

static void mutex(void)
{
    weft_mutex lock = {0};
    for (int i = 0; i < count; i++) {
        weft_mutex_lock(&lock);
        weft_mutex_unlock(&lock);
    }
}

static void blocking(void)
{
    for (int i = 0; i < count; i++) {
        weft_blocking_begin();
        weft_blocking_end();
    }
}

static int sockets[2];

static void answer(void *arg)
{
    (void)arg;
    char request[512];
    ssize_t size;
    while ((size = weft_read(sockets[1], request, sizeof(request))) > 0)
        weft_write_all(sockets[1], request, (size_t)size);
}

/* An operation is a request and its reply: each side reads, which waits, and writes. */
static void request(void)
{
    char reply[512] = {0};
    bench_must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) ? errno : 0, "socketpair");
    bench_must(weft_go(answer, NULL), "weft_go");
    for (int i = 0; i < count; i++) {
        weft_write_all(sockets[0], reply, 64);
        weft_read(sockets[0], reply, sizeof(reply));
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} operations[] = {
    {"spawn", spawn},       {"yield", yield},          {"pingpong", pingpong},
    {"buffered", buffered}, {"select-2", select_wait}, {"select-2-ready", select_ready},
    {"mutex", mutex},       {"blocking", blocking},    {"request", request},
};

static int run(int argc, char **argv)
{
    count = argc > 2 ? atoi(argv[2]) : 0;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (argc > 2 && count > 0 && !strcmp(argv[1], operations[i].name)) {
            operations[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: counts spawn|yield|pingpong|buffered|select-2|select-2-ready|mutex|"
                    "blocking|request N\n");
    return 2;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
