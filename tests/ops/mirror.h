/* mirror.h - a device backend that takes host pointers: each op uploads what it reads, runs on the
 * device in a bracket of its own, and downloads what it wrote. So the tests of the ops run on a
 * GPU, or on its emulation, as they stand. Ops on host memory go to a CPU backend. */
#ifndef MIRROR_H
#define MIRROR_H

#include "backend.h"
#include "mem.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A weight that is on the device: tests make the same one many times. */
struct mirror_weight {
    struct mirror_weight *next;
    uint64_t hash;
    struct weight w;
};

/* Floats that the device knows by their address: for as long as it lives, and unchanged. */
struct mirror_table {
    struct mirror_table *next;
    size_t n;
    float x[];
};

struct mirror {
    struct backend b; // first
    struct backend *in, *host;
    struct mirror_weight *weights;
    struct mirror_table *tables;
    bool failed;
};

static inline void mirror_check(struct mirror *m, int rc, const struct err *e)
{
    if (rc && !m->failed)
        printf("# device: %s\n", e->msg);
    m->failed = m->failed || rc;
}

static inline void *mirror_up(struct mirror *m, const void *host, size_t bytes)
{
    void *d = NULL;
    struct err e;

    if (!host)
        return NULL;
    mirror_check(m, m->in->ops->alloc(m->in, bytes, &d, &e), &e);
    mirror_check(m, m->in->ops->upload(m->in, d, host, bytes, &e), &e);
    return d;
}

static inline void mirror_down(struct mirror *m, void *host, void *d, size_t bytes)
{
    struct err e;

    if (host)
        mirror_check(m, m->in->ops->download(m->in, host, d, bytes, &e), &e);
    if (d)
        m->in->ops->free(m->in, d, bytes);
}

static inline void mirror_begin(struct mirror *m, const struct step *s)
{
    struct err e;

    mirror_check(m, m->in->ops->step_begin(m->in, s, &e) < 0, &e);
}

static inline void mirror_end(struct mirror *m)
{
    struct err e;

    mirror_check(m, m->in->ops->step_end(m->in, &e), &e);
}

/* FNV-1a */
static inline uint64_t mirror_hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *at = p;

    for (size_t i = 0; p && i < n; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return h;
}

static inline struct weight *mirror_find(struct mirror *m, const struct weight *w)
{
    struct mirror_weight *k;
    uint64_t h = mirror_hash(0xcbf29ce484222325u, &w->cols, sizeof(w->cols));
    struct err e;

    for (int i = 0; i < w->n_parts; i++) {
        const struct weight_part *p = &w->part[i];

        h = mirror_hash(h, &p->type, sizeof(p->type));
        h = mirror_hash(h, p->host, tensor_row_bytes(p->type, w->cols) * (size_t)p->rows);
        h = mirror_hash(h, p->bias, (size_t)p->rows * sizeof(float));
        h = mirror_hash(h, p->bias ? "b" : "n", 1);
    }
    for (k = m->weights; k; k = k->next)
        if (k->hash == h)
            return &k->w;
    k = mem_zero(1, sizeof(*k));
    *k = (struct mirror_weight){m->weights, h, *w};
    for (int i = 0; i < w->n_parts; i++) { // it is borrowed for as long as the backend lives
        size_t bytes = tensor_row_bytes(w->part[i].type, w->cols) * (size_t)w->part[i].rows;

        k->w.part[i].host = memcpy(mem_new(bytes), w->part[i].host, bytes);
    }
    m->weights = k;
    mirror_check(m, m->in->ops->weight(m->in, &k->w, &e), &e);
    return &k->w;
}

static inline const float *mirror_keep(struct mirror *m, const float *x, size_t n)
{
    struct mirror_table *t = m->tables;

    if (!x)
        return NULL;
    while (t && (t->n != n || memcmp(t->x, x, n * sizeof(*x))))
        t = t->next;
    if (!t) {
        t = mem_new(sizeof(*t) + n * sizeof(*x));
        t->next = m->tables;
        t->n = n;
        memcpy(t->x, x, n * sizeof(*x));
        m->tables = t;
    }
    return t->x;
}

