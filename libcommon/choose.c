/* choose.c - a choice of rows: by score, relevance against novelty, farthest first, coverage. */
#include "choose.h"

#include "dots.h"
#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 224,  // rows whose cosines to what is kept are computed together
    GRAIN = 28,   // of these, for a worker at a time
    ROWS = 28,    // rows of a topic that are gathered
    CHUNK = 1008, // rows whose gains are summed together, a multiple of ROWS
    CANDS = DOTS_LANES,
};

struct rank {
    double score;
    int64_t row;
};

static int best_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

void choose_rank(const double *score, int64_t n, int64_t *order)
{
    struct rank *all = mem_zero((size_t)n, sizeof(*all));

    for (int64_t i = 0; i < n; i++)
        all[i] = (struct rank){score[i], i};
    if (n)
        qsort(all, (size_t)n, sizeof(*all), best_first);
    for (int64_t i = 0; i < n; i++)
        order[i] = all[i].row;
    free(all);
}

struct choice {
    const struct choose_opt *o;
    const struct choose_rows *r;
    struct choose_verdict *out;
    struct dots set; // kept rows
    bool stopped;
    int64_t *kept;  // (n) their numbers
    int64_t *left;  // (k) quota not yet used
    int k;          // quotas: topics, or one
    int32_t *place; // (n) of a row in order
    double *value;  // (n) lazy methods: as it was when last computed, never below what it is
    float *sim;     // (n) lazy methods: cosine to the nearest kept row
    int32_t *at;    // (n) and which
    int32_t *seen;  // (n) lazy methods: kept rows that value knows of, of those it depends on
    int32_t *heap;  // (n_heap) rows, the largest value first
    int64_t n_heap;
    double low, scale; // scores to 0..1
    float *cover;      // (n) facility: cosine to the nearest kept row, at least 0
    int32_t *member;   // (n) facility: rows by topic, ascending in each
    int64_t *from;     // (k + 1) facility: where a topic's begin
    int32_t *had;      // (k) facility: kept rows of a topic
};

static const float *row_of(const struct choice *c, int64_t i)
{
    return c->r->x + i * c->r->dim;
}

/* Rows side by side: x (n, dim). */
static void gather(const struct choice *c, const int64_t *row, int64_t n, float *x)
{
    size_t dim = (size_t)c->r->dim;

    for (int64_t i = 0; i < n; i++)
        memcpy(x + (size_t)i * dim, row_of(c, row[i]), dim * sizeof(*x));
}

static int topic_of(const struct choice *c, int64_t i)
{
    return c->k == 1 ? 0 : c->r->of[i];
}

/* The caller is asked whether to go on: often, for a row may be long in coming. */
static void ask(struct choice *c)
{
    c->stopped |= c->o->tick && c->o->tick(c->o->with, c->set.n);
}

static void keep(struct choice *c, int64_t i)
{
    c->out[i].fate = CHOOSE_KEPT;
    c->kept[c->set.n] = i;
    dots_add(&c->set, row_of(c, i));
    c->left[topic_of(c, i)]--;
    if (c->had)
        c->had[topic_of(c, i)]++;
    ask(c);
}

/* Whether row i, whose nearest kept row is `at` with cosine sim, may not be taken. */
static bool refuse(struct choice *c, int64_t i, float sim, int32_t at)
{
    if (!(sim > c->o->max_sim) || c->o->max_sim >= 1)
        return false;
    c->out[i] = (struct choose_verdict){CHOOSE_SIMILAR, sim, c->kept[at]};
    return true;
}

/* ---- best score first ---- */

struct block {
    const struct choice *c;
    const int64_t *row; // (n)
    float *x;           // (n, dim) side by side, so that what is kept is read once for several
    float *sim;
    int32_t *at;
};

static void block_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct block *b = ctx;
    int64_t dim = b->c->r->dim;

    (void)worker;
    gather(b->c, b->row + begin, end - begin, b->x + begin * dim);
    dots_nearest(&b->c->set, 0, b->x + begin * dim, end - begin, b->sim + begin, b->at + begin);
}

