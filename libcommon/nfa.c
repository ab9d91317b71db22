/* nfa.c - expressions as nondeterministic automata.
 *
 * An automaton is made from back to front: the part that follows is there before the part that
 * leads to it, so that equal continuations are the same node. */
#include "nfa.h"

#include "mem.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { UNROLL = 4, UNROLL_SIZE = 256 };

/* ---- which expressions match the empty text, and which match any text at all ---- */

/* Parents of all expressions: those of x are up[at[x]] .. up[at[x + 1] - 1]. */
struct uses {
    int *at, *up;
};

static void each_use(const struct cfg *c, struct uses *u, bool count)
{
    for (int x = 0; x < (int)c->n_nodes; x++) {
        const struct cfg_node *k = &c->node[x];
        int n = k->op == CFG_SEQ || k->op == CFG_ALT ? k->n : k->op == CFG_CLASS ? 0 : 1;

        for (int i = 0; i < n; i++) {
            int kid = k->op == CFG_CALL     ? c->body[k->at]
                      : k->op == CFG_REPEAT ? k->at
                                            : c->part[k->at + i];

            if (kid < 0)
                continue;
            if (count)
                u->at[kid + 1]++;
            else
                u->up[u->at[kid]++] = x;
        }
    }
}

static void uses_init(const struct cfg *c, struct uses *u)
{
    size_t n = c->n_nodes;

    u->at = mem_zero(n + 2, sizeof(*u->at));
    each_use(c, u, true);
    for (size_t x = 0; x < n; x++)
        u->at[x + 1] += u->at[x];
    u->up = mem_new(((size_t)u->at[n] + 1) * sizeof(*u->up));
    each_use(c, u, false);
    memmove(u->at + 1, u->at, n * sizeof(*u->at)); // filling moved every start to the next one
    u->at[0] = 0;
}

static bool has_character(const struct cfg *c, const struct cfg_node *k)
{
    for (int i = 0; i < k->n; i++)
        if (c->range[k->at + i].lo < 0xD800 || c->range[k->at + i].hi > 0xDFFF)
            return true;
    return false;
}

/* The least set of expressions that holds those true of themselves, sequences all of whose parts
 * are in it, alternatives one of whose parts is. Linear: each use is looked at once. */
static bool *spread(const struct cfg *c, const struct uses *u, bool classes)
{
    bool *in = mem_zero(c->n_nodes + 1, sizeof(*in));
    int *need = mem_new((c->n_nodes + 1) * sizeof(*need));
    int *queue = mem_new((c->n_nodes + 1) * sizeof(*queue)), n = 0;

    for (int x = 0; x < (int)c->n_nodes; x++) {
        const struct cfg_node *k = &c->node[x];

        need[x] = 1;
        if (k->op == CFG_SEQ)
            need[x] = k->n;
        else if ((k->op == CFG_REPEAT && !k->min) ||
                 (k->op == CFG_CLASS && classes && has_character(c, k)))
            need[x] = 0;
        if (!need[x])
            queue[n++] = x;
    }
    for (int i = 0; i < n; i++) {
        int x = queue[i];

        in[x] = true;
        for (int j = u->at[x]; j < u->at[x + 1]; j++)
            if (need[u->up[j]] > 0 && !--need[u->up[j]])
                queue[n++] = u->up[j];
    }
    free(need);
    free(queue);
    return in;
}

/* ---- an expression as an automaton ---- */

static int add(struct nfa *m, struct nfa_node x)
{
    mem_grow(&m->node, &m->cap_nodes, m->n_nodes + 1, sizeof(*m->node));
    m->node[m->n_nodes] = x;
    return (int)m->n_nodes++;
}

/* An edge that reads lo..hi; one like it, made lately and not before node `from`, serves again. */
static int byte_node(struct nfa *m, size_t from, int lo, int hi, int to)
{
    for (size_t i = m->n_nodes > from + 16 ? m->n_nodes - 16 : from; i < m->n_nodes; i++)
        if (m->node[i].kind == NFA_BYTE && m->node[i].lo == lo && m->node[i].hi == hi &&
            m->node[i].to == to)
            return (int)i;
    return add(m, (struct nfa_node){NFA_BYTE, (uint8_t)lo, (uint8_t)hi, 0, to, -1});
}

static int split(struct nfa *m, int a, int b)
{
    return a < 0 ? b : b < 0 ? a : add(m, (struct nfa_node){NFA_SPLIT, 0, 0, 0, a, b});
}

/* The code points lo..hi, all of one length in UTF-8, as edges that lead to `to`: cut until each
 * byte runs over a range of its own. */
static int utf8_range(struct nfa *m, size_t from, uint32_t lo, uint32_t hi, int to)
{
    char a[4], b[4];
    int n = utf8_put(a, lo), i = 0;

    utf8_put(b, hi);
    while (i < n && a[i] == b[i])
        i++;
    for (int k = n - 1; k > i && i < n; k--) {
        uint32_t low = ((uint32_t)1 << 6 * (n - k)) - 1; // what bytes k.. hold
        bool above = lo & low, below = (hi & low) != low;

        if (above && (lo | low) < hi)
            return split(m, utf8_range(m, from, lo, lo | low, to),
                         utf8_range(m, from, (lo | low) + 1, hi, to));
        if (below && (hi & ~low) > lo)
            return split(m, utf8_range(m, from, lo, (hi & ~low) - 1, to),
                         utf8_range(m, from, hi & ~low, hi, to));
    }
    for (int k = n - 1; k >= 0; k--)
        to = byte_node(m, from, (uint8_t)a[k], (uint8_t)b[k], to);
    return to;
}