static inline struct attn_shape mirror_shape(struct mirror *m, const struct attn_shape *a)
{
    struct attn_shape v = *a;

    v.inv_freq = mirror_keep(m, a->inv_freq, (size_t)a->rope_dims / 2);
    return v;
}

/* What the device would refuse is refused. */
static inline int mirror_weight(struct backend *b, struct weight *w, struct err *e)
{
    struct mirror *m = (struct mirror *)b;

    return m->host->ops->weight(m->host, w, e) ? -1 : 0;
}

static inline int mirror_alloc(struct backend *b, size_t bytes, void **out, struct err *e)
{
    (void)b, (void)e;
    *out = mem_zero(1, bytes);
    return 0;
}

static inline void mirror_free(struct backend *b, void *p, size_t bytes)
{
    (void)b, (void)bytes;
    free(p);
}

static inline int mirror_move(struct backend *b, void *dst, const void *src, size_t n,
                              struct err *e)
{
    (void)b, (void)e;
    memcpy(dst, src, n);
    return 0;
}

static inline void mirror_sync(struct backend *b)
{
    (void)b;
}

static inline int mirror_step_begin(struct backend *b, const struct step *s, struct err *e)
{
    (void)b, (void)s, (void)e;
    return STEP_RUN;
}

static inline int mirror_step_end(struct backend *b, struct err *e)
{
    return ((struct mirror *)b)->failed ? err_set(e, ERR_IO, "the device failed") : 0;
}

static inline struct norm_weight mirror_norm_up(struct mirror *m, const struct norm_weight *w,
                                                int dim)
{
    struct norm_weight d = *w;

    d.w_d = mirror_up(m, w->w_d, (size_t)dim * sizeof(float));
    d.b_d = mirror_up(m, w->b_d, (size_t)dim * sizeof(float));
    return d;
}

static inline void mirror_norm_drop(struct mirror *m, struct norm_weight *w, int dim)
{
    mirror_down(m, NULL, w->w_d, (size_t)dim * sizeof(float));
    mirror_down(m, NULL, w->b_d, (size_t)dim * sizeof(float));
}

static inline void mirror_norms(struct backend *b, float *y, const float *x,
                                const struct norm_weight *w, int n, int dim, bool add)
{
    struct mirror *m = (struct mirror *)b;
    size_t bytes = (size_t)n * (size_t)dim * sizeof(float);
    struct norm_weight d = mirror_norm_up(m, w, dim);
    void *x_d = mirror_up(m, x, bytes), *y_d = x == y ? x_d : mirror_up(m, y, bytes);

    if (add)
        m->in->ops->norm_add(m->in, y_d, x_d, &d, n, dim);
    else
        m->in->ops->norm(m->in, y_d, x_d, &d, n, dim);
    mirror_down(m, y, y_d, bytes);
    if (x != y)
        mirror_down(m, NULL, x_d, bytes);
    mirror_norm_drop(m, &d, dim);
}

static inline void mirror_norm(struct backend *b, float *y, const float *x,
                               const struct norm_weight *w, int n, int dim)
{
    mirror_norms(b, y, x, w, n, dim, false);
}

static inline void mirror_norm_add(struct backend *b, float *y, const float *x,
                                   const struct norm_weight *w, int n, int dim)
{
    mirror_norms(b, y, x, w, n, dim, true);
}

static inline void mirror_linears(struct backend *b, float *y, const struct weight *w,
                                  const float *x, int n, bool add)
{
    struct mirror *m = (struct mirror *)b;
    size_t in = (size_t)n * (size_t)w->cols * sizeof(float);
    size_t out = (size_t)n * (size_t)w->rows * sizeof(float);
    struct weight *k = mirror_find(m, w);
    void *x_d = mirror_up(m, x, in), *y_d = mirror_up(m, y, out);
    struct step s = {.n = n};
    int32_t zero[1] = {0};

    s.n = 0; // linear reads nothing of it
    s.token = s.pos = s.seq = s.page = s.out = zero;
    mirror_begin(m, &s);
    if (add)
        m->in->ops->linear_add(m->in, y_d, k, x_d, n);
    else
        m->in->ops->linear(m->in, y_d, k, x_d, n);
    mirror_end(m);
    mirror_down(m, y, y_d, out);
    mirror_down(m, NULL, x_d, in);
}