static void each(const struct choose_opt *o, thread_fn fn, void *ctx, int64_t n, int64_t grain)
{
    if (o->pool)
        thread_run(o->pool, fn, ctx, n, grain);
    else
        fn(ctx, 0, n, 0);
}

/* The rows that come next in order and may be taken, up to BLOCK; how many. */
static int next_block(const struct choice *c, int64_t *from, int64_t *row)
{
    int n = 0;

    for (; *from < c->r->n && n < BLOCK; ++*from) {
        int64_t i = c->r->order[*from];

        if (c->out[i].fate == CHOOSE_LEFT && c->left[topic_of(c, i)])
            row[n++] = i;
    }
    return n;
}

/* Go through all rows once, best first, a block at a time: cosines to what was kept before the
 * block together, to what the block keeps one by one. Only those above the limit matter. */
static void pass_score(struct choice *c)
{
    const float limit = c->o->max_sim;
    int64_t row[BLOCK], j = 0, dim = c->r->dim;
    float sim[BLOCK], *x = mem_new(BLOCK * (size_t)dim * sizeof(*x));
    int32_t at[BLOCK];

    while (j < c->r->n && !c->stopped) {
        struct block b = {c, row, x, sim, at};
        int n = next_block(c, &j, row), before = c->set.n;

        for (int m = 0; m < n; m++) {
            sim[m] = limit;
            at[m] = -1;
        }
        ask(c);
        if (limit < 1)
            each(c->o, block_rows, &b, n, GRAIN);
        for (int m = 0; m < n; m++) {
            if (!c->left[topic_of(c, row[m])])
                continue;
            if (limit < 1)
                dots_nearest(&c->set, before, x + m * dim, 1, &sim[m], &at[m]);
            if (!refuse(c, row[m], sim[m], at[m]))
                keep(c, row[m]);
        }
    }
    free(x);
}

/* ---- lazy methods: a heap of values that may be too high ---- */

/* Whether row a goes before b. */
static bool ahead(const struct choice *c, int32_t a, int32_t b)
{
    if (c->value[a] != c->value[b])
        return c->value[a] > c->value[b];
    return c->place[a] < c->place[b];
}

static void sift(struct choice *c, int64_t i)
{
    int32_t *h = c->heap, v = h[i];

    for (int64_t child; (child = 2 * i + 1) < c->n_heap; i = child) {
        child += child + 1 < c->n_heap && ahead(c, h[child + 1], h[child]);
        if (!ahead(c, h[child], v))
            break;
        h[i] = h[child];
    }
    h[i] = v;
}

static int32_t pop(struct choice *c)
{
    int32_t top = c->heap[0];

    c->heap[0] = c->heap[--c->n_heap];
    sift(c, 0);
    return top;
}

static void push(struct choice *c, int32_t v)
{
    int64_t i = c->n_heap++;

    for (; i && ahead(c, v, c->heap[(i - 1) / 2]); i = (i - 1) / 2)
        c->heap[i] = c->heap[(i - 1) / 2];
    c->heap[i] = v;
}

static double scaled(const struct choice *c, int64_t i)
{
    double s = c->r->score[i];

    return s == -INFINITY ? 0 : (s - c->low) * c->scale;
}

static double value_of(const struct choice *c, int64_t i)
{
    double sim = (double)c->sim[i], lambda = (double)c->o->lambda;

    return c->o->method == CHOOSE_MMR ? lambda * scaled(c, i) - (1 - lambda) * sim : -sim;
}

/* How many kept rows a row's value depends on: coverage is a topic's own. */
static int32_t kept_near(const struct choice *c, int64_t i)
{
    return c->had ? c->had[topic_of(c, i)] : c->set.n;
}

/* Bring sim and value of a row up to date. */
static void look(struct choice *c, int32_t i)
{
    dots_nearest(&c->set, c->seen[i], row_of(c, i), 1, &c->sim[i], &c->at[i]);
    c->seen[i] = c->set.n;
    c->value[i] = value_of(c, i);
}

/* ---- facility location ---- */

struct gains {
    struct choice *c;
    const struct dots *cand; // at most CANDS
    const int32_t *member;
    int64_t n;
    double (*part)[CANDS]; // (chunks); NULL: the one candidate is kept, and covers
};

