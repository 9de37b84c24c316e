/* SPDX-License-Identifier: MIT
 *
 * Blocking-style I/O on plain file descriptors, which weft makes non-blocking. Any descriptor may
 * be passed; one that was used here must be closed with weft_close, never with close.
 *
 * Every call may park; any thread (a foreign thread blocks). All return -EBADF if the descriptor is
 * not open, -ECANCELED if it is closed while they wait, -ETIMEDOUT once the direction's deadline
 * has passed, and otherwise the kernel's errno, negated.
 */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* A listening socket. Networks: "tcp", "tcp4", "tcp6" with "host:port" or "[v6]:port" (numeric; an
 * empty host means every address; port 0 lets the kernel choose), and "unix" with a path; a leading
 * '@' is an abstract name. backlog <= 0 means the system's maximum. Sets SO_REUSEADDR for TCP.
 * -EINVAL: malformed network or address. */
WEFT_API int weft_listen(const char *network, const char *address, int backlog);

/* The next connection's descriptor; addr and len as for accept(2), both may be NULL. */
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len);

/* A connected socket, by the deadline. Networks and addresses as for weft_listen; an empty host
 * means the loopback address. -EINVAL: malformed. -ECONNREFUSED and the like come from the kernel. */
WEFT_API int weft_dial(const char *network, const char *address, int64_t deadline);

/* One read or write, waiting until something can be done. read: 0 is end of file. A write to a
 * closed peer is -EPIPE, without SIGPIPE on sockets. */
WEFT_API ssize_t weft_read(int fd, void *buffer, size_t size);
WEFT_API ssize_t weft_write(int fd, const void *buffer, size_t size);

/* Writes everything; size, or an error after which an unknown part was written. */
WEFT_API ssize_t weft_write_all(int fd, const void *buffer, size_t size);

/* Bounds reads (and accepts) and writes on fd, those that wait already included, until changed.
 * WEFT_FOREVER removes a bound; WEFT_NOWAIT makes calls return -EAGAIN rather than wait. 0 or an
 * error. */
WEFT_API int weft_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline);

/* Waits until fd is ready for any of poll_events (POLLIN, POLLOUT, POLLRDHUP of poll.h). The events
 * that are ready, POLLERR and POLLHUP included; -EAGAIN with WEFT_NOWAIT; -EPERM for a descriptor
 * that cannot be polled; -EINVAL for no or unknown events. */
WEFT_API int weft_wait(int fd, int poll_events, int64_t deadline);

/* Wakes every goroutine that waits on fd (they get -ECANCELED), waits until they have left it, then
 * closes. A second close that comes meanwhile: -ECANCELED. */
WEFT_API int weft_close(int fd);

WEFT_END_DECLS

#endif
