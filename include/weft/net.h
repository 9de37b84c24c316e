/* SPDX-License-Identifier: MIT
 *
 * Blocking-style I/O on plain file descriptors. Any descriptor may be passed; the first call on it
 * makes it non-blocking. One that was used here must be closed with weft_close, never with close.
 *
 * Every call may park; any thread (a foreign thread blocks). Every call that takes a descriptor:
 *
 *     -EBADF      it is not open
 *     -ECANCELED  weft_close closed it meanwhile, or is doing so; or a foreign thread waited for it
 *                 while a run was on, and that has ended: the call may be repeated
 *     -ETIMEDOUT  the deadline of the direction has passed, even if something could be done
 *     -EAGAIN     the deadline of the direction is WEFT_NOWAIT, and nothing can be done now
 *     -EINVAL     a size over SSIZE_MAX, a count of buffers below 0 or over IOV_MAX
 *     -ENOTSOCK   not a socket, in a call that is for sockets only
 *     and otherwise the kernel's errno, negated: -EFAULT, -ECONNRESET, -EPIPE, ...; never -EINTR
 *
 * Several goroutines may use a descriptor. In each direction calls take turns, in the order in
 * which they came: what a weft_write_all writes stays together, and of several that read or accept
 * the first to have come is the first to be served. weft_wait and weft_go_when need no turn.
 *
 * On a regular file, a directory or a block device, which are never "not ready", reads and writes
 * are declared blocking regions (weft/blocking.h), without turns and deadlines; see weft/file.h.
 */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* ---- Making sockets ----
 *
 * Networks and addresses:
 *
 *     "tcp", "udp"              "host:port", "[v6 literal]:port"; IPv4 and IPv6
 *     "tcp4", "udp4"            the same, IPv4 only
 *     "tcp6", "udp6"            the same, IPv6 only
 *     "unix"                    a path, or '@' and an abstract name; a stream
 *     "unixgram"                the same; datagrams
 *     "unixpacket"              the same; a stream of packets (SOCK_SEQPACKET)
 *
 * A host is a literal or a name; a v6 literal may end in %interface. A port is a number or the name
 * of a service. "localhost" is 127.0.0.1, then ::1, without a lookup; so is an empty host, but to
 * weft_listen it means every address. weft_listen takes the first address that this machine has.
 * -EINVAL: malformed (a host that ends in a number must be a literal), or an unknown network. What
 * else can go wrong with names: weft_resolve. */

/* A socket that listens (streams) or is bound (datagrams). Port 0 lets the kernel choose. backlog
 * <= 0 means the system's maximum. Sets SO_REUSEADDR for TCP; does not remove an old path. What
 * weft_resolve says of the address, or the kernel's error: -EADDRINUSE, -EADDRNOTAVAIL (not an
 * address of this machine), -EACCES (a port or path that is not for this user), ... */
WEFT_API int weft_listen(const char *network, const char *address, int backlog);

/* count listeners, or bound datagram sockets, that share one address by SO_REUSEPORT: the kernel
 * spreads connections over them. With one for each slot, weft_maxprocs(0), and an acceptor on each,
 * nothing is shared between slots. Fills fds; 0, or an error and none is open. Not for "unix...":
 * -EINVAL, as with count < 1. */
WEFT_API int weft_listen_group(const char *network, const char *address, int backlog, int *fds,
                               int count);

/* The next connection's descriptor; addr and len as for accept(2), both may be NULL. Connections
 * that were given up while they queued are passed over. While no descriptor is left (EMFILE,
 * ENFILE) accept waits rather than fail, and looks again from time to time; if there is still none
 * then, one connection is accepted and closed, so that clients see an end (weft_stats.refused
 * counts them). Several goroutines may accept from one listener. */
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len);

/* A connected socket, by the deadline. A name with several addresses is dialled as RFC 8305 says:
 * families alternate, and the next address is tried once the one before has failed or has not
 * answered for 250 ms. The error is that of the first address to fail: -ECONNREFUSED,
 * -EHOSTUNREACH, ...; -ETIMEDOUT once the deadline has passed, whatever failed before; or what
 * weft_resolve says. WEFT_NOWAIT: -EAGAIN unless it can be done at once. */
WEFT_API int weft_dial(const char *network, const char *address, int64_t deadline);

/* ---- Names ---- */

typedef struct weft_addr {
    socklen_t size;
    struct sockaddr_storage addr;
} weft_addr;

/* The addresses that network and address name, for weft_sendto and the like, in the order in which
 * they should be tried. Their number, of which at most max are stored. Names are looked up (hosts
 * file, DNS; through c-ares if weft was built and the program is linked with it, which parks, and
 * otherwise by getaddrinfo in one of a few blocking threads, or in the foreign thread that calls,
 * and then no deadline ends it). -ENOENT: no such host or service; -ENODATA: it has no address of
 * that family; -EREMOTEIO: the name servers failed; -ETIMEDOUT: the deadline has passed (also where
 * nothing is looked up), or they did not answer; -EAGAIN: WEFT_NOWAIT, and it takes a lookup;
 * -EINVAL; -ENOMEM. */