static int class_nodes(struct nfa *m, const struct cfg_node *k, int to)
{
    static const uint32_t edge[] = {0, 0x80, 0x800, 0xD800, 0xE000, 0x10000, CFG_LAST + 1};
    size_t from = m->n_nodes;
    int all = -1;

    for (int i = 0; i < k->n; i++)
        for (int j = 0; j < 6; j++) {
            struct cfg_range r = m->c->range[k->at + i];

            r.lo = r.lo > edge[j] ? r.lo : edge[j];
            r.hi = r.hi < edge[j + 1] - 1 ? r.hi : edge[j + 1] - 1;
            if (j != 3 && r.lo <= r.hi) // 3: surrogates
                all = split(m, utf8_range(m, from, r.lo, r.hi, to), all);
        }
    return all;
}

int nfa_rule(struct nfa *m, int x)
{
    if (m->rule_of[x] < 0) {
        mem_grow(&m->made, &m->cap_made, m->n_made + 1, sizeof(*m->made));
        m->made[m->n_made++] = x;
        m->rule_of[x] = m->n_rules++;
    }
    return m->rule_of[x];
}

static bool unrolled(const struct nfa *m, const struct cfg_node *k)
{
    int times = k->max < 0 ? k->min : k->max;

    return times <= UNROLL && times * m->size[k->at] < UNROLL_SIZE;
}

static int nodes(struct nfa *m, int x, int to);

static int repeat_nodes(struct nfa *m, int x, int to)
{
    const struct cfg_node *k = &m->c->node[x];
    int min = k->min, at = to;

    if (!m->productive[k->at])
        return to;
    if (!unrolled(m, k)) {
        int call = add(m, (struct nfa_node){NFA_CALL, 0, 0, nfa_rule(m, x), to, -1});

        return m->nullable[x] ? split(m, call, to) : call;
    }
    if (k->max < 0) {
        int loop = add(m, (struct nfa_node){NFA_SPLIT, 0, 0, 0, to, -1});
        int body = nodes(m, k->at, loop);

        m->node[loop].also = body;
        at = loop;
    } else {
        for (int i = k->max - min; i > 0; i--)
            at = split(m, nodes(m, k->at, at), to);
    }
    for (; min > 0; min--)
        at = nodes(m, k->at, at);
    return at;
}

/* The automaton of a productive expression that goes on at `to`; where it begins. */
static int nodes(struct nfa *m, int x, int to)
{
    const struct cfg_node *k = &m->c->node[x];
    int all = -1;

    if (m->n_nodes > NFA_NODES)
        return to; // too large: seen by the caller of all
    switch (k->op) {
    case CFG_CLASS:
        return class_nodes(m, k, to);
    case CFG_SEQ:
        for (int i = k->n - 1; i >= 0; i--)
            to = nodes(m, m->c->part[k->at + i], to);
        return to;
    case CFG_ALT:
        for (int i = k->n - 1; i >= 0; i--)
            if (m->productive[m->c->part[k->at + i]])
                all = split(m, nodes(m, m->c->part[k->at + i], to), all);
        return all;
    case CFG_REPEAT:
        return repeat_nodes(m, x, to);
    default:
        all = add(m, (struct nfa_node){NFA_CALL, 0, 0, k->at, to, -1});
        return m->nullable[x] ? split(m, all, to) : all;
    }
}

bool nfa_counted(const struct nfa *m, int x)
{
    return m->c->node[x].op == CFG_REPEAT && !unrolled(m, &m->c->node[x]);
}

int nfa_build(struct nfa *m, int x)
{
    m->n_nodes = 0;
    add(m, (struct nfa_node){NFA_END, 0, 0, 0, -1, -1});
    return nodes(m, x, 0);
}

/* Parts have lower numbers than what they are part of, so one pass does. */
static void sizes(struct nfa *m)
{
    for (size_t x = 0; x < m->c->n_nodes; x++) {
        const struct cfg_node *k = &m->c->node[x];
        int n = k->op == CFG_CLASS ? 2 * k->n : 1;

        for (int i = 0; i < k->n && (k->op == CFG_SEQ || k->op == CFG_ALT) && n < UNROLL_SIZE; i++)
            n += m->size[m->c->part[k->at + i]];
        if (k->op == CFG_REPEAT && unrolled(m, k))
            n += m->size[k->at] * (k->max < 0 ? k->min + 1 : k->max);
        m->size[x] = n < UNROLL_SIZE ? n : UNROLL_SIZE;
    }
}

void nfa_init(struct nfa *m, const struct cfg *c)
{
    struct uses u;

    *m = (struct nfa){.c = c, .n_rules = (int)c->n_rules};
    uses_init(c, &u);
    m->nullable = spread(c, &u, false);
    m->productive = spread(c, &u, true);
    free(u.at);
    free(u.up);
    m->size = mem_new((c->n_nodes + 1) * sizeof(*m->size));
    m->rule_of = mem_new((c->n_nodes + 1) * sizeof(*m->rule_of));
    for (size_t x = 0; x < c->n_nodes; x++)
        m->rule_of[x] = -1;
    sizes(m);
}

void nfa_free(struct nfa *m)
{
    free(m->nullable);
    free(m->productive);
    free(m->size);
    free(m->rule_of);
    free(m->made);
    free(m->node);
    *m = (struct nfa){0};
}
