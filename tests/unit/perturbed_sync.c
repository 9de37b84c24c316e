/* SPDX-License-Identifier: MIT
 *
 * The stress tests of mutex and waitgroup, on ones with wide windows.
 */
#include "unit/perturb.h"

#include "sync/mutex.c"
#include "sync/waitgroup.c"

#include "stress/sync.c"
