/* layers_test.c - layers of a step of one token, which a device may do in one kernel: the bytes of
 * its kernels one by one. Without a device there is nothing to compare. */
#include "ops.h"
#include "quant.h"
#include "tensor.h"

enum { LAYERS = 3, PAGES = 24 };

/* A model, and where families differ. */
struct kind {
    const char *name;
    enum tensor_type type;
    int dim, ffn, heads, kv_heads, head_dim;
    enum norm_kind norm;
    int bias, qk_norm, rope_dims, rope_pairs_apart, window;
    float softcap;
    enum ffn_act act;
    enum kv_type kv;
};

static const struct kind kinds[] = {
    {"BF16", T_BF16, 256, 512, 8, 2, 32, NORM_RMS, 0, 0, 32, 1, 0, 0, FFN_SILU, KV_F32},
    {"BF16, biases and norms of heads", T_BF16, 192, 704, 3, 3, 64, NORM_RMS, 1, 1, 64, 1, 0, 0,
     FFN_SILU, KV_F16},
    {"BF16, LayerNorm, a window", T_BF16, 576, 576, 4, 1, 80, NORM_LAYER, 1, 0, 20, 1, 600, 0,
     FFN_GELU, KV_BF16},
    {"F16, neighbours rotate, a soft cap", T_F16, 128, 1088, 6, 2, 64, NORM_RMS, 0, 0, 48, 0, 0, 30,
     FFN_GELU_ERF, KV_FP8},
    {"Q8_0", T_Q8_0, 320, 704, 4, 2, 64, NORM_RMS, 1, 0, 64, 1, 0, 0, FFN_SILU, KV_F32},
    {"Q4_0", T_Q4_0, 320, 832, 4, 1, 64, NORM_RMS, 0, 1, 64, 1, 0, 0, FFN_SILU, KV_F16},
    {"Q4_K", T_Q4_K, 256, 1280, 4, 2, 64, NORM_LAYER, 1, 0, 32, 0, 700, 0, FFN_GELU, KV_FP8},
    {"F16", T_F16, 576, 1088, 4, 4, 128, NORM_RMS, 0, 0, 0, 1, 0, 0, FFN_RELU2, KV_F32},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct net {
    const struct kind *k;
    struct backend *b;
    struct layer {
        struct weight qkv, o, up, down;
        struct norm_weight norm[2];
        struct attn_shape attn;
    } layer[LAYERS];
    struct ffn_shape ffn;
    struct kv_pages kv;
    size_t kv_bytes;
    int qkv_rows, wide; // floats of h
    float *x, *h, *qkv, *gu;
};

/* Half floats below 2^-6, or random blocks with small scales. */
static void *values(struct ops *o, enum tensor_type t, int rows, int cols)
{
    size_t bytes = tensor_row_bytes(t, cols) * (size_t)rows, block = tensor_block_bytes(t);
    uint8_t *p = mem_new(bytes);
    uint16_t d = quant_to_f16(0.002f);

    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)ops_bits(o);
    for (size_t i = 0; i < bytes; i += block) {
        if (t == T_BF16 || t == T_F16)
            p[i + 1] &= t == T_BF16 ? 0xbc : 0xa7;
        else
            memcpy(p + i, &d, 2);
        if (t == T_Q4_K)
            memcpy(p + i + 2, &d, 2);
    }
    return p;
}

static struct weight weight(struct net *m, struct ops *o, int rows, int cols, bool bias)
{
    struct weight w = {.rows = rows, .cols = cols, .n_parts = 1};
    struct err e;

    w.part[0] = (struct weight_part){.type = m->k->type,
                                     .rows = rows,
                                     .host = values(o, m->k->type, rows, cols),
                                     .bias = bias ? ops_floats(o, (size_t)rows) : NULL};
    CHECK(m->b->ops->weight(m->b, &w, &e) == 0);
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

static struct norm_weight norm(struct net *m, struct ops *o, enum norm_kind kind, int dim)
{
    size_t bytes = (size_t)dim * sizeof(float);
    float *w = ops_floats(o, (size_t)dim);
    struct norm_weight n = {kind, 1e-5f, make(m->b, w, bytes),
                            kind == NORM_LAYER ? make(m->b, w, bytes) : NULL};

