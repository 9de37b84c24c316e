/* SPDX-License-Identifier: MIT
 *
 * A TCP server that holds idle connections, a goroutine each, and echoes what they send now and
 * then. It prints connections, threads and memory as they change. SIGINT, SIGTERM or the end of the
 * given time stop it cleanly: every connection closed, every goroutine ended.
 *
 *     make examples && build/default/examples/idle_server [host:port [seconds]]
 *     build/default/examples/idle_client 10000 10 127.0.0.1:7777
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <weft.h>

/* The connections that are open, by descriptor, so that all of them can be ended. */
static struct {
    weft_mutex mutex;
    weft_waitgroup goroutines;
    bool *open;
    long now, most;
} connections;

static void set_open(int fd, bool open)
{
    weft_mutex_lock(&connections.mutex);
    connections.open[fd] = open;
    connections.now += open ? 1 : -1;
    if (connections.now > connections.most)
        connections.most = connections.now;
    weft_mutex_unlock(&connections.mutex);
}

static void echo(void *arg)
{
    int fd = *(int *)arg;
    char buffer[512];
    ssize_t size;
    while ((size = weft_read(fd, buffer, sizeof buffer)) > 0 &&
           weft_write_all(fd, buffer, (size_t)size) == size)
        ;
    set_open(fd, false);
    weft_close(fd);
    weft_waitgroup_done(&connections.goroutines);
}

/* Each echo sees the end of its input, and ends. */
static void end_connections(size_t limit)
{
    weft_mutex_lock(&connections.mutex);
    for (size_t fd = 0; fd < limit; fd++) {
        if (connections.open[fd])
            shutdown((int)fd, SHUT_RDWR);
    }
    weft_mutex_unlock(&connections.mutex);
    weft_waitgroup_wait(&connections.goroutines);
}

static int listener, signal_fd;
static atomic_bool listener_closed;

static void stop_accepting(void)
{
    if (!atomic_exchange(&listener_closed, true))
        weft_close(listener); /* a goroutine in weft_accept gets -ECANCELED */
}

/* Signals come as reads from a descriptor, where a goroutine can wait for them. */
static void await_signal(void *arg)
{
    (void)arg;
    struct signalfd_siginfo info;
    if (weft_read(signal_fd, &info, sizeof info) == sizeof info)
        stop_accepting();
}

/* Prints the counts when they have changed. Threads and memory (pages and page tables) are what the
 * kernel says in /proc/self/status, kept open since there may be no descriptor left later. */
static void report(void *arg)
{
    (void)arg;
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL) {
        perror("/proc/self/status");
        exit(1);
    }
    for (long last = -1;; weft_sleep(WEFT_SECOND / 2)) {
        weft_mutex_lock(&connections.mutex);
        long now = connections.now;
        weft_mutex_unlock(&connections.mutex);
        if (now == last)
            continue;
        long threads = 0, pages = 0, tables = 0;
        char line[256];
        rewind(status);
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Threads: %ld", &threads);
            sscanf(line, "VmRSS: %ld", &pages);
            sscanf(line, "VmPTE: %ld", &tables);
        }
        printf("%7ld connections %7d goroutines %4ld threads %8.1f MiB\n", now,
               weft_num_goroutine(), threads, (double)(pages + tables) / 1024);
        fflush(stdout);
        last = now;
    }
}

/* Accepts until the time is over or a signal came: 0, or what went wrong. */
static int serve(const char *address, int64_t duration)
{
    listener = weft_listen("tcp", address, 0);
    if (listener < 0)
        return listener;
    struct sockaddr_in6 bound = {0}; /* the port of an IPv4 address lies in the same place */
    getsockname(listener, (struct sockaddr *)&bound, &(socklen_t){sizeof bound});
    printf("listening on %.*s:%d\n", (int)(strrchr(address, ':') - address), address,
           ntohs(bound.sin6_port));
    if (duration > 0)
        weft_set_deadline(listener, weft_after(duration), WEFT_FOREVER);
    int result = weft_go(await_signal, NULL);
    if (result == 0)
        result = weft_go(report, NULL);
    while (result == 0) {
        int fd = weft_accept(listener, NULL, NULL);
        if (fd >= 0) {
            set_open(fd, true);
            weft_waitgroup_add(&connections.goroutines, 1);
            result = weft_go_copy(echo, &fd, sizeof fd);
        } else if (fd == -EMFILE || fd == -ENFILE) {
            fprintf(stderr, "accept: %s; those that wait are taken later\n", strerror(-fd));
            weft_sleep(WEFT_SECOND);
        } else if (fd != -ECONNABORTED) {
            result = fd;
        }
    }
    stop_accepting();
    return result == -ETIMEDOUT || result == -ECANCELED ? 0 : result;
}

static int main_goroutine(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7777";
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    connections.open = calloc(limit.rlim_cur, sizeof(bool));
    int result = -ENOMEM;
    if (connections.open != NULL)
        result = serve(address, argc > 2 ? atol(argv[2]) * WEFT_SECOND : 0);
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", address, strerror(-result));
        return 1;
    }
    end_connections(limit.rlim_cur);
    printf("stopped: every connection closed, %ld at most were open\n", connections.most);
    return 0;
}

int main(int argc, char **argv)
{
    /* Blocked before weft starts its threads, so that none of them takes the signals. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (signal_fd < 0) {
        perror("signalfd");
        return 1;
    }
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
