/* thread.h - a pool of workers over ranges of outputs.
 *
 * Work is cut into chunks of outputs that the workers take in order from one
 * counter, so a busy core only takes fewer of them. Who computes a chunk never
 * changes its value. The caller is worker 0; this is the only module that
 * creates threads. It is made to share a machine: thread.c says how. */
#ifndef THREAD_H
#define THREAD_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

enum { THREAD_MAX = 1024 };

struct thread_pool;

/* Work on outputs [begin, end); worker is 0..count-1 and names the scratch to use. */
typedef void (*thread_fn)(void *ctx, int64_t begin, int64_t end, int worker);

/* n workers, caller included; 0 asks for cpus_available(). ERR_ARG when n is
 * out of 0..THREAD_MAX, ERR_IO when the system refuses a thread. */
struct thread_pool *thread_open(int n, struct err *e);
void thread_close(struct thread_pool *p); // NULL is fine
int thread_count(const struct thread_pool *p);

/* Call fn over [0, n) in chunks of `grain` outputs and return when all are done. Chunks
 * of some 5 to 100 us are best: shorter ones cost more to take, and for the length of
 * one the caller may have to wait. One run at a time; fn must not call thread_run on
 * the same pool. */
void thread_run(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain);

/* The same for chunks that take some 100 us or more, be it that the first does not: workers that
 * sleep are woken before it, not after it has shown what the others cost. */
void thread_run_long(struct thread_pool *p, thread_fn fn, void *ctx, int64_t n, int64_t grain);

/* What threads that wait for a job, or for its end, do over and over meanwhile, some 100 ns each
 * time; false: nothing, for now. Once, before the first run. */
typedef bool (*thread_idle_fn)(void *ctx, int worker);
void thread_idle(struct thread_pool *p, thread_idle_fn fn, void *ctx);

#endif
