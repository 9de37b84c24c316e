/* SPDX-License-Identifier: MIT
 *
 * Answers that this server makes itself.
 */
#ifndef HTTPD_ENDPOINTS_H
#define HTTPD_ENDPOINTS_H

#include "response.h"

void answer_hello(struct exchange *exchange, struct text argument);
void answer_json(struct exchange *exchange, struct text argument);
void answer_stats(struct exchange *exchange, struct text argument);
void answer_echo(struct exchange *exchange, struct text argument);
void answer_sleep(struct exchange *exchange, struct text argument);

#endif
