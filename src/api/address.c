/* SPDX-License-Identifier: MIT
 *
 * Network addresses as text: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "localhost:http",
 * "example.org:80", ":80", "/run/socket", "@abstract". What cannot be read completely is malformed.
 *
 * A host whose last label is a number can only be meant as an IPv4 address. What inet_aton and so
 * getaddrinfo make of "127.1", "0177.0.0.1" or "2130706433" has let many an address pass a check
 * that took it for a name; here it is malformed, as no top-level domain is a number.
 */
#include "api/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <weft/net.h>

#include "os/name.h"
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

/* ---- Numbers and names ---- */

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

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* Digits, or "0x" and anything that begins so. */
static bool is_number_like(const char *label, size_t length)
{
    size_t digits = 0;
    while (digits < length && is_digit(label[digits]))
        digits++;
    return digits == length || (digits == 1 && label[0] == '0' && (label[1] | 0x20) == 'x');
}

/* A name in DNS or the hosts file: labels of up to 63 letters, digits, '-' and '_' with dots
 * between them, and perhaps one at the end. */
static bool is_host_name(const char *host)
{
    size_t length = 0;
    const char *label = host;
    const char *last = host;
    for (const char *p = host;; p++) {
        if (*p == '.' || !*p) {
            length = (size_t)(p - label);
            if (length == 0 || length > 63)
                return false;
            last = label;
            label = p + 1;
            if (!*p || !*label)
                break;
        } else if (!is_digit(*p) && !is_letter(*p) && *p != '-' && *p != '_') {
            return false;
        }
    }
    return !is_number_like(last, length);
}

/* At least one letter: anything else is a number that is none. */
static bool is_service_name(const char *service)
{
    bool letter = false;
    if (!is_digit(*service) && !is_letter(*service))
        return false;
    for (; *service; service++) {
        if (!is_digit(*service) && !is_letter(*service) && !strchr("-_+./*", *service))
            return false;
        letter = letter || is_letter(*service);
    }
    return letter;
}

/* RFC 6761: these names mean the loopback addresses, and are not looked up. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t size = sizeof name - 1;
    size_t length = strlen(host);
    if (length > 0 && host[length - 1] == '.')
        length--;
    if (length < size || strncasecmp(host + length - size, name, size) != 0)
        return false;
    return length == size || host[length - size - 1] == '.';
}

/* Copies the host, without its brackets, and takes the port or the service. */
static bool split(const char *address, struct wi_place *place, bool *bracketed)
{
    const char *colon = strrchr(address, ':');
    uint32_t number;
    if (!colon)
        return false;
    if (parse_number(colon + 1, UINT16_MAX, &number)) {
        place->port = (uint16_t)number;
    } else {
        size_t length = strlen(colon + 1);
        if (length >= sizeof place->service || !is_service_name(colon + 1))
            return false;
        memcpy(place->service, colon + 1, length + 1);
    }
    size_t length = (size_t)(colon - address);
    *bracketed = address[0] == '[';
    if (*bracketed) {
        if (length < 3 || address[length - 1] != ']')
            return false;
        address++;
        length -= 2;
    }
    if (length >= sizeof place->host)
        return false;
    memcpy(place->host, address, length);
    place->host[length] = '\0';
    return true;
}

/* ---- Addresses ---- */

