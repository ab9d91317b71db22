/* attn_test.c - rope_kv and attn on the CPU: against doubles, and all backends by their bytes;
 * caches of fewer bits against those of floats that are rounded.
 *
 * Several sequences over shuffled pages that hold NaN where nothing was written. */
#include "num.h"
#include "ops.h"
#include "values.h"

/* Is y within `slack` of `exact`? */
static bool near(double exact, float y, double slack)
{
    return fabs(exact - (double)y) <= slack;
}

enum { LAYERS = 2, SEQS = 3, MOST = 1100, PAGES = SEQS * (MOST / BACKEND_PAGE + 1) + 3 };

/* What a scene is made of: group query heads a KV head; window 0: none; shared: pages that all
 * sequences begin with. */
struct plan {
    int dim, kv_heads, group, longest, window;
    float softcap;
    bool norms;
    int shared;
    bool whole; // tokens see all of their sequence
};

struct scene {
    struct attn_shape a;
    struct kv_pages kv;
    size_t kv_floats;
    float *qkv; // (SEQS, longest, row), before rotation
    int row;    // floats of q, k and v of one token
    int32_t page[PAGES];
    int max_pages, longest, len[SEQS];
    bool whole, device;
    enum kv_type round; // what the F32 cache's values are rounded to before attn reads them
    int from;           // positions that the others have from the first sequence
    float freq[128], head_norm[512]; // of q, then of k
};

static void shuffle(struct ops *o, int32_t *page, int n)
{
    for (int i = 0; i < n; i++)
        page[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = ops_pick(o, 0, i);
        int32_t swap = page[i];

        page[i] = page[j];
        page[j] = swap;
    }
}

static void scene_open(struct ops *o, struct scene *c, const struct plan *p)
{
    int dim = p->dim;

    *c = (struct scene){.max_pages = p->longest / BACKEND_PAGE + 1, .longest = p->longest};
    c->a = (struct attn_shape){.n_heads = p->kv_heads * p->group,
                               .n_kv_heads = p->kv_heads,
                               .head_dim = dim,
                               .rope_dims = (const int[]){0, dim / 2, dim, dim}[ops_pick(o, 0, 3)],
                               .rope_pairs_apart = ops_pick(o, 0, 1),
                               .inv_freq = c->freq,
                               .scale = 1.0f / sqrtf((float)dim),
                               .softcap = p->softcap,
                               .window = p->window};
    for (int i = 0; i < 512; i++)
        c->head_norm[i] = 1.0f + 0.5f * ops_float(o);
    if (p->norms) {
        c->a.q_norm = (struct norm_weight){NORM_RMS, 1e-5f, c->head_norm, NULL};
        c->a.k_norm = (struct norm_weight){NORM_RMS, 1e-5f, c->head_norm + 256, NULL};
    }
    for (int i = 0; i < c->a.rope_dims / 2; i++)
        c->freq[i] = num_pow(10000.0f, -2.0 * i / c->a.rope_dims);
    c->row = (c->a.n_heads + 2 * c->a.n_kv_heads) * dim;
    c->qkv = ops_floats(o, (size_t)c->row * (size_t)p->longest * SEQS);
    for (int i = 0; i < c->row * p->longest * SEQS; i++)
        c->qkv[i] *= 3.0f;
    c->kv_floats = (size_t)LAYERS * PAGES * 2 * BACKEND_PAGE * (size_t)(c->a.n_kv_heads * dim);
    c->kv =
        (struct kv_pages){mem_zero(c->kv_floats, 4), LAYERS, PAGES, c->a.n_kv_heads, dim, KV_F32};
    shuffle(o, c->page, PAGES);
    c->from = p->shared * BACKEND_PAGE;
    c->whole = p->whole;
    for (int i = 0; i < SEQS; i++)
        c->len[i] = i ? ops_pick(o, c->from + 1, p->longest) : p->longest;
    for (int i = 1; i < SEQS; i++) {
        size_t row = (size_t)c->row;

        memcpy(c->page + i * c->max_pages, c->page, (size_t)p->shared * sizeof(*c->page));
        memcpy(c->qkv + (size_t)(i * p->longest) * row, c->qkv,
               (size_t)c->from * row * sizeof(*c->qkv));
    }
}

