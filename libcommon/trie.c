/* trie.c - prefix tree of byte strings, each with an int. */
#include "trie.h"

#include "mem.h"

#include <stdlib.h>

static int by_bytes(const void *a, const void *b)
{
    const struct trie_key *x = a, *y = b;
    int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

    if (c)
        return c;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* A node to be: the keys lo..hi-1 share their first `depth` bytes. */
struct range {
    size_t lo, hi;
    size_t depth;
};

struct queue {
    struct range *r; // one for each node, in the order of nodes
    size_t n, cap;
};

static uint32_t add_node(struct trie *t, struct queue *q, size_t *room, struct range r, char label)
{
    size_t before = *room;

    mem_grow(&t->label, room, t->n + 2u, sizeof(*t->label));
    if (*room != before) {
        t->child = mem_resize(t->child, *room + 1, sizeof(*t->child));
        t->value = mem_resize(t->value, *room, sizeof(*t->value));
    }
    mem_grow(&q->r, &q->cap, q->n + 1, sizeof(*q->r));
    q->r[q->n++] = r;
    t->label[t->n] = label;
    t->value[t->n] = -1;
    return t->n++;
}

void trie_build(struct trie *t, struct trie_key *key, size_t n)
{
    struct queue q = {0};
    size_t room = 0;

    *t = (struct trie){0};
    if (n)
        qsort(key, n, sizeof(*key), by_bytes);
    add_node(t, &q, &room, (struct range){0, n, 0}, 0);
    for (uint32_t node = 0; node < t->n; node++) {
        struct range r = q.r[node];
        size_t k = r.lo;

        t->child[node] = t->n;
        while (k < r.hi && key[k].n == r.depth) { // the key ends here; equal ones follow it
            if (r.depth && t->value[node] < 0)
                t->value[node] = key[k].value;
            k++;
        }
        while (k < r.hi) {
            size_t from = k;
            char c = key[k].s[r.depth];
            uint32_t child;

            while (k < r.hi && key[k].s[r.depth] == c)
                k++;
            child = add_node(t, &q, &room, (struct range){from, k, r.depth + 1}, c);
            if (!node)
                t->root[(unsigned char)c] = child;
        }
    }
    t->child[t->n] = t->n;
    free(q.r);
}

void trie_free(struct trie *t)
{
    free(t->child);
    free(t->value);
    free(t->label);
    *t = (struct trie){0};
}
