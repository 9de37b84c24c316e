/* SPDX-License-Identifier: MIT
 *
 * Channels: what needs nobody on the other side. Everything runs on a goroutine, and on a foreign
 * thread without a runtime.
 */
#include "harness/test.h"

static const size_t elem_sizes[] = {0, 1, 3, 4, 8, 16, 24, 1000};
static const size_t capacities[] = {0, 1, 2, 3, 128};

enum { ELEM_MAX = 1000, GUARD = 16, UNTOUCHED = 0xA5 };

#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

/* An element whose bytes all depend on n. */
static void fill(unsigned char *elem, size_t size, size_t n)
{
    for (size_t i = 0; i < size; i++)
        elem[i] = (unsigned char)(n * 31 + i * 7 + 1);
}

static void check_filled(const unsigned char *elem, size_t size, size_t n)
{
    unsigned char expected[ELEM_MAX];
    fill(expected, size, n);
    CHECK(memcmp(elem, expected, size) == 0);
}

/* Receives the element made of n, and checks that nothing behind it was written. */
static void recv_and_check(weft_chan *chan, size_t size, size_t n)
{
    unsigned char elem[ELEM_MAX + GUARD];
    memset(elem, UNTOUCHED, sizeof elem);
    CHECK_EQ(weft_chan_recv_until(chan, elem, WEFT_NOWAIT), 0);
    check_filled(elem, size, n);
    for (size_t i = size; i < size + GUARD; i++)
        CHECK_EQ(elem[i], UNTOUCHED);
}

/* Fills and drains a channel several times around its ring. */
static void fill_and_drain(size_t size, size_t capacity)
{
    unsigned char elem[ELEM_MAX];
    size_t sent = 0, received = 0;
    weft_chan *chan = weft_chan_new(size, capacity);
    CHECK(chan);
    CHECK_EQ(weft_chan_cap(chan), capacity);
    for (size_t keep = 0; keep < 5; keep++) {
        while (sent - received < capacity) {
            CHECK_EQ(weft_chan_len(chan), sent - received);
            fill(elem, size, sent++);
            CHECK_EQ(weft_chan_send_until(chan, elem, WEFT_NOWAIT), 0);
        }
        CHECK_EQ(weft_chan_len(chan), capacity);
        CHECK_EQ(weft_chan_send_until(chan, elem, WEFT_NOWAIT), -EAGAIN);
        while (sent - received > (keep < capacity ? keep : 0))
            recv_and_check(chan, size, received++);
        CHECK_EQ(weft_chan_len(chan), sent - received);
    }
    while (received < sent)
        recv_and_check(chan, size, received++);
    memset(elem, UNTOUCHED, sizeof elem);
    CHECK_EQ(weft_chan_recv_until(chan, elem, WEFT_NOWAIT), -EAGAIN);
    for (size_t i = 0; i < sizeof elem; i++)
        CHECK_EQ(elem[i], UNTOUCHED);
    weft_chan_unref(chan);
}

static void sizes_and_capacities(void)
{
    for
        EACH(i, elem_sizes)
        for
            EACH(j, capacities)
        fill_and_drain(elem_sizes[i], capacities[j]);
}

