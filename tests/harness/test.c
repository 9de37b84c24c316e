/* SPDX-License-Identifier: MIT
 *
 * The test runner. One process a test, in a process group of its own, so that a crash, a hang or a
 * leak is that test's alone. Parent and child share one page for the reason of a skip; the child's
 * output goes to a memory file that is shown if the test fails.
 */
#include "harness/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* How a child says what became of it; not values that weft uses. */
enum { STATUS_SKIPPED = 77, STATUS_FAILED = 99 };

enum {
    FDS_MAX = 65536,
    OUTPUT_MAX = 256 * 1024,   /* of a failed test's output is shown */
    MEMORY_SLACK = 256 * 1024, /* one-off: threads' arenas of malloc, what the runtime keeps */
    THREADS_GRACE_MS = 5000,   /* for threads that are on their way out */
};

#if TEST_TSAN
/* A test has waited for its threads when it ends; ThreadSanitizer would give them a second more. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "atexit_sleep_ms=50";
}
#endif

static struct test *tests, **tests_end = &tests;
static bool no_fork;
static uint64_t seed;
static uint64_t random_state; /* atomic */
static char *skip_reason;     /* shared with the child */
static const char *program;

void test_register(struct test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

void test_run_plain(const struct test *test)
{
    test->body();
}

/* ---- Inside a test ---- */

/* Buffered output first, so that lines stay in order. */
static _Noreturn void leave(int status)
{
    fflush(stdout);
    if (no_fork && status == STATUS_FAILED)
        abort();
    _exit(status);
}

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fflush(stdout);
    dprintf(STDERR_FILENO, "%s:%d: check failed: %s\n", file, line, text);
    leave(STATUS_FAILED);
}

_Noreturn void test_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(skip_reason, 256, format, arguments);
    va_end(arguments);
    leave(STATUS_SKIPPED);
}

/* splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t test_random(void)
{
    return mix(__atomic_add_fetch(&random_state, UINT64_C(0x9E3779B97F4A7C15), __ATOMIC_RELAXED));
}

uint64_t test_random_below(uint64_t bound)
{
    return test_random() % bound;
}

int test_scale(void)
{
    const char *text = getenv("WEFT_TEST_TIMEOUT_SCALE");
    int scale = text ? atoi(text) : 1;
    return (scale > 0 ? scale : 1) * (TEST_TSAN ? 10 : TEST_ASAN ? 4 : 1);
}

int test_many(int n)
{
    return TEST_TSAN && n > 4000 ? 4000 : n;
}

/* ---- What is left over ---- */

/* Descriptors that are open, as a set; the one used for looking is not among them. */
static void list_fds(unsigned char *open_fds)
{
    memset(open_fds, 0, FDS_MAX);
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd < FDS_MAX && fd != dirfd(dir))
            open_fds[fd] = 1;
    }
    closedir(dir);
}

int test_count_fds(void)
{
    int count = 0;
    unsigned char open_fds[FDS_MAX];
    list_fds(open_fds);
    for (int fd = 0; fd < FDS_MAX; fd++)
        count += open_fds[fd];
    return count;
}

static int count_threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Bytes that malloc has given out; 0 where the sanitizers' allocator or another libc is used. */
static size_t count_memory(void)
{
#if defined(__GLIBC__) && !TEST_ASAN && !TEST_TSAN
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
#endif
    return 0;
}

static void check_leaks(unsigned leaks, const unsigned char *fds_before, int threads_before,
                        size_t memory_before)
{
    static unsigned char fds[FDS_MAX];
    struct timespec millisecond = {.tv_nsec = 1000000};
    int threads = count_threads();
    if (!(leaks & TEST_LEAKS_THREADS)) {
        for (int i = 0; threads > threads_before && i < THREADS_GRACE_MS; i++) {
            nanosleep(&millisecond, NULL);
            threads = count_threads();
        }
        if (threads > threads_before)
            FAIL("%d threads before the test, %d after it", threads_before, threads);
    }
    if (!(leaks & TEST_LEAKS_FDS)) {
        list_fds(fds);
        for (int fd = 0; fd < FDS_MAX; fd++) {
            char path[64], target[256] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            /* The runtime keeps a userfaultfd for good on one rung of its guards. */
            if (fds[fd] && !fds_before[fd] && readlink(path, target, sizeof target - 1) > 0 &&
                !strstr(target, "[userfaultfd]"))
                FAIL("descriptor %d (%s) is left open", fd, target);
        }
    }
    size_t memory = count_memory();
    if (!(leaks & TEST_LEAKS_MEMORY) && memory > memory_before + MEMORY_SLACK)
        FAIL("%zu bytes allocated before the test, %zu after it", memory_before, memory);
}

