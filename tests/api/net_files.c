/* SPDX-License-Identifier: MIT
 *
 * Reading and writing what is no socket: regular files, directories, pipes, event counters,
 * terminals, devices.
 */
#include "api/net_test.h"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <termios.h>

static int open_temporary(void)
{
    char path[] = "/tmp/weft-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(unlink(path), 0);
    return fd;
}

/* ---- Regular files and directories ---- */

static void read_and_write_file(void)
{
    char a[4] = "", b[8] = "";
    struct iovec parts[] = {{a, 3}, {b, 7}};
    int fd = open_temporary();
    CHECK_EQ(weft_write(fd, "hello", 5), 5);
    CHECK_EQ(weft_write_all(fd, " wor", 4), 4);
    CHECK_EQ(weft_writev(fd, &(struct iovec){(void *)"ld", 2}, 1), 2);
    CHECK_EQ(weft_writev_all(fd, &(struct iovec){(void *)"!!", 2}, 1), 2);
    CHECK_EQ(weft_read(fd, b, 7), 0);
    CHECK_EQ(weft_read_full(fd, b, 7), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(weft_readv(fd, parts, 2), 10);
    CHECK_STR(a, "hel");
    CHECK_STR(b, "lo worl");
    CHECK_EQ(weft_read_full(fd, b, 7), 3); /* to the end */
    CHECK_EQ(memcmp(b, "d!!", 3), 0);
    CHECK_EQ(weft_close(fd), 0);
}

TEST_PROCS(regular_file)
{
    read_and_write_file();
}

TEST(regular_file_without_a_run)
{
    read_and_write_file();
}

/* Deadlines are for what waits. */
TEST_PROCS(regular_file_has_no_deadline)
{
    char bytes[4];
    int fd = open_temporary();
    int64_t deadlines[] = {weft_now() - 1, WEFT_NOWAIT, 0};
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
        CHECK_EQ(weft_set_deadline(fd, deadlines[i], deadlines[i]), 0);
        CHECK_EQ(weft_write_all(fd, "abc", 3), 3);
        CHECK_EQ(weft_read(fd, bytes, 4), 0);
    }
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(weft_read_full(fd, bytes, 4), 4);
    CHECK_EQ(weft_close(fd), 0);
}

/* Many at once on one file, each at its own place of the descriptor's offset: appended lines stay
 * whole. */
enum { WRITERS = 8, LINES = 200, LINE = 64 };

static int shared_fd;

static void append_lines(void *index)
{
    char line[LINE];
    memset(line, 'a' + test_index(index), sizeof line);
    for (int i = 0; i < LINES; i++)
        CHECK_EQ(weft_write(shared_fd, line, sizeof line), sizeof line);
}