static void deadlines_that_cannot_be_met(void)
{
    int value = 1;
    weft_chan *chan = weft_chan_new(sizeof value, 1);
    int64_t start = weft_now(), duration = 3 * WEFT_MILLISECOND;

    CHECK_EQ(weft_chan_recv_until(chan, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_recv_until(chan, &value, 0), -ETIMEDOUT);
    CHECK_EQ(weft_chan_recv_until(chan, &value, start - 1), -ETIMEDOUT);
    CHECK_EQ(weft_chan_recv_until(chan, &value, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    CHECK_EQ(value, 1);

    /* What can be done at once is done, whatever the deadline. */
    CHECK_EQ(weft_chan_send_until(chan, &value, start - 1), 0);
    start = weft_now();
    CHECK_EQ(weft_chan_send_until(chan, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_send_until(chan, &value, start - 1), -ETIMEDOUT);
    CHECK_EQ(weft_chan_send_until(chan, &value, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    CHECK_EQ(weft_chan_len(chan), 1);
    value = 0;
    CHECK_EQ(weft_chan_recv_until(chan, &value, 0), 0);
    CHECK_EQ(value, 1);

    /* Waiters that gave up have left nothing behind. */
    CHECK_EQ(weft_chan_send_until(chan, &value, WEFT_FOREVER), 0);
    CHECK_EQ(weft_chan_recv_until(chan, &value, WEFT_FOREVER), 0);
    CHECK_EQ(weft_chan_len(chan), 0);
    weft_chan_unref(chan);
}

static void close_and_drain(void)
{
    for
        EACH(i, capacities)
        {
            int value;
            weft_chan *chan = weft_chan_new(sizeof value, capacities[i]);
            int buffered = (int)capacities[i] / 2 + (capacities[i] > 0);
            for (value = 0; value < buffered; value++)
                CHECK_EQ(weft_chan_send(chan, &value), 0);
            CHECK_EQ(weft_chan_close(chan), 0);
            CHECK_EQ(weft_chan_close(chan), -EPIPE);
            CHECK_EQ(weft_chan_send(chan, &value), -EPIPE);
            CHECK_EQ(weft_chan_send_until(chan, &value, WEFT_NOWAIT), -EPIPE);
            CHECK_EQ(weft_chan_send_until(chan, &value, 0), -EPIPE);
            CHECK_EQ(weft_chan_len(chan), buffered);
            for (int n = 0; n < buffered; n++) {
                if (n % 3 == 0)
                    CHECK_EQ(weft_chan_recv(chan, &value), 0);
                else
                    CHECK_EQ(weft_chan_recv_until(chan, &value, n % 3 == 1 ? 0 : WEFT_NOWAIT), 0);
                CHECK_EQ(value, n);
            }
            value = 12345;
            CHECK_EQ(weft_chan_recv(chan, &value), -EPIPE);
            CHECK_EQ(weft_chan_recv(chan, NULL), -EPIPE);
            CHECK_EQ(weft_chan_recv_until(chan, &value, WEFT_NOWAIT), -EPIPE);
            CHECK_EQ(weft_chan_recv_until(chan, &value, 0), -EPIPE);
            CHECK_EQ(value, 12345);
            CHECK_EQ(weft_chan_close(chan), -EPIPE);
            weft_chan_unref(chan);
        }
}

static void null_arguments(void)
{
    int value = 7;
    CHECK_EQ(weft_chan_send(NULL, &value), -EINVAL);
    CHECK_EQ(weft_chan_recv(NULL, &value), -EINVAL);
    CHECK_EQ(weft_chan_send_until(NULL, &value, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_chan_recv_until(NULL, &value, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_chan_close(NULL), -EINVAL);
    CHECK_EQ(weft_chan_len(NULL), 0);
    CHECK_EQ(weft_chan_cap(NULL), 0);
    CHECK(!weft_chan_ref(NULL));
    weft_chan_unref(NULL);

    weft_chan *chan = weft_chan_new(sizeof value, 3);
    CHECK_EQ(weft_chan_send(chan, NULL), -EINVAL);
    CHECK_EQ(weft_chan_send_until(chan, NULL, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_chan_len(chan), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_chan_send(chan, &i), 0);
    CHECK_EQ(weft_chan_recv(chan, NULL), 0); /* drops a value */
    CHECK_EQ(weft_chan_recv_until(chan, NULL, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 2);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_chan_send(chan, NULL), -EINVAL);
    weft_chan_unref(chan);

    chan = weft_chan_new(0, 2);
    CHECK_EQ(weft_chan_send(chan, NULL), 0);
    CHECK_EQ(weft_chan_send(chan, &value), 0);
    CHECK_EQ(weft_chan_send_until(chan, NULL, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(weft_chan_recv(chan, NULL), 0);
    CHECK_EQ(value, 2);
    weft_chan_unref(chan);
}

static void absurd_sizes(void)
{
    CHECK(!weft_chan_new(SIZE_MAX, 1));
    CHECK(!weft_chan_new(1, SIZE_MAX));
    CHECK(!weft_chan_new(SIZE_MAX, SIZE_MAX));
    CHECK(!weft_chan_new(SIZE_MAX / 2, 1));
    CHECK(!weft_chan_new((size_t)1 << 32, (size_t)1 << 32));
    CHECK(!weft_chan_new(SIZE_MAX / 8, 8));

    /* These take no memory, and are not absurd. */
    weft_chan *chan = weft_chan_new(0, SIZE_MAX);
    CHECK(chan);
    CHECK_EQ(weft_chan_cap(chan), SIZE_MAX);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_chan_send_until(chan, NULL, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_chan_len(chan), 1000);
    CHECK_EQ(weft_chan_recv(chan, NULL), 0);
    CHECK_EQ(weft_chan_len(chan), 999);
    weft_chan_unref(chan);
    chan = weft_chan_new(SIZE_MAX, 0);
    CHECK(chan);
    weft_chan_unref(chan);
}

static void references(void)
{
    int value = 5;
    weft_chan *chan = weft_chan_new(sizeof value, 1);
    for (int i = 0; i < 10; i++)
        CHECK(weft_chan_ref(chan) == chan);
    for (int i = 0; i < 10; i++) {
        weft_chan_unref(chan);
        CHECK_EQ(weft_chan_send(chan, &value), 0); /* AddressSanitizer would see it freed */
        CHECK_EQ(weft_chan_recv(chan, &value), 0);
    }
    CHECK_EQ(weft_chan_send(chan, &value), 0);
    weft_chan_unref(chan); /* with a value in it; LeakSanitizer would see it kept */
}

static void unaligned_elements(void)
{
    unsigned char memory[64];
    for
        EACH(i, elem_sizes)
        {
            if (elem_sizes[i] > 32)
                continue;
            weft_chan *chan = weft_chan_new(elem_sizes[i], 1);
            fill(memory + 1, elem_sizes[i], 9);
            CHECK_EQ(weft_chan_send(chan, memory + 1), 0);
            memset(memory, 0, sizeof memory);
            CHECK_EQ(weft_chan_recv(chan, memory + 3), 0);
            check_filled(memory + 3, elem_sizes[i], 9);
            weft_chan_unref(chan);
        }
}

#define BOTH(name)                                                                                 \
    TEST(name##_on_a_thread)                                                                       \
    {                                                                                              \
        name();                                                                                    \
    }                                                                                              \
    TEST_PROCS(name##_on_a_goroutine)                                                              \
    {                                                                                              \
        name();                                                                                    \
    }

BOTH(sizes_and_capacities)
BOTH(deadlines_that_cannot_be_met)
BOTH(close_and_drain)
BOTH(null_arguments)
BOTH(absurd_sizes)
BOTH(references)
BOTH(unaligned_elements)
