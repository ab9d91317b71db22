/* prefix.c - which tokens the pages of a cache hold, so that other sequences can use them. */
#include "prefix.h"

#include "hash.h"
#include "mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8 };

struct prefix_page {
    uint64_t name, before; // name 0: not noted
    int64_t step;          // in which it was noted
    int n;
    int32_t token[BACKEND_PAGE]; // (n)
};

void prefix_open(struct prefix *p, int n_pages)
{
    *p = (struct prefix){.n_pages = n_pages, .n_sets = 1};
    while (p->n_sets < n_pages)
        p->n_sets *= 2;
    p->step = 1;
    p->page = mem_zero((size_t)n_pages, sizeof(*p->page));
    p->full = mem_zero((size_t)p->n_sets * WAYS, sizeof(*p->full));
    p->child = mem_zero((size_t)p->n_sets * WAYS, sizeof(*p->child));
}

void prefix_close(struct prefix *p)
{
    free(p->page);
    free(p->full);
    free(p->child);
    *p = (struct prefix){0};
}

/* The set where pages after `before` with these n tokens (0: any) stand. */
static int32_t *set_of(const struct prefix *p, int32_t *table, uint64_t before,
                       const int32_t *token, int n)
{
    struct hash128 h = hash_add((struct hash128){0, before}, token, (size_t)n * sizeof(*token));

    return table + (h.lo & (uint64_t)(p->n_sets - 1)) * WAYS;
}

static void put_first(int32_t *set, int page)
{
    int at = 0;

    while (at < WAYS - 1 && set[at] && set[at] != page + 1)
        at++;
    memmove(set + 1, set, (size_t)at * sizeof(*set));
    set[0] = page + 1;
}

int prefix_find(const struct prefix *p, uint64_t before, const int32_t *token, uint64_t *name)
{
    const int32_t *set = set_of(p, p->full, before, token, BACKEND_PAGE);

    for (int i = 0; i < WAYS && set[i]; i++) {
        const struct prefix_page *x = &p->page[set[i] - 1];

        if (x->name && x->before == before && x->n == BACKEND_PAGE &&
            !memcmp(x->token, token, sizeof(x->token))) {
            *name = x->name;
            return set[i] - 1;
        }
    }
    return -1;
}

int prefix_near(const struct prefix *p, uint64_t before, const int32_t *token, int n, int *same,
                int *soon)
{
    const int32_t *set = set_of(p, p->child, before, NULL, 0);
    int found = -1;

    *same = *soon = 0;
    for (int i = 0; i < WAYS && set[i]; i++) {
        const struct prefix_page *x = &p->page[set[i] - 1];
        int k = 0;

        if (!x->name || x->before != before)
            continue;
        while (k < n && k < x->n && x->token[k] == token[k])
            k++;
        if (x->step == p->step) {
            *soon = k > *soon ? k : *soon;
        } else if (k > *same) {
            *same = k;
            found = set[i] - 1;
        }
    }
    return found;
}

uint64_t prefix_put(struct prefix *p, int page, uint64_t before, const int32_t *token, int n)
{
    struct prefix_page *x = &p->page[page];
    uint64_t name;

    assert(page >= 0 && page < p->n_pages && n > 0 && n <= BACKEND_PAGE);
    if (n == BACKEND_PAGE && prefix_find(p, before, token, &name) >= 0)
        return name;
    x->name = ++p->last;
    x->before = before;
    x->step = p->step;
    x->n = n;
    memcpy(x->token, token, (size_t)n * sizeof(*token));
    put_first(set_of(p, p->child, before, NULL, 0), page);
    if (n == BACKEND_PAGE)
        put_first(set_of(p, p->full, before, token, n), page);
    return x->name;
}

void prefix_drop(struct prefix *p, int page)
{
    p->page[page].name = 0;
}

bool prefix_has(const struct prefix *p, int page)
{
    return p->page && p->page[page].name;
}

int prefix_tokens(const struct prefix *p, int page)
{
    return prefix_has(p, page) ? p->page[page].n : 0;
}

void prefix_step(struct prefix *p)
{
    p->step++;
}
