/* SPDX-License-Identifier: MIT
 *
 * The stress tests of channels, on a channel with wide windows.
 */
#include "unit/perturb.h"

#include "sync/chan.c"

#include "stress/chan.c"
