/* cuda.c - the CUDA backend: memory, and the table of ops.
 *
 * Everything is queued on one stream; weights (weight.c) arrive on others (load.c), and the first
 * step waits for them. An op only queues kernels, so that a step may be recorded as a graph
 * (step.c). */
#include "device.h"
#include "tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cuda_ok(struct cuda *c, cudaError_t rc, const char *what)
{
    if (rc == cudaSuccess)
        return true;
    if (c->failed.code == ERR_NONE)
        err_set(&c->failed, rc == cudaErrorMemoryAllocation ? ERR_MEM : ERR_IO, "GPU %d: %s: %s",
                c->device, what, cudaGetErrorString(rc));
    return false;
}

static int failed(const struct cuda *c, struct err *e)
{
    *e = c->failed;
    return -1;
}

bool cuda_grow(struct cuda *c, struct cuda_buf *b, size_t bytes)
{
    if (b->bytes >= bytes)
        return true;
    if (c->recording) { // the recording is given up, and made anew when the memory is there
        c->broken = true;
        return false;
    }
    cuda_graphs_drop(c); // they hold the old address
    if (!cuda_ok(c, cudaStreamSynchronize(c->stream), "wait") ||
        !cuda_ok(c, cudaFree(b->p), "free"))
        return false;
    *b = (struct cuda_buf){0};
    if (!cuda_ok(c, cudaMalloc(&b->p, bytes), "scratch"))
        return false;
    b->bytes = bytes;
    return true;
}

static int cuda_alloc(struct backend *b, size_t bytes, void **out_d, struct err *e)
{
    struct cuda *c = cuda_of(b);
    cudaError_t rc = cudaMalloc(out_d, bytes ? bytes : 1);

    if (rc != cudaSuccess)
        return err_set(e, ERR_MEM, "GPU %d: no memory for %zu bytes: %s", c->device, bytes,
                       cudaGetErrorString(rc));
    if (!cuda_ok(c, cudaMemsetAsync(*out_d, 0, bytes, c->stream), "memory"))
        return failed(c, e);
    return 0;
}

static void cuda_free(struct backend *b, void *p_d, size_t bytes)
{
    struct cuda *c = cuda_of(b);

    (void)bytes;
    cuda_flush(c, NULL);
    cuda_graphs_drop(c);
    cudaStreamSynchronize(c->stream);
    cudaFree(p_d);
}

static int cuda_upload(struct backend *b, void *dst_d, const void *src, size_t bytes, struct err *e)
{
    struct cuda *c = cuda_of(b);

    cuda_flush(c, NULL);
    if (!cuda_ok(c, cudaMemcpyAsync(dst_d, src, bytes, cudaMemcpyHostToDevice, c->stream),
                 "upload") ||
        !cuda_ok(c, cudaStreamSynchronize(c->stream), "upload"))
        return failed(c, e);
    return 0;
}

/* Through pinned memory, which the device writes at full speed, half by half. */
static int cuda_download(struct backend *b, void *dst, const void *src_d, size_t bytes,
                         struct err *e)
{
    struct cuda *c = cuda_of(b);

    cuda_flush(c, NULL);
    for (size_t at = 0; at < bytes;) {
        size_t n = bytes - at < CUDA_PINNED ? bytes - at : CUDA_PINNED;

        if (!cuda_ok(c,
                     cudaMemcpyAsync(c->pinned, (const char *)src_d + at, n, cudaMemcpyDeviceToHost,
                                     c->stream),
                     "download") ||
            !cuda_ok(c, cudaStreamSynchronize(c->stream), "download"))
            return failed(c, e);
        memcpy((char *)dst + at, c->pinned, n);
        at += n;
    }
    return 0;
}

static void cuda_sync(struct backend *b)
{
    struct cuda *c = cuda_of(b);

    cuda_flush(c, NULL);
    cuda_ok(c, cudaStreamSynchronize(c->stream), "wait");
}

/* ---- ops ---- */