static void scene_close(struct scene *c)
{
    free(c->qkv);
    free(c->kv.data_d);
}

enum { DECODED = 20, MANY = 100 };

/* Tokens of sequence q in the next step. Of a device, on which a step is slow, only the last few
 * are fed one by one. */
static int chunk_of(const struct scene *c, int q, int done, int chunk)
{
    return c->device && chunk < 7 && done + MANY + DECODED < c->len[q] ? MANY : chunk;
}

/* The layer's values as a type has them; what was not written stays NaN. */
static void round_pages(struct scene *c, int layer)
{
    size_t n = c->kv_floats / LAYERS;
    float *x = (float *)c->kv.data_d + (size_t)layer * n;
    uint8_t b[4];

    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) {
            values_pack(b, x + i, 1, c->round);
            values_unpack(x + i, b, 1, c->round);
        }
}

/* Feed tokens in steps of at most `chunk`, sequences mixed; y gets (SEQS, longest, heads * dim). */
static void scene_run(struct scene *c, struct backend *b, int chunk, int layer, float *y)
{
    static int32_t pos[SEQS * MOST], seq[SEQS * MOST], last[SEQS * MOST];
    int done[SEQS] = {0}, left = 1, wide = c->a.n_heads * c->a.head_dim;
    float *qkv = mem_new((size_t)(c->row * SEQS * c->longest) * sizeof(*qkv));
    float *out = mem_new((size_t)(wide * SEQS * c->longest) * sizeof(*out));

    memset(c->kv.data_d, 0xff, c->kv_floats * sizeof(float)); // NaN: nobody may read it
    while (left) {
        struct step s = {.n_seq = SEQS, .max_pages = c->max_pages, .pos = pos, .seq = seq};

        left = 0;
        s.page = c->page;
        for (int q = 0; q < SEQS; q++) {
            if (q && done[0] < c->from)
                break; // until the first one has written what all see, in this step at last
            done[q] = q && done[q] < c->from ? c->from : done[q];
            for (int i = chunk_of(c, q, done[q], chunk); i > 0 && done[q] < c->len[q]; i--, s.n++) {
                pos[s.n] = done[q]++;
                seq[s.n] = q;
                last[s.n] = c->len[q] - 1;
                memcpy(qkv + (size_t)s.n * (size_t)c->row,
                       c->qkv + (size_t)(q * c->longest + pos[s.n]) * (size_t)c->row,
                       (size_t)c->row * sizeof(*qkv));
                left = 1;
            }
        }
        s.last = c->whole ? last : NULL;
        ops_begin(b, &s);
        b->ops->rope_kv(b, qkv, &c->a, &c->kv, layer, &s);
        if (c->round != KV_F32)
            round_pages(c, layer);
        b->ops->attn(b, out, qkv, &c->a, &c->kv, layer, &s);
        ops_end(b);
        for (int i = 0; i < s.n; i++)
            memcpy(y + (size_t)(seq[i] * c->longest + pos[i]) * (size_t)wide,
                   out + (size_t)i * (size_t)wide, (size_t)wide * sizeof(*y));
    }
    free(qkv);
    free(out);
}

/* A head of a token, normed and rotated in double. */
static void exact_head(const struct scene *c, int q, int pos, int head, bool rotate, double *out)
{
    const float *x =
        c->qkv + (size_t)(q * c->longest + pos) * (size_t)c->row + head * c->a.head_dim;
    const struct norm_weight *w = head < c->a.n_heads ? &c->a.q_norm : &c->a.k_norm;
    int half = c->a.rope_dims / 2;
    double s = 0;

    for (int i = 0; i < c->a.head_dim; i++)
        s += (double)x[i] * (double)x[i];
    s = w->w_d && rotate ? 1 / sqrt(s / c->a.head_dim + (double)w->eps) : 1;
    for (int i = 0; i < c->a.head_dim; i++)
        out[i] = (double)x[i] * s * (w->w_d && rotate ? (double)w->w_d[i] : 1);
    for (int i = 0; rotate && i < half; i++) {
        int p = c->a.rope_pairs_apart ? i : 2 * i, q2 = c->a.rope_pairs_apart ? i + half : p + 1;
        double angle = (double)((float)pos * c->freq[i]), u = out[p], v = out[q2];

        out[p] = u * cos(angle) - v * sin(angle);
        out[q2] = u * sin(angle) + v * cos(angle);
    }
}

