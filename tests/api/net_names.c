/* SPDX-License-Identifier: MIT
 *
 * Names that need no name server: loopback names, services, the hosts file. tests/unit/resolve.c
 * has a server; tests/api/net_names_libc.c is the same program without optional libraries.
 */
#include "api/net_test.h"

#include <netdb.h>

static int resolve(const char *network, const char *address, weft_addr *addr)
{
    return weft_resolve(network, address, addr, 1, weft_after(60 * WEFT_SECOND));
}

static void first_is(const char *network, const char *address, int count, const char *expected)
{
    weft_addr addr;
    char text[128];
    int result = resolve(network, address, &addr);
    if (result != count)
        FAIL("%s %s: %d", network, address, result);
    CHECK_GT(weft_addr_text((const struct sockaddr *)&addr.addr, addr.size, text, sizeof text), 0);
    CHECK_STR(text, expected);
}

TEST_PROCS(without_lookup)
{
    first_is("tcp", "127.0.0.1:80", 1, "127.0.0.1:80");
    first_is("udp6", "[::1]:53", 1, "[::1]:53");
    first_is("tcp", "localhost:80", 2, "127.0.0.1:80");
    first_is("tcp", "www.localhost:80", 2, "127.0.0.1:80");
    first_is("tcp", ":80", 2, "127.0.0.1:80");
    first_is("tcp4", "localhost:80", 1, "127.0.0.1:80");
    first_is("udp6", "localhost:80", 1, "[::1]:80");
    first_is("unix", "/run/socket", 1, "/run/socket");
    first_is("unixgram", "@socket", 1, "@socket");
    CHECK_EQ(weft_resolve("tcp", "localhost:1", NULL, 0, WEFT_NOWAIT), 2);
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:1", NULL, 0, WEFT_NOWAIT), 1);
    weft_addr addrs[3];
    memset(addrs, 0x5A, sizeof addrs);
    CHECK_EQ(weft_resolve("tcp", "localhost:1", addrs, 3, WEFT_FOREVER), 2);
    CHECK_EQ(addrs[0].addr.ss_family, AF_INET);
    CHECK_EQ(addrs[1].addr.ss_family, AF_INET6);
    CHECK_EQ(((unsigned char *)&addrs[2])[0], 0x5A);
}

