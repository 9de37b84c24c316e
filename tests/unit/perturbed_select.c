/* SPDX-License-Identifier: MIT
 *
 * The tests of waiting selects, the stress tests, and those against the model, on channels and
 * selects with wide windows: also between the locks that a parked select releases, and between
 * the loads of a look without locks.
 */
#include "unit/perturb.h"

#include "sync/chan.c"
#include "sync/select.c"

#include "api/select_wait.c"
#include "stress/model.c"
#include "stress/select.c"
