/* pool.c - the tasks that a prompt may show, and what is new against them. */
#include "pool.h"

#include "json.h"
#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void pool_init(struct pool *p)
{
    *p = (struct pool){.rouge = rouge_open()};
}

void pool_free(struct pool *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->entry[i].id);
        free(p->entry[i].text);
    }
    free(p->entry);
    rouge_close(p->rouge);
    hash_free(&p->words);
    *p = (struct pool){0};
}

void pool_add(struct pool *p, const char *id, const struct buf *text, const struct buf *fold,
              int round)
{
    mem_grow(&p->entry, &p->cap, (size_t)p->n + 1, sizeof(*p->entry));
    p->entry[p->n] = (struct pool_entry){mem_dup(id, strlen(id)), mem_dup(buf_cstr(text), text->n),
                                         text->n, round};
    hash_put(&p->words, fold->p, fold->n, p->n);
    rouge_add(p->rouge, fold->p, fold->n);
    p->n_seed += round == 0;
    p->n++;
}

void pool_score(struct buf *b, double f)
{
    json_put_num(b, round(f * 1e4) / 1e4);
}

const char *pool_known(struct pool *p, const struct buf *fold, float most, struct rouge_near *near,
                       struct buf *value, struct buf *limit)
{
    const int *same = hash_find(&p->words, fold->p, fold->n);
    double exact;

    if (same) {
        const char *id = p->entry[*same].id;

        *near = (struct rouge_near){*same, 1};
        json_put_str(value, id, strlen(id));
        return "duplicate";
    }
    *near = rouge_nearest(p->rouge, fold->p, fold->n);
    // the option is a float; the published filter compares with the double nearest to "0.7"
    exact = round((double)most * 1e6) / 1e6;
    if (near->f <= exact)
        return NULL;
    pool_score(value, near->f);
    pool_score(limit, exact);
    return "rouge";
}

/* k different numbers below n into out. Source: Floyd's algorithm (Bentley 1987). */
static void draw(const struct rng *r, uint64_t at, uint32_t lane, int n, int k, int *out)
{
    for (int j = n - k, m = 0; j < n; j++, m++) {
        int x = (int)rng_below(r, at, lane + (uint32_t)m, (uint32_t)j + 1);

        for (int i = 0; i < m; i++)
            if (out[i] == x) {
                x = j;
                break;
            }
        out[m] = x;
    }
}

int pool_draw(const struct pool *p, const struct rng *r, uint64_t at, int examples, int made,
              int *out)
{
    enum { MADE = 1 << 16, ORDER = 2 << 16 }; // lanes of the three kinds of draws
    int have = p->n - p->n_seed, n_made = made < have ? made : have, n_seed = examples - n_made;

    if (n_seed > p->n_seed)
        n_seed = p->n_seed;
    if (n_made < examples - n_seed)
        n_made = examples - n_seed < have ? examples - n_seed : have;
    draw(r, at, 0, p->n_seed, n_seed, out);
    draw(r, at, MADE, have, n_made, out + n_seed);
    for (int i = n_seed; i < n_seed + n_made; i++)
        out[i] += p->n_seed;
    for (int i = n_seed + n_made - 1; i > 0; i--) {
        uint32_t k = rng_below(r, at, ORDER + (uint32_t)i, (uint32_t)i + 1);
        int x = out[i];

        out[i] = out[k];
        out[k] = x;
    }
    return n_seed + n_made;
}
