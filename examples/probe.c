/* SPDX-License-Identifier: MIT
 *
 * Dials many addresses, some at a time and each with a deadline, and says what answered and how the
 * others failed: a goroutine an address, of which a group runs so many at once. Without arguments
 * it probes 10 000 addresses of this machine, on five of which it listens itself, while three more
 * have a queue that is full, which looks like a host that does not answer.
 *
 *     make examples && build/default/examples/probe [addresses [at once [deadline in ms]]]
 *     build/default/examples/probe first-address:port addresses [at once [deadline in ms]]
 *
 * Descriptors: one for each that is dialled now. Ephemeral ports: a port serves any number of
 * destinations at the same time, so they run short only where many connections to one address and
 * port were closed a moment ago (TIME_WAIT); to leave none a connection is closed by a reset.
 */
#include <arpa/inet.h>

#include <weft.h>

#include "tour.h"

enum {
    LISTENING = 5,
    SILENT = 3,
    SHOWN = 20,       /* addresses that answered */
    SPARE_FILES = 64, /* descriptors for everything else */
};

struct target {
    uint32_t address;
    int port;
    int result; /* 0, or why it did not answer */
    int64_t time;
};

static int64_t patience; /* for each */

static void write_address(const struct target *target, char text[32])
{
    struct in_addr address = {htonl(target->address)};
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, host, sizeof host);
    snprintf(text, 32, "%s:%d", host, target->port);
}

static int probe(void *arg)
{
    struct target *target = arg;
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
    return 0; /* an error would end the group */
}

/* Probes them all, so many at once. How long it took. */
static int64_t probe_all(struct target *targets, long count, long at_once)
{
    int64_t begin = weft_now();
    WEFT_GROUP_SCOPE(group, NULL);
    weft_group_limit(&group, (int)at_once);
    for (long i = 0; i < count; i++) {
        expect(weft_group_go(&group, probe, &targets[i]), "weft_group_go"); /* waits for a turn */
        if (i % 1000 == 0)
            progress("  %s of %s ...", grouped((double)i), grouped((double)count));
    }
    weft_group_wait(&group);
    progress("%s", "");
    return weft_now() - begin;
}

static int by_result(const void *a, const void *b)
{
    const struct target *left = a, *right = b;
    if (left->result != right->result)
        return left->result < right->result ? 1 : -1; /* those that answered first */
    return (left->time > right->time) - (left->time < right->time);
}

/* How many had that result. */
static long number(const struct target *targets, long count, int result)
{
    long found = 0;
    for (long i = 0; i < count; i++)
        found += targets[i].result == result;
    return found;
}

static void report(struct target *targets, long count, long at_once, int64_t taken)
{
    qsort(targets, (size_t)count, sizeof *targets, by_result);
    for (long i = 0; i < count && i < SHOWN && targets[i].result == 0; i++) {
        char address[32];
        write_address(&targets[i], address);
        printf("  %-23s answered after %.2f ms\n", address, (double)targets[i].time / 1e6);
    }
    printf("\n  %-30s %10s %10s %10s\n", "", "addresses", "median", "slowest");
    for (long first = 0, next; first < count; first = next) {
        int result = targets[first].result;
        next = first + number(targets, count, result);
        printf("  %-30s %10s %7.2f ms %7.2f ms\n", result == 0 ? "answered" : strerror(-result),
               grouped((double)(next - first)), (double)targets[(first + next) / 2].time / 1e6,
               (double)targets[next - 1].time / 1e6);
    }
    double seconds = (double)taken / (double)WEFT_SECOND;
    printf("\n%s addresses in %.2f s, %s a second, %ld at once\n", grouped((double)count), seconds,
           grouped((double)count / seconds), at_once);
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

static struct target *range(const char *first, long count)
{
    char host[INET_ADDRSTRLEN] = "";
    int port = -1;
    struct in_addr address;
    if (sscanf(first, "%15[0-9.]:%d", host, &port) != 2 || port < 1 || port > 65535 ||
        inet_pton(AF_INET, host, &address) != 1) {
        fprintf(stderr, "'%s' is not an IPv4 address with a port, as 127.1.0.1:80\n", first);
        exit(2);
    }
    struct target *targets = calloc((size_t)count, sizeof *targets);
    expect(targets == NULL ? -ENOMEM : 0, "calloc");
    for (long i = 0; i < count; i++)
        targets[i] = (struct target){ntohl(address.s_addr) + (uint32_t)i, port, 0, 0};
    return targets;
}

/* As many at once as there are descriptors for. */
static long affordable(long wanted)
{
    long files = raise_file_limit();
    long possible = files > 2 * SPARE_FILES ? files - SPARE_FILES : SPARE_FILES;
    return wanted < possible ? wanted : possible;
}

/* The port is one that the kernel chooses; what keeps it stays open, as do all listeners here. */
static struct target *range_of_ours(const char *program, long count)
{
    if (count < LISTENING + SILENT) {
        fprintf(stderr, "%s: %ld addresses are too few, %d are needed\n", program, count,
                LISTENING + SILENT);
        exit(2);
    }
    char first[32];
    listen_on("127.0.0.1", 0, first);
    memcpy(first, "127.3.0.1", strlen("127.3.0.1"));
    struct target *targets = range(first, count);
    for (int i = 0; i < LISTENING + SILENT; i++)
        listen_at(&targets[count * i / (LISTENING + SILENT)], i >= LISTENING);
    return targets;
}

static int main_goroutine(int argc, char **argv)
{
    bool ours = argc < 2 || strchr(argv[1], ':') == NULL;
    int at = ours ? 1 : 2;
    long count = argument(argc, argv, at, 10 * 1000);
    long at_once = affordable(argument(argc, argv, at + 1, 500));
    patience = argument(argc, argv, at + 2, 1000) * WEFT_MILLISECOND;
    struct target *targets = ours ? range_of_ours(argv[0], count) : range(argv[1], count);
    report(targets, count, at_once, probe_all(targets, count, at_once));
    if (ours) {
        check(number(targets, count, 0) == LISTENING, "%d answer", LISTENING);
        check(number(targets, count, -ETIMEDOUT) == SILENT, "%d do not answer", SILENT);
        check(number(targets, count, -ECONNREFUSED) == count - LISTENING - SILENT,
              "the others refuse");
    }
    free(targets);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
