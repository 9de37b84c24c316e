/* SPDX-License-Identifier: MIT
 *
 * Mutex and waitgroup under random schedules: exclusion, no lost wake-up, and memory that is gone
 * at once.
 */
#include "harness/test.h"

#include <pthread.h>

#include "stress/stress.h"

/* ---- A bank: transfers between accounts under two locks in order ---- */

enum { ACCOUNTS = 8, CLERKS_MAX = 24, START = 1000 };

struct bank {
    struct account {
        weft_mutex mutex;
        long balance; /* guarded by mutex */
        int inside;   /* guarded by mutex */
    } accounts[ACCOUNTS];
    weft_waitgroup wg;
    int transfers;
};

struct clerk {
    struct bank *bank;
    uint64_t random;
};

static void enter(struct account *account, uint64_t *random)
{
    int tries = next_random(random) % 4 == 0 ? 3 : 0;
    while (tries > 0 && !weft_mutex_trylock(&account->mutex)) {
        tries--;
        weft_yield();
    }
    if (tries == 0)
        weft_mutex_lock(&account->mutex);
    CHECK_EQ(account->inside++, 0);
}

static void leave(struct account *account)
{
    CHECK_EQ(--account->inside, 0);
    weft_mutex_unlock(&account->mutex);
}

static void serve(void *arg)
{
    struct clerk *clerk = arg;
    for (int i = 0; i < clerk->bank->transfers; i++) {
        uint64_t r = next_random(&clerk->random);
        struct account *a = &clerk->bank->accounts[r % ACCOUNTS];
        struct account *b = &clerk->bank->accounts[r / 16 % ACCOUNTS];
        if (a == b)
            continue;
        enter(a < b ? a : b, &clerk->random);
        if (r / 256 % 8 == 0)
            weft_yield();
        enter(a < b ? b : a, &clerk->random);
        long amount = (long)(r / 4096 % 10);
        a->balance -= amount;
        if (r / 65536 % 32 == 0)
            weft_sleep(WEFT_MICROSECOND);
        b->balance += amount;
        leave(a);
        leave(b);
    }
    weft_waitgroup_done(&clerk->bank->wg);
}

static void *serve_thread(void *arg)
{
    serve(arg);
    return NULL;
}

