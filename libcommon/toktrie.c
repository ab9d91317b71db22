/* toktrie.c - the tokens that give text as a prefix tree. */
#include "toktrie.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct key {
    const char *s;
    uint32_t n;
    int32_t id;
};

static int by_bytes(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

    if (c)
        return c;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static bool gives_text(const struct tok *t, int id)
{
    enum tok_type type = tok_type(t, id);

    return type != TOK_CONTROL && type != TOK_UNKNOWN && type != TOK_UNUSED && !tok_is_end(t, id);
}

/* The bytes of all tokens, and the tokens that end a generation. */
static void lay_out(struct toktrie *x, const struct tok *t)
{
    struct buf b = {0};

    x->at = mem_zero((size_t)x->n_vocab + 1, sizeof(*x->at));
    x->end = mem_new(((size_t)x->n_vocab + 1) * sizeof(*x->end));
    for (int id = 0; id < x->n_vocab; id++) {
        if (id < tok_size(t) && tok_is_end(t, id))
            x->end[x->n_end++] = id;
        else if (id < tok_size(t) && gives_text(t, id))
            tok_bytes(t, id, false, &b);
        x->at[id + 1] = (uint32_t)b.n;
    }
    x->bytes = b.p ? b.p : mem_new(1);
}

/* Nodes for the bytes of one key that it does not share with the one before it. */
static void add_key(struct toktrie *x, size_t *cap, const struct key *k, uint32_t shared,
                    uint32_t *open)
{
    for (uint32_t d = shared; d < k->n; d++) {
        mem_grow(&x->node, cap, x->n + 1u, sizeof(*x->node));
        x->node[x->n] = (struct toktrie_node){0, -1, (uint16_t)(d + 1), (uint8_t)k->s[d]};
        open[d + 1] = x->n++;
    }
    x->node[x->n - 1].token = k->id;
    x->deepest = (int)k->n > x->deepest ? (int)k->n : x->deepest;
}

static void build(struct toktrie *x, const struct key *key, size_t n)
{
    uint32_t open[VOCAB_PIECE + 1] = {0}; // the node of each byte of the last key
    uint32_t len = 0;
    size_t cap = 0;

    mem_grow(&x->node, &cap, 1, sizeof(*x->node));
    x->node[x->n++] = (struct toktrie_node){0, -1, 0, 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t shared = 0;

        while (shared < len && shared < key[i].n && key[i].s[shared] == key[i - 1].s[shared])
            shared++;
        if (i && shared == len && shared == key[i].n) {
            x->same[key[i - 1].id] = key[i].id;
            continue;
        }
        for (; len > shared; len--)
            x->node[open[len]].next = x->n;
        add_key(x, &cap, &key[i], shared, open);
        len = key[i].n;
    }
    for (; len; len--)
        x->node[open[len]].next = x->n;
    x->node[0].next = x->n;
}

void toktrie_init(struct toktrie *x, const struct tok *t, int n_vocab)
{
    struct key *key = mem_new(((size_t)n_vocab + 1) * sizeof(*key));
    size_t n = 0;

    *x = (struct toktrie){.n_vocab = n_vocab};
    lay_out(x, t);
    x->same = mem_new(((size_t)n_vocab + 1) * sizeof(*x->same));
    for (int id = 0; id < n_vocab; id++) {
        x->same[id] = -1;
        if (x->at[id + 1] > x->at[id])
            key[n++] = (struct key){x->bytes + x->at[id], x->at[id + 1] - x->at[id], id};
    }
    qsort(key, n, sizeof(*key), by_bytes);
    build(x, key, n);
    for (uint32_t i = 1; i < x->n && !x->space; i = x->node[i].next)
        x->space = x->node[i].byte == ' ' ? i : 0;
    free(key);
}

void toktrie_free(struct toktrie *x)
{
    free(x->node);
    free(x->same);
    free(x->bytes);
    free(x->at);
    free(x->end);
    *x = (struct toktrie){0};
}
