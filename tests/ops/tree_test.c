/* tree_test.c - rope_kv, attn and move of token trees: each node against its path alone, decoded as
 * a chain by the oracle, and what follows a path that was kept, all by their bytes.
 *
 * Two trees and a chunk of a third sequence share the steps, over shuffled pages that hold NaN
 * where nothing was written. */
#include "num.h"
#include "ops.h"

enum { LAYERS = 2, LAYER = 1, SEQS = 3, CHUNK = 3, MOST_PAGES = 18 };

/* base: positions before a tree, nodes: of it, back: how far before a node its parent may stand, in
 * its order; window 0: none. */
struct plan {
    int dim, kv_heads, group, base, nodes, back, window;
    float softcap;
};

/* Sequence 1 is the chunk: its nodes are a chain. */
struct scene {
    struct attn_shape a;
    struct kv_pages kv;
    size_t kv_floats;
    float *before;     // the cache: what stands before the trees
    int row, wide;     // floats of a token: q, k and v; y
    float *qkv;        // (SEQS, BACKEND_TREE + 1, row), before rotation
    float *y, *turned; // (SEQS, BACKEND_TREE, wide), (.., row): of the step
    int base[SEQS], nodes[SEQS], parent[SEQS][BACKEND_TREE];
    uint64_t tree[SEQS][BACKEND_TREE];
    int pages;                       // of a sequence
    int32_t page[SEQS * MOST_PAGES]; // (SEQS, pages)
    float freq[128];
};

static void grow_tree(struct ops *o, struct scene *c, int q, const struct plan *p)
{
    c->base[q] = q == 1 ? p->base / 2 : q ? p->base + ops_pick(o, 0, 5) : p->base;
    c->nodes[q] = q == 1 ? CHUNK : q ? ops_pick(o, 1, p->nodes) : p->nodes;
    for (int i = 0; i < c->nodes[q]; i++) {
        int parent = i - 1 - (q == 1 ? 0 : ops_pick(o, 0, p->back));

        parent = parent < -1 ? -1 : parent;
        c->parent[q][i] = parent;
        c->tree[q][i] = (parent < 0 ? 0 : c->tree[q][parent]) | (uint64_t)1 << i;
    }
}

/* Where dimension d of a slot's key (0) or value (1) lies. */
static float *at(const struct scene *c, float *cache, int q, int slot, int head, int which, int d)
{
    size_t page = (size_t)c->page[q * c->pages + slot / BACKEND_PAGE], dim = (size_t)c->a.head_dim;
    float *p = cache + (((size_t)LAYER * (size_t)c->kv.n_pages + page) * (size_t)c->a.n_kv_heads +
                        (size_t)head) *
                           2 * BACKEND_PAGE * dim;

    slot %= BACKEND_PAGE;
    return which ? p + (BACKEND_PAGE + slot) * (int)dim + d : p + d * BACKEND_PAGE + slot;
}

static void scene_open(struct ops *o, struct scene *c, const struct plan *p)
{
    int pages[SEQS * MOST_PAGES], each = (p->base + 5 + BACKEND_TREE) / BACKEND_PAGE + 1;
    int n = SEQS * each;

    *c = (struct scene){.a = {.n_heads = p->kv_heads * p->group,
                              .n_kv_heads = p->kv_heads,
                              .head_dim = p->dim,
                              .rope_dims = p->dim / 2 * 2,
                              .rope_pairs_apart = ops_pick(o, 0, 1),
                              .scale = 1.0f / sqrtf((float)p->dim),
                              .softcap = p->softcap,
                              .window = p->window},
                        .pages = each};
    c->a.inv_freq = c->freq;
    for (int i = 0; i < c->a.rope_dims / 2; i++)
        c->freq[i] = num_pow(10000.0f, -2.0 * i / c->a.rope_dims);
    c->row = (c->a.n_heads + 2 * c->a.n_kv_heads) * p->dim;
    c->wide = c->a.n_heads * p->dim;
    c->kv_floats = (size_t)LAYERS * (size_t)n * 2 * BACKEND_PAGE * (size_t)(p->kv_heads * p->dim);
    c->kv = (struct kv_pages){mem_zero(c->kv_floats, 4), LAYERS, n, p->kv_heads, p->dim, KV_F32};
    for (int i = 0; i < n; i++)
        pages[i] = i;
    for (int i = 0; i < n; i++) {
        int k = ops_pick(o, i, n - 1);

        c->page[i] = pages[k];
        pages[k] = pages[i];
    }
    c->qkv = ops_floats(o, (size_t)c->row * SEQS * (BACKEND_TREE + 1));
    for (int i = 0; i < c->row * SEQS * (BACKEND_TREE + 1); i++)
        c->qkv[i] *= 3.0f;
    c->y = mem_zero((size_t)c->wide * SEQS * BACKEND_TREE, sizeof(*c->y));
    c->turned = mem_zero((size_t)c->row * SEQS * BACKEND_TREE, sizeof(*c->turned));
    c->before = mem_new(c->kv_floats * sizeof(*c->before));
    for (size_t i = 0; i < c->kv_floats; i++)
        c->before[i] = NAN;
    for (int q = 0; q < SEQS; q++) {
        grow_tree(o, c, q, p);
        for (int i = 0; i < c->base[q] * p->kv_heads * 2 * p->dim; i++)
            *at(c, c->before, q, i / (p->kv_heads * 2 * p->dim), i / 2 / p->dim % p->kv_heads,
                i / p->dim % 2, i % p->dim) = 3.0f * ops_float(o);
    }
}

