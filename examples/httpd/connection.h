/* SPDX-License-Identifier: MIT
 *
 * The life of a connection: requests are read, answered in order, and at some time it ends.
 */
#ifndef HTTPD_CONNECTION_H
#define HTTPD_CONNECTION_H

#include <weft.h>

/* The handler for weft_serve. */
void connection_handle(weft_conn *conn, int fd, void *arg);

/* Once the server has stopped: waits until nothing of any connection is left. */
void connection_wait_for_last(void);

#endif
