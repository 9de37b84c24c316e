/* SPDX-License-Identifier: MIT
 *
 * A server of examples/ as a process of its own: started, looked at from outside, stopped; and the
 * ends of connections to it. From goroutines.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <dirent.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness/test.h"

struct program {
    weft_process process;
    char address[64];  /* host:port where it listens */
    char output[4096]; /* all that it has printed, NUL-terminated; whole once it has stopped */
    size_t size;
};

/* Reads until the output holds that text, or its end. */
static inline bool program_prints(struct program *program, const char *text)
{
    while (strstr(program->output, text) == NULL) {
        char *end = program->output + program->size;
        size_t room = sizeof program->output - 1 - program->size;
        ssize_t size = room > 0 ? weft_read(program->process.fds[1], end, room) : 0;
        if (size <= 0)
            return false;
        program->size += (size_t)size;
        program->output[program->size] = '\0';
    }
    return true;
}

/* Starts examples/ARGV[0] of this build and reads where it listens, which must be its first line.
 * The test is skipped if the program says with status 77 that it could not be built. */
static inline void program_start(struct program *program, const char *const *argv)
{
    char path[512];
    const char *build = getenv("BUILD");
    snprintf(path, sizeof path, "%s/examples/%s", build != NULL ? build : "build/default", argv[0]);
    weft_command command = WEFT_COMMAND_INIT;
    command.path = path;
    command.argv = (char *const *)(uintptr_t)argv;
    command.fds[1] = WEFT_PIPE;
    *program = (struct program){.size = 0};
    CHECK_EQ(weft_process_start(&command, &program->process), 0);
    CHECK_EQ(weft_set_read_deadline(program->process.fds[1], weft_after(20 * WEFT_SECOND)), 0);
    if (!program_prints(program, "\n") ||
        sscanf(program->output, "listening on %63s", program->address) != 1) {
        int status = 0;
        program_prints(program, "\1"); /* which it never does: it may be about to end */
        weft_process_kill(&program->process, SIGTERM);
        CHECK_EQ(weft_process_wait(&program->process, &status, weft_after(10 * WEFT_SECOND)), 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            SKIP("%.*s", (int)strcspn(program->output, "\n"), program->output);
        FAIL("%s does not listen: \"%s\", status 0x%x", path, program->output, status);
    }
}

/* Starts it at a port of its own, on as many processors as the test; options end with NULL. */
static inline void program_start_with(struct program *program, const char *name,
                                      const char *const *options)
{
    const char *argv[24] = {name};
    char procs[16];
    int count = 1;
    while (*options != NULL && count < 22)
        argv[count++] = *options++;
    argv[count] = "127.0.0.1:0";
    snprintf(procs, sizeof procs, "%d", weft_maxprocs(0));
    CHECK_EQ(setenv("WEFT_MAXPROCS", procs, 1), 0);
    program_start(program, argv);
}

/* PROGRAM(chat, "chat", "--idle", "0.3"): a program that runs, as a variable. */
#define PROGRAM(variable, name, ...)                                                               \
    struct program variable;                                                                       \
    program_start_with(&variable, name, (const char *const[]){__VA_ARGS__, NULL})

/* Reads what it prints until it has ended. Its exit status; one that was killed by a signal fails
 * the test. */
static inline int program_end(struct program *program)
{
    int status = 0;
    CHECK_EQ(weft_set_read_deadline(program->process.fds[1], weft_after(60 * WEFT_SECOND)), 0);
    program_prints(program, "\1"); /* which it never does: to the end */
    CHECK_EQ(weft_process_wait(&program->process, &status, weft_after(60 * WEFT_SECOND)), 0);
    if (!WIFEXITED(status))
        FAIL("ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* Sends it the signal and waits for its end. */
static inline int program_stop(struct program *program, int signo)
{
    CHECK_EQ(weft_process_kill(&program->process, signo), 0);
    return program_end(program);
}

/* The number that stands before the text in what it has printed. */
static inline long program_figure(const struct program *program, const char *text)
{
    const char *at = strstr(program->output, text);
    if (at == NULL)
        FAIL("no \"%s\" in \"%s\"", text, program->output);
    while (at > program->output && at[-1] >= '0' && at[-1] <= '9')
        at--;
    CHECK(*at >= '0' && *at <= '9');
    return strtol(at, NULL, 10);
}

/* How many descriptors it has open. */
static inline int program_files(const struct program *program)
{
    char path[64];
    int count = -2; /* . and .. */
    snprintf(path, sizeof path, "/proc/%d/fd", (int)program->process.pid);
    DIR *files = opendir(path);
    CHECK(files != NULL);
    while (readdir(files) != NULL)
        count++;
    closedir(files);
    return count;
}

/* A number from its /proc/PID/status: RssAnon and the like in KiB, or Threads. */
static inline long program_status(const struct program *program, const char *field)
{
    char path[64], line[256];
    size_t length = strlen(field);
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)program->process.pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    fclose(file);
    CHECK_GE(value, 0);
    return value;
}

/* A connection to it. What takes longer than a minute fails. */
static inline int program_dial(const struct program *program)
{
    int64_t deadline = weft_after(60 * WEFT_SECOND);
    int fd = weft_dial("tcp", program->address, deadline);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_set_deadline(fd, deadline, deadline), 0);
    return fd;
}

/* Ends a connection by a reset, which leaves no record in the kernel (TIME_WAIT). */
static inline void program_hang_up(int fd)
{
    struct linger linger = {.l_onoff = 1};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    CHECK_EQ(weft_close(fd), 0);
}

#endif
