/* SPDX-License-Identifier: MIT
 *
 * Contexts: cancellation, deadlines and values that a tree of goroutines shares, as in Go. A
 * context is immutable but for its cancellation, counted, and keeps its parent. Every function: any
 * thread; none parks.
 */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include <stdint.h>

#include <weft/chan.h>
#include <weft/export.h>

WEFT_BEGIN_DECLS

typedef struct weft_ctx weft_ctx;

/* The root: never cancelled, without deadline or values; not counted. */
WEFT_API weft_ctx *weft_ctx_background(void);

/* A child of parent, which is cancelled when the parent is, at once if that has happened, and which
 * can be cancelled alone. with_deadline: also with -ETIMEDOUT at the deadline, or at the parent's
 * if that is earlier; it ends with the runtime, and cancels nothing afterwards. with_value: value
 * is found under the key, an address that the caller owns; a NULL key is a panic. The caller holds
 * one reference. NULL: out of memory, parent is NULL, or the deadline is in the future, before the
 * parent's, and no runtime runs. */
WEFT_API weft_ctx *weft_ctx_with_cancel(weft_ctx *parent);
WEFT_API weft_ctx *weft_ctx_with_deadline(weft_ctx *parent, int64_t deadline);
WEFT_API weft_ctx *weft_ctx_with_value(weft_ctx *parent, const void *key, void *value);

/* Cancels ctx and all that descend from it, with a reason that is a negative errno; 0 stands for
 * -ECANCELED. The first reason stays, and what descends gets its parent's. No effect on the parent.
 * A positive reason, NULL or the background: a panic. When it returns, all descendants are
 * cancelled. Not after a run in which goroutines were discarded that waited on one of them
 * (weft_run). */
WEFT_API void weft_ctx_cancel(weft_ctx *ctx, int reason);

/* 0 while not cancelled, then the reason: -ECANCELED, -ETIMEDOUT, …. -EINVAL: NULL. */
WEFT_API int weft_ctx_err(weft_ctx *ctx);

/* A channel that is closed on cancellation; it lives as long as ctx. NULL, which is never ready in
 * a select, for the background and NULL. */
WEFT_API weft_chan *weft_ctx_done(weft_ctx *ctx);

/* The deadline; WEFT_FOREVER if there is none, or ctx is NULL. */
WEFT_API int64_t weft_ctx_deadline(weft_ctx *ctx);

/* The value under key in ctx or its nearest ancestor that has one; NULL if none. */
WEFT_API void *weft_ctx_value(weft_ctx *ctx, const void *key);

/* Take and drop a reference; with the last, ctx leaves its parent and is freed, and its deadline no
 * longer counts. Both allow NULL; ref returns its argument. */
WEFT_API weft_ctx *weft_ctx_ref(weft_ctx *ctx);
WEFT_API void weft_ctx_unref(weft_ctx *ctx);

WEFT_END_DECLS

#endif
