/* SPDX-License-Identifier: MIT
 *
 * Calling a library that keeps state for each thread. OpenGL, many database clients and language
 * runtimes do: one call sets "the current" something, the next ones use it. A goroutine that parks
 * in between may go on in another thread, which has another current something, or another goroutine
 * may have set it meanwhile. A pinned goroutine has its thread, and so the library's state, to
 * itself.
 *
 *     make examples && build/default/examples/pinned_library
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

/* The library: it knows nothing of weft, and would be compiled elsewhere. */
struct canvas {
    int strokes;
};

static _Thread_local struct canvas *current;

__attribute__((noinline)) static void canvas_make_current(struct canvas *canvas)
{
    current = canvas;
}

__attribute__((noinline)) static struct canvas *canvas_stroke(void)
{
    if (current != NULL)
        current->strokes++;
    return current;
}

/* The program: each painter makes its canvas current once, then draws and parks in turn. */
enum { PAINTERS = 4, STROKES = 500 };

struct painter {
    bool pinned;
    int misplaced; /* strokes that went to another canvas, or to none */
    struct canvas canvas;
};

static weft_waitgroup all;

static void paint(void *arg)
{
    struct painter *painter = arg;
    if (painter->pinned)
        weft_lock_os_thread();
    canvas_make_current(&painter->canvas);
    for (int i = 0; i < STROKES; i++) {
        painter->misplaced += canvas_stroke() != &painter->canvas;
        weft_sleep(100 * WEFT_MICROSECOND);
    }
    canvas_make_current(NULL);
    if (painter->pinned)
        weft_unlock_os_thread();
    weft_waitgroup_done(&all);
}

/* Lets all painters paint; returns how many strokes were misplaced. */
static int paint_all(bool pinned)
{
    struct painter painters[PAINTERS];
    int misplaced = 0;
    weft_waitgroup_add(&all, PAINTERS);
    for (int i = 0; i < PAINTERS; i++) {
        painters[i] = (struct painter){.pinned = pinned};
        int result = weft_go(paint, &painters[i]);
        if (result < 0) {
            fprintf(stderr, "weft_go: %s\n", strerror(-result));
            exit(1);
        }
    }
    weft_waitgroup_wait(&all);
    for (int i = 0; i < PAINTERS; i++)
        misplaced += painters[i].misplaced;
    return misplaced;
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    int pinned = paint_all(true), unpinned = paint_all(false);
    printf("%d painters, %d strokes each, on the wrong canvas or none:\n", PAINTERS, STROKES);
    printf("  pinned      %5d\n", pinned);
    printf("  not pinned  %5d    this is why one pins\n", unpinned);
    return pinned != 0;
}

int main(int argc, char **argv)
{
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
