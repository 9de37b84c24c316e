/* SPDX-License-Identifier: MIT
 *
 * Opening and reading files that strangers name. What the kernel has in its caches it gives at
 * once; for the rest, which may take long, it is asked again in a blocking region. Results: >= 0 or
 * a negative errno.
 */
#ifndef HTTPD_DISK_H
#define HTTPD_DISK_H

#include <sys/stat.h>
#include <sys/types.h>

/* Opens a regular file that is below that folder, wherever symbolic links lead. */
int disk_open(int folder, const char *path, struct stat *status);

/* As pread(2). */
ssize_t disk_read(int file, void *buffer, size_t size, off_t offset);

#endif
