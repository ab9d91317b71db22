/* earley.c - which bytes may follow a text. */
#include "earley.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* SELF - k stands for the node of the k-th called rule before it has one; an item in state DONE
 * says in `seen` that its node was returned to. */
enum { SELF = -2, DONE = -1 };

/* A call that was met while closing a set. */
struct pending {
    int32_t rule; // index into called
    struct earley_item to;
};

struct called {
    int32_t rule, n, first, node;
};

struct earley_work {
    struct earley_item *out; // (n_out) of the set that is being made
    size_t n_out, cap_out;
    struct pending *pend;
    size_t n_pend, cap_pend;
    struct called *call;
    size_t n_calls, cap_calls;
    struct earley_item *seen; // (cap_seen) open addressing; `stamp` says which are of now
    uint32_t *stamp, now;
    size_t n_seen, cap_seen;
    int32_t *rule_at; // (n_rules) index into call + 1
    bool accepts;
    int32_t steps;
};

void earley_init(struct earley *p, const struct rtn *net)
{
    struct earley_work *w = mem_zero(1, sizeof(*w));

    *p = (struct earley){.net = net, .work = w};
    w->rule_at = mem_zero(net->n_rules + 1, sizeof(*w->rule_at));
    mem_grow(&p->set, &p->cap_sets, 2, sizeof(*p->set));
    mem_grow(&p->node, &p->cap_nodes, 1, sizeof(*p->node));
    p->set[EARLEY_DEAD] = p->set[EARLEY_FAIL] = (struct earley_set){.closed = true};
    p->n_sets = 2;
    p->node[0] = (struct earley_node){0};
    p->n_nodes = 1;
}

void earley_free(struct earley *p)
{
    struct earley_work *w = p->work;

    for (size_t i = 0; i < p->n_sets; i++)
        free(p->set[i].step);
    if (w) {
        free(w->out);
        free(w->pend);
        free(w->call);
        free(w->seen);
        free(w->stamp);
        free(w->rule_at);
    }
    free(w);
    free(p->set);
    free(p->node);
    free(p->item);
    free(p->entry);
    free(p->slot);
    *p = (struct earley){0};
}

static uint64_t hash_items(const struct earley_item *x, size_t n, bool accepts)
{
    return XXH3_64bits_withSeed(n ? (const void *)x : "", n * sizeof(*x), accepts);
}

static bool final(const struct rtn_state *s, int32_t count)
{
    return s->counted ? count >= s->min : s->final;
}

/* Can the rule go on in this state? */
static bool live(const struct rtn_state *s, int32_t count)
{
    return s->counted ? s->max < 0 || count < s->max : s->n_edges || s->n_calls;
}

/* The count after one more time. Without an upper end nobody asks for more than the lower one. */
static int32_t next_count(const struct rtn_state *s, int32_t count)
{
    if (!s->counted)
        return 0;
    return s->max == -1 && count >= s->min ? count : count + 1;
}

/* ---- sets of things met ---- */

static void forget(struct earley_work *w)
{
    w->n_seen = 0;
    if (!++w->now) {
        memset(w->stamp, 0, w->cap_seen * sizeof(*w->stamp));
        w->now = 1;
    }
}

static size_t seen_at(const struct earley_work *w, struct earley_item x)
{
    size_t i = XXH3_64bits(&x, sizeof(x)) & (w->cap_seen - 1);

    while (w->stamp[i] == w->now && memcmp(&w->seen[i], &x, sizeof(x)))
        i = (i + 1) & (w->cap_seen - 1);
    return i;
}

/* Note x; false when it was there already. */
static bool meet(struct earley_work *w, struct earley_item x)
{
    size_t i;

    if (2 * (w->n_seen + 1) > w->cap_seen) {
        struct earley_item *old = w->seen;
        uint32_t *stamp = w->stamp, now = w->now;
        size_t n = w->cap_seen;

        w->cap_seen = n ? 2 * n : 256;
        w->seen = mem_new(w->cap_seen * sizeof(*w->seen));
        w->stamp = mem_zero(w->cap_seen, sizeof(*w->stamp));
        w->now = 1;
        for (i = 0; i < n; i++)
            if (stamp[i] == now) {
                size_t k = seen_at(w, old[i]);

                w->seen[k] = old[i];
                w->stamp[k] = 1;
            }
        free(old);
        free(stamp);
    }
    i = seen_at(w, x);
    if (w->stamp[i] == w->now)
        return false;
    w->seen[i] = x;
    w->stamp[i] = w->now;
    w->n_seen++;
    return true;
}

