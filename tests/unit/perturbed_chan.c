/* SPDX-License-Identifier: MIT
 *
 * The tests of two sides, and the stress tests, on channels with wide windows.
 */
#include "unit/perturb.h"

#include "sync/chan.c"

#include "api/chan_pair.c"
#include "stress/chan.c"
