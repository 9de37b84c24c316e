/* SPDX-License-Identifier: MIT
 *
 * The rwmutex under random schedules: exclusion, no lost wake-up, and memory that is gone at once.
 */
#include "harness/test.h"

#include <pthread.h>

#include "stress/stress.h"

/* ---- A ledger: pages that are read together and written one by one ---- */

enum { PAGES = 6, SCRIBES_MAX = 24, LINES = 4 };

struct ledger {
    struct page {
        weft_rwmutex rw;
        long lines[LINES]; /* guarded by rw; all equal */
        int reading;       /* atomic */
        int writing;       /* atomic */
    } pages[PAGES];
    weft_waitgroup wg;
    long written; /* atomic */
    int rounds;
};

struct scribe {
    struct ledger *ledger;
    uint64_t random;
};

static void pause_by_chance(uint64_t r)
{
    if (r % 8 == 0)
        weft_yield();
    else if (r % 128 == 1)
        weft_sleep(WEFT_MICROSECOND);
}

static void read_page(struct page *page, uint64_t r)
{
    if (r % 4 != 0 || !weft_rwmutex_tryrdlock(&page->rw))
        weft_rwmutex_rdlock(&page->rw);
    __atomic_add_fetch(&page->reading, 1, __ATOMIC_RELAXED);
    CHECK_EQ(__atomic_load_n(&page->writing, __ATOMIC_RELAXED), 0);
    long first = page->lines[0];
    pause_by_chance(r / 4);
    for (int i = 1; i < LINES; i++)
        CHECK_EQ(page->lines[i], first);
    __atomic_sub_fetch(&page->reading, 1, __ATOMIC_RELAXED);
    weft_rwmutex_rdunlock(&page->rw);
}

static void write_page(struct ledger *ledger, struct page *page, uint64_t r)
{
    if (r % 4 != 0 || !weft_rwmutex_trywrlock(&page->rw))
        weft_rwmutex_wrlock(&page->rw);
    CHECK_EQ(__atomic_add_fetch(&page->writing, 1, __ATOMIC_RELAXED), 1);
    CHECK_EQ(__atomic_load_n(&page->reading, __ATOMIC_RELAXED), 0);
    page->lines[0]++;
    pause_by_chance(r / 4);
    for (int i = 1; i < LINES; i++)
        page->lines[i]++;
    __atomic_add_fetch(&ledger->written, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&page->writing, 1, __ATOMIC_RELAXED);
    weft_rwmutex_wrunlock(&page->rw);
}

/* Two pages at once, in order; a writer may come between two readers. */
static void read_two(struct ledger *ledger, uint64_t r)
{
    struct page *first = &ledger->pages[r % (PAGES - 1)];
    weft_rwmutex_rdlock(&first->rw);
    read_page(first + 1, r / 16);
    weft_rwmutex_rdunlock(&first->rw);
}

static void keep_books(void *arg)
{
    struct scribe *scribe = arg;
    struct ledger *ledger = scribe->ledger;
    for (int i = 0; i < ledger->rounds; i++) {
        uint64_t r = next_random(&scribe->random);
        struct page *page = &ledger->pages[r / 65536 % PAGES];
        if (r % 8 < 2)
            write_page(ledger, page, r / 16);
        else if (r % 8 == 2)
            read_two(ledger, r / 16);
        else
            read_page(page, r / 16);
    }
    weft_waitgroup_done(&ledger->wg);
}

static void *keep_books_thread(void *arg)
{
    keep_books(arg);
    return NULL;
}

static void run_ledger(int threads, int rounds)
{
    struct ledger ledger = {.rounds = rounds};
    struct scribe scribes[SCRIBES_MAX];
    pthread_t handles[SCRIBES_MAX];
    long total = 0;
    weft_waitgroup_add(&ledger.wg, SCRIBES_MAX);
    for (int i = 0; i < SCRIBES_MAX; i++) {
        scribes[i] = (struct scribe){&ledger, test_random() | 1};
        if (i < threads)
            CHECK_EQ(pthread_create(&handles[i], NULL, keep_books_thread, &scribes[i]), 0);
        else
            CHECK_EQ(weft_go(keep_books, &scribes[i]), 0);
    }
    weft_waitgroup_wait(&ledger.wg);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    for (int i = 0; i < PAGES; i++) {
        CHECK_EQ(ledger.pages[i].rw.state, 0);
        total += ledger.pages[i].lines[0];
    }
    CHECK_EQ(total, ledger.written);
}

