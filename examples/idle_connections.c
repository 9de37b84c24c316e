/* SPDX-License-Identifier: MIT
 *
 * Tour, step 9: a TCP echo server holds as many idle connections as this process may have
 * descriptors for, a goroutine each, and still answers at once. Its clients are in the same
 * process, so each connection takes two descriptors here.
 *
 *     make examples && build/default/examples/idle_connections [connections]
 */
#include <limits.h>
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum {
    PINGS = 100,
    DIALERS = 32,
    LISTENERS = 4,    /* on 127.0.0.1, 127.0.0.2, ...: each has all the ephemeral ports */
    SPARE_FILES = 64, /* descriptors for everything else */
};

/* The server. */
static void echo(void *arg)
{
    int fd = *(int *)arg;
    char buffer[512];
    ssize_t size;
    while ((size = weft_read(fd, buffer, sizeof buffer)) > 0 &&
           weft_write_all(fd, buffer, (size_t)size) == size)
        ;
    weft_close(fd);
}

static void serve(void *arg)
{
    int listener = *(int *)arg;
    for (;;) {
        int fd = expect(weft_accept(listener, NULL, NULL), "weft_accept");
        expect(weft_go_copy(echo, &fd, sizeof fd), "weft_go_copy");
    }
}

static char addresses[LISTENERS][32];

static void start_server(void)
{
    for (int i = 0; i < LISTENERS; i++) {
        char host[16];
        snprintf(host, sizeof host, "127.0.0.%d", i + 1);
        int fd = listen_on(host, 0, addresses[i]);
        expect(weft_go_copy(serve, &fd, sizeof fd), "weft_go_copy");
    }
}

/* The clients. */
static int *clients;
static long target;
static atomic_long tickets, connected;
static atomic_int refused; /* why a dial failed */
static weft_waitgroup dialers;

static void dialer(void *arg)
{
    (void)arg;
    for (long ticket; (ticket = atomic_fetch_add(&tickets, 1)) < target;) {
        int fd = weft_dial("tcp", addresses[ticket % LISTENERS], weft_after(10 * WEFT_SECOND));
        if (fd < 0) {
            atomic_store(&refused, fd);
            break;
        }
        clients[atomic_fetch_add(&connected, 1)] = fd;
    }
    weft_waitgroup_done(&dialers);
}

/* Goroutines of the server that wait for a connection's next bytes. */
static long idle(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    return stats.net_waiters - LISTENERS;
}

/* Dials until count clients are connected, and the server waits on each connection. */
static void connect_until(long count)
{
    target = count;
    atomic_store(&tickets, atomic_load(&connected));
    weft_waitgroup_add(&dialers, DIALERS);
    for (int i = 0; i < DIALERS; i++)
        expect(weft_go(dialer, NULL), "weft_go");
    int64_t deadline = weft_after(30 * WEFT_SECOND);
    while (weft_waitgroup_wait_until(&dialers, weft_after(100 * WEFT_MILLISECOND)) < 0)
        progress("  %s connections ...", grouped((double)atomic_load(&connected)));
    if (atomic_load(&connected) == 0)
        expect(atomic_load(&refused), "weft_dial");
    while (idle() < atomic_load(&connected) && weft_now() < deadline)
        weft_sleep(WEFT_MILLISECOND);
    check(idle() == atomic_load(&connected), "the server waits on each of %s connections",
          grouped((double)atomic_load(&connected)));
}

static int by_time(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* One ping after the other, over connections from the oldest to the youngest; sorted times. */
static void ping(int64_t times[PINGS])
{
    for (int i = 0; i < PINGS; i++) {
        int fd = clients[i * atomic_load(&connected) / PINGS];
        char reply[4] = "";
        weft_set_deadline(fd, weft_after(5 * WEFT_SECOND), WEFT_FOREVER);
        int64_t start = weft_now();
        ssize_t written = weft_write_all(fd, "ping", 4), read = weft_read(fd, reply, sizeof reply);
        times[i] = weft_now() - start;
        check(written == 4 && read == 4 && memcmp(reply, "ping", 4) == 0,
              "ping %d of %d is answered (%zd)", i + 1, PINGS, read);
    }
    qsort(times, PINGS, sizeof times[0], by_time);
}

static int threads_first, threads_last;

static void measure(double memory_before)
{
    int64_t times[PINGS];
    ping(times);
    double memory = process_memory() - memory_before, count = (double)atomic_load(&connected);
    threads_last = (int)process_status("Threads");
    threads_first = threads_first ? threads_first : threads_last;
    progress("%s", "");
    printf("  %11s %10s %7d %7.1f MiB %7s B   %6.0f us %5.0f us\n", grouped(count),
           grouped(weft_num_goroutine()), threads_last, memory / (1024 * 1024),
           grouped(memory / count), (double)times[PINGS / 2] / 1e3, (double)times[PINGS - 1] / 1e3);
    fflush(stdout);
}

/* How many connections so many descriptors allow. */
static long affordable(long files)
{
    return files > 10 * 1000 * 1000 ? 5 * 1000 * 1000 : (files - SPARE_FILES) / 2;
}

static int main_goroutine(int argc, char **argv)
{
    long wanted = argument(argc, argv, 1, 50 * 1000);
    long files = raise_file_limit(), possible = affordable(files);
    long count = wanted < possible ? wanted : possible;
    if (count < 1) {
        printf("%s descriptors (ulimit -Hn) are too few.\n", grouped((double)files));
        return 1;
    }
    clients = calloc((size_t)count, sizeof *clients);
    if (clients == NULL)
        expect(-ENOMEM, "calloc");
    start_server();

    printf("An echo server and its idle clients, in one process.\n\n"
           "  %11s %10s %7s %11s %11s %9s %8s\n",
           "connections", "goroutines", "threads", "memory", "each", "ping", "slowest");
    double before = process_memory();
    static const long rows[] = {1000, 2000, 5000, 10000, 20000, 50000, LONG_MAX};
    for (const long *row = rows; atomic_load(&connected) < count && !atomic_load(&refused); row++) {
        connect_until(*row < count ? *row : count);
        measure(before);
    }

    long held = atomic_load(&connected);
    if (atomic_load(&refused))
        printf("\n  Limit met: a dial failed: %s.\n", strerror(-atomic_load(&refused)));
    else if (held < wanted)
        printf("\n  Limit met: %s descriptors (ulimit -Hn), two for each connection here;\n"
               "  %s connections were wanted. The pair idle_server and idle_client, two\n"
               "  processes, holds twice as many.\n",
               grouped((double)files), grouped((double)wanted));
    else
        printf("\n  All %s that were wanted; no limit met (%s descriptors allowed).\n",
               grouped((double)wanted), grouped((double)files));
    printf("  Memory: what VmRSS and VmPTE grew by, without the kernel's socket buffers.\n"
           "  Ping: there and back through a connection, median and slowest of %d.\n",
           PINGS);
    check(held == count, "%s connections are held", grouped((double)count));
    for (int i = 0; i < 1000 && idle() != held; i++) /* the last one pinged may be on its way */
        weft_sleep(WEFT_MILLISECOND);
    check(threads_last <= threads_first + 4, "the thread count stays: %d at first, %d at the end",
          threads_first, threads_last);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
