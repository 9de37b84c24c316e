/* SPDX-License-Identifier: MIT
 *
 * What the steps of the tour and other examples share: numbers as text, what the kernel says of
 * this process, progress on a terminal, and checks. It is no part of weft.
 */
#ifndef TOUR_H
#define TOUR_H

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft.h>

/* Set by check(); the step's exit status. */
static int tour_status;

/* For calls that return a value >= 0 or a negative errno: the value, or the end of the program. */
static inline int expect(int result, const char *call)
{
    if (result < 0) {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", call, strerror(-result));
        exit(1);
    }
    return result;
}

/* Says what should have held, and makes the step fail. */
__attribute__((format(printf, 2, 3))) static inline void check(bool holds, const char *format, ...)
{
    if (holds)
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("  DOES NOT HOLD: ", stdout);
    vprintf(format, arguments);
    fputs("\n", stdout);
    va_end(arguments);
    tour_status = 1;
}

/* A line on a terminal that the next one replaces; "" wipes it. Nothing anywhere else. */
__attribute__((format(printf, 1, 2))) static inline void progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO))
        return;
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

/* Argument number at, a count, or what it is when left out. */
static inline long argument(int argc, char **argv, int at, long otherwise)
{
    if (at >= argc)
        return otherwise;
    char *end;
    long value = strtol(argv[at], &end, 10);
    if (*end != '\0' || value < 1 || value > 100 * 1000 * 1000) {
        fprintf(stderr, "%s: '%s' is not a count from 1 to 100000000\n", argv[0], argv[at]);
        exit(2);
    }
    return value;
}

/* 1234567 as "1 234 567". The text lasts for eight calls; not for two threads at once. */
static inline const char *grouped(double value)
{
    static char texts[8][40];
    static unsigned next;
    char *text = texts[next++ % 8], *out = text;
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", value);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            *out++ = ' ';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

/* A number from /proc/self/status, as the kernel gives it: a count, or KiB. */
static inline long process_status(const char *field)
{
    long value = -1;
    size_t length = strlen(field);
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    if (value < 0) {
        fprintf(stderr, "/proc/self/status: no %s\n", field);
        exit(1);
    }
    return value;
}

/* Lets this process open as many descriptors as it may (ulimit -Hn): how many. */
static inline long raise_file_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < INT_MAX ? (long)limit.rlim_cur : INT_MAX;
}

/* A listener on an IPv4 address of this machine at a port that the kernel chooses; address becomes
 * host:port. */
static inline int listen_on(const char *host, int backlog, char address[32])
{
    snprintf(address, 32, "%s:0", host);
    int fd = expect(weft_listen("tcp", address, backlog), "weft_listen");
    struct sockaddr_in bound = {0};
    getsockname(fd, (struct sockaddr *)&bound, &(socklen_t){sizeof bound});
    snprintf(address, 32, "%s:%d", host, ntohs(bound.sin_port));
    return fd;
}

/* Bytes of memory that this process holds: its pages, and the page tables that map them. */
static inline double process_memory(void)
{
    return 1024.0 * (double)(process_status("VmRSS") + process_status("VmPTE"));
}

#endif
