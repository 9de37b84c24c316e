/* SPDX-License-Identifier: MIT
 *
 * The tests and stress tests of the rwmutex, on one with wide windows.
 */
#include "unit/perturb.h"

#include "sync/rwmutex.c"

#include "api/rwmutex.c"
#include "stress/rwmutex.c"