/* Attention of one head of one token in double; |values| <= 3, so 1e-5 is 2^-18 of them. */
static int exact_attn(const struct scene *c, int q, int pos, int head, const float *y)
{
    int dim = c->a.head_dim, kv = c->a.n_heads + head / (c->a.n_heads / c->a.n_kv_heads), bad = 0;
    double query[256], key[256], p[MOST], top = -1e300, sum = 0, cap = (double)c->a.softcap;
    int first = c->a.window && pos >= c->a.window ? pos - c->a.window + 1 : 0;
    int last = c->whole ? c->len[q] - 1 : pos;

    exact_head(c, q, pos, head, true, query);
    for (int j = first; j <= last; j++) {
        exact_head(c, q, j, kv, true, key);
        p[j] = 0;
        for (int i = 0; i < dim; i++)
            p[j] += query[i] * key[i];
        p[j] *= (double)c->a.scale;
        p[j] = cap > 0 ? cap * tanh(p[j] / cap) : p[j];
        top = fmax(top, p[j]);
    }
    for (int j = first; j <= last; j++)
        sum += p[j] = exp(p[j] - top);
    for (int i = 0; i < dim; i++) {
        double exact = 0;

        for (int j = first; j <= last; j++) {
            const float *row = c->qkv + (size_t)(q * c->longest + j) * (size_t)c->row;

            exact += p[j] / sum * (double)row[(kv + c->a.n_kv_heads) * dim + i];
        }
        bad += !near(exact, y[head * dim + i], 1e-5);
    }
    return bad;
}

/* What rope_kv put into the pages: keys rotated, by dims; values as they were, by positions. */
static int exact_pages(const struct scene *c, int layer)
{
    int dim = c->a.head_dim, bad = 0;
    double key[256];

    for (int q = 0; q < SEQS; q++)
        for (int pos = 0; pos < c->len[q]; pos += 7)
            for (int h = 0; h < c->a.n_kv_heads; h++) {
                size_t page = (size_t)c->page[q * c->max_pages + pos / BACKEND_PAGE];
                const float *k =
                    (const float *)c->kv.data_d +
                    (((size_t)layer * PAGES + page) * (size_t)c->a.n_kv_heads + (size_t)h) * 2 *
                        BACKEND_PAGE * (size_t)dim;
                const float *v = k + (BACKEND_PAGE + pos % BACKEND_PAGE) * dim;

                exact_head(c, q, pos, c->a.n_heads + h, true, key);
                for (int i = 0; i < dim; i++)
                    bad += !near(key[i], k[i * BACKEND_PAGE + pos % BACKEND_PAGE], 2e-6);
                exact_head(c, q, pos, c->a.n_heads + c->a.n_kv_heads + h, false, key);
                for (int i = 0; i < dim; i++)
                    bad += key[i] != (double)v[i];
            }
    return bad;
}

/* A cache of fewer bits against one of floats that are rounded. */
static void check_type(struct ops *o, struct scene *c, enum kv_type type, int chunk, float *y,
                       float *z)
{
    size_t all = (size_t)(c->a.n_heads * c->a.head_dim) * (size_t)(c->longest * SEQS);

    c->round = type;
    scene_run(c, o->b[0], c->longest, 1, y);
    c->round = KV_F32;
    c->kv.type = type;
    for (int i = o->at % 2; i < o->n; i += 2) { // each instruction set, one or many threads
        scene_run(c, o->b[i], chunk, i % LAYERS, z);
        CHECK(ops_differs(y, z, all) < 0);
    }
}

