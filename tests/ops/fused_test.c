/* fused_test.c - ops behind each other, as forward has them: what a device does in one kernel, and
 * what it replays, gives the bytes of the CPU's ops one by one. Half floats, whose sums have the
 * device's order, give those of its own ops one by one, and of more tokens at a time. */
#include "ops.h"
#include "quant.h"
#include "tensor.h"

enum {
    DIM = 512,
    FFN = 768,
    TOKENS = 71, // more than steps that are recorded, and odd
    HEAD = 64,
    HEADS = 8,
    KV_HEADS = 2,
    QKV = (HEADS + 2 * KV_HEADS) * HEAD
};

/* A layer: the types of its matrices, and where families differ. */
struct kind {
    const char *name;
    enum tensor_type type, v, down;
    enum norm_kind norm;
    int bias, qk_norm, rope_dims, rope_pairs_apart, window, gated;
    enum ffn_act act;
    enum kv_type kv;
};

static const struct kind kinds[] = {
    {"Q8_0", T_Q8_0, T_Q8_0, T_Q8_0, NORM_RMS, 0, 0, 64, 1, 0, 1, FFN_SILU, KV_F32},
    {"Q4_0, LayerNorm, biases", T_Q4_0, T_Q4_0, T_Q4_0, NORM_LAYER, 1, 0, 32, 1, 0, 0, FFN_GELU_ERF,
     KV_F32},
    {"Q4_1, norms of heads", T_Q4_1, T_Q4_1, T_Q4_1, NORM_RMS, 0, 1, 64, 1, 3, 1, FFN_GELU, KV_F32},
    {"Q4_K and Q6_K, neighbours rotate", T_Q4_K, T_Q6_K, T_Q6_K, NORM_RMS, 1, 0, 64, 0, 0, 1,
     FFN_SILU, KV_F32},
    {"Q4_K, some dimensions rotate", T_Q4_K, T_Q4_K, T_Q4_K, NORM_RMS, 0, 0, 32, 0, 0, 1, FFN_SILU,
     KV_F32},
    {"Q6_K and Q8_0", T_Q6_K, T_Q8_0, T_Q4_K, NORM_LAYER, 0, 0, 64, 1, 0, 1, FFN_GELU, KV_F32},
    {"BF16, biases", T_BF16, T_BF16, T_BF16, NORM_RMS, 1, 0, 64, 1, 0, 1, FFN_SILU, KV_F16},
    {"BF16, some dimensions rotate", T_BF16, T_BF16, T_BF16, NORM_LAYER, 0, 0, 32, 1, 4, 1,
     FFN_GELU, KV_F32},
    {"F16, neighbours rotate", T_F16, T_F16, T_F16, NORM_RMS, 0, 0, 48, 0, 0, 1, FFN_GELU_ERF,
     KV_BF16},
    {"F16 and Q8_0, norms of heads, not gated", T_F16, T_Q8_0, T_Q8_0, NORM_RMS, 1, 1, 64, 1, 0, 0,
     FFN_RELU2, KV_FP8},
    {"BF16 and F16", T_BF16, T_F16, T_Q4_0, NORM_RMS, 1, 0, 0, 1, 0, 1, FFN_RELU2, KV_F32},
    {"Q5_0, then BF16", T_Q5_0, T_Q5_0, T_BF16, NORM_RMS, 1, 0, 0, 1, 0, 1, FFN_GELU_ERF, KV_F32},
    {"BF16, then Q4_K", T_BF16, T_BF16, T_Q4_K, NORM_RMS, 0, 0, 0, 1, 0, 1, FFN_RELU2, KV_F32},
    {"Q3_K, then F16", T_Q3_K, T_Q3_K, T_F16, NORM_RMS, 1, 0, 0, 1, 0, 1, FFN_GELU, KV_F32},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct part {
    struct backend *b;
    struct weight qkv, o, up, down;
    struct norm_weight norm;
    struct attn_shape attn;
    struct ffn_shape ffn;
    struct kv_pages kv;
    float *x, *h, *qkv_y, *gu;
    uint8_t *old; // what the cache holds before a run
    size_t kv_bytes;
};

/* A matrix of a type, from random floats where that is easy, from random blocks otherwise. */
static void *rows(struct ops *o, enum tensor_type t, int n, int cols)
{
    size_t bytes = tensor_row_bytes(t, cols) * (size_t)n, block = tensor_block_bytes(t);
    uint8_t *p = mem_new(bytes);
    uint16_t d = quant_to_f16(0.01f);

    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)ops_bits(o);
    for (size_t i = 0; i < bytes; i += block) {
        if (t == T_BF16 || t == T_F16)
            p[i + 1] &= t == T_BF16 ? 0xbc : 0xa7; // below 2^-6
        else
            memcpy(p + i + (t == T_Q6_K ? 208 : t == T_Q3_K ? 108 : 0), &d, 2);
        if (t == T_Q4_K || t == T_Q4_1)
            memcpy(p + i + 2, &d, 2);
    }
    return p;
}

