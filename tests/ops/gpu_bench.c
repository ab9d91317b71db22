/* gpu_bench.c - the transformer on a GPU, on random weights of real shapes: one line of JSON each.
 *
 *     gpu_bench llm-cuda.so [read_gb_s [models [types [tflop_s]]]]
 *
 * Tokens a second of decode with 1 to 64 sequences and of prompts, beside the rate at which memory
 * was read (read_gb_s), and of prompts that of matrix products (tflop_s), in the same run; prompts
 * also by cuBLAS where it is ("fast":1); and what a step must read: weights once, keys and values
 * of the positions before it. Times are of steps as the engine takes them, replayed where they are
 * recorded, without sampling; medians of several runs of several steps; those of few sequences also
 * with each op a kernel ("fused":0) and with all that the kernels can do together (8). Each op by
 * itself: all layers' of one kind in a row, in one recorded step. Needs no other library. */
#include "forward.h"
#include "mem.h"
#include "quant.h"
#include "tensor.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5, PROMPT = 2048, SEQS = 64, MARGIN = 1 << 16 };

struct shape {
    const char *name;
    int dim, ffn, heads, kv_heads, layers, vocab;
};

static const struct shape shapes[] = {
    {"llama-8b", 4096, 14336, 32, 8, 32, 128256},
    {"llama-1b", 2048, 8192, 32, 8, 16, 128256},
};

struct bench {
    struct backend *b;
    struct model m;
    struct kv_pages kv;
    struct act a;
    const struct shape *shape;
    enum tensor_type type;
    double read_gb_s, tflop_s;
    void (*fuse)(struct backend *, int); // the device's llm_cuda_fuse
    size_t body, head;                   // bytes of weights that a step reads
    uint8_t *block;                      // random blocks, of which each matrix takes some
    size_t block_bytes, at;
    int32_t *page;
    int max_pages;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop(const struct err *e)
{
    fprintf(stderr, "gpu_bench: %s\n", e->msg);
    exit(1);
}

/* Blocks whose bits are random and whose scales are small. */
static void fill(uint8_t *p, size_t n, enum tensor_type t)
{
    size_t size = tensor_block_bytes(t);
    uint16_t d = quant_to_f16(0.002f);
    uint64_t s = 1;

    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t z = s += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z &= tensor_block(t) > 1 ? UINT64_MAX : 0xbcffbcffbcffbcffu; // half floats below 2^-6
        memcpy(p + i, &z, 8);
    }
    for (size_t i = 0; tensor_block(t) > 1 && i + size <= n; i += size) {
        size_t at = t == T_Q6_K ? 208 : t == T_Q3_K ? 108 : t == T_Q2_K ? 80 : 0;

        memcpy(p + i + at, &d, 2);
        if (t == T_Q4_K || t == T_Q5_K || t == T_Q2_K)
            memcpy(p + i + at + 2, &d, 2);
    }
}

static struct weight matrix(struct bench *c, int rows, int cols, int pairs, size_t *bytes)
{
    struct weight w = {.rows = rows, .cols = cols, .pairs = pairs, .n_parts = 1};
    size_t n = tensor_row_bytes(c->type, cols) * (size_t)rows;
    struct err e;

    c->at += tensor_block_bytes(c->type) * 16; // of one address, matrices would be one
    if (c->at + n > c->block_bytes)
        c->at = c->at % (tensor_block_bytes(c->type) * 16) + tensor_block_bytes(c->type);
    w.part[0] = (struct weight_part){.type = c->type, .rows = rows, .host = c->block + c->at};
    if (c->b->ops->weight(c->b, &w, &e))
        stop(&e);
    *bytes += n;
    return w;
}

static float *floats(struct bench *c, int n, float x)
{
    size_t bytes = (size_t)n * sizeof(float);
    float *host = mem_new(bytes);
    void *d;
    struct err e;

    for (int i = 0; i < n; i++)
        host[i] = x;
    if (c->b->ops->alloc(c->b, bytes, &d, &e) || c->b->ops->upload(c->b, d, host, bytes, &e))
        stop(&e);
    free(host);
    return d;
}

