/* probe.c - the rates of this machine that kernels are measured by. */
#include "cpu.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

enum {
    READ_BYTES = 256 << 20, // several times any cache of a few cores
    READ_CHUNK = 1 << 20,
    ROUNDS = 1 << 12, // of a chunk of arithmetic: some 10 us
    PASSES = 5,
};

struct probe {
    const struct cpu_probe *loop;
    uint8_t *p;
    _Atomic uint64_t sum; // of all values, so that no loop can be left out
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct probe *r = ctx;

    (void)worker;
    for (int64_t i = begin * READ_CHUNK; i < end * READ_CHUNK; i++)
        r->p[i] = (uint8_t)(i * 7 >> 3);
}

static void read_chunks(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct probe *r = ctx;

    (void)worker;
    atomic_fetch_add(&r->sum,
                     r->loop->read(r->p + begin * READ_CHUNK, (size_t)(end - begin) * READ_CHUNK));
}

static void int8_chunks(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct probe *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&r->sum, r->loop->int8(ROUNDS));
}

static void fma_chunks(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct probe *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&r->sum, r->loop->fma(ROUNDS));
}

static double seconds(struct thread_pool *pool, thread_fn fn, struct probe *r, int64_t chunks)
{
    double t = now();

    thread_run(pool, fn, r, chunks, 1);
    return now() - t;
}

/* Units a second: the best of some passes over `chunks` chunks of `unit`. */
static double rate(struct thread_pool *pool, thread_fn fn, struct probe *r, int64_t chunks,
                   double unit)
{
    double best = 0;

    for (int i = 0; i < PASSES; i++) {
        double x = (double)chunks * unit / seconds(pool, fn, r, chunks);

        best = x > best ? x : best;
    }
    return best;
}

/* The same over as many chunks as take some 10 ms. */
static double rate_of(struct thread_pool *pool, thread_fn fn, struct probe *r, double unit)
{
    int64_t chunks = thread_count(pool);

    while (seconds(pool, fn, r, chunks) < 0.01)
        chunks *= 2;
    return rate(pool, fn, r, chunks, unit);
}

int backend_cpu_probe(struct backend *b, struct backend_rates *out, struct err *e)
{
    struct cpu *c = cpu_of(b);
    struct probe r = {.loop = c->k->probe};
    void *p;

    if (b->ops->alloc(b, READ_BYTES, &p, e))
        return -1;
    r.p = p;
    madvise(p, READ_BYTES, MADV_HUGEPAGE); // a wish
    thread_run(c->pool, fill, &r, READ_BYTES / READ_CHUNK, 1);
    out->read_bytes = rate(c->pool, read_chunks, &r, READ_BYTES / READ_CHUNK, READ_CHUNK);
    b->ops->free(b, p, READ_BYTES);
    out->int8_ops = rate_of(c->pool, int8_chunks, &r, 2.0 * ROUNDS * r.loop->int8_of_round);
    out->float_ops = rate_of(c->pool, fma_chunks, &r, 2.0 * ROUNDS * r.loop->fma_of_round);
    return 0;
}
