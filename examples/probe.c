/* SPDX-License-Identifier: MIT
 *
 * Dials many addresses, some at a time and each with a deadline, and says what answered and how the
 * others failed: a goroutine an address, which sends what it has found to the one that counts.
 * Without an address it probes 10 000 of this machine, on five of which it listens itself, while
 * three more have a queue that is full, which looks like a host that does not answer.
 *
 *     make examples && build/default/examples/probe [--option value ...] [first-address:port]
 *
 * SIGINT, SIGTERM, or the end of the time for all of them: no more are dialled, those that are
 * under way are given up, and the report is of those that were probed. Exit status 3 says so.
 *
 * Descriptors: one for each that is dialled now. Ephemeral ports: a port serves any number of
 * destinations at the same time, so they run short only where many connections to one address and
 * port were closed a moment ago (TIME_WAIT); to leave none a connection is closed by a reset.
 */
#include <arpa/inet.h>

#include "service.h"

enum {
    LISTENING = 5,
    SILENT = 3,
    SHOWN = 20,       /* addresses that answered */
    SPARE_FILES = 64, /* descriptors for everything else */
    STOPPED = 3,      /* exit status */
};

static int64_t count = 10 * 1000, at_once = 500, patience = WEFT_SECOND, total = 3600 * WEFT_SECOND;

static const struct service_option options[] = {
    {"addresses", "to be probed, one after the other", &count, 1, 1, 1 << 24, NULL},
    {"at-once", "dialled at a time", &at_once, 1, 1, 1000 * 1000, NULL},
    {"deadline", "seconds for each", &patience, WEFT_SECOND, 0, 3600, NULL},
    {"total", "seconds for all", &total, WEFT_SECOND, 0, 7 * 86400, NULL},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

struct target {
    uint32_t address;
    int port;
    int result; /* 0, or why it did not answer; NOT_PROBED */
    int64_t time;
};

enum { NOT_PROBED = -EINPROGRESS /* no dial ends so */ };

static void write_address(const struct target *target, char text[32])
{
    struct in_addr address = {htonl(target->address)};
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, host, sizeof host);
    snprintf(text, 32, "%s:%d", host, target->port);
}

/* ---- Probing ---- */

struct probe {
    int64_t index;
    struct target target;
};

static weft_chan *found; /* of struct probe: those that are done */

static void run_probe(void *arg)
{
    struct probe *probe = arg;
    struct target *target = &probe->target;
    char address[32];
    write_address(target, address);
    int64_t begin = weft_now();
    int fd = weft_dial("tcp4", address, begin + patience);
    target->time = weft_now() - begin;
    target->result = fd < 0 ? fd : 0;
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        weft_close(fd);
    }
    weft_chan_send(found, probe);
}

/* Probes them all, so many at once, until a signal comes or the time is over. How many were
 * probed; the goroutines that are left then are not waited for. */
static int64_t probe_all(struct target *targets, weft_chan *signals)
{
    struct probe done, next = {.index = 0};
    found = weft_chan_new(sizeof done, (size_t)at_once);
    expect(found == NULL ? -ENOMEM : 0, "weft_chan_new");
    weft_case cases[] = {{.chan = found, .recv = &done}, {.chan = signals}};
    int64_t probed = 0, deadline = weft_after(total);
    while (probed < count) {
        for (; next.index < count && next.index - probed < at_once; next.index++) {
            next.target = targets[next.index];
            expect(weft_go_copy(run_probe, &next, sizeof next), "weft_go_copy");
        }
        if (weft_select(cases, 2, deadline) != 0)
            break;
        targets[done.index] = done.target;
        if (probed++ % 1000 == 0)
            progress("  %s of %s ...", grouped((double)probed), grouped((double)count));
    }
    progress("%s", "");
    return probed;
}

/* ---- The report ---- */

static int by_result(const void *a, const void *b)
{
    const struct target *left = a, *right = b;
    if (left->result != right->result)
        return left->result < right->result ? 1 : -1; /* those that answered first */
    return (left->time > right->time) - (left->time < right->time);
}

/* How many had that result. */
static int64_t number(const struct target *targets, int result)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += targets[i].result == result;
    return sum;
}

