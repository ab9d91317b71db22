/* step.c - build one forward step: tokens, positions, pages, rows wanted. */
#include "step.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void step_init(struct step_build *b, int max_tokens, int max_out, int max_seq)
{
    assert(max_tokens > 0 && max_out > 0 && max_seq > 0);
    *b = (struct step_build){.max_tokens = max_tokens, .max_out = max_out, .max_seq = max_seq};
    b->token = mem_zero((size_t)max_tokens, sizeof(*b->token));
    b->pos = mem_zero((size_t)max_tokens, sizeof(*b->pos));
    b->seq = mem_zero((size_t)max_tokens, sizeof(*b->seq));
    b->out = mem_zero((size_t)max_out, sizeof(*b->out));
    b->last = mem_zero((size_t)max_tokens, sizeof(*b->last));
    b->slot = mem_zero((size_t)max_tokens, sizeof(*b->slot));
    b->tree = mem_zero((size_t)max_tokens, sizeof(*b->tree));
    b->kv = mem_zero((size_t)max_seq, sizeof(*b->kv));
}

void step_free(struct step_build *b)
{
    free(b->token);
    free(b->pos);
    free(b->seq);
    free(b->page);
    free(b->out);
    free(b->last);
    free(b->slot);
    free(b->tree);
    free(b->kv);
    *b = (struct step_build){0};
}

void step_reset(struct step_build *b)
{
    b->s = (struct step){0};
    b->trees = false;
}

int step_add(struct step_build *b, const struct kv_seq *kv, const int32_t *token, int n, int pos,
             int n_want)
{
    struct step *s = &b->s;
    int first_out = s->n_out;

    assert(n > 0 && n <= b->max_tokens - s->n);
    assert(n_want >= 0 && n_want <= n && n_want <= b->max_out - s->n_out);
    assert(s->n_seq < b->max_seq);
    assert(!b->whole || pos == 0);
    assert(pos >= 0 && pos <= (int64_t)kv->n_pages * BACKEND_PAGE - n);
    memcpy(b->token + s->n, token, (size_t)n * sizeof(*token));
    for (int i = 0; i < n; i++) {
        b->pos[s->n + i] = pos + i;
        b->seq[s->n + i] = s->n_seq;
        b->last[s->n + i] = pos + n - 1;
        b->slot[s->n + i] = pos + i;
        b->tree[s->n + i] = 0;
    }
    for (int i = n - n_want; i < n; i++)
        b->out[s->n_out++] = s->n + i;
    b->kv[s->n_seq++] = kv;
    s->n += n;
    return first_out;
}

int step_add_tree(struct step_build *b, const struct kv_seq *kv, const int32_t *token,
                  const uint64_t *tree, int n, int base)
{
    int at = b->s.n, first_out = step_add(b, kv, token, n, base, n);

    assert(!b->whole && base >= 0);
    for (int i = 0; i < n; i++) {
        assert(tree[i]);
        b->pos[at + i] = base + __builtin_popcountll(tree[i]) - 1;
        b->slot[at + i] = base + BACKEND_TREE - 1 - __builtin_clzll(tree[i]);
        b->tree[at + i] = tree[i];
        assert(b->slot[at + i] < kv->n_pages * BACKEND_PAGE);
    }
    b->trees = true;
    return first_out;
}

const struct step *step_done(struct step_build *b)
{
    struct step *s = &b->s;

    s->max_pages = 0;
    for (int i = 0; i < s->n_seq; i++)
        s->max_pages = b->kv[i]->n_pages > s->max_pages ? b->kv[i]->n_pages : s->max_pages;
    mem_grow(&b->page, &b->page_cap, (size_t)s->n_seq * (size_t)s->max_pages, sizeof(*b->page));
    for (int i = 0; i < s->n_seq; i++) {
        int32_t *row = b->page + (size_t)i * (size_t)s->max_pages;
        int n = b->kv[i]->n_pages;

        memcpy(row, b->kv[i]->page, (size_t)n * sizeof(*row));
        memset(row + n, 0, (size_t)(s->max_pages - n) * sizeof(*row));
    }
    s->token = b->token;
    s->pos = b->pos;
    s->seq = b->seq;
    s->page = b->page;
    s->out = b->out;
    s->last = b->whole ? b->last : NULL;
    s->slot = b->trees ? b->slot : NULL;
    s->tree = b->trees ? b->tree : NULL;
    return s;
}
