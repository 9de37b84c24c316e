/* SPDX-License-Identifier: MIT
 *
 * weft: goroutines for C. This umbrella includes every public header; each of them is
 * self-contained and can be included alone.
 *
 * Conventions that hold everywhere:
 *   - Functions return a value >= 0, or a negative errno. errno itself means nothing after a weft
 *     call, like after any other; each goroutine has its own.
 *   - Time is int64_t nanoseconds on the monotonic clock. A *deadline* is absolute.
 *   - Every sync type is ready when zero-initialised and needs no destroy.
 *   - "may park": the calling goroutine may be taken off its thread. A thread that weft did not
 *     start (a foreign thread) blocks on a futex instead.
 *   - "any thread": callable from goroutines and from foreign threads alike.
 *   - Nothing is signal-safe unless it says so. Whatever is not may also move the calling goroutine to
 *     another thread: it gives way there when its time slice is over.
 */
#ifndef WEFT_H
#define WEFT_H

#include <weft/blocking.h>
#include <weft/chan.h>
#include <weft/context.h>
#include <weft/file.h>
#include <weft/go.h>
#include <weft/group.h>
#include <weft/net.h>
#include <weft/panic.h>
#include <weft/process.h>
#include <weft/runtime.h>
#include <weft/server.h>
#include <weft/signal.h>
#include <weft/sync.h>
#include <weft/thread.h>
#include <weft/time.h>

#endif
