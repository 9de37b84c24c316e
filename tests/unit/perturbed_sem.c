/* SPDX-License-Identifier: MIT
 *
 * The tests and stress tests of the semaphore, on one with wide windows.
 */
#include "unit/perturb.h"

#include "sync/sem.c"

#include "api/sem.c"
#include "stress/sem.c"
