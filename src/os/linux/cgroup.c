/* SPDX-License-Identifier: MIT
 *
 * The CPU quota of the process's cgroups.
 *
 * A process is in one cgroup of every hierarchy: of v2's one, and of v1's one for each set of
 * controllers. Either may carry the quota; machines in transition mount both and use one. So both
 * are looked at, and what is missing or makes no sense says nothing.
 *
 *   1. self/cgroup names the process's cgroup in the hierarchy: "/a/b".
 *   2. self/mountinfo says where the hierarchy is mounted, and from which of its cgroups down. A
 *      container may see only the part below its own: root "/a", mount point "/sys/fs/cgroup".
 *   3. The cgroup's directory is the mount point and what of its name the root does not cover:
 *      "/sys/fs/cgroup/b". A mount whose root is not above the cgroup does not show it.
 *   4. A quota binds everything below: the least from there up to the mount point counts. v2
 *      accepts a child with more than its parent has, so that the nearest is not enough.
 *
 * If a hierarchy is mounted more than once, each mount shows the same quotas, one more of them than
 * another perhaps; all are looked at.
 *
 * What the program can see is not all there is: quotas above a container's own cgroup are hidden.
 */
#include "os/linux/cgroup.h"
#include "os/linux/file.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Longer paths than that are passed over. A nested Kubernetes pod comes to 500. */
enum { PATH_SIZE = 2048 };

enum version { V1, V2 };

/* What a line of self/mountinfo says. */
struct mount {
    char *root;    /* the cgroup at the top of what is mounted */
    char *point;   /* where */
    char *type;    /* of file system */
    char *options; /* of the file system: v1's controllers */
};

/* Writes text behind the first length characters of path, if it fits. */
static bool put(char path[PATH_SIZE], size_t length, const char *text)
{
    size_t size = strlen(text) + 1;
    if (length + size > PATH_SIZE)
        return false;
    memcpy(path + length, text, size);
    return true;
}

static bool join(char path[PATH_SIZE], const char *first, const char *second)
{
    return put(path, 0, first) && put(path, strlen(first), second);
}

/* What follows prefix in path, if prefix ends with a component of it; else NULL. */
static const char *after_prefix(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    /* "/" covers everything, and is the one path that ends with a slash. */
    if (length == 1 && prefix[0] == '/')
        return strcmp(path, "/") == 0 ? "" : path;
    if (strncmp(path, prefix, length) != 0)
        return NULL;
    const char *rest = path + length;
    return *rest == '\0' || *rest == '/' ? rest : NULL;
}

static bool in_comma_list(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (;;) {
        const char *comma = strchrnul(list, ',');
        if ((size_t)(comma - list) == length && memcmp(list, word, length) == 0)
            return true;
        if (*comma == '\0')
            return false;
        list = comma + 1;
    }
}

/* A path that leaves its root upwards: the kernel writes "/.." for what lies outside the process's
 * cgroup namespace. */
static bool has_dot_dot(const char *path)
{
    for (const char *at = strstr(path, "/.."); at != NULL; at = strstr(at + 1, "/..")) {
        if (at[3] == '\0' || at[3] == '/')
            return true;
    }
    return false;
}

/* Step 1. A line is "id:controllers:/path"; v2's has no controllers and the id 0. */
static bool find_cgroup(const char *proc_root, enum version version, char cgroup[PATH_SIZE])
{
    struct wi_os_lines lines;
    if (!join(cgroup, proc_root, "/self/cgroup") || wi_os_lines_open(&lines, cgroup) != 0)
        return false;
    bool found = false;
    char *line;
    while (!found && (line = wi_os_lines_next(&lines)) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL || path[1] != '/')
            continue;
        *controllers++ = '\0';
        *path++ = '\0';
        bool wanted = version == V2 ? strcmp(line, "0") == 0 && *controllers == '\0'
                                    : in_comma_list(controllers, "cpu");
        found = wanted && put(cgroup, 0, path);
    }
    wi_os_lines_close(&lines);
    return found;
}

/* Undoes the kernel's writing of blanks and backslashes in paths as \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Takes apart, in place, "id parent dev root point options optional... - type source options". */
static bool parse_mount(char *line, struct mount *mount)
{
    enum { ROOT = 3, POINT = 4, OPTIONAL = 6 };
    enum { TYPE, SOURCE, OPTIONS, TAIL };
    char *tail[TAIL] = {NULL};
    int past_dash = -1;
    char *rest = line;
    char *field;
    *mount = (struct mount){.root = NULL};
    for (int i = 0; (field = strsep(&rest, " ")) != NULL; i++) {
        if (i == ROOT)
            mount->root = field;
        else if (i == POINT)
            mount->point = field;
        else if (past_dash >= 0 && past_dash < TAIL)
            tail[past_dash++] = field;
        else if (past_dash < 0 && i >= OPTIONAL && strcmp(field, "-") == 0)
            past_dash = 0;
    }
    if (tail[OPTIONS] == NULL || mount->root[0] != '/' || mount->point[0] != '/')
        return false;
    mount->type = tail[TYPE];
    mount->options = tail[OPTIONS];
    unescape(mount->root);
    unescape(mount->point);
    return true;
}