/* Device copy of n host floats that an op names by their address. */
static const float *table(struct cuda *c, const float *host, size_t n)
{
    struct cuda_table *t = c->tables;
    struct err e;

    while (t && t->host != host)
        t = t->next;
    if (t)
        return t->p;
    if (c->recording) {
        c->broken = true;
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (!t || !cuda_ok(c, cudaMalloc(&t->p, n * sizeof(float)), "tables")) {
        free(t);
        return NULL;
    }
    t->host = host;
    t->next = c->tables;
    c->tables = t;
    cuda_upload(&c->b, t->p, host, n * sizeof(float), &e);
    return t->p;
}

static struct cuda_norm norm_of(const struct norm_weight *w)
{
    return (struct cuda_norm){(int)w->kind, w->eps, w->w_d, w->b_d};
}

static struct cuda_attn attn_of(struct cuda *c, const struct attn_shape *a)
{
    return (struct cuda_attn){
        .n_heads = a->n_heads,
        .n_kv_heads = a->n_kv_heads,
        .head_dim = a->head_dim,
        .rope_dims = a->rope_dims,
        .rope_pairs_apart = a->rope_pairs_apart,
        .window = a->window,
        .scale = a->scale,
        .softcap = a->softcap,
        .inv_freq = a->rope_dims ? table(c, a->inv_freq, (size_t)a->rope_dims / 2) : NULL,
        .q_norm = norm_of(&a->q_norm),
        .k_norm = norm_of(&a->k_norm),
    };
}

_Static_assert((int)KV_F32 == CUDA_KV_F32 && (int)KV_F16 == CUDA_KV_F16 &&
                   (int)KV_BF16 == CUDA_KV_BF16 && (int)KV_FP8 == CUDA_KV_FP8,
               "the kernels' types are in the same order");

static struct cuda_kv kv_of(const struct kv_pages *kv)
{
    return (struct cuda_kv){kv->data_d,  (int)kv->type,  kv->n_layers,
                            kv->n_pages, kv->n_kv_heads, kv->head_dim};
}

static void linear(struct backend *b, float *y_d, const struct weight *w, const float *x_d, int n)
{
    cuda_push(cuda_of(b),
              &(struct cuda_op){.kind = CUDA_LINEAR, .y = y_d, .x = x_d, .w = *w, .n = n});
}

static void linear_add(struct backend *b, float *y_d, const struct weight *w, const float *x_d,
                       int n)
{
    cuda_push(
        cuda_of(b),
        &(struct cuda_op){.kind = CUDA_LINEAR, .y = y_d, .x = x_d, .w = *w, .n = n, .add = true});
}

static void embed(struct backend *b, float *y_d, const struct weight *w,
                  const struct weight *positions, float scale, const struct step *s)
{
    struct cuda *c = cuda_of(b);
    const struct cuda_rows *r = w->part[0].w_d, *p = positions ? positions->part[0].w_d : NULL;

    if (cuda_ready(c, s->n))
        cuda_embed(y_d, &r->m, p ? &p->m : NULL, scale, &c->now, c->stream);
}

static void norm(struct backend *b, float *y_d, const float *x_d, const struct norm_weight *w,
                 int n, int dim)
{
    cuda_push(cuda_of(b),
              &(struct cuda_op){
                  .kind = CUDA_NORM, .y = y_d, .x = x_d, .norm = norm_of(w), .n = n, .dim = dim});
}

static void norm_add(struct backend *b, float *y_d, const float *x_d, const struct norm_weight *w,
                     int n, int dim)
{
    cuda_push(cuda_of(b), &(struct cuda_op){.kind = CUDA_NORM,
                                            .y = y_d,
                                            .x = x_d,
                                            .norm = norm_of(w),
                                            .n = n,
                                            .dim = dim,
                                            .add = true});
}

static void rope_kv(struct backend *b, float *qkv_d, const struct attn_shape *a,
                    const struct kv_pages *kv, int layer, const struct step *s)
{
    struct cuda *c = cuda_of(b);

    cuda_push(c, &(struct cuda_op){.kind = CUDA_ROPE,
                                   .y = qkv_d,
                                   .x = qkv_d,
                                   .n = s->n,
                                   .attn = attn_of(c, a),
                                   .kv = kv_of(kv),
                                   .layer = layer});
}

static void attn(struct backend *b, float *y_d, const float *qkv_d, const struct attn_shape *a,
                 const struct kv_pages *kv, int layer, const struct step *s)
{
    struct cuda *c = cuda_of(b);
    struct cuda_attn v = attn_of(c, a);
    struct cuda_kv k = kv_of(kv);
    struct cuda_op op = {.kind = CUDA_ATTN,
                         .y = y_d,
                         .x = qkv_d,
                         .n = s->n,
                         .dim = v.n_heads * v.head_dim,
                         .attn = v,
                         .kv = k,
                         .layer = layer};

    if (!cuda_ready(c, s->n) || !cuda_grow(c, &c->attn, cuda_attn_bytes(&v, s->n, c->now.n_ranges)))
        return;
    if (c->now.n_tails) {
        if (!cuda_grow(c, &c->tails,
                       cuda_tails_bytes(k.n_kv_heads, k.head_dim, k.type, c->now.n_tails)))
            return;
        c->now.tails = c->tails.p;
        cuda_tails(&k, layer, &c->now, c->stream);
    }
    cuda_push(c, &op);
}

static void glu(struct backend *b, float *y_d, const float *gu_d, const struct ffn_shape *f, int n)
{
    cuda_push(cuda_of(b), &(struct cuda_op){.kind = CUDA_GLU,
                                            .y = y_d,
                                            .x = gu_d,
                                            .n = n,
                                            .dim = f->dim,
                                            .gated = f->gated,
                                            .act = (int)f->act});
}

static void gather(struct backend *b, float *y_d, const float *x_d, const struct step *s, int dim)
{
    struct cuda *c = cuda_of(b);

    if (cuda_ready(c, s->n_out))
        cuda_gather(y_d, x_d, &c->now, dim, c->stream);
}

static void softcap(struct backend *b, float *x_d, float cap, int n, int dim)
{
    struct cuda *c = cuda_of(b);

    if (cuda_ready(c, n))
        cuda_softcap(x_d, cap, (size_t)n * (size_t)dim, c->stream);
}

static void copy(struct backend *b, const struct kv_pages *kv, int dst, int src)
{
    struct cuda *c = cuda_of(b);
    struct cuda_kv k = kv_of(kv);

    if (cuda_ready(c, 1))
        cuda_copy_page(&k, dst, src, c->stream);
}

_Static_assert((int)BACKEND_TREE == CUDA_TREE && (int)BACKEND_PAGE == CUDA_PAGE, "as cuda.h says");

static void move(struct backend *b, const struct kv_pages *kv, const struct kv_place *dst,
                 const struct kv_place *src, int n)
{
    struct cuda *c = cuda_of(b);
    struct cuda_kv k = kv_of(kv);
    int32_t to[CUDA_TREE], from[CUDA_TREE];

    for (int i = 0; i < n; i++) {
        to[i] = dst[i].page * CUDA_PAGE + dst[i].at;
        from[i] = src[i].page * CUDA_PAGE + src[i].at;
    }
    if (cuda_ready(c, n))
        cuda_move(&k, to, from, n, c->stream);
}

static void cuda_close(struct backend *b)
{
    struct cuda *c = cuda_of(b);
    struct err e;

    cuda_load_drop(c);
    cuda_load_wait(c, &e);
    cudaStreamSynchronize(c->stream);
    cuda_graphs_drop(c);
    cuda_step_close(c);
    cuda_blas_close(c);
    for (struct cuda_rows *r = c->rows, *next; r; r = next) {
        next = r->next;
        cudaFree(r->memory);
        free(r);
    }
    for (struct cuda_table *t = c->tables, *next; t; t = next) {
        next = t->next;
        cudaFree(t->p);
        free(t);
    }
    for (int i = 0; i < CUDA_ACTS; i++)
        cudaFree(c->act[i].p);
    for (int i = 0; i < CUDA_TURNS; i++)
        cudaFree(c->angles[i].room.p);
    cudaFree(c->part.p);
    cudaFree(c->attn.p);
    cudaFree(c->tails.p);
    cudaFree(c->pick.p);
    cudaFreeHost(c->pinned);
    cudaStreamDestroy(c->stream);
    free(c);
}

static const struct backend_ops ops = {
    .name = "cuda",
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .weight = cuda_weight,
    .sync = cuda_sync,
    .available = cuda_available,
    .weight_bytes = cuda_weight_bytes,
    .work_bytes = cuda_work_bytes,
    .describe = cuda_describe,
    .fast = cuda_blas_open,
    .copy = copy,
    .move = move,
    .step_begin = cuda_step_begin,
    .step_end = cuda_step_end,
    .embed = embed,
    .norm = norm,
    .norm_add = norm_add,
    .linear = linear,
    .linear_add = linear_add,
    .rope_kv = rope_kv,
    .attn = attn,
    .glu = glu,
    .gather = gather,
    .softcap = softcap,
    .pick = cuda_pick_rows,
    .close = cuda_close,
};

/* Why there is no GPU to use. */
static int no_gpu(cudaError_t rc, struct err *e)
{
    int driver = 0, runtime = 0;

    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaGetLastError();
    if (!driver)
        return err_set(e, ERR_ARG, "no NVIDIA driver is installed");
    if (rc == cudaErrorInsufficientDriver)
        return err_set(e, ERR_ARG, "the NVIDIA driver is for CUDA %d.%d, this needs %d.%d",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (rc == cudaSuccess || rc == cudaErrorNoDevice)
        return err_set(e, ERR_ARG, "no NVIDIA GPU");
    return err_set(e, ERR_ARG, "no usable NVIDIA GPU: %s", cudaGetErrorString(rc));
}

static int open_device(struct cuda *c, int device, struct err *e)
{
    struct cudaDeviceProp p;
    cudaError_t rc;
    int n = 0;

    rc = cudaGetDeviceCount(&n);
    if (rc != cudaSuccess || n < 1)
        return no_gpu(rc, e);
    if (device < 0 || device >= n)
        return err_set(e, ERR_ARG, "no GPU %d: there %s %d", device, n == 1 ? "is" : "are", n);
    c->device = device;
    if (!cuda_ok(c, cudaSetDevice(device), "open") ||
        !cuda_ok(c, cudaGetDeviceProperties(&p, device), "open"))
        return failed(c, e);
    if (p.major < 8)
        return err_set(e, ERR_ARG, "%s has compute capability %d.%d: 8.0 or more is needed", p.name,
                       p.major, p.minor);
    c->sms = p.multiProcessorCount;
    memcpy(c->name, p.name, sizeof(c->name) - 1);
    snprintf(c->kind, sizeof(c->kind), "cuda %d.%d", p.major, p.minor);
    if (!cuda_ok(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream") ||
        !cuda_ok(c, cudaMallocHost(&c->pinned, CUDA_PINNED), "pinned memory"))
        return failed(c, e);
    return 0;
}

__attribute__((visibility("default"))) struct backend *llm_cuda_open(const struct backend_cuda *o,
                                                                     struct err *e);

struct backend *llm_cuda_open(const struct backend_cuda *o, struct err *e)
{
    struct cuda *c;

    if (o->version != BACKEND_CUDA_VERSION) {
        err_set(e, ERR_ARG, "is of another version of the program");
        return NULL;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(e, ERR_MEM, "no memory");
        return NULL;
    }
    c->most = -1;
    if (open_device(c, o->device, e)) {
        free(c);
        return NULL;
    }
    c->ops = ops;
    c->ops.name = c->kind; // tensor cores of another kind may sum half floats in another order
    c->b.ops = o->nvtx ? cuda_marked(&c->ops) : &c->ops;
    return &c->b;
}
