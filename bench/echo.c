/* SPDX-License-Identifier: MIT
 *
 * A TCP echo server on loopback, a goroutine a connection. bench/peers/echo_load starts it, loads
 * it and measures. With the argument "when" a goroutine serves one request, and an idle connection
 * has none.
 */
#include <netinet/in.h>
#include <poll.h>

#include <weft.h>

#include "bench.h"

enum { BUFFER = 512 };

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[BUFFER];
    ssize_t count;

    while ((count = weft_read(fd, buffer, sizeof(buffer))) > 0)
        if (weft_write_all(fd, buffer, (size_t)count) < 0)
            break;
    weft_close(fd);
}

/* For one request, and the next; nobody waits in between. */
static void serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[BUFFER];

    ssize_t count = weft_read(fd, buffer, sizeof(buffer));
    if (count <= 0 || weft_write_all(fd, buffer, (size_t)count) < 0 ||
        weft_go_when(fd, POLLIN, WEFT_FOREVER, serve_one, arg))
        weft_close(fd);
}

static void print_port(int fd)
{
    struct sockaddr_in at;
    socklen_t size = sizeof(at);
    bench_must(getsockname(fd, (struct sockaddr *)&at, &size) ? errno : 0, "getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
}

static int run(int argc, char **argv)
{
    bool when = argc > 1 && !strcmp(argv[1], "when");
    int listener = weft_listen("tcp", "127.0.0.1:0", 0);
    bench_must(listener < 0 ? listener : 0, "weft_listen");
    print_port(listener);
    int fd;
    while ((fd = weft_accept(listener, NULL, NULL)) >= 0)
        bench_must(when ? weft_go_when(fd, POLLIN, WEFT_FOREVER, serve_one, (void *)(intptr_t)fd)
                        : weft_go(serve, (void *)(intptr_t)fd),
                   "weft_go");
    bench_must(fd, "weft_accept");
    return 1;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
