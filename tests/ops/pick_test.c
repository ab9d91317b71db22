/* pick_test.c - questions about rows of logits that are on a device: against all of a row, sorted,
 * summed and drawn from on the CPU, by their bytes. */
#include "ops.h"
#include "rng.h"

enum { ROWS = 3, ASKS = 70 }; // more than a group

static float cleaned(float x)
{
    return x > -INFINITY && x < INFINITY ? x : -INFINITY;
}

static int by_order(const void *a, const void *b)
{
    const struct pick_item *x = a, *y = b;

    if (x->x != y->x)
        return x->x > y->x ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Kinds of rows: such as models give; of few values; rising; falling; with what is no number;
 * nothing finite; zeros of both signs; very large and very small. */
static void fill(struct ops *o, float *x, int n, int kind)
{
    for (int i = 0; i < n; i++) {
        float r = ops_float(o);

        switch (kind) {
        case 1:
            x[i] = (float)(int)(r * 4) * 0.5f;
            break;
        case 2:
            x[i] = (float)i * 0.01f;
            break;
        case 3:
            x[i] = (float)-i;
            break;
        case 4:
            x[i] = i % 7 == 2 ? NAN : i % 11 == 3 ? INFINITY : i % 5 == 1 ? -INFINITY : r * 9;
            break;
        case 5:
            x[i] = i % 3 ? -INFINITY : i % 2 ? NAN : INFINITY;
            break;
        case 6:
            x[i] = r > 0 ? 0.0f : -0.0f;
            break;
        case 7:
            x[i] = r * (i % 2 ? 1e37f : 1e-40f);
            break;
        default:
            x[i] = (r + ops_float(o) + ops_float(o)) * 6;
        }
    }
}

/* Mass and draw, from a whole row of finite values and -infinity. */
static double mass(struct ops *o, const float *x, int n, float temp, float top)
{
    int blocks = (n + BACKEND_ROW - 1) / BACKEND_ROW;
    float *e = mem_new((size_t)n * 4), *sum = mem_new((size_t)blocks * 4);
    double all = 0;

    o->b[0]->ops->row_exp(o->b[0], e, sum, x, n, temp, top / temp);
    for (int i = 0; i < blocks; i++)
        all += (double)sum[i];
    free(e);
    free(sum);
    return all;
}

static int32_t drawn(const float *x, int n, const struct pick_ask *a)
{
    const struct rng r = {{a->key[0], a->key[1]}};
    float top = -INFINITY;
    int32_t won = -1;

    for (int i = 0; i < n; i++) {
        float y = x[i] / a->draw;

        if (y == -INFINITY)
            continue;
        y += rng_gumbel(rng_bits(&r, a->pos, (uint32_t)i));
        if (won < 0 || y > top) {
            won = i;
            top = y;
        }
    }
    return won;
}

static void ask_make(struct ops *o, struct pick_ask *a, int vocab)
{
    *a = (struct pick_ask){.row = ops_pick(o, 0, ROWS - 1),
                           .n = ops_pick(o, 0, 2) ? ops_pick(o, 1, PICK_MOST) : 1,
                           .key = {(uint32_t)ops_bits(o), (uint32_t)ops_bits(o)},
                           .pos = ops_bits(o),
                           .n_ids = ops_pick(o, 0, PICK_IDS)};
    a->n = ops_pick(o, 0, 3) ? a->n : PICK_MOST;
    for (int i = 0; i < 2; i++)
        a->temp[i] = ops_pick(o, 0, 2) ? 0 : i ? 1 : 0.3f + (float)ops_pick(o, 0, 20) / 10;
    a->draw = ops_pick(o, 0, 1) ? 0 : 0.2f + (float)ops_pick(o, 0, 20) / 10;
    for (int i = 0; i < a->n_ids; i++)
        a->id[i] = ops_pick(o, 0, vocab - 1);
}

/* What of an answer is wrong, as bits. */
static int wrong(struct ops *o, const float *raw, int vocab, const struct pick_ask *a,
                 const struct pick *p)
{
    struct pick_item *all = mem_new((size_t)vocab * sizeof(*all));
    float *x = mem_new((size_t)vocab * sizeof(*x));
    int n = 0, bad = 0;

    for (int i = 0; i < vocab; i++)
        if ((x[i] = cleaned(raw[i])) > -INFINITY)
            all[n++] = (struct pick_item){x[i], i};
    qsort(all, (size_t)n, sizeof(*all), by_order);
    n = n < a->n ? n : a->n;
    bad |= p->n != n ? 1 : memcmp(p->item, all, (size_t)n * sizeof(*all)) ? 2 : 0;
    for (int i = 0; i < a->n_ids; i++)
        bad |= memcmp(&p->x[i], &raw[a->id[i]], sizeof(*raw)) ? 4 : 0;
    for (int i = 0; n && i < 2; i++) {
        double m = a->temp[i] > 0 ? mass(o, x, vocab, a->temp[i], all[0].x) : 0;

        bad |= memcmp(&m, &p->mass[i], sizeof(m)) ? 8 : 0;
    }
    if (n && a->draw > 0) {
        int32_t id = drawn(x, vocab, a);

        bad |= p->drawn != id || memcmp(&p->drawn_x, &raw[id], sizeof(*raw)) ? 16 : 0;
    }
    free(all);
    free(x);
    return bad;
}

static void try(struct ops *o, struct backend *b, int vocab, int kind, int n)
{
    float *x = mem_new((size_t)vocab * ROWS * sizeof(*x));
    struct pick_ask ask[ASKS];
    struct pick *out = mem_new(ASKS * sizeof(*out));
    struct err e;
    int bad = 0;

    for (int i = 0; i < ROWS; i++)
        fill(o, x + (size_t)i * (size_t)vocab, vocab, kind);
    for (int i = 0; i < n; i++)
        ask_make(o, &ask[i], vocab);
    CHECK(b->ops->pick(b, x, vocab, ask, n, out, &e) == 0);
    for (int i = 0; i < n; i++)
        bad |= wrong(o, x + (size_t)ask[i].row * (size_t)vocab, vocab, &ask[i], &out[i]);
    if (bad)
        printf("# vocabulary %d, kind %d: %d\n", vocab, kind, bad);
    CHECK(bad == 0);
    free(x);
    free(out);
}

int main(void)
{
    static const int sizes[] = {1,    2,    15,   16,    17,    127,   128,    129,   1000,
                                2048, 4095, 8193, 16384, 17001, 32000, 128256, 140001};
    struct ops o;

    ops_open(&o);
    for (int i = 0; o.device && i < (int)(sizeof(sizes) / sizeof(*sizes)); i++) {
        TEST("pick: the likeliest, masses, draws and logits of rows of a size");
        for (int kind = 0; kind < 8; kind++)
            if (!ops_skip(&o) && (sizes[i] < 100000 || kind < 2))
                try(&o, o.b[1], sizes[i], kind, sizes[i] == 129 && kind == 0 ? ASKS : 3);
    }
    ops_close(&o);
    return test_end();
}