static void report(struct target *targets, int64_t probed, int64_t taken)
{
    qsort(targets, (size_t)count, sizeof *targets, by_result);
    for (int64_t i = 0; i < probed && i < SHOWN && targets[i].result == 0; i++) {
        char address[32];
        write_address(&targets[i], address);
        printf("  %-23s answered after %.2f ms\n", address, (double)targets[i].time / 1e6);
    }
    printf("\n  %-30s %10s %10s %10s\n", "", "addresses", "median", "slowest");
    for (int64_t first = 0, next; first < count; first = next) {
        int result = targets[first].result;
        next = first + number(targets, result);
        if (result != NOT_PROBED)
            printf("  %-30s %10s %7.2f ms %7.2f ms\n", result == 0 ? "answered" : strerror(-result),
                   grouped((double)(next - first)), (double)targets[(first + next) / 2].time / 1e6,
                   (double)targets[next - 1].time / 1e6);
    }
    double seconds = (double)taken / (double)WEFT_SECOND;
    printf("\n%s addresses in %.2f s, %s a second, %s at once\n", grouped((double)probed), seconds,
           grouped((double)probed / seconds), grouped((double)at_once));
    if (probed < count)
        printf("stopped: %s addresses were not probed\n", grouped((double)(count - probed)));
}

/* ---- What answers on this machine ---- */

static void answer(void *arg)
{
    int listener = *(int *)arg, fd;
    while ((fd = weft_accept(listener, NULL, NULL)) >= 0)
        weft_close(fd);
}

/* A listener on the address. A silent one never accepts, and its queue is filled: the kernel then
 * ignores whoever else wants to connect. */
static void listen_at(const struct target *target, bool silent)
{
    char address[32];
    write_address(target, address);
    int fd = expect(weft_listen("tcp4", address, silent ? 1 : 0), address);
    if (!silent)
        expect(weft_go_copy(answer, &fd, sizeof fd), "weft_go_copy");
    else
        while (weft_dial("tcp4", address, weft_after(100 * WEFT_MILLISECOND)) >= 0)
            ;
}

/* So many addresses, from the first on. */
static struct target *range(const char *first)
{
    char host[INET_ADDRSTRLEN] = "", rest;
    int port = -1;
    struct in_addr address;
    if (sscanf(first, "%15[0-9.]:%d%c", host, &port, &rest) != 2 || port < 1 || port > 65535 ||
        inet_pton(AF_INET, host, &address) != 1) {
        fprintf(stderr, "'%s' is not an IPv4 address with a port, as 127.1.0.1:80\n", first);
        exit(2);
    }
    struct target *targets = calloc((size_t)count, sizeof *targets);
    expect(targets == NULL ? -ENOMEM : 0, "calloc");
    for (int64_t i = 0; i < count; i++)
        targets[i] = (struct target){ntohl(address.s_addr) + (uint32_t)i, port, NOT_PROBED, 0};
    return targets;
}

/* The port is one that the kernel chooses; what keeps it stays open, as do all listeners here. */
static struct target *range_of_ours(const char *program)
{
    if (count < LISTENING + SILENT) {
        fprintf(stderr, "%s: %lld addresses are too few, %d are needed\n", program,
                (long long)count, LISTENING + SILENT);
        exit(2);
    }
    char first[32];
    listen_on("127.0.0.1", 0, first);
    memcpy(first, "127.3.0.1", strlen("127.3.0.1"));
    struct target *targets = range(first);
    for (int64_t i = 0; i < LISTENING + SILENT; i++)
        listen_at(&targets[count * i / (LISTENING + SILENT)], i >= LISTENING);
    return targets;
}

static void check_ours(const struct target *targets)
{
    check(number(targets, 0) == LISTENING, "%d answer", LISTENING);
    check(number(targets, -ETIMEDOUT) == SILENT, "%d do not answer", SILENT);
    check(number(targets, -ECONNREFUSED) == count - LISTENING - SILENT, "the others refuse");
}

/* As many at once as there are descriptors for. */
static void limit_at_once(void)
{
    int64_t files = raise_file_limit();
    int64_t possible = files > 2 * SPARE_FILES ? files - SPARE_FILES : SPARE_FILES;
    at_once = at_once < possible ? at_once : possible;
}

static int main_goroutine(int argc, char **argv)
{
    const char *first = service_arguments(argc, argv, options, OPTIONS, NULL);
    limit_at_once();
    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    expect(signals == NULL ? -ENOMEM : 0, "weft_signal_chan");
    struct target *targets = first == NULL ? range_of_ours(argv[0]) : range(first);
    int64_t begin = weft_now(), probed = probe_all(targets, signals);
    weft_signal_stop(signals);
    report(targets, probed, weft_now() - begin);
    if (first == NULL && probed == count)
        check_ours(targets);
    free(targets);
    return probed < count ? STOPPED : tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
