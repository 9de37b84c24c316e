/* SPDX-License-Identifier: MIT
 *
 * Writing a test. A file under tests/{unit,api,stress,fault,death,abi}/ is one program; make finds
 * it by wildcard. unit/ and abi/ may include the headers of src/ ("core/runq.h"), the others use
 * the public API.
 *
 *     #include "harness/test.h"
 *
 *     TEST(adds) { CHECK_EQ(1 + 1, 2); }                   a plain test, no runtime
 *     TEST(slow, .timeout = 300, .leaks = TEST_LEAKS_MEMORY) {...}     with options
 *     TEST_PROCS(joins) {...}              as the main goroutine, at maxprocs 1, 2 and 8: joins/1, ...
 *     DEATH_TEST(overflows, 2, "stack overflow") {...}     must exit(2) and print that
 *     SIGNAL_TEST(aborts, SIGABRT, "") {...}               must die of that signal
 *
 * Each test runs in a process of its own with a timeout; its output is shown if it fails. After it
 * returned, the harness checks that no descriptor, no thread and no memory is left over. CHECK and
 * its kind end the test, from any goroutine or thread. Random numbers come from test_random(), so
 * that WEFT_TEST_SEED=<what the run printed> replays them. In fault/, defining `T __wrap_NAME(...)`
 * links the program with --wrap=NAME; __real_NAME is the original.
 *
 * Running: build/default/tests/api/go [NAME...] [--filter TEXT] [--list] [--no-fork]; a NAME is a
 * test's name, with or without "/procs". --no-fork is for gdb. WEFT_TEST_TIMEOUT_SCALE multiplies
 * all timeouts; WEFT_TEST_ON_TIMEOUT is a shell command run with the process id in $TEST_PID before
 * a test that hangs is killed ("timeout 60 gdb -p $TEST_PID -batch -ex 'thread apply all bt'");
 * WEFT_TEST_SKIP is a file of tests not to run, with the reason, as tests/aarch64.skip.
 */
#ifndef TEST_H
#define TEST_H

#ifdef NDEBUG
#error "tests make no sense with NDEBUG"
#endif

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#if defined(__has_feature)
#define TEST_HAS_FEATURE(x) __has_feature(x)
#else
#define TEST_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || TEST_HAS_FEATURE(address_sanitizer)
#define TEST_ASAN 1
#else
#define TEST_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || TEST_HAS_FEATURE(thread_sanitizer) || defined(WI_TSAN_EDGES)
#define TEST_TSAN 1
#else
#define TEST_TSAN 0
#endif

/* A function about whose result a compiler may assume nothing: for errno and other thread-locals,
 * whose addresses compilers keep while the goroutine changes threads. */
#if defined(__clang__)
#define TEST_OPAQUE __attribute__((noinline, optnone))
#else
#define TEST_OPAQUE __attribute__((noipa))
#endif

enum {
    TEST_TIMEOUT = 60, /* seconds, unless a test says otherwise */

    /* What a test leaves behind on purpose. */
    TEST_LEAKS_FDS = 1,
    TEST_LEAKS_THREADS = 2,
    TEST_LEAKS_MEMORY = 4,
};

struct test_options {
    int timeout;    /* seconds; longer under sanitizers by itself */
    unsigned leaks; /* TEST_LEAKS_...: not checked */
};

struct test {
    const char *name;
    void (*run)(const struct test *test);
    void (*body)(void);
    int procs;       /* inside weft_run with that many, or 0 */
    bool dies;       /* the body must not return, but end so: */
    int exit_status; /* if signal is 0 */
    int signal;
    const char *output; /* must have been printed: each line of this, in any order */
    struct test_options options;
    struct test *next;
};

void test_register(struct test *test);
void test_run_plain(const struct test *test);
void test_run_procs(const struct test *test);

