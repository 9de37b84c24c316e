/* SPDX-License-Identifier: MIT
 *
 * What the tests of select share.
 */
#ifndef SELECT_TEST_H
#define SELECT_TEST_H

#include "harness/test.h"

enum { UNTOUCHED = 77, ELEM_MAX = 4096, GUARD = 16, GUARD_BYTE = 0xA5 };

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static inline weft_case send_case(weft_chan *chan, const void *elem)
{
    return (weft_case){.chan = chan, .send = elem, .result = UNTOUCHED};
}

static inline weft_case recv_case(weft_chan *chan, void *elem)
{
    return (weft_case){.chan = chan, .recv = elem, .result = UNTOUCHED};
}

/* The chosen case's result is that one, and the others' were left alone. */
static inline void check_results(const weft_case *cases, int n, int chosen, int result)
{
    for (int i = 0; i < n; i++)
        CHECK_EQ(cases[i].result, i == chosen ? result : UNTOUCHED);
}

/* Nobody waits on an unbuffered channel: a losing case would be found here. */
static inline void check_deserted(weft_chan *chan)
{
    unsigned char elem[ELEM_MAX] = {0};
    CHECK_EQ(weft_chan_cap(chan), 0);
    CHECK_EQ(weft_chan_send_until(chan, elem, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_recv_until(chan, elem, WEFT_NOWAIT), -EAGAIN);
}

static inline void fill(unsigned char *elem, size_t size, size_t n)
{
    for (size_t i = 0; i < size; i++)
        elem[i] = (unsigned char)(n * 31 + i * 7 + 1);
}

/* Received was made of n, and nothing behind it was written. */
static inline void check_filled(const unsigned char *received, size_t size, size_t n)
{
    unsigned char expected[ELEM_MAX];
    fill(expected, size, n);
    CHECK(memcmp(received, expected, size) == 0);
    for (size_t i = size; i < size + GUARD; i++)
        CHECK_EQ(received[i], GUARD_BYTE);
}

static const size_t elem_sizes[] = {0, 1, 4, 8, 16, 17, ELEM_MAX};

/* On a foreign thread without a runtime, and on a goroutine. */
#define BOTH(name)                                                                                 \
    TEST(name##_on_a_thread)                                                                       \
    {                                                                                              \
        name();                                                                                    \
    }                                                                                              \
    TEST_PROCS(name##_on_a_goroutine)                                                              \
    {                                                                                              \
        name();                                                                                    \
    }

#endif
