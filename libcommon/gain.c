/* gain.c - what a choice has done to a set of records: figures before and after. */
#include "gain.h"

#include "eigen.h"
#include "mem.h"
#include "num.h"
#include "quota.h"

#include <stdlib.h>

static void topics(struct gain_side *s, const int64_t *size, int k)
{
    s->entropy = quota_entropy(size, k);
    s->topics = num_exp_d(s->entropy);
    for (int t = 0; t < k; t++)
        s->covered += size[t] > 0;
}

static void texts(struct gain *g, const struct corpus *c, const struct choose_verdict *v)
{
    struct variety *words = variety_open(g->side[0].n, g->side[1].n);
    struct variety_figures f[2];
    struct buf text = {0};

    for (size_t i = 0; i < c->n; i++) {
        buf_reset(&text);
        corpus_text(c, i, &text);
        variety_add(words, buf_cstr(&text), text.n, v[i].fate == CHOOSE_KEPT);
    }
    variety_read(words, f);
    g->side[0].words = f[0];
    g->side[1].words = f[1];
    variety_close(words);
    buf_free(&text);
}

void gain_measure(struct gain *g, const struct corpus *c, const struct kmeans *s,
                  const struct choose_verdict *v, const float *sim, struct thread_pool *pool)
{
    int64_t *kept = mem_zero(c->n, sizeof(*kept)), n = 0;
    struct gain_side *before = &g->side[0], *after = &g->side[1];

    *g = (struct gain){.k = s->k, .size = mem_zero((size_t)s->k, sizeof(*g->size))};
    for (size_t i = 0; i < c->n; i++)
        if (v[i].fate == CHOOSE_KEPT) {
            g->size[s->of[i]]++;
            kept[n++] = (int64_t)i;
        }
    before->n = (int64_t)c->n;
    after->n = n;
    topics(before, s->size, s->k);
    topics(after, g->size, s->k);
    before->coverage = c->n > 0;
    for (size_t i = 0; i < c->n; i++)
        after->coverage += sim[i] > -1 ? (double)sim[i] / (double)c->n : 0;
    before->vendi = eigen_vendi(pool, c->x, NULL, (int64_t)c->n, c->dim);
    after->vendi = eigen_vendi(pool, c->x, kept, n, c->dim);
    texts(g, c, v);
    free(kept);
}

void gain_free(struct gain *g)
{
    free(g->size);
    *g = (struct gain){0};
}

static void put_side(const struct gain_side *s, struct buf *b)
{
    buf_fmt(b, "{\"records\":%lld,\"topics_covered\":%lld,\"topic_entropy\":%.6f,\"topics\":%.4f",
            (long long)s->n, (long long)s->covered, s->entropy, s->topics);
    buf_fmt(b, ",\"coverage\":%.6f,\"vendi\":%.6f,\"self_bleu\":%.6f,\"self_bleu_of\":%lld",
            s->coverage, s->vendi, s->words.self_bleu, (long long)s->words.sample);
    for (int m = 0; m < VARIETY_GRAMS; m++)
        buf_fmt(b, ",\"distinct_%d\":%.6f", m + 1, s->words.distinct[m]);
    buf_char(b, '}');
}

void gain_json(const struct gain *g, struct buf *out)
{
    buf_str(out, "\"before\":");
    put_side(&g->side[0], out);
    buf_str(out, ",\"after\":");
    put_side(&g->side[1], out);
}

void gain_table(const struct gain *g, struct buf *out)
{
    const struct gain_side *x = &g->side[0], *y = &g->side[1];

    buf_fmt(out, "%-24s %12s %12s\n", "", "before", "after");
    buf_fmt(out, "%-24s %12lld %12lld\n", "records", (long long)x->n, (long long)y->n);
    buf_fmt(out, "%-24s %12lld %12lld\n", "topics with records", (long long)x->covered,
            (long long)y->covered);
    buf_fmt(out, "%-24s %12.2f %12.2f\n", "effective topics", x->topics, y->topics);
    buf_fmt(out, "%-24s %12.4f %12.4f\n", "coverage", x->coverage, y->coverage);
    buf_fmt(out, "%-24s %12.2f %12.2f\n", "Vendi score", x->vendi, y->vendi);
    buf_fmt(out, "%-24s %12.4f %12.4f\n", "self-BLEU", x->words.self_bleu, y->words.self_bleu);
    for (int m = 0; m < VARIETY_GRAMS; m++)
        buf_fmt(out, "distinct-%-15d %12.4f %12.4f\n", m + 1, x->words.distinct[m],
                y->words.distinct[m]);
}