/* The oracle against doubles, and every backend in every cut of the tokens against the oracle. */
static void check(struct ops *o, const struct plan *p, const int *chunks, int n_chunks)
{
    struct scene c;
    float *y, *z;
    size_t all;
    int bad = 0, wide;

    if (ops_skip(o))
        return;
    scene_open(o, &c, p);
    wide = c.a.n_heads * c.a.head_dim;
    all = (size_t)wide * (size_t)(c.longest * SEQS);
    y = mem_zero(all, sizeof(*y));
    z = mem_zero(all, sizeof(*z));
    scene_run(&c, o->b[0], c.longest, 1, y);
    CHECK(exact_pages(&c, 1) == 0);
    for (int q = 0; q < SEQS; q++)
        for (int pos = q ? c.from : 0; pos < c.len[q]; pos += 1 + (pos - (q ? c.from : 0)) / 3)
            bad += exact_attn(&c, q, pos, ops_pick(o, 0, c.a.n_heads - 1),
                              y + (size_t)(q * c.longest + pos) * (size_t)wide);
    bad += exact_attn(&c, 0, c.longest - 1, 0, y + (size_t)(c.longest - 1) * (size_t)wide);
    CHECK(bad == 0);
    for (int i = o->device; i < o->n; i++) {
        c.device = o->device;
        scene_run(&c, o->b[i], chunks[(p->dim / 8 + p->group + i) % n_chunks], i % LAYERS, z);
        CHECK(ops_differs(y, z, all) < 0);
    }
    if (!o->device) // cache_test has those of a device
        check_type(o, &c, KV_F16 + o->at % 3, chunks[p->group % n_chunks], y, z);
    free(y);
    free(z);
    scene_close(&c);
}

static void test_shapes(struct ops *o)
{
    static const int dims[] = {8, 20, 32, 64, 80, 96, 128, 256}, windows[] = {1, 17, 64, 100};
    static const int chunks[] = {1, 7, 64, 100, 300};

    TEST("rope_kv and attn: head sizes, groups, windows, caps, norms, chunks, mixed sequences");
    for (int i = 0; i < 16; i++) {
        struct plan p = {.dim = dims[i % 8], .kv_heads = 1 + i % 3, .group = 1 + i % 8};

        p.group = i == 15 ? 70 : i > 8 ? 9 - p.group : p.group;
        p.kv_heads = i == 15 ? 1 : p.kv_heads;
        p.longest = i == 15 ? 40 : 2 * BACKEND_PAGE + ops_pick(o, 0, BACKEND_PAGE);
        p.window = i & 1 ? windows[ops_pick(o, 0, 3)] : 0;
        p.softcap = i & 2 ? 2.0f : 0.0f;
        p.norms = i & 4;
        check(o, &p, chunks, 5);
    }
}

/* Ranges of 512 keys: cut over threads in steps of few tokens, walked in one go in others. */
static void test_ranges(struct ops *o)
{
    static const struct plan plan[] = {
        {32, 2, 1, MOST, 0, 0, false, 0, false},
        {64, 1, 2, 600, 0, 0, true, 0, false},
        {20, 1, 3, MOST, 530, 3.0f, false, 0, false},
        {80, 1, 1, 513, 512, 0, false, 0, false},
    };
    static const int chunks[] = {1, 512, 37, 1};

    TEST("attn: contexts over several ranges of keys");
    for (int i = 0; i < 4; i++)
        check(o, &plan[i], chunks, 4);
}

/* Steps of so many sequences, heads and ranges that warps share a block, four or two. */
static void test_several(struct ops *o)
{
    static const struct plan plan[] = {{128, 16, 2, 100, 0, 0, false, 0, false},
                                       {64, 16, 4, 90, 0, 2.0f, false, 0, false},
                                       {64, 16, 2, 560, 100, 0, false, 8, false},
                                       {128, 16, 2, 560, 60, 0, false, 8, false}};
    static const int chunks[] = {6};

    TEST("attn: steps of several tokens of each sequence, by several warps a block");
    for (int i = 0; i < 4; i++)
        check(o, &plan[i], chunks, 1);
}

