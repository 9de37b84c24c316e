/* SPDX-License-Identifier: MIT
 *
 * Once under random schedules: one call, seen by all who return, and memory that is gone at once.
 */
#include "harness/test.h"

#include <pthread.h>

#include "stress/stress.h"

struct secret {
    weft_once once;
    int refs; /* atomic */
    int calls;
    int value; /* not atomic: ThreadSanitizer checks the edges */
};

struct seeker {
    struct secret *secret;
    uint64_t random;
    bool may_exit; /* on a goroutine */
};

static void release_secret(struct secret *secret)
{
    if (__atomic_sub_fetch(&secret->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    CHECK_EQ(secret->calls, 1);
    CHECK_EQ(secret->value, 42);
    memset(secret, 0xff, sizeof *secret);
    free(secret);
}

static void reveal(void *arg)
{
    struct seeker *seeker = arg;
    uint64_t r = next_random(&seeker->random);
    seeker->secret->calls++;
    if (r % 4 == 0)
        weft_yield();
    else if (r % 32 == 1)
        weft_sleep(WEFT_MICROSECOND);
    seeker->secret->value = 42;
    if (r / 32 % 2 && seeker->may_exit)
        weft_exit();
}

static void seek(void *arg)
{
    struct seeker *seeker = arg;
    struct secret *secret = seeker->secret;
    if (next_random(&seeker->random) % 4 == 0)
        weft_yield();
    weft_once_do(&secret->once, reveal, seeker);
    CHECK_EQ(secret->value, 42);
    release_secret(secret);
}

static void *seek_thread(void *arg)
{
    seek(arg);
    free(arg);
    return NULL;
}

TEST_PROCS(secrets_freed_by_the_last_seeker)
{
    int rounds = share(10000);
    for (int round = 0; round < rounds; round++) {
        int seekers = 1 + (int)test_random_below(8);
        struct secret *secret = calloc(1, sizeof *secret);
        secret->refs = seekers;
        for (int i = 0; i < seekers; i++) {
            struct seeker seeker = {secret, test_random() | 1, false};
            if (round % 10 == 0 && i == 0) {
                pthread_t thread;
                struct seeker *copy = malloc(sizeof *copy);
                *copy = seeker;
                CHECK_EQ(pthread_create(&thread, NULL, seek_thread, copy), 0);
                pthread_detach(thread);
            } else {
                CHECK_EQ(weft_go_copy(seek, &seeker, sizeof seeker), 0);
            }
        }
        if (round % 32 == 0)
            CHECK_SOON(weft_num_goroutine() == 1);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- weft_exit in fn ---- */

static void join(void *arg)
{
    struct seeker *seeker = arg;
    struct secret *secret = seeker->secret;
    weft_once_do(&secret->once, reveal, seeker);
    CHECK_EQ(secret->value, 42);
    __atomic_add_fetch(&secret->refs, 1, __ATOMIC_RELAXED);
}

static void *join_thread(void *arg)
{
    join(arg);
    return NULL;
}

/* By chance the one that runs fn exits in it; all others return. */
TEST_PROCS(exits)
{
    enum { SEEKERS = 8 };
    int rounds = share(3000);
    for (int round = 0; round < rounds; round++) {
        struct secret secret = {.value = 0};
        struct seeker seekers[SEEKERS];
        pthread_t thread;
        for (int i = 0; i < SEEKERS; i++) {
            seekers[i] = (struct seeker){&secret, test_random() | 1, i > 0};
            if (i == 0)
                CHECK_EQ(pthread_create(&thread, NULL, join_thread, &seekers[i]), 0);
            else
                CHECK_EQ(weft_go(join, &seekers[i]), 0);
        }
        while (weft_num_goroutine() > 1)
            weft_yield();
        pthread_join(thread, NULL); /* not before: those it may wait for run here */
        CHECK_EQ(secret.calls, 1);
        CHECK_GE(secret.refs, SEEKERS - 1);
    }
}

/* ---- Found done while the one who ran fn is on its way out ---- */

static void nothing(void *arg)
{
    (void)arg;
}

static void not_again(void *arg)
{
    (void)arg;
    FAIL("called a second time");
}

static void run_first(void *once)
{
    weft_once_do(once, nothing, NULL);
}

static void *run_first_thread(void *once)
{
    run_first(once);
    return NULL;
}

TEST_PROCS(discarded_when_found_done)
{
    int rounds = share(20000);
    for (int round = 0; round < rounds; round++) {
        pthread_t thread;
        weft_once *once = calloc(1, sizeof *once);
        bool by_thread = round % 16 == 0;
        if (by_thread)
            CHECK_EQ(pthread_create(&thread, NULL, run_first_thread, once), 0);
        else
            CHECK_EQ(weft_go(run_first, once), 0);
        while (__atomic_load_n(&once->state, __ATOMIC_RELAXED) == 0)
            weft_yield();
        weft_once_do(once, not_again, NULL);
        memset(once, 0xff, sizeof *once);
        for (size_t i = 0; i < sizeof *once; i++)
            CHECK_EQ(((volatile unsigned char *)once)[i], 0xff);
        free(once);
        if (by_thread)
            pthread_join(thread, NULL);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}
