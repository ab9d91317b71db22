/* tokmask.c - which tokens may come next from a set of items. */
#include "tokmask.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { APART = 16 }; // items of a set that are looked at one by one

/* What state q of the network lets through as long as its rule has not ended. For a repetition,
 * that of its body's `loop` state, tokens by the times they need. */
struct tokmask_local {
    bool failed, counted;
    int64_t cost;
    struct tokmask_pairs token; // ascending by count
    struct tokmask_pairs exit;  // nodes of the tree after which the rule may have ended
    uint64_t **upto; // (n_upto) bits of the tokens that need at most so much, made when asked
    int n_upto;
};

/* The tokens that go on beyond the end of a rule, at one place to return to. */
struct tokmask_beyond {
    bool failed;
    int64_t cost;
    struct tokmask_pairs token;
};

/* ---- walks over the tree ---- */

static void add_pair(struct tokmask_pairs *x, int32_t at, int32_t count)
{
    mem_grow(&x->p, &x->cap, x->n + 1, sizeof(*x->p));
    x->p[x->n++] = (struct tokmask_pair){at, count};
}

static void add_tokens(struct tokmask *m, int32_t token, int32_t count)
{
    for (; token >= 0; token = m->trie.same[token])
        add_pair(&m->token, token, count);
}

/* The set after a byte; what it costs counts once in a walk, remembered or not. */
static inline int32_t step(struct tokmask *m, int32_t set, uint8_t byte)
{
    uint8_t class = m->net.class_of[byte];
    const struct earley_step *k = m->earley.set[set].step;
    struct earley_set *s;
    int32_t to, cost;

    if (k && k[class].to >= 0) {
        to = k[class].to;
        cost = k[class].cost;
    } else {
        to = earley_over(&m->earley, set, class, &cost);
    }
    s = &m->earley.set[set];
    if (s->walk != m->walk) {
        s->walk = m->walk;
        memset(s->seen, 0, sizeof(s->seen));
        m->cost += s->cost;
    }
    if (!(s->seen[class / 64] >> class % 64 & 1)) {
        s->seen[class / 64] |= (uint64_t)1 << class % 64;
        m->cost += cost;
    }
    return to;
}

static void note_exits(struct tokmask *m, uint32_t at, int32_t set, int32_t loop)
{
    const struct earley_set *s = &m->earley.set[set];

    if (loop < 0 && s->accepts)
        add_pair(&m->exit, (int32_t)at, 0);
    for (int i = 0; loop >= 0 && i < s->n_items; i++) {
        const struct earley_item *x = &m->earley.item[s->item + i];

        if (x->q == loop && !x->node)
            add_pair(&m->exit, (int32_t)at, x->count);
    }
}

/* All tokens at the nodes from..to - 1, siblings and what is below them, that go on from a set;
 * with the exits and, in state `loop`, the counts of a local. -1 when a limit is met. */
static int walk(struct tokmask *m, uint32_t from, uint32_t to, int32_t set, bool local,
                int32_t loop)
{
    const struct toktrie_node *node = m->trie.node;
    int top = from < to ? node[from].depth : 0;

    m->stack[0] = set;
    for (uint32_t i = from; i < to;) {
        const struct toktrie_node *n = &node[i];
        int32_t s = step(m, m->stack[n->depth - top], n->byte);

        if (++m->visits > TOKMASK_VISITS || m->cost > TOKMASK_COST || s == EARLEY_FAIL)
            return -1;
        if (s == EARLEY_DEAD) {
            i = n->next;
            continue;
        }
        if (n->token >= 0)
            add_tokens(m, n->token, loop < 0 ? 0 : earley_need(&m->earley, s));
        if (local && n->next > i + 1)
            note_exits(m, i, s, loop);
        m->stack[n->depth - top + 1] = s;
        i++;
    }
    return 0;
}

static void walk_begin(struct tokmask *m)
{
    m->walk++;
    m->cost = m->visits = 0;
    m->token.n = m->exit.n = 0;
}

