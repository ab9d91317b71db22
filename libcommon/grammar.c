/* grammar.c - constrained decoding: where sequences stand in a grammar. */
#include "grammar.h"

#include "mem.h"
#include "tokmask.h"

#include <stdlib.h>

struct grammar {
    struct tokmask masks;
    const struct tok *tok;
    size_t most, forgotten; // bytes remembered at most; how often they were more
    struct grammar_state *states;
};

static size_t bytes(const struct grammar *g)
{
    return g->masks.bytes + earley_bytes(&g->masks.earley);
}

/* Forget all but what the sequences stand on, when it has become too much. */
static void tidy(struct grammar *g)
{
    int32_t **keep;
    size_t n = 0;

    if (bytes(g) <= g->most)
        return;
    for (const struct grammar_state *s = g->states; s; s = s->next)
        n++;
    keep = mem_new((n + 1) * sizeof(int32_t *));
    n = 0;
    for (struct grammar_state *s = g->states; s; s = s->next)
        keep[n++] = &s->set;
    tokmask_drop(&g->masks);
    earley_collect(&g->masks.earley, keep, n);
    free(keep);
    g->forgotten++;
    if (bytes(g) > g->most / 2) // what is in use fills it: forgetting often would not help
        g->most = 2 * bytes(g);
}

struct grammar *grammar_new(const struct cfg *c, const struct tok *t, int n_vocab, struct err *e)
{
    struct grammar *g = mem_zero(1, sizeof(*g));

    g->tok = t;
    g->most = GRAMMAR_BYTES;
    if (tokmask_init(&g->masks, c, t, n_vocab, e) == 0)
        return g;
    free(g);
    return NULL;
}

void grammar_free(struct grammar *g)
{
    if (!g)
        return;
    tokmask_free(&g->masks);
    free(g);
}

static void join(struct grammar_state *s, struct grammar *g)
{
    s->g = g;
    s->next = g->states;
    s->at = &g->states;
    if (s->next)
        s->next->at = &s->next;
    g->states = s;
}

void grammar_enter(struct grammar *g, struct grammar_state *s, bool first)
{
    struct earley_item x = {g->masks.net.rule[g->masks.net.root].start, 0, 0};

    s->first = first;
    s->set = earley_start(&g->masks.earley, x, g->masks.net.empty);
    join(s, g);
}

void grammar_fork(struct grammar_state *to, const struct grammar_state *from)
{
    *to = *from;
    if (from->g)
        join(to, from->g);
}

void grammar_leave(struct grammar_state *s)
{
    if (!s->g)
        return;
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    *s = (struct grammar_state){0};
}

bool grammar_can_end(const struct grammar_state *s)
{
    return s->g->masks.earley.set[s->set].accepts;
}

const uint64_t *grammar_mask(struct grammar_state *s, struct err *e)
{
    struct grammar *g = s->g;
    const uint64_t *mask;

    tidy(g);
    mask = tokmask_of(&g->masks, s->set, s->first);
    if (!mask) {
        err_set(e, ERR_DATA, "the grammar is too ambiguous here");
        return NULL;
    }
    for (size_t i = 0; i < g->masks.n_words; i++)
        if (mask[i])
            return mask;
    err_set(e, ERR_DATA, "no token of the vocabulary goes on here");
    if (grammar_can_end(s))
        e->code = ERR_NONE;
    return NULL;
}

size_t grammar_bytes(struct grammar_state *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t to = earley_byte(&s->g->masks.earley, s->set, (uint8_t)p[i]);

        if (to <= EARLEY_FAIL)
            return i;
        s->set = to;
    }
    return n;
}

int grammar_accept(struct grammar_state *s, int32_t token)
{
    const struct toktrie *x = &s->g->masks.trie;
    int32_t was;
    const char *p;
    size_t n, skip;

    tidy(s->g);
    was = s->set;
    if (token < 0 || token >= x->n_vocab)
        return -1;
    for (int i = 0; i < x->n_end; i++)
        if (x->end[i] == token)
            return grammar_can_end(s) ? 0 : -1;
    p = x->bytes + x->at[token];
    n = x->at[token + 1] - x->at[token];
    skip = s->first && n && *p == ' ';
    if (!n || grammar_bytes(s, p + skip, n - skip) < n - skip) {
        s->set = was;
        return -1;
    }
    s->first = tok_starts_text(s->g->tok, token);
    return 0;
}

struct grammar_counts grammar_counts(const struct grammar *g)
{
    const struct tokmask *m = &g->masks;

    return (struct grammar_counts){m->net.n_states, m->earley.n_sets, m->n_masks, bytes(g),
                                   g->forgotten};
}

void grammar_limit(struct grammar *g, size_t bytes)
{
    g->most = bytes;
}
