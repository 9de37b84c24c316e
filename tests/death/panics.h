/* SPDX-License-Identifier: MIT
 *
 * A broken rule is a panic, whoever else runs.
 */
#ifndef PANICS_H
#define PANICS_H

#include "harness/test.h"

/* The body, as the main goroutine at maxprocs 1 and 8, panics with that text. */
#define PANICS(name, text, ...)                                                                    \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }                                                                                              \
    DEATH_TEST(name##_1, 2, "panic: \n" text)                                                      \
    {                                                                                              \
        test_in_runtime(1, run_##name);                                                            \
    }                                                                                              \
    DEATH_TEST(name##_8, 2, "panic: \n" text)                                                      \
    {                                                                                              \
        test_in_runtime(8, run_##name);                                                            \
    }

#endif