static void model_make(struct bench *c)
{
    const struct shape *s = c->shape;
    struct model *m = &c->m;
    int hd = s->dim / s->heads;
    float *freq = mem_new((size_t)hd / 2 * sizeof(*freq));
    size_t unread = 0;

    c->block_bytes = tensor_row_bytes(c->type, s->dim) * (size_t)s->vocab + MARGIN * 256;
    c->block = mem_new(c->block_bytes);
    c->at = 0;
    fill(c->block, c->block_bytes, c->type);
    for (int i = 0; i < hd / 2; i++)
        freq[i] = 1.0f / (float)(1 + i);
    *m = (struct model){.dim = s->dim, .n_layers = s->layers, .vocab = s->vocab};
    m->ctx = 8192;
    m->embed_scale = 1.0f;
    m->ffn = (struct ffn_shape){s->ffn, 1, FFN_SILU};
    m->attn = (struct attn_shape){.n_heads = s->heads,
                                  .n_kv_heads = s->kv_heads,
                                  .head_dim = hd,
                                  .rope_dims = hd,
                                  .rope_pairs_apart = 1,
                                  .inv_freq = freq,
                                  .scale = 0.1f};
    m->out_norm = (struct norm_weight){NORM_RMS, 1e-5f, floats(c, s->dim, 1), NULL};
    m->layer = mem_zero((size_t)s->layers, sizeof(*m->layer));
    m->embed = matrix(c, s->vocab, s->dim, 0, &unread);
    m->head = s->dim < 4096 ? m->embed : matrix(c, s->vocab, s->dim, 0, &unread);
    c->head = tensor_row_bytes(c->type, s->dim) * (size_t)s->vocab;
    for (int i = 0; i < s->layers; i++) {
        struct layer *l = &m->layer[i];

        l->attn_norm = l->ffn_norm = m->out_norm;
        l->attn = m->attn;
        l->qkv = matrix(c, (s->heads + 2 * s->kv_heads) * hd, s->dim, hd / 2, &c->body);
        l->o = matrix(c, s->dim, s->dim, 0, &c->body);
        l->gate_up = matrix(c, 2 * s->ffn, s->dim, s->ffn, &c->body);
        l->down = matrix(c, s->dim, s->ffn, 0, &c->body);
    }
}

/* A step of n tokens of each of seqs sequences at positions from `pos` on. */
static struct step step_make(struct bench *c, int seqs, int n, int pos)
{
    static int32_t token[PROMPT], at[PROMPT], seq[PROMPT], out[SEQS];
    struct step s = {.n = seqs * n, .n_out = seqs, .n_seq = seqs, .max_pages = c->max_pages};

    for (int q = 0; q < seqs; q++) {
        for (int i = 0; i < n; i++) {
            token[q * n + i] = (q * 131 + pos + i * 97) % c->m.vocab;
            at[q * n + i] = pos + i;
            seq[q * n + i] = q;
        }
        out[q] = q * n + n - 1;
    }
    s.token = token;
    s.pos = at;
    s.seq = seq;
    s.out = out;
    s.page = c->page;
    return s;
}

