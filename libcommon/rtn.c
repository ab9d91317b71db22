/* rtn.c - recursive transition networks.
 *
 * The automaton of one rule at a time is made deterministic: a state is a set of its nodes. */
#include "rtn.h"

#include "hash.h"
#include "mem.h"
#include "nfa.h"

#include <stdlib.h>
#include <string.h>

struct set { // of nodes, sorted; how a state of the result came to be
    int at, n;
};

struct compile {
    struct rtn *r;
    struct nfa nfa;
    int *mark; // (cap_mark) of nodes, the number of the closure that met them last
    size_t cap_mark;
    int closure;
    int *pool; // members of the sets
    size_t n_pool, cap_pool;
    struct set *set;
    size_t n_sets, cap_sets, members; // members: of all sets at most
    struct hash_table ids;            // set -> state
    int *alone;                       // (cap_alone) state of a node and what it reaches, or -1
    size_t cap_alone;
    int *stack;
    size_t n_stack, cap_stack;
    struct err *e;
};

static int by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Replace stack[from..], some nodes, by all that they reach without reading, splits left out. */
static void close_over(struct compile *m, size_t from)
{
    size_t kept = from;

    if (m->cap_mark < m->nfa.n_nodes) {
        free(m->mark);
        m->cap_mark = m->nfa.cap_nodes;
        m->mark = mem_zero(m->cap_mark, sizeof(*m->mark));
        m->closure = 0;
    }
    m->closure++;
    for (size_t i = from; i < m->n_stack; i++) {
        int at = m->stack[i];
        const struct nfa_node *k = &m->nfa.node[at];

        if (m->mark[at] == m->closure)
            continue;
        m->mark[at] = m->closure;
        if (k->kind != NFA_SPLIT) {
            m->stack[kept++] = at; // kept <= i: what stood there has been looked at
            continue;
        }
        mem_grow(&m->stack, &m->cap_stack, m->n_stack + 2, sizeof(*m->stack));
        m->stack[m->n_stack++] = k->to;
        if (k->also >= 0)
            m->stack[m->n_stack++] = k->also;
    }
    m->n_stack = kept;
    if (kept > from + 1)
        qsort(m->stack + from, kept - from, sizeof(*m->stack), by_number);
}

/* The state of the nodes stack[from..], closed first; they are taken off the stack. */
static int state_of(struct compile *m, size_t from)
{
    size_t n;
    int *id;

    if (m->n_pool > m->members) { // too many: what is made now is of no use
        m->n_stack = from;
        return 0;
    }
    close_over(m, from);
    n = m->n_stack - from;
    id = hash_put(&m->ids, m->stack + from, n * sizeof(*m->stack), (int)m->r->n_states);
    m->n_stack = from;
    if (*id < (int)m->r->n_states)
        return *id;
    mem_grow(&m->pool, &m->cap_pool, m->n_pool + n, sizeof(*m->pool));
    memcpy(m->pool + m->n_pool, m->stack + from, n * sizeof(*m->pool));
    mem_grow(&m->set, &m->cap_sets, m->n_sets + 1, sizeof(*m->set));
    m->set[m->n_sets++] = (struct set){(int)m->n_pool, (int)n};
    m->n_pool += n;
    mem_grow(&m->r->state, &m->r->cap_states, m->r->n_states + 1, sizeof(*m->r->state));
    m->r->state[m->r->n_states] = (struct rtn_state){0};
    return (int)m->r->n_states++;
}

static void put_edge(struct rtn *r, int lo, int hi, int to)
{
    mem_grow(&r->edge, &r->cap_edges, r->n_edges + 1, sizeof(*r->edge));
    r->edge[r->n_edges++] = (struct rtn_edge){(uint8_t)lo, (uint8_t)hi, to};
}

static void push(struct compile *m, int node)
{
    mem_grow(&m->stack, &m->cap_stack, m->n_stack + 1, sizeof(*m->stack));
    m->stack[m->n_stack++] = node;
}

