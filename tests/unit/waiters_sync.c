/* SPDX-License-Identifier: MIT
 *
 * The queues of rwmutex, cond, once and semaphore, seen from inside: FIFO order, who is let in by
 * an unlock, and what one that gave up leaves behind.
 */
#include "harness/test.h"

#include <pthread.h>

#include "core/park.h"
#include "sync/sudog.h"
#include "unit/queue.h"

enum { QUEUED = 9 };

/* A waiter that says when its wait is over, and keeps what it has got. */
struct waiter {
    void (*wait)(struct waiter *waiter);
    void *object;
    weft_chan *order;
    int number;
    int64_t amount;
    int64_t deadline;
    int result; /* atomic; 1 while it waits */
};

static void run_waiter(void *arg)
{
    struct waiter *w = arg;
    w->wait(w);
    CHECK_EQ(weft_chan_send(w->order, &w->number), 0);
}

static void *run_waiter_thread(void *arg)
{
    run_waiter(arg);
    return NULL;
}

/* Every third on a foreign thread. */
static void start(struct waiter *w)
{
    w->result = 1;
    if (w->number % 3 == 2) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, run_waiter_thread, w), 0);
        pthread_detach(thread);
    } else {
        CHECK_EQ(weft_go(run_waiter, w), 0);
    }
}

static int next_number(weft_chan *order)
{
    int number;
    CHECK_EQ(weft_chan_recv(order, &number), 0);
    return number;
}

static weft_chan *new_order(void)
{
    weft_chan *order = weft_chan_new(sizeof(int), QUEUED);
    CHECK(order);
    return order;
}

/* ---- Rwmutex ---- */

/* They keep it: the test unlocks for them. */
static void read_lock(struct waiter *w)
{
    weft_rwmutex_rdlock(w->object);
}

static void write_lock(struct waiter *w)
{
    weft_rwmutex_wrlock(w->object);
}

