/* blas.c - products of prompts by cuBLAS (--fast): sooner, and not the same bytes for any batch. Of
 * half floats on Hopper there are none: half_wide.cu does them.
 *
 * cuBLASLt is opened at run time, and only when it is asked for. A matrix is written out as rows of
 * BF16, so many at a time as a scratch of fixed size holds, and multiplied; a bias, and what is
 * added to, stand in the result before. */
#include "device.h"
#include "fast.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>

enum { SCRATCH = 64 << 20, WORK = 32 << 20, PLANS = 32 };

/* How one shape is multiplied, as cuBLAS chose. */
struct plan {
    int rows, n, cols, ldy, align;
    bool add;
    cublasLtMatmulAlgo_t algo;
};

struct cuda_blas {
    void *so;
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    struct plan plan[PLANS];
    int n_plans, next;
    struct cuda_buf rows, act, work;
    struct {
        cublasStatus_t (*create)(cublasLtHandle_t *);
        cublasStatus_t (*destroy)(cublasLtHandle_t);
        cublasStatus_t (*desc_create)(cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t);
        cublasStatus_t (*desc_set)(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t,
                                   const void *, size_t);
        cublasStatus_t (*desc_destroy)(cublasLtMatmulDesc_t);
        cublasStatus_t (*layout_create)(cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t,
                                        int64_t);
        cublasStatus_t (*layout_destroy)(cublasLtMatrixLayout_t);
        cublasStatus_t (*pref_create)(cublasLtMatmulPreference_t *);
        cublasStatus_t (*pref_set)(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                   const void *, size_t);
        cublasStatus_t (*pref_destroy)(cublasLtMatmulPreference_t);
        cublasStatus_t (*heuristic)(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                    cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                    cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                                    cublasLtMatmulHeuristicResult_t[], int *);
        cublasStatus_t (*matmul)(cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *,
                                 cublasLtMatrixLayout_t, const void *, cublasLtMatrixLayout_t,
                                 const void *, const void *, cublasLtMatrixLayout_t, void *,
                                 cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *,
                                 size_t, cudaStream_t);
    } f;
};

static bool find(struct cuda_blas *b, const char *name, void *f, struct err *e)
{
    void *p = dlsym(b->so, name);

    memcpy(f, &p, sizeof(p));
    if (!p)
        err_set(e, ERR_ARG, "cuBLASLt has no function %s", name);
    return p != NULL;
}

static int open_library(struct cuda_blas *b, struct err *e)
{
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    const char *const *name = names;

#ifdef GPU_EMU // the twin of tests/emu
    const char *twin[] = {getenv("EMU_CUBLASLT"), NULL};

    name = twin;
#endif
    for (; *name && !b->so; name++)
        b->so = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
    if (!b->so)
        return err_set(e, ERR_ARG, "cannot open cuBLASLt: neither %s nor %s is found", names[0],
                       names[1]);
    return find(b, "cublasLtCreate", &b->f.create, e) &&
                   find(b, "cublasLtDestroy", &b->f.destroy, e) &&
                   find(b, "cublasLtMatmulDescCreate", &b->f.desc_create, e) &&
                   find(b, "cublasLtMatmulDescSetAttribute", &b->f.desc_set, e) &&
                   find(b, "cublasLtMatmulDescDestroy", &b->f.desc_destroy, e) &&
                   find(b, "cublasLtMatrixLayoutCreate", &b->f.layout_create, e) &&
                   find(b, "cublasLtMatrixLayoutDestroy", &b->f.layout_destroy, e) &&
                   find(b, "cublasLtMatmulPreferenceCreate", &b->f.pref_create, e) &&
                   find(b, "cublasLtMatmulPreferenceSetAttribute", &b->f.pref_set, e) &&
                   find(b, "cublasLtMatmulPreferenceDestroy", &b->f.pref_destroy, e) &&
                   find(b, "cublasLtMatmulAlgoGetHeuristic", &b->f.heuristic, e) &&
                   find(b, "cublasLtMatmul", &b->f.matmul, e)
               ? 0
               : -1;
}