static struct weight_part part_of(struct ops *o, enum tensor_type t, int n, int cols, bool bias)
{
    return (struct weight_part){.type = t,
                                .rows = n,
                                .host = rows(o, t, n, cols),
                                .bias = bias ? ops_floats(o, (size_t)n) : NULL};
}

/* Gate and up in one matrix, in two of a type, or of two types, which are in no pairs. */
static struct weight up_of(struct ops *o, const struct kind *k)
{
    struct weight w = {.rows = k->gated ? 2 * FFN : FFN, .cols = DIM, .n_parts = 1};

    w.pairs = k->gated ? FFN : 0;
    if (!k->gated || (k->type == k->v && (k - kinds) % 2)) {
        w.part[0] = part_of(o, k->type, w.rows, DIM, k->bias);
        return w;
    }
    w.n_parts = 2;
    w.part[0] = part_of(o, k->type, FFN, DIM, k->bias);
    w.part[1] = part_of(o, k->v, FFN, DIM, k->bias);
    return w;
}

static void *make(struct backend *b, const void *x, size_t bytes)
{
    void *p;
    struct err e;

    CHECK(b->ops->alloc(b, bytes, &p, &e) == 0);
    if (x)
        CHECK(b->ops->upload(b, p, x, bytes, &e) == 0);
    return p;
}

static struct norm_weight norm_make(struct backend *b, enum norm_kind kind, const float *w, int dim)
{
    size_t bytes = (size_t)dim * sizeof(*w);

    return (struct norm_weight){kind, 1e-5f, make(b, w, bytes),
                                kind == NORM_LAYER ? make(b, w + DIM, bytes) : NULL};
}

/* The same layer on a backend. */
static void open_part(struct part *p, struct backend *b, const struct part *of,
                      const struct kind *k, const float *w)
{
    size_t kv = (size_t)TOKENS * KV_HEADS * 2 * BACKEND_PAGE * HEAD * (k->kv == KV_F32 ? 4 : 2);
    struct err e;

    *p = *of;
    p->b = b;
    CHECK(b->ops->weight(b, &p->qkv, &e) == 0 && b->ops->weight(b, &p->o, &e) == 0);
    CHECK(b->ops->weight(b, &p->up, &e) == 0 && b->ops->weight(b, &p->down, &e) == 0);
    p->norm = norm_make(b, k->norm, w, DIM);
    if (k->qk_norm)
        p->attn.q_norm = p->attn.k_norm = norm_make(b, NORM_RMS, w, HEAD);
    p->old = mem_new(kv);
    memset(p->old, 0x33, kv);
    p->kv_bytes = kv;
    p->kv = (struct kv_pages){make(b, NULL, kv), 1, TOKENS, KV_HEADS, HEAD, k->kv};
    p->x = make(b, NULL, TOKENS * DIM * sizeof(float));
    p->h = make(b, NULL, TOKENS * FFN * sizeof(float));
    p->qkv_y = make(b, NULL, TOKENS * QKV * sizeof(float));
    p->gu = make(b, NULL, TOKENS * 2 * FFN * sizeof(float));
}

