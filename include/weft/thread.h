/* SPDX-License-Identifier: MIT
 *
 * Pinning a goroutine to its thread, for libraries that keep state per thread.
 */
#ifndef WEFT_THREAD_H
#define WEFT_THREAD_H

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* Pins the calling goroutine to the thread it runs on: it runs nowhere else, and nothing else runs
 * there, until as many unlocks. A goroutine that ends while pinned ends its thread. Unlock without
 * a lock is a panic. On a foreign thread both do nothing. */
WEFT_API void weft_lock_os_thread(void);
WEFT_API void weft_unlock_os_thread(void);

WEFT_END_DECLS

#endif
