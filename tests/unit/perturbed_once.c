/* SPDX-License-Identifier: MIT
 *
 * The tests and stress tests of once, on one with wide windows.
 */
#include "unit/perturb.h"

#include "sync/once.c"

#include "api/once.c"
#include "stress/once.c"
