/* forward_bench.c - tokens per second of decode and prefill on random weights,
 * beside the machine's read bandwidth.
 *
 *     forward_bench [threads [layers [isa]]]
 *
 * Times are processor time over the number of threads, which is what an idle
 * machine's clock would say; on a busy one the clock says more, so it is printed too.
 * The model has the shape of Llama-3.2-1B with a small vocabulary; layers (16)
 * scales it. Every layer has its own memory, so decode reads all of it. */
#include "forward.h"
#include "ops.h"
#include "quant.h"
#include "step.h"
#include "tensor.h"
#include "thread.h"

#include <time.h>

enum { DIM = 2048, FFN = 8192, HEADS = 32, KV_HEADS = 8, VOCAB = 32000, PROMPT = 512 };

static double seconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Processor time of all threads together. */
static double now(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- bandwidth ---- */

struct scan {
    const uint64_t *p;
    uint64_t sum[64];
};

static void scan(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct scan *s = ctx;
    uint64_t a = 0, b = 0, c = 0, d = 0;

    for (int64_t i = begin * 512; i < end * 512; i += 8) {
        a += s->p[i] ^ s->p[i + 1];
        b += s->p[i + 2] ^ s->p[i + 3];
        c += s->p[i + 4] ^ s->p[i + 5];
        d += s->p[i + 6] ^ s->p[i + 7];
    }
    s->sum[worker] += a + b + c + d;
}

/* Bytes a second that all threads together read, best of several passes. */
static double bandwidth(int threads, size_t bytes)
{
    struct err e;
    struct thread_pool *pool = thread_open(threads, &e);
    uint64_t *p = mem_new(bytes);
    struct scan s = {.p = p};
    double best = 0;

    memset(p, 1, bytes);
    for (int i = 0; i < 6; i++) {
        double t = now();

        thread_run(pool, scan, &s, (int64_t)(bytes / 4096), 64);
        t = (double)bytes / (now() - t) * threads;
        best = t > best ? t : best;
    }
    printf("# sum %llu\n", (unsigned long long)s.sum[0]); // so that it is not left out
    thread_close(pool);
    free(p);
    return best;
}

/* ---- a model of random blocks ---- */

static struct weight matrix(struct ops *o, struct backend *b, enum tensor_type t, int rows,
                            int cols, size_t *bytes)
{
    struct weight w = {.rows = rows, .cols = cols, .n_parts = 1};
    size_t n = tensor_row_bytes(t, cols) * (size_t)rows, block = tensor_block_bytes(t);
    uint8_t *p = mem_new(n + 8);
    uint16_t d = quant_to_f16(0.01f);
    struct err e;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t r = ops_bits(o) & (tensor_block(t) > 1 ? UINT64_MAX : 0xa7ffa7ffa7ffa7ffu);

        memcpy(p + i, &r, 8); // half floats of at most 2^-5, by the mask
    }
    for (size_t i = 0; tensor_block(t) > 1 && i < n; i += block) {
        memcpy(p + i + (t == T_Q6_K ? 208 : 0), &d, 2);
        if (t == T_Q4_1 || t == T_Q5_1 || t == T_Q4_K || t == T_Q5_K)
            memcpy(p + i + 2, &d, 2);
    }
    w.part[0] = (struct weight_part){.type = t, .rows = rows, .host = p};
    if (b->ops->weight(b, &w, &e))
        printf("%s\n", e.msg);
    *bytes += n;
    return w;
}

static void model_make(struct ops *o, struct model *m, struct backend *b, enum tensor_type t,
                       int layers, size_t *bytes)
{
    int head = DIM / HEADS;
    float *freq = ops_floats(o, (size_t)head / 2);
    size_t embed = 0;

    *m = (struct model){.dim = DIM, .n_layers = layers, .vocab = VOCAB};
    m->ctx = 4096;
    m->embed_scale = 1.0f;
    m->ffn = (struct ffn_shape){FFN, 1, FFN_SILU};
    m->attn = (struct attn_shape){.n_heads = HEADS,
                                  .n_kv_heads = KV_HEADS,
                                  .head_dim = head,
                                  .rope_dims = head,
                                  .rope_pairs_apart = 1,
                                  .inv_freq = freq,
                                  .scale = 0.125f};
    m->embed = matrix(o, b, t, VOCAB, DIM, &embed);
    m->head = m->embed;
    *bytes = embed; // read once, as the head
    m->out_norm = (struct norm_weight){NORM_RMS, 1e-5f, ops_floats(o, DIM), NULL};
    m->layer = mem_zero((size_t)layers, sizeof(*m->layer));
    for (int i = 0; i < layers; i++) {
        struct layer *l = &m->layer[i];

        l->attn_norm = l->ffn_norm = m->out_norm;
        l->attn = m->attn;
        l->qkv = matrix(o, b, t, (HEADS + 2 * KV_HEADS) * head, DIM, bytes);
        l->o = matrix(o, b, t, DIM, DIM, bytes);
        l->gate_up = matrix(o, b, t, 2 * FFN, DIM, bytes);
        l->down = matrix(o, b, t, DIM, FFN, bytes);
    }
}

