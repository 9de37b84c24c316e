/* SPDX-License-Identifier: MIT
 *
 * Files on disk. That their calls let others run is shown where it can be held open: by a lease
 * here, by wrapped system calls in tests/fault/file.c.
 */
#include "api/net_test.h"

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

static char path[64];

/* An unlinked file, open for reading and writing, with the pattern in it. */
static int make_file(long size)
{
    static int number; /* atomic */
    char name[64];
    snprintf(name, sizeof name, "/tmp/weft-file-%d-%d", (int)getpid(),
             __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED));
    int fd = weft_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(name), 0);
    unsigned char *bytes = malloc((size_t)size + 1);
    pattern_fill(bytes, (size_t)size);
    for (long done = 0; done < size;) {
        ssize_t count = weft_pwrite(fd, bytes + done, (size_t)(size - done), done);
        CHECK_GT(count, 0);
        done += count;
    }
    free(bytes);
    return fd;
}

/* ---- Open ---- */

TEST_PROCS(open_flags)
{
    snprintf(path, sizeof path, "/tmp/weft-file-%d", (int)getpid());
    mode_t mask = umask(0);
    int fd = weft_open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
    umask(mask);
    CHECK_GE(fd, 0);
    struct stat status;
    CHECK_EQ(fstat(fd, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0640);
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(weft_write(fd, "abc", 3), 3);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
    fd = weft_open(path, O_RDONLY | O_TRUNC, 0);
    CHECK_GE(fd, 0);
    CHECK_EQ(fstat(fd, &status), 0);
    CHECK_EQ(status.st_size, 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(weft_open(path, O_RDONLY, 0), -ENOENT);
    CHECK_EQ(weft_open("/dev/null/x", O_RDONLY, 0), -ENOTDIR);
    CHECK_EQ(weft_open("/tmp", O_WRONLY, 0), -EISDIR);
    CHECK_EQ(weft_open(NULL, O_RDONLY, 0), -EINVAL);
}

TEST_PROCS(open_fifo)
{
    char byte;
    snprintf(path, sizeof path, "/tmp/weft-fifo-%d", (int)getpid());
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_EQ(weft_open(path, O_WRONLY, 0), -ENXIO);
    int in = weft_open(path, O_RDONLY, 0);
    CHECK_GE(in, 0);
    int out = weft_open(path, O_WRONLY, 0);
    CHECK_GE(out, 0);
    struct call call = {.fd = in, .fn = call_read};
    call_start(&call, 1);
    CHECK_EQ(weft_write(out, "x", 1), 1);
    CHECK_EQ(call_join(&call), 1);
    CHECK_EQ(weft_close(out), 0);
    CHECK_EQ(weft_read(in, &byte, 1), 0);
    CHECK_EQ(weft_close(in), 0);
    CHECK_EQ(unlink(path), 0);
}

/* A file that somebody has a lease on is waited for; others go on meanwhile. */
static int opened; /* atomic: the descriptor, or a negative value */

static void open_leased(void *arg)
{
    (void)arg;
    int fd = weft_open(path, O_WRONLY, 0);
    __atomic_store_n(&opened, fd < 0 ? -2 : fd, __ATOMIC_RELEASE);
}

static int opened_fd(void)
{
    return __atomic_load_n(&opened, __ATOMIC_ACQUIRE);
}

TEST_PROCS(open_waits_for_a_lease)
{
    snprintf(path, sizeof path, "/tmp/weft-lease-%d", (int)getpid());
    int fd = weft_open(path, O_RDONLY | O_CREAT | O_EXCL, 0600);
    CHECK_GE(fd, 0);
    weft_chan *asked = weft_signal_chan(SIGIO);
    CHECK(asked != NULL);
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        unlink(path);
        SKIP("no leases on /tmp: %s", strerror(errno));
    }
    __atomic_store_n(&opened, -1, __ATOMIC_RELEASE);
    CHECK_EQ(weft_open(path, O_WRONLY | O_NONBLOCK, 0), -EAGAIN);
    CHECK_EQ(weft_chan_recv_until(asked, NULL, weft_after(30 * WEFT_SECOND)), 0);
    CHECK_EQ(weft_go(open_leased, NULL), 0);
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(opened_fd(), -1);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    CHECK_SOON(opened_fd() != -1);
    CHECK_EQ(weft_close(opened_fd()), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_signal_stop(asked), 0);
    CHECK_EQ(unlink(path), 0);
}

/* ---- Reading and writing ---- */

TEST_PROCS(pread_pwrite_fsync)
{
    unsigned char bytes[4096];
    int fd = make_file(100000);
    for (long at = 0; at < 100000; at += 3333) {
        long want = at + 4096 <= 100000 ? 4096 : 100000 - at;
        CHECK_EQ(weft_pread(fd, bytes, sizeof bytes, at), want);
        pattern_check(bytes, (size_t)at, (size_t)want);
    }
    CHECK_EQ(weft_pread(fd, bytes, 1, 100000), 0);
    CHECK_EQ(weft_pwrite(fd, "!", 1, 200000), 1);
    CHECK_EQ(weft_pread(fd, bytes, sizeof bytes, 199998), 3);
    CHECK_EQ(memcmp(bytes, "\0\0!", 3), 0);
    CHECK_EQ(weft_fsync(fd), 0);
    CHECK_EQ(weft_read(fd, bytes, 1), 1); /* the descriptor's own place has not moved */
    CHECK_EQ(bytes[0], pattern_at(0));

    CHECK_EQ(weft_pread(fd, bytes, 1, -1), -EINVAL);
    CHECK_EQ(weft_pwrite(fd, bytes, 1, -1), -EINVAL);
    CHECK_EQ(weft_pread(fd, bytes, (size_t)-1, 0), -EINVAL);
    CHECK_EQ(weft_pwrite(fd, bytes, (size_t)-1, 0), -EINVAL);
    /* No deadline bounds them. */
    CHECK_EQ(weft_set_deadline(fd, 1, 1), 0);
    CHECK_EQ(weft_pread(fd, bytes, 1, 0), 1);
    CHECK_EQ(weft_pwrite(fd, bytes, 1, 0), 1);
    CHECK_EQ(weft_fsync(fd), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_pread(fd, bytes, 1, 0), -EBADF);
    CHECK_EQ(weft_pwrite(fd, bytes, 1, 0), -EBADF);
    CHECK_EQ(weft_fsync(fd), -EBADF);
}

TEST_PROCS(not_a_file)
{
    int fds[2];
    char byte;
    pair_unix(fds);
    CHECK_EQ(weft_pread(fds[0], &byte, 1, 0), -ESPIPE);
    CHECK_EQ(weft_pwrite(fds[0], &byte, 1, 0), -ESPIPE);
    CHECK_EQ(weft_fsync(fds[0]), -EINVAL);
    CHECK_EQ(weft_pread(-1, &byte, 1, 0), -EBADF);
    pair_close(fds);
}

static int shared;

static void pread_everywhere(void *index)
{
    unsigned char bytes[1000];
    for (int i = 0; i < 50; i++) {
        long at = (long)test_random_below(100000 - sizeof bytes);
        CHECK_EQ(weft_pread(shared, bytes, sizeof bytes, at), sizeof bytes);
        pattern_check(bytes, (size_t)at, sizeof bytes);
    }
    (void)index;
}

TEST_PROCS(many_read_one_file)
{
    shared = make_file(100000);
    test_each(20, pread_everywhere);
    CHECK_EQ(weft_close(shared), 0);
}

/* ---- Sendfile ---- */

enum { SIZE = 3 * 1000 * 1000 };

struct receiver {
    int fd;
    long offset;
    long received;
    weft_waitgroup running;
};

/* To the end, comparing with the file from offset on. */
static void receive_bytes(void *arg)
{
    struct receiver *receiver = arg;
    unsigned char bytes[65536];
    ssize_t count;
    while ((count = weft_read(receiver->fd, bytes, sizeof bytes)) > 0) {
        pattern_check(bytes, (size_t)(receiver->offset + receiver->received), (size_t)count);
        receiver->received += count;
    }
    CHECK_EQ(count, 0);
    weft_waitgroup_done(&receiver->running);
}

static void send_through(int out_fd, int in_fd, off_t from, size_t size, long want)
{
    struct receiver receiver = {.fd = in_fd, .offset = (long)from};
    int file = make_file(SIZE);
    off_t offset = from;
    weft_waitgroup_add(&receiver.running, 1);
    CHECK_EQ(weft_go(receive_bytes, &receiver), 0);
    CHECK_EQ(weft_sendfile(out_fd, file, &offset, size), want);
    CHECK_EQ(offset, from + want);
    CHECK_EQ(weft_close(out_fd), 0);
    weft_waitgroup_wait(&receiver.running);
    CHECK_EQ(receiver.received, want);
    CHECK_EQ(weft_close(in_fd), 0);
    CHECK_EQ(weft_close(file), 0);
}

TEST_PROCS(sendfile_to_sockets_and_pipes)
{
    int fds[2];
    pair_unix(fds);
    send_through(fds[0], fds[1], 0, SIZE, SIZE);
    pair_tcp(fds);
    send_through(fds[0], fds[1], 12345, SIZE, SIZE - 12345);
    pair_tcp(fds);
    send_through(fds[0], fds[1], 1, 100000, 100000);
    pair_unix(fds);
    send_through(fds[0], fds[1], SIZE, 1, 0);
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    send_through(fds[1], fds[0], 77, (size_t)SSIZE_MAX, SIZE - 77);
    pair_unix(fds);
    send_through(fds[0], fds[1], 5, 0, 0);
}

TEST_PROCS(sendfile_to_a_file)
{
    unsigned char *bytes = malloc(SIZE);
    int from = make_file(SIZE), to = make_file(0);
    off_t offset = 0;
    CHECK_EQ(weft_sendfile(to, from, &offset, SIZE), SIZE);
    CHECK_EQ(weft_pread(to, bytes, SIZE, 0), SIZE);
    pattern_check(bytes, 0, SIZE);
    CHECK_EQ(weft_close(from), 0);
    CHECK_EQ(weft_close(to), 0);
    free(bytes);
}

static long call_sendfile(struct call *call)
{
    off_t offset = 0;
    return weft_sendfile(call->fd, shared, &offset, SIZE);
}

static long call_close_shared(struct call *call)
{
    (void)call;
    return weft_close(shared);
}

TEST_PROCS(sendfile_waits_and_ends)
{
    int fds[2];
    off_t offset = 0;
    shared = make_file(SIZE);

    /* A deadline, with the place to go on from. */
    pair_unix(fds);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, weft_after(20 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(weft_sendfile(fds[0], shared, &offset, SIZE), -ETIMEDOUT);
    CHECK_GT(offset, 0);
    CHECK_LT(offset, SIZE);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_NOWAIT), 0);
    off_t before = offset;
    CHECK_EQ(weft_sendfile(fds[0], shared, &offset, SIZE), -EAGAIN);
    CHECK_EQ(offset, before);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    struct receiver receiver = {.fd = fds[1]};
    weft_waitgroup_add(&receiver.running, 1);
    CHECK_EQ(weft_go(receive_bytes, &receiver), 0);
    CHECK_EQ(weft_sendfile(fds[0], shared, &offset, SIZE), SIZE - before);
    CHECK_EQ(weft_close(fds[0]), 0);
    weft_waitgroup_wait(&receiver.running);
    CHECK_EQ(receiver.received, SIZE);
    CHECK_EQ(weft_close(fds[1]), 0);

    /* The socket is closed under it. */
    struct call call = {.fn = call_sendfile};
    pair_unix(fds);
    call.fd = fds[0];
    call_start(&call, 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(call_join(&call), -ECANCELED);
    CHECK_EQ(weft_close(fds[1]), 0);

    /* The file is; the close waits until the other side moves. */
    pair_unix(fds);
    call = (struct call){.fd = fds[0], .fn = call_sendfile};
    call_start(&call, 1);
    struct call closer = {.fn = call_close_shared};
    call_go(&closer);
    CHECK_SOON(weft_pread(shared, &(char){0}, 1, 0) == -ECANCELED);
    CHECK(!call_done(&closer));
    char bytes[65536];
    while (!call_done(&call)) {
        CHECK_EQ(weft_set_deadline(fds[1], weft_after(5 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
        ssize_t count = weft_read(fds[1], bytes, sizeof bytes);
        CHECK(count > 0 || count == -ETIMEDOUT);
    }
    CHECK_EQ(call_join(&call), -ECANCELED);
    CHECK_EQ(call_join(&closer), 0);
    pair_close(fds);
}

/* No SIGPIPE, whether the program blocks it or not; what it keeps pending itself stays so. */
TEST_PROCS(sendfile_to_a_closed_peer)
{
    int fds[2];
    sigset_t set, pending, old;
    shared = make_file(SIZE);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    weft_lock_os_thread();
    for (int blocked = 0; blocked < 2; blocked++) {
        if (blocked)
            CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
        for (int i = 0; i < 3; i++) {
            off_t offset = 0;
            pair_unix(fds);
            CHECK_EQ(weft_close(fds[1]), 0);
            CHECK_EQ(weft_sendfile(fds[0], shared, &offset, SIZE), -EPIPE);
            CHECK_EQ(offset, 0);
            CHECK_EQ(weft_close(fds[0]), 0);
            CHECK_EQ(sigpending(&pending), 0);
            CHECK_EQ(sigismember(&pending, SIGPIPE), i == 2 && blocked);
            if (i == 1 && blocked)
                CHECK_EQ(raise(SIGPIPE), 0);
        }
    }
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    weft_unlock_os_thread();
    CHECK_EQ(weft_close(shared), 0);
}

TEST_PROCS(sendfile_errors)
{
    int fds[2];
    off_t offset = 0;
    shared = make_file(1000);
    pair_unix(fds);
    CHECK_EQ(weft_sendfile(fds[0], shared, NULL, 1), -EINVAL);
    CHECK_EQ(weft_sendfile(fds[0], shared, &offset, (size_t)-1), -EINVAL);
    offset = -1;
    CHECK_EQ(weft_sendfile(fds[0], shared, &offset, 1), -EINVAL);
    offset = 0;
    CHECK_EQ(weft_sendfile(-1, shared, &offset, 1), -EBADF);
    CHECK_EQ(weft_sendfile(fds[0], -1, &offset, 1), -EBADF);
    CHECK_EQ(weft_sendfile(fds[0], fds[1], &offset, 1), -ESPIPE);
    CHECK_EQ(weft_sendfile(fds[0], fds[0], &offset, 1), -ESPIPE);
    CHECK_EQ(offset, 0);
    pair_close(fds);
    CHECK_EQ(weft_close(shared), 0);
}

/* ---- While no runtime runs ---- */

TEST(without_a_runtime)
{
    int fds[2];
    unsigned char bytes[1000];
    off_t offset = 0;
    int fd = make_file(1000);
    CHECK_EQ(weft_pread(fd, bytes, sizeof bytes, 0), 1000);
    pattern_check(bytes, 0, 1000);
    CHECK_EQ(weft_fsync(fd), 0);
    pair_unix(fds);
    CHECK_EQ(weft_sendfile(fds[0], fd, &offset, 1000), 1000);
    CHECK_EQ(weft_read(fds[1], bytes, sizeof bytes), 1000);
    pattern_check(bytes, 0, 1000);
    pair_close(fds);
    CHECK_EQ(weft_close(fd), 0);
}