/* Edges over bytes: between two neighbouring ends of ranges all bytes lead to the same nodes. */
static void byte_edges(struct compile *m, struct set s)
{
    bool begins[257] = {false};
    int lo = 0;

    for (int i = 0; i < s.n; i++) {
        const struct nfa_node *k = &m->nfa.node[m->pool[s.at + i]];

        if (k->kind == NFA_BYTE)
            begins[k->lo] = begins[k->hi + 1] = true;
    }
    for (int hi = 0; hi < 256; hi++) {
        size_t from = m->n_stack;

        if (!begins[hi + 1] && hi < 255)
            continue;
        for (int i = 0; i < s.n; i++) {
            const struct nfa_node *k = &m->nfa.node[m->pool[s.at + i]];

            if (k->kind == NFA_BYTE && k->lo <= lo && k->hi >= hi)
                push(m, k->to);
        }
        if (m->n_stack > from)
            put_edge(m->r, lo, hi, state_of(m, from));
        lo = hi + 1;
    }
}

static int by_rule(const void *a, const void *b)
{
    const struct rtn_call *x = a, *y = b;

    return x->rule != y->rule ? (x->rule < y->rule ? -1 : 1) : x->to < y->to ? -1 : x->to > y->to;
}

static void put_call(struct rtn *r, int rule, int to)
{
    mem_grow(&r->call, &r->cap_calls, r->n_calls + 1, sizeof(*r->call));
    r->call[r->n_calls++] = (struct rtn_call){rule, to};
}

static void call_edges(struct compile *m, struct set s)
{
    struct rtn_call *x = mem_new(((size_t)s.n + 1) * sizeof(*x));
    size_t n = 0;

    for (int i = 0; i < s.n; i++) {
        const struct nfa_node *k = &m->nfa.node[m->pool[s.at + i]];

        if (k->kind == NFA_CALL)
            x[n++] = (struct rtn_call){k->rule, k->to};
    }
    qsort(x, n, sizeof(*x), by_rule);
    for (size_t i = 0; i < n;) {
        size_t from = m->n_stack;
        int rule = x[i].rule;

        for (; i < n && x[i].rule == rule; i++)
            push(m, x[i].to);
        put_call(m->r, rule, state_of(m, from));
    }
    free(x);
}

/* The state of one node. */
static int state_alone(struct compile *m, int node)
{
    if (m->alone[node] < 0) {
        size_t from = m->n_stack;

        push(m, node);
        m->alone[node] = state_of(m, from);
    }
    return m->alone[node];
}

/* The same without joining what reads the same: one state for each node. */
static void loose_edges(struct compile *m, struct set s)
{
    for (int i = 0; i < s.n; i++) {
        const struct nfa_node *k = &m->nfa.node[m->pool[s.at + i]];

        if (k->kind == NFA_BYTE)
            put_edge(m->r, k->lo, k->hi, state_alone(m, k->to));
        else if (k->kind == NFA_CALL)
            put_call(m->r, k->rule, state_alone(m, k->to));
    }
}

static void expand(struct compile *m, size_t first, int q, bool loose)
{
    struct set s = m->set[(size_t)q - first];
    int edge = (int)m->r->n_edges, call = (int)m->r->n_calls;
    bool final = s.n && m->pool[s.at] == 0;

    if (loose) {
        loose_edges(m, s);
    } else {
        byte_edges(m, s);
        call_edges(m, s);
    }
    m->r->state[q] = (struct rtn_state){
        edge, (int)m->r->n_edges - edge, call, (int)m->r->n_calls - call, final, false, 0, 0};
}

/* The states of the automaton that begins at `start`; false when there are too many. */
static bool states(struct compile *m, int start, bool loose)
{
    struct rtn *r = m->r;
    size_t first = r->n_states, edges = r->n_edges, calls = r->n_calls, n = m->nfa.n_nodes;
    size_t most = loose ? RTN_STATES : first + 4 * n + 64;

    m->members = loose ? 8 * RTN_STATES : 8 * n + 4096;
    hash_free(&m->ids);
    m->n_pool = m->n_sets = m->n_stack = 0;
    if (loose) {
        mem_grow(&m->alone, &m->cap_alone, n, sizeof(*m->alone));
        memset(m->alone, 0xFF, n * sizeof(*m->alone)); // -1
    }
    push(m, start);
    state_of(m, 0);
    for (size_t q = first; q < r->n_states && r->n_states <= most && m->n_pool <= m->members &&
                           r->n_edges <= 8 * RTN_STATES;
         q++)
        expand(m, first, (int)q, loose);
    if (r->n_states <= most && m->n_pool <= m->members && r->n_edges <= 8 * RTN_STATES)
        return true;
    r->n_states = first;
    r->n_edges = edges;
    r->n_calls = calls;
    return false;
}

