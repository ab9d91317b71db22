/* cache_test.c - the append to the cache, attention over it, tail pages of trees and what copies
 * and moves in it, for each type of its values and each plan of the kernels, against the CPU over a
 * cache of the same values: the same bytes; or, where attention is on tensor cores, values near
 * them, and a token's the same bytes whatever the step. */
#include "../ops/values.h"
#include "cuda.h"
#include "gpu_test.h"
#include "matrix.h"
#include "tensor.h"
#include "tree.h"

enum { LAYERS = 2, MOST_TOKENS = 64, MOST_SEQS = 4 };

/* Tokens at positions first .. first + n - 1 of a sequence; with `last` they all see it; with
 * `back` they are a tree behind `first` positions, a node's parent being one of so many before it.
 */
struct seq {
    int first, n, last, back;
};

struct shape {
    int heads, kv_heads, head_dim, rope_dims, apart, window;
    float softcap;
    bool norms;
    int ranges; // more than there are
};

/* A step with its cache, twice. */
struct both {
    struct step s;
    struct attn_shape a;
    struct kv_pages kv;
    float *qkv, *y, *inv_freq, *weights;
    int32_t *pos, *seq, *last, *page, *slot, *row;
    uint64_t *bits;
    struct tree tree;
    size_t n_qkv, n_y, n_kv;
    struct cuda_step st;
    struct cuda_attn ca;
    struct cuda_kv ckv;
    void *qkv_d, *y_d, *inv_freq_d, *weights_d, *part_d;
};

static const size_t value_bytes[] = {4, 2, 2, 1};

/* The cache's values as the type has them, in the CPU's memory. */
static uint8_t *rounded(struct both *t, int type)
{
    uint8_t *p = mem_new(t->n_kv * 4 + 4);

    values_pack(p, t->kv.data_d, t->n_kv, (enum kv_type)type);
    values_unpack(t->kv.data_d, p, t->n_kv, (enum kv_type)type);
    return p;
}

/* Node i, token n, of a tree: its bits, and its position. */
static int node(struct ops *o, struct both *t, int n, int i, const struct seq *q)
{
    int parent = i - ops_pick(o, 1, q->back);

    t->bits[n] = (parent < 0 ? 0 : t->bits[n - i + parent]) | (uint64_t)1 << i;
    return q->first - 1 + __builtin_popcountll(t->bits[n]);
}

static void open_step(struct ops *o, struct both *t, const struct shape *h, const struct seq *q)
{
    int n = 0, n_seq = 0, pages = 1, total, most = 0;

    t->pos = mem_new(MOST_TOKENS * 4);
    t->seq = mem_new(MOST_TOKENS * 4);
    t->last = mem_new(MOST_TOKENS * 4);
    t->slot = mem_new(MOST_TOKENS * 4);
    t->bits = mem_zero(MOST_TOKENS, sizeof(*t->bits));
    for (; n_seq < MOST_SEQS && q[n_seq].n; n_seq++)
        for (int i = 0; i < q[n_seq].n; i++, n++) {
            t->slot[n] = q[n_seq].first + i;
            t->pos[n] = q[n_seq].back ? node(o, t, n, i, &q[n_seq]) : t->slot[n];
            t->seq[n] = n_seq;
            t->last[n] = q[n_seq].last ? q[n_seq].last : t->pos[n];
            most = t->last[n] > most ? t->last[n] : most;
            pages = most / BACKEND_PAGE < pages ? pages : most / BACKEND_PAGE + 1;
            pages = t->slot[n] / BACKEND_PAGE < pages ? pages : t->slot[n] / BACKEND_PAGE + 1;
        }
    total = n_seq * pages + 3;
    t->page = mem_new((size_t)(n_seq * pages) * 4);
    for (int i = 0; i < n_seq * pages; i++) // 7 and the number have no divisor in common, or few
        t->page[i] = (int)((int64_t)i * (total % 7 ? 7 : 11) % total);
    t->s = (struct step){.n = n,
                         .n_seq = n_seq,
                         .max_pages = pages,
                         .token = t->seq,
                         .pos = t->pos,
                         .seq = t->seq,
                         .page = t->page,
                         .last = t->last,
                         .slot = t->slot,
                         .tree = t->bits};
    t->kv = (struct kv_pages){NULL, LAYERS, total, h->kv_heads, h->head_dim, KV_F32};
    t->n_kv = (size_t)LAYERS * (size_t)total * (size_t)h->kv_heads * 2 * BACKEND_PAGE *
              (size_t)h->head_dim;
    t->kv.data_d = ops_floats(o, t->n_kv);
    t->st = (struct cuda_step){.n = n,
                               .max_pages = pages,
                               .runs = n - n_seq + 1 >= CUDA_RUN,
                               .n_ranges = most / CUDA_RANGE + 1 + h->ranges,
                               .token = gpu_put(t->seq, (size_t)n * 4),
                               .pos = gpu_put(t->pos, (size_t)n * 4),
                               .slot = gpu_put(t->slot, (size_t)n * 4),
                               .seq = gpu_put(t->seq, (size_t)n * 4),
                               .page = gpu_put(t->page, (size_t)(n_seq * pages) * 4),
                               .last = gpu_put(t->last, (size_t)n * 4)};
}

