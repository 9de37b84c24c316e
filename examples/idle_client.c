/* SPDX-License-Identifier: MIT
 *
 * Loads idle_server: opens many connections, leaves them idle, and pings through one after another
 * of them for as long as asked. More than about 28 000 to one address need more ephemeral ports
 * than there are; give several addresses of the same server then (127.0.0.1, 127.0.0.2, ...).
 *
 *     make examples && build/default/examples/idle_server &
 *     build/default/examples/idle_client [connections [seconds [host:port ...]]]
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <weft.h>

enum {
    DIALERS = 32,
    SPARE_FILES = 16, /* descriptors for everything else */
};

static const char *const default_address = "127.0.0.1:7777";
static const char *const *addresses = &default_address;
static long address_count = 1;

static int *fds;
static long wanted;
static atomic_long tickets, connected;
static atomic_int failure; /* the negative errno of a dial */
static weft_waitgroup dialers;

/* Several of these take numbers from one counter until all connections are made. */
static void dialer(void *arg)
{
    (void)arg;
    for (long ticket; (ticket = atomic_fetch_add(&tickets, 1)) < wanted;) {
        const char *address = addresses[ticket % address_count];
        int fd = weft_dial("tcp", address, weft_after(10 * WEFT_SECOND));
        if (fd < 0) {
            atomic_store(&failure, fd);
            break;
        }
        fds[atomic_fetch_add(&connected, 1)] = fd;
    }
    weft_waitgroup_done(&dialers);
}

static int connect_all(void)
{
    weft_waitgroup_add(&dialers, DIALERS);
    for (int i = 0; i < DIALERS; i++) {
        if (weft_go(dialer, NULL) < 0)
            weft_waitgroup_done(&dialers);
    }
    weft_waitgroup_wait(&dialers);
    return atomic_load(&failure);
}

/* Nanoseconds there and back, or a negative errno. */
static int64_t ping(int fd)
{
    char reply[4];
    int64_t start = weft_now();
    weft_set_deadline(fd, weft_after(5 * WEFT_SECOND), WEFT_FOREVER);
    ssize_t result = weft_write_all(fd, "ping", 4);
    if (result >= 0)
        result = weft_read(fd, reply, sizeof reply);
    if (result < 0)
        return result;
    return result == 4 && memcmp(reply, "ping", 4) == 0 ? weft_now() - start : -EPROTO;
}

static int main_goroutine(int argc, char **argv)
{
    wanted = argc > 1 ? atol(argv[1]) : 1000;
    int64_t end = weft_after((argc > 2 ? atol(argv[2]) : 10) * WEFT_SECOND);
    if (argc > 3) {
        addresses = (const char *const *)argv + 3;
        address_count = argc - 3;
    }
    for (int i = 0; i < address_count; i++)
        if (weft_resolve("tcp", addresses[i], NULL, 0, WEFT_NOWAIT) == -EINVAL) {
            fprintf(stderr, "%s: %s\n", addresses[i], strerror(EINVAL));
            return 2;
        }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (wanted > SPARE_FILES && (rlim_t)wanted > limit.rlim_max - SPARE_FILES) {
        wanted = (long)limit.rlim_max - SPARE_FILES;
        printf("the descriptor limit of %ld (ulimit -Hn) allows %ld connections\n",
               (long)limit.rlim_max, wanted);
    }
    fds = calloc(wanted > 0 ? (size_t)wanted : 1, sizeof *fds);
    if (fds == NULL || wanted < 1) {
        fprintf(stderr, "%s connections: %s\n", argv[1],
                fds == NULL ? "out of memory" : "not a count");
        return 1;
    }

    int64_t start = weft_now();
    int error = connect_all();
    long count = atomic_load(&connected);
    printf("%ld connections in %.2f s, on %d threads\n", count,
           (double)(weft_now() - start) / (double)WEFT_SECOND, weft_num_thread());
    if (error < 0)
        printf("no more than that: %s\n", strerror(-error));

    long pings = 0;
    int64_t slowest = 0, sum = 0;
    for (int64_t time = 0; count > 0 && time >= 0 && weft_now() < end; pings++) {
        time = ping(fds[pings % count]);
        slowest = time > slowest ? time : slowest;
        sum += time;
        if (time < 0) {
            printf("ping through connection %ld: %s\n", pings % count, strerror((int)-time));
            error = (int)time;
        }
        weft_sleep(10 * WEFT_MILLISECOND);
    }
    for (long i = 0; i < count; i++)
        weft_close(fds[i]);
    if (pings > 0)
        printf("%ld pings meanwhile: %.0f us on average, %.0f us the slowest\n", pings,
               (double)sum / (double)pings / 1e3, (double)slowest / 1e3);
    return error < 0;
}

int main(int argc, char **argv)
{
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