/* Cosines y (n, candidates) of up to ROWS members; rows (ROWS, dim) is scratch. */
static void member_dots(const struct gains *g, int64_t at, int n, float *rows, float *y)
{
    size_t dim = (size_t)g->c->r->dim;

    for (int i = 0; i < n; i++)
        memcpy(rows + (size_t)i * dim, row_of(g->c, g->member[at + i]), dim * sizeof(*rows));
    dots_all(g->cand, 0, rows, n, y);
}

static void gain_chunks(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct gains *g = ctx;
    float *rows = mem_new(ROWS * (size_t)g->c->r->dim * sizeof(*rows)), y[ROWS * CANDS];

    (void)worker;
    for (int64_t at = begin * CHUNK; at < end * CHUNK && at < g->n; at += ROWS) {
        int n = (int)(g->n - at < ROWS ? g->n - at : ROWS), m = g->cand->n;

        member_dots(g, at, n, rows, y);
        for (int i = 0; i < n; i++) {
            float *had = &g->c->cover[g->member[at + i]];

            for (int j = 0; j < m && g->part; j++)
                g->part[at / CHUNK][j] +=
                    y[i * m + j] > *had ? (double)y[i * m + j] - (double)*had : 0;
            if (!g->part && y[i] > *had)
                *had = y[i];
        }
    }
    free(rows);
}

/* What each of n rows of one topic would add to the coverage of that topic. */
static void gains(struct choice *c, const int32_t *row, int n)
{
    int t = topic_of(c, row[0]);
    int64_t m = c->from[t + 1] - c->from[t], chunks = (m + CHUNK - 1) / CHUNK;
    struct dots cand;
    struct gains g = {c, &cand, c->member + c->from[t], m, NULL};

    dots_init(&cand, c->o->b, c->r->dim);
    for (int i = 0; i < n; i++)
        dots_add(&cand, row_of(c, row[i]));
    g.part = mem_zero((size_t)chunks, sizeof(*g.part));
    each(c->o, gain_chunks, &g, chunks, 1);
    for (int i = 0; i < n; i++) {
        c->value[row[i]] = 0;
        for (int64_t k = 0; k < chunks; k++)
            c->value[row[i]] += g.part[k][i];
        c->seen[row[i]] = kept_near(c, row[i]);
    }
    free(g.part);
    dots_free(&cand);
    ask(c);
}

/* The cosines of a topic's rows to a row that was just kept. */
static void spread_cover(struct choice *c, int64_t kept)
{
    int t = topic_of(c, kept);
    struct dots one;
    struct gains g = {c, &one, c->member + c->from[t], c->from[t + 1] - c->from[t], NULL};

    dots_init(&one, c->o->b, c->r->dim);
    dots_add(&one, row_of(c, kept));
    each(c->o, gain_chunks, &g, (g.n + CHUNK - 1) / CHUNK, 1);
    dots_free(&one);
}

/* Gains of the row on top and of those after it that are of its topic and may be too high as well:
 * a panel has room for them. */
static void look_many(struct choice *c, int32_t top)
{
    int32_t row[CANDS], rest[2 * CANDS];
    int n = 1, n_rest = 0;

    row[0] = top;
    while (n < CANDS && c->n_heap && n_rest < 2 * CANDS) {
        int32_t i = pop(c);

        if (topic_of(c, i) == topic_of(c, top) && c->seen[i] < kept_near(c, i))
            row[n++] = i;
        else
            rest[n_rest++] = i;
    }
    gains(c, row, n);
    for (int i = 0; i < n_rest; i++)
        push(c, rest[i]);
    for (int i = 0; i < n; i++)
        push(c, row[i]);
}

/* ---- one pass of a lazy method ---- */

/* Rows that may still be taken, with what is known of their values. */
static void fill_heap(struct choice *c)
{
    c->n_heap = 0;
    for (int64_t i = 0; i < c->r->n; i++) {
        if (c->out[i].fate != CHOOSE_LEFT)
            continue;
        if (c->o->method != CHOOSE_FACILITY)
            c->value[i] = value_of(c, i);
        c->heap[c->n_heap++] = (int32_t)i;
    }
    for (int64_t i = c->n_heap / 2; i-- > 0;)
        sift(c, i);
}

