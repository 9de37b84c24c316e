/* SPDX-License-Identifier: MIT
 *
 * Reading small files of the kernel's (procfs, cgroupfs) without stdio and without allocation, so
 * that sysmon and fault reports can do it too. Private to src/os/linux.
 */
#ifndef WI_OS_LINUX_FILE_H
#define WI_OS_LINUX_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the beginning of a file, at most size - 1 bytes, and ends it with a NUL. Length or -errno.
 */
long wi_os_file_read(const char *path, char *buffer, size_t size);

/* A file read line by line, at any length of the file. */
struct wi_os_lines {
    int fd;
    bool in_overlong; /* what comes next is the rest of a line whose beginning was handed out */
    size_t begin;     /* buffer[begin..end) has been read and not handed out */
    size_t end;
    char buffer[4096];
};

/* 0 or -errno. */
int wi_os_lines_open(struct wi_os_lines *lines, const char *path);

/* The next line without its newline, in the buffer, to be changed at will, valid until the next
 * call; NULL at the end. Of a line that does not fit the buffer only the beginning is handed out.
 */
char *wi_os_lines_next(struct wi_os_lines *lines);

void wi_os_lines_close(struct wi_os_lines *lines);

#endif
