/* SPDX-License-Identifier: MIT
 *
 * Output and the end of the process.
 */
#include "harness/test.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/time.h>
#include <sys/wait.h>

#define MILLISECOND INT64_C(1000000)

enum { LENGTH = 1000000 };

static char text[LENGTH], received[LENGTH];
static int ends[2];

static void read_all(void *arg)
{
    size_t *length = arg;
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    /* The writer is stuck for a while, and gets its signals there. */
    wi_os_sleep(20 * MILLISECOND);
    for (ssize_t count; (count = read(ends[0], received + *length, LENGTH - *length)) > 0;) {
        *length += (size_t)count;
        wi_os_sleep(MILLISECOND / 100);
    }
}

static void nothing(int sig)
{
    (void)sig;
}

/* More than a pipe holds, to a reader that is slower, while signals come. */
static void check_all_arrives(int flags)
{
    struct wi_os_thread reader;
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval interval = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};
    struct itimerval never = {.it_value.tv_usec = 0};
    size_t length = 0;
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(fcntl(ends[1], F_SETFL, flags), 0);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (char)test_random();
    CHECK_EQ(wi_os_thread_start(&reader, read_all, &length), 0);
    errno = 4;
    wi_os_write(ends[1], text, LENGTH);
    CHECK_EQ(errno, 4);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    close(ends[1]);
    wi_os_thread_join(&reader);
    close(ends[0]);
    CHECK_EQ(length, LENGTH);
    CHECK(memcmp(text, received, LENGTH) == 0);
}

TEST(all_arrives)
{
    check_all_arrives(0);
}

TEST(all_arrives_without_blocking)
{
    check_all_arrives(O_NONBLOCK);
}

TEST(a_reader_that_is_stuck)
{
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    errno = 4;
    wi_os_write(ends[1], text, LENGTH);
    CHECK_EQ(errno, 4);
    close(ends[0]);
    close(ends[1]);
}

TEST(a_descriptor_that_is_closed)
{
    errno = 4;
    wi_os_write(-1, "x", 1);
    wi_os_write(STDERR_FILENO, NULL, 0);
    CHECK_EQ(errno, 4);
}

static void at_exit(void)
{
    CHECK_EQ(write(ends[1], "x", 1), 1);
}

TEST(exit_runs_no_handlers)
{
    int status;
    char byte;
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        atexit(at_exit);
        wi_os_exit(3);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 3);
    close(ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}
