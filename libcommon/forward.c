/* forward.c - the transformer, once, over the backend's operations.
 *
 * Touvron et al. 2023 (Llama): pre-norm attention and gated feed-forward, each
 * added to the residual stream x; Devlin et al. 2019 (BERT): norms behind the sums instead.
 * Families differ by what model.h's fields say. */
#include "forward.h"

#include "mem.h"

#include <string.h>

/* Floats of the four scratch tensors: x and h, qkv, gate and up, logits. */
static void sizes(const struct model *m, int max_tokens, int max_out, size_t n[4])
{
    const struct attn_shape *a = &m->attn;
    size_t heads = (size_t)a->n_heads * (size_t)a->head_dim, wide = (size_t)m->dim;
    size_t up = (size_t)m->ffn.dim * (m->ffn.gated ? 2 : 1);

    up = up > wide ? up : wide; // what a norm stands behind is computed there
    wide = wide > heads ? wide : heads;
    wide = wide > (size_t)m->ffn.dim ? wide : (size_t)m->ffn.dim;
    n[0] = (size_t)max_tokens * wide;
    n[1] = (size_t)max_tokens * (heads + 2 * (size_t)a->n_kv_heads * (size_t)a->head_dim);
    n[2] = (size_t)max_tokens * up;
    n[3] = (size_t)max_out * (size_t)m->vocab;
}

size_t forward_bytes(const struct model *m, int max_tokens, int max_out)
{
    size_t n[4];

    sizes(m, max_tokens, max_out, n);
    return (2 * n[0] + n[1] + n[2] + n[3]) * sizeof(float);
}

static int make(struct act *a, struct backend *b, float **p, size_t n, struct err *e)
{
    void *d;

    if (b->ops->alloc(b, n * sizeof(float), &d, e))
        return err_wrap(e, "scratch of a step of %d tokens", a->max_tokens);
    *p = d;
    return 0;
}

int forward_open(struct act *a, const struct model *m, struct backend *b, int max_tokens,
                 int max_out, struct err *e)
{
    *a = (struct act){.max_tokens = max_tokens, .max_out = max_out};
    sizes(m, max_tokens, max_out, a->n);
    a->bytes = forward_bytes(m, max_tokens, max_out);
    if (make(a, b, &a->x_d, a->n[0], e) || make(a, b, &a->h_d, a->n[0], e) ||
        make(a, b, &a->qkv_d, a->n[1], e) || make(a, b, &a->gu_d, a->n[2], e) ||
        (max_out && make(a, b, &a->logits_d, a->n[3], e))) {
        forward_close(a, b);
        return -1;
    }
    return 0;
}

void forward_close(struct act *a, struct backend *b)
{
    float *p[5] = {a->x_d, a->h_d, a->qkv_d, a->gu_d, a->logits_d};
    size_t n[5] = {a->n[0], a->n[0], a->n[1], a->n[2], a->n[3]};

    for (int i = 0; i < 5; i++)
        if (p[i])
            b->ops->free(b, p[i], n[i] * sizeof(float));
    *a = (struct act){0};
}

/* x += W h, or the norm of that where one stands behind it. */
static void add_to_stream(const struct model *m, struct backend *b, const struct act *a,
                          const struct weight *w, const struct norm_weight *post, int n)
{
    if (!post->w_d) {
        b->ops->linear_add(b, a->x_d, w, a->h_d, n);
        return;
    }
    b->ops->linear(b, a->gu_d, w, a->h_d, n);
    b->ops->norm_add(b, a->x_d, a->gu_d, post, n, m->dim);
}

/* What a layer's matrices read: the norm of the stream, or itself. */
static const float *normed(const struct model *m, struct backend *b, const struct act *a,
                           const struct norm_weight *w, int n)
{
    if (!w->w_d)
        return a->x_d;
    b->ops->norm(b, a->h_d, a->x_d, w, n, m->dim);
    return a->h_d;
}

/* A norm of x itself, where there is one. */
static void norm_in_place(const struct model *m, struct backend *b, float *x_d,
                          const struct norm_weight *w, int n)
{
    if (w->w_d)
        b->ops->norm(b, x_d, x_d, w, n, m->dim);
}

int forward(const struct model *m, struct backend *b, const struct kv_pages *kv,
            const struct act *a, const struct step *s, struct err *e)
{
    const struct backend_ops *op = b->ops;
    struct step bracket = *s;
    int rc;

    bracket.program = a; // its addresses are this model's and cache's alone
    rc = op->step_begin(b, &bracket, e);
    if (rc < 0)
        return -1;
    if (rc == STEP_REPLAY) // a recording of this shape exists; inputs are already in place
        return op->step_end(b, e);
    op->embed(b, a->x_d, &m->embed, m->positions.n_parts ? &m->positions : NULL, m->embed_scale, s);
    norm_in_place(m, b, a->x_d, &m->embed_norm, s->n);
    for (int l = 0; l < m->n_layers; l++) {
        const struct layer *w = &m->layer[l];

        op->linear(b, a->qkv_d, &w->qkv, normed(m, b, a, &w->attn_norm, s->n), s->n);
        op->rope_kv(b, a->qkv_d, &w->attn, kv, l, s);
        op->attn(b, a->h_d, a->qkv_d, &w->attn, kv, l, s);
        add_to_stream(m, b, a, &w->o, &w->attn_post, s->n);
        norm_in_place(m, b, a->x_d, &w->attn_sum, s->n);
        op->linear(b, a->gu_d, &w->gate_up, normed(m, b, a, &w->ffn_norm, s->n), s->n);
        op->glu(b, a->h_d, a->gu_d, &m->ffn, s->n);
        add_to_stream(m, b, a, &w->down, &w->ffn_post, s->n);
        norm_in_place(m, b, a->x_d, &w->ffn_sum, s->n);
    }
    op->gather(b, a->h_d, a->x_d, s, m->dim);
    norm_in_place(m, b, a->h_d, &m->out_norm, s->n_out);
    if (a->logits_d)
        op->linear(b, a->logits_d, &m->head, a->h_d, s->n_out);
    if (a->logits_d && m->logit_cap > 0.0f)
        op->softcap(b, a->logits_d, m->logit_cap, s->n_out, m->vocab);
    return op->step_end(b, e);
}