/* The first row of farthest first: the best score, or what is nearest to the mean. */
static int64_t first_center(const struct choice *c)
{
    const struct choose_rows *r = c->r;
    double *mean, top = -INFINITY;
    int64_t best = -1;

    for (int64_t j = 0; j < r->n && best < 0; j++)
        if (c->out[r->order[j]].fate == CHOOSE_LEFT && c->left[topic_of(c, r->order[j])])
            best = r->order[j];
    if (best < 0 || r->score[best] > -INFINITY)
        return best;
    mean = mem_zero((size_t)r->dim, sizeof(*mean));
    for (int64_t i = 0; i < r->n; i++)
        for (int k = 0; k < r->dim; k++)
            mean[k] += (double)row_of(c, i)[k];
    for (int64_t i = 0; i < r->n; i++) {
        double y = 0;

        if (c->out[i].fate != CHOOSE_LEFT || !c->left[topic_of(c, i)])
            continue;
        for (int k = 0; k < r->dim; k++)
            y += (double)row_of(c, i)[k] * mean[k];
        if (y > top) {
            top = y;
            best = i;
        }
    }
    free(mean);
    return best;
}

static void take(struct choice *c, int32_t i)
{
    if (c->o->method == CHOOSE_FACILITY && c->o->max_sim < 1)
        dots_nearest(&c->set, 0, row_of(c, i), 1, &c->sim[i], &c->at[i]);
    if (refuse(c, i, c->sim[i], c->at[i]))
        return;
    keep(c, i);
    if (c->o->method == CHOOSE_FACILITY)
        spread_cover(c, i);
}

static void pass_lazy(struct choice *c)
{
    int64_t left = 0;

    for (int t = 0; t < c->k; t++)
        left += c->left[t];
    if (c->o->method == CHOOSE_KCENTER && !c->set.n && left) {
        int64_t first = first_center(c);

        if (first < 0)
            return;
        keep(c, first);
        left--;
    }
    fill_heap(c);
    while (c->n_heap && left > 0 && !c->stopped) {
        int32_t i = pop(c);
        int had = c->set.n;

        if (!c->left[topic_of(c, i)])
            continue;
        if (c->seen[i] == kept_near(c, i)) {
            take(c, i);
            left -= c->set.n - had;
        } else if (c->o->method == CHOOSE_FACILITY) {
            look_many(c, i);
        } else {
            look(c, i);
            push(c, i);
            ask(c);
        }
    }
}

/* ---- the whole ---- */

static void open_lazy(struct choice *c)
{
    size_t n = (size_t)c->r->n;
    double high = -INFINITY;

    c->place = mem_zero(n, sizeof(*c->place));
    c->value = mem_zero(n, sizeof(*c->value));
    c->sim = mem_zero(n, sizeof(*c->sim));
    c->at = mem_zero(n, sizeof(*c->at));
    c->seen = mem_zero(n, sizeof(*c->seen));
    c->heap = mem_zero(n, sizeof(*c->heap));
    c->low = INFINITY;
    for (size_t i = 0; i < n; i++) {
        double s = c->r->score[i];

        c->place[c->r->order[i]] = (int32_t)i;
        c->sim[i] = -2;
        c->at[i] = -1;
        high = s > high ? s : high;
        c->low = s > -INFINITY && s < c->low ? s : c->low;
    }
    c->scale = high > c->low ? 1 / (high - c->low) : 0;
}