WEFT_API int weft_resolve(const char *network, const char *address, weft_addr *addrs, int max,
                          int64_t deadline);

/* Writes an address as weft_dial reads it, "127.0.0.1:80", "[::1]:80", "/path", "@abstract", or ""
 * for an unnamed Unix socket; NUL-terminated. Its length; -ENOSPC; -EINVAL: not such an address.
 * Never parks; any thread. */
WEFT_API int weft_addr_text(const struct sockaddr *addr, socklen_t size, char *text,
                            size_t capacity);

/* ---- Reading and writing ---- */

/* One read or write, waiting until something can be done. read: 0 is end of file or an empty
 * datagram; what the buffer is too short for of a datagram is lost. A write to a closed peer is
 * -EPIPE, without SIGPIPE on sockets. A size of 0, with any pointer, does not wait for room or
 * bytes: read takes nothing, not even a datagram; write sends an empty datagram where there are
 * datagrams, and otherwise nothing. */
WEFT_API ssize_t weft_read(int fd, void *buffer, size_t size);
WEFT_API ssize_t weft_write(int fd, const void *buffer, size_t size);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *parts, int count);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *parts, int count);

/* Reads until size bytes are there or the file ends: the bytes read, less than size only at the end
 * of file (an empty datagram counts as one); or an error, after which an unknown part was read. */
WEFT_API ssize_t weft_read_full(int fd, void *buffer, size_t size);

/* Writes everything; the size, or an error after which an unknown part was written. Nothing of
 * another goroutine's comes in between. writev_all leaves parts as they were. */
WEFT_API ssize_t weft_write_all(int fd, const void *buffer, size_t size);
WEFT_API ssize_t weft_writev_all(int fd, const struct iovec *parts, int count);

/* As recvfrom(2), sendto(2), recvmsg(2) and sendmsg(2), for sockets of every kind; descriptors are
 * passed in control messages, and those received are closed on exec. No SIGPIPE. MSG_DONTWAIT:
 * -EAGAIN rather than wait; takes no turn. MSG_WAITALL does nothing: weft_read_full does it. A
 * receive of size 0 waits for something to receive, and takes a datagram. */
WEFT_API ssize_t weft_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *addr,
                               socklen_t *len);
WEFT_API ssize_t weft_sendto(int fd, const void *buffer, size_t size, int flags,
                             const struct sockaddr *addr, socklen_t len);
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags);

/* ---- Deadlines, waiting, closing ---- */

/* Bounds reads (and accepts) and writes on fd, those that wait already included, until changed.
 * WEFT_FOREVER removes a bound; WEFT_NOWAIT makes calls return -EAGAIN rather than wait. 0 or an
 * error. */
WEFT_API int weft_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline);

/* The same for one direction; the other one's is left as it is, for the goroutine that uses it. */
WEFT_API int weft_set_read_deadline(int fd, int64_t deadline);
WEFT_API int weft_set_write_deadline(int fd, int64_t deadline);

/* Waits until fd is ready for any of poll_events (POLLIN, POLLOUT, POLLRDHUP of poll.h). The events
 * that are ready, POLLERR and POLLHUP included; -EAGAIN with WEFT_NOWAIT; -EPERM for a descriptor
 * that cannot be polled; -EINVAL for no or unknown events. The descriptor's own deadlines end the
 * wait too, if they come first. */
WEFT_API int weft_wait(int fd, int poll_events, int64_t deadline);

/* Starts a goroutine, fn(arg), as soon as fd is ready for any of poll_events, the deadline has
 * passed, or fd is closed: an idle connection then costs its descriptor's record and no goroutine.
 * fn is called exactly once, unless the run ends before, and finds out why with weft_when_result;
 * as with poll(2), what was ready may be gone by then. The deadlines of fd do not matter. Several
 * goroutines may be set to start on one descriptor.
 * 0; -EINVAL (no or unknown events, NULL fn); -EPERM (cannot be polled; no runtime runs); -ENOMEM;
 * -EAGAIN (WEFT_NOWAIT, and fd is not ready). Does not park. */
WEFT_API int weft_go_when(int fd, int poll_events, int64_t deadline, void (*fn)(void *arg),
                          void *arg);

/* In a goroutine that weft_go_when started: 0 if the descriptor was ready, -ETIMEDOUT or -ECANCELED
 * (the descriptor is closed; its number may be somebody else's by now). Elsewhere -EINVAL. Never
 * parks. */
WEFT_API int weft_when_result(void);

/* Ends one or both directions of a connection, as shutdown(2) with SHUT_RD, SHUT_WR, SHUT_RDWR;
 * whoever waits in that direction sees the end. The descriptor stays open. */
WEFT_API int weft_shutdown(int fd, int how);

/* Wakes every goroutine that waits on fd (they get -ECANCELED), waits until they have left it, then
 * closes. A second close that comes meanwhile: -ECANCELED. */
WEFT_API int weft_close(int fd);

WEFT_END_DECLS

#endif
