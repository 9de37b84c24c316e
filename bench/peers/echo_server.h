/* SPDX-License-Identifier: MIT
 *
 * The server under test, as its load sees it: a process of its own that prints the port it listens
 * at on 127.0.0.1 and then echoes until it is killed. How it is started, what it used, how it ends.
 */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bench.h"

enum { START_LIMIT_MS = 10000 };

struct server {
    pid_t pid;
    int port;
    clockid_t cpu; /* the processor time of all its threads */
};

static struct server server; /* one at a time */

/* Every connection is a descriptor in each of the two processes. */
static inline void server_raise_limit(void)
{
    struct rlimit limit;
    bench_must(getrlimit(RLIMIT_NOFILE, &limit) ? errno : 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    bench_must(setrlimit(RLIMIT_NOFILE, &limit) ? errno : 0, "setrlimit");
}

/* The first or the last CPU that the process may use. */
static inline void server_pin(bool last)
{
    cpu_set_t all;
    cpu_set_t one;
    int chosen = -1;

    bench_must(sched_getaffinity(0, sizeof(all), &all) ? errno : 0, "sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && (last || chosen < 0))
            chosen = cpu;
    CPU_ZERO(&one);
    CPU_SET(chosen, &one);
    bench_must(sched_setaffinity(0, sizeof(one), &one) ? errno : 0, "sched_setaffinity");
}

static inline void server_exec(char **argv, int out, bool pinned)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* even if its load is killed */
    if (pinned)
        server_pin(false);
    dup2(out, STDOUT_FILENO);
    execv(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static inline void server_stop(void)
{
    if (server.pid <= 0)
        return;
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    server.pid = 0;
}

static inline int server_read_port(int in)
{
    char text[16] = {0};
    struct pollfd poller = {.fd = in, .events = POLLIN};
    if (poll(&poller, 1, START_LIMIT_MS) == 1 && read(in, text, sizeof(text) - 1) > 0)
        return atoi(text);
    return 0;
}

/* Returns when it listens. It is stopped when this process ends, whatever way it does. */
static inline void server_start(char **argv, bool pinned)
{
    int pipe_fds[2];
    static bool registered;

    if (!registered)
        atexit(server_stop);
    registered = true;
    bench_must(pipe(pipe_fds) ? errno : 0, "pipe");
    server.pid = fork();
    bench_must(server.pid < 0 ? errno : 0, "fork");
    if (server.pid == 0)
        server_exec(argv, pipe_fds[1], pinned);
    close(pipe_fds[1]);
    server.port = server_read_port(pipe_fds[0]);
    close(pipe_fds[0]);
    if (server.port <= 0) {
        fprintf(stderr, "%s did not say where it listens\n", argv[0]);
        exit(1);
    }
    bench_must(clock_getcpuclockid(server.pid, &server.cpu), "clock_getcpuclockid");
}

/* Nanoseconds of processor time that it has used. */
static inline int64_t server_cpu(void)
{
    struct timespec used;
    bench_must(clock_gettime(server.cpu, &used) ? errno : 0, "the server's processor time");
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* A new connection to it. */
static inline int server_connect(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_must(fd < 0 ? errno : 0, "socket");
    bench_must(connect(fd, (struct sockaddr *)&at, sizeof(at)) ? errno : 0, "connect");
    bench_must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ? errno : 0, "setsockopt");
    return fd;
}

#endif
