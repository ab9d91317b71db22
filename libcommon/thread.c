/* thread.c - a pool of workers over ranges of outputs.
 *
 * A job is announced by one 64-bit word: its number in the upper half, the next
 * chunk to take in the lower. A worker takes a chunk by compare-and-swap on the
 * whole word. The word is closed under a new number before the job's fields
 * change, so a worker that wakes late can never mix two jobs. The run ends when
 * all chunks are done, not when all workers have looked: a worker that the system
 * does not schedule costs nothing, unless it stands still amid a chunk.
 *
 * On a machine with other busy processes that is what costs: a worker that shares
 * its processor is stopped for a time slice (3-4 ms) amid a chunk of some 10 us.
 * So, while the pool has no more workers than there are processors:
 *
 *   apart   a worker that finds itself on the caller's processor leaves it before it
 *           takes a chunk; the system, left alone, often wakes both on the same one
 *   lend    a caller that has waited longer than a chunk takes moves the workers that
 *           hold one to its own processor and sleeps: they run there at once
 *
 * Both are affinities of the pool's own threads; the caller's is never touched.
 *
 * Who waits spins for some 50 us, then sleeps on a futex; a pool with more workers
 * than processors sleeps at once. To wake a worker costs the caller 7 us, and the
 * worker comes 10 us later: they are woken when the caller's first chunk has shown
 * that the rest is worth it. So a small model is no slower with many threads. What
 * the first chunk did not show, the second, fourth, eighth ... may; a job whose
 * chunks are known to be long (thread_run_long) does not wait for that. */
#include "thread.h"

#include "cpus.h"
#include "mem.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPIN = 50000, WORTH = 40000, LINE = 64 }; // nanoseconds; bytes of a cache line
#define CLOSED UINT32_MAX // a chunk number: the job's fields are being written

struct worker {
    _Alignas(LINE) struct thread_pool *pool;
    pthread_t thread;
    int id;
    bool lent;          // the caller's processor
    _Atomic bool holds; // a chunk
};

struct thread_pool {
    int n;
    bool spin;             // no more workers than processors
    _Atomic bool apart;    // and workers can be moved
    struct worker *worker; // (n), the first is the caller
    /* The job: written while `state` is closed, unchanged until it is done. */
    _Atomic(thread_fn) fn;
    _Atomic(void *) ctx;
    _Atomic int64_t items, grain;
    int64_t start;                          // clock, for the caller
    int64_t woken;                          // of the workers asleep, by the caller
    _Atomic int home;                       // processor of the caller
    _Alignas(LINE) _Atomic uint64_t state;  // job << 32 | next chunk
    _Alignas(LINE) _Atomic int64_t left;    // chunks not yet done
    _Alignas(LINE) _Atomic uint32_t number; // of the job: what idle workers sleep on
    _Atomic int asleep;                     // of them
    _Atomic uint32_t waiting;               // 1 while the caller sleeps
    _Atomic bool quit;
    _Atomic(thread_idle_fn) idle;
    _Atomic(void *) idle_ctx;
};

