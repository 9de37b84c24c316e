/* SPDX-License-Identifier: MIT
 *
 * openat2(2), which keeps within the folder by itself, and what does as well where there is none.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <weft.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12; others say EINVAL */
#endif

/* Without O_NONBLOCK a FIFO would wait for somebody who writes to it. */
enum { FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, TRIES = 8 };

/* A folder on the way need not be readable. */
enum { FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC };

/* The kernel resolves the path, and refuses to leave the folder (Linux 5.6). -EAGAIN: something was
 * renamed meanwhile, and it could not be sure; or not all that it takes is cached. */
static int open_beneath(int folder, const char *path, uint64_t cached)
{
    struct open_how how = {.flags = (uint64_t)FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | cached};
    int file = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    return file >= 0 ? file : -errno;
}

/* One name after the other, none of which may be "..", or a link. */
static int open_step_by_step(int folder, const char *path)
{
    char name[256];
    int at = folder;
    for (;;) {
        size_t size = strcspn(path, "/");
        bool last = path[size] == '\0';
        int file = -ENOENT;
        if (size > 0 && size < sizeof name) {
            memcpy(name, path, size);
            name[size] = '\0';
            if (strcmp(name, "..") != 0)
                file = openat(at, name, (last ? FLAGS : FOLDER_FLAGS) | O_NOFOLLOW);
            if (file == -1)
                file = -errno;
        }
        if (at != folder)
            close(at);
        if (file < 0 || last)
            return file;
        at = file;
        path += size + 1;
    }
}

/* Sandboxes that do not know openat2 say EPERM. */
static int open_below(int folder, const char *path)
{
    int file = -EAGAIN;
    for (int i = 0; i < TRIES && (file == -EAGAIN || file == -EINTR); i++)
        file = open_beneath(folder, path, 0);
    return file == -ENOSYS || file == -EPERM ? open_step_by_step(folder, path) : file;
}

static int only_regular(int file, struct stat *status)
{
    if (file < 0 || (fstat(file, status) == 0 && S_ISREG(status->st_mode)))
        return file;
    close(file);
    return -ENOENT;
}

int disk_open(int folder, const char *path, struct stat *status)
{
    int file = only_regular(open_beneath(folder, path, RESOLVE_CACHED), status);
    if (file < 0) {
        weft_blocking_begin();
        file = only_regular(open_below(folder, path), status);
        weft_blocking_end();
    }
    return file;
}

ssize_t disk_read(int file, void *buffer, size_t size, off_t offset)
{
    struct iovec part = {buffer, size};
    ssize_t result = preadv2(file, &part, 1, offset, RWF_NOWAIT);
    if (result != (ssize_t)size) {
        weft_blocking_begin();
        result = pread(file, buffer, size, offset);
        weft_blocking_end();
    }
    return result >= 0 ? result : -EIO;
}
