/* SPDX-License-Identifier: MIT
 *
 * Descriptors and sockets as weft needs them (socket.c): leaf calls like those of os.h. Results are
 * >= 0 or a negative errno; none returns -EINTR. Nothing here waits, except wi_os_fd_poll, and a
 * read or write of a descriptor that blocks.
 */
#ifndef WI_OS_SOCKET_H
#define WI_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- Any descriptor ---- */

/* 0, or -EBADF if it is not open. */
int wi_os_fd_check(int fd);

/* Makes it non-blocking. 0, -EBADF. */
int wi_os_fd_set_nonblock(int fd);

/* What calls work on it, and how. FILE is always ready and may block nevertheless (regular files,
 * directories, block devices). TCP is a socket too, one that a short read leaves empty. */
enum wi_fd_kind { WI_FD_FILE, WI_FD_OTHER, WI_FD_SOCKET, WI_FD_TCP };

/* -EBADF. */
int wi_os_fd_kind(int fd);

/* Whether closing it may take long: of sockets those that linger until the peer has got everything
 * (SO_LINGER), and whatever is none. */
bool wi_os_fd_close_waits(int fd);

/* Frees the number whatever the result, unless that is -EBADF. */
int wi_os_fd_close(int fd);

/* A descriptor of no use but that its number can be had back; closing allows -1. */
int wi_os_fd_spare(void);
void wi_os_fd_spare_close(int fd);

ssize_t wi_os_fd_read(int fd, void *buffer, size_t size);
ssize_t wi_os_fd_write(int fd, const void *buffer, size_t size);
ssize_t wi_os_fd_readv(int fd, const struct iovec *parts, int count);
ssize_t wi_os_fd_writev(int fd, const struct iovec *parts, int count);

/* Waits for poll(2) events until deadline (WEFT_NOWAIT, or any that has passed: does not wait;
 * WEFT_FOREVER: no bound). The events that are ready, 0 if time ran out. */
int wi_os_fd_poll(int fd, int events, int64_t deadline);

/* 0, or -EPERM if it is of a kind that has no readiness (a regular file). */
int wi_os_fd_can_poll(int fd);

/* ---- Sockets ---- */

/* As the calls they are named after; what sends raises no SIGPIPE, and descriptors that are
 * received are closed on exec. */
ssize_t wi_os_send(int fd, const void *buffer, size_t size);
ssize_t wi_os_recv(int fd, void *buffer, size_t size);
ssize_t wi_os_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                       socklen_t *address_size);
ssize_t wi_os_sendto(int fd, const void *buffer, size_t size, int flags,
                     const struct sockaddr *address, socklen_t address_size);
ssize_t wi_os_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t wi_os_sendmsg(int fd, const struct msghdr *message, int flags);

/* A socket of that type (SOCK_STREAM, ...), non-blocking and closed on exec. */
int wi_os_socket(int family, int type);

/* An integer option. 0 or -errno. */
int wi_os_socket_set(int fd, int level, int option, int value);

/* The address it is bound to; *size is its capacity before. 0 or -errno. */
int wi_os_socket_name(int fd, struct sockaddr *address, socklen_t *size);

int wi_os_bind(int fd, const struct sockaddr *address, socklen_t size);
int wi_os_listen(int fd, int backlog);

/* 1 if the socket listens, else 0; -EBADF, -ENOTSOCK. */
int wi_os_listens(int fd);

/* The next connection, non-blocking and closed on exec. address and size may be NULL. */
int wi_os_accept(int fd, struct sockaddr *address, socklen_t *size);

/* 0, or -EINPROGRESS: wi_os_connect_result tells, once it is writable. */
int wi_os_connect(int fd, const struct sockaddr *address, socklen_t size);

/* What became of a connect that was in progress: 0, -EINPROGRESS still, or its error. */
int wi_os_connect_result(int fd);

/* As shutdown(2). */
int wi_os_shutdown(int fd, int how);

/* True for a TCP socket that is connected to itself. */
bool wi_os_connected_to_itself(int fd);

/* The number of a network interface by its name, 0 if there is none. */
unsigned wi_os_interface(const char *name);

#endif
