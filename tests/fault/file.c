/* SPDX-License-Identifier: MIT
 *
 * A disk that takes its time, or fails: system calls on files that are held open here until others
 * have made progress, on the only slot too.
 */
#include "api/net_test.h"

#include <stdarg.h>
#include <sys/sendfile.h>

static bool hold;                /* atomic: calls wait */
static int held;                 /* atomic: calls that wait now, or have */
static int error, errors;        /* the next calls fail so, as often as that */
static const char text[] = "hi"; /* what is in the file */

static void set_hold(bool value)
{
    __atomic_store_n(&hold, value, __ATOMIC_RELEASE);
}

static int calls_held(void)
{
    return __atomic_load_n(&held, __ATOMIC_ACQUIRE);
}

static bool disk_fails(void)
{
    if (__atomic_load_n(&hold, __ATOMIC_ACQUIRE)) {
        __atomic_add_fetch(&held, 1, __ATOMIC_ACQ_REL);
        while (__atomic_load_n(&hold, __ATOMIC_ACQUIRE))
            usleep(1000);
    }
    if (errors == 0)
        return false;
    errors--;
    errno = error;
    return true;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    if (strncmp(path, "/tmp/", 5) == 0 && disk_fails())
        return -1;
    return __real_open(path, flags, mode);
}

ssize_t __real_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return disk_fails() ? -1 : __real_pread(fd, buffer, size, offset);
}

ssize_t __real_pwrite(int fd, const void *buffer, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buffer, size_t size, off_t offset);

ssize_t __wrap_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
    return disk_fails() ? -1 : __real_pwrite(fd, buffer, size, offset);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    return disk_fails() ? -1 : __real_fsync(fd);
}

ssize_t __real_sendfile(int out_fd, int in_fd, off_t *offset, size_t size);
ssize_t __wrap_sendfile(int out_fd, int in_fd, off_t *offset, size_t size);

static bool peer_leaves; /* the next call sends one byte, and finds the peer gone before the rest */

ssize_t __wrap_sendfile(int out_fd, int in_fd, off_t *offset, size_t size)
{
    if (peer_leaves) {
        peer_leaves = false;
        raise(SIGPIPE);
        size = 1;
    }
    return disk_fails() ? -1 : __real_sendfile(out_fd, in_fd, offset, size);
}

/* ---- The calls ---- */

static char path[64];
static int file;
static int sockets[2];

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/weft-slow-%d", (int)getpid());
    file = weft_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_GE(file, 0);
    CHECK_EQ(weft_pwrite(file, text, 2, 0), 2);
    pair_unix(sockets);
    held = 0;
}

static void tear_down(void)
{
    CHECK_EQ(weft_close(file), 0);
    CHECK_EQ(unlink(path), 0);
    pair_close(sockets);
}

static long try_open(struct call *call)
{
    (void)call;
    int fd = weft_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    CHECK_EQ(weft_close(fd), 0);
    return 0;
}

static long try_pread(struct call *call)
{
    char bytes[2];
    (void)call;
    return weft_pread(file, bytes, 2, 0);
}

static long try_pwrite(struct call *call)
{
    (void)call;
    return weft_pwrite(file, text, 2, 0);
}

static long try_fsync(struct call *call)
{
    (void)call;
    return weft_fsync(file);
}

static long try_sendfile(struct call *call)
{
    off_t offset = 0;
    (void)call;
    return weft_sendfile(sockets[0], file, &offset, 2);
}

static long try_close(struct call *call)
{
    (void)call;
    return weft_close(file);
}

static const struct {
    long (*fn)(struct call *call);
    long result;
} calls[] = {{try_open, 0}, {try_pread, 2}, {try_pwrite, 2}, {try_fsync, 0}, {try_sendfile, 2}};

enum { CALLS = sizeof calls / sizeof calls[0] };

/* While one waits for the disk, sleepers wake, and others run. */
TEST_PROCS(others_go_on)
{
    set_up();
    for (int i = 0; i < CALLS; i++) {
        struct call call = {.fn = calls[i].fn};
        int before = calls_held();
        set_hold(true);
        call_go(&call);
        CHECK_SOON(calls_held() == before + 1);
        for (int j = 0; j < 10; j++)
            weft_sleep(WEFT_MILLISECOND);
        CHECK(!call_done(&call));
        set_hold(false);
        CHECK_EQ(call_join(&call), calls[i].result);
    }
    tear_down();
}

/* And close waits for it, without waking it. */
TEST_PROCS(close_waits)
{
    for (int i = 1; i < CALLS; i++) {
        set_up();
        struct call call = {.fn = calls[i].fn}, closer = {.fn = try_close};
        set_hold(true);
        call_go(&call);
        CHECK_SOON(calls_held() == 1);
        call_go(&closer);
        for (int j = 0; j < 5; j++)
            weft_sleep(WEFT_MILLISECOND);
        CHECK(!call_done(&closer));
        CHECK_EQ(weft_fsync(file), -ECANCELED);
        set_hold(false);
        CHECK_EQ(call_join(&call), calls[i].result);
        CHECK_EQ(call_join(&closer), 0);
        CHECK_EQ(weft_fsync(file), -EBADF);
        CHECK_EQ(unlink(path), 0);
        pair_close(sockets);
    }
}

TEST_PROCS(errors_and_interruptions)
{
    set_up();
    for (int i = 0; i < CALLS; i++) {
        struct call call = {.fn = calls[i].fn};
        error = EIO;
        errors = 1;
        CHECK_EQ(call.fn(&call), -EIO);
        error = EINTR;
        errors = 3;
        CHECK_EQ(call.fn(&call), calls[i].result);
        CHECK_EQ(errors, 0);
    }
    tear_down();
}

/* Kernels that raise SIGPIPE do so too when a part was sent before. */
TEST_PROCS(no_signal_after_a_part)
{
    set_up();
    struct call call = {.fn = try_sendfile};
    peer_leaves = true;
    CHECK_EQ(call.fn(&call), 2);
    tear_down();
}

/* A run that ends while the disk is waited for: the close comes afterwards. */
static struct call left_behind;

static void leave_behind(void)
{
    set_up();
    left_behind = (struct call){.fn = try_pread};
    set_hold(true);
    call_go(&left_behind);
    CHECK_SOON(calls_held() == 1);
}

TEST(end_of_run)
{
    for (int i = 0; i < 10; i++) {
        test_in_runtime(1 + i % 3, leave_behind);
        set_hold(false);
        tear_down();
    }
}
