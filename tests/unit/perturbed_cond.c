/* SPDX-License-Identifier: MIT
 *
 * The tests and stress tests of the condition variable, on one with wide windows, and so the mutex.
 */
#include "unit/perturb.h"

#include "sync/mutex.c"
#include "sync/cond.c"

#include "api/cond.c"
#include "stress/cond.c"
