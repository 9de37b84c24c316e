/* SPDX-License-Identifier: MIT
 *
 * A name server on the loopback interface, in a thread of its own, over UDP and TCP. What it
 * answers depends on the first label that is asked for:
 *
 *     four       one IPv4 address, no IPv6 address     none       no addresses
 *     six        the other way round                   nx         no such name
 *     both       one of each                           fail       a server's failure
 *     alias      both, by way of an alias              refused    refused
 *     many       20 IPv4 addresses                     silent     nothing
 *     big        truncated; 60 addresses over TCP      junk       something that is no answer
 *     late       both, to the third question
 *
 * Addresses are 127.0.0.1 and on, and 2001:db8::1.
 */
#ifndef DNS_TEST_H
#define DNS_TEST_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "harness/test.h"

/* Internal to weft, and defined in libweft.a only; see src/api/resolve.h. */
bool wi_resolve_ares_linked(void);
void wi_resolve_ares_servers(const char *servers, int milliseconds, int tries);

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_MESSAGE = 4096, DNS_PORTS = 65536 };

struct dns_server {
    int udp;
    int tcp;
    int stop[2];
    char address[32];
    pthread_t thread;
    int questions;        /* atomic */
    int tcp_questions;    /* atomic */
    int ports;            /* atomic: different ports that were asked from */
    int late;             /* questions for that name */
    bool seen[DNS_PORTS]; /* the server's */
};

struct dns_message {
    unsigned char bytes[DNS_MESSAGE];
    size_t size;
};

static inline void dns_put(struct dns_message *message, unsigned value, int bytes)
{
    while (bytes-- > 0)
        message->bytes[message->size++] = (unsigned char)(value >> 8 * bytes);
}

/* A record of the name that the question is about, which stands at offset 12. */
static inline void dns_put_record(struct dns_message *answer, int type, const void *data, int size)
{
    dns_put(answer, 0xC00C, 2);
    dns_put(answer, (unsigned)type, 2);
    dns_put(answer, 1, 2);
    dns_put(answer, 60, 4);
    dns_put(answer, (unsigned)size, 2);
    memcpy(answer->bytes + answer->size, data, (size_t)size);
    answer->size += (size_t)size;
    answer->bytes[7]++;
}

static inline void dns_put_addresses(struct dns_message *answer, int type, int count)
{
    for (int i = 0; i < count; i++) {
        unsigned char v4[4] = {127, 0, 0, (unsigned char)(i + 1)};
        unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (unsigned char)(i + 1)};
        dns_put_record(answer, type, type == DNS_A ? v4 : v6, type == DNS_A ? 4 : 16);
    }
}

static inline bool dns_is(const struct dns_message *question, const char *label)
{
    size_t length = strlen(label);
    return question->bytes[12] == length && memcmp(question->bytes + 13, label, length) == 0;
}

/* Both addresses, by way of "real.test". */
static inline void dns_put_alias(struct dns_message *answer, int type)
{
    static const unsigned char target[] = "\4real\4test";
    dns_put_record(answer, DNS_CNAME, target, sizeof target);
    size_t where = answer->size - sizeof target;
    unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, v4[4] = {127, 0, 0, 1};
    size_t start = answer->size;
    dns_put_record(answer, type, type == DNS_A ? v4 : v6, type == DNS_A ? 4 : 16);
    answer->bytes[start] = (unsigned char)(0xC0 | where >> 8);
    answer->bytes[start + 1] = (unsigned char)where;
}

/* False: there is none. */
static inline bool dns_answer(struct dns_server *server, const struct dns_message *question,
                              bool tcp, struct dns_message *answer)
{
    size_t end = 12;
    while (end < question->size && question->bytes[end] != 0)
        end += question->bytes[end] + 1u;
    CHECK_LE(end + 5, question->size);
    int type = question->bytes[end + 1] << 8 | question->bytes[end + 2];
    answer->size = end + 5;
    memcpy(answer->bytes, question->bytes, answer->size);
    memcpy(answer->bytes + 2, "\x81\x80\0\1\0\0\0\0\0\0", 10);

    bool four = dns_is(question, "four"), six = dns_is(question, "six");
    if (dns_is(question, "silent") || (dns_is(question, "late") && server->late++ < 2))
        return false;
    if (dns_is(question, "junk"))
        answer->size = 7;
    else if (dns_is(question, "nx"))
        answer->bytes[3] |= 3;
    else if (dns_is(question, "fail"))
        answer->bytes[3] |= 2;
    else if (dns_is(question, "refused"))
        answer->bytes[3] |= 5;
    else if (dns_is(question, "big") && !tcp)
        answer->bytes[2] |= 2; /* truncated */
    else if (dns_is(question, "big") && type == DNS_A)
        dns_put_addresses(answer, type, 60);
    else if (dns_is(question, "many") && type == DNS_A)
        dns_put_addresses(answer, type, 20);
    else if (dns_is(question, "alias"))
        dns_put_alias(answer, type);
    else if ((four && type == DNS_A) || (six && type == DNS_AAAA) || dns_is(question, "both") ||
             dns_is(question, "late"))
        dns_put_addresses(answer, type, 1);
    return true;
}

