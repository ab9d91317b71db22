/* mark.c - ranges over steps, ops and loading, as profilers show them (NVTX), for --nvtx.
 *
 * The ops of a marked backend are the plain ones with a range around each, so that what is not
 * marked pays nothing. A step that is replayed is one range. Kernels that wait for the next op
 * (queue.c) start in its range. NVTX is headers alone: without a profiler nothing is loaded. */
#include "device.h"

#include <nvtx3/nvToolsExt.h>
#include <stdio.h>

static const struct backend_ops *plain;

#define MARKED(op, parameters, ...)  \
    static void mark_##op parameters \
    {                                \
        nvtxRangePushA(#op);         \
        plain->op(__VA_ARGS__);      \
        nvtxRangePop();              \
    }

MARKED(embed,
       (struct backend * b, float *y, const struct weight *w, const struct weight *positions,
        float scale, const struct step *s),
       b, y, w, positions, scale, s)
MARKED(norm,
       (struct backend * b, float *y, const float *x, const struct norm_weight *w, int n, int dim),
       b, y, x, w, n, dim)
MARKED(norm_add,
       (struct backend * b, float *y, const float *x, const struct norm_weight *w, int n, int dim),
       b, y, x, w, n, dim)
MARKED(linear, (struct backend * b, float *y, const struct weight *w, const float *x, int n), b, y,
       w, x, n)
MARKED(linear_add, (struct backend * b, float *y, const struct weight *w, const float *x, int n), b,
       y, w, x, n)
MARKED(rope_kv,
       (struct backend * b, float *qkv, const struct attn_shape *a, const struct kv_pages *kv,
        int layer, const struct step *s),
       b, qkv, a, kv, layer, s)
MARKED(attn,
       (struct backend * b, float *y, const float *qkv, const struct attn_shape *a,
        const struct kv_pages *kv, int layer, const struct step *s),
       b, y, qkv, a, kv, layer, s)
MARKED(glu, (struct backend * b, float *y, const float *gu, const struct ffn_shape *f, int n), b, y,
       gu, f, n)
MARKED(gather, (struct backend * b, float *y, const float *x, const struct step *s, int dim), b, y,
       x, s, dim)
MARKED(softcap, (struct backend * b, float *x, float cap, int n, int dim), b, x, cap, n, dim)
MARKED(copy, (struct backend * b, const struct kv_pages *kv, int dst, int src), b, kv, dst, src)
MARKED(move,
       (struct backend * b, const struct kv_pages *kv, const struct kv_place *dst,
        const struct kv_place *src, int n),
       b, kv, dst, src, n)

static int mark_weight(struct backend *b, struct weight *w, struct err *e)
{
    int rc;

    nvtxRangePushA("weight");
    rc = plain->weight(b, w, e);
    nvtxRangePop();
    return rc;
}

static int mark_pick(struct backend *b, const float *logits_d, int vocab,
                     const struct pick_ask *ask, int n, struct pick *out, struct err *e)
{
    int rc;

    nvtxRangePushA("pick");
    rc = plain->pick(b, logits_d, vocab, ask, n, out, e);
    nvtxRangePop();
    return rc;
}

static int mark_step_begin(struct backend *b, const struct step *s, struct err *e)
{
    char name[64];
    int rc;

    snprintf(name, sizeof(name), "step of %d tokens", s->n);
    nvtxRangePushA(name);
    rc = plain->step_begin(b, s, e);
    if (rc < 0)
        nvtxRangePop();
    return rc;
}

static int mark_step_end(struct backend *b, struct err *e)
{
    int rc = plain->step_end(b, e);

    nvtxRangePop();
    return rc;
}

const struct backend_ops *cuda_marked(const struct backend_ops *ops)
{
    static struct backend_ops marked;

    plain = ops;
    marked = *ops;
    marked.weight = mark_weight;
    marked.copy = mark_copy;
    marked.move = mark_move;
    marked.step_begin = mark_step_begin;
    marked.step_end = mark_step_end;
    marked.embed = mark_embed;
    marked.norm = mark_norm;
    marked.norm_add = mark_norm_add;
    marked.linear = mark_linear;
    marked.linear_add = mark_linear_add;
    marked.rope_kv = mark_rope_kv;
    marked.attn = mark_attn;
    marked.glu = mark_glu;
    marked.gather = mark_gather;
    marked.softcap = mark_softcap;
    marked.pick = mark_pick;
    return &marked;
}