/* What no token of the step sees of its sequence's pages becomes NaN: it must not matter. */
static void spoil(struct both *t)
{
    size_t dim = (size_t)t->kv.head_dim, head = 2 * BACKEND_PAGE * dim;

    for (int i = 0; i < t->s.n; i++) // the last token of a sequence sees most
        for (int at = (t->last[i] > t->slot[i] ? t->last[i] : t->slot[i]) + 1;
             i + 1 == t->s.n || t->seq[i + 1] != t->seq[i]; at++) {
            if (at >= t->s.max_pages * BACKEND_PAGE)
                break;
            for (int h = 0; h < t->kv.n_kv_heads; h++) {
                size_t page = (size_t)t->page[t->seq[i] * t->s.max_pages + at / BACKEND_PAGE];
                size_t slot = (size_t)(at % BACKEND_PAGE);
                float *key =
                    (float *)t->kv.data_d +
                    (((size_t)t->kv.n_pages + page) * (size_t)t->kv.n_kv_heads + (size_t)h) * head;

                for (size_t d = 0; d < dim; d++)
                    key[d * BACKEND_PAGE + slot] = key[(BACKEND_PAGE + slot) * dim + d] = NAN;
            }
        }
}

/* The paths' pages, and two that there are not, with room for the layer's. */
static void open_tails(struct both *t)
{
    int n;

    tree_plan(&t->tree, &t->s);
    n = t->tree.n + 2;
    if (!t->tree.n)
        return;
    t->row = mem_new((size_t)n * BACKEND_PAGE * 4);
    memset(t->row, 0xff, (size_t)n * BACKEND_PAGE * 4);
    memcpy(t->row, t->tree.row, (size_t)t->tree.n * BACKEND_PAGE * 4);
    t->st.row = gpu_put(t->row, (size_t)n * BACKEND_PAGE * 4);
    t->st.bend = gpu_put(t->tree.bend, (size_t)t->s.n * 4);
    t->st.tail = gpu_put(t->tree.tail, (size_t)t->s.n * 4);
    t->st.n_tails = n;
    t->st.tails = gpu_alloc(cuda_tails_bytes(t->kv.n_kv_heads, t->kv.head_dim, t->ckv.type, n));
}

