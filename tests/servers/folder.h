/* SPDX-License-Identifier: MIT
 *
 * A folder for the files of a test. It is under the build's, so that what a failing test leaves
 * there goes with that.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "harness/test.h"

struct folder {
    int fd;
    char path[PATH_MAX]; /* absolute */
};

static inline void folder_make(struct folder *folder)
{
    const char *build = getenv("BUILD");
    char name[256];
    snprintf(name, sizeof name, "%s/tests/files-XXXXXX", build != NULL ? build : "build/default");
    CHECK(mkdtemp(name) != NULL);
    CHECK(realpath(name, folder->path) != NULL);
    folder->fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK_GE(folder->fd, 0);
}

/* With all that is in it. */
static inline void folder_remove(struct folder *folder)
{
    char command[PATH_MAX + 16];
    close(folder->fd);
    snprintf(command, sizeof command, "rm -r '%s'", folder->path);
    CHECK_EQ(system(command), 0);
}

/* Names in it may be paths. */
static inline void folder_write(const struct folder *folder, const char *name, const void *data,
                                size_t size)
{
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK_GE(fd, 0);
    CHECK_EQ(write(fd, data, size), size);
    close(fd);
}

static inline void folder_write_text(const struct folder *folder, const char *name,
                                     const char *text)
{
    folder_write(folder, name, text, strlen(text));
}

/* A file of that many zeros. */
static inline void folder_write_zeros(const struct folder *folder, const char *name, off_t size)
{
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK_GE(fd, 0);
    CHECK_EQ(ftruncate(fd, size), 0);
    close(fd);
}

static inline void folder_add_folder(const struct folder *folder, const char *name)
{
    CHECK_EQ(mkdirat(folder->fd, name, 0755), 0);
}

static inline void folder_add_link(const struct folder *folder, const char *name,
                                   const char *target)
{
    CHECK_EQ(symlinkat(target, folder->fd, name), 0);
}

static inline void folder_add_fifo(const struct folder *folder, const char *name)
{
    CHECK_EQ(mkfifoat(folder->fd, name, 0644), 0);
}

#endif