/* ---- locals ---- */

static struct tokmask_pairs keep_pairs(struct tokmask *m, const struct tokmask_pairs *x)
{
    struct tokmask_pairs y = {mem_new(x->n * sizeof(*x->p)), x->n, x->n};

    if (x->n)
        memcpy(y.p, x->p, x->n * sizeof(*x->p));
    m->bytes += x->n * sizeof(*x->p);
    return y;
}

/* By count, ascending; counts are small. */
static void sort_pairs(struct tokmask_pairs *x)
{
    struct tokmask_pair *to = mem_new(x->n * sizeof(*to));
    int32_t most = 0;
    size_t *at;

    for (size_t i = 0; i < x->n; i++)
        most = x->p[i].count > most ? x->p[i].count : most;
    at = mem_zero((size_t)most + 2, sizeof(*at));
    for (size_t i = 0; i < x->n; i++)
        at[x->p[i].count + 1]++;
    for (int32_t k = 0; k < most; k++)
        at[k + 1] += at[k];
    for (size_t i = 0; i < x->n; i++)
        to[at[x->p[i].count]++] = x->p[i];
    free(at);
    free(x->p);
    x->p = to;
    x->cap = x->n;
}

/* The tokens with counts up to `most`, of pairs that ascend by count, as bits. */
static uint64_t *bits_of(struct tokmask *m, const struct tokmask_pairs *x, int32_t most)
{
    uint64_t *bits = mem_zero(m->n_words, sizeof(*bits));

    m->bytes += m->n_words * sizeof(*bits);
    for (size_t i = 0; i < x->n && x->p[i].count <= most; i++)
        bits[x->p[i].at / 64] |= (uint64_t)1 << x->p[i].at % 64;
    return bits;
}

static struct tokmask_local *local_of(struct tokmask *m, int32_t q)
{
    const struct rtn_state *s = &m->net.state[q];
    int32_t loop = s->counted ? m->net.rule[m->net.call[s->call].rule].loop : -1;
    struct tokmask_local *x;

    q = loop < 0 ? q : loop;
    if (m->local_of[q] >= 0)
        return &m->local[m->local_of[q]];
    walk_begin(m);
    mem_grow(&m->local, &m->cap_local, m->n_local + 1, sizeof(*m->local));
    x = &m->local[m->n_local];
    *x = (struct tokmask_local){.counted = loop >= 0};
    x->failed =
        walk(m, 1, m->trie.n, earley_start(&m->earley, (struct earley_item){q, 0, 0}, false), true,
             loop) < 0;
    x->cost = m->cost + m->visits / 4;
    if (!x->failed) {
        if (x->counted)
            sort_pairs(&m->token);
        x->n_upto = m->token.n ? m->token.p[m->token.n - 1].count + 1 : 1;
        x->upto = mem_zero((size_t)x->n_upto, sizeof(*x->upto));
        x->exit = keep_pairs(m, &m->exit);
        if (!x->counted && m->token.n > m->n_words / 4)
            x->upto[0] = bits_of(m, &m->token, 0);
        else
            x->token = keep_pairs(m, &m->token);
    }
    m->local_of[q] = (int32_t)m->n_local++;
    return x;
}

/* The tokens of a local that need at most `most` times, into the mask. Few are set one by one,
 * many by words. */
static void put_local(struct tokmask *m, struct tokmask_local *x, int32_t most, uint64_t *mask)
{
    uint64_t **bits;

    most = most < x->n_upto - 1 ? most : x->n_upto - 1;
    if (most < 0)
        return;
    bits = &x->upto[most];
    if (!*bits && x->token.n > m->n_words / 4)
        *bits = bits_of(m, &x->token, most);
    if (*bits)
        for (size_t i = 0; i < m->n_words; i++)
            mask[i] |= (*bits)[i];
    else
        for (size_t i = 0; i < x->token.n && x->token.p[i].count <= most; i++)
            mask[x->token.p[i].at / 64] |= (uint64_t)1 << x->token.p[i].at % 64;
}