static inline void dns_serve_udp(struct dns_server *server)
{
    struct dns_message question, answer;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t count = recvfrom(server->udp, question.bytes, sizeof question.bytes, 0,
                             (struct sockaddr *)&from, &size);
    if (count < 12)
        return;
    question.size = (size_t)count;
    if (!server->seen[from.sin_port]) {
        server->seen[from.sin_port] = true;
        __atomic_add_fetch(&server->ports, 1, __ATOMIC_RELAXED);
    }
    bool answered = dns_answer(server, &question, false, &answer);
    __atomic_add_fetch(&server->questions, 1, __ATOMIC_RELAXED);
    if (answered)
        sendto(server->udp, answer.bytes, answer.size, 0, (struct sockaddr *)&from, size);
}

static inline bool dns_read(int fd, void *buffer, size_t size)
{
    return recv(fd, buffer, size, MSG_WAITALL) == (ssize_t)size;
}

/* Until the client has had enough. It asks one question after the other, and soon. */
static inline void dns_serve_tcp(struct dns_server *server)
{
    struct dns_message question, answer;
    unsigned char length[2];
    int fd = accept(server->tcp, NULL, NULL);
    while (fd >= 0 && dns_read(fd, length, 2)) {
        question.size = (size_t)length[0] << 8 | length[1];
        if (question.size > sizeof question.bytes || !dns_read(fd, question.bytes, question.size))
            break;
        __atomic_add_fetch(&server->tcp_questions, 1, __ATOMIC_RELAXED);
        if (!dns_answer(server, &question, true, &answer))
            continue;
        length[0] = (unsigned char)(answer.size >> 8);
        length[1] = (unsigned char)answer.size;
        if (send(fd, length, 2, MSG_MORE | MSG_NOSIGNAL) != 2 ||
            send(fd, answer.bytes, answer.size, MSG_NOSIGNAL) != (ssize_t)answer.size)
            break;
    }
    if (fd >= 0)
        close(fd);
}

static inline void *dns_thread(void *arg)
{
    struct dns_server *server = arg;
    struct pollfd fds[] = {{.fd = server->udp, .events = POLLIN},
                           {.fd = server->tcp, .events = POLLIN},
                           {.fd = server->stop[0], .events = POLLIN}};
    while (poll(fds, 3, -1) >= 0 && !fds[2].revents) {
        if (fds[0].revents)
            dns_serve_udp(server);
        if (fds[1].revents)
            dns_serve_tcp(server);
    }
    return NULL;
}

/* Both sockets at one port. */
static inline bool dns_bind(struct dns_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(server->udp, (struct sockaddr *)&at, size), 0);
    CHECK_EQ(getsockname(server->udp, (struct sockaddr *)&at, &size), 0);
    if (bind(server->tcp, (struct sockaddr *)&at, size) < 0) {
        close(server->udp);
        close(server->tcp);
        return false;
    }
    CHECK_EQ(listen(server->tcp, 64), 0);
    snprintf(server->address, sizeof server->address, "127.0.0.1:%d", ntohs(at.sin_port));
    return true;
}

/* From now on weft asks it, and waits that long for each of that many tries. */
static inline struct dns_server *dns_start(int milliseconds, int tries)
{
    if (!wi_resolve_ares_linked())
        SKIP("weft is built without c-ares");
    struct dns_server *server = calloc(1, sizeof *server);
    CHECK(server != NULL);
    while (!dns_bind(server)) {
    }
    CHECK_EQ(pipe(server->stop), 0);
    CHECK_EQ(pthread_create(&server->thread, NULL, dns_thread, server), 0);
    wi_resolve_ares_servers(server->address, milliseconds, tries);
    return server;
}

static inline void dns_stop(struct dns_server *server)
{
    close(server->stop[1]);
    CHECK_EQ(pthread_join(server->thread, NULL), 0);
    close(server->stop[0]);
    close(server->udp);
    close(server->tcp);
    wi_resolve_ares_servers(NULL, 0, 0);
    free(server);
}

static inline int dns_questions(struct dns_server *server)
{
    return __atomic_load_n(&server->questions, __ATOMIC_RELAXED);
}

#endif
