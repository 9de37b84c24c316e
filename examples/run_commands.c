/* SPDX-License-Identifier: MIT
 *
 * Runs commands of the shell at once and prints what each of them printed, in their order. One
 * goroutine a command looks after it; none holds a thread while it waits. A command that takes
 * longer than its time is killed, and so are all when ctrl-C comes.
 *
 *     make examples && build/default/examples/run_commands [COMMAND...]
 *     build/default/examples/run_commands 'uname -a' 'sleep 60' 'seq 5'
 *
 * Without arguments it runs some of its own, interrupts itself, and checks what has come of it.
 */
#include <signal.h>
#include <sys/wait.h>

#include <weft.h>

#include "tour.h"

enum { OUTPUT_MAX = 16 * 1024, TIME_LIMIT = 10 /* seconds */ };

struct job {
    const char *command;
    int64_t deadline;
    weft_process process;
    char output[OUTPUT_MAX]; /* its beginning */
    size_t size;

    /* Guarded by mutex. */
    weft_mutex mutex;
    bool reading;
    bool interrupted;
    char ended[64]; /* how, in words */
};

static struct job *jobs;
static int job_count;
static weft_waitgroup running;

static void start(struct job *job)
{
    char shell[] = "sh", option[] = "-c";
    char *argv[] = {shell, option, (char *)(uintptr_t)job->command, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    command.path = shell;
    command.argv = argv;
    command.fds[0] = WEFT_NULL;
    command.fds[1] = WEFT_PIPE;
    int result = weft_process_start(&command, &job->process);
    if (result < 0)
        snprintf(job->ended, sizeof job->ended, "not started: %s", strerror(-result));
    job->reading = result == 0;
}

/* To the end of the output, or until the time is up. */
static int read_output(struct job *job)
{
    char rest[1024];
    int out = job->process.fds[1];
    weft_set_deadline(out, job->deadline, WEFT_FOREVER);
    for (;;) {
        size_t room = sizeof job->output - job->size;
        ssize_t count = room != 0 ? weft_read(out, job->output + job->size, room)
                                  : weft_read(out, rest, sizeof rest);
        if (count <= 0)
            return (int)count;
        if (room != 0)
            job->size += (size_t)count;
    }
}

static void describe(struct job *job, int result, int status)
{
    size_t size = sizeof job->ended;
    if (job->interrupted)
        snprintf(job->ended, size, "interrupted");
    else if (result == -ETIMEDOUT)
        snprintf(job->ended, size, "took too long");
    else if (WIFEXITED(status))
        snprintf(job->ended, size, "status %d", WEXITSTATUS(status));
    else
        snprintf(job->ended, size, "signal %d", WTERMSIG(status));
}

/* The goroutine of one command. */
static void look_after(void *arg)
{
    struct job *job = arg;
    int status = 0;
    int result = read_output(job);
    weft_mutex_lock(&job->mutex);
    job->reading = false; /* wait closes the pipe */
    weft_mutex_unlock(&job->mutex);
    if (result == 0)
        result = weft_process_wait(&job->process, &status, job->deadline);
    if (result < 0) {
        weft_process_kill(&job->process, SIGKILL);
        weft_process_wait(&job->process, &status, WEFT_FOREVER);
    }
    weft_mutex_lock(&job->mutex);
    describe(job, result, status);
    weft_mutex_unlock(&job->mutex);
    weft_waitgroup_done(&running);
}

/* The command may have started others, which keep the pipe open: nobody reads on. */
static void interrupt(struct job *job)
{
    weft_mutex_lock(&job->mutex);
    if (job->ended[0] == '\0') {
        job->interrupted = true;
        weft_process_kill(&job->process, SIGKILL);
        if (job->reading)
            weft_set_deadline(job->process.fds[1], weft_now(), WEFT_FOREVER);
    }
    weft_mutex_unlock(&job->mutex);
}

static void interrupt_all(void *signals)
{
    if (weft_chan_recv(signals, NULL) == 0)
        for (int i = 0; i < job_count; i++)
            interrupt(&jobs[i]);
    weft_chan_unref(signals);
}

/* Runs them all, and stores in jobs what has come of it. raise_after: 0, or when to interrupt. */
static void run(const char *const *commands, int count, int64_t time_limit, int64_t raise_after)
{
    weft_chan *signals = weft_signal_chan(SIGINT);
    jobs = calloc((size_t)count, sizeof *jobs);
    if (!signals || !jobs)
        expect(-ENOMEM, "run");
    job_count = count;
    for (int i = 0; i < count; i++) {
        jobs[i].command = commands[i];
        jobs[i].deadline = weft_after(time_limit);
        start(&jobs[i]);
    }
    expect(weft_go(interrupt_all, weft_chan_ref(signals)), "weft_go");
    for (int i = 0; i < count; i++) {
        if (!jobs[i].reading)
            continue;
        weft_waitgroup_add(&running, 1);
        expect(weft_go(look_after, &jobs[i]), "weft_go");
    }
    if (raise_after) {
        weft_sleep(raise_after);
        raise(SIGINT);
    }
    weft_waitgroup_wait(&running);
    weft_signal_stop(signals);
}

static void print_all(void)
{
    for (int i = 0; i < job_count; i++) {
        printf("$ %s\n", jobs[i].command);
        fwrite(jobs[i].output, 1, jobs[i].size, stdout);
        printf("[%s]\n", jobs[i].ended);
    }
}

/* ---- Without arguments ---- */

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static int count_as_expected(const char *const *ended, const char *const *output)
{
    int good = 0;
    for (int i = 0; i < job_count; i++)
        good += strcmp(jobs[i].ended, ended[i]) == 0 && jobs[i].size == strlen(output[i]) &&
                memcmp(jobs[i].output, output[i], jobs[i].size) == 0;
    free(jobs);
    return good;
}

static int demonstrate(void)
{
    static const char *const mixed[] = {"echo one; sleep 0.1; echo two", "exit 3", "kill -TERM $$",
                                        "echo begun; sleep 10; echo no", "seq 100000 | tail -n 1"};
    static const char *const ended[] = {"status 0", "status 3", "signal 15", "took too long",
                                        "status 0"};
    static const char *const output[] = {"one\ntwo\n", "", "", "begun\n", "100000\n"};
    static const char *const endless[] = {"exec sleep 600",
                                          "sleep 10; :", "while :; do sleep 1; done"};
    static const char *const stopped[] = {"interrupted", "interrupted", "interrupted"};
    static const char *const silent[] = {"", "", ""};

    run(mixed, COUNT(mixed), 2 * WEFT_SECOND, 0);
    print_all();
    int good = count_as_expected(ended, output);
    run(endless, COUNT(endless), 600 * WEFT_SECOND, 100 * WEFT_MILLISECOND);
    print_all();
    int interrupted = count_as_expected(stopped, silent);
    printf("%d of %d commands ended as they should, %d of %d were interrupted\n", good,
           COUNT(mixed), interrupted, COUNT(endless));
    return good == COUNT(mixed) && interrupted == COUNT(endless) ? 0 : 1;
}

static int main_goroutine(int argc, char **argv)
{
    if (argc < 2)
        return demonstrate();
    run((const char *const *)(argv + 1), argc - 1, TIME_LIMIT * WEFT_SECOND, 0);
    print_all();
    free(jobs);
    return 0;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