static void layer(const struct part *p, const struct step *s)
{
    const struct backend_ops *o = p->b->ops;

    o->norm(p->b, p->h, p->x, &p->norm, s->n, DIM);
    o->linear(p->b, p->qkv_y, &p->qkv, p->h, s->n);
    o->rope_kv(p->b, p->qkv_y, &p->attn, &p->kv, 0, s);
    o->attn(p->b, p->h, p->qkv_y, &p->attn, &p->kv, 0, s);
    o->linear_add(p->b, p->x, &p->o, p->h, s->n);
    o->norm(p->b, p->h, p->x, &p->norm, s->n, DIM);
    o->linear(p->b, p->gu, &p->up, p->h, s->n);
    o->glu(p->b, p->h, p->gu, &p->ffn, s->n);
    o->linear_add(p->b, p->x, &p->down, p->h, s->n);
}

/* Two steps of the layer, at positions from 0 on that grow; y is x then, and what else ops have
 * written. Tokens are of sequences of their own; but two, where there are that many. */
enum { Y = DIM + QKV + 2 * FFN };
static void run(struct part *p, const float *x, int n, const void *program, float *y)
{
    static int32_t zero[TOKENS], pos[TOKENS], seq[TOKENS], page[TOKENS];
    const struct backend_ops *o = p->b->ops;
    struct step s = {.n = n, .n_seq = TOKENS, .max_pages = 1, .token = zero, .pos = pos};
    size_t bytes = (size_t)n * sizeof(*x);
    struct err e;

    s.seq = seq;
    s.page = page;
    s.out = zero;
    s.program = program;
    CHECK(o->upload(p->b, p->x, x, bytes * DIM, &e) == 0);
    CHECK(o->upload(p->b, p->kv.data_d, p->old, p->kv_bytes, &e) == 0);
    for (int i = 0; i < 2; i++) {
        int rc;

        for (int t = 0; t < TOKENS; t++) {
            seq[t] = t == 2 ? 1 : t;
            pos[t] = (t == 2 ? 1 : t) % 5 * 7 + 2 * i + (t == 2);
            page[t] = (t * 5 + 3) % TOKENS;
        }
        rc = o->step_begin(p->b, &s, &e);
        CHECK(rc >= 0);
        if (rc == STEP_RUN)
            layer(p, &s);
        CHECK(o->step_end(p->b, &e) == 0);
    }
    CHECK(o->download(p->b, y, p->x, bytes * DIM, &e) == 0);
    CHECK(o->download(p->b, y + n * DIM, p->qkv_y, bytes * QKV, &e) == 0);
    CHECK(o->download(p->b, y + n * (DIM + QKV), p->h, bytes * FFN, &e) == 0);
    if (!p->ffn.gated) // else they are not there any more
        CHECK(o->download(p->b, y + n * (DIM + QKV + FFN), p->gu, bytes * FFN, &e) == 0);
}

/* Runs of n tokens on the device, as it is, recorded, replayed; fused as it would be, and as much
 * as its kernels can. */
static void compare(struct part *p, const float *x, int n, const float *y, float *z)
{
    static const char program[1];
    const char *so = getenv("LLM_TEST_DEVICE");
    size_t size = (size_t)n * (size_t)(Y - (p->ffn.gated ? FFN : 0));

    for (int most = -1; most <= (so && n <= 8 ? 8 : -1); most += 9) {
        if (so)
            mirror_fuse(so, p->b, most);
        for (int use = 0; use < (n == TOKENS ? 1 : 3); use++) {
            run(p, x, n, use || most < 0 ? program : NULL, z);
            CHECK(ops_differs(y, z, size) < 0);
        }
    }
}

