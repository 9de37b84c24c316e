/* SPDX-License-Identifier: MIT
 *
 * Regular files below a folder, and nothing outside it.
 */
#ifndef HTTPD_FILES_H
#define HTTPD_FILES_H

#include "response.h"

/* The folder's descriptor, or a negative errno. */
int files_open_folder(const char *path);

/* GET or HEAD for the path, as the target has it. */
void answer_file(struct exchange *exchange, struct text path);

#endif