static void run_bank(int threads, int transfers)
{
    struct bank bank = {.transfers = transfers};
    struct clerk clerks[CLERKS_MAX];
    pthread_t handles[CLERKS_MAX];
    long total = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        bank.accounts[i].balance = START;
    weft_waitgroup_add(&bank.wg, CLERKS_MAX);
    for (int i = 0; i < CLERKS_MAX; i++) {
        clerks[i] = (struct clerk){&bank, test_random() | 1};
        if (i < threads)
            CHECK_EQ(pthread_create(&handles[i], NULL, serve_thread, &clerks[i]), 0);
        else
            CHECK_EQ(weft_go(serve, &clerks[i]), 0);
    }
    weft_waitgroup_wait(&bank.wg);
    for (int i = 0; i < ACCOUNTS; i++) {
        CHECK_EQ(bank.accounts[i].mutex.state, 0);
        total += bank.accounts[i].balance;
    }
    CHECK_EQ(total, ACCOUNTS * START);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

TEST_PROCS(bank)
{
    run_bank(0, share(40000));
}

TEST_PROCS(bank_with_threads)
{
    run_bank(CLERKS_MAX / 2, share(1000));
}

TEST(bank_of_threads)
{
    run_bank(CLERKS_MAX, share(1000));
}

/* ---- One mutex, fought for without pause: a lost wake-up would hang ---- */

struct fight {
    weft_mutex mutex;
    weft_waitgroup wg;
    long counter;
    int rounds;
};

static void fight(void *arg)
{
    struct fight *f = arg;
    for (int i = 0; i < f->rounds; i++) {
        weft_mutex_lock(&f->mutex);
        f->counter++;
        weft_mutex_unlock(&f->mutex);
        if (i % 64 == 0)
            weft_yield();
    }
    weft_waitgroup_done(&f->wg);
}

TEST_PROCS(fight_for_one)
{
    enum { FIGHTERS = 8 };
    struct fight f = {.rounds = share(5000000 / FIGHTERS)};
    weft_waitgroup_add(&f.wg, FIGHTERS);
    for (int i = 0; i < FIGHTERS; i++)
        CHECK_EQ(weft_go(fight, &f), 0);
    weft_waitgroup_wait(&f.wg);
    CHECK_EQ(f.counter, (long)f.rounds * FIGHTERS);
    CHECK_EQ(f.mutex.state, 0);
}

/* ---- Reference-counted objects that the last user frees ---- */

struct object {
    weft_mutex mutex;
    int refs;
    int writes;
};

struct user {
    struct object *object;
    uint64_t random;
};

static void use(void *arg)
{
    struct user *user = arg;
    struct object *object = user->object;
    uint64_t r = next_random(&user->random);
    for (uint64_t i = 0; i < r % 4; i++) {
        weft_mutex_lock(&object->mutex);
        object->writes++;
        if (r / 16 % 4 == 0)
            weft_yield();
        weft_mutex_unlock(&object->mutex);
    }
    weft_mutex_lock(&object->mutex);
    bool last = --object->refs == 0;
    weft_mutex_unlock(&object->mutex);
    if (last) {
        memset(object, 0xff, sizeof *object);
        free(object);
    }
}

TEST_PROCS(objects_freed_by_the_last_user)
{
    int rounds = share(10000);
    for (int round = 0; round < rounds; round++) {
        int users = 1 + (int)test_random_below(6);
        struct object *object = calloc(1, sizeof *object);
        object->refs = users;
        for (int i = 0; i < users; i++) {
            struct user user = {object, test_random() | 1};
            start_with_copy(round % 10 == 0 && i == 0, use, &user, sizeof user);
        }
        if (round % 32 == 0)
            CHECK_SOON(weft_num_goroutine() == 1);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Waitgroups that live no longer than one wait ---- */

struct tree {
    weft_waitgroup *parent;
    uint64_t random;
    int depth;
};

static long leaves; /* atomic */

/* Waits for its children on a waitgroup that is freed at once, by chance with deadlines that race
 * with the last child's done. */
static void grow(void *arg)
{
    struct tree *tree = arg;
    if (tree->depth == 0) {
        __atomic_add_fetch(&leaves, 1, __ATOMIC_RELAXED);
        if (next_random(&tree->random) % 4 == 0)
            weft_yield();
    } else {
        weft_waitgroup *wg = calloc(1, sizeof *wg);
        weft_waitgroup_add(wg, 3);
        for (int i = 0; i < 3; i++) {
            struct tree child = {wg, next_random(&tree->random) | 1, tree->depth - 1};
            CHECK_EQ(weft_go_copy(grow, &child, sizeof child), 0);
        }
        if (next_random(&tree->random) % 2) {
            weft_waitgroup_wait(wg);
        } else {
            int64_t step = 1 + (int64_t)(next_random(&tree->random) % 30000);
            while (weft_waitgroup_wait_until(wg, weft_after(step)) != 0)
                ;
        }
        memset(wg, 0xff, sizeof *wg);
        free(wg);
    }
    weft_waitgroup_done(tree->parent);
}

TEST_PROCS(tree_of_waitgroups)
{
    enum { DEPTH = 6, LEAVES = 729 };
    int rounds = 1 + share(100) / test_scale();
    for (int round = 0; round < rounds; round++) {
        weft_waitgroup wg = {0};
        struct tree root = {&wg, test_random() | 1, DEPTH};
        weft_waitgroup_add(&wg, 1);
        CHECK_EQ(weft_go_copy(grow, &root, sizeof root), 0);
        weft_waitgroup_wait(&wg);
    }
    CHECK_EQ(leaves, LEAVES * rounds);
}

/* ---- Waiters with deadlines come and go while others count ---- */

struct gate {
    weft_waitgroup wg;
    weft_waitgroup ended;
    int value; /* written before the last done, read after the wait */
    int opened;
    int timeouts; /* atomic */
};

struct visitor {
    struct gate *gate;
    uint64_t random;
};

static void visit(void *arg)
{
    struct visitor *visitor = arg;
    struct gate *gate = visitor->gate;
    int result;
    do {
        uint64_t r = next_random(&visitor->random);
        int64_t deadline = r % 8 == 0   ? WEFT_NOWAIT
                           : r % 8 == 1 ? WEFT_FOREVER
                                        : weft_after((int64_t)(r / 8 % 50) * WEFT_MICROSECOND);
        result = weft_waitgroup_wait_until(&gate->wg, deadline);
        if (result != 0) {
            CHECK_EQ(result, deadline == WEFT_NOWAIT ? -EAGAIN : -ETIMEDOUT);
            __atomic_add_fetch(&gate->timeouts, 1, __ATOMIC_RELAXED);
            weft_yield();
        }
    } while (result != 0);
    CHECK_EQ(gate->value, 1);
    weft_waitgroup_done(&gate->ended);
}

static void *visit_thread(void *arg)
{
    visit(arg);
    return NULL;
}

static void open_gate(void *arg)
{
    struct gate *gate = arg;
    if (__atomic_add_fetch(&gate->opened, 1, __ATOMIC_ACQ_REL) == 4)
        gate->value = 1;
    weft_waitgroup_done(&gate->wg);
}

TEST_PROCS(gates)
{
    enum { VISITORS = 20, THREADS = 2 };
    int rounds = share(2000);
    for (int round = 0; round < rounds; round++) {
        struct gate gate = {.value = 0};
        struct visitor visitors[VISITORS];
        pthread_t threads[THREADS];
        weft_waitgroup_add(&gate.wg, 4);
        weft_waitgroup_add(&gate.ended, VISITORS);
        for (int i = 0; i < VISITORS; i++) {
            visitors[i] = (struct visitor){&gate, test_random() | 1};
            if (i < THREADS)
                CHECK_EQ(pthread_create(&threads[i], NULL, visit_thread, &visitors[i]), 0);
            else
                CHECK_EQ(weft_go(visit, &visitors[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            weft_sleep((int64_t)test_random_below(60) * WEFT_MICROSECOND);
            CHECK_EQ(weft_go(open_gate, &gate), 0);
        }
        weft_waitgroup_wait(&gate.ended);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        weft_waitgroup_wait(&gate.wg);
    }
}
