/* SPDX-License-Identifier: MIT
 *
 * Declaring that a goroutine is about to block its thread in a call that knows nothing of weft.
 */
#ifndef WEFT_BLOCKING_H
#define WEFT_BLOCKING_H

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* Between begin and end the goroutine's scheduler slot can be given to another thread, so that the
 * others go on. Entering and leaving cost a few nanoseconds when the call was short. Regions nest.
 * Inside one every weft call still works. end without begin is a panic. On a foreign thread both do
 * nothing. end may park. Any thread. */
WEFT_API void weft_blocking_begin(void);
WEFT_API void weft_blocking_end(void);

/* fn(arg) inside such a region, and its result; -EINVAL if fn is NULL. */
WEFT_API long weft_blocking(long (*fn)(void *arg), void *arg);

WEFT_END_DECLS

#endif