    free(w);
    return n;
}

static void open_net(struct net *m, struct ops *o, struct backend *b, const struct kind *k)
{
    float *freq = mem_new(64 * sizeof(*freq));

    *m = (struct net){.k = k, .b = b, .ffn = {k->ffn, 1, k->act}};
    m->qkv_rows = (k->heads + 2 * k->kv_heads) * k->head_dim;
    m->wide = k->ffn > k->heads * k->head_dim ? k->ffn : k->heads * k->head_dim;
    for (int i = 0; i < 64; i++)
        freq[i] = 1.0f / (float)(1 + i);
    for (int i = 0; i < LAYERS; i++) {
        struct layer *l = &m->layer[i];

        l->qkv = weight(m, o, m->qkv_rows, k->dim, k->bias);
        l->o = weight(m, o, k->dim, k->heads * k->head_dim, k->bias);
        l->up = weight(m, o, 2 * k->ffn, k->dim, k->bias);
        l->down = weight(m, o, k->dim, k->ffn, false);
        l->norm[0] = norm(m, o, k->norm, k->dim);
        l->norm[1] = norm(m, o, k->norm, k->dim);
        l->attn = (struct attn_shape){.n_heads = k->heads,
                                      .n_kv_heads = k->kv_heads,
                                      .head_dim = k->head_dim,
                                      .rope_dims = k->rope_dims,
                                      .rope_pairs_apart = k->rope_pairs_apart,
                                      .inv_freq = freq,
                                      .window = i % 2 ? 0 : k->window,
                                      .scale = 0.1f,
                                      .softcap = k->softcap};
        if (k->qk_norm) {
            l->attn.q_norm = norm(m, o, NORM_RMS, k->head_dim);
            l->attn.k_norm = norm(m, o, NORM_RMS, k->head_dim);
        }
    }
    m->kv_bytes = (size_t)LAYERS * PAGES * (size_t)k->kv_heads * 2 * BACKEND_PAGE *
                  (size_t)k->head_dim *
                  (k->kv == KV_F32   ? 4
                   : k->kv == KV_FP8 ? 1
                                     : 2);
    m->kv = (struct kv_pages){
        make(b, NULL, m->kv_bytes), LAYERS, PAGES, k->kv_heads, k->head_dim, k->kv};
    m->x = make(b, NULL, (size_t)k->dim * 4);
    m->h = make(b, NULL, (size_t)m->wide * 4);
    m->qkv = make(b, NULL, (size_t)m->qkv_rows * 4);
    m->gu = make(b, NULL, (size_t)k->ffn * 8);
}

/* Keys and values of all positions, each of a size that scores can stand. */
static uint8_t *cache(const struct net *m, struct ops *o)
{
    uint8_t *p = mem_new(m->kv_bytes);

    for (size_t i = 0; i < m->kv_bytes; i++)
        p[i] = (uint8_t)ops_bits(o);
    if (m->k->kv == KV_F32)
        for (size_t i = 3; i < m->kv_bytes; i += 4)
            p[i] = (p[i] & 0x80) | 0x3e;
    else
        for (size_t i = m->k->kv == KV_FP8 ? 0 : 1; i < m->kv_bytes;
             i += m->k->kv == KV_FP8 ? 1 : 2)
            p[i] = m->k->kv == KV_BF16 ? (p[i] & 0x80) | 0x3e : p[i] & 0xb7;
    return p;
}

static void layers(const struct net *m, const struct step *s)
{
    const struct backend_ops *o = m->b->ops;

    for (int i = 0; i < LAYERS; i++) {
        const struct layer *l = &m->layer[i];

        o->norm(m->b, m->h, m->x, &l->norm[0], s->n, m->k->dim);
        o->linear(m->b, m->qkv, &l->qkv, m->h, s->n);
        o->rope_kv(m->b, m->qkv, &l->attn, &m->kv, i, s);
        o->attn(m->b, m->h, m->qkv, &l->attn, &m->kv, i, s);
        o->linear_add(m->b, m->x, &l->o, m->h, s->n);
        o->norm(m->b, m->h, m->x, &l->norm[1], s->n, m->k->dim);
        o->linear(m->b, m->gu, &l->up, m->h, s->n);
        o->glu(m->b, m->h, m->gu, &m->ffn, s->n);
        o->linear_add(m->b, m->x, &l->down, m->h, s->n);
    }
}

/* A step at a position; y: all that it leaves. */
static void run(const struct net *m, const float *x, const uint8_t *kv, int pos,
                const void *program, uint8_t *y)
{
    static const int32_t zero[1];
    int32_t page[PAGES];
    const struct backend_ops *o = m->b->ops;
    struct step s = {.n = 1, .n_seq = 1, .max_pages = PAGES, .token = zero, .pos = &pos};
    size_t n[4] = {(size_t)m->k->dim * 4, (size_t)m->wide * 4, (size_t)m->qkv_rows * 4,
                   (size_t)m->k->ffn * 8};
    float *from[4] = {m->x, m->h, m->qkv, m->gu};
    struct err e;
    int rc;

    for (int i = 0; i < PAGES; i++)
        page[i] = (i * 7 + 3) % PAGES;
    s.seq = zero;
    s.page = page;
    s.out = zero;
    s.program = program;
    CHECK(o->upload(m->b, m->x, x, n[0], &e) == 0);
    CHECK(o->upload(m->b, m->kv.data_d, kv, m->kv_bytes, &e) == 0);
    rc = o->step_begin(m->b, &s, &e);
    CHECK(rc >= 0);
    if (rc == STEP_RUN)
        layers(m, &s);
    CHECK(o->step_end(m->b, &e) == 0);
    for (int i = 0; i < 4; y += n[i++])
        CHECK(o->download(m->b, y, from[i], n[i], &e) == 0);
    CHECK(o->download(m->b, y, m->kv.data_d, m->kv_bytes, &e) == 0);
}

static void test_kind(struct ops *o, struct backend *b, const char *so, const struct kind *k)
{
    static const int pos[] = {0, 63, 511, 64, 512, 1400};
    static const char program[1];
    struct net m;
    float *x = ops_floats(o, (size_t)k->dim);
    uint8_t *kv, *y, *z;
    size_t size;

    TEST(k->name);
    open_net(&m, o, b, k);
    kv = cache(&m, o);
    size = (size_t)(k->dim + m.wide + m.qkv_rows + 2 * k->ffn) * 4 + m.kv_bytes;
    y = mem_new(size);
    z = mem_new(size);
    for (size_t i = 0; i < sizeof(pos) / sizeof(*pos); i++) {
        size_t at = 0;

        CHECK(mirror_layers(so, b, 0) == 0);
        run(&m, x, kv, pos[i], NULL, y);
        CHECK(isfinite(((float *)(void *)y)[0]) && ((float *)(void *)y)[0] != x[0]);
        CHECK(memcmp(y + size - m.kv_bytes, kv, m.kv_bytes) != 0);
        CHECK(mirror_layers(so, b, 1) == 0);
        for (int use = 0; use < 3; use++) { // as it is, recorded, replayed
            run(&m, x, kv, pos[i], program, z);
            for (at = 0; at < size && y[at] == z[at]; at++)
                ;
            CHECK(at == size);
            if (at < size)
                printf("# position %d, run %d: byte %zu of %zu differs\n", pos[i], use, at, size);
        }
        CHECK(mirror_layers(so, b, -1) >= 2 * LAYERS); // not when it was replayed
    }
    b->ops->sync(b);
    free(x), free(kv), free(y), free(z);
}

int main(void)
{
    const char *so = getenv("LLM_TEST_DEVICE");
    struct ops o;

    ops_open(&o);
    if (!o.device)
        SKIP("no device");
    for (int i = 0; i < KINDS && o.device; i++) {
        struct backend *b;

        if (ops_skip(&o))
            continue;
        b = mirror_device(so); // its program is its own: of one backend
        if (b)
            test_kind(&o, b, so, &kinds[i]);
        backend_close(b);
    }
    ops_close(&o);
    return test_end();
}