static void open_both(struct ops *o, struct both *t, const struct shape *h, const struct seq *q,
                      int type)
{
    size_t dim = (size_t)h->head_dim;
    float scale = 1.0f / sqrtf((float)h->head_dim);
    uint8_t *packed;

    *t = (struct both){0};
    open_step(o, t, h, q);
    t->n_qkv = (size_t)t->s.n * (size_t)(h->heads + 2 * h->kv_heads) * dim;
    t->n_y = (size_t)t->s.n * (size_t)h->heads * dim;
    t->qkv = ops_floats(o, t->n_qkv);
    for (size_t i = 0; i < t->n_qkv; i++)
        t->qkv[i] *= 4.0f;
    t->y = ops_floats(o, t->n_y);
    t->weights = ops_floats(o, dim);
    t->inv_freq = ops_floats(o, dim);
    for (size_t i = 0; i < dim; i++)
        t->inv_freq[i] = fabsf(t->inv_freq[i]);
    if (type != CUDA_KV_FP8)
        spoil(t);
    packed = rounded(t, type);
    t->a =
        (struct attn_shape){h->heads, h->kv_heads, h->head_dim, h->rope_dims, h->apart, t->inv_freq,
                            scale,    h->softcap,  h->window,   {0},          {0}};
    t->qkv_d = gpu_put(t->qkv, t->n_qkv * 4);
    t->y_d = gpu_put(t->y, t->n_y * 4);
    t->weights_d = gpu_put(t->weights, dim * 4);
    t->inv_freq_d = gpu_put(t->inv_freq, dim * 4);
    t->ca =
        (struct cuda_attn){h->heads, h->kv_heads, h->head_dim,   h->rope_dims, h->apart, h->window,
                           scale,    h->softcap,  t->inv_freq_d, {0},          {0}};
    if (h->norms) {
        t->a.q_norm = t->a.k_norm = (struct norm_weight){NORM_RMS, 1e-6f, t->weights, NULL};
        t->ca.q_norm = t->ca.k_norm = (struct cuda_norm){CUDA_NORM_RMS, 1e-6f, t->weights_d, NULL};
    }
    t->ckv = (struct cuda_kv){gpu_put(packed, t->n_kv * value_bytes[type]),
                              type,
                              LAYERS,
                              t->kv.n_pages,
                              h->kv_heads,
                              h->head_dim};
    open_tails(t);
    t->part_d = gpu_alloc(cuda_attn_bytes(&t->ca, t->s.n, t->st.n_ranges));
    free(packed);
}

static void close_both(struct both *t)
{
    const void *d[] = {t->qkv_d,  t->y_d,      t->weights_d, t->inv_freq_d,
                       t->part_d, t->ckv.data, t->st.token,  t->st.pos,
                       t->st.seq, t->st.page,  t->st.last,   t->st.slot,
                       t->st.row, t->st.bend,  t->st.tail,   t->st.tails};
    void *p[] = {t->qkv,  t->y,    t->weights,   t->inv_freq, t->pos, t->seq,
                 t->last, t->page, t->kv.data_d, t->slot,     t->row, t->bits};

    for (size_t i = 0; i < sizeof(d) / sizeof(*d); i++)
        gpu_free(d[i]);
    for (size_t i = 0; i < sizeof(p) / sizeof(*p); i++)
        free(p[i]);
    tree_free(&t->tree);
}

static void check_floats(const void *d, const float *want, size_t n)
{
    float *got = mem_new(n * 4);

    gpu_get(got, d, n * 4);
    CHECK(ops_differs(got, want, n) < 0);
    free(got);
}

/* The whole cache, as floats. */
static void check_cache(struct both *t, int type)
{
    uint8_t *p = mem_new(t->n_kv * 4);
    float *got = mem_new(t->n_kv * 4);

    gpu_get(p, t->ckv.data, t->n_kv * value_bytes[type]);
    values_unpack(got, p, t->n_kv, (enum kv_type)type);
    CHECK(ops_differs(got, t->kv.data_d, t->n_kv) < 0);
    free(got);
    free(p);
}

/* Rows of a page to places before them, one of which is the next one's. */
static void check_moves(struct both *t, struct backend *b, int type)
{
    struct kv_place dst[4], src[4];
    int32_t to[4], from[4];

    for (int i = 0; i < 4; i++) {
        dst[i] = (struct kv_place){i / 3, 20 + i};
        src[i] = (struct kv_place){1, 21 + 2 * i};
        to[i] = dst[i].page * CUDA_PAGE + dst[i].at;
        from[i] = src[i].page * CUDA_PAGE + src[i].at;
    }
    dst[0] = (struct kv_place){1, 23}; // what the second one takes
    to[0] = CUDA_PAGE + 23;
    cuda_move(&t->ckv, to, from, 4, NULL);
    b->ops->move(b, &t->kv, dst, src, 4);
    check_cache(t, type);
}

/* Whether attention is on tensor cores. */
static bool is_mma(const struct both *t)
{
    return t->ckv.type != CUDA_KV_F32 && (t->kv.head_dim == 64 || t->kv.head_dim == 128);
}