void wi_address_set_port(struct wi_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

uint16_t wi_address_port(const struct wi_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

static void add_v4(struct wi_place *place, in_addr_t host)
{
    struct wi_address *address = &place->known[place->count++];
    memset(address, 0, sizeof *address);
    address->v4.sin_family = AF_INET;
    address->v4.sin_addr.s_addr = host;
    address->v4.sin_port = htons(place->port);
    address->size = sizeof address->v4;
    address->type = place->type;
}

static void add_v6(struct wi_place *place, const struct in6_addr *host, uint32_t scope)
{
    struct wi_address *address = &place->known[place->count++];
    memset(address, 0, sizeof *address);
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_addr = *host;
    address->v6.sin6_scope_id = scope;
    address->v6.sin6_port = htons(place->port);
    address->size = sizeof address->v6;
    address->type = place->type;
    address->v6_only = place->family == AF_INET6;
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

/* Every address, to a listener. Where there is IPv6 its wildcard takes both families; the other one
 * is for systems without. */
static void add_wildcards(struct wi_place *place, int families)
{
    if (families & V6)
        add_v6(place, &in6addr_any, 0);
    if (families & V4)
        add_v4(place, htonl(INADDR_ANY));
}

/* Most of what listens on the machine itself listens on IPv4's. */
static void add_loopbacks(struct wi_place *place, int families)
{
    if (families & V4)
        add_v4(place, htonl(INADDR_LOOPBACK));
    if (families & V6)
        add_v6(place, &in6addr_loopback, 0);
}

static int parse_inet(int families, const char *address, enum wi_address_use use,
                      struct wi_place *place)
{
    bool bracketed;
    struct in_addr v4;
    struct in6_addr v6;
    uint32_t scope;
    place->family = families == V4 ? AF_INET : families == V6 ? AF_INET6 : AF_UNSPEC;
    place->port = 0;
    place->service[0] = '\0';
    if (!split(address, place, &bracketed))
        return -EINVAL;
    if (bracketed) {
        if (!(families & V6) || !parse_v6(place->host, &v6, &scope))
            return -EINVAL;
        add_v6(place, &v6, scope);
    } else if (!place->host[0] && use == WI_ADDRESS_LISTEN) {
        add_wildcards(place, families);
    } else if (!place->host[0] || (is_localhost(place->host) && is_host_name(place->host))) {
        add_loopbacks(place, families);
    } else if (inet_pton(AF_INET, place->host, &v4) == 1) {
        if (!(families & V4))
            return -EINVAL;
        add_v4(place, v4.s_addr);
    } else {
        return is_host_name(place->host) ? 0 : -EINVAL;
    }
    place->host[0] = '\0';
    return 0;
}

/* A path ends with a NUL. An abstract name begins with one instead of its '@' and has none at its
 * end. An empty one would mean something else: that the kernel is to choose. */
static int parse_unix(const char *address, struct wi_place *place)
{
    struct wi_address *result = &place->known[0];
    size_t length = strlen(address);
    bool abstract = address[0] == '@';
    size_t size = abstract ? length : length + 1;
    if (length < (abstract ? 2 : 1) || size > sizeof result->un.sun_path)
        return -EINVAL;
    memset(result, 0, sizeof *result);
    result->un.sun_family = AF_UNIX;
    result->type = place->type;
    memcpy(result->un.sun_path, address, size);
    if (abstract)
        result->un.sun_path[0] = '\0';
    result->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    place->family = AF_UNIX;
    place->count = 1;
    place->service[0] = '\0';
    place->host[0] = '\0';
    return 0;
}

int wi_place_parse(const char *network, const char *address, enum wi_address_use use,
                   struct wi_place *result)
{
    if (!network || !address)
        return -EINVAL;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (strcmp(network, networks[i].name) != 0)
            continue;
        result->type = networks[i].type;
        result->count = 0;
        if (networks[i].families == 0)
            return parse_unix(address, result);
        return parse_inet(networks[i].families, address, use, result);
    }
    return -EINVAL;
}

/* ---- Addresses to text ---- */

enum { TEXT_MAX = sizeof(struct sockaddr_un) + INET6_ADDRSTRLEN };

static int text_of_v4(const struct sockaddr_in *v4, char *text)
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return snprintf(text, TEXT_MAX, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
}

static int text_of_v6(const struct sockaddr_in6 *v6, char *text)
{
    char host[INET6_ADDRSTRLEN];
    char scope[WI_OS_INTERFACE_MAX + 1] = "";
    unsigned port = ntohs(v6->sin6_port);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id == 0)
        return snprintf(text, TEXT_MAX, "[%s]:%u", host, port);
    if (!wi_os_interface_name(v6->sin6_scope_id, scope))
        snprintf(scope, sizeof scope, "%u", (unsigned)v6->sin6_scope_id);
    return snprintf(text, TEXT_MAX, "[%s%%%s]:%u", host, scope, port);
}

/* A path that begins with '@' gets a "./", so that it is not taken for an abstract name. One with a
 * NUL in its middle has no text. */
static int text_of_unix(const struct sockaddr_un *un, socklen_t size, char *text)
{
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    const char *path = un->sun_path;
    const char *prefix = "";
    if (length > 0 && path[0] == '\0') {
        path++;
        length--;
        if (length == 0 || memchr(path, '\0', length))
            return -EINVAL;
        prefix = "@";
    } else {
        length = strnlen(path, length);
        if (length > 0 && path[0] == '@')
            prefix = "./";
    }
    return snprintf(text, TEXT_MAX, "%s%.*s", prefix, (int)length, path);
}

int weft_addr_text(const struct sockaddr *addr, socklen_t size, char *text, size_t capacity)
{
    char result[TEXT_MAX];
    int length = -EINVAL;
    if (!addr || (!text && capacity > 0) || size < offsetof(struct sockaddr, sa_data))
        return -EINVAL;
    const void *specific = addr;
    if (addr->sa_family == AF_INET && size >= sizeof(struct sockaddr_in))
        length = text_of_v4(specific, result);
    else if (addr->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6))
        length = text_of_v6(specific, result);
    else if (addr->sa_family == AF_UNIX && size <= sizeof(struct sockaddr_un))
        length = text_of_unix(specific, size, result);
    if (length < 0)
        return length;
    if ((size_t)length >= capacity)
        return -ENOSPC;
    memcpy(text, result, (size_t)length + 1);
    return length;
}
