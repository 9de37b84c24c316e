/* SPDX-License-Identifier: MIT
 *
 * The prime sieve: a goroutine counts, and each prime that comes out of the chain gets a goroutine
 * of its own at the end of it, which lets through what its prime does not divide. The chain ends
 * from the far end: a closed channel tells its sender that nobody wants more (-EPIPE), link after
 * link.
 *
 *     make examples && build/default/examples/sieve [primes]
 */
#include <weft.h>

#include "tour.h"

static weft_waitgroup links;

static weft_chan *new_chan(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 0);
    expect(chan == NULL ? -ENOMEM : 0, "weft_chan_new");
    return chan;
}

static void count_from_2(void *arg)
{
    weft_chan *out = arg;
    for (int n = 2; weft_chan_send(out, &n) == 0;)
        n++;
    weft_chan_unref(out);
    weft_waitgroup_done(&links);
}

struct filter {
    weft_chan *in, *out; /* a reference to each */
    int prime;
};

static void filter(void *arg)
{
    struct filter *f = arg; /* this goroutine's own copy */
    int n;
    while (weft_chan_recv(f->in, &n) == 0) {
        if (n % f->prime != 0 && weft_chan_send(f->out, &n) < 0)
            break;
    }
    weft_chan_close(f->in);
    weft_chan_unref(f->in);
    weft_chan_unref(f->out);
    weft_waitgroup_done(&links);
}

static bool is_prime(int n)
{
    for (int divisor = 2; divisor * divisor <= n; divisor++) {
        if (n % divisor == 0)
            return false;
    }
    return true;
}

static int main_goroutine(int argc, char **argv)
{
    long primes = argument(argc, argv, 1, 1000);
    int prime = 1;
    weft_chan *end = new_chan();
    weft_waitgroup_add(&links, 1);
    expect(weft_go(count_from_2, weft_chan_ref(end)), "weft_go");
    int64_t start = weft_now();
    for (long i = 0; i < primes; i++) {
        int expected = prime + 1;
        while (!is_prime(expected))
            expected++;
        weft_chan_recv(end, &prime);
        check(prime == expected, "%d comes next, not %d", expected, prime);
        struct filter next = {end, new_chan(), prime};
        weft_chan_ref(next.out);
        weft_waitgroup_add(&links, 1);
        expect(weft_go_copy(filter, &next, sizeof next), "weft_go_copy");
        end = next.out;
    }
    double ms = (double)(weft_now() - start) / 1e6;
    weft_chan_close(end);
    weft_chan_unref(end);
    weft_waitgroup_wait(&links);
    printf("prime number %ld is %d; %ld goroutines found it in %.1f ms, and all have ended\n",
           primes, prime, primes + 1, ms);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