static void scene_close(struct scene *c)
{
    free(c->kv.data_d);
    free(c->before);
    free(c->qkv);
    free(c->y);
    free(c->turned);
}

/* Tokens of a step, with room for all. */
struct batch {
    struct step s;
    int32_t pos[SEQS * BACKEND_TREE], seq[SEQS * BACKEND_TREE], slot[SEQS * BACKEND_TREE];
    uint64_t tree[SEQS * BACKEND_TREE];
    float *qkv, *y;
};

static void batch_open(struct batch *b, const struct scene *c)
{
    *b = (struct batch){.s = {.n_seq = SEQS, .max_pages = c->pages}};
    b->qkv = mem_new((size_t)c->row * SEQS * BACKEND_TREE * sizeof(*b->qkv));
    b->y = mem_new((size_t)c->wide * SEQS * BACKEND_TREE * sizeof(*b->y));
}

static void batch_close(struct batch *b)
{
    free(b->qkv);
    free(b->y);
}

/* Add row `node` of sequence q's tokens. */
static void add(struct batch *b, const struct scene *c, int q, int node, int pos, int slot,
                uint64_t tree)
{
    int i = b->s.n++;
    size_t row = (size_t)c->row;

    b->pos[i] = pos;
    b->slot[i] = slot;
    b->seq[i] = q;
    b->tree[i] = tree;
    memcpy(b->qkv + (size_t)i * row, c->qkv + (size_t)(q * (BACKEND_TREE + 1) + node) * row,
           row * sizeof(*b->qkv));
}

static void run(struct batch *b, struct scene *c, struct backend *k, bool trees)
{
    b->s.pos = b->pos;
    b->s.seq = b->seq;
    b->s.page = c->page;
    b->s.slot = trees ? b->slot : NULL;
    b->s.tree = trees ? b->tree : NULL;
    ops_begin(k, &b->s);
    k->ops->rope_kv(k, b->qkv, &c->a, &c->kv, LAYER, &b->s);
    k->ops->attn(k, b->y, b->qkv, &c->a, &c->kv, LAYER, &b->s);
    ops_end(k);
}

static void begin(struct scene *c)
{
    memcpy(c->kv.data_d, c->before, c->kv_floats * sizeof(*c->before));
}

/* Row i of a step is of node `node`. */
static void put(struct scene *c, const struct batch *b, int i, int q, int node)
{
    size_t to = (size_t)q * BACKEND_TREE + (size_t)node, wide = (size_t)c->wide;
    size_t row = (size_t)c->row;

    memcpy(c->y + to * wide, b->y + (size_t)i * wide, wide * sizeof(*c->y));
    memcpy(c->turned + to * row, b->qkv + (size_t)i * row, row * sizeof(*c->turned));
}

/* The trees in steps of at most `most` nodes of each. */
static void run_trees(struct scene *c, struct backend *k, int most)
{
    begin(c);
    for (int from = 0, left = 1; left; from += most) {
        struct batch b;

        batch_open(&b, c);
        for (int q = 0; q < SEQS; q++)
            for (int i = from; i < from + most && i < c->nodes[q]; i++) {
                uint64_t tree = c->tree[q][i];

                add(&b, c, q, i, c->base[q] + __builtin_popcountll(tree) - 1, c->base[q] + i,
                    q == 1 ? 0 : tree);
            }
        left = b.s.n > 0;
        if (left)
            run(&b, c, k, true);
        for (int i = 0; i < b.s.n; i++)
            put(c, &b, i, b.seq[i], b.slot[i] - c->base[b.seq[i]]);
        batch_close(&b);
    }
}

/* The path of a node as a chain, to where its rows belong; and in b, last, a token behind it. */
static void run_chain(struct scene *c, struct backend *oracle, struct batch *b, int q, int node)
{
    int at[BACKEND_TREE], n = 0;

    batch_open(b, c);
    for (int i = 0; i < c->nodes[q]; i++)
        if (c->tree[q][node] >> i & 1)
            at[n++] = i;
    for (int i = 0; i < n; i++)
        add(b, c, q, at[i], c->base[q] + i, 0, 0);
    add(b, c, q, BACKEND_TREE, c->base[q] + n, 0, 0);
    begin(c);
    run(b, c, oracle, false);
    for (int i = 0; i < n; i++)
        put(c, b, i, q, at[i]);
}

