/* SPDX-License-Identifier: MIT
 *
 * Files on disk. The kernel has no readiness for them and blocks the thread; so each of these, like
 * weft_read and weft_write on such a file, is a declared blocking region (weft/blocking.h): other
 * goroutines go on, on another thread if it takes long. Deadlines do not bound them.
 *
 * Every call: any thread; may park. Results >= 0 or the kernel's errno, negated; never -EINTR.
 * Descriptors are closed with weft_close, which wakes nobody out of such a call but waits for it.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* As open(2), closed on exec. A FIFO is opened without waiting for its other end: -ENXIO for
 * writing when nobody reads. -EINVAL: no path. */
WEFT_API int weft_open(const char *path, int flags, mode_t mode);

/* As pread(2), pwrite(2) and fsync(2). -EINVAL: a size over SSIZE_MAX, an offset below 0. -ESPIPE
 * (of fsync -EINVAL): not a file. */
WEFT_API ssize_t weft_pread(int fd, void *buffer, size_t size, off_t offset);
WEFT_API ssize_t weft_pwrite(int fd, const void *buffer, size_t size, off_t offset);
WEFT_API int weft_fsync(int fd);

/* Sends up to size bytes of the file at *offset, which is moved on, to a socket or pipe, all of
 * them unless the file ends before: the bytes sent. Waits like weft_write_all, bounded by out_fd's
 * write deadline. An error: *offset says how far it came. in_fd is one that sendfile(2) takes, else
 * -EINVAL or -ESPIPE; closed meanwhile: -ECANCELED, once out_fd has taken what waits for it. */
WEFT_API ssize_t weft_sendfile(int out_fd, int in_fd, off_t *offset, size_t size);

WEFT_END_DECLS

#endif
