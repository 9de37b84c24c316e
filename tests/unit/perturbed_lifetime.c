/* SPDX-License-Identifier: MIT
 *
 * The tests of mutex and waitgroup, some of which free them at once, on ones with wide windows.
 */
#include "unit/perturb.h"

#include "sync/mutex.c"
#include "sync/waitgroup.c"

#include "api/mutex.c"
#include "api/waitgroup.c"