/* All nodes by chains: those of leaves have the others in them. */
static void run_chains(struct scene *c, struct backend *oracle)
{
    for (int q = 0; q < SEQS; q++)
        for (int i = 0; i < c->nodes[q]; i++) {
            struct batch b;
            bool leaf = true;

            for (int k = i + 1; k < c->nodes[q]; k++)
                leaf = leaf && c->parent[q][k] != i;
            if (!leaf)
                continue;
            run_chain(c, oracle, &b, q, i);
            batch_close(&b);
        }
}

/* The path's places become the next positions, as kv_keep has it. */
static void keep(struct scene *c, struct backend *k, int q, int node)
{
    struct kv_place dst[BACKEND_TREE], src[BACKEND_TREE];
    const int32_t *page = c->page + q * c->pages;
    int n = 0, len = c->base[q];

    for (int i = 0; i < c->nodes[q]; i++) {
        int from = c->base[q] + i;

        if (!(c->tree[q][node] >> i & 1))
            continue;
        dst[n] = (struct kv_place){page[len / BACKEND_PAGE], len % BACKEND_PAGE};
        src[n++] = (struct kv_place){page[from / BACKEND_PAGE], from % BACKEND_PAGE};
        len++;
    }
    k->ops->move(k, &c->kv, dst, src, n);
}

/* A token behind a path that was kept, in the cache that the trees have left. */
static void run_next(struct scene *c, struct backend *k, struct batch *b, int q, int node)
{
    keep(c, k, q, node);
    batch_open(b, c);
    add(b, c, q, BACKEND_TREE, c->base[q] + __builtin_popcountll(c->tree[q][node]), 0, 0);
    run(b, c, k, false);
}

static void check(struct ops *o, const struct plan *p)
{
    static const int most[] = {BACKEND_TREE, 7, 20, BACKEND_TREE, 2};
    struct scene c;
    struct batch chain, next;
    size_t n_y, n_turned;
    float *y, *turned;
    int q = ops_pick(o, 0, 1) * 2, node, last;

    if (ops_skip(o))
        return;
    scene_open(o, &c, p);
    n_y = (size_t)c.wide * SEQS * BACKEND_TREE;
    n_turned = (size_t)c.row * SEQS * BACKEND_TREE;
    run_chains(&c, o->b[0]);
    y = memcpy(mem_new(n_y * sizeof(*y)), c.y, n_y * sizeof(*y));
    turned = memcpy(mem_new(n_turned * sizeof(*y)), c.turned, n_turned * sizeof(*y));
    node = ops_pick(o, 0, c.nodes[q] - 1);
    run_chain(&c, o->b[0], &chain, q, node);
    last = chain.s.n - 1;
    for (int i = o->device; i < o->n; i++) {
        run_trees(&c, o->b[i], most[(p->base + i) % (o->device ? 3 : 5)]);
        CHECK(ops_differs(c.y, y, n_y) < 0);
        CHECK(ops_differs(c.turned, turned, n_turned) < 0);
        run_next(&c, o->b[i], &next, q, node);
        CHECK(ops_differs(next.y, chain.y + last * c.wide, (size_t)c.wide) < 0);
        batch_close(&next);
    }
    batch_close(&chain);
    free(y);
    free(turned);
    scene_close(&c);
}

int main(void)
{
    // head_dim, KV heads, heads of each, base, nodes, back, window, softcap
    static const struct plan plan[] = {
        {64, 1, 4, 60, 20, 3, 0, 0},   {32, 2, 1, 508, 64, 6, 0, 0},
        {20, 1, 3, 0, 10, 2, 0, 0},    {128, 1, 8, 63, 33, 64, 0, 0},
        {64, 2, 2, 130, 5, 0, 0, 0},   {80, 1, 2, 500, 40, 1, 17, 0},
        {64, 1, 2, 505, 64, 1, 70, 2}, {8, 1, 70, 5, 12, 3, 0, 0},
        {13, 1, 3, 64, 12, 4, 0, 3},   {128, 2, 4, 1000, 30, 2, 530, 0},
        {64, 1, 6, 448, 64, 0, 0, 0},  {256, 1, 2, 124, 9, 5, 0, 0},
    };
    struct ops o;

    ops_open(&o);
    TEST("trees: each node as its path alone; a path that is kept");
    for (size_t i = 0; i < sizeof(plan) / sizeof(*plan); i++)
        check(&o, &plan[i]);
    ops_close(&o);
    return test_end();
}
