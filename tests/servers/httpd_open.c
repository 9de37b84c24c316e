/* SPDX-License-Identifier: MIT
 *
 * Opening the paths that clients of examples/httpd name, without a process: by the kernel's own
 * resolution and by the one that takes its place where the kernel has none, neither of which may
 * leave the folder.
 */
#include "servers/folder.h"

#include "httpd/disk.c"

#define SECRET "secret"

static struct folder base;
static int folder; /* root in it */

static void set_up(void)
{
    folder_make(&base);
    folder_add_folder(&base, "root");
    folder_add_folder(&base, "root/sub");
    folder = openat(base.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK_GE(folder, 0);
    folder_write_text(&base, "secret", SECRET);
    folder_write_text(&base, "root/file", "file");
    folder_write_text(&base, "root/sub/inner", "inner");
    folder_write_text(&base, "root/..dots", "dots");
    folder_add_link(&base, "root/out", "../secret");
    folder_add_link(&base, "root/up", "..");
    folder_add_link(&base, "root/loop", "loop");
    folder_add_link(&base, "root/absolute", "/etc/passwd");
    folder_add_link(&base, "root/magic", "/proc/self/root");
    folder_add_fifo(&base, "root/pipe");
}

static void tear_down(void)
{
    close(folder);
    folder_remove(&base);
}

/* Opens: it has that content; or, with NULL, it cannot be opened. */
static void check_open(int (*opens)(int, const char *), const char *path, const char *content)
{
    char text[64] = "";
    int fd = opens(folder, path);
    if (content == NULL && fd >= 0)
        FAIL("opens %s", path);
    if (content == NULL) {
        CHECK_LT(fd, 0);
        return;
    }
    if (fd < 0)
        FAIL("%s: %d", path, fd);
    CHECK_GE(read(fd, text, sizeof text - 1), 0);
    CHECK_STR(text, content);
    close(fd);
}

static const char *const escapes[] = {
    "../secret",
    "sub/../../secret",
    "..",
    "../root/file",
    "out",
    "up/secret",
    "up/root/file",
    "absolute",
    "magic/etc",
    "/etc/passwd",
    "/",
    "loop",
    "",
    "nothing",
    "sub/none",
    "file/none",
    "../../../etc",
    "magic/etc/passwd",
};

static void check_all(int (*opens)(int, const char *))
{
    char path[8192];
    set_up();
    int before = test_count_fds();
    check_open(opens, "file", "file");
    check_open(opens, "sub/inner", "inner");
    check_open(opens, "..dots", "dots");
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++)
        check_open(opens, escapes[i], NULL);
    for (size_t size = 250; size < sizeof path; size = size * 5 / 4) {
        memset(path, 'a', size);
        path[size] = '\0';
        check_open(opens, path, NULL);
    }
    int fd = opens(folder, "pipe"); /* if at all, without waiting for a writer */
    if (fd >= 0)
        close(fd);
    CHECK_EQ(test_count_fds(), before);
    tear_down();
}

static int by_kernel(int at, const char *path)
{
    return open_beneath(at, path, 0);
}

TEST(by_the_kernel)
{
    set_up();
    int fd = by_kernel(folder, "file");
    if (fd >= 0)
        close(fd);
    tear_down();
    if (fd < 0)
        SKIP("openat2: %s", strerror(-fd));
    check_all(by_kernel);
}

TEST(step_by_step)
{
    check_all(open_step_by_step);
}

TEST(by_either)
{
    check_all(open_below);
}

static int as_served(int at, const char *path)
{
    struct stat status;
    return disk_open(at, path, &status);
}

/* Twice: the second time all is in the kernel's caches. And a folder or a pipe is no file. */
TEST_PROCS(as_it_is_served)
{
    set_up();
    for (int i = 0; i < 2; i++) {
        check_open(as_served, "file", "file");
        check_open(as_served, "sub/inner", "inner");
        check_open(as_served, "sub", NULL);
        check_open(as_served, "pipe", NULL);
        check_open(as_served, ".", NULL);
    }
    tear_down();
    check_all(as_served);
}