TEST_PROCS(writers_are_served_in_order)
{
    weft_rwmutex rw = {0};
    weft_chan *order = new_order();
    struct waiter waiters[QUEUED];
    weft_rwmutex_rdlock(&rw);
    for (int i = 0; i < QUEUED; i++) {
        waiters[i] = (struct waiter){write_lock, &rw, order, .number = i};
        start(&waiters[i]);
        WAIT_FOR_LENGTH(wi_lock_of(&rw.lock), &rw.writers, i + 1);
    }
    weft_rwmutex_rdunlock(&rw);
    for (int i = 0; i < QUEUED; i++) {
        CHECK_EQ(next_number(order), i);
        CHECK_EQ(queue_length(wi_lock_of(&rw.lock), &rw.writers), QUEUED - 1 - i);
        CHECK_EQ(weft_rwmutex_trywrlock(&rw), 0);
        weft_rwmutex_wrunlock(&rw);
    }
    CHECK_EQ(wi_load_relaxed(&rw.state), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* Writer 0 came first, then readers 1 to 3, then writer 4: the unlock of the writer that owns it
 * lets in all readers and no writer, their last unlock the first writer. */
TEST_PROCS(a_writer_lets_in_all_readers)
{
    weft_rwmutex rw = {0};
    struct wi_lock *inner = wi_lock_of(&rw.lock);
    weft_chan *order = new_order();
    struct waiter waiters[5];
    weft_rwmutex_wrlock(&rw);
    for (int i = 0; i < 5; i++) {
        bool writes = i % 4 == 0;
        waiters[i] = (struct waiter){writes ? write_lock : read_lock, &rw, order, .number = i};
        start(&waiters[i]);
        WAIT_FOR_LENGTH(inner, writes ? &rw.writers : &rw.readers, writes ? 1 + i / 4 : i);
    }
    weft_rwmutex_wrunlock(&rw);
    CHECK_EQ(queue_length(inner, &rw.readers), 0);
    CHECK_EQ(queue_length(inner, &rw.writers), 2);
    for (int i = 0, seen = 0; i < 3; i++) {
        seen |= 1 << next_number(order);
        CHECK_EQ(seen & ~(2 | 4 | 8), 0);
    }
    CHECK_EQ(weft_rwmutex_tryrdlock(&rw), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(queue_length(inner, &rw.writers), 2);
        weft_rwmutex_rdunlock(&rw);
    }
    CHECK_EQ(next_number(order), 0);
    CHECK_EQ(queue_length(inner, &rw.writers), 1);
    weft_rwmutex_wrunlock(&rw);
    CHECK_EQ(next_number(order), 4);
    weft_rwmutex_wrunlock(&rw);
    CHECK_EQ(wi_load_relaxed(&rw.state), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* ---- Cond ---- */

struct room {
    weft_mutex mutex;
    weft_cond cond;
};

static void wait_for_signal(struct waiter *w)
{
    struct room *room = w->object;
    weft_mutex_lock(&room->mutex);
    int result = weft_cond_wait_until(&room->cond, &room->mutex, w->deadline);
    weft_mutex_unlock(&room->mutex);
    wi_store_release(&w->result, result);
}

TEST_PROCS(signals_are_served_in_order)
{
    struct room room = {.mutex = {0}};
    weft_chan *order = new_order();
    struct waiter waiters[QUEUED];
    for (int i = 0; i < QUEUED; i++) {
        int64_t deadline = i % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
        waiters[i] = (struct waiter){wait_for_signal, &room, order, .number = i};
        waiters[i].deadline = deadline;
        start(&waiters[i]);
        WAIT_FOR_LENGTH(wi_lock_of(&room.cond.lock), &room.cond.waiters, i + 1);
    }
    for (int i = 0; i < QUEUED; i++) {
        weft_cond_signal(&room.cond);
        CHECK_EQ(queue_length(wi_lock_of(&room.cond.lock), &room.cond.waiters), QUEUED - 1 - i);
        CHECK_EQ(next_number(order), i);
        CHECK_EQ(wi_load_acquire(&waiters[i].result), 0);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* The first gives up; the signal that comes after goes to the second. */
TEST_PROCS(giving_up_does_not_eat_a_signal)
{
    struct room room = {.mutex = {0}};
    struct wi_lock *inner = wi_lock_of(&room.cond.lock);
    weft_chan *order = new_order();
    struct waiter first = {wait_for_signal, &room, order, .number = 0};
    struct waiter second = {wait_for_signal, &room, order, .number = 1};
    first.deadline = weft_after(50 * WEFT_MILLISECOND);
    second.deadline = WEFT_FOREVER;
    start(&first);
    CHECK_SOON(queue_length(inner, &room.cond.waiters) == 1 || wi_load_acquire(&first.result) != 1);
    start(&second);
    CHECK_EQ(next_number(order), 0);
    CHECK_EQ(wi_load_acquire(&first.result), -ETIMEDOUT);
    WAIT_FOR_LENGTH(inner, &room.cond.waiters, 1);
    weft_cond_signal(&room.cond);
    CHECK_EQ(next_number(order), 1);
    CHECK_EQ(wi_load_acquire(&second.result), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* A wait whose ticket has been won by time, but which has not left the queue yet, is passed over.
 */
TEST_PROCS(a_signal_passes_over_the_lost)
{
    struct room room = {.mutex = {0}};
    struct wi_g other = {.id = 1};
    struct wi_sudog lost = {.g = &other, .ticket = wi_wait_open(&other)};
    weft_chan *order = new_order();
    struct waiter waiter = {wait_for_signal, &room, order, .number = 1};
    waiter.deadline = WEFT_FOREVER;
    wi_waitq_push(&room.cond.waiters, &lost);
    CHECK(wi_wait_claim(&other, lost.ticket));
    start(&waiter);
    WAIT_FOR_LENGTH(wi_lock_of(&room.cond.lock), &room.cond.waiters, 2);
    weft_cond_signal(&room.cond);
    CHECK_EQ(next_number(order), 1);
    CHECK(!lost.queued);
    weft_cond_signal(&room.cond);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* ---- Once ---- */

static void let_others_queue(void *arg)
{
    weft_once *once = arg;
    WAIT_FOR_LENGTH(wi_lock_of(&once->lock), &once->waiters, 3);
}

static void must_not_run(void *arg)
{
    (void)arg;
    FAIL("called a second time");
}

static void wait_for_once(struct waiter *w)
{
    while (wi_load_relaxed(&((weft_once *)w->object)->state) == 0)
        weft_yield();
    weft_once_do(w->object, must_not_run, NULL);
}

TEST_PROCS(once_releases_its_queue)
{
    weft_once once = {0};
    weft_chan *order = new_order();
    struct waiter waiters[3];
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){wait_for_once, &once, order, .number = i};
        start(&waiters[i]);
    }
    weft_once_do(&once, let_others_queue, &once);
    CHECK_EQ(queue_length(wi_lock_of(&once.lock), &once.waiters), 0);
    int seen = 0;
    for (int i = 0; i < 3; i++)
        seen |= 1 << next_number(order);
    CHECK_EQ(seen, 7);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* ---- Semaphore ---- */

static void take_permits_of(struct waiter *w)
{
    int result = weft_sem_acquire_until(w->object, w->amount, w->deadline);
    wi_store_release(&w->result, result);
}

static void queue_for(weft_sem *sem, struct waiter *waiters, int count)
{
    for (int i = 0; i < count; i++) {
        start(&waiters[i]);
        WAIT_FOR_LENGTH(wi_lock_of(&sem->lock), &sem->waiters, i + 1);
    }
}

TEST_PROCS(permits_are_given_in_order)
{
    static const int64_t amounts[QUEUED] = {3, 1, 0, 4, 1, 2, 5, 0, 1};
    weft_sem sem;
    weft_sem_init(&sem, 17);
    weft_chan *order = new_order();
    struct waiter waiters[QUEUED];
    CHECK_EQ(weft_sem_acquire(&sem, 17), 0);
    for (int i = 0; i < QUEUED; i++) {
        waiters[i] = (struct waiter){take_permits_of, &sem, order, i, .amount = amounts[i]};
        waiters[i].deadline = i % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
    }
    queue_for(&sem, waiters, QUEUED);
    int64_t given = 0, needed = 0;
    int served = 0;
    for (int step = 0; step < 17; step++) {
        weft_sem_release(&sem, 1);
        given++;
        while (served < QUEUED && needed + amounts[served] <= given) {
            needed += amounts[served];
            served++;
        }
        /* Nobody before its turn, and nobody later. */
        CHECK_EQ(queue_length(wi_lock_of(&sem.lock), &sem.waiters), QUEUED - served);
        for (int i = 0; i < QUEUED; i++) {
            if (i < served)
                CHECK_SOON(wi_load_acquire(&waiters[i].result) == 0);
            else
                CHECK_EQ(wi_load_acquire(&waiters[i].result), 1);
        }
    }
    CHECK_EQ(served, QUEUED);
    CHECK_EQ(wi_load_relaxed(&sem.state), 0);
    for (int i = 0; i < QUEUED; i++)
        next_number(order);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* Those behind a head that gives up get what fits, up to the first that does not; one in the middle
 * leaves without a trace. */
TEST_PROCS(a_head_that_gives_up_hands_on)
{
    static const int64_t amounts[6] = {5, 1, 5, 2, 4, 1};
    weft_sem sem;
    weft_sem_init(&sem, 5);
    weft_chan *order = new_order();
    struct waiter waiters[6];
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    for (int i = 0; i < 6; i++) {
        waiters[i] = (struct waiter){take_permits_of, &sem, order, i, .amount = amounts[i]};
        waiters[i].deadline = WEFT_FOREVER;
    }
    waiters[0].deadline = weft_after(300 * WEFT_MILLISECOND * test_scale());
    waiters[2].deadline = weft_after(150 * WEFT_MILLISECOND * test_scale());
    queue_for(&sem, waiters, 6);
    CHECK_SOON(wi_load_acquire(&waiters[2].result) == -ETIMEDOUT);
    CHECK_EQ(wi_load_acquire(&waiters[1].result), 1);
    CHECK_SOON(wi_load_acquire(&waiters[0].result) == -ETIMEDOUT);
    CHECK_SOON(wi_load_acquire(&waiters[1].result) == 0);
    CHECK_SOON(wi_load_acquire(&waiters[3].result) == 0);
    CHECK_EQ(queue_length(wi_lock_of(&sem.lock), &sem.waiters), 2);
    CHECK_EQ(wi_load_relaxed(&sem.state), 1 << 1 | 1);
    weft_sem_release(&sem, 3);
    CHECK_SOON(wi_load_acquire(&waiters[4].result) == 0);
    weft_sem_release(&sem, 1);
    CHECK_SOON(wi_load_acquire(&waiters[5].result) == 0);
    CHECK_EQ(wi_load_relaxed(&sem.state), 0);
    for (int i = 0; i < 6; i++)
        next_number(order);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

/* What the last waiter leaves free is there for newcomers without the queue. */
TEST_PROCS(the_last_to_give_up_clears_the_queue)
{
    weft_sem sem;
    weft_sem_init(&sem, 3);
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    CHECK_EQ(weft_sem_acquire_until(&sem, 3, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(wi_load_relaxed(&sem.state), 2 << 1);
    CHECK_EQ(weft_sem_tryacquire(&sem, 2), 1);
}

/* A wait whose ticket has been won by time is dropped, even if its amount would fit; what it would
 * have got goes to the next. */
TEST_PROCS(a_release_passes_over_the_lost)
{
    struct {
        struct wi_sudog sg;
        int64_t amount;
    } lost = {.amount = 1}; /* as in sem.c */
    struct wi_g other = {.id = 1};
    weft_sem sem;
    weft_sem_init(&sem, 1);
    weft_chan *order = new_order();
    struct waiter waiter = {take_permits_of, &sem, order, .amount = 1, .deadline = WEFT_FOREVER};
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    lost.sg.g = &other;
    lost.sg.ticket = wi_wait_open(&other);
    wi_waitq_push(&sem.waiters, &lost.sg);
    sem.state |= 1;
    CHECK(wi_wait_claim(&other, lost.sg.ticket));
    start(&waiter);
    WAIT_FOR_LENGTH(wi_lock_of(&sem.lock), &sem.waiters, 2);
    weft_sem_release(&sem, 1);
    CHECK_EQ(next_number(order), 0);
    CHECK(!lost.sg.queued);
    CHECK_EQ(wi_load_relaxed(&sem.state), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}