static int add_counted(struct compile *m, int body, int min, int max)
{
    struct rtn *r = m->r;

    mem_grow(&r->state, &r->cap_states, r->n_states + 1, sizeof(*r->state));
    put_call(r, body, (int)r->n_states);
    r->state[r->n_states] =
        (struct rtn_state){(int)r->n_edges, 0, (int)r->n_calls - 1, 1, false, true, min, max};
    return (int)r->n_states++;
}

/* Room for the rules that there are by now. */
static void grow_rules(struct compile *m)
{
    mem_grow(&m->r->rule, &m->r->cap_rules, (size_t)m->nfa.n_rules, sizeof(*m->r->rule));
    while (m->r->n_rules < (size_t)m->nfa.n_rules)
        m->r->rule[m->r->n_rules++] = (struct rtn_rule){RTN_NONE, RTN_NONE};
}

static int add_rule(struct compile *m, int rule, int x)
{
    const struct cfg_node *k = &m->nfa.c->node[x];
    struct rtn *r = m->r;
    int start;

    if (rule >= (int)m->nfa.c->n_rules && nfa_counted(&m->nfa, x)) {
        int body = nfa_rule(&m->nfa, k->at), min = m->nfa.nullable[k->at] ? 0 : k->min;

        grow_rules(m);
        r->rule[rule].start = add_counted(m, body, min, k->max);
        if (r->rule[body].loop == RTN_NONE)
            r->rule[body].loop = add_counted(m, body, 0, RTN_COUNTS);
        return 0;
    }
    start = nfa_build(&m->nfa, x);
    grow_rules(m);
    r->rule[rule].start = (int)r->n_states;
    if (m->nfa.n_nodes <= NFA_NODES && (states(m, start, false) || states(m, start, true)))
        return 0;
    return err_set(m->e, ERR_DATA, "the grammar is too large: more than %d states", RTN_STATES);
}

/* Number the sets of bytes that every edge takes whole or not at all. */
static void byte_classes(struct rtn *r)
{
    bool begins[257] = {true};

    for (size_t i = 0; i < r->n_edges; i++)
        begins[r->edge[i].lo] = begins[r->edge[i].hi + 1] = true;
    for (int b = 0; b < 256; b++) {
        if (begins[b])
            r->class_byte[r->n_classes++] = (uint8_t)b;
        r->class_of[b] = (uint8_t)(r->n_classes - 1);
    }
}

static int compile(struct compile *m)
{
    const struct cfg *c = m->nfa.c;
    struct rtn *r = m->r;
    int root = c->body[c->root];

    grow_rules(m);
    r->root = c->root;
    if (root < 0 || !m->nfa.productive[root])
        return err_set(m->e, ERR_DATA, "no text matches the grammar");
    r->empty = m->nfa.nullable[root];
    for (size_t i = 0; i < c->n_rules; i++)
        if (c->body[i] >= 0 && m->nfa.productive[c->body[i]] && add_rule(m, (int)i, c->body[i]))
            return -1;
    for (size_t i = 0; i < m->nfa.n_made; i++) // which makes more
        if (add_rule(m, (int)(c->n_rules + i), m->nfa.made[i]))
            return -1;
    byte_classes(r);
    return 0;
}

int rtn_compile(struct rtn *r, const struct cfg *c, struct err *e)
{
    struct compile m = {.r = r, .e = e};
    int rc;

    *r = (struct rtn){0};
    nfa_init(&m.nfa, c);
    rc = compile(&m);
    nfa_free(&m.nfa);
    free(m.mark);
    free(m.pool);
    free(m.set);
    free(m.stack);
    free(m.alone);
    hash_free(&m.ids);
    if (rc)
        rtn_free(r);
    return rc;
}

void rtn_free(struct rtn *r)
{
    free(r->state);
    free(r->edge);
    free(r->call);
    free(r->rule);
    *r = (struct rtn){0};
}
