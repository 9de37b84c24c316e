/* SPDX-License-Identifier: MIT
 *
 * Network addresses as text. Nothing is looked up here (api/resolve.h), and no memory is taken.
 */
#ifndef WI_API_ADDRESS_H
#define WI_API_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
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
};

enum wi_address_use { WI_ADDRESS_LISTEN, WI_ADDRESS_DIAL };

enum {
    WI_HOST_MAX = 254, /* a name in DNS, and a dot at its end */
    WI_SERVICE_MAX = 64
};

/* What a network and an address say by themselves. Without host and service it is all in known,
 * best first. With a service, the addresses in known still lack their port. With a host there are
 * none. */
struct wi_place {
    int type;
    int family;    /* AF_UNIX; AF_INET, AF_INET6, or AF_UNSPEC for both of these */
    uint16_t port; /* unless there is a service */
    int count;     /* of known */
    struct wi_address known[2];
    char host[WI_HOST_MAX + 1];       /* a name to be looked up, or "" */
    char service[WI_SERVICE_MAX + 1]; /* likewise */
};

/* Networks and addresses as net.h says. 0 or -EINVAL. */
int wi_place_parse(const char *network, const char *address, enum wi_address_use use,
                   struct wi_place *result);

/* Of an IPv4 or IPv6 address. */
void wi_address_set_port(struct wi_address *address, uint16_t port);
uint16_t wi_address_port(const struct wi_address *address);

#endif
