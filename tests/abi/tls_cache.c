/* SPDX-License-Identifier: MIT
 *
 * No address of a thread-local survives a switch inside weft. Compilers keep such addresses across calls
 * when they can see, or believe to see, that nothing changes; so this file is compiled three ways: as
 * the other tests are, and together with all of weft's sources with -O3 and with link-time
 * optimisation. The idea is that of Go's RunGetgThreadSwitchTest: a goroutine that is received from pins
 * itself, so that the receiver must go on elsewhere.
 */
#include "harness/test.h"

#include <sys/syscall.h>

#include "core/self.h" /* what the whole runtime finds out with where it is */

static int thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

static weft_chan *chan, *hold;

static void send_and_pin(void *arg)
{
    int value = test_index(arg);
    CHECK_EQ(weft_chan_send(chan, &value), 0);
    weft_lock_os_thread();
    weft_chan_recv(hold, &value);
    weft_unlock_os_thread();
}

static int moves; /* atomic */

/* Everything in one function, with loops and branches around it, as an optimiser likes it. */
static void receive(int n)
{
    struct wi_g *g = wi_getg();
    struct wi_m *m = wi_getm();
    uint64_t id = weft_id();
    int tid = thread_id(), value = -1;
    CHECK(g != NULL && m != NULL);

    CHECK_EQ(weft_go(send_and_pin, (void *)(intptr_t)n), 0);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, n);

    CHECK(wi_getg() == g);
    CHECK_EQ(weft_id(), id);
    /* Threads and Ms are one to one. */
    CHECK((wi_getm() == m) == (thread_id() == tid));
    if (thread_id() != tid) {
        __atomic_add_fetch(&moves, 1, __ATOMIC_RELAXED);
        for (int i = 0; i < 3; i++) {
            m = wi_getm();
            tid = thread_id();
            weft_yield();
            CHECK(wi_getg() == g);
            CHECK((wi_getm() == m) == (thread_id() == tid));
        }
    }
    weft_blocking_begin();
    if (n % 8 == 0)
        usleep(200);
    weft_blocking_end();
    CHECK(wi_getg() == g);
    CHECK_EQ(weft_id(), id);
    CHECK_EQ(weft_chan_send(hold, &value), 0);
}

static void receive_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        receive(i);
}

TEST_PROCS(nothing_is_cached_over_a_switch)
{
    chan = weft_chan_new(sizeof(int), 0);
    hold = weft_chan_new(sizeof(int), 0);
    moves = 0;
    receive_many(NULL);
    CHECK_GT(moves, 0);
    weft_chan_unref(chan);
    weft_chan_unref(hold);
}

/* Without channels: everything that a goroutine may do right before and right after a move. */
static void wander(void *index)
{
    struct wi_g *g = wi_getg();
    uint64_t id = weft_id();
    weft_mutex mutex = {0};
    weft_waitgroup group = {0};
    int tid = thread_id();
    for (int i = 0; i < 100; i++) {
        weft_mutex_lock(&mutex);
        switch ((i + test_index(index)) % 4) {
        case 0:
            weft_blocking_begin();
            usleep(50);
            weft_blocking_end();
            break;
        case 1:
            weft_sleep(20 * WEFT_MICROSECOND);
            break;
        case 2:
            weft_lock_os_thread();
            weft_yield();
            weft_unlock_os_thread();
            break;
        default:
            weft_yield();
        }
        if (thread_id() != tid)
            __atomic_add_fetch(&moves, 1, __ATOMIC_RELAXED);
        tid = thread_id();
        weft_mutex_unlock(&mutex);
        weft_waitgroup_add(&group, 1);
        weft_waitgroup_done(&group);
        weft_waitgroup_wait(&group);
        CHECK(wi_getg() == g);
        CHECK_EQ(weft_id(), id);
    }
}

TEST_PROCS(wanderers_stay_themselves)
{
    moves = 0;
    test_each(20, wander);
    CHECK_GT(moves, 0);
}

/* weft's own errno handling: a goroutine finds its errno wherever it goes on. */
static TEST_OPAQUE int get_errno(void)
{
    return errno;
}

static TEST_OPAQUE void set_errno(int value)
{
    errno = value;
}

static void carry_errno(void *index)
{
    for (int i = 0; i < 100; i++) {
        set_errno(test_index(index));
        weft_blocking_begin();
        weft_yield();
        weft_blocking_end();
        weft_sleep(10 * WEFT_MICROSECOND);
        CHECK_EQ(get_errno(), test_index(index));
    }
}

TEST_PROCS(errno_comes_along)
{
    test_each(20, carry_errno);
}