#if TEST_TSAN
static void *nothing(void *arg)
{
    return arg;
}
#endif

/* ThreadSanitizer starts a thread of its own with the first one of the program. */
static void settle_threads(void)
{
#if TEST_TSAN
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        pthread_join(thread, NULL);
#endif
}

static _Noreturn void run_here(const struct test *test)
{
    static unsigned char fds[FDS_MAX];
    static char stdout_buffer[BUFSIZ];
    setvbuf(stdout, stdout_buffer, _IOLBF, sizeof stdout_buffer);
    random_state = seed;
    for (const char *p = test->name; *p; p++)
        random_state = mix(random_state ^ (unsigned char)*p);
    settle_threads();
    list_fds(fds);
    int threads = count_threads();
    size_t memory = count_memory();
    test->run(test);
    if (test->dies)
        FAIL("the test returned, and should have ended the process");
    check_leaks(test->options.leaks, fds, threads, memory);
    fflush(stdout);
    if (test->options.leaks & TEST_LEAKS_MEMORY)
        _exit(0); /* No exit handlers: LeakSanitizer is one. */
    exit(0);
}

/* ---- The parent ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

/* Waits for the child; false if time ran out and it was killed. SIGCHLD is blocked. */
static bool await(pid_t pid, int timeout, int *status)
{
    int64_t deadline = now_ms() + timeout * (int64_t)1000;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        if (waitpid(pid, status, WNOHANG) == pid)
            return true;
        int64_t left = deadline - now_ms();
        if (left <= 0)
            break;
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        sigtimedwait(&child, NULL, &wait);
    }
    const char *command = getenv("WEFT_TEST_ON_TIMEOUT");
    if (command) {
        char number[24];
        snprintf(number, sizeof number, "%d", (int)pid);
        setenv("TEST_PID", number, 1);
        fflush(stdout);
        if (system(command) == -1)
            perror("WEFT_TEST_ON_TIMEOUT");
    }
    kill(-pid, SIGKILL);
    waitpid(pid, status, 0);
    return false;
}

/* The output of a test, as a string. */
static char *read_output(int fd)
{
    static char output[OUTPUT_MAX + 1];
    ssize_t size = pread(fd, output, OUTPUT_MAX, 0);
    output[size > 0 ? size : 0] = '\0';
    for (ssize_t i = 0; i < size; i++)
        if (output[i] == '\0')
            output[i] = '?';
    return output;
}

/* The first line of wanted that occurs nowhere in output, or NULL. */
static const char *find_missing(const char *wanted, const char *output)
{
    static char line[256];
    for (; wanted && *wanted; wanted += strcspn(wanted, "\n"), wanted += *wanted == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(wanted, "\n"), wanted);
        if (!strstr(output, line))
            return line;
    }
    return NULL;
}

/* What is wrong with how the test ended, or NULL. */
static const char *judge(const struct test *test, int status, const char *output)
{
    static char reason[512];
    const char *missing = find_missing(test->output, output);
    int exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (exit_status == STATUS_FAILED)
        return "check failed";
    if (signal != test->signal)
        snprintf(reason, sizeof reason, "signal %d, expected %d", signal, test->signal);
    else if (!signal && exit_status != test->exit_status)
        snprintf(reason, sizeof reason, "exit status %d, expected %d", exit_status,
                 test->exit_status);
    else if (missing)
        snprintf(reason, sizeof reason, "did not print \"%s\"", missing);
    else
        return NULL;
    return reason;
}

static void show(const char *output)
{
    while (*output) {
        int length = (int)strcspn(output, "\n");
        printf("    | %.*s\n", length, output);
        output += length + (output[length] == '\n');
    }
}

enum verdict { PASSED, FAILED, SKIPPED };

