/* ahead.c - while threads wait, weights of the next product come to their caches.
 *
 * A product of few tokens takes as long as memory needs for its weights; between two products, in
 * norms, positions and attention, memory has nothing to do, nor have most threads. Products of a
 * step are those of the step before, so what comes next is known: threads that wait ask for the
 * rows that they are likely to begin with (linear.c, struct cut).
 *
 * Two threads of a Zen 4, medians of pairs of runs in turn: tokens a second of the shape 135m, one
 * sequence, x 1.05 (Q8_0, 12 pairs) and 1.04 (Q4_0), four sequences 1.03, 32 1.01; of llama-1.1b,
 * where 26 us of a layer's 700 pass between products, 1.01 (Q4_0 and Q4_K, 25 pairs). */
#include "cpu.h"
#include "mem.h"

#include <stdlib.h>

enum { AHEAD_BYTES = 512 << 10, AHEAD_TURN = 256 }; // of a thread in all, and each time

/* What a thread has asked for of the next product. */
struct cpu_ahead_worker {
    _Alignas(64) uint32_t turn;
    size_t done;
};

static bool ask(void *ctx, int worker)
{
    struct cpu_ahead *a = ctx;
    struct cpu_ahead_worker *w = &a->worker[worker];
    uint32_t turn = atomic_load_explicit(&a->turn, memory_order_acquire);
    /* of different turns, it may be: then what is asked for is of no use, or nobody's */
    const uint8_t *at = atomic_load_explicit(&a->at, memory_order_relaxed);
    size_t each = atomic_load_explicit(&a->each, memory_order_relaxed),
           bytes = atomic_load_explicit(&a->bytes, memory_order_relaxed),
           most = each < AHEAD_BYTES ? each : AHEAD_BYTES, from = (size_t)worker * each;

    if (w->turn != turn)
        *w = (struct cpu_ahead_worker){.turn = turn};
    if (w->done >= most || from + w->done >= bytes)
        return false;
    for (int i = 0; i < AHEAD_TURN; i += 64)
        __builtin_prefetch(at + from + w->done + i, 0, 2);
    w->done += AHEAD_TURN;
    return true;
}

void cpu_ahead_open(struct cpu *c)
{
    c->ahead.worker = mem_aligned((size_t)c->n_threads * sizeof(*c->ahead.worker));
    thread_idle(c->pool, ask, &c->ahead);
}

void cpu_ahead_close(struct cpu *c)
{
    free(c->ahead.worker);
}

void cpu_ahead(struct cpu *c, struct cpu_matrix *m, size_t each)
{
    struct cpu_ahead *a = &c->ahead;
    const struct cpu_matrix *next;

    m->each = each;
    if (a->last)
        a->last->then = m;
    a->last = m;
    next = m->then;
    if (!next)
        return;
    atomic_store_explicit(&a->at, next->panels ? next->panels : next->file, memory_order_relaxed);
    atomic_store_explicit(&a->each, next->each, memory_order_relaxed);
    atomic_store_explicit(&a->bytes, next->file_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&a->turn, 1, memory_order_release);
}
