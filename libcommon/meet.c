/* meet.c - the texts that several regular expressions have in common, by their lengths. */
#include "meet.h"

#include "hash.h"
#include "mem.h"
#include "utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum kind { END, CLASS, SPLIT };

struct node {
    enum kind kind;
    int of;       // expression
    int x;        // CLASS: as `from` has it
    int to, also; // where it goes on; SPLIT: and there
};

struct state {
    int at, n; // places: CLASS and END nodes, sorted
    int length, rule;
};

struct way { // characters lo..hi lead to a state
    int to;
    struct cfg_range r;
};

struct automaton {
    const struct cfg *from;
    struct node *node; // (n_nodes)
    size_t n_nodes, cap_nodes;
    int start[MEET_EXPRESSIONS], n; // where the n expressions begin
    int min, max;
    struct state *state; // (n_states)
    int *place;          // (n_places) of all states, and a key's length in front of them
    size_t n_states, cap_states, n_places, cap_places;
    struct hash_table known; // length and places -> state
    uint32_t *mark, stamp;   // (n_nodes) met in the set that is made
    int *now, n_now;         // (n_nodes) that set
    int *open;               // (2 n_nodes + 2)
    bool *any;               // (n_nodes) CLASS: what follows may be anything
    int64_t *left;           // steps
};

/* ---- expressions as automata ---- */

static bool fits(const struct automaton *m)
{
    return m->n_nodes < MEET_NODES && m->n_places < MEET_PLACES &&
           m->n_states<MEET_STATES && * m->left> 0;
}

static int add(struct automaton *m, struct node x)
{
    mem_grow(&m->node, &m->cap_nodes, m->n_nodes + 1, sizeof(*m->node));
    x.of = m->n;
    --*m->left;
    m->node[m->n_nodes] = x;
    return (int)m->n_nodes++;
}

/* The node where expression x begins when node `next` follows it. */
static int build(struct automaton *m, int x, int next)
{
    struct cfg_node e = m->from->node[x];
    int at = next, loop;

    if (!fits(m))
        return next;
    switch (e.op) {
    case CFG_CLASS:
        return add(m, (struct node){CLASS, 0, x, next, -1});
    case CFG_SEQ:
        for (int i = e.n; i-- > 0;)
            at = build(m, m->from->part[e.at + i], at);
        return at;
    case CFG_ALT:
        if (!e.n)
            return add(m, (struct node){SPLIT, 0, -1, -1, -1});
        at = build(m, m->from->part[e.at], next);
        for (int i = 1; i < e.n; i++)
            at = add(m, (struct node){SPLIT, 0, -1, at, build(m, m->from->part[e.at + i], next)});
        return at;
    case CFG_REPEAT:
        if (e.max < 0) {
            loop = add(m, (struct node){SPLIT, 0, -1, -1, next});
            at = build(m, e.at, loop);
            m->node[loop].to = at;
            at = loop;
        }
        for (int i = e.min; i < e.max && fits(m); i++)
            at = add(m, (struct node){SPLIT, 0, -1, build(m, e.at, at), next});
        for (int i = 0; i < e.min && fits(m); i++)
            at = build(m, e.at, at);
        return at;
    default:
        assert(false);
        return next;
    }
}

/* One more expression. */
static void expression(struct automaton *m, int x)
{
    assert(m->n < MEET_EXPRESSIONS);
    m->start[m->n] = build(m, x, add(m, (struct node){END, 0, -1, -1, -1}));
    m->n++;
}

static void done(struct automaton *m)
{
    free(m->node);
    free(m->state);
    free(m->place);
    free(m->mark);
    free(m->now);
    free(m->open);
    free(m->any);
    hash_free(&m->known);
}

/* ---- sets of places ---- */

static void begin(struct automaton *m)
{
    m->stamp++;
    m->n_now = 0;
}

/* A node and all that can be reached from it without a character. */
static void reach(struct automaton *m, int node)
{
    int n = 0;

    for (m->open[n++] = node; n;) {
        int at = m->open[--n];
        const struct node *x;

        if (at < 0 || m->mark[at] == m->stamp)
            continue;
        m->mark[at] = m->stamp;
        x = &m->node[at];
        if (x->kind != SPLIT) {
            m->now[m->n_now++] = at;
            continue;
        }
        if (x->also >= 0 && m->mark[x->also] != m->stamp)
            m->open[n++] = x->also;
        m->open[n++] = x->to;
    }
}

/* Does a CLASS node read any character, come back to itself, and may it end there? */
static bool any_follows(struct automaton *m, int at)
{
    const struct cfg_node *e = &m->from->node[m->node[at].x];
    bool again = false, ends = false;

    if (e->n != 1 || m->from->range[e->at].lo || m->from->range[e->at].hi < CFG_LAST)
        return false;
    begin(m);
    reach(m, m->node[at].to);
    *m->left -= m->n_now;
    for (int i = 0; i < m->n_now; i++) {
        again = again || m->now[i] == at;
        ends = ends || m->node[m->now[i]].kind == END;
    }
    return again && ends;
}

