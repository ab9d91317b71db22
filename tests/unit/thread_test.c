/* thread_test.c - the pool: every output once, whatever the sizes; reuse; limits. */
#include "test.h"
#include "thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { N = 10000 };

struct job {
    _Atomic unsigned char hit[N];
    _Atomic int bad, calls;
    int workers;
    int64_t n, grain;
    bool slow;
};

static void work(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct job *j = ctx;

    if (begin < 0 || end > j->n || begin >= end || worker < 0 || worker >= j->workers)
        atomic_fetch_add(&j->bad, 1);
    atomic_fetch_add(&j->calls, 1);
    if (j->slow && worker)
        sched_yield();
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
    for (int k = 0; k < 3000; k++) {
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

static void test_limits(void)
{
    struct err e = {0};
    struct thread_pool *p;

    TEST("sizes that cannot be, and the size by default");
    CHECK(!thread_open(-1, &e) && e.code == ERR_ARG && strstr(e.msg, "-1"));
    CHECK(!thread_open(THREAD_MAX + 1, &e) && e.code == ERR_ARG);
    CHECK(thread_available() >= 1);
    p = thread_open(0, &e);
    CHECK(p && thread_count(p) == thread_available());
    thread_close(p);
    thread_close(NULL);
}

static void test_affinity(void)
{
    cpu_set_t old, one;
    size_t cpu = 0;

    TEST("the affinity mask bounds the default");
    if (sched_getaffinity(0, sizeof(old), &old))
        return;
    while (!CPU_ISSET(cpu, &old))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(!sched_setaffinity(0, sizeof(one), &one));
    CHECK(thread_available() == 1);
    sched_setaffinity(0, sizeof(old), &old);
}

int main(void)
{
    TEST("one worker");
    test_runs(1);
    TEST("two workers");
    test_runs(2);
    TEST("more workers than processors");
    test_runs(9);
    test_limits();
    test_affinity();
    return test_end();
}
