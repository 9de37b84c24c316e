/* SPDX-License-Identifier: MIT
 *
 * Network addresses as text.
 */
#ifndef WI_API_ADDRESS_H
#define WI_API_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct wi_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    };
    socklen_t size;
    int type;     /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
    bool v6_only; /* a listener on [::] takes no IPv4 connections */
    bool or_v4;   /* an IPv4 wildcard will do where there is no IPv6 */
};

enum wi_address_use { WI_ADDRESS_LISTEN, WI_ADDRESS_DIAL };

/* Networks and addresses as net.h says. 0 or -EINVAL. */
int wi_address_parse(const char *network, const char *address, enum wi_address_use use,
                     struct wi_address *result);

/* The IPv4 wildcard with the port of an IPv6 address. */
struct wi_address wi_address_v4_wildcard(const struct wi_address *address);

#endif
