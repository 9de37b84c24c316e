/* SPDX-License-Identifier: MIT
 *
 * The server under test, as its load sees it: a process of its own, maybe with workers as children,
 * that prints the port it listens at on 127.0.0.1, or HOST:PORT at the end of a line, and then
 * serves until it is told to end. How it is started, what it used, how it ends; and how a program
 * that loads it is run.
 */
#ifndef SERVER_H
#define SERVER_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bench.h"

enum {
    START_LIMIT_MS = 10000,
    STOP_LIMIT_MS = 5000,
    MEMBERS = 64,
};

struct server {
    pid_t pid;
    int port;
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

/* The first or the last CPU that the process may use, or could before the first call. */
static inline void server_pin(bool last)
{
    static cpu_set_t all;
    cpu_set_t one;
    int chosen = -1;

    if (CPU_COUNT(&all) == 0)
        bench_must(sched_getaffinity(0, sizeof(all), &all) ? errno : 0, "sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && (last || chosen < 0))
            chosen = cpu;
    CPU_ZERO(&one);
    CPU_SET(chosen, &one);
    bench_must(sched_setaffinity(0, sizeof(one), &one) ? errno : 0, "sched_setaffinity");
}

/* In a child: becomes the program, with its output there. */
static inline _Noreturn void server_exec(const char *const *argv, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* even if its load is killed */
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* With a signal that lets a server with workers end them first. */
static inline void server_stop(void)
{
    struct timespec pause = {.tv_nsec = 1000000};

    if (server.pid <= 0)
        return;
    kill(server.pid, SIGTERM);
    for (int waited = 0; waitpid(server.pid, NULL, WNOHANG) == 0; waited++) {
        if (waited == STOP_LIMIT_MS)
            kill(server.pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
    server.pid = 0;
}

static inline int server_read_port(int in)
{
    char text[128] = {0};
    struct pollfd poller = {.fd = in, .events = POLLIN};
    if (poll(&poller, 1, START_LIMIT_MS) != 1 || read(in, text, sizeof(text) - 1) <= 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    char *colon = strrchr(text, ':');
    return atoi(colon ? colon + 1 : text);
}

/* Returns when it has said where it listens. It is stopped when this process ends, whatever way it
 * does. */
static inline void server_start(char **argv, bool pinned)
{
    int pipe_fds[2];
    static bool registered;

    if (!registered)
        atexit(server_stop);
    registered = true;
    bench_must(pipe2(pipe_fds, O_CLOEXEC) ? errno : 0, "pipe2");
    server.pid = fork();
    bench_must(server.pid < 0 ? errno : 0, "fork");
    if (server.pid == 0) {
        if (pinned)
            server_pin(false);
        server_exec((const char *const *)argv, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    server.port = server_read_port(pipe_fds[0]);
    close(pipe_fds[0]);
    if (server.port <= 0) {
        fprintf(stderr, "%s did not say where it listens\n", argv[0]);
        exit(1);
    }
}

/* The process and its children. Their number. */
static inline int server_members(pid_t members[MEMBERS])
{
    char path[64];
    int count = 0;
    members[count++] = server.pid;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)server.pid, (int)server.pid);
    FILE *file = fopen(path, "r");
    bench_must(file ? 0 : errno, path);
    while (count < MEMBERS && fscanf(file, "%d", &members[count]) == 1)
        count++;
    fclose(file);
    return count;
}

/* Nanoseconds of processor time that all their threads have used. */
static inline int64_t server_cpu(void)
{
    pid_t members[MEMBERS];
    int count = server_members(members);
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        clockid_t clock;
        struct timespec used;
        bench_must(clock_getcpuclockid(members[i], &clock), "clock_getcpuclockid");
        bench_must(clock_gettime(clock, &used) ? errno : 0, "the server's processor time");
        sum += (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
    }
    return sum;
}

/* Bytes of physical memory: pages and page tables. */
static inline double server_memory(void)
{
    pid_t members[MEMBERS];
    int count = server_members(members);
    double sum = 0;
    for (int i = 0; i < count; i++) {
        char status[64];
        snprintf(status, sizeof(status), "/proc/%d/status", (int)members[i]);
        sum += bench_memory_of(status);
    }
    return sum;
}

static inline struct sockaddr_in server_loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A new connection to it. */
static inline int server_connect(void)
{
    struct sockaddr_in at = server_loopback(server.port);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_must(fd < 0 ? errno : 0, "socket");
    bench_must(connect(fd, (struct sockaddr *)&at, sizeof(at)) ? errno : 0, "connect");
    bench_must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ? errno : 0, "setsockopt");
    return fd;
}

/* Puts a port that is free into BENCH_PORT, for servers that cannot choose one. */
static inline void server_offer_port(void)
{
    struct sockaddr_in at = server_loopback(0);
    socklen_t size = sizeof(at);
    char text[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_must(fd < 0 ? errno : 0, "socket");
    bench_must(bind(fd, (struct sockaddr *)&at, size) ? errno : 0, "bind");
    bench_must(getsockname(fd, (struct sockaddr *)&at, &size) ? errno : 0, "getsockname");
    close(fd);
    snprintf(text, sizeof(text), "%d", ntohs(at.sin_port));
    setenv("BENCH_PORT", text, 1);
}

/* Waits until it takes connections, for those that name their port before. */
static inline void server_await(void)
{
    struct timespec pause = {.tv_nsec = 10000000};
    struct sockaddr_in at = server_loopback(server.port);
    int result = -1;
    for (int waited = 0; result && waited < START_LIMIT_MS; waited += 10) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bench_must(fd < 0 ? errno : 0, "socket");
        result = connect(fd, (struct sockaddr *)&at, sizeof(at)) ? errno : 0;
        close(fd);
        if (result)
            nanosleep(&pause, NULL);
    }
    bench_must(result, "connect to the server");
}

/* Runs a program that loads it, on the last CPU if the server has the first, and returns what it
 * printed, which stays until the next call. */
static inline char *server_run_load(const char *const *argv, bool pinned)
{
    static char output[65536];
    int pipe_fds[2];
    size_t filled = 0;
    ssize_t count;
    int status;

    bench_must(pipe2(pipe_fds, O_CLOEXEC) ? errno : 0, "pipe2");
    pid_t pid = fork();
    bench_must(pid < 0 ? errno : 0, "fork");
    if (pid == 0) {
        if (pinned)
            server_pin(true);
        server_exec(argv, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    while ((count = read(pipe_fds[0], output + filled, sizeof(output) - 1 - filled)) > 0)
        filled += (size_t)count;
    output[filled] = '\0';
    close(pipe_fds[0]);
    bench_must(waitpid(pid, &status, 0) == pid ? 0 : errno, argv[0]);
    if (status) {
        fprintf(stderr, "%s ended with status %#x: %.200s\n", argv[0], (unsigned)status, output);
        exit(1);
    }
    return output;
}

#endif
