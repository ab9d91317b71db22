/* forward_bench.c - tokens a second of decode, small batches and prefill on random
 * weights, beside the machine's rates.
 *
 *     forward_bench [threads [layers [isa [types]]]]
 *
 * Times are processor time over the number of threads, which is what an idle
 * machine's clock would say; on a busy one the clock says more, so it is printed too.
 * The model has the shape of TinyLlama-1.1B; layers (22) scales it. Every layer
 * has its own memory, so decode reads all of it. */
#include "forward.h"
#include "ops.h"
#include "quant.h"
#include "step.h"
#include "tensor.h"

#include <time.h>

enum { DIM = 2048, FFN = 5632, HEADS = 32, KV_HEADS = 4, VOCAB = 32000, PROMPT = 512 };

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
        size_t at = t == T_Q6_K ? 208 : t == T_Q3_K ? 108 : t == T_Q2_K ? 80 : 0;

        memcpy(p + i + at, &d, t == T_MXFP4 ? 0 : 2);
        if (t == T_Q4_1 || t == T_Q5_1 || t == T_Q2_K || t == T_Q4_K || t == T_Q5_K)
            memcpy(p + i + at + 2, &d, 2);
        for (size_t k = 0; k < 4 && t == T_NVFP4; k++)
            p[i + k] = 32;
        if (t == T_MXFP4)
            p[i] = 120;
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

/* Tokens a second in steps of n. A prompt begins at an empty cache. */
static double rate(struct model *m, struct backend *b, struct kv *kv, struct kv_seq *s,
                   struct act *a, struct step_build *sb, int n)
{
    double best = 1e9;

    for (int i = 0; i < (n < 64 ? 48 / n + 2 : 2); i++) {
        if (n >= 64 || s->len > 64)
            kv_cut(kv, s, 0);
        best = fmin(best, step_time(m, b, kv, s, a, sb, n));
    }
    return n / best;
}

static void bench(struct ops *o, struct backend *b, enum tensor_type t, int layers,
                  const struct backend_rates *r)
{
    static const int counts[] = {1, 2, 4, 8, 16, 256, PROMPT};
    struct model m;
    struct kv kv;
    struct kv_seq s = {0};
    struct act a;
    struct step_build sb;
    struct err e;
    size_t bytes;
    double x, macs, clock = seconds(CLOCK_MONOTONIC), cpu = now();

    model_make(o, &m, b, t, layers, &bytes);
    macs =
        (double)(bytes / tensor_row_bytes(t, 256)) * 256 - (double)VOCAB * DIM; // of a prompt token
    if (kv_open(&kv, &m, b, KV_F32, 32, &e) || forward_open(&a, &m, b, PROMPT, 1, &e))
        printf("%s\n", e.msg);
    step_init(&sb, PROMPT, 1, 1);
    printf("%-6s %5.0f MB ", tensor_type_name(t), (double)bytes / 1e6);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        x = rate(&m, b, &kv, &s, &a, &sb, counts[i]);
        printf(" %7.1f", x);
        if (counts[i] == 1)
            printf(" (%5.1f GB/s %3.0f %%)", (double)bytes * x / 1e9,
                   100 * (double)bytes * x / r->read_bytes);
        if (counts[i] == PROMPT)
            printf(" (%3.0f %%)",
                   200 * macs * x / (tensor_block(t) > 1 ? r->int8_ops : r->float_ops));
    }
    printf("  clock %.1fx\n", (seconds(CLOCK_MONOTONIC) - clock) / (now() - cpu));
    fflush(stdout);
    forward_close(&a, b);
    step_free(&sb);
    kv_release(&kv, &s);
    kv_close(&kv);
    model_drop(&m);
}

int main(int argc, char **argv)
{
    static const enum tensor_type types[] = {T_F16,  T_BF16, T_Q8_0,   T_Q4_0,  T_Q4_1,
                                             T_Q5_0, T_Q5_1, T_Q2_K,   T_Q3_K,  T_Q4_K,
                                             T_Q5_K, T_Q6_K, T_IQ4_NL, T_MXFP4, T_NVFP4};
    int threads = argc > 1 ? atoi(argv[1]) : 0, layers = argc > 2 ? atoi(argv[2]) : 22;
    enum backend_isa isa = argc > 3 ? (enum backend_isa)atoi(argv[3]) : ISA_AUTO;
    struct ops o = {.random = 1};
    struct backend_rates r;
    struct err e;
    struct backend *b = backend_cpu_open(threads, isa, &e);

    if (!b || backend_cpu_probe(b, &r, &e)) {
        printf("%s\n", e.msg);
        return 1;
    }
    printf(
        "%s, %d threads, reads %.1f GB/s, %.0f int8 and %.0f float Gop/s, dim %d, %d layers\n"
        "tokens in a step:      1                      2       4       8      16     256     512\n",
        backend_cpu_isa(b), backend_cpu_threads(b), r.read_bytes / 1e9, r.int8_ops / 1e9,
        r.float_ops / 1e9, DIM, layers);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (argc < 5 || strstr(argv[4], tensor_type_name(types[i])))
            bench(&o, b, types[i], layers, &r);
    backend_close(b);
    return 0;
}