static void step_run(struct bench *c, int seqs, int n, int pos)
{
    struct step s = step_make(c, seqs, n, pos);
    struct err e;

    if (forward(&c->m, c->b, &c->kv, &c->a, &s, &e))
        stop(&e);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median, least and greatest seconds of a step. */
static void measure(struct bench *c, int seqs, int n, int pos, double t[3])
{
    int steps = n > 1 ? 3 : 24;
    double run[RUNS];

    for (int i = 0; i < 4; i++)
        step_run(c, seqs, n, pos);
    c->b->ops->sync(c->b);
    for (int r = 0; r < RUNS; r++) {
        run[r] = seconds();
        for (int i = 0; i < steps; i++)
            step_run(c, seqs, n, pos + (n > 1 ? 0 : i));
        c->b->ops->sync(c->b);
        run[r] = (seconds() - run[r]) / steps;
    }
    qsort(run, RUNS, sizeof(*run), by_value);
    t[0] = run[RUNS / 2], t[1] = run[0], t[2] = run[RUNS - 1];
}

static double value_bytes(const struct bench *c)
{
    return c->kv.type == KV_F32 ? 4 : 2;
}

static const char *kv_name(const struct bench *c)
{
    return c->kv.type == KV_F32 ? "f32" : "f16";
}

static void decode(struct bench *c, int seqs, int pos)
{
    const struct shape *s = c->shape;
    double t[3], read,
        kv = 2.0 * s->kv_heads * (s->dim / s->heads) * s->layers * pos * seqs * value_bytes(c);

    measure(c, seqs, 1, pos, t);
    read = ((double)(c->body + c->head) + kv) / t[0] / 1e9;
    printf(
        "{\"bench\":\"decode\",\"model\":\"%s\",\"type\":\"%s\",\"kv\":\"%s\",\"batch\":%d,\"ctx\":%d,"
        "\"us\":%.1f,\"us_min\":%.1f,\"us_max\":%.1f,\"tok_s\":%.1f,\"gb_s\":%.1f,\"percent\":%.1f}\n",
        s->name, tensor_type_name(c->type), kv_name(c), seqs, pos, t[0] * 1e6, t[1] * 1e6,
        t[2] * 1e6, seqs / t[0], read, c->read_gb_s > 0 ? 100 * read / c->read_gb_s : 0);
    fflush(stdout);
}

/* The same steps with and without ops that are done together. */
static void fused(struct bench *c)
{
    static const int seqs[] = {1, 2, 4, 8}, most[] = {0, 8};
    double t[3];

    for (int i = 0; i < 4 && c->fuse; i++)
        for (int k = 0; k < 2; k++) {
            c->fuse(c->b, most[k]);
            measure(c, seqs[i], 1, 128, t);
            printf("{\"bench\":\"fused\",\"model\":\"%s\",\"type\":\"%s\",\"batch\":%d,\"ctx\":128,"
                   "\"fused\":%d,\"us\":%.1f,\"us_min\":%.1f,\"us_max\":%.1f}\n",
                   c->shape->name, tensor_type_name(c->type), seqs[i], most[k], t[0] * 1e6,
                   t[1] * 1e6, t[2] * 1e6);
            fflush(stdout);
        }
    if (c->fuse)
        c->fuse(c->b, -1);
}

static void prompt(struct bench *c, int n, bool fast)
{
    const struct shape *s = c->shape;
    double t[3], hd = s->dim / s->heads;
    double macs = (double)s->layers *
                  ((double)s->dim * (s->dim * 2 + 2 * hd * s->kv_heads) + 3.0 * s->dim * s->ffn);

    measure(c, 1, n, 0, t);
    printf(
        "{\"bench\":\"prompt\",\"model\":\"%s\",\"type\":\"%s\",\"kv\":\"%s\",\"fast\":%d,\"tokens\":%d,"
        "\"ms\":%.2f,\"tok_s\":%.0f,\"tflop_s\":%.1f,\"percent\":%.1f}\n",
        s->name, tensor_type_name(c->type), kv_name(c), fast, n, t[0] * 1e3, n / t[0],
        2 * macs * n / t[0] / 1e12,
        c->tflop_s > 0 ? 100 * 2 * macs * n / t[0] / 1e12 / c->tflop_s : 0);
    fflush(stdout);
}

/* A cache of the type that --kv-type auto gives. */
static void cache_make(struct bench *c, bool fast)
{
    const struct shape *s = c->shape;
    int pages = SEQS * 18 + 64;
    size_t bytes;
    void *d;
    struct err e;

    c->kv = (struct kv_pages){NULL,
                              s->layers,
                              pages,
                              s->kv_heads,
                              s->dim / s->heads,
                              fast || c->type == T_BF16 || c->type == T_F16 ? KV_F16 : KV_F32};
    bytes = (size_t)s->layers * (size_t)pages * (size_t)s->kv_heads * 2 * BACKEND_PAGE *
            (size_t)(s->dim / s->heads) * (size_t)value_bytes(c);
    if (c->b->ops->alloc(c->b, bytes, &d, &e))
        stop(&e);
    c->kv.data_d = d;
    free(c->page);
    c->page = mem_new(sizeof(*c->page) * (size_t)pages);
    for (int i = 0; i < pages; i++)
        c->page[i] = (int)((unsigned)i * 7919u % (unsigned)pages);
}

enum op {
    OP_EMBED,
    OP_NORM,
    OP_QKV,
    OP_ROPE,
    OP_ATTN,
    OP_O,
    OP_GATE_UP,
    OP_GLU,
    OP_DOWN,
    OP_HEAD,
    OPS
};

static void op_run(struct bench *c, enum op op, const struct step *s)
{
    const struct backend_ops *o = c->b->ops;
    const struct model *m = &c->m;
    struct act *a = &c->a;

    for (int l = 0; l < m->n_layers; l++) {
        const struct layer *w = &m->layer[l];

        switch (op) {
        case OP_EMBED:
            o->embed(c->b, a->x_d, &m->embed, NULL, 1, s);
            break;
        case OP_NORM:
            o->norm(c->b, a->h_d, a->x_d, &w->attn_norm, s->n, m->dim);
            break;
        case OP_QKV:
            o->linear(c->b, a->qkv_d, &w->qkv, a->x_d, s->n);
            break;
        case OP_ROPE:
            o->rope_kv(c->b, a->qkv_d, &w->attn, &c->kv, l, s);
            break;
        case OP_ATTN:
            o->attn(c->b, a->h_d, a->qkv_d, &w->attn, &c->kv, l, s);
            break;
        case OP_O:
            o->linear_add(c->b, a->x_d, &w->o, a->h_d, s->n);
            break;
        case OP_GATE_UP:
            o->linear(c->b, a->gu_d, &w->gate_up, a->h_d, s->n);
            break;
        case OP_GLU:
            o->glu(c->b, a->h_d, a->gu_d, &m->ffn, s->n);
            break;
        case OP_DOWN:
            o->linear_add(c->b, a->x_d, &w->down, a->h_d, s->n);
            break;
        default:
            o->linear(c->b, a->logits_d, &m->head, a->h_d, s->n_out);
        }
    }
}

/* Microseconds of each op of a layer in a step of seqs sequences of n tokens that end at pos. */
static void ops_time(struct bench *c, int seqs, int n, int pos)
{
    static const char *const names[OPS] = {"embed", "norm",    "qkv", "rope", "attn",
                                           "o",     "gate_up", "glu", "down", "head"};
    static const char program[OPS];

    printf(
        "{\"bench\":\"ops\",\"model\":\"%s\",\"type\":\"%s\",\"batch\":%d,\"tokens\":%d,\"ctx\":%d",
        c->shape->name, tensor_type_name(c->type), seqs, n, pos);
    for (int op = 0; op < OPS; op++) {
        double run[RUNS];

        for (int r = -3; r < RUNS; r++) {
            double t = seconds();
            struct step s = step_make(c, seqs, n, pos);
            struct err e;
            int rc;

            s.program = &program[op];
            rc = c->b->ops->step_begin(c->b, &s, &e);
            if (rc == STEP_RUN)
                op_run(c, op, &s);
            if (rc < 0 || c->b->ops->step_end(c->b, &e))
                stop(&e);
            c->b->ops->sync(c->b);
            if (r >= 0)
                run[r] = (seconds() - t) / c->m.n_layers;
        }
        qsort(run, RUNS, sizeof(*run), by_value);
        printf(",\"%s_us\":%.2f", names[op], run[RUNS / 2] * 1e6);
    }
    printf("}\n");
    fflush(stdout);
}

/* One model in one type: in a backend of its own, which takes its memory along when it closes. */
static void bench(const struct shape *s, enum tensor_type t, struct backend *b, double read_gb_s,
                  double tflop_s, void (*fuse)(struct backend *, int))
{
    struct bench c = {
        .b = b, .shape = s, .type = t, .read_gb_s = read_gb_s, .tflop_s = tflop_s, .fuse = fuse};
    double start = seconds();
    struct err e;

    model_make(&c);
    cache_make(&c, false);
    c.max_pages = 18;
    if (forward_open(&c.a, &c.m, b, PROMPT, SEQS, &e))
        stop(&e);
    step_run(&c, 1, 1, 0);
    b->ops->sync(b);
    printf("{\"bench\":\"load\",\"model\":\"%s\",\"type\":\"%s\",\"bytes\":%zu,\"s\":%.3f,"
           "\"gb_s\":%.2f}\n",
           s->name, tensor_type_name(t), c.body + c.head, seconds() - start,
           (double)(c.body + c.head) / (seconds() - start) / 1e9);
    decode(&c, 1, 128);
    decode(&c, 8, 1024);
    decode(&c, 32, 1024);
    decode(&c, 64, 1024);
    fused(&c);
    ops_time(&c, 1, 1, 128);
    ops_time(&c, 8, 1, 1024);
    ops_time(&c, 64, 1, 1024);
    c.max_pages = 32;
    ops_time(&c, 1, PROMPT, 0);
    prompt(&c, 512, false);
    prompt(&c, PROMPT, false);
    if (b->ops->fast(b, &e)) {
        fprintf(stderr, "gpu_bench: --fast: %s\n", e.msg);
    } else {
        b->ops->free(b, c.kv.data_d, 0);
        cache_make(&c, true);
        prompt(&c, 512, true);
        prompt(&c, PROMPT, true);
    }
    forward_close(&c.a, b);
    b->ops->free(b, c.kv.data_d, 0);
    b->ops->free(b, c.m.out_norm.w_d, 0);
    free(c.page);
    free(c.block);
    free(c.m.layer);
    free((void *)(uintptr_t)c.m.attn.inv_freq);
}

int main(int argc, char **argv)
{
    static const enum tensor_type types[] = {T_BF16, T_Q8_0, T_Q4_0, T_Q4_K, T_Q6_K};
    double read_gb_s = argc > 2 ? atof(argv[2]) : 0, tflop_s = argc > 5 ? atof(argv[5]) : 0;
    struct backend_cuda o = {.version = BACKEND_CUDA_VERSION};
    struct backend *(*open)(const struct backend_cuda *, struct err *) = NULL;
    void (*fuse)(struct backend *, int) = NULL;
    void *so = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    void *f = so ? dlsym(so, "llm_cuda_open") : NULL;
    struct err e;

    if (!f) {
        fprintf(stderr, "usage: gpu_bench llm-cuda.so [read_gb_s [models [types [tflop_s]]]]: %s\n",
                argc > 1 ? dlerror() : "");
        return 2;
    }
    memcpy(&open, &f, sizeof(f));
    f = dlsym(so, "llm_cuda_fuse");
    memcpy(&fuse, &f, sizeof(f));
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++) {
            struct backend *b;

            if ((argc > 3 && !strstr(argv[3], shapes[i].name)) ||
                (argc > 4 && !strstr(argv[4], tensor_type_name(types[k]))))
                continue;
            b = open(&o, &e);
            if (!b)
                stop(&e);
            bench(&shapes[i], types[k], b, read_gb_s, tflop_s, fuse);
            backend_close(b);
        }
    return 0;
}
