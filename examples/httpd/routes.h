/* SPDX-License-Identifier: MIT
 *
 * Which request is answered by what.
 */
#ifndef HTTPD_ROUTES_H
#define HTTPD_ROUTES_H

#include "response.h"

/* Answers a whole request. */
void routes_answer(struct exchange *exchange);

/* Answers a request whose body has not come yet, if the answer does not depend on it. Whether that
 * was so. */
bool routes_refuse(struct exchange *exchange);

#endif