static void futex_wait(_Atomic uint32_t *at, uint32_t while_it_is)
{
    syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, while_it_is, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *at, int n)
{
    syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* One turn of waiting. */
static void wait_briefly(struct thread_pool *p, int worker)
{
    thread_idle_fn idle = atomic_load(&p->idle);

    if (!idle || !idle(atomic_load(&p->idle_ctx), worker))
        pause_briefly();
}

/* Let a worker run where the process may, except on the caller's processor. False when it cannot.
 */
static bool keep_apart(struct thread_pool *p, const struct worker *w)
{
    cpu_set_t set;

    if (sched_getaffinity(getpid(), sizeof(set), &set))
        return false;
    CPU_CLR((size_t)atomic_load(&p->home), &set);
    return CPU_COUNT(&set) && !pthread_setaffinity_np(w->thread, sizeof(set), &set);
}

/* Wake sleeping workers until so many were in this job. */
static void wake(struct thread_pool *p, int64_t most)
{
    int asleep = atomic_load(&p->asleep);
    int64_t n = most - p->woken;

    if (!asleep || n <= 0)
        return;
    n = n < asleep ? n : asleep;
    futex_wake(&p->number, (int)n);
    p->woken += n;
}

/* The caller has done so many chunks: wake whom the rest is worth it. The last chunk done counts
 * as one of the rest, if there is any. */
static void wake_for_rest(struct thread_pool *p, int64_t done)
{
    int64_t items, grain, rest;

    if (done & (done - 1) || !atomic_load(&p->asleep))
        return;
    items = atomic_load(&p->items);
    grain = atomic_load(&p->grain);
    rest = (items + grain - 1) / grain - (int64_t)(uint32_t)atomic_load(&p->state);
    if (rest > 0)
        wake(p, (rest + 1) * ((clock_ns() - p->start) / done) / WORTH);
}

/* Take chunks of the job in `state` until none is left. True: the caller slept and was woken. */
static bool work(struct thread_pool *p, struct worker *w)
{
    uint64_t s = atomic_load(&p->state);
    bool woke = false;
    int64_t done = 0;

    for (;;) {
        int64_t items = atomic_load(&p->items), grain = atomic_load(&p->grain), begin;
        thread_fn fn = atomic_load(&p->fn);
        void *ctx = atomic_load(&p->ctx);

        begin = (int64_t)(uint32_t)s * grain;
        if ((uint32_t)s == CLOSED || begin >= items) {
            uint64_t now = atomic_load(&p->state);

            if (now >> 32 == s >> 32)
                return woke;
            s = now;
            continue;
        }
        if (w->id && atomic_load(&p->apart) && sched_getcpu() == atomic_load(&p->home)) {
            if (!keep_apart(p, w))
                atomic_store(&p->apart, false);
            s = atomic_load(&p->state);
            continue;
        }
        atomic_store(&w->holds, true);
        if (atomic_compare_exchange_weak(&p->state, &s, s + 1)) {
            fn(ctx, begin, items - begin < grain ? items : begin + grain, w->id);
            s++;
            if (!w->id)
                wake_for_rest(p, ++done);
            if (atomic_fetch_sub(&p->left, 1) == 1 && atomic_exchange(&p->waiting, 0)) {
                futex_wake(&p->waiting, 1);
                woke = true;
            }
        }
        atomic_store(&w->holds, false);
    }
}

/* Whether there is a job, or the end, that an idle worker has not seen. */
static bool called(struct thread_pool *p, uint32_t seen)
{
    return atomic_load(&p->number) != seen || atomic_load(&p->quit);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct thread_pool *p = w->pool;
    uint32_t seen = 0;
    bool spin = p->spin;

    for (;;) {
        int64_t until = spin ? clock_ns() + SPIN : 0;

        for (int i = 0; spin && !called(p, seen); i++) {
            wait_briefly(p, w->id);
            spin = i % 16 || clock_ns() < until;
        }
        while (!called(p, seen)) {
            atomic_fetch_add(&p->asleep, 1);
            futex_wait(&p->number, seen);
            atomic_fetch_sub(&p->asleep, 1);
        }
        if (atomic_load(&p->quit))
            return NULL;
        seen = atomic_load(&p->number);
        /* who woke the caller makes room for it: they may be on one processor */
        spin = !work(p, w) && p->spin;
    }
}

/* Sleep until all chunks are done; the workers that hold one get our processor. */
static void lend(struct thread_pool *p)
{
    cpu_set_t here;
    int cpu = sched_getcpu();
    bool can = atomic_load(&p->apart) && cpu >= 0 && cpu < CPU_SETSIZE;

    CPU_ZERO(&here);
    if (can)
        CPU_SET((size_t)cpu, &here);
    for (int i = 1; can && i < p->n; i++) {
        struct worker *w = &p->worker[i];

        w->lent = atomic_load(&w->holds) && !pthread_setaffinity_np(w->thread, sizeof(here), &here);
    }
    while (atomic_load(&p->left)) {
        atomic_store(&p->waiting, 1);
        if (atomic_load(&p->left))
            futex_wait(&p->waiting, 1);
    }
    atomic_store(&p->waiting, 0);
    atomic_store(&p->home, sched_getcpu());
    for (int i = 1; can && i < p->n; i++) {
        if (p->worker[i].lent && !keep_apart(p, &p->worker[i]))
            atomic_store(&p->apart, false);
        p->worker[i].lent = false;
    }
}

/* Wait for the chunks that others hold; one takes about `chunk` nanoseconds. */
static void finish(struct thread_pool *p, int64_t chunk)
{
    if (p->spin) {
        int64_t until = clock_ns() + SPIN + 2 * chunk;

        for (int i = 1; atomic_load(&p->left); i++) {
            wait_briefly(p, 0);
            if (i % 16 == 0 && clock_ns() > until)
                break;
        }
    }
    if (atomic_load(&p->left))
        lend(p);
}

static void run(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain,
                bool is_long)
{
    int64_t chunks;
    uint64_t job;

    if (grain < 1)
        grain = 1;
    if (p->n == 1 || n <= grain) {
        if (n > 0)
            fn(ctx, 0, n, 0);
        return;
    }
    chunks = (n + grain - 1) / grain;
    if (chunks > INT32_MAX) {
        grain = n / INT32_MAX + 1;
        chunks = (n + grain - 1) / grain;
    }
    job = (atomic_load(&p->state) >> 32) + 2;
    atomic_store(&p->state, (job - 1) << 32 | CLOSED);
    atomic_store(&p->fn, fn);
    atomic_store(&p->ctx, ctx);
    atomic_store(&p->items, n);
    atomic_store(&p->grain, grain);
    atomic_store(&p->left, chunks);
    p->start = clock_ns();
    p->woken = 0;
    atomic_store(&p->home, sched_getcpu());
    atomic_store(&p->state, job << 32);
    atomic_store(&p->number, (uint32_t)job);
    if (is_long)
        wake(p, chunks - 1);
    work(p, &p->worker[0]);
    if (atomic_load(&p->left))
        finish(p, (clock_ns() - p->start) * p->n / chunks);
}

void thread_idle(struct thread_pool *p, thread_idle_fn fn, void *ctx)
{
    atomic_store(&p->idle_ctx, ctx);
    atomic_store(&p->idle, fn);
}

void thread_run(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain)
{
    run(p, fn, ctx, n, grain, false);
}

void thread_run_long(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain)
{
    run(p, fn, ctx, n, grain, true);
}

/* Start workers 1..n-1 with all signals blocked: signals are the caller's. */
static int start(struct thread_pool *p, int n, struct err *e)
{
    sigset_t all, old;
    int rc = 0;

    sigfillset(&all);
    sigdelset(&all, SIGBUS); // of a mapped file: ends the program, see cli.c
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (; p->n < n && !rc; p->n += !rc) {
        struct worker *w = &p->worker[p->n];

        w->pool = p;
        w->id = p->n;
        rc = pthread_create(&w->thread, NULL, worker_main, w);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return err_set(e, ERR_IO, "cannot start thread %d of %d: %s", p->n + 1, n, strerror(rc));
    return 0;
}

struct thread_pool *thread_open(int n, struct err *e)
{
    struct thread_pool *p;
    int available = cpus_available();

    if (n < 0 || n > THREAD_MAX) {
        err_set(e, ERR_ARG, "%d threads: not in 0..%d", n, THREAD_MAX);
        return NULL;
    }
    n = n ? n : available < THREAD_MAX ? available : THREAD_MAX;
    p = mem_aligned(sizeof(*p));
    p->worker = mem_aligned((size_t)n * sizeof(*p->worker));
    p->n = 1;
    p->spin = n <= available; // else spinning would take the processor from a worker
    p->apart = p->spin && n > 1;
    if (start(p, n, e)) {
        thread_close(p);
        return NULL;
    }
    return p;
}

void thread_close(struct thread_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->quit, true);
    atomic_fetch_add(&p->number, 1);
    futex_wake(&p->number, INT_MAX);
    for (int i = 1; i < p->n; i++)
        pthread_join(p->worker[i].thread, NULL);
    free(p->worker);
    free(p);
}

int thread_count(const struct thread_pool *p)
{
    return p->n;
}
