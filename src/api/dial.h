/* SPDX-License-Identifier: MIT
 *
 * What dialling one address (dial.c) and racing several (race.c) share.
 */
#ifndef WI_API_DIAL_H
#define WI_API_DIAL_H

#include <stdint.h>

#include "api/address.h"

/* Puts a socket into *fd and begins to connect it to an IPv4 or IPv6 address. 0: it is connected;
 * -EINPROGRESS: not yet; another error, and there is no socket. Does not park. */
int wi_dial_begin(const struct wi_address *to, int *fd);

/* The first of several such addresses to connect, as net.h says of weft_dial. deadline is in the
 * future or WEFT_NOWAIT. May park; any thread. */
int wi_dial_race(const struct wi_address *list, int count, int64_t deadline);

#endif
