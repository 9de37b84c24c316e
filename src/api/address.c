/* SPDX-License-Identifier: MIT
 *
 * Network addresses as text: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "localhost:80",
 * ":80",
 * "/run/socket", "@abstract". Nothing is looked up; what cannot be read completely is malformed.
 */
#include "api/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "os/socket.h"

enum { V4 = 1, V6 = 2 };

static const struct {
    const char *name;
    int families; /* 0: unix */
    int type;
} networks[] = {
    {"tcp", V4 | V6, SOCK_STREAM}, {"tcp4", V4, SOCK_STREAM},   {"tcp6", V6, SOCK_STREAM},
    {"udp", V4 | V6, SOCK_DGRAM},  {"udp4", V4, SOCK_DGRAM},    {"udp6", V6, SOCK_DGRAM},
    {"unix", 0, SOCK_STREAM},      {"unixgram", 0, SOCK_DGRAM}, {"unixpacket", 0, SOCK_SEQPACKET},
};

/* Decimal digits up to max; the end of the text must follow. */
static bool parse_number(const char *text, uint32_t max, uint32_t *result)
{
    uint32_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint32_t digit = (uint32_t)(*text - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *result = value;
    return true;
}

/* Copies the host, without its brackets, and finds the port. */
static bool split(const char *address, char *host, size_t host_size, bool *bracketed,
                  uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    uint32_t number;
    if (!colon || !parse_number(colon + 1, UINT16_MAX, &number))
        return false;
    size_t length = (size_t)(colon - address);
    *bracketed = address[0] == '[';
    if (*bracketed) {
        if (length < 3 || address[length - 1] != ']')
            return false;
        address++;
        length -= 2;
    }
    if (length >= host_size)
        return false;
    memcpy(host, address, length);
    host[length] = '\0';
    *port = (uint16_t)number;
    return true;
}

static void set_v4(struct wi_address *result, struct in_addr host, uint16_t port)
{
    result->v4.sin_family = AF_INET;
    result->v4.sin_addr = host;
    result->v4.sin_port = htons(port);
    result->size = sizeof result->v4;
}

static void set_v6(struct wi_address *result, struct in6_addr host, uint32_t scope, uint16_t port)
{
    result->v6.sin6_family = AF_INET6;
    result->v6.sin6_addr = host;
    result->v6.sin6_scope_id = scope;
    result->v6.sin6_port = htons(port);
    result->size = sizeof result->v6;
}

/* An IPv6 literal with or without "%scope", the name or the number of an interface. host is
 * changed. */
static bool parse_v6(char *host, struct in6_addr *address, uint32_t *scope)
{
    char *percent = strchr(host, '%');
    *scope = 0;
    if (percent) {
        *percent = '\0';
        if (!parse_number(percent + 1, UINT32_MAX, scope))
            *scope = wi_os_interface(percent + 1);
        if (*scope == 0)
            return false;
    }
    return inet_pton(AF_INET6, host, address) == 1;
}

static int parse_inet(int families, const char *address, enum wi_address_use use,
                      struct wi_address *result)
{
    char host[INET6_ADDRSTRLEN + 1 + 16]; /* a scope is an interface's name */
    bool bracketed;
    uint16_t port;
    struct in_addr v4;
    struct in6_addr v6;
    uint32_t scope;
    if (!split(address, host, sizeof host, &bracketed, &port))
        return -EINVAL;
    result->v6_only = !(families & V4);
    if (bracketed) {
        if (!(families & V6) || !parse_v6(host, &v6, &scope))
            return -EINVAL;
        set_v6(result, v6, scope, port);
    } else if (!*host && use == WI_ADDRESS_LISTEN && (families & V6)) {
        set_v6(result, in6addr_any, 0, port);
        result->or_v4 = families & V4;
    } else if (!*host && use == WI_ADDRESS_LISTEN) {
        set_v4(result, (struct in_addr){htonl(INADDR_ANY)}, port);
    } else if (!*host || strcmp(host, "localhost") == 0) {
        if (families & V4)
            set_v4(result, (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
        else
            set_v6(result, in6addr_loopback, 0, port);
    } else {
        if (!(families & V4) || inet_pton(AF_INET, host, &v4) != 1)
            return -EINVAL;
        set_v4(result, v4, port);
    }
    return 0;
}

/* A path ends with a NUL. An abstract name begins with one instead of its '@' and has none at its
 * end. An empty one would mean something else: that the kernel is to choose. */
static int parse_unix(const char *address, struct wi_address *result)
{
    size_t length = strlen(address);
    bool abstract = address[0] == '@';
    size_t size = abstract ? length : length + 1;
    if (length < (abstract ? 2 : 1) || size > sizeof result->un.sun_path)
        return -EINVAL;
    result->un.sun_family = AF_UNIX;
    memcpy(result->un.sun_path, address, size);
    if (abstract)
        result->un.sun_path[0] = '\0';
    result->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return 0;
}

int wi_address_parse(const char *network, const char *address, enum wi_address_use use,
                     struct wi_address *result)
{
    if (!network || !address)
        return -EINVAL;
    memset(result, 0, sizeof *result);
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (strcmp(network, networks[i].name) != 0)
            continue;
        result->type = networks[i].type;
        if (networks[i].families == 0)
            return parse_unix(address, result);
        return parse_inet(networks[i].families, address, use, result);
    }
    return -EINVAL;
}

struct wi_address wi_address_v4_wildcard(const struct wi_address *address)
{
    struct wi_address result = {.type = address->type};
    set_v4(&result, (struct in_addr){htonl(INADDR_ANY)}, ntohs(address->v6.sin6_port));
    return result;
}