static inline void mirror_linear(struct backend *b, float *y, const struct weight *w,
                                 const float *x, int n)
{
    mirror_linears(b, y, w, x, n, false);
}

static inline void mirror_linear_add(struct backend *b, float *y, const struct weight *w,
                                     const float *x, int n)
{
    mirror_linears(b, y, w, x, n, true);
}

/* A step whose arrays that an op does not read may be missing. */
static inline struct step mirror_whole(const struct step *s, int32_t *zero)
{
    struct step t = *s;

    t.token = s->token ? s->token : zero;
    t.pos = s->pos ? s->pos : zero;
    t.seq = s->seq ? s->seq : zero;
    t.page = s->page ? s->page : zero;
    t.out = s->out ? s->out : zero;
    t.n_out = s->out ? s->n_out : 0;
    t.n_seq = s->page ? s->n_seq : 0;
    return t;
}

static inline void mirror_embed(struct backend *b, float *y, const struct weight *w,
                                const struct weight *positions, float scale, const struct step *s)
{
    struct mirror *m = (struct mirror *)b;
    size_t bytes = (size_t)s->n * (size_t)w->cols * sizeof(float);
    struct weight *k = mirror_find(m, w), *p = positions ? mirror_find(m, positions) : NULL;
    int32_t *zero = mem_zero((size_t)s->n + 1, sizeof(*zero));
    struct step t = mirror_whole(s, zero);
    void *y_d = mirror_up(m, y, bytes);

    mirror_begin(m, &t);
    m->in->ops->embed(m->in, y_d, k, p, scale, &t);
    mirror_end(m);
    mirror_down(m, y, y_d, bytes);
    free(zero);
}

static inline void mirror_gather(struct backend *b, float *y, const float *x, const struct step *s,
                                 int dim)
{
    struct mirror *m = (struct mirror *)b;
    size_t in = (size_t)s->n * (size_t)dim * sizeof(float);
    size_t out = (size_t)s->n_out * (size_t)dim * sizeof(float);
    int32_t *zero = mem_zero((size_t)s->n + 1, sizeof(*zero));
    struct step t = mirror_whole(s, zero);
    void *x_d = mirror_up(m, x, in), *y_d = mirror_up(m, y, out);

    mirror_begin(m, &t);
    m->in->ops->gather(m->in, y_d, x_d, &t, dim);
    mirror_end(m);
    mirror_down(m, y, y_d, out);
    mirror_down(m, NULL, x_d, in);
    free(zero);
}

static inline void mirror_glu(struct backend *b, float *y, const float *gu,
                              const struct ffn_shape *f, int n)
{
    struct mirror *m = (struct mirror *)b;
    size_t out = (size_t)n * (size_t)f->dim * sizeof(float), in = out * (f->gated ? 2 : 1);
    void *x_d = mirror_up(m, gu, in), *y_d = mirror_up(m, y, out);

    m->in->ops->glu(m->in, y_d, x_d, f, n);
    mirror_down(m, y, y_d, out);
    mirror_down(m, NULL, x_d, in);
}

static inline void mirror_softcap(struct backend *b, float *x, float cap, int n, int dim)
{
    struct mirror *m = (struct mirror *)b;
    size_t bytes = (size_t)n * (size_t)dim * sizeof(float);
    void *x_d = mirror_up(m, x, bytes);

    m->in->ops->softcap(m->in, x_d, cap, n, dim);
    mirror_down(m, x, x_d, bytes);
}

/* A cache on the device, as it is on the host. */
static inline struct kv_pages mirror_kv_up(struct mirror *m, const struct kv_pages *kv,
                                           size_t *bytes)
{
    struct kv_pages d = *kv;

    *bytes = (size_t)kv->n_layers * (size_t)kv->n_pages * (size_t)kv->n_kv_heads * 2 *
             BACKEND_PAGE * (size_t)kv->head_dim * sizeof(float);
    d.data_d = mirror_up(m, kv->data_d, *bytes);
    return d;
}