int cuda_blas_open(struct backend *backend, struct err *e)
{
    struct cuda *c = cuda_of(backend);
    struct cuda_blas *b = calloc(1, sizeof(*b));
    const cublasOperation_t turn = CUBLAS_OP_T;

    if (!b)
        return err_set(e, ERR_MEM, "no memory");
    c->blas = b;
    if (open_library(b, e))
        return -1;
    if (b->f.create(&b->handle) || b->f.desc_create(&b->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) ||
        b->f.desc_set(b->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof(turn)))
        return err_set(e, ERR_ARG, "cuBLASLt does not start");
    return 0;
}

void cuda_blas_close(struct cuda *c)
{
    struct cuda_blas *b = c->blas;

    if (!b)
        return;
    if (b->desc)
        b->f.desc_destroy(b->desc);
    if (b->handle)
        b->f.destroy(b->handle);
    cudaFree(b->rows.p);
    cudaFree(b->act.p);
    cudaFree(b->work.p);
    if (b->so)
        dlclose(b->so);
    free(b);
}

static int padded(int cols)
{
    return (cols + 7) / 8 * 8;
}

size_t cuda_blas_bytes(const struct cuda *c, int n, int cols)
{
    return c->blas ? SCRATCH + WORK + (size_t)n * (size_t)padded(cols) * 2 : 0;
}

static bool blas_ok(struct cuda *c, cublasStatus_t rc, const char *what)
{
    if (rc == CUBLAS_STATUS_SUCCESS)
        return true;
    if (c->failed.code == ERR_NONE)
        err_set(&c->failed, ERR_IO, "GPU %d: cuBLASLt: %s: status %d", c->device, what, (int)rc);
    return false;
}

/* The largest power of two, up to 256, that y and its rows are aligned to. */
static int alignment(const float *y, int ldy)
{
    uintptr_t bits = (uintptr_t)y | (uintptr_t)ldy * sizeof(float) | 256;

    return (int)(bits & (~bits + 1));
}

static bool choose(struct cuda *c, struct plan *p, const cublasLtMatrixLayout_t layout[3])
{
    struct cuda_blas *b = c->blas;
    cublasLtMatmulPreference_t pref = NULL;
    cublasLtMatmulHeuristicResult_t found[1];
    const size_t work = WORK;
    const uint32_t align = (uint32_t)p->align, of_rows = 16;
    int n = 0;
    bool ok = blas_ok(c, b->f.pref_create(&pref), "preference");

    ok = ok &&
         blas_ok(c,
                 b->f.pref_set(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &work, sizeof(work)),
                 "workspace") &&
         blas_ok(c,
                 b->f.pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &of_rows,
                               sizeof(of_rows)),
                 "alignment") &&
         blas_ok(c,
                 b->f.pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &of_rows,
                               sizeof(of_rows)),
                 "alignment") &&
         blas_ok(
             c,
             b->f.pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align, sizeof(align)),
             "alignment") &&
         blas_ok(
             c,
             b->f.pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align, sizeof(align)),
             "alignment") &&
         blas_ok(c,
                 b->f.heuristic(b->handle, b->desc, layout[0], layout[1], layout[2], layout[2],
                                pref, 1, found, &n),
                 "choice");
    if (pref)
        b->f.pref_destroy(pref);
    if (ok && n < 1)
        return blas_ok(c, CUBLAS_STATUS_NOT_SUPPORTED, "choice");
    p->algo = found[0].algo;
    return ok;
}

static const struct plan *plan_of(struct cuda *c, const struct plan *p,
                                  const cublasLtMatrixLayout_t layout[3])
{
    struct cuda_blas *b = c->blas;
    struct plan *k;

    for (int i = 0; i < b->n_plans; i++) {
        k = &b->plan[i];
        if (k->rows == p->rows && k->n == p->n && k->cols == p->cols && k->ldy == p->ldy &&
            k->align == p->align && k->add == p->add)
            return k;
    }
    k = &b->plan[b->next];
    *k = *p;
    if (!choose(c, k, layout)) {
        *k = (struct plan){0};
        return NULL;
    }
    b->next = (b->next + 1) % PLANS;
    b->n_plans = b->n_plans < PLANS ? b->n_plans + 1 : PLANS;
    return k;
}