/* ---- beyond the end of a rule ---- */

/* Drop tokens that are there already with the same count: all have count 0 in most locals. */
static void drop_repeated(struct tokmask *m, struct tokmask_pairs *x)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->n; i++) {
        uint64_t bit = (uint64_t)1 << x->p[i].at % 64, *word = &m->met[x->p[i].at / 64];

        if (!(*word & bit))
            x->p[kept++] = x->p[i];
        *word |= bit;
    }
    x->n = kept;
    for (size_t i = 0; i < kept; i++)
        m->met[x->p[i].at / 64] = 0;
}

static int walk_beyond(struct tokmask *m, const struct tokmask_local *l, int32_t node)
{
    int32_t set = earley_return(&m->earley, node);

    if (set == EARLEY_FAIL)
        return -1;
    for (size_t i = 0; i < l->exit.n; i++) {
        uint32_t at = (uint32_t)l->exit.p[i].at;
        size_t first = m->token.n;

        if (walk(m, at + 1, m->trie.node[at].next, set, false, -1))
            return -1;
        for (size_t k = first; k < m->token.n; k++)
            m->token.p[k].count = l->exit.p[i].count;
    }
    return 0;
}

static struct tokmask_beyond *beyond_of(struct tokmask *m, int32_t q, int32_t node)
{
    struct tokmask_local *l = local_of(m, q);
    int32_t key[2] = {(int32_t)(l - m->local), node};
    int *at = hash_put(&m->beyond_of, key, sizeof(key), (int)m->n_beyond);
    struct tokmask_beyond *x;

    if (*at < (int)m->n_beyond)
        return &m->beyond[*at];
    walk_begin(m);
    mem_grow(&m->beyond, &m->cap_beyond, m->n_beyond + 1, sizeof(*x));
    x = &m->beyond[m->n_beyond++];
    *x = (struct tokmask_beyond){.failed = walk_beyond(m, l, node) < 0};
    x->cost = m->cost + m->visits / 4;
    if (!x->failed) {
        if (!l->counted)
            drop_repeated(m, &m->token);
        x->token = keep_pairs(m, &m->token);
    }
    return x;
}

/* ---- masks ---- */

/* Items one by one; -1 when a limit is met. */
static int mask_apart(struct tokmask *m, int32_t set, uint64_t *mask)
{
    int n = m->earley.set[set].n_items;
    int64_t cost = 0;

    for (int i = 0; i < n; i++) {
        struct earley_item x = m->earley.item[m->earley.set[set].item + i];
        const struct rtn_state *s = &m->net.state[x.q];
        int32_t least = s->counted ? s->min - x.count : 0;
        int32_t most = s->counted && s->max >= 0 ? s->max - x.count : INT32_MAX;
        struct tokmask_local *l = local_of(m, x.q);
        const struct tokmask_beyond *b;

        cost += l->cost;
        if (l->failed || cost > TOKMASK_COST)
            return -1;
        put_local(m, l, most, mask);
        if (!x.node)
            continue;
        b = beyond_of(m, x.q, x.node);
        cost += b->cost;
        if (b->failed || cost > TOKMASK_COST)
            return -1;
        for (size_t k = 0; k < b->token.n; k++)
            if (b->token.p[k].count >= least && b->token.p[k].count <= most)
                mask[b->token.p[k].at / 64] |= (uint64_t)1 << b->token.p[k].at % 64;
    }
    return 0;
}

static int mask_range(struct tokmask *m, uint32_t from, uint32_t to, int32_t set, uint64_t *mask)
{
    walk_begin(m);
    if (walk(m, from, to, set, false, -1))
        return -1;
    for (size_t i = 0; i < m->token.n; i++)
        mask[m->token.p[i].at / 64] |= (uint64_t)1 << m->token.p[i].at % 64;
    return 0;
}