static bool is_hierarchy(const struct mount *mount, enum version version)
{
    if (version == V2)
        return strcmp(mount->type, "cgroup2") == 0;
    return strcmp(mount->type, "cgroup") == 0 && in_comma_list(mount->options, "cpu");
}

/* Step 3. Writes the cgroup's directory; the length of its part that is the mount point, or 0. */
static size_t locate(const struct mount *mount, const char *cgroup, const char *cgroup_root,
                     char directory[PATH_SIZE])
{
    const char *below_mount = after_prefix(cgroup, mount->root);
    if (below_mount == NULL || has_dot_dot(below_mount))
        return 0;
    const char *below_root = after_prefix(mount->point, "/sys/fs/cgroup");
    bool fits = below_root != NULL ? join(directory, cgroup_root, below_root)
                                   : put(directory, 0, mount->point);
    if (!fits)
        return 0;
    size_t length = strlen(directory);
    return put(directory, length, below_mount) ? length : 0;
}

/* Reads a number and the blanks behind it; *text then stands at what follows. */
static bool parse_number(const char **text, long long *number)
{
    char *end;
    *number = strtoll(*text, &end, 10);
    if (end == *text)
        return false;
    *text = end + strspn(end, " \n");
    return true;
}

/* A quota of time in a period, in CPUs. No quota is less than none, or "max". */
static int quota_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return INT_MAX;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* Reads a file of the cgroup whose directory is the first length characters of path; the rest of
 * path is overwritten. */
static bool read_in(char path[PATH_SIZE], size_t length, const char *name, char *text, size_t size)
{
    return put(path, length, name) && wi_os_file_read(path, text, size) > 0;
}

/* The quota of one cgroup: "quota period" or "max period" in v2, a file for each in v1. */
static int read_quota(enum version version, char path[PATH_SIZE], size_t length)
{
    char text[64];
    const char *at = text;
    long long quota, period;
    if (version == V2) {
        if (!read_in(path, length, "/cpu.max", text, sizeof text) || !parse_number(&at, &quota) ||
            !parse_number(&at, &period) || *at != '\0')
            return INT_MAX;
        return quota_cpus(quota, period);
    }
    if (!read_in(path, length, "/cpu.cfs_quota_us", text, sizeof text) ||
        !parse_number(&at, &quota) || *at != '\0')
        return INT_MAX;
    at = text;
    if (!read_in(path, length, "/cpu.cfs_period_us", text, sizeof text) ||
        !parse_number(&at, &period) || *at != '\0')
        return INT_MAX;
    return quota_cpus(quota, period);
}

/* Step 4. The least quota from the cgroup's directory up to the mount point. */
static int least_quota(enum version version, char directory[PATH_SIZE], size_t mount_length)
{
    int least = INT_MAX;
    size_t length = strlen(directory);
    for (;;) {
        int cpus = read_quota(version, directory, length);
        if (cpus < least)
            least = cpus;
        if (length <= mount_length)
            return least;
        do
            length--;
        while (length > mount_length && directory[length] != '/');
    }
}

static int hierarchy_cpus(enum version version, const char *proc_root, const char *cgroup_root)
{
    char cgroup[PATH_SIZE];
    char directory[PATH_SIZE];
    struct wi_os_lines lines;
    if (!find_cgroup(proc_root, version, cgroup) ||
        !join(directory, proc_root, "/self/mountinfo") || wi_os_lines_open(&lines, directory) != 0)
        return INT_MAX;
    int least = INT_MAX;
    char *line;
    while ((line = wi_os_lines_next(&lines)) != NULL) {
        struct mount mount;
        if (!parse_mount(line, &mount) || !is_hierarchy(&mount, version))
            continue;
        size_t mount_length = locate(&mount, cgroup, cgroup_root, directory);
        if (mount_length == 0)
            continue;
        int cpus = least_quota(version, directory, mount_length);
        if (cpus < least)
            least = cpus;
    }
    wi_os_lines_close(&lines);
    return least;
}

int wi_os_cgroup_cpus(const char *proc_root, const char *cgroup_root)
{
    int v1 = hierarchy_cpus(V1, proc_root, cgroup_root);
    int v2 = hierarchy_cpus(V2, proc_root, cgroup_root);
    return v1 < v2 ? v1 : v2;
}