/* y = or += the rows at rows_d times the activations. Columns lie one after the other to cuBLAS:
 * its matrices are ours, transposed. */
static bool multiply(struct cuda *c, float *y, const void *rows_d, const struct plan *shape)
{
    struct cuda_blas *b = c->blas;
    cublasLtMatrixLayout_t layout[3] = {NULL};
    const float alpha = 1.0f, beta = shape->add ? 1.0f : 0.0f;
    uint64_t k = (uint64_t)shape->cols, rows = (uint64_t)shape->rows, n = (uint64_t)shape->n;
    const struct plan *p = NULL;
    bool ok =
        blas_ok(c, b->f.layout_create(&layout[0], CUDA_R_16BF, k, rows, shape->cols), "layout") &&
        blas_ok(c, b->f.layout_create(&layout[1], CUDA_R_16BF, k, n, shape->cols), "layout") &&
        blas_ok(c, b->f.layout_create(&layout[2], CUDA_R_32F, rows, n, shape->ldy), "layout");

#ifdef GPU_EMU // the twin knows no streams
    cudaStreamSynchronize(c->stream);
#endif
    ok = ok && (p = plan_of(c, shape, layout)) &&
         blas_ok(c,
                 b->f.matmul(b->handle, b->desc, &alpha, rows_d, layout[0], b->act.p, layout[1],
                             &beta, y, layout[2], y, layout[2], &p->algo, b->work.p, WORK,
                             c->stream),
                 "product");
    for (int i = 0; i < 3; i++)
        if (layout[i])
            b->f.layout_destroy(layout[i]);
    return ok;
}

bool cuda_blas_act(struct cuda *c, const float *x, int n, int cols)
{
    struct cuda_blas *b = c->blas;

    if (!cuda_grow(c, &b->rows, SCRATCH) || !cuda_grow(c, &b->work, WORK) ||
        !cuda_grow(c, &b->act, (size_t)n * (size_t)padded(cols) * 2))
        return false;
    cuda_fast_act(b->act.p, x, n, cols, padded(cols), c->stream);
    return true;
}

void cuda_blas_product(struct cuda *c, float *y, int ldy, bool add, const struct cuda_matrix *m,
                       int n)
{
    struct cuda_blas *b = c->blas;
    int ld = padded(m->cols), unit = matrix_unit(m), most = SCRATCH / 2 / ld / unit * unit;

    if (most < unit) {
        err_set(&c->failed, ERR_ARG, "--fast: rows of %d values are too long", m->cols);
        return;
    }
    y += m->row0;
    if (m->bias)
        cuda_fast_bias(y, ldy, m->bias, n, m->rows, add, c->stream);
    for (int first = 0; first < m->rows; first += most) {
        const int rows = m->rows - first < most ? m->rows - first : most, half = matrix_halves(m);
        float *to = y + (first >> half);
        struct plan p = {.rows = rows >> half,
                         .n = n,
                         .cols = ld,
                         .ldy = ldy,
                         .align = alignment(to, ldy),
                         .add = add || m->bias};

        cuda_fast_rows(b->rows.p, m, first, rows, ld, c->stream);
        if (!multiply(c, to, b->rows.p, &p))
            return;
        if (!half)
            continue;
        to += m->apart;
        p.align = alignment(to, ldy);
        if (!multiply(c, to, (uint16_t *)b->rows.p + (size_t)p.rows * (size_t)ld, &p))
            return;
    }
}
#else
int cuda_blas_open(struct backend *b, struct err *e)
{
    (void)b;
    return err_set(e, ERR_ARG, "this build has no cuBLAS: its header was not found");
}

void cuda_blas_close(struct cuda *c)
{
    (void)c;
}

size_t cuda_blas_bytes(const struct cuda *c, int n, int cols)
{
    (void)c, (void)n, (void)cols;
    return 0;
}

bool cuda_blas_act(struct cuda *c, const float *x, int n, int cols)
{
    (void)c, (void)x, (void)n, (void)cols;
    return false;
}

void cuda_blas_product(struct cuda *c, float *y, int ldy, bool add, const struct cuda_matrix *m,
                       int n)
{
    (void)c, (void)y, (void)ldy, (void)add, (void)m, (void)n;
}
#endif
