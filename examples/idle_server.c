/* SPDX-License-Identifier: MIT
 *
 * A TCP server that holds idle connections and echoes what they send now and then: with a goroutine
 * for each of them, or with none while they are idle (examples/idle.h). It prints connections,
 * goroutines, threads, memory, and bytes a connection as they change. SIGINT, SIGTERM or the end of
 * the given time stop it cleanly: every connection closed, every goroutine ended.
 *
 *     make examples && build/default/examples/idle_server [--style goroutine|record]
 *         [--timeout seconds] [host:port [seconds]]
 *     build/default/examples/idle_client 10000 10 127.0.0.1:7777
 */
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>

#include "idle.h"
#include "tour.h"

static const struct style *style = &styles[0];
static int64_t duration = WEFT_FOREVER;

/* Threads and memory (pages and page tables), as the kernel says in /proc/self/status, kept open
 * since there may be no descriptor left later. */
static void read_status(FILE *status, long *threads, double *bytes)
{
    long pages = 0, tables = 0;
    char line[256];
    rewind(status);
    while (fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "Threads: %ld", threads);
        sscanf(line, "VmRSS: %ld", &pages);
        sscanf(line, "VmPTE: %ld", &tables);
    }
    *bytes = 1024.0 * (double)(pages + tables);
}

/* Prints the counts when they have changed. */
static void report(void *arg)
{
    (void)arg;
    long threads = 0;
    double bytes, before;
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL)
        expect(-errno, "/proc/self/status");
    read_status(status, &threads, &before);
    for (long last = -1;; weft_sleep(WEFT_SECOND / 2)) {
        long now = atomic_load(&connections);
        if (now == last)
            continue;
        read_status(status, &threads, &bytes);
        printf("%7ld connections %7d goroutines %4ld threads %8.1f MiB", now, weft_num_goroutine(),
               threads, bytes / (1024 * 1024));
        if (now > last && now > 0)
            printf(" %7.0f bytes a connection", (bytes - before) / (double)now);
        printf("\n");
        fflush(stdout);
        last = now;
    }
}

static weft_waitgroup stopped;

static void stop_in_time(void *signals)
{
    weft_chan_recv_until(signals, NULL, weft_after(duration));
    int cut = weft_server_stop(&server, weft_after(5 * WEFT_SECOND));
    weft_waitgroup_wait(&records);
    printf("stopped: every connection closed, %ld at most were open, %ld were idle for too long, "
           "%d were cut\n",
           atomic_load(&connections_most), atomic_load(&timed_out), cut);
    weft_waitgroup_done(&stopped);
}

static int serve(const char *address)
{
    int listener = weft_listen("tcp", address, 0);
    if (listener < 0)
        return listener;
    struct sockaddr_in6 bound = {0}; /* the port of an IPv4 address lies in the same place */
    getsockname(listener, (struct sockaddr *)&bound, &(socklen_t){sizeof bound});
    printf("listening on %.*s:%d\n", (int)(strrchr(address, ':') - address), address,
           ntohs(bound.sin6_port));
    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    if (signals == NULL)
        return -ENOMEM;
    expect(weft_go(report, NULL), "weft_go");
    weft_waitgroup_add(&stopped, 1);
    expect(weft_go(stop_in_time, signals), "weft_go");
    int result = weft_serve(&server, listener, style->handler, NULL);
    if (result == 0)
        weft_waitgroup_wait(&stopped); /* it accepts no more; the connections end now */
    weft_signal_stop(signals);
    return result;
}

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--style goroutine|record] [--timeout seconds] [host:port [seconds]]\n",
            program);
    exit(2);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"style", required_argument, NULL, 's'}, {"timeout", required_argument, NULL, 't'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        if (option == 't')
            idle_timeout = (int64_t)(atof(optarg) * (double)WEFT_SECOND);
        else if (option == 's' && strcmp(optarg, styles[0].name) == 0)
            style = &styles[0];
        else if (option == 's' && strcmp(optarg, styles[1].name) == 0)
            style = &styles[1];
        else
            usage(argv[0]);
    }
    if (optind + 1 < argc)
        duration = argument(argc, argv, optind + 1, 0) * WEFT_SECOND;
}

static int main_goroutine(int argc, char **argv)
{
    read_options(argc, argv);
    const char *address = optind < argc ? argv[optind] : "127.0.0.1:7777";
    raise_file_limit();
    return expect(serve(address), address);
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