/* Sequences that begin with the same pages: their tokens share passes, whatever stands beside. */
static void test_shared(struct ops *o)
{
    static const struct plan plan[] = {{32, 2, 1, 300, 0, 0, false, 3, false},
                                       {64, 3, 3, 700, 0, 0, false, 9, false},
                                       {20, 1, 8, 200, 100, 0, true, 2, false},
                                       {128, 1, 4, 260, 17, 2.0f, false, 3, false},
                                       {64, 1, 2, MOST, 530, 0, false, 16, false}};
    static const int chunks[] = {1, 7, 64, 1, 300};

    TEST("attn: sequences that share pages");
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            check(o, &plan[i], chunks + k, 1);
}

/* Tokens that see all of their sequence, which is in one step. */
static void test_whole(struct ops *o)
{
    static const struct plan plan[] = {{32, 3, 1, 200, 0, 0, false, 0, true},
                                       {64, 1, 2, 64, 0, 0, false, 0, true},
                                       {20, 2, 1, MOST, 0, 0, false, 0, true}};
    static const int chunks[] = {MOST};

    TEST("attn: tokens that see all of their sequence");
    for (int i = 0; i < 3; i++)
        check(o, &plan[i], chunks, 1);
}

/* A float of any size, often half way between two of fewer bits. */
static float any_float(struct ops *o)
{
    static const uint32_t keep[] = {0xffffffff, 0xfffff000, 0xffff8000, 0xfff80000, 0xffff1000};
    uint32_t u = (uint32_t)ops_bits(o) & keep[ops_pick(o, 0, 4)];

    if (ops_pick(o, 0, 1)) // where E4M3 and F16 begin and end
        u = (u & 0x807fffff) | (uint32_t)ops_pick(o, 100, 145) << 23;
    return num_float(u);
}

/* What stands in the cache, bit for bit. */
static void test_values(struct ops *o)
{
    enum { DIM = 72, N = 40 };
    struct attn_shape a = {.n_heads = 1, .n_kv_heads = 1, .head_dim = DIM, .scale = 1};
    int32_t pos[N], seq[N] = {0}, page = 0;
    uint8_t want[4], *data = mem_new(2 * BACKEND_PAGE * DIM * 4);
    float *qkv = mem_new(N * 3 * DIM * sizeof(*qkv));

    TEST("rope_kv: every type's values, of floats of any size");
    for (int i = 0; i < N; i++)
        pos[i] = i;
    for (int round = 0; round < 40 * o->n; round++) {
        struct kv_pages kv = {data, 1, 1, 1, DIM, KV_F32 + round % KV_TYPES};
        struct step s = {.n = N, .n_seq = 1, .max_pages = 1, .pos = pos, .seq = seq, .page = &page};
        struct backend *b = o->b[round / KV_TYPES % o->n];
        size_t bytes = kv_value_bytes(kv.type);
        int bad = 0;

        for (int i = 0; i < N * 3 * DIM; i++)
            qkv[i] = any_float(o);
        ops_begin(b, &s);
        b->ops->rope_kv(b, qkv, &a, &kv, 0, &s);
        ops_end(b);
        for (int i = 0; i < 2 * N * DIM; i++) {
            int t = i / DIM % N, d = i % DIM, v = i / (N * DIM);
            size_t at = v ? (size_t)((BACKEND_PAGE + t) * DIM + d) : (size_t)(d * BACKEND_PAGE + t);
            float x = qkv[(t * 3 + 1 + v) * DIM + d], got;

            values_pack(want, &x, 1, kv.type);
            values_unpack(&got, data + at * bytes, 1, kv.type);
            if (isnan(x) && kv.type == KV_FP8)
                bad += (data[at] & 0x7f) != 0x7f;
            else
                bad += isnan(x) ? !isnan(got) : memcmp(want, data + at * bytes, bytes) != 0;
        }
        CHECK(bad == 0);
    }
    free(qkv);
    free(data);
}

int main(void)
{
    struct ops o;

    ops_open(&o);
    test_shapes(&o);
    test_ranges(&o);
    test_several(&o);
    test_shared(&o);
    test_whole(&o);
    if (!o.device) // cache_test has those of a device
        test_values(&o);
    ops_close(&o);
    return test_end();
}
