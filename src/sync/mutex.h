/* SPDX-License-Identifier: MIT
 *
 * The mutex, for callers that are in the runtime already. The rules stand in mutex.c.
 */
#ifndef WI_SYNC_MUTEX_H
#define WI_SYNC_MUTEX_H

#include <stdbool.h>

#include <weft/sync.h>

#include "core/g.h"

/* Whether somebody owns it. Of use only to one who does. */
bool wi_mutex_is_locked(const weft_mutex *mutex);

/* In the runtime; may park. */
void wi_mutex_lock(struct wi_g *gp, weft_mutex *mutex);

/* By the owner. In the runtime, on g0, or from a foreign thread; never parks and never gives way.
 */
void wi_mutex_unlock(weft_mutex *mutex);

#endif
