/* SPDX-License-Identifier: MIT
 *
 * What an idle connection takes in memory, with a goroutine that waits for it and without, side by
 * side (examples/idle.h). Each server is a process of its own, so that neither finds warm what the
 * other has left; the clients are in this one, with plain sockets.
 *
 *     make examples && build/default/examples/idle_styles [connections]
 */
#include <netinet/in.h>
#include <sys/wait.h>

#include "idle.h"
#include "tour.h"

enum {
    SPARE_FILES = 64, /* descriptors for everything else */
    STARTERS = 1000,  /* connections that are there when memory is first measured */
};

static long count;
static int control; /* between server and clients; a byte says that it is the other's turn */

static void their_turn(void)
{
    if (write(control, "", 1) != 1)
        expect(-EPIPE, "the other process");
}

static void my_turn(void)
{
    char byte;
    if (read(control, &byte, 1) != 1)
        expect(-EPIPE, "the other process");
}

/* ---- The server ---- */

static void serve(void *arg)
{
    const struct style *style = arg;
    int listener = expect(weft_listen("tcp", "0.0.0.0:0", 0), "weft_listen");
    struct sockaddr_in bound;
    getsockname(listener, (struct sockaddr *)&bound, &(socklen_t){sizeof bound});
    if (write(control, &bound.sin_port, sizeof bound.sin_port) != sizeof bound.sin_port)
        expect(-EPIPE, "the clients");
    expect(weft_serve(&server, listener, style->handler, NULL), "weft_serve");
}

/* Waits until all that were pinged are idle again: by then those with a goroutine wait for their
 * descriptor, and those without have none. */
static void settle(long expected)
{
    weft_wait(control, POLLIN, WEFT_FOREVER); /* rather than block in read */
    my_turn();
    while (atomic_load(&connections) < expected)
        weft_sleep(WEFT_MILLISECOND);
    weft_sleep(WEFT_SECOND / 5);
}

static void measure(const struct style *style)
{
    settle(STARTERS);
    double before = process_memory();
    their_turn();
    settle(STARTERS + count);
    double memory = process_memory() - before, each = memory / (double)count;
    printf("  %-10s %11s %10s %7ld %7.1f MiB %7s B\n", style->name, grouped((double)count),
           grouped(weft_num_goroutine()), process_status("Threads"), memory / (1024 * 1024),
           grouped(each));
    check(each <= style->aim, "at most %d bytes", style->aim);
    int cut = weft_server_stop(&server, weft_after(10 * WEFT_SECOND));
    weft_waitgroup_wait(&records);
    check(cut == 0, "every connection ends by itself, but %d", cut);
    check(atomic_load(&connections) == 0, "%ld are left", atomic_load(&connections));
    fflush(stdout);
    their_turn();
}

static int server_goroutine(int argc, char **argv)
{
    (void)argc;
    const struct style *style = (const struct style *)(const void *)argv;
    tour_status = 0; /* what the parent had found out before */
    expect(weft_go(serve, (void *)(uintptr_t)style), "weft_go");
    measure(style);
    return tour_status;
}

/* ---- The clients ---- */

static int *clients;

static void talk(int fd)
{
    char reply[4];
    if (write(fd, "ping", 4) != 4 || recv(fd, reply, 4, MSG_WAITALL) != 4 ||
        memcmp(reply, "ping", 4) != 0)
        expect(-EPROTO, "ping");
}

/* Loopback addresses in turn: each has all the ephemeral ports. */
static void connect_some(in_port_t port, long first, long end)
{
    for (long i = first; i < end; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(i % 8));
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (clients[i] < 0 || connect(clients[i], (struct sockaddr *)&address, sizeof address) < 0)
            expect(-errno, "connect");
        talk(clients[i]);
    }
}

static void visit(void)
{
    in_port_t port;
    if (read(control, &port, sizeof port) != sizeof port)
        expect(-EPIPE, "the server");
    connect_some(port, 0, STARTERS);
    their_turn();
    my_turn();
    connect_some(port, STARTERS, STARTERS + count);
    their_turn();
    my_turn();
    for (long i = 0; i < STARTERS + count; i++) {
        char byte;
        check(read(clients[i], &byte, 1) == 0, "client %ld sees the end", i);
        close(clients[i]);
    }
}

static void compare(const struct style *style)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        expect(-errno, "socketpair");
    fflush(stdout);
    pid_t child = fork();
    control = pair[child == 0];
    close(pair[child != 0]);
    if (child == 0)
        exit(expect(weft_run(server_goroutine, 0, (char **)(uintptr_t)style), "weft_run"));
    visit();
    int status = -1;
    waitpid(child, &status, 0);
    check(status == 0, "the server ends well");
    close(control);
}

int main(int argc, char **argv)
{
    long wanted = argument(argc, argv, 1, 10 * 1000);
    long possible = raise_file_limit() - STARTERS - SPARE_FILES;
    count = wanted < possible ? wanted : possible;
    clients = calloc((size_t)(STARTERS + count), sizeof *clients);
    if (clients == NULL || count < 1)
        expect(-ENOMEM, "clients");
    printf("Idle connections, in two styles.\n\n"
           "  %-10s %11s %10s %7s %11s %9s\n",
           "style", "connections", "goroutines", "threads", "memory", "each");
    for (int i = 0; i < STYLES; i++)
        compare(&styles[i]);
    printf("\n  Memory: what VmRSS and VmPTE of the server grew by since it had %d connections, "
           "which\n"
           "  leaves out what it takes once; without the kernel's socket buffers.\n",
           STARTERS);
    return tour_status;
}
