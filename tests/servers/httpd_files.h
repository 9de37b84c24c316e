/* SPDX-License-Identifier: MIT
 *
 * What the tests of files share: a folder with some, which examples/httpd shows, and a secret
 * beside it.
 */
#ifndef HTTPD_FILES_TEST_H
#define HTTPD_FILES_TEST_H

#include "servers/folder.h"
#include "servers/httpd_test.h"

#define SECRET      "the secret of the house"
#define DIGITS      "0123456789"

#define FILE_(path) "GET /files/" path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct folder folder; /* in it "root", which is what is served */

static inline void make_files(void)
{
    char secret[PATH_MAX + 16];
    folder_make(&folder);
    folder_add_folder(&folder, "root");
    folder_add_folder(&folder, "root/sub");
    folder_add_folder(&folder, "rootbeside");
    folder_write_text(&folder, "secret", SECRET);
    folder_write_text(&folder, "rootbeside/secret", SECRET);
    folder_write_text(&folder, "root/ten.txt", DIGITS);
    folder_write_text(&folder, "root/empty", "");
    folder_write_text(&folder, "root/page.html", "<p>");
    folder_write_text(&folder, "root/with space", "space");
    folder_write_text(&folder, "root/sub/inner.txt", "inner");
    folder_write_text(&folder, "root/ahem..txt", "dots");
    folder_add_link(&folder, "root/inside", "ten.txt");
    folder_add_link(&folder, "root/outside", "../secret");
    folder_add_link(&folder, "root/up", "..");
    folder_add_link(&folder, "root/loop", "loop");
    snprintf(secret, sizeof secret, "%s/secret", folder.path);
    folder_add_link(&folder, "root/absolute", secret);
    folder_add_fifo(&folder, "root/pipe");
}

static inline void files_start(struct program *httpd)
{
    char root[PATH_MAX + 16];
    make_files();
    snprintf(root, sizeof root, "%s/root", folder.path);
    HTTPD_START(httpd, "--files", root, "--write-time", "60");
}

static inline void files_stop(struct program *httpd)
{
    httpd_stop(httpd);
    folder_remove(&folder);
}

#endif
