/* SPDX-License-Identifier: MIT
 *
 * Reading the environment; see env.h.
 */
#include "core/env.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/sched.h"

const char *wi_env_text(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

void wi_env_ignored(const char *name, const char *expected)
{
    wi_print("weft: ignoring %s=%.100s: expected %s\n", name, getenv(name), expected);
}

/* Digits only: strtol would take signs and spaces, and errno for overflow. */
static bool parse(const char *text, unsigned long limit, unsigned long *value, const char **end)
{
    unsigned long sum = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned long digit = (unsigned long)(*p - '0');
        if (sum > (limit - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    *end = p;
    return p != text;
}

long wi_env_number(const char *name, long low, long high, long fallback)
{
    const char *text = wi_env_text(name);
    unsigned long value;
    const char *end;
    if (!text)
        return fallback;
    if (parse(text, LONG_MAX, &value, &end) && !*end && (long)value >= low && (long)value <= high)
        return (long)value;
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from %ld to %ld", low, high);
    wi_env_ignored(name, expected);
    return fallback;
}

size_t wi_env_size(const char *name, size_t low, size_t high, size_t fallback)
{
    const char *text = wi_env_text(name);
    unsigned long value;
    const char *end;
    if (!text)
        return fallback;
    if (parse(text, ULONG_MAX, &value, &end)) {
        int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
        end += shift != 0;
        if (!*end && value <= (high >> shift) && (value << shift) >= low)
            return value << shift;
    }
    char expected[80];
    snprintf(expected, sizeof expected, "bytes from %zu to %zu, with K, M or G", low, high);
    wi_env_ignored(name, expected);
    return fallback;
}