/* Rows by topic, and what each of them alone would cover. */
static void open_facility(struct choice *c)
{
    int64_t at = 0, *size = mem_zero((size_t)c->k, sizeof(*size));

    c->cover = mem_zero((size_t)c->r->n, sizeof(*c->cover));
    c->member = mem_zero((size_t)c->r->n, sizeof(*c->member));
    c->from = mem_zero((size_t)c->k + 1, sizeof(*c->from));
    c->had = mem_zero((size_t)c->k, sizeof(*c->had));
    for (int64_t i = 0; i < c->r->n; i++)
        size[topic_of(c, i)]++;
    for (int t = 0; t <= c->k; t++) {
        c->from[t] = at;
        at += t < c->k ? size[t] : 0;
    }
    for (int64_t i = 0; i < c->r->n; i++) {
        int t = topic_of(c, i);

        c->member[c->from[t + 1] - size[t]--] = (int32_t)i;
    }
    free(size);
    for (int t = 0; t < c->k; t++)
        for (int64_t j = c->from[t]; j < c->from[t + 1] && !c->stopped; j += CANDS)
            gains(c, c->member + j, (int)(c->from[t + 1] - j < CANDS ? c->from[t + 1] - j : CANDS));
}

static void close_all(struct choice *c, bool own_kept)
{
    dots_free(&c->set);
    if (own_kept)
        free(c->kept);
    free(c->left);
    free(c->place);
    free(c->value);
    free(c->sim);
    free(c->at);
    free(c->seen);
    free(c->heap);
    free(c->cover);
    free(c->member);
    free(c->from);
    free(c->had);
}

int64_t choose_run(const struct choose_opt *o, const struct choose_rows *r,
                   struct choose_verdict *out, int64_t *kept)
{
    struct choice c = {.o = o, .r = r, .out = out, .kept = kept};
    double *weight;
    int64_t *cap, total;

    c.k = o->balance == QUOTA_NONE || r->k < 1 ? 1 : r->k;
    weight = mem_zero((size_t)c.k, sizeof(*weight));
    cap = mem_zero((size_t)c.k, sizeof(*cap));
    c.left = mem_zero((size_t)c.k, sizeof(*c.left));
    if (!kept)
        c.kept = mem_zero((size_t)r->n, sizeof(*c.kept));
    dots_init(&c.set, o->b, r->dim);
    dots_seek(&c.set);
    for (int64_t i = 0; i < r->n; i++)
        cap[topic_of(&c, i)]++;
    for (int t = 0; t < c.k; t++)
        weight[t] = quota_weight(o->balance, o->temp, cap[t]);
    if (o->method != CHOOSE_SCORE)
        open_lazy(&c);
    if (o->method == CHOOSE_FACILITY)
        open_facility(&c);
    while (c.set.n < o->count && !c.stopped) {
        memset(cap, 0, (size_t)c.k * sizeof(*cap));
        for (int64_t i = 0; i < r->n; i++)
            cap[topic_of(&c, i)] += out[i].fate == CHOOSE_LEFT;
        if (!quota_share(weight, cap, c.k, o->count - c.set.n, c.left))
            break; // nothing is left that may be taken
        if (o->method == CHOOSE_SCORE)
            pass_score(&c);
        else
            pass_lazy(&c);
    }
    total = c.stopped ? -1 : c.set.n;
    close_all(&c, !kept);
    free(weight);
    free(cap);
    return total;
}

struct nearest {
    const struct choose_rows *r;
    struct dots set;
    float *sim;
    int32_t *near;
};

static void nearest_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct nearest *n = ctx;

    (void)worker;
    dots_nearest(&n->set, 0, n->r->x + begin * n->r->dim, end - begin, n->sim + begin,
                 n->near + begin);
}

void choose_nearest(const struct choose_opt *o, const struct choose_rows *r, const int64_t *kept,
                    int64_t n_kept, float *sim, int32_t *near)
{
    struct nearest n = {.r = r, .sim = sim, .near = near};

    dots_init(&n.set, o->b, r->dim);
    dots_seek(&n.set);
    for (int64_t i = 0; i < n_kept; i++)
        dots_add(&n.set, r->x + kept[i] * r->dim);
    for (int64_t i = 0; i < r->n; i++) {
        sim[i] = -2;
        near[i] = -1;
    }
    each(o, nearest_rows, &n, r->n, 4 * GRAIN);
    for (int64_t i = 0; i < r->n; i++)
        near[i] = near[i] < 0 ? -1 : (int32_t)kept[near[i]];
    dots_free(&n.set);
}
