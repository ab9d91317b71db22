/* thread.c - a pool of workers over ranges of outputs.
 *
 * A job is announced by one 64-bit word: its number in the upper half, the next
 * chunk to take in the lower. A worker takes a chunk by compare-and-swap on the
 * whole word. The word is closed under a new number before the job's fields
 * change, so a worker that wakes late can never mix two jobs. The run ends when all chunks are
 * done, not when all workers have looked: a worker that the system does not schedule costs nothing.
 * Workers spin for some 30 us, then sleep on a condition. */
#include "thread.h"

#include "mem.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN = 1000 };
#define CLOSED UINT32_MAX // a chunk number: the job's fields are being written

struct worker {
    struct thread_pool *pool;
    pthread_t thread;
    int id;
};

struct thread_pool {
    int n, spin;
    struct worker *worker; // (n), the first is the caller
    /* The job: written while `state` is closed, unchanged until it is done. */
    _Atomic(thread_fn) fn;
    _Atomic(void *) ctx;
    _Atomic int64_t items, grain;
    _Atomic uint64_t state; // job << 32 | next chunk
    _Atomic int64_t left;   // chunks not yet done
    _Atomic int asleep;     // workers that wait on `wake`
    _Atomic bool waiting;   // the caller waits on `done`
    _Atomic bool quit;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Take chunks of the job in `state` until none is left. */
static void work(struct thread_pool *p, int id)
{
    uint64_t s = atomic_load(&p->state);

    for (;;) {
        int64_t items = atomic_load(&p->items), grain = atomic_load(&p->grain), begin;
        thread_fn fn = atomic_load(&p->fn);
        void *ctx = atomic_load(&p->ctx);

        begin = (int64_t)(uint32_t)s * grain;
        if ((uint32_t)s == CLOSED || begin >= items) {
            uint64_t now = atomic_load(&p->state);

            if (now >> 32 == s >> 32)
                return;
            s = now;
            continue;
        }
        if (!atomic_compare_exchange_weak(&p->state, &s, s + 1))
            continue;
        fn(ctx, begin, items - begin < grain ? items : begin + grain, id);
        s++;
        if (atomic_fetch_sub(&p->left, 1) == 1 && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->mutex);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->mutex);
        }
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct thread_pool *p = w->pool;
    uint32_t seen = 0;

    for (;;) {
        for (int i = 0; i < p->spin; i++) {
            if ((uint32_t)(atomic_load(&p->state) >> 32) != seen || atomic_load(&p->quit))
                break;
            pause_briefly();
        }
        if ((uint32_t)(atomic_load(&p->state) >> 32) == seen) {
            pthread_mutex_lock(&p->mutex);
            atomic_fetch_add(&p->asleep, 1);
            while ((uint32_t)(atomic_load(&p->state) >> 32) == seen && !atomic_load(&p->quit))
                pthread_cond_wait(&p->wake, &p->mutex);
            atomic_fetch_sub(&p->asleep, 1);
            pthread_mutex_unlock(&p->mutex);
        }
        if (atomic_load(&p->quit))
            return NULL;
        seen = (uint32_t)(atomic_load(&p->state) >> 32);
        work(p, w->id);
    }
}

void thread_run(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain)
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
    atomic_store(&p->state, job << 32);
    if (atomic_load(&p->asleep)) {
        pthread_mutex_lock(&p->mutex);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->mutex);
    }
    work(p, 0);
    for (int i = 0; i < p->spin && atomic_load(&p->left); i++)
        pause_briefly();
    if (!atomic_load(&p->left))
        return;
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->waiting, true);
    while (atomic_load(&p->left))
        pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->mutex);
}

/* Processors that "QUOTA PERIOD" of one cgroup allows, or -1 without a limit. */
static int quota_of(const char *path)
{
    char text[64];
    long long quota, period;
    FILE *f = fopen(path, "re");
    bool got;

    if (!f)
        return -1;
    got = fgets(text, sizeof(text), f) != NULL;
    fclose(f);
    if (!got || sscanf(text, "%lld %lld", &quota, &period) != 2 || quota < 1 || period < 1)
        return -1; // "max 100000"
    quota = quota / period + (quota % period != 0);
    return quota > THREAD_MAX ? THREAD_MAX : (int)quota;
}

/* The tightest quota of our cgroup (version 2) and of those above it, or -1. */
static int quota(void)
{
    char line[1024], path[1200];
    FILE *f = fopen("/proc/self/cgroup", "re");
    int best = -1, q;

    if (!f)
        return -1;
    line[0] = 0;
    while (fgets(line, sizeof(line), f) && strncmp(line, "0::/", 4))
        line[0] = 0;
    fclose(f);
    if (strncmp(line, "0::/", 4))
        return -1;
    line[strcspn(line, "\n")] = 0;
    for (char *dir = line + 3, *slash;; *slash = 0) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", dir);
        q = quota_of(path);
        if (q > 0 && (best < 0 || q < best))
            best = q;
        slash = strrchr(dir, '/');
        if (!slash)
            return best;
    }
}

int thread_available(void)
{
    cpu_set_t set;
    int n = 1, q = quota();

    if (!sched_getaffinity(0, sizeof(set), &set))
        n = CPU_COUNT(&set);
    if (q > 0 && q < n)
        n = q;
    return n < 1 ? 1 : n > THREAD_MAX ? THREAD_MAX : n;
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

        *w = (struct worker){.pool = p, .id = p->n};
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
    int available = thread_available();

    if (n < 0 || n > THREAD_MAX) {
        err_set(e, ERR_ARG, "%d threads: not in 0..%d", n, THREAD_MAX);
        return NULL;
    }
    n = n ? n : available;
    p = mem_zero(1, sizeof(*p));
    p->worker = mem_zero((size_t)n, sizeof(*p->worker));
    p->n = 1;
    p->spin = n > available ? 0 : SPIN; // spinning would take the core from a worker
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
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
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 1; i < p->n; i++)
        pthread_join(p->worker[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p->worker);
    free(p);
}

int thread_count(const struct thread_pool *p)
{
    return p->n;
}