static void model_drop(struct model *m)
{
    for (int i = 0; i < m->n_layers; i++) {
        free((void *)(uintptr_t)m->layer[i].qkv.part[0].host);
        free((void *)(uintptr_t)m->layer[i].o.part[0].host);
        free((void *)(uintptr_t)m->layer[i].gate_up.part[0].host);
        free((void *)(uintptr_t)m->layer[i].down.part[0].host);
    }
    free((void *)(uintptr_t)m->embed.part[0].host);
    free((void *)(uintptr_t)m->attn.inv_freq);
    free(m->out_norm.w_d);
    free(m->layer);
}

/* ---- runs ---- */

/* Seconds of one step of n tokens at the end of s. */
static double step_time(struct model *m, struct backend *b, struct kv *kv, struct kv_seq *s,
                        struct act *a, struct step_build *sb, int n)
{
    int32_t token[PROMPT];
    struct err e;
    double t = now();

    for (int i = 0; i < n; i++)
        token[i] = (s->len + i) * 97 % VOCAB;
    if (kv_reserve(kv, s, n))
        return -1;
    step_reset(sb);
    step_add(sb, s, token, n, s->len, 1);
    if (forward(m, b, &kv->pages, a, step_done(sb), &e))
        printf("%s\n", e.msg);
    s->len += n;
    return (now() - t) / backend_cpu_threads(b);
}

static void bench(struct ops *o, struct backend *b, enum tensor_type t, int layers, double rate)
{
    struct model m;
    struct kv kv;
    struct kv_seq s = {0};
    struct act a;
    struct step_build sb;
    struct err e;
    size_t bytes;
    double prefill = 1e9, decode = 1e9, batch = 1e9, clock = seconds(CLOCK_MONOTONIC), cpu = now();

    model_make(o, &m, b, t, layers, &bytes);
    if (kv_open(&kv, &m, b, 32, &e) || forward_open(&a, &m, b, PROMPT, 1, &e))
        printf("%s\n", e.msg);
    step_init(&sb, PROMPT, 1, 1);
    for (int i = 0; i < 2; i++) {
        kv_cut(&kv, &s, 0);
        prefill = fmin(prefill, step_time(&m, b, &kv, &s, &a, &sb, PROMPT));
    }
    for (int i = 0; i < 16; i++)
        decode = fmin(decode, step_time(&m, b, &kv, &s, &a, &sb, 1));
    for (int i = 0; i < 4; i++)
        batch = fmin(batch, step_time(&m, b, &kv, &s, &a, &sb, 16));
    printf("%-5s %5.0f MB  decode %6.2f tok/s = %3.0f %% of read bandwidth  16 tokens %6.1f tok/s"
           "  prefill %6.1f tok/s  (clock %.1fx)\n",
           tensor_type_name(t), (double)bytes / 1e6, 1 / decode,
           100 * (double)bytes / decode / rate, 16 / batch, PROMPT / prefill,
           (seconds(CLOCK_MONOTONIC) - clock) / (now() - cpu));
    fflush(stdout);
    forward_close(&a, b);
    step_free(&sb);
    kv_release(&kv, &s);
    kv_close(&kv);
    model_drop(&m);
}

int main(int argc, char **argv)
{
    static const enum tensor_type types[] = {T_F16,  T_BF16, T_Q8_0, T_Q4_0,
                                             T_Q5_1, T_Q4_K, T_Q5_K, T_Q6_K};
    int threads = argc > 1 ? atoi(argv[1]) : 0, layers = argc > 2 ? atoi(argv[2]) : 16;
    enum backend_isa isa = argc > 3 ? (enum backend_isa)atoi(argv[3]) : ISA_AUTO;
    struct ops o = {.random = 1};
    struct err e;
    struct backend *b = backend_cpu_open(threads, isa, &e);
    double rate;

    if (!b) {
        printf("%s\n", e.msg);
        return 1;
    }
    rate = bandwidth(backend_cpu_threads(b), (size_t)1 << 30);
    printf("%s, %d threads, reads %.1f GB/s, dim %d, %d layers\n", backend_cpu_isa(b),
           backend_cpu_threads(b), rate / 1e9, DIM, layers);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        bench(&o, b, types[i], layers, rate);
    backend_close(b);
    return 0;
}
