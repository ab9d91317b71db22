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

static void entry_free(struct pool_entry *x)
{
    free(x->id);
    free(x->text);
    free(x->output);
}

void pool_free(struct pool *p)
{
    for (int i = 0; i < p->n; i++)
        entry_free(&p->entry[i]);
    free(p->entry);
    free(p->seeds.at);
    free(p->made.at);
    rouge_close(p->rouge);
    hash_free(&p->words);
    *p = (struct pool){0};
}

void pool_add(struct pool *p, const struct pool_new *x)
{
    struct pool_list *l = x->round ? &p->made : &p->seeds;
    int *same;

    mem_grow(&p->entry, &p->cap, (size_t)p->n + 1, sizeof(*p->entry));
    p->entry[p->n] = (struct pool_entry){
        mem_dup(x->id, strlen(x->id)), mem_dup(buf_cstr(x->text), x->text->n), x->text->n,
        mem_dup(x->output ? buf_cstr(x->output) : "", x->output ? x->output->n : 0), x->round};
    same = hash_put(&p->words, x->fold->p, x->fold->n, -1);
    *same = *same < 0 ? p->n : *same;
    rouge_add(p->rouge, x->fold->p, x->fold->n);
    if (!x->hidden) {
        mem_grow(&l->at, &l->cap, (size_t)l->n + 1, sizeof(*l->at));
        l->at[l->n++] = p->n;
    }
    p->n_seed += x->round == 0;
    p->n++;
}

void pool_cut(struct pool *p, int n, const struct buf *const *fold)
{
    for (int i = n; i < p->n; i++) {
        int *same = hash_find(&p->words, fold[i - n]->p, fold[i - n]->n);

        *same = *same >= n ? -1 : *same;
        entry_free(&p->entry[i]);
    }
    rouge_cut(p->rouge, n);
    while (p->made.n && p->made.at[p->made.n - 1] >= n)
        p->made.n--;
    p->n = n;
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

    if (same && *same >= 0) {
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
    int have = p->made.n, n_made = made < have ? made : have, n_seed = examples - n_made;

    if (n_seed > p->seeds.n)
        n_seed = p->seeds.n;
    if (n_made < examples - n_seed)
        n_made = examples - n_seed < have ? examples - n_seed : have;
    draw(r, at, 0, p->seeds.n, n_seed, out);
    draw(r, at, MADE, have, n_made, out + n_seed);
    for (int i = 0; i < n_seed + n_made; i++)
        out[i] = i < n_seed ? p->seeds.at[out[i]] : p->made.at[out[i]];
    for (int i = n_seed + n_made - 1; i > 0; i--) {
        uint32_t k = rng_below(r, at, ORDER + (uint32_t)i, (uint32_t)i + 1);
        int x = out[i];

        out[i] = out[k];
        out[k] = x;
    }
    return n_seed + n_made;
}
