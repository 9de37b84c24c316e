/* SPDX-License-Identifier: MIT
 *
 * An array of pointers in address space reserved for as many as there can be: appending allocates
 * nothing, cannot fail for want of memory, and never moves. Pages appear on first touch.
 */
#ifndef WI_CORE_ARRAY_H
#define WI_CORE_ARRAY_H

#include <errno.h>
#include <stddef.h>

#include "os/os.h"

struct wi_g;

struct wi_array {
    struct wi_g **items;
    size_t capacity;
    size_t count;
};

/* capacity is a power of two, and taken smaller where address space is short. 0 or -ENOMEM. */
static inline int wi_array_init(struct wi_array *array, size_t capacity)
{
    enum { LEAST = 1 << 16 };
    while (!(array->items = wi_os_reserve(capacity * sizeof *array->items, wi_os_page_size()))) {
        capacity /= 4;
        if (capacity < LEAST)
            return -ENOMEM;
    }
    array->capacity = capacity;
    array->count = 0;
    return 0;
}

#endif
