/* SPDX-License-Identifier: MIT
 *
 * As bench/echo.c by hand: one thread, one epoll, edge-triggered. A read that gets less than it
 * asked for has emptied the socket, and the next byte, or the end, is a new edge; so a request is a
 * read, a write, and its share of an epoll_wait. Nothing is allocated.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../bench.h"

enum { BUFFER = 512, BATCH = 256, DESCRIPTORS = 32768 };

/* What could not be written yet, by descriptor. */
static int pending[DESCRIPTORS];       /* how much */
static char rest[DESCRIPTORS][BUFFER]; /* untouched as long as every write goes through */

static int epoll_fd;
static int listener;

static void watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    bench_must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? errno : 0, "epoll_ctl");
}

static void accept_all(void)
{
    int fd;
    int on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        bench_must(fd < DESCRIPTORS ? 0 : EMFILE, "accept4");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        pending[fd] = 0;
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    }
    bench_must(errno == EAGAIN ? 0 : errno, "accept4");
}

/* False: the connection is over. */
static bool write_all(int fd, const char *data, int size)
{
    int done = 0;
    while (done < size) {
        ssize_t count = send(fd, data + done, (size_t)(size - done), MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            return false;
        if (count < 0)
            break;
        done += (int)count;
    }
    pending[fd] = size - done;
    if (done < size)
        memmove(rest[fd], data + done, (size_t)(size - done));
    return true;
}

/* False: the connection is over. */
static bool serve(int fd, bool at_end)
{
    char buffer[BUFFER];
    if (pending[fd] && !write_all(fd, rest[fd], pending[fd]))
        return false;
    while (!pending[fd]) {
        ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
        if (count <= 0)
            return count < 0 && errno == EAGAIN;
        if (!write_all(fd, buffer, (int)count))
            return false;
        if (count < BUFFER && !at_end)
            return true;
    }
    return true;
}

int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    struct epoll_event events[BATCH];

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bench_must(bind(listener, (struct sockaddr *)&at, size) ? errno : 0, "bind");
    bench_must(listen(listener, SOMAXCONN) ? errno : 0, "listen");
    bench_must(getsockname(listener, (struct sockaddr *)&at, &size) ? errno : 0, "getsockname");
    watch(listener, EPOLLIN);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all();
            else if (!serve(fd, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
                close(fd);
        }
    }
}