static enum verdict run_forked(const struct test *test)
{
    static const char *const words[] = {"ok  ", "FAIL", "skip"};
    sigset_t child, old;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &old);
    int output_fd = memfd_create("test output", MFD_CLOEXEC);
    if (output_fd < 0) {
        perror("memfd_create");
        exit(1);
    }
    fcntl(output_fd, F_SETFL, O_APPEND);
    skip_reason[0] = '\0';
    fflush(stdout);
    int64_t start = now_ms();
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, &old, NULL);
        int null = open("/dev/null", O_RDONLY);
        dup2(null, STDIN_FILENO);
        dup2(output_fd, STDOUT_FILENO);
        dup2(output_fd, STDERR_FILENO);
        close(null);
        run_here(test);
    }
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    setpgid(pid, pid);
    int status, timeout = test->options.timeout ? test->options.timeout : TEST_TIMEOUT;
    bool ended = await(pid, timeout * test_scale(), &status);
    kill(-pid, SIGKILL); /* What it started and left behind. */
    sigprocmask(SIG_SETMASK, &old, NULL);
    const char *output = read_output(output_fd);
    close(output_fd);

    const char *reason = NULL;
    enum verdict verdict = PASSED;
    if (!ended) {
        verdict = FAILED;
        reason = "timed out";
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_SKIPPED && skip_reason[0]) {
        verdict = SKIPPED;
        reason = skip_reason;
    } else if ((reason = judge(test, status, output))) {
        verdict = FAILED;
    }
    printf("%s %s: %s (%lld ms)%s%s\n", words[verdict], program, test->name,
           (long long)(now_ms() - start), reason ? ": " : "", reason ? reason : "");
    if (verdict == FAILED)
        show(output);
    return verdict;
}

/* ---- The command line ---- */

/* A name stands for its variants too: "ring" for "ring/1", "ring/2", ... */
static bool names(const char *argument, const char *name)
{
    size_t length = strlen(argument);
    return strncmp(argument, name, length) == 0 && (!name[length] || name[length] == '/');
}

/* What cannot hold where this run takes place, such as under an emulator: the file WEFT_TEST_SKIP
 * has lines "PROGRAM TEST REASON", the test being a shell's pattern. Gives the reason, or NULL. */
static const char *listed_reason(const struct test *test)
{
    static char line[512], in_program[128], pattern[128], reason[256];
    const char *path = getenv("WEFT_TEST_SKIP");
    if (!path)
        return NULL;
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        exit(2);
    }
    bool listed = false;
    while (!listed && fgets(line, sizeof line, file))
        listed = sscanf(line, "%127s %127s %255[^\n]", in_program, pattern, reason) == 3 &&
                 strcmp(in_program, program) == 0 && fnmatch(pattern, test->name, 0) == 0;
    fclose(file);
    return listed ? reason : NULL;
}

static bool wanted(const struct test *test, const char *filter, char **arguments)
{
    if (filter && !strstr(test->name, filter) && !strstr(program, filter))
        return false;
    if (!*arguments)
        return true;
    for (; *arguments; arguments++)
        if (names(*arguments, test->name))
            return true;
    return false;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: %s [--list] [--no-fork] [--filter TEXT] [NAME...]\n", program);
    exit(2);
}

/* "api/go" for ".../tests/api/go". */
static const char *short_name(const char *path)
{
    const char *last = strstr(path, "tests/");
    for (const char *p = last; p; p = strstr(p + 1, "tests/"))
        last = p;
    return last ? last + strlen("tests/") : path;
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *filter = NULL;
    bool list = false;
    program = short_name(*argv++);
    for (; *argv && **argv == '-'; argv++) {
        if (strcmp(*argv, "--list") == 0)
            list = true;
        else if (strcmp(*argv, "--no-fork") == 0)
            no_fork = true;
        else if (strcmp(*argv, "--filter") == 0 && argv[1])
            filter = *++argv;
        else
            usage();
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *text = getenv("WEFT_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : mix((uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 32);
    skip_reason = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (skip_reason == MAP_FAILED) {
        perror("mmap");
        return 1;
    }

    int counts[3] = {0};
    for (const struct test *test = tests; test; test = test->next) {
        if (!wanted(test, filter, argv))
            continue;
        const char *reason = listed_reason(test);
        if (list)
            puts(test->name);
        else if (reason)
            counts[SKIPPED] += printf("skip %s: %s: %s\n", program, test->name, reason) > 0;
        else if (no_fork)
            run_here(test); /* Only the first: it ends the process. */
        else
            counts[run_forked(test)]++;
    }
    if (!list)
        printf("# %s: %d passed, %d failed, %d skipped, seed 0x%llx\n", program, counts[PASSED],
               counts[FAILED], counts[SKIPPED], (unsigned long long)seed);
    return counts[FAILED] != 0;
}