/* Of the cache's bytes: what is behind the last that token i sees is NaN, in every type. */
static void hide(const struct both *t, uint8_t *p, int i)
{
    size_t dim = (size_t)t->kv.head_dim, bytes = value_bytes[t->ckv.type];

    for (int at = t->last[i] + 1; at < t->s.max_pages * BACKEND_PAGE; at++)
        for (int h = 0; h < t->kv.n_kv_heads; h++) {
            size_t page = (size_t)t->page[t->seq[i] * t->s.max_pages + at / BACKEND_PAGE];
            size_t slot = (size_t)(at % BACKEND_PAGE);
            uint8_t *key =
                p + (((size_t)t->kv.n_pages + page) * (size_t)t->kv.n_kv_heads + (size_t)h) * 2 *
                        BACKEND_PAGE * dim * bytes;

            for (size_t d = 0; d < dim; d++)
                memset(key + (d * BACKEND_PAGE + slot) * bytes, 0xff, bytes);
            memset(key + (BACKEND_PAGE + slot) * dim * bytes, 0xff, dim * bytes);
        }
}

/* Some tokens alone, by blocks of so many ranges as have eight, four or two warps, before there is
 * anything behind them: the same bytes as among the others. */
static void check_alone(struct ops *o, struct both *t, const float *y)
{
    static const int ranges[] = {0, 40, 400};
    size_t row = (size_t)(t->a.n_heads + 2 * t->a.n_kv_heads) * (size_t)t->a.head_dim,
           wide = (size_t)t->a.n_heads * (size_t)t->a.head_dim,
           bytes = t->n_kv * value_bytes[t->ckv.type];
    uint8_t *whole = mem_new(bytes), *p = mem_new(bytes);

    gpu_get(whole, t->ckv.data, bytes);
    for (int k = 0; k < 4; k++) {
        int i = k ? ops_pick(o, 0, t->s.n - 1) : t->s.n - 1;
        struct cuda_step st = t->st;
        struct cuda_kv kv = t->ckv;
        void *part, *z = gpu_put(t->y, wide * 4);

        st.n = 1;
        st.runs = false;
        st.token = t->st.token + i;
        st.pos = t->st.pos + i;
        st.slot = t->st.slot + i;
        st.seq = t->st.seq + i;
        st.last = t->st.last + i;
        st.n_ranges += ranges[k % 3];
        memcpy(p, whole, bytes);
        hide(t, p, i);
        kv.data = gpu_put(p, bytes);
        part = gpu_alloc(cuda_attn_bytes(&t->ca, 1, st.n_ranges));
        cuda_attn(z, (const float *)t->qkv_d + (size_t)i * row, &t->ca, &kv, 1, &st, part, NULL,
                  NULL);
        check_floats(z, y + (size_t)i * wide, wide);
        gpu_free(part);
        gpu_free(kv.data);
        gpu_free(z);
    }
    free(whole);
    free(p);
}

/* What tensor cores make of attention is near what the CPU makes of it, of the same cache; only
 * queries and exponentials are rounded, to 11 bits, or 8. */
static void check_mma(struct ops *o, struct both *t)
{
    float *y = mem_new(t->n_y * 4), far = 0;

    gpu_get(y, t->y_d, t->n_y * 4);
    for (size_t i = 0; i < t->n_y; i++)
        far = fabsf(y[i] - t->y[i]) <= far ? far : fabsf(y[i] - t->y[i]); // or NaN
    CHECK(far < (t->ckv.type == CUDA_KV_BF16 ? 0x1p-4f : 0x1p-7f));
    if (!t->tree.n)
        check_alone(o, t, y);
    free(y);
}

/* y is left as activations of a product as well, of each kind: those that a kernel of their own
 * makes of it. */
