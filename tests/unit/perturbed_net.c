/* SPDX-License-Identifier: MIT
 *
 * The tests of turns and the stress tests, on a netpoller with wide windows: in begin, end, close
 * and the passing on of turns, in waiting and waking, and in goroutines yet to start.
 */
#include "unit/perturb.h"

#include "core/netpoll.c"
#include "core/polldesc.c"
#include "core/pollturn.c"
#include "core/pollwhen.c"

#include "api/net_turns.c"
#include "stress/net_turns.c"
