/* SPDX-License-Identifier: MIT
 *
 * The smallest whole program: start the runtime, start goroutines, hand values over a channel.
 *
 *     make examples && build/default/examples/hello
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weft.h>

static weft_chan *squares;

static void square(void *arg)
{
    int n = *(int *)arg; /* weft_go_copy gave this goroutine a copy of its own */
    n *= n;
    weft_chan_send(squares, &n); /* parks until main_goroutine receives */
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    squares = weft_chan_new(sizeof(int), 0);
    if (squares == NULL)
        return 1;
    for (int n = 1; n <= 10; n++) {
        if (weft_go_copy(square, &n, sizeof n) < 0)
            return 1;
    }
    int sum = 0, n;
    for (int received = 0; received < 10; received++) {
        weft_chan_recv(squares, &n);
        sum += n;
    }
    weft_chan_unref(squares);
    printf("hello from goroutine %" PRIu64 ": 1 + 4 + 9 + ... + 100 = %d\n", weft_id(), sum);
    return 0;
}

int main(int argc, char **argv)
{
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
