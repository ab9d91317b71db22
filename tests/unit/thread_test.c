/* thread_test.c - the pool: every output once, whatever the sizes; reuse; limits. */
#include "cpus.h"
#include "test.h"
#include "thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { N = 10000 };

struct job {
    _Atomic unsigned char hit[N];
    _Atomic int bad, calls;
    int workers;
    int64_t n, grain;
    bool slow;
    unsigned sleep_us;
};

static void work(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct job *j = ctx;

    if (begin < 0 || end > j->n || begin >= end || worker < 0 || worker >= j->workers)
        atomic_fetch_add(&j->bad, 1);
    atomic_fetch_add(&j->calls, 1);
    if (j->slow && worker)
        sched_yield();
    if (j->sleep_us && worker)
        usleep(j->sleep_us);
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&j->hit[i], 1);
}

/* All of [0, n) was done exactly once. */
static bool once(struct job *j)
{
    bool ok = j->bad == 0;

    for (int64_t i = 0; i < N; i++)
        ok = ok && j->hit[i] == (i < j->n);
    return ok;
}

static void test_runs(int threads)
{
    struct err e;
    struct thread_pool *p = thread_open(threads, &e);
    static struct job j;
    int bad = 0;

    CHECK(p && thread_count(p) == threads);
    for (int k = 0; k < (threads > 100 ? 300 : 3000); k++) {
        memset((void *)&j, 0, sizeof(j));
        j.workers = threads;
        j.n = k % 7 == 0 ? N : k % 50;
        j.grain = k % 11 * (k % 7 == 0 ? 13 : 1);
        j.slow = k % 3 == 0;
        thread_run(p, work, &j, j.n, j.grain);
        bad += !once(&j);
        bad += j.n == 0 && j.calls;
    }
    CHECK(bad == 0);
    thread_close(p);
}

/* Chunks that others hold are waited for, however long they take, asleep. */
static void test_waiting(int threads)
{
    struct err e;
    struct thread_pool *p = thread_open(threads, &e);
    static struct job j;
    int bad = 0;

    for (int k = 0; k < 40; k++) {
        memset((void *)&j, 0, sizeof(j));
        j.workers = threads;
        j.n = 8;
        j.grain = 1;
        j.sleep_us = (unsigned)(k % 4) * 500;
        thread_run(p, work, &j, j.n, j.grain);
        bad += !once(&j);
    }
    CHECK(bad == 0);
    thread_close(p);
}

/* A job whose first chunks are nothing, and whose others wait for one another. */
struct meeting {
    _Atomic int here;
    int64_t empty, brief; // chunks that do nothing, that take a while, before the others
    _Atomic bool alone;   // nobody came
};

static void meet(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct meeting *m = ctx;

    (void)end;
    (void)worker;
    if (begin < m->empty)
        return;
    if (begin < m->empty + m->brief) {
        usleep(1000);
        return;
    }
    atomic_fetch_add(&m->here, 1);
    for (int i = 0; i < 5000 && atomic_load(&m->here) < 2; i++)
        usleep(1000);
    if (atomic_load(&m->here) < 2)
        atomic_store(&m->alone, true);
}

static void test_meeting(int threads)
{
    struct err e;
    struct thread_pool *p = thread_open(threads, &e);

    for (int k = 0; k < 8; k++) {
        struct meeting m = {.empty = 1, .brief = k % 2 * 3};

        usleep(2000); // all sleep
        if (m.brief)  // the second shows it
            thread_run(p, meet, &m, m.empty + m.brief + 2, 1);
        else
            thread_run_long(p, meet, &m, m.empty + 2, 1);
        CHECK(!m.alone);
    }
    thread_close(p);
}

/* What is done while waiting, and by whom. */
struct wait {
    struct meeting m;
    _Atomic int turns[2];
    _Atomic bool bad;
};

static bool idle(void *ctx, int worker)
{
    struct wait *w = ctx;

    if (worker < 0 || worker > 1)
        atomic_store(&w->bad, true);
    else
        atomic_fetch_add(&w->turns[worker], 1);
    return worker == 1;
}

/* A chunk of each, of which the worker's lasts until the caller has waited for it. */
static void part(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct wait *w = ctx;

    meet(&w->m, begin, end, worker);
    for (int i = 0; i < 1000 && worker && !atomic_load(&w->turns[0]); i++)
        usleep(100);
}

/* Who waits is put to use: the caller for the chunk of another, a worker for the next job. */
static void test_idle(void)
{
    struct err e;
    struct thread_pool *p = thread_open(2, &e);
    struct wait w = {0};

    thread_idle(p, idle, &w);
    for (int k = 0; k < 100 && !(w.turns[0] && w.turns[1]); k++) {
        w.m = (struct meeting){0};
        thread_run_long(p, part, &w, 2, 1);
        usleep(1000);
    }
    CHECK(!w.bad && w.turns[0] && w.turns[1]);
    thread_close(p);
}

static void *burn(void *stop)
{
    while (!atomic_load((_Atomic bool *)stop))
        ;
    return NULL;
}

/* As many busy threads as processors beside the pool: every output once, and the
 * caller's affinity as it was. */
static void test_busy(void)
{
    _Atomic bool stop = false;
    pthread_t busy[64];
    cpu_set_t before, after;
    int n = 0, most = cpus_available();

    sched_getaffinity(0, sizeof(before), &before);
    while (n < most && n < 64 && !pthread_create(&busy[n], NULL, burn, &stop))
        n++;
    test_runs(2);
    test_runs(most);
    atomic_store(&stop, true);
    while (n)
        pthread_join(busy[--n], NULL);
    sched_getaffinity(0, sizeof(after), &after);
    CHECK(CPU_EQUAL(&before, &after));
}

static void test_limits(void)
{
    struct err e = {0};
    struct thread_pool *p;

    TEST("sizes that cannot be, and the size by default");
    CHECK(!thread_open(-1, &e) && e.code == ERR_ARG && strstr(e.msg, "-1"));
    CHECK(!thread_open(THREAD_MAX + 1, &e) && e.code == ERR_ARG);
    p = thread_open(0, &e);
    CHECK(p && thread_count(p) == cpus_available());
    thread_close(p);
    thread_close(NULL);
}

int main(void)
{
    TEST("one worker");
    test_runs(1);
    TEST("two workers");
    test_runs(2);
    TEST("more workers than processors");
    test_runs(9);
    TEST("many more");
    test_runs(200);
    TEST("chunks that take long");
    test_waiting(2);
    test_waiting(9);
    TEST("others come though the first chunk was nothing");
    test_meeting(2);
    test_meeting(9);
    TEST("who waits is put to use");
    if (cpus_available() > 1) // else who waits sleeps at once
        test_idle();
    TEST("beside busy threads");
    test_busy();
    test_limits();
    return test_end();
}