static inline void mirror_rope_kv(struct backend *b, float *qkv, const struct attn_shape *a,
                                  const struct kv_pages *kv, int layer, const struct step *s)
{
    struct mirror *m = (struct mirror *)b;
    size_t row = (size_t)(a->n_heads + 2 * a->n_kv_heads) * (size_t)a->head_dim, all;
    size_t bytes = (size_t)s->n * row * sizeof(float);
    struct kv_pages d = mirror_kv_up(m, kv, &all);
    struct attn_shape v = mirror_shape(m, a);
    void *x_d = mirror_up(m, qkv, bytes);
    int32_t *zero = mem_zero((size_t)s->n + 1, sizeof(*zero));
    struct step t = mirror_whole(s, zero);

    v.q_norm = mirror_norm_up(m, &a->q_norm, a->head_dim);
    v.k_norm = mirror_norm_up(m, &a->k_norm, a->head_dim);
    mirror_begin(m, &t);
    m->in->ops->rope_kv(m->in, x_d, &v, &d, layer, &t);
    mirror_end(m);
    mirror_down(m, qkv, x_d, bytes);
    mirror_down(m, kv->data_d, d.data_d, all);
    mirror_norm_drop(m, &v.q_norm, a->head_dim);
    mirror_norm_drop(m, &v.k_norm, a->head_dim);
    free(zero);
}

static inline void mirror_attn(struct backend *b, float *y, const float *qkv,
                               const struct attn_shape *a, const struct kv_pages *kv, int layer,
                               const struct step *s)
{
    struct mirror *m = (struct mirror *)b;
    size_t row = (size_t)(a->n_heads + 2 * a->n_kv_heads) * (size_t)a->head_dim, all;
    size_t in = (size_t)s->n * row * sizeof(float);
    size_t out = (size_t)s->n * (size_t)a->n_heads * (size_t)a->head_dim * sizeof(float);
    struct kv_pages d = mirror_kv_up(m, kv, &all);
    struct attn_shape v = mirror_shape(m, a);
    void *x_d = mirror_up(m, qkv, in), *y_d = mirror_up(m, y, out);
    int32_t *zero = mem_zero((size_t)s->n + 1, sizeof(*zero));
    struct step t = mirror_whole(s, zero);

    mirror_begin(m, &t);
    m->in->ops->attn(m->in, y_d, x_d, &v, &d, layer, &t);
    mirror_end(m);
    mirror_down(m, y, y_d, out);
    mirror_down(m, NULL, x_d, in);
    mirror_down(m, NULL, d.data_d, all);
    free(zero);
}

static inline int mirror_fast(struct backend *b, struct err *e)
{
    struct mirror *m = (struct mirror *)b;

    return m->in->ops->fast(m->in, e);
}

static inline int mirror_pick(struct backend *b, const float *logits, int vocab,
                              const struct pick_ask *ask, int n, struct pick *out, struct err *e)
{
    struct mirror *m = (struct mirror *)b;
    int rows = 0, rc;
    size_t bytes;
    void *d;

    for (int i = 0; i < n; i++)
        rows = ask[i].row >= rows ? ask[i].row + 1 : rows;
    bytes = (size_t)rows * (size_t)vocab * sizeof(*logits);
    d = mirror_up(m, logits, bytes);
    rc = m->in->ops->pick(m->in, d, vocab, ask, n, out, e);
    mirror_check(m, rc, e);
    mirror_down(m, NULL, d, bytes);
    return rc;
}

static inline void mirror_copy(struct backend *b, const struct kv_pages *kv, int dst, int src)
{
    struct mirror *m = (struct mirror *)b;
    size_t all;
    struct kv_pages d = mirror_kv_up(m, kv, &all);

    m->in->ops->copy(m->in, &d, dst, src);
    mirror_down(m, kv->data_d, d.data_d, all);
}

static inline void mirror_places(struct backend *b, const struct kv_pages *kv,
                                 const struct kv_place *dst, const struct kv_place *src, int n)
{
    struct mirror *m = (struct mirror *)b;
    size_t all;
    struct kv_pages d = mirror_kv_up(m, kv, &all);

    m->in->ops->move(m->in, &d, dst, src, n);
    mirror_down(m, kv->data_d, d.data_d, all);
}