static int ready(struct automaton *m, struct err *e)
{
    if (!fits(m))
        return err_set(e, ERR_DATA, "too large with its repetitions");
    m->mark = mem_zero(m->n_nodes, sizeof(*m->mark));
    m->now = mem_new(m->n_nodes * sizeof(*m->now));
    m->open = mem_new((2 * m->n_nodes + 2) * sizeof(*m->open));
    m->any = mem_zero(m->n_nodes, sizeof(*m->any));
    for (size_t i = 0; i < m->n_nodes; i++)
        m->any[i] = m->node[i].kind == CLASS && any_follows(m, (int)i);
    return 0;
}

static bool has(const struct cfg *c, int x, uint32_t cp)
{
    const struct cfg_range *r = c->range + c->node[x].at;

    for (int i = 0; i < c->node[x].n; i++)
        if (cp >= r[i].lo && cp <= r[i].hi)
            return true;
    return false;
}

/* The set behind a character, from n places. */
static void follow(struct automaton *m, const int *place, int n, uint32_t cp)
{
    begin(m);
    for (int i = 0; i < n; i++) {
        const struct node *x = &m->node[place[i]];

        *m->left -= x->kind == CLASS ? 1 + m->from->node[x->x].n : 1;
        if (x->kind == CLASS && has(m->from, x->x, cp))
            reach(m, x->to);
    }
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

/* Does every expression have a place, or with `end` its end, among these? */
static bool all_in(const struct automaton *m, const int *place, int n, bool end)
{
    unsigned in = 0;

    for (int i = 0; i < n; i++)
        if (!end || m->node[place[i]].kind == END)
            in |= 1u << m->node[place[i]].of;
    return in == (1u << m->n) - 1;
}

/* Where anything may follow, an expression's other places make no difference. */
static void simplify(struct automaton *m)
{
    int any[MEET_EXPRESSIONS], n = 0;

    memset(any, -1, sizeof(any));
    for (int i = 0; i < m->n_now; i++)
        if (m->any[m->now[i]] && any[m->node[m->now[i]].of] < 0)
            any[m->node[m->now[i]].of] = m->now[i];
    for (int i = 0; i < m->n_now; i++) {
        const struct node *x = &m->node[m->now[i]];

        if (any[x->of] < 0 || any[x->of] == m->now[i] || x->kind == END)
            m->now[n++] = m->now[i];
    }
    m->n_now = n;
    qsort(m->now, (size_t)n, sizeof(*m->now), by_value);
}

/* The state of the set that was made, behind so many characters; -1 when nothing is in common. */
static int enter(struct automaton *m, struct cfg *c, int length)
{
    size_t n;
    int *key, *known;

    if ((m->max >= 0 && length > m->max) || !all_in(m, m->now, m->n_now, false))
        return -1;
    if (m->max < 0 && length > m->min)
        length = m->min; // more makes no difference
    simplify(m);
    n = (size_t)m->n_now;
    mem_grow(&m->place, &m->cap_places, m->n_places + n + 1, sizeof(*m->place));
    key = m->place + m->n_places;
    key[0] = length;
    memcpy(key + 1, m->now, n * sizeof(*key));
    known = hash_put(&m->known, key, (n + 1) * sizeof(*key), (int)m->n_states);
    if (*known < (int)m->n_states)
        return *known;
    mem_grow(&m->state, &m->cap_states, m->n_states + 1, sizeof(*m->state));
    m->state[m->n_states] = (struct state){(int)m->n_places + 1, m->n_now, length, cfg_rule(c)};
    m->n_places += n + 1;
    return (int)m->n_states++;
}

/* ---- states as rules ---- */

/* Where the sets of characters that a state reads begin and end, sorted; caller frees. */
static int *borders(const struct automaton *m, const struct state *s, int *n)
{
    int *at = NULL, k = 0;
    size_t cap = 0;

    for (int i = 0; i < s->n; i++) {
        const struct node *x = &m->node[m->place[s->at + i]];
        const struct cfg_node *e = x->kind == CLASS ? &m->from->node[x->x] : NULL;

        for (int r = 0; e && r < e->n; r++) {
            mem_grow(&at, &cap, (size_t)k + 2, sizeof(*at));
            at[k++] = (int)m->from->range[e->at + r].lo;
            at[k++] = (int)m->from->range[e->at + r].hi + 1;
        }
    }
    if (k)
        qsort(at, (size_t)k, sizeof(*at), by_value);
    *n = 0;
    for (int i = 0; i < k; i++)
        if (!*n || at[i] != at[*n - 1])
            at[(*n)++] = at[i];
    return at;
}

static int by_target(const void *a, const void *b)
{
    const struct way *x = a, *y = b;

    return x->to != y->to ? by_value(&x->to, &y->to) : (x->r.lo > y->r.lo) - (x->r.lo < y->r.lo);
}

/* Do all characters lead back to the same set? They are put into r, *k of them; none: false. */
static bool stays(struct automaton *m, const struct state *s, const int *at, int n_at,
                  struct cfg_range *r, int *k)
{
    *k = 0;
    for (int b = 0; b + 1 < n_at && fits(m); b++) {
        const int *place = m->place + s->at;

        follow(m, place, s->n, (uint32_t)at[b]);
        if (!all_in(m, m->now, m->n_now, false))
            continue;
        simplify(m);
        if (m->n_now != s->n || memcmp(m->now, place, (size_t)s->n * sizeof(*place)) != 0)
            return false;
        r[(*k)++] = (struct cfg_range){(uint32_t)at[b], (uint32_t)at[b + 1] - 1};
    }
    return *k > 0;
}

/* The body of the rule of state i: an end where it may end, and the ways on, by where they lead. */
static void define(struct automaton *m, struct cfg *c, size_t i, regex_put put)
{
    struct state s = m->state[i];
    int n_at, n = 0, k = 0, *at = borders(m, &s, &n_at);
    struct way *way = mem_new(((size_t)n_at + 1) * sizeof(*way));
    struct cfg_range *r = mem_new(((size_t)n_at + 1) * sizeof(*r));
    int *part = mem_new(((size_t)n_at + 1) * sizeof(*part));

    if (all_in(m, m->place + s.at, s.n, true) && stays(m, &s, at, n_at, r, &k)) {
        part[0] = cfg_repeat(c, put(c, r, k), s.length < m->min ? m->min - s.length : 0,
                             m->max < 0 ? -1 : m->max - s.length);
        n_at = 0;
        k = 1;
    } else {
        k = 0;
    }
    for (int b = 0; b + 1 < n_at && fits(m); b++) {
        int to;

        follow(m, m->place + s.at, s.n, (uint32_t)at[b]);
        to = enter(m, c, s.length + 1);
        if (to >= 0)
            way[n++] = (struct way){to, {(uint32_t)at[b], (uint32_t)at[b + 1] - 1}};
    }
    qsort(way, (size_t)n, sizeof(*way), by_target);
    if (!k && s.length >= m->min && all_in(m, m->place + s.at, s.n, true))
        part[k++] = cfg_seq(c, NULL, 0);
    for (int a = 0, b; a < n; a = b) {
        for (b = a; b < n && way[b].to == way[a].to; b++)
            r[b - a] = way[b].r;
        part[k++] = CFG_SEQ(c, put(c, r, b - a), cfg_call(c, m->state[way[a].to].rule));
    }
    cfg_define(c, s.rule, cfg_alt(c, part, k));
    free(at);
    free(way);
    free(r);
    free(part);
}

int meet(struct cfg *c, const struct cfg *from, const int *x, int n, int min, int max,
         regex_put put, int64_t *left, int *out, struct err *e)
{
    struct automaton m = {.from = from, .min = min, .max = max, .left = left};
    int rc, root;

    for (int i = 0; i < n; i++)
        expression(&m, x[i]);
    rc = ready(&m, e);
    if (!rc) {
        begin(&m);
        for (int i = 0; i < n; i++)
            reach(&m, m.start[i]);
        root = enter(&m, c, 0);
        for (size_t i = 0; i < m.n_states && !rc; i++) {
            define(&m, c, i, put);
            if (!fits(&m) || !cfg_fits(c))
                rc = err_set(e, ERR_DATA, "too large together");
        }
        *out = root < 0 ? cfg_alt(c, NULL, 0) : cfg_call(c, m.state[root].rule);
    }
    done(&m);
    return rc;
}

int meet_has(const struct cfg *from, int x, const char *s, size_t n, int64_t *left, struct err *e)
{
    struct automaton m = {.from = from, .left = left};
    int rc, *was;
    uint32_t cp;

    expression(&m, x);
    rc = ready(&m, e);
    if (!rc) {
        was = mem_new(m.n_nodes * sizeof(*was));
        begin(&m);
        reach(&m, m.start[0]);
        for (size_t i = 0; i < n && fits(&m);) {
            int k = m.n_now;

            memcpy(was, m.now, (size_t)k * sizeof(*was));
            i += (size_t)utf8_get(s + i, n - i, &cp);
            follow(&m, was, k, cp);
        }
        rc = all_in(&m, m.now, m.n_now, true);
        if (!fits(&m))
            rc = err_set(e, ERR_DATA, "too much to compare");
        free(was);
    }
    done(&m);
    return rc;
}