/* Tokens that begin with a space lose it and go on from where the text stands now. */
static int mask_first(struct tokmask *m, int32_t set, uint64_t *mask)
{
    uint32_t space = m->trie.space;
    const struct toktrie_node *n = m->trie.node;

    if (!space)
        return 0;
    for (uint32_t i = space; i < n[space].next; i++)
        for (int32_t t = n[i].token; t >= 0; t = m->trie.same[t])
            mask[t / 64] &= ~((uint64_t)1 << t % 64);
    for (int32_t t = n[space].token; t >= 0; t = m->trie.same[t])
        mask[t / 64] |= (uint64_t)1 << t % 64;
    return mask_range(m, space + 1, n[space].next, set, mask);
}

static uint64_t *make_mask(struct tokmask *m, int32_t set, bool first)
{
    uint64_t *mask = mem_zero(m->n_words, sizeof(*mask));

    if (m->earley.set[set].n_items > APART || mask_apart(m, set, mask)) {
        memset(mask, 0, m->n_words * sizeof(*mask));
        if (mask_range(m, 1, m->trie.n, set, mask))
            goto fail;
    }
    if (first && mask_first(m, set, mask))
        goto fail;
    for (int i = 0; m->earley.set[set].accepts && i < m->trie.n_end; i++)
        mask[m->trie.end[i] / 64] |= (uint64_t)1 << m->trie.end[i] % 64;
    m->bytes += m->n_words * sizeof(*mask);
    return mask;
fail:
    free(mask);
    return NULL;
}

const uint64_t *tokmask_of(struct tokmask *m, int32_t set, bool first)
{
    int32_t key[2] = {set, first};
    int *at = hash_put(&m->mask_of, key, sizeof(key), -1);
    uint64_t *mask;

    if (*at >= 0)
        return m->mask[*at];
    *at = (int)m->n_masks;
    mask = make_mask(m, set, first);
    mem_grow(&m->mask, &m->cap_masks, m->n_masks + 1, sizeof(uint64_t *));
    return m->mask[m->n_masks++] = mask;
}

/* ---- from init to free ---- */

void tokmask_drop(struct tokmask *m)
{
    for (size_t i = 0; i < m->n_local; i++) {
        struct tokmask_local *x = &m->local[i];

        for (int k = 0; x->upto && k < x->n_upto; k++)
            free(x->upto[k]);
        free(x->upto);
        free(x->token.p);
        free(x->exit.p);
    }
    for (size_t i = 0; i < m->n_beyond; i++)
        free(m->beyond[i].token.p);
    for (size_t i = 0; i < m->n_masks; i++)
        free(m->mask[i]);
    hash_free(&m->beyond_of);
    hash_free(&m->mask_of);
    m->n_local = m->n_beyond = m->n_masks = m->bytes = 0;
    for (size_t q = 0; q < m->net.n_states; q++)
        m->local_of[q] = -1;
}

int tokmask_init(struct tokmask *m, const struct cfg *c, const struct tok *t, int n_vocab,
                 struct err *e)
{
    *m = (struct tokmask){0};
    if (rtn_compile(&m->net, c, e))
        return -1;
    toktrie_init(&m->trie, t, n_vocab);
    earley_init(&m->earley, &m->net);
    m->n_words = ((size_t)n_vocab + 63) / 64;
    m->stack = mem_zero((size_t)m->trie.deepest + 2, sizeof(*m->stack));
    m->met = mem_zero(m->n_words, sizeof(*m->met));
    m->local_of = mem_new((m->net.n_states + 1) * sizeof(*m->local_of));
    tokmask_drop(m);
    return 0;
}

void tokmask_free(struct tokmask *m)
{
    if (!m->local_of)
        return;
    tokmask_drop(m);
    free(m->local);
    free(m->local_of);
    free(m->beyond);
    free(m->mask);
    free(m->stack);
    free(m->met);
    free(m->token.p);
    free(m->exit.p);
    earley_free(&m->earley);
    toktrie_free(&m->trie);
    rtn_free(&m->net);
    *m = (struct tokmask){0};
}