TEST_PROCS(bad_arguments)
{
    weft_addr addr;
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:1", &addr, -1, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:1", NULL, 1, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_resolve(NULL, "127.0.0.1:1", &addr, 1, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_resolve("tcp", NULL, &addr, 1, WEFT_FOREVER), -EINVAL);
    static const char *const malformed[] = {"",       "host",    "host:",    ":",
                                            "a..b:1", "a b:80",  "127.1:80", "host:65536",
                                            "::1:1",  "[host]:1"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        CHECK_EQ(resolve("tcp", malformed[i], &addr), -EINVAL);
    CHECK_EQ(resolve("ip", "127.0.0.1:1", &addr), -EINVAL);
}

/* Malformed is said first, then that it is too late, then that it takes a lookup. */
TEST_PROCS(deadlines)
{
    CHECK_EQ(weft_resolve("tcp", "no host:80", NULL, 0, weft_now() - 1), -EINVAL);
    CHECK_EQ(weft_resolve("tcp", "host.invalid:80", NULL, 0, weft_now() - 1), -ETIMEDOUT);
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:http", NULL, 0, 0), -ETIMEDOUT);
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:80", NULL, 0, 0), -ETIMEDOUT);
    CHECK_EQ(weft_dial("tcp", "host.invalid:80", weft_now() - 1), -ETIMEDOUT);
    CHECK_EQ(weft_resolve("tcp", "no host:80", NULL, 0, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_resolve("tcp", "host.invalid:80", NULL, 0, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_resolve("tcp", "127.0.0.1:http", NULL, 0, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_dial("tcp", "host.invalid:80", WEFT_NOWAIT), -EAGAIN);
}

/* ---- Dialling what is not TCP ---- */

/* A socket of the system's at that address, which gets a byte from one that was dialled there. */
static void gets_a_byte(const char *network, const char *address, int type,
                        const struct sockaddr *at, socklen_t size)
{
    char text[128], byte = 0;
    struct sockaddr_storage name;
    socklen_t name_size = sizeof name;
    int fd = socket(at->sa_family, type | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, at, size), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &name_size), 0);
    if (type == SOCK_SEQPACKET)
        CHECK_EQ(listen(fd, 1), 0);
    snprintf(text, sizeof text, at->sa_family == AF_UNIX ? "%s" : "%s:%d", address,
             at->sa_family == AF_UNIX ? 0 : bound_port(fd));
    int dialled = weft_dial(network, text, WEFT_NOWAIT);
    if (dialled < 0)
        FAIL("dial %s %s: %d", network, text, dialled);
    CHECK_EQ(weft_write(dialled, "x", 1), 1);
    int reader = type == SOCK_SEQPACKET ? weft_accept(fd, NULL, NULL) : fd;
    CHECK_EQ(weft_read(reader, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    if (reader != fd)
        CHECK_EQ(weft_close(reader), 0);
    CHECK_EQ(weft_close(dialled), 0);
    CHECK_EQ(weft_close(fd), 0);
}

TEST_PROCS(dials_every_network)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *any = (const struct sockaddr *)&v4;
    gets_a_byte("udp", "127.0.0.1", SOCK_DGRAM, any, sizeof v4);
    gets_a_byte("udp4", "localhost", SOCK_DGRAM, any, sizeof v4);
    gets_a_byte("udp", "localhost", SOCK_DGRAM, any, sizeof v4);
    if (have_ipv6())
        gets_a_byte("udp6", "", SOCK_DGRAM, (const struct sockaddr *)&v6, sizeof v6);
    char name[64];
    int length = snprintf(name, sizeof name, "@weft-names-%d", (int)getpid());
    memcpy(un.sun_path + 1, name + 1, (size_t)length - 1);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    gets_a_byte("unixgram", name, SOCK_DGRAM, (const struct sockaddr *)&un, size);
    gets_a_byte("unixpacket", name, SOCK_SEQPACKET, (const struct sockaddr *)&un, size);
}

/* ---- Services ---- */

static bool have_services(void)
{
    return getservbyname("http", "tcp") && getservbyname("domain", "udp");
}

TEST_PROCS(services)
{
    if (!have_services())
        SKIP("/etc/services has no http or domain");
    first_is("tcp", "127.0.0.1:http", 1, "127.0.0.1:80");
    first_is("tcp", "localhost:http", 2, "127.0.0.1:80");
    first_is("udp", "[::1]:domain", 1, "[::1]:53");
    first_is("tcp6", ":http", 1, "[::1]:80");
    weft_addr addr;
    CHECK_EQ(resolve("tcp", "127.0.0.1:no-such-service", &addr), -ENOENT);
    CHECK_EQ(weft_dial("tcp", "127.0.0.1:no-such-service", WEFT_FOREVER), -ENOENT);
    CHECK_EQ(weft_listen("tcp", ":no-such-service", 1), -ENOENT);
}

static void look_up_service(void *index)
{
    (void)index;
    first_is("tcp", "127.0.0.1:http", 1, "127.0.0.1:80");
}

TEST_PROCS(many_services_at_once)
{
    if (!have_services())
        SKIP("/etc/services has no http or domain");
    test_each(1000, look_up_service);
    CHECK_LE(weft_num_thread(), 8 + 4 + 8);
}

/* ---- The hosts file ---- */

/* A name for a loopback address there that is not localhost; "" if there is none. */
static void find_host(char name[128], char address[64])
{
    char line[512];
    FILE *file = fopen("/etc/hosts", "r");
    name[0] = '\0';
    while (file && !name[0] && fgets(line, sizeof line, file))
        if (sscanf(line, "%63[0-9.] %127s", address, name) != 2 ||
            strncmp(address, "127.", 4) != 0 || strstr(name, "localhost"))
            name[0] = '\0';
    if (file)
        fclose(file);
}

TEST_PROCS(hosts_file)
{
    char name[128], host[64], address[200], expected[200];
    find_host(name, host);
    if (!name[0])
        SKIP("/etc/hosts names no loopback address but localhost");
    snprintf(address, sizeof address, "%s:1234", name);
    snprintf(expected, sizeof expected, "%s:1234", host);
    weft_addr addr;
    CHECK_GE(resolve("tcp4", address, &addr), 1);
    first_is("tcp4", address, resolve("tcp4", address, &addr), expected);

    snprintf(address, sizeof address, "%s:0", name);
    int listener = weft_listen("tcp4", address, 1);
    CHECK_GE(listener, 0);
    snprintf(address, sizeof address, "%s:%d", name, bound_port(listener));
    int fd = weft_dial("tcp4", address, weft_after(60 * WEFT_SECOND));
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST(foreign_thread)
{
    weft_addr addr;
    first_is("tcp", "localhost:80", 2, "127.0.0.1:80");
    CHECK_EQ(resolve("tcp", "127.0.0.1:no-such-service", &addr), -ENOENT);
    if (have_services())
        first_is("tcp", "127.0.0.1:http", 1, "127.0.0.1:80");
}