TEST_PROCS(ledger)
{
    run_ledger(0, share(40000));
}

TEST_PROCS(ledger_with_threads)
{
    run_ledger(SCRIBES_MAX / 2, share(8000));
}

TEST(ledger_of_threads)
{
    run_ledger(SCRIBES_MAX, share(8000));
}

/* ---- Reference-counted objects that the last user frees ---- */

struct volume {
    weft_rwmutex rw;
    int refs; /* guarded by rw */
    int writes;
};

struct user {
    struct volume *volume;
    uint64_t random;
};

static void use_once(struct volume *volume, uint64_t r)
{
    if (r % 2) {
        weft_rwmutex_wrlock(&volume->rw);
        volume->writes++;
    } else {
        weft_rwmutex_rdlock(&volume->rw);
        CHECK_GT(volume->refs, 0);
    }
    if (r / 2 % 4 == 0)
        weft_yield();
    if (r % 2)
        weft_rwmutex_wrunlock(&volume->rw);
    else
        weft_rwmutex_rdunlock(&volume->rw);
}

static void use(void *arg)
{
    struct user *user = arg;
    struct volume *volume = user->volume;
    for (uint64_t i = next_random(&user->random) % 4; i > 0; i--)
        use_once(volume, next_random(&user->random));
    weft_rwmutex_wrlock(&volume->rw);
    if (next_random(&user->random) % 4 == 0)
        weft_yield();
    bool last = --volume->refs == 0;
    weft_rwmutex_wrunlock(&volume->rw);
    if (last) {
        memset(volume, 0xff, sizeof *volume);
        free(volume);
    }
}

TEST_PROCS(volumes_freed_by_the_last_user)
{
    int rounds = share(10000);
    for (int round = 0; round < rounds; round++) {
        int users = 1 + (int)test_random_below(6);
        struct volume *volume = calloc(1, sizeof *volume);
        volume->refs = users;
        for (int i = 0; i < users; i++) {
            struct user user = {volume, test_random() | 1};
            start_with_copy(round % 10 == 0 && i == 0, use, &user, sizeof user);
        }
        if (round % 32 == 0)
            CHECK_SOON(weft_num_goroutine() == 1);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Read locks that are given back as the last thing that is done with the rwmutex ---- */

static void give_up(void *arg)
{
    weft_rwmutex_rdunlock(arg);
}

static void yield_and_give_up(void *arg)
{
    weft_yield();
    weft_rwmutex_rdunlock(arg);
}

static void *give_up_thread(void *arg)
{
    weft_rwmutex_rdunlock(arg);
    return NULL;
}

TEST_PROCS(discarded_by_a_writer)
{
    int rounds = share(10000);
    for (int round = 0; round < rounds; round++) {
        weft_rwmutex *rw = calloc(1, sizeof *rw);
        for (uint64_t i = 1 + test_random_below(4); i > 0; i--) {
            pthread_t thread;
            weft_rwmutex_rdlock(rw);
            if (test_random_below(32) == 0) {
                CHECK_EQ(pthread_create(&thread, NULL, give_up_thread, rw), 0);
                pthread_detach(thread);
            } else {
                CHECK_EQ(weft_go(test_random_below(2) ? give_up : yield_and_give_up, rw), 0);
            }
        }
        weft_rwmutex_wrlock(rw);
        memset(rw, 0xff, sizeof *rw);
        for (size_t i = 0; i < sizeof *rw; i++)
            CHECK_EQ(((volatile unsigned char *)rw)[i], 0xff);
        free(rw);
    }
}