TEST_PROCS(writers_of_one_file)
{
    char line[LINE];
    int counts[WRITERS] = {0};
    shared_fd = open_temporary();
    CHECK_EQ(fcntl(shared_fd, F_SETFL, O_APPEND), 0);
    test_each(WRITERS, append_lines);
    CHECK_EQ(lseek(shared_fd, 0, SEEK_SET), 0);
    while (weft_read_full(shared_fd, line, sizeof line) == sizeof line) {
        for (int i = 1; i < LINE; i++)
            CHECK_EQ(line[i], line[0]);
        counts[line[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(counts[i], LINES);
    CHECK_EQ(weft_close(shared_fd), 0);
}

TEST_PROCS(directory)
{
    char bytes[8];
    struct iovec part = {bytes, sizeof bytes};
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_read(fd, bytes, sizeof bytes), -EISDIR);
    CHECK_EQ(weft_read(fd, bytes, 0), -EISDIR);
    CHECK_EQ(weft_readv(fd, &part, 1), -EISDIR);
    CHECK_EQ(weft_read_full(fd, bytes, sizeof bytes), -EISDIR);
    CHECK_EQ(weft_write(fd, "x", 1), -EBADF); /* not open for writing */
    CHECK_EQ(weft_writev_all(fd, &part, 1), -EBADF);
    CHECK_EQ(weft_close(fd), 0);
}

TEST_PROCS(wrong_mode)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int path = open("/tmp", O_PATH | O_CLOEXEC);
    CHECK_EQ(weft_write(in, &byte, 1), -EBADF);
    CHECK_EQ(weft_writev(in, &part, 1), -EBADF);
    CHECK_EQ(weft_read(out, &byte, 1), -EBADF);
    CHECK_EQ(weft_readv(out, &part, 1), -EBADF);
    CHECK_EQ(weft_read_full(path, &byte, 1), -EBADF);
    CHECK_EQ(weft_close(in), 0);
    CHECK_EQ(weft_close(out), 0);
    CHECK_EQ(weft_close(path), 0);
}

/* ---- Devices ---- */

TEST_PROCS(devices)
{
    static char bytes[100000];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    memset(bytes, 'x', sizeof bytes);
    CHECK_EQ(weft_read(null, bytes, 1), 0);
    CHECK_EQ(weft_write_all(null, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQ(weft_read_full(zero, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQ(bytes[sizeof bytes - 1], 0);
    CHECK_EQ(weft_write_all(full, bytes, 1), -ENOSPC);
    CHECK_EQ(weft_close(null), 0);
    CHECK_EQ(weft_close(zero), 0);
    CHECK_EQ(weft_close(full), 0);
}

/* An event counter takes and gives eight bytes. */
TEST_PROCS(event_counter)
{
    uint64_t value = 3;
    struct iovec part = {&value, sizeof value};
    int fd = eventfd(0, EFD_CLOEXEC);
    CHECK_EQ(weft_write(fd, &value, 4), -EINVAL);
    CHECK_EQ(weft_read(fd, &value, 4), -EINVAL);
    CHECK_EQ(weft_writev_all(fd, &part, 1), sizeof value);
    CHECK_EQ(weft_write_all(fd, &value, sizeof value), sizeof value);
    CHECK_EQ(weft_readv(fd, &part, 1), sizeof value);
    CHECK_EQ(value, 6);
    value = UINT64_MAX - 1; /* as much as it holds: the next one waits */
    CHECK_EQ(weft_write(fd, &value, sizeof value), sizeof value);
    value = 1;
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, weft_after(10 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(weft_write(fd, &value, sizeof value), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fd, &value, sizeof value), sizeof value);
    CHECK_EQ(value, UINT64_MAX - 1);
    CHECK_EQ(weft_set_deadline(fd, WEFT_NOWAIT, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read_full(fd, &value, sizeof value), -EAGAIN);
    CHECK_EQ(weft_close(fd), 0);
}

/* ---- FIFOs and terminals ---- */

TEST_PROCS(fifo)
{
    char path[64], text[4] = "";
    snprintf(path, sizeof path, "/tmp/weft-test-fifo-%d", (int)getpid());
    CHECK_EQ(mkfifo(path, 0600), 0);
    int fds[2] = {open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), open(path, O_WRONLY | O_CLOEXEC)};
    CHECK_EQ(unlink(path), 0);
    struct call call = {.fd = fds[0], .fn = call_read};
    call_start(&call, 1);
    CHECK_EQ(weft_write_all(fds[1], "abc", 3), 3);
    CHECK_EQ(call_join(&call), 1);
    CHECK_EQ(weft_read_full(fds[0], text, 2), 2);
    CHECK_STR(text, "bc");
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(weft_read(fds[0], text, 2), 0);
    CHECK_EQ(weft_close(fds[0]), 0);
}

static void open_terminal(int fds[2])
{
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fds[0] < 0)
        SKIP("no pseudo-terminals here");
    CHECK_EQ(grantpt(fds[0]), 0);
    CHECK_EQ(unlockpt(fds[0]), 0);
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_GE(fds[1], 0);
    struct termios mode;
    CHECK_EQ(tcgetattr(fds[1], &mode), 0);
    mode.c_lflag &= ~(tcflag_t)ECHO;
    CHECK_EQ(tcsetattr(fds[1], TCSANOW, &mode), 0);
}

static long call_read_line(struct call *call)
{
    char line[64];
    return weft_read(call->fd, line, sizeof line);
}

/* A terminal hands over whole lines, and reports that its other side has gone. */
TEST_PROCS(terminal)
{
    int fds[2];
    char text[64] = "";
    open_terminal(fds);
    struct call call = {.fd = fds[1], .fn = call_read_line};
    call_start(&call, 1);
    CHECK_EQ(weft_write(fds[0], "hel", 3), 3);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!call_done(&call));
    CHECK_EQ(weft_write(fds[0], "lo\n", 3), 3);
    CHECK_EQ(call_join(&call), 6);
    CHECK_EQ(weft_write_all(fds[1], "answer", 6), 6);
    CHECK_EQ(weft_read_full(fds[0], text, 6), 6);
    CHECK_STR(text, "answer");
    call.fd = fds[0];
    call_start(&call, 1);
    CHECK_EQ(weft_close(fds[1]), 0);
    CHECK_EQ(call_join(&call), -EIO);
    CHECK_EQ(weft_close(fds[0]), 0);
}
