/* SPDX-License-Identifier: MIT
 *
 * Channels and goroutines with types (weft/typed.h). An account belongs to one goroutine; the
 * others send it requests, each with a channel for the answer. Send a long where a request is
 * wanted, or start client() with a number, and this does not compile.
 *
 *     make examples && build/default/examples/typed [clients]
 */
#include <weft.h>
#include <weft/typed.h>

#include "tour.h"

WEFT_CHAN_OF(amounts, long);

struct request {
    long amount;
    amounts answer; /* gets the balance; NULL: nobody wants to know */
};

WEFT_CHAN_OF(requests, struct request);

/* Several arguments are a struct. */
struct client {
    requests account;
    amounts done; /* gets the amount */
    long amount;
};

static weft_waitgroup accounts;

WEFT_GO_OF(go_account, requests);
WEFT_GO_OF(go_client, struct client);

static void account(requests queue)
{
    long balance = 0; /* no lock: only this goroutine knows it */
    struct request request;
    while (requests_recv(queue, &request) == 0) {
        balance += request.amount;
        if (request.answer.chan != NULL)
            amounts_send(request.answer, balance);
    }
    weft_waitgroup_done(&accounts);
}

static void client(struct client self)
{
    requests_send(self.account, (struct request){.amount = self.amount});
    amounts_send(self.done, self.amount);
}

static int main_goroutine(int argc, char **argv)
{
    long clients = argument(argc, argv, 1, 100);
    requests queue = requests_new(4);
    amounts in = amounts_new(0), out = amounts_new(0), answer = amounts_new(1);
    expect(queue.chan && in.chan && out.chan && answer.chan ? 0 : -ENOMEM, "new");
    weft_waitgroup_add(&accounts, 1);
    expect(go_account(account, queue), "go_account");
    long expected = 0;
    for (long i = 1; i <= clients; i++) {
        struct client next =
            i % 4 == 0 ? (struct client){queue, out, -i} : (struct client){queue, in, i};
        expect(go_client(client, next), "go_client");
        expected += next.amount;
    }

    long sums[2] = {0}, got[2], balance = 0;
    weft_case cases[] = {amounts_recv_case(in, &got[0]), amounts_recv_case(out, &got[1])};
    for (long i = 0; i < clients; i++) {
        int which = weft_select(cases, 2, WEFT_FOREVER);
        sums[which] += got[which];
    }
    requests_send(queue, (struct request){.answer = answer});
    amounts_recv(answer, &balance);
    printf("%ld clients paid in %ld and took out %ld; the balance is %ld\n", clients, sums[0],
           -sums[1], balance);
    check(balance == expected && balance == sums[0] + sums[1], "nothing is lost");

    requests_close(queue); /* which ends the account */
    weft_waitgroup_wait(&accounts);
    requests_unref(queue);
    amounts_unref(in);
    amounts_unref(out);
    amounts_unref(answer);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