#define TEST_REGISTER_(name_, suffix_, ...)                                                        \
    __attribute__((constructor)) static void test_register_##name_##suffix_(void)                  \
    {                                                                                              \
        static struct test test = {.body = test_##name_, __VA_ARGS__};                             \
        test_register(&test);                                                                      \
    }

#define TEST(name_, ...)                                                                           \
    static void test_##name_(void);                                                                \
    TEST_REGISTER_(name_, , .name = #name_, .run = test_run_plain, .options = {__VA_ARGS__})       \
    static void test_##name_(void)

#define TEST_PROCS(name_, ...)                                                                     \
    static void test_##name_(void);                                                                \
    TEST_PROCS_(name_, 1, __VA_ARGS__)                                                             \
    TEST_PROCS_(name_, 2, __VA_ARGS__)                                                             \
    TEST_PROCS_(name_, 8, __VA_ARGS__)                                                             \
    static void test_##name_(void)

#define TEST_PROCS_(name_, procs_, ...)                                                            \
    TEST_REGISTER_(name_, _##procs_, .name = #name_ "/" #procs_, .run = test_run_procs,            \
                   .procs = procs_, .options = {__VA_ARGS__})

#define DEATH_TEST(name_, exit_status_, output_, ...)                                              \
    static void test_##name_(void);                                                                \
    TEST_REGISTER_(name_, , .name = #name_, .run = test_run_plain, .dies = true,                   \
                   .exit_status = exit_status_, .output = output_, .options = {__VA_ARGS__})       \
    static void test_##name_(void)

#define SIGNAL_TEST(name_, signal_, output_, ...)                                                  \
    static void test_##name_(void);                                                                \
    TEST_REGISTER_(name_, , .name = #name_, .run = test_run_plain, .dies = true,                   \
                   .signal = signal_, .output = output_, .options = {__VA_ARGS__})                 \
    static void test_##name_(void)

/* ---- Inside a test; from any goroutine or thread, unless said ---- */

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL("%s", #condition);                                                                \
    } while (0)

/* Integers; both values are printed. */
#define CHECK_EQ(a, b) CHECK_INT_(a, ==, b)
#define CHECK_NE(a, b) CHECK_INT_(a, !=, b)
#define CHECK_LT(a, b) CHECK_INT_(a, <, b)
#define CHECK_LE(a, b) CHECK_INT_(a, <=, b)
#define CHECK_GT(a, b) CHECK_INT_(a, >, b)
#define CHECK_GE(a, b) CHECK_INT_(a, >=, b)

#define CHECK_INT_(a, op, b)                                                                       \
    do {                                                                                           \
        long long left_ = (long long)(a), right_ = (long long)(b);                                 \
        if (!(left_ op right_))                                                                    \
            FAIL("%s %s %s: %lld and %lld", #a, #op, #b, left_, right_);                           \
    } while (0)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *left_ = (a), *right_ = (b);                                                    \
        if (strcmp(left_, right_) != 0)                                                            \
            FAIL("%s == %s: \"%s\" and \"%s\"", #a, #b, left_, right_);                            \
    } while (0)

/* The condition becomes true within a generous time; it is looked at every millisecond. */
#define CHECK_SOON(condition)                                                                      \
    do {                                                                                           \
        for (int tries_ = 0; !(condition); tries_++) {                                             \
            if (tries_ >= 10000 * test_scale())                                                    \
                FAIL("not within 10 s or more: %s", #condition);                                   \
            weft_sleep(WEFT_MILLISECOND);                                                          \
        }                                                                                          \
    } while (0)

/* Random numbers that the run's seed and the test's name determine. below: 0 to bound - 1. */
uint64_t test_random(void);
uint64_t test_random_below(uint64_t bound);

/* How much slower than usual this build is allowed to be: 1 without sanitizers. */
int test_scale(void);

/* A number of goroutines: n, or what the sanitizer can bear (TSan has room for 8128 fibers). */
int test_many(int n);

/* How many descriptors this process has open. */
int test_count_fds(void);

/* Runs body as the main goroutine at that maxprocs (0: the default). Foreign threads only. */
void test_in_runtime(int procs, void (*body)(void));

/* Starts n goroutines, fn(0) to fn(n - 1) as pointers, and waits until all have returned. */
void test_each(int n, void (*fn)(void *index));

/* The index that fn of test_each got. */
static inline int test_index(void *index)
{
    return (int)(intptr_t)index;
}

#endif
