/* SPDX-License-Identifier: MIT
 *
 * Calls on files that may wait for a disk (disk.c): leaf calls like those of os.h. Results are >= 0
 * or a negative errno; none returns -EINTR.
 */
#ifndef WI_OS_DISK_H
#define WI_OS_DISK_H

#include <stddef.h>
#include <sys/types.h>

/* Closed on exec, and without waiting for the other end of a FIFO. */
int wi_os_open(const char *path, int flags, mode_t mode);

ssize_t wi_os_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t wi_os_pwrite(int fd, const void *buffer, size_t size, off_t offset);
int wi_os_fsync(int fd);

/* Some of the file at *offset, which is moved on, to a descriptor that may be non-blocking. Raises
 * no SIGPIPE if that is a socket. */
ssize_t wi_os_sendfile(int out_fd, int in_fd, off_t *offset, size_t size);
ssize_t wi_os_sendfile_socket(int out_fd, int in_fd, off_t *offset, size_t size);

#endif