static void check_left(const struct both *t)
{
    static const int blocks[] = {1, 32};
    int cols = t->a.n_heads * t->a.head_dim;
    void *y = gpu_put(t->y, t->n_y * 4);

    for (int i = 0; i < 2; i++) {
        size_t bytes = cuda_act_bytes(t->s.n, cols, blocks[i]);
        uint8_t *left = mem_zero(bytes, 1), *made = mem_zero(bytes, 1);
        void *left_d = gpu_put(left, bytes), *made_d = gpu_put(made, bytes);
        struct cuda_act l = cuda_act_place(left_d, t->s.n, cols, blocks[i]),
                        m = cuda_act_place(made_d, t->s.n, cols, blocks[i]);

        cuda_attn(y, t->qkv_d, &t->ca, &t->ckv, 1, &t->st, t->part_d, &l, NULL);
        gpu_get(t->y, t->y_d, t->n_y * 4);
        check_floats(y, t->y, t->n_y);
        if (blocks[i] == 1)
            cuda_act_half(&m, t->y_d, T_BF16, NULL);
        else
            cuda_act_quantize(&m, t->y_d, NULL);
        gpu_get(left, left_d, bytes);
        gpu_get(made, made_d, bytes);
        CHECK(memcmp(left, made, bytes) == 0);
        gpu_free(left_d);
        gpu_free(made_d);
        free(left);
        free(made);
    }
    gpu_free(y);
}

static void test(struct ops *o, const char *name, const struct shape *h, const struct seq *q)
{
    struct backend *b = o->b[0];

    if (ops_skip(o))
        return;
    TEST(name);
    for (int type = 0; type < CUDA_KV_TYPES; type++) {
        struct both t;

        open_both(o, &t, h, q, type);
        cuda_rope_kv(t.qkv_d, &t.ca, &t.ckv, 1, &t.st, NULL);
        cuda_tails(&t.ckv, 1, &t.st, NULL);
        cuda_attn(t.y_d, t.qkv_d, &t.ca, &t.ckv, 1, &t.st, t.part_d, NULL, NULL);
        ops_begin(b, &t.s);
        b->ops->rope_kv(b, t.qkv, &t.a, &t.kv, 1, &t.s);
        free(rounded(&t, type));
        b->ops->attn(b, t.y, t.qkv, &t.a, &t.kv, 1, &t.s);
        ops_end(b);
        check_floats(t.qkv_d, t.qkv, t.n_qkv);
        check_cache(&t, type);
        if (is_mma(&t))
            check_mma(o, &t);
        else
            check_floats(t.y_d, t.y, t.n_y);
        if (!t.st.runs && t.a.head_dim % 32 == 0)
            check_left(&t);
        cuda_copy_page(&t.ckv, 1, 0, NULL);
        b->ops->copy(b, &t.kv, 1, 0);
        check_cache(&t, type);
        check_moves(&t, b, type);
        close_both(&t);
    }
}

