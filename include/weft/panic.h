/* SPDX-License-Identifier: MIT
 *
 * Panic: the end of a program that broke a rule.
 */
#ifndef WEFT_PANIC_H
#define WEFT_PANIC_H

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* Prints "panic: " and the message with the goroutine it happened in, and exits with status 2.
 * Any thread. */
WEFT_API WEFT_NORETURN void weft_panic(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

WEFT_END_DECLS

#endif
