/* choose.c - a balanced choice of rows: quotas by cluster, best first, none too similar. */
#include "choose.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>

/* Fill up whoever's share reaches its cap and share out again; then floors, then
 * the largest remainders. */
int64_t choose_quota(const double *weight, const int64_t *cap, int k, int64_t count, int64_t *quota)
{
    double *rest = mem_zero((size_t)k, sizeof(*rest)); // fractions; -1: full, or weight 0
    int64_t left = count;
    double total;
    bool filled;

    for (int c = 0; c < k; c++) {
        quota[c] = 0;
        rest[c] = weight[c] > 0 && cap[c] > 0 ? 0 : -1;
    }
    do {
        filled = false;
        total = 0;
        for (int c = 0; c < k; c++)
            total += rest[c] < 0 ? 0 : weight[c];
        double share = total > 0 ? (double)left / total : 0; // of this round, before any is filled
        for (int c = 0; c < k; c++)
            if (rest[c] >= 0 && share * weight[c] >= (double)cap[c]) {
                quota[c] = cap[c];
                left -= cap[c];
                rest[c] = -1;
                filled = true;
            }
    } while (filled);
    double share = total > 0 ? (double)left / total : 0;
    for (int c = 0; c < k; c++)
        if (rest[c] >= 0) {
            quota[c] = (int64_t)(share * weight[c]);
            rest[c] = share * weight[c] - (double)quota[c];
        }
    for (int c = 0; c < k; c++)
        left -= rest[c] >= 0 ? quota[c] : 0;
    while (left > 0) {
        int best = -1;

        for (int c = 0; c < k; c++)
            if (rest[c] >= 0 && quota[c] < cap[c] && (best < 0 || rest[c] > rest[best]))
                best = c;
        if (best < 0)
            break;
        quota[best]++;
        rest[best] = 0;
        left--;
    }
    free(rest);
    return count - left;
}

double choose_entropy(const int64_t *size, int k)
{
    double n = 0, h = 0;

    for (int c = 0; c < k; c++)
        n += (double)size[c];
    for (int c = 0; c < k; c++)
        if (size[c])
            h -= (double)size[c] / n * num_log_d((double)size[c] / n);
    return h > 0 ? h : 0;
}

/* What is kept so far, by cluster. */
struct kept {
    int64_t *row; // (n)
    size_t n, cap;
};

struct choice {
    const struct choose_opt *o;
    const struct cluster_set *s;
    const float *x; // (n, dim)
    int dim;
    struct kept *kept; // (k)
    int64_t *left;     // (k) quota not yet used
};

/* The highest cosine of row i to a kept row, if it is above max_sim. Rows of another cluster are
 * passed over when the angles to that cluster's centroid c already keep them apart:
 * cos(x, y) <= cos(angle(x, c) - angle(y, c)). */
static bool similar(const struct choice *c, int64_t i, struct choose_verdict *v)
{
    const float *x = c->x + i * c->dim, limit = c->o->max_sim;

    v->sim = limit;
    v->near = -1;
    for (int k = 0; k < c->s->k && limit < 1; k++) {
        float sx, cx;

        if (!c->kept[k].n)
            continue;
        cx = cluster_dot(x, c->s->centroid + (size_t)k * (size_t)c->dim, c->dim);
        sx = sqrtf(fmaxf(0, 1 - cx * cx));
        for (size_t j = 0; j < c->kept[k].n; j++) {
            int64_t y = c->kept[k].row[j];
            float cy = c->s->cos[y], sim;

            if (cx * cy + sx * sqrtf(fmaxf(0, 1 - cy * cy)) < limit - 1e-3f)
                continue;
            sim = cluster_dot(x, c->x + y * c->dim, c->dim);
            if (sim > v->sim || (sim == v->sim && v->near > y)) {
                v->sim = sim;
                v->near = y;
            }
        }
    }
    return v->near >= 0;
}

/* Go through all rows once, best first. Returns how many were kept. */
static int64_t pass(struct choice *c, const int64_t *order, int64_t n, struct choose_verdict *out)
{
    int64_t kept = 0;

    for (int64_t j = 0; j < n; j++) {
        int64_t i = order[j];
        int k = c->s->of[i];
        struct kept *list = &c->kept[k];

        if (out[i].fate != CHOOSE_LEFT || !c->left[k])
            continue;
        if (similar(c, i, &out[i])) {
            out[i].fate = CHOOSE_SIMILAR;
            continue;
        }
        out[i].fate = CHOOSE_KEPT;
        mem_grow(&list->row, &list->cap, list->n + 1, sizeof(*list->row));
        list->row[list->n++] = i;
        c->left[k]--;
        kept++;
    }
    return kept;
}

int64_t choose_rows(const struct choose_opt *o, const struct cluster_set *s, const float *x,
                    int64_t n, int dim, const int64_t *order, struct choose_verdict *out)
{
    size_t k = (size_t)s->k;
    double *weight = mem_zero(k, sizeof(*weight));
    int64_t *cap = mem_zero(k, sizeof(*cap)), total = 0;
    struct choice c = {o, s, x, dim, mem_zero(k, sizeof(*c.kept)), mem_zero(k, sizeof(*c.left))};

    for (size_t i = 0; i < k; i++)
        weight[i] = o->balance == CHOOSE_UNIFORM ? 1
                    : o->balance == CHOOSE_SQRT  ? sqrt((double)s->size[i])
                                                 : (double)s->size[i];
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct choose_verdict){CHOOSE_LEFT, 0, -1};
    while (total < o->count) {
        for (size_t i = 0; i < k; i++)
            cap[i] = 0;
        for (int64_t i = 0; i < n; i++)
            cap[s->of[i]] += out[i].fate == CHOOSE_LEFT;
        if (!choose_quota(weight, cap, s->k, o->count - total, c.left))
            break; // nothing is left that may be taken
        total += pass(&c, order, n, out);
    }
    for (size_t i = 0; i < k; i++)
        free(c.kept[i].row);
    free(c.kept);
    free(c.left);
    free(weight);
    free(cap);
    return total;
}
