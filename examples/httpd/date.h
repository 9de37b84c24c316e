/* SPDX-License-Identifier: MIT
 *
 * Dates as HTTP writes them: "Sun, 06 Nov 1994 08:49:37 GMT".
 */
#ifndef HTTPD_DATE_H
#define HTTPD_DATE_H

#include <time.h>

#include "text.h"

enum { DATE_SIZE = 29 };

/* Writes it with a NUL at its end. */
void date_write(char text[DATE_SIZE + 1], time_t when);

/* Reads that form only, which is the one that RFC 9110 lets senders use. False: it is something
 * else. */
bool date_read(struct text text, time_t *when);

/* The present one, made once a second. Zero at first; not for two threads at once. */
struct date_cache {
    time_t made;
    char text[DATE_SIZE + 1];
};

const char *date_now(struct date_cache *cache);

#endif
