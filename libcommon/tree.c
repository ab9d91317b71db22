/* tree.c - token trees of a step: where the keys of a node's path lie. */
#include "tree.h"

#include "mem.h"

#include <stdlib.h>

int tree_node(uint64_t tree, int depth)
{
    while (depth-- > 0)
        tree &= tree - 1;
    return __builtin_ctzll(tree);
}

void tree_free(struct tree *t)
{
    free(t->bend);
    free(t->tail);
    free(t->row);
    *t = (struct tree){0};
}

/* Positions before the tree of token i. */
static int base_of(const struct step *s, int i)
{
    return s->pos[i] + 1 - __builtin_popcountll(s->tree[i]);
}

/* The first page of the path of token i whose keys are not in the order of slots. */
static int bend_of(const struct step *s, int i)
{
    uint64_t left_out = ~s->tree[i];
    int at = s->tree[i] && left_out ? base_of(s, i) + __builtin_ctzll(left_out) : INT32_MAX;

    return at <= s->pos[i] ? at / BACKEND_PAGE : TREE_NO_BEND;
}

/* Is token i, which bends, a node of the path of token k? Then k's pages hold its keys, too. */
static bool on_path(const struct step *s, int i, int k)
{
    uint64_t upto = UINT64_MAX >> __builtin_clzll(s->tree[i]);

    return (s->tree[k] & upto) == s->tree[i] && base_of(s, k) == base_of(s, i);
}

/* The rows of page k of the path of token i. */
static void fill(const struct step *s, int i, int k, int32_t *row)
{
    const int32_t *page = s->page + (size_t)s->seq[i] * (size_t)s->max_pages;
    int base = base_of(s, i);

    for (int j = 0; j < BACKEND_PAGE; j++) {
        int pos = k * BACKEND_PAGE + j, slot = pos;

        if (pos >= base && pos <= s->pos[i])
            slot = base + tree_node(s->tree[i], pos - base);
        row[j] =
            pos > s->pos[i] ? -1 : page[slot / BACKEND_PAGE] * BACKEND_PAGE + slot % BACKEND_PAGE;
    }
}

/* Tokens behind come first: a node that has pages lends them to its ancestors. */
void tree_plan(struct tree *t, const struct step *s)
{
    t->n = 0;
    if (!s->tree)
        return;
    mem_grow(&t->bend, &t->cap[0], (size_t)s->n, sizeof(*t->bend));
    mem_grow(&t->tail, &t->cap[1], (size_t)s->n, sizeof(*t->tail));
    for (int i = s->n - 1; i >= 0; i--) {
        int k = i + 1, last = s->pos[i] / BACKEND_PAGE;

        t->bend[i] = bend_of(s, i);
        t->tail[i] = 0;
        if (t->bend[i] == TREE_NO_BEND)
            continue;
        while (k < s->n && s->seq[k] == s->seq[i] && !on_path(s, i, k))
            k++;
        if (k < s->n && s->seq[k] == s->seq[i]) {
            t->tail[i] = t->tail[k];
            continue;
        }
        t->tail[i] = t->n - t->bend[i];
        mem_grow(&t->row, &t->cap[2], (size_t)(t->n + 2) * BACKEND_PAGE, sizeof(*t->row));
        for (k = t->bend[i]; k <= last; k++)
            fill(s, i, k, t->row + (size_t)t->n++ * BACKEND_PAGE);
    }
}