static void test_kind(struct ops *o, struct backend *device, const struct kind *k)
{
    static const int counts[] = {1, 2, 5, 8, 24, TOKENS};
    int some = (k - kinds) % 3 ? 5 : 6; // steps of so many tokens take their time
    float inv_freq[HEAD / 2];
    float *w = ops_floats(o, 2 * DIM), *x = ops_floats(o, TOKENS * DIM);
    float *y = mem_new(TOKENS * Y * sizeof(*y)), *z = mem_new(TOKENS * Y * sizeof(*z));
    struct weight_part q = part_of(o, k->type, HEADS * HEAD, DIM, k->bias),
                       kk = part_of(o, k->type, KV_HEADS * HEAD, DIM, k->bias),
                       v = part_of(o, k->v, KV_HEADS * HEAD, DIM, k->bias);
    struct part host = {0}, gpu, of = {.qkv = {.rows = QKV, .cols = DIM, .n_parts = 3}};
    bool half = o->device &&
                (k->type == T_BF16 || k->type == T_F16 || k->down == T_BF16 || k->down == T_F16);

    TEST(k->name);
    for (int i = 0; i < HEAD / 2; i++)
        inv_freq[i] = 1.0f / (float)(1 + i);
    of.qkv.pairs = k->rope_pairs_apart ? k->rope_dims / 2 : k->rope_dims > 0;
    of.qkv.part[0] = q, of.qkv.part[1] = kk, of.qkv.part[2] = v;
    of.o = (struct weight){.rows = DIM, .cols = DIM, .n_parts = 1};
    of.o.part[0] = part_of(o, k->type, DIM, DIM, k->bias);
    of.up = up_of(o, k);
    of.down = (struct weight){.rows = DIM, .cols = FFN, .n_parts = 1};
    of.down.part[0] = part_of(o, k->down, DIM, FFN, false);
    of.ffn = (struct ffn_shape){FFN, k->gated, k->act};
    of.attn = (struct attn_shape){.n_heads = HEADS,
                                  .n_kv_heads = KV_HEADS,
                                  .head_dim = HEAD,
                                  .rope_dims = k->rope_dims,
                                  .rope_pairs_apart = k->rope_pairs_apart,
                                  .inv_freq = inv_freq,
                                  .window = k->window,
                                  .scale = 0.1f};
    open_part(&gpu, device, &of, k, w);
    if (!half)
        open_part(&host, o->b[0], &of, k, w);
    for (int i = 0; i < some; i++) {
        if (half) // one by one
            mirror_fuse(getenv("LLM_TEST_DEVICE"), device, 0);
        run(half ? &gpu : &host, x, counts[i], NULL, y);
        CHECK(isfinite(y[0]) && y[0] != x[0]);
        compare(&gpu, x, counts[i], y, z);
    }
    for (int i = 0; half && i < some - 1;
         i += some - 2) { // a token's bytes are the same among more
        run(&gpu, x, counts[i], NULL, z);
        CHECK(ops_differs(y, z, (size_t)counts[i] * DIM) < 0);
    }
    device->ops->sync(device);
    free(x), free(y), free(z), free(w), free(gpu.old), free(host.old);
}

int main(void)
{
    struct ops o;

    ops_open(&o);
    for (int i = 0; i < KINDS && o.n > 1; i++) {
        struct backend *b;

        if (ops_skip(&o) || (!o.device && kinds[i].kv != KV_F32))
            continue;
        b = o.device ? mirror_device(getenv("LLM_TEST_DEVICE"))
                     : backend_cpu_open(2, ISA_AUTO, NULL);
        if (b)
            test_kind(&o, b, &kinds[i]); // its program is its own: of one backend
        backend_close(b);
    }
    ops_close(&o);
    return test_end();
}