/* ---- making a set ---- */

static void begin(struct earley_work *w)
{
    w->n_out = 0;
    w->accepts = false;
    w->steps = 0;
    forget(w);
}

static void put(struct earley_work *w, struct earley_item x)
{
    w->steps++;
    if (!meet(w, x))
        return;
    mem_grow(&w->out, &w->cap_out, w->n_out + 1, sizeof(*w->out));
    w->out[w->n_out++] = x;
}

/* The rule that returns to `node` has ended. */
static void back(struct earley *p, int32_t node)
{
    struct earley_work *w = p->work;
    const struct earley_node *k = &p->node[node];

    if (!node)
        w->accepts = true;
    else if (meet(w, (struct earley_item){DONE, 0, node}))
        for (int i = 0; i < k->n_entries && w->steps <= EARLEY_STEPS; i++)
            put(w, p->entry[k->entry + i]);
}

static int by_item(const void *a, const void *b)
{
    const struct earley_item *x = a, *y = b;

    if (x->q != y->q)
        return x->q < y->q ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* Room for one set more, half of the slots at least staying free. */
static void rehash(struct earley *p)
{
    if (2 * (p->n_sets + 1) <= p->cap_slots)
        return;
    for (p->cap_slots = 1024; p->cap_slots < 4 * p->n_sets; p->cap_slots *= 2)
        ;
    free(p->slot);
    p->slot = mem_zero(p->cap_slots, sizeof(*p->slot));
    for (size_t s = 2; s < p->n_sets; s++) {
        const struct earley_set *x = &p->set[s];
        size_t i =
            hash_items(p->item + x->item, (size_t)x->n_items, x->accepts) & (p->cap_slots - 1);

        while (p->slot[i])
            i = (i + 1) & (p->cap_slots - 1);
        p->slot[i] = (int32_t)s;
    }
}

/* The number of the set of n sorted items. */
static int32_t intern(struct earley *p, const struct earley_item *x, size_t n, bool accepts)
{
    size_t i;

    if (!n && !accepts)
        return EARLEY_DEAD;
    rehash(p);
    for (i = hash_items(x, n, accepts) & (p->cap_slots - 1); p->slot[i];
         i = (i + 1) & (p->cap_slots - 1)) {
        const struct earley_set *s = &p->set[p->slot[i]];

        if (s->n_items == (int32_t)n && s->accepts == accepts &&
            (!n || !memcmp(p->item + s->item, x, n * sizeof(*x))))
            return p->slot[i];
    }
    mem_grow(&p->set, &p->cap_sets, p->n_sets + 1, sizeof(*p->set));
    mem_grow(&p->item, &p->cap_items, p->n_items + n, sizeof(*p->item));
    if (n)
        memcpy(p->item + p->n_items, x, n * sizeof(*x));
    p->set[p->n_sets] =
        (struct earley_set){.item = (int32_t)p->n_items, .n_items = (int32_t)n, .accepts = accepts};
    p->n_items += n;
    p->slot[i] = (int32_t)p->n_sets;
    return (int32_t)p->n_sets++;
}

/* End the rules that may end in the items put so far, and number what comes of it. */
static int32_t finish(struct earley *p)
{
    struct earley_work *w = p->work;
    size_t kept = 0;

    for (size_t i = 0; i < w->n_out; i++) {
        struct earley_item x = w->out[i];
        const struct rtn_state *s = &p->net->state[x.q];

        if (final(s, x.count))
            back(p, x.node);
        if (w->steps > EARLEY_STEPS)
            return EARLEY_FAIL;
        if (live(s, x.count))
            w->out[kept++] = x; // kept <= i
    }
    if (kept > EARLEY_ITEMS)
        return EARLEY_FAIL;
    if (kept > 1)
        qsort(w->out, kept, sizeof(*w->out), by_item);
    return intern(p, w->out, kept, w->accepts);
}

int32_t earley_start(struct earley *p, struct earley_item x, bool accepts)
{
    return intern(p, &x, live(&p->net->state[x.q], x.count), accepts);
}

int32_t earley_return(struct earley *p, int32_t node)
{
    begin(p->work);
    back(p, node);
    return finish(p);
}

/* ---- closing a set: the rules that are called from it ---- */

static void pend(struct earley *p, struct earley_item from)
{
    struct earley_work *w = p->work;
    const struct rtn_state *s = &p->net->state[from.q];

    for (int i = 0; i < s->n_calls && live(s, from.count); i++) {
        struct rtn_call c = p->net->call[s->call + i];
        struct earley_item to = {c.to, next_count(s, from.count), from.node};
        const struct rtn_state *t = &p->net->state[to.q];
        int32_t at = w->rule_at[c.rule] - 1;

        w->steps++;
        if (at < 0) {
            mem_grow(&w->call, &w->cap_calls, w->n_calls + 1, sizeof(*w->call));
            at = (int32_t)w->n_calls++;
            w->call[at] = (struct called){c.rule, 0, 0, 0};
            w->rule_at[c.rule] = at + 1;
        }
        /* A rule that is nothing but a call of itself: from its end comes nothing new. */
        if (to.node == SELF - at && final(t, to.count) && !live(t, to.count))
            continue;
        mem_grow(&w->pend, &w->cap_pend, w->n_pend + 1, sizeof(*w->pend));
        w->pend[w->n_pend++] = (struct pending){at, to};
        w->call[at].n++;
    }
}

static int32_t real_node(const struct earley_work *w, int32_t node)
{
    return node <= SELF ? w->call[SELF - node].node : node;
}

/* Give every called rule its node. One that is called from a single place where nothing is left to
 * do returns at once to where that place returns: it came there from a rule called before it. */
static void number_nodes(struct earley *p, int32_t set)
{
    struct earley_work *w = p->work;
    struct pending *x = mem_new((w->n_pend + 1) * sizeof(*x));
    int32_t first = 0;

    for (size_t k = 0; k < w->n_calls; k++) {
        w->call[k].first = first;
        first += w->call[k].n;
        w->call[k].n = 0;
    }
    for (size_t i = 0; i < w->n_pend; i++) {
        struct called *c = &w->call[w->pend[i].rule];

        x[c->first + c->n++] = w->pend[i];
    }
    free(w->pend);
    w->pend = x;
    w->cap_pend = w->n_pend + 1;
    for (size_t k = 0; k < w->n_calls; k++) {
        struct called *c = &w->call[k];
        struct earley_item to = x[c->first].to;
        const struct rtn_state *t = &p->net->state[to.q];

        if (c->n == 1 && final(t, to.count) && !live(t, to.count)) {
            c->node = real_node(w, to.node);
            c->n = 0;
            continue;
        }
        mem_grow(&p->node, &p->cap_nodes, p->n_nodes + 1, sizeof(*p->node));
        p->node[p->n_nodes] = (struct earley_node){set, 0, 0, INT32_MAX};
        c->node = (int32_t)p->n_nodes++;
    }
}

static void put_entries(struct earley *p)
{
    struct earley_work *w = p->work;

    for (size_t k = 0; k < w->n_calls; k++) {
        const struct called *c = &w->call[k];

        if (!c->n)
            continue;
        p->node[c->node].entry = (int32_t)p->n_entries;
        p->node[c->node].n_entries = c->n;
        mem_grow(&p->entry, &p->cap_entries, p->n_entries + (size_t)c->n, sizeof(*p->entry));
        for (int i = 0; i < c->n; i++) {
            struct earley_item to = w->pend[c->first + i].to;

            to.node = real_node(w, to.node);
            p->entry[p->n_entries++] = to;
        }
    }
}

static int32_t need_of(const struct earley *p, struct earley_item x)
{
    return x.node                                 ? p->node[x.node].need
           : p->net->state[x.q].max == RTN_COUNTS ? x.count
                                                  : INT32_MAX;
}

/* The needs of a set's nodes, by rounds until nothing changes (left recursion takes a second). */
static void needs(struct earley *p, const struct earley_set *s)
{
    struct earley_work *w = p->work;
    bool any = earley_need(p, (int32_t)(s - p->set)) < INT32_MAX;

    while (any && w->steps <= EARLEY_STEPS) {
        any = false;
        for (int k = s->node; k < s->node + s->n_nodes; k++) {
            struct earley_node *x = &p->node[k];

            w->steps += x->n_entries;
            for (int i = 0; i < x->n_entries; i++) {
                int32_t need = need_of(p, p->entry[x->entry + i]);

                any = any || need < x->need;
                x->need = need < x->need ? need : x->need;
            }
        }
    }
}

static void predict(struct earley *p, struct earley_set *s)
{
    struct earley_work *w = p->work;

    mem_grow(&p->item, &p->cap_items, p->n_items + w->n_calls, sizeof(*p->item));
    s->predicted = (int32_t)p->n_items;
    for (size_t k = 0; k < w->n_calls; k++) {
        int32_t q = p->net->rule[w->call[k].rule].start;

        if (p->net->state[q].n_edges)
            p->item[p->n_items++] = (struct earley_item){q, 0, w->call[k].node};
    }
    s->n_predicted = (int32_t)p->n_items - s->predicted;
}

static void close_set(struct earley *p, int32_t set)
{
    struct earley_work *w = p->work;
    struct earley_set *s = &p->set[set];

    w->steps = 0;
    w->n_pend = w->n_calls = 0;
    for (int i = 0; i < s->n_items && w->steps <= EARLEY_STEPS; i++)
        pend(p, p->item[s->item + i]);
    for (size_t k = 0; k < w->n_calls && w->steps <= EARLEY_STEPS; k++)
        pend(p, (struct earley_item){p->net->rule[w->call[k].rule].start, 0, SELF - (int32_t)k});
    for (size_t k = 0; k < w->n_calls; k++)
        w->rule_at[w->call[k].rule] = 0;
    s->closed = true;
    if (w->steps <= EARLEY_STEPS) {
        s->node = (int32_t)p->n_nodes;
        number_nodes(p, set);
        s->n_nodes = (int32_t)p->n_nodes - s->node;
        put_entries(p);
        predict(p, s);
        needs(p, s);
    }
    s->cost = w->steps;
}

static void read_class(struct earley *p, int32_t from, int32_t n, uint8_t byte)
{
    struct earley_work *w = p->work;

    for (int32_t i = from; i < from + n && w->steps <= EARLEY_STEPS; i++) {
        struct earley_item x = p->item[i];
        const struct rtn_state *s = &p->net->state[x.q];

        for (int k = s->edge; k < s->edge + s->n_edges; k++) {
            const struct rtn_edge *e = &p->net->edge[k];

            if (e->lo <= byte && byte <= e->hi)
                put(w, (struct earley_item){e->to, 0, x.node});
        }
    }
}

int32_t earley_over(struct earley *p, int32_t set, uint8_t class, int32_t *cost)
{
    struct earley_work *w = p->work;
    struct earley_set *s = &p->set[set];
    size_t n = (size_t)p->net->n_classes;
    struct earley_step *step;
    int32_t to = set;

    if (!s->step) {
        s->step = mem_new(n * sizeof(*s->step));
        for (size_t i = 0; i < n; i++)
            s->step[i].to = -1;
        p->steps_bytes += n * sizeof(*s->step);
    }
    if (!s->closed)
        close_set(p, set);
    step = &s->step[class];
    if (step->to < 0) {
        begin(w);
        if (s->cost > EARLEY_STEPS) {
            to = EARLEY_FAIL;
        } else if (set > EARLEY_FAIL) {
            read_class(p, s->item, s->n_items, p->net->class_byte[class]);
            read_class(p, s->predicted, s->n_predicted, p->net->class_byte[class]);
            to = w->steps > EARLEY_STEPS ? EARLEY_FAIL : finish(p);
        }
        *step = (struct earley_step){to, w->steps};
    }
    if (cost)
        *cost = step->cost;
    return step->to;
}

int32_t earley_need(const struct earley *p, int32_t set)
{
    const struct earley_set *s = &p->set[set];
    int32_t least = INT32_MAX;

    for (int i = 0; i < s->n_items; i++) {
        int32_t need = need_of(p, p->item[s->item + i]);

        least = need < least ? need : least;
    }
    return least;
}

/* ---- forgetting ---- */

size_t earley_bytes(const struct earley *p)
{
    return p->cap_sets * sizeof(*p->set) + p->cap_nodes * sizeof(*p->node) +
           (p->cap_items + p->cap_entries) * sizeof(*p->item) + p->cap_slots * sizeof(*p->slot) +
           p->steps_bytes;
}

static void copy_items(struct earley *to, const struct earley_item *x, int32_t n,
                       const int32_t *node)
{
    mem_grow(&to->item, &to->cap_items, to->n_items + (size_t)n, sizeof(*x));
    for (int i = 0; i < n; i++)
        to->item[to->n_items++] = (struct earley_item){x[i].q, x[i].count, node[x[i].node]};
}

/* A set of `from` with the nodes that it made; node[] tells the new numbers of nodes. */
static int32_t copy_set(struct earley *to, const struct earley *from, const struct earley_set *s,
                        int32_t *node)
{
    struct earley_set x = *s;
    size_t at = to->n_items;
    int32_t set;

    copy_items(to, from->item + s->item, s->n_items, node);
    if (s->n_items > 1)
        qsort(to->item + at, (size_t)s->n_items, sizeof(*to->item), by_item);
    x.item = (int32_t)at;
    x.step = NULL;
    x.walk = 0;
    x.node = (int32_t)to->n_nodes;
    set = (int32_t)to->n_sets;
    for (int k = 0; k < s->n_nodes; k++)
        node[s->node + k] = x.node + k;
    for (int k = 0; k < s->n_nodes; k++) {
        struct earley_node y = from->node[s->node + k];
        const struct earley_item *e = from->entry + y.entry;

        mem_grow(&to->entry, &to->cap_entries, to->n_entries + (size_t)y.n_entries, sizeof(*e));
        y.entry = (int32_t)to->n_entries;
        y.set = set;
        for (int i = 0; i < y.n_entries; i++)
            to->entry[to->n_entries++] = (struct earley_item){e[i].q, e[i].count, node[e[i].node]};
        mem_grow(&to->node, &to->cap_nodes, to->n_nodes + 1, sizeof(*to->node));
        to->node[to->n_nodes++] = y;
    }
    x.predicted = (int32_t)to->n_items;
    copy_items(to, from->item + s->predicted, s->n_predicted, node);
    mem_grow(&to->set, &to->cap_sets, to->n_sets + 1, sizeof(*to->set));
    to->set[to->n_sets++] = x;
    return set;
}

void earley_collect(struct earley *p, int32_t **keep, size_t n)
{
    struct earley to;
    int32_t *set = mem_zero(p->n_sets, sizeof(*set)); // 1: kept; then the new number
    int32_t *node = mem_zero(p->n_nodes, sizeof(*node));

    earley_init(&to, p->net);
    for (size_t i = 0; i < n; i++)
        set[*keep[i]] = 1;
    for (size_t s = p->n_sets - 1; s > EARLEY_FAIL; s--) // a node's set is older than its users
        for (int i = 0; set[s] && i < p->set[s].n_items; i++) {
            int32_t k = p->item[p->set[s].item + i].node;

            if (k)
                set[p->node[k].set] = 1;
        }
    set[EARLEY_FAIL] = EARLEY_FAIL;
    set[EARLEY_DEAD] = EARLEY_DEAD;
    for (size_t s = EARLEY_FAIL + 1; s < p->n_sets; s++)
        if (set[s])
            set[s] = copy_set(&to, p, &p->set[s], node);
    for (size_t i = 0; i < n; i++)
        *keep[i] = set[*keep[i]];
    rehash(&to);
    free(set);
    free(node);
    earley_free(p);
    *p = to;
}
