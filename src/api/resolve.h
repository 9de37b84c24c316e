/* SPDX-License-Identifier: MIT
 *
 * From a network and an address as text to the addresses that they name.
 *
 * resolve.c is the front: it answers literals, loopback names and wildcards by itself. What is left
 * is looked up by one of two: resolve_ares.c, which waits for name servers in the netpoller, or
 * resolve_libc.c, which lets getaddrinfo block a few threads. Names of services alone are a file's
 * matter, and the latter's in any case.
 */
#ifndef WI_API_RESOLVE_H
#define WI_API_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/address.h"

struct wi_addresses {
    struct wi_address *list; /* in place, or allocated; best first */
    struct wi_place place;
};

/* The number of addresses, at least 1, in addresses->list, or what weft_resolve says. A deadline
 * that has passed is -ETIMEDOUT before anything else but -EINVAL. May park; any thread. */
int wi_resolve(const char *network, const char *address, enum wi_address_use use, int64_t deadline,
               struct wi_addresses *addresses);

/* After it succeeded. */
void wi_addresses_free(struct wi_addresses *addresses);

/* ---- Between the front and the two behind it ---- */

/* What to look up: host or service, or both. */
struct wi_lookup {
    const char *host;    /* or NULL: then the answer is one address, whose port counts */
    const char *service; /* or NULL */
    int family;
    int type;
};

/* The number of addresses in *list, at least 1, which free(3) frees; or -errno. Ports are 0 unless
 * there is a service; types are as asked. deadline is in the future. */
int wi_resolve_libc(const struct wi_lookup *lookup, int64_t deadline, struct wi_address **list);
int wi_resolve_ares(const struct wi_lookup *lookup, int64_t deadline, struct wi_address **list);

/* Whether weft was built with c-ares and the program is linked with it. */
bool wi_resolve_ares_linked(void);

/* For tests: name servers to ask instead of the system's, "127.0.0.1:5353", and how long to wait
 * for an answer and how often to ask; NULL: the system's again. Not while lookups are under way. */
void wi_resolve_ares_servers(const char *servers, int milliseconds, int tries);

/* An address of the C library's or c-ares's, if it is IPv4 or IPv6. */
bool wi_address_copy(struct wi_address *to, const struct sockaddr *from, socklen_t size, int type);

#endif