static inline struct backend *mirror_host(const struct backend *b)
{
    return ((const struct mirror *)b)->host;
}

static inline void mirror_row_max(struct backend *b, float *max, const float *x, int n)
{
    mirror_host(b)->ops->row_max(mirror_host(b), max, x, n);
}

static inline void mirror_row_exp(struct backend *b, float *e, float *sum, const float *x, int n,
                                  float temp, float shift)
{
    mirror_host(b)->ops->row_exp(mirror_host(b), e, sum, x, n, temp, shift);
}

static inline void mirror_dots(const struct backend *b, float *y, const float *x, int n,
                               const float *c, int rows, int dim)
{
    mirror_host(b)->ops->dots(mirror_host(b), y, x, n, c, rows, dim);
}

static inline void mirror_nearest(const struct backend *b, float *best, int32_t *at, const float *x,
                                  int n, const float *c, int rows, int dim, int first,
                                  const float *x_rest, const float *c_rest)
{
    mirror_host(b)->ops->nearest(mirror_host(b), best, at, x, n, c, rows, dim, first, x_rest,
                                 c_rest);
}

static inline void mirror_close(struct backend *b)
{
    struct mirror *m = (struct mirror *)b;

    backend_close(m->in);
    for (struct mirror_weight *k = m->weights, *next; k; k = next) {
        next = k->next;
        for (int i = 0; i < k->w.n_parts; i++)
            free((void *)(uintptr_t)k->w.part[i].host);
        free(k);
    }
    for (struct mirror_table *t = m->tables, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    free(m);
}

static const struct backend_ops mirror_ops = {
    .name = "mirror",
    .alloc = mirror_alloc,
    .free = mirror_free,
    .upload = mirror_move,
    .download = mirror_move,
    .weight = mirror_weight,
    .sync = mirror_sync,
    .copy = mirror_copy,
    .move = mirror_places,
    .step_begin = mirror_step_begin,
    .step_end = mirror_step_end,
    .embed = mirror_embed,
    .norm = mirror_norm,
    .norm_add = mirror_norm_add,
    .linear = mirror_linear,
    .linear_add = mirror_linear_add,
    .rope_kv = mirror_rope_kv,
    .attn = mirror_attn,
    .glu = mirror_glu,
    .gather = mirror_gather,
    .softcap = mirror_softcap,
    .fast = mirror_fast,
    .pick = mirror_pick,
    .row_max = mirror_row_max,
    .row_exp = mirror_row_exp,
    .dots = mirror_dots,
    .nearest = mirror_nearest,
    .close = mirror_close,
};

/* The device itself. */
static inline struct backend *mirror_device(const char *so)
{
    struct backend_cuda o = {.version = BACKEND_CUDA_VERSION};
    struct backend *(*open)(const struct backend_cuda *, struct err *) = NULL, *b = NULL;
    void *h = dlopen(so, RTLD_NOW | RTLD_LOCAL), *f = h ? dlsym(h, "llm_cuda_open") : NULL;
    struct err e = {0};

    if (!f) {
        printf("# %s\n", dlerror());
        return NULL;
    }
    memcpy(&open, &f, sizeof(f));
    b = open(&o, &e);
    if (!b)
        printf("# %s: %s\n", so, e.msg);
    return b;
}

/* Ops of a device's steps of at most so many tokens are done together; -1: as it would. */
static inline void mirror_fuse(const char *so, struct backend *device, int most)
{
    void (*fuse)(struct backend *, int) = NULL;
    void *h = dlopen(so, RTLD_NOW | RTLD_LOCAL), *f = h ? dlsym(h, "llm_cuda_fuse") : NULL;

    memcpy(&fuse, &f, sizeof(f));
    if (fuse)
        fuse(device, most);
}

/* The same with host pointers, and a CPU backend for ops on host memory; or NULL. */
static inline struct backend *mirror_open(const char *so, struct backend *host)
{
    struct backend *in = mirror_device(so);
    struct mirror *m;

    if (!in)
        return NULL;
    m = mem_zero(1, sizeof(*m));
    m->b.ops = &mirror_ops;
    m->in = in;
    m->host = host;
    return &m->b;
}

#endif