int main(void)
{
    struct ops o = {.random = 1, .parts = 1};
    struct err e;
    int rc = gpu_begin();

    if (rc)
        return rc;
    if (getenv("LLM_TEST_PART"))
        sscanf(getenv("LLM_TEST_PART"), "%d/%d", &o.part, &o.parts);
    o.b[0] = backend_cpu_open(1, ISA_SCALAR, &e);
    o.n = 1;
    // heads, KV heads, head_dim, rope_dims, apart, window, softcap, norms, ranges
    test(&o, "few tokens: a query a block", &(struct shape){8, 2, 128, 128, 1, 0, 0, 0, 1},
         (struct seq[]){{700, 1, 0, 0}, {5, 1, 0, 0}, {63, 1, 0, 0}, {0}});
    test(&o, "four heads a block", &(struct shape){8, 2, 128, 128, 1, 0, 0, 0, 60},
         (struct seq[]){{700, 1, 0, 0}, {63, 1, 0, 0}, {64, 1, 0, 0}, {0}});
    test(&o, "three heads, a soft cap", &(struct shape){6, 2, 128, 64, 0, 0, 20, 0, 100},
         (struct seq[]){{575, 1, 0, 0}, {511, 1, 0, 0}, {0}});
    test(&o, "eight heads, a window", &(struct shape){16, 2, 128, 128, 1, 300, 0, 0, 50},
         (struct seq[]){{700, 1, 0, 0}, {515, 1, 0, 0}, {20, 1, 0, 0}, {0}});
    test(&o, "a head a block", &(struct shape){4, 4, 128, 128, 1, 0, 0, 1, 150},
         (struct seq[]){{530, 1, 0, 0}, {515, 1, 0, 0}, {0}});
    test(&o, "64: few", &(struct shape){4, 2, 64, 64, 1, 0, 0, 0, 0},
         (struct seq[]){{530, 1, 0, 0}, {0}});
    test(&o, "64: four heads", &(struct shape){8, 2, 64, 64, 1, 0, 0, 0, 80},
         (struct seq[]){{530, 1, 0, 0}, {63, 1, 0, 0}, {0}});
    test(&o, "64: seven heads, a window", &(struct shape){14, 2, 64, 64, 1, 70, 0, 0, 50},
         (struct seq[]){{600, 1, 0, 0}, {515, 1, 0, 0}, {0}});
    test(&o, "64: a head", &(struct shape){4, 4, 64, 64, 1, 0, 0, 0, 200},
         (struct seq[]){{515, 1, 0, 0}, {7, 1, 0, 0}, {0}});
    test(&o, "80 dimensions", &(struct shape){10, 2, 80, 40, 0, 0, 0, 1, 0},
         (struct seq[]){{516, 1, 0, 0}, {9, 3, 0, 0}, {0}});
    test(&o, "13 dimensions", &(struct shape){3, 1, 13, 12, 0, 0, 0, 0, 0},
         (struct seq[]){{516, 1, 0, 0}, {9, 9, 0, 0}, {0}});
    test(&o, "a prompt among single tokens", &(struct shape){8, 2, 128, 128, 1, 0, 0, 0, 0},
         (struct seq[]){{70, 1, 0, 0}, {500, 20, 0, 0}, {13, 1, 0, 0}, {0}});
    test(&o, "prompts, all of it seen", &(struct shape){6, 2, 64, 32, 1, 0, 30, 0, 0},
         (struct seq[]){{0, 21, 20, 0}, {0, 15, 14, 0}, {500, 24, 523, 0}, {0}});
    test(&o, "a prompt of 256 dimensions", &(struct shape){9, 1, 256, 256, 1, 40, 0, 0, 0},
         (struct seq[]){{505, 12, 0, 0}, {600, 1, 0, 0}, {0}});
    test(&o, "a prompt of 20 dimensions", &(struct shape){2, 1, 20, 20, 1, 0, 0, 1, 0},
         (struct seq[]){{60, 40, 0, 0}, {0}});
    test(&o, "single tokens without room for parts",
         &(struct shape){64, 16, 128, 128, 1, 0, 0, 0, 1400},
         (struct seq[]){{530, 1, 0, 0}, {5, 1, 0, 0}, {513, 1, 0, 0}, {0}});
    test(&o, "a prompt without room for parts", &(struct shape){8, 2, 64, 64, 1, 0, 0, 0, 3300},
         (struct seq[]){{500, 20, 0, 0}, {0}});
    test(&o, "a prompt, a window", &(struct shape){3, 1, 64, 64, 1, 70, 0, 0, 0},
         (struct seq[]){{90, 40, 0, 0}, {0, 9, 0, 0}, {0}});
    test(&o, "a tree of few nodes, and a token", &(struct shape){8, 2, 128, 128, 1, 0, 0, 0, 1},
         (struct seq[]){{572, 7, 0, 3}, {63, 1, 0, 0}, {60, 7, 0, 2}, {0}});
    test(&o, "a tree over the end of a range", &(struct shape){8, 2, 64, 64, 1, 0, 20, 0, 0},
         (struct seq[]){{508, 24, 0, 3}, {0, 9, 0, 2}, {60, 12, 0, 0}, {0}});
    test(&o, "a tree of 64 nodes, a window", &(struct shape){4, 2, 80, 40, 0, 70, 0, 1, 0},
         (struct seq[]){{446, 64, 0, 4}, {0}});
    test(&o, "a tree of 13 dimensions", &(struct shape){3, 1, 13, 12, 0, 0, 0, 0, 0},
         (struct seq[]){{62, 10, 0, 2}, {0}});
    test(&o, "trees without room for parts", &(struct shape){8, 2, 64, 64, 1, 0, 0, 0, 3300},
         (struct seq[]){{505, 20, 0, 2}, {509, 5, 0, 2}, {0}});
    backend_close(o.b[0]);
    return test_end();
}
