/* SPDX-License-Identifier: MIT
 *
 * Answers every HTTP GET with the same few words: something for curl, a browser or a load generator
 * to talk to. Keeps connections open and answers pipelined requests in one write.
 *
 *     make examples && build/default/examples/http_server [host:port]
 *     wrk -t2 -c100 -d5 http://127.0.0.1:8080/
 */
#include <stdio.h>
#include <string.h>

#include <weft.h>

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 17\r\n"
                             "\r\n"
                             "woven with weft.\n";

/* How many empty lines, each the end of a request, are in the next bytes. *matched is how much of
 * an empty line has been seen so far. */
static int count_requests(const char *bytes, ssize_t size, int *matched)
{
    static const char empty_line[] = "\r\n\r\n";
    int count = 0;
    for (ssize_t i = 0; i < size; i++) {
        *matched = bytes[i] == empty_line[*matched] ? *matched + 1 : bytes[i] == '\r';
        if (empty_line[*matched] == '\0') {
            *matched = 0;
            count++;
        }
    }
    return count;
}

static void converse(void *arg)
{
    enum { BATCH = 16 };
    int fd = *(int *)arg, matched = 0;
    char input[2048], output[BATCH * sizeof answer];
    const size_t length = sizeof answer - 1;
    ssize_t size;
    while ((size = weft_read(fd, input, sizeof input)) > 0) {
        int requests = count_requests(input, size, &matched);
        while (requests > 0) {
            int batch = requests < BATCH ? requests : BATCH;
            for (int i = 0; i < batch; i++)
                memcpy(output + (size_t)i * length, answer, length);
            if (weft_write_all(fd, output, (size_t)batch * length) < 0)
                break;
            requests -= batch;
        }
        if (requests > 0)
            break; /* the client is gone */
    }
    weft_close(fd);
}

static int serve(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:8080";
    int listener = weft_listen("tcp", address, 0);
    if (listener < 0) {
        fprintf(stderr, "%s: %s\n", address, strerror(-listener));
        return 1;
    }
    printf("http://%s/\n", address);
    fflush(stdout);
    for (;;) {
        int fd = weft_accept(listener, NULL, NULL);
        if (fd < 0) { /* out of descriptors, say: those that wait are served later */
            fprintf(stderr, "accept: %s\n", strerror(-fd));
            weft_sleep(100 * WEFT_MILLISECOND);
        } else if (weft_go_copy(converse, &fd, sizeof fd) < 0) {
            weft_close(fd);
        }
    }
}

int main(int argc, char **argv)
{
    int status = weft_run(serve, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
