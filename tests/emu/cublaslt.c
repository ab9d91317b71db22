/* cublaslt.c - the few functions of cuBLASLt that kernels/cuda/blas.c calls, for the host: plain
 * loops over what the layouts say, which are checked as strictly as the library may. Wrong use
 * answers with a status; a product of layouts other than those it was chosen for ends the program.
 */
#include <cublasLt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

struct desc {
    int turn;
};

struct layout {
    cudaDataType type;
    uint64_t rows, cols;
    int64_t ld;
};

struct pref {
    size_t work;
    uint32_t align[4];
};

/* What an algorithm was chosen for, kept in its place. */
struct algo {
    struct layout a, b, d;
    uint32_t align[4];
    size_t work;
};

_Static_assert(sizeof(struct layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "it has the room");

PUBLIC cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
    *h = malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    free(h);
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t compute,
                                               cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *d = calloc(1, sizeof(struct desc));
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                                     cublasLtMatmulDescAttributes_t what,
                                                     const void *p, size_t n)
{
    cublasOperation_t op;

    if (what != CUBLASLT_MATMUL_DESC_TRANSA || n != sizeof(op))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(&op, p, n);
    ((struct desc *)(void *)d)->turn = op == CUBLAS_OP_T;
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
    free(d);
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType type,
                                                 uint64_t rows, uint64_t cols, int64_t ld)
{
    struct layout *k = calloc(1, sizeof(*k));

    *k = (struct layout){type, rows, cols, ld};
    *l = (void *)k;
    return ld < (int64_t)rows ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    free(l);
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    struct pref *k = calloc(1, sizeof(*k));

    *k = (struct pref){0, {256, 256, 256, 256}};
    *p = (void *)k;
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t what, const void *v,
    size_t n)
{
    struct pref *k = (void *)p;
    int i = (int)what - (int)CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;

    if (what == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && n == sizeof(k->work))
        memcpy(&k->work, v, n);
    else if (i >= 0 && i < 4 && n == sizeof(k->align[i]))
        memcpy(&k->align[i], v, n);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

/* D (m, n) = A^T (k, m) B (k, n): one shape of each that the backend uses. */
static int fits(const struct layout *a, const struct layout *b, const struct layout *d)
{
    return a->type == CUDA_R_16BF && b->type == CUDA_R_16BF && d->type == CUDA_R_32F &&
           a->rows == b->rows && a->cols == d->rows && b->cols == d->cols && a->ld % 8 == 0 &&
           b->ld % 8 == 0;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t h, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t y, cublasLtMatmulPreference_t p, int most,
    cublasLtMatmulHeuristicResult_t found[], int *n)
{
    const struct pref *pref = (void *)p;
    struct algo *k = calloc(1, sizeof(*k)); // for good: there are few
    void *at = k;

    *n = 0;
    if (!h || most < 1 || c != y || !((struct desc *)(void *)d)->turn ||
        !fits((void *)a, (void *)b, (void *)y))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(&k->a, a, sizeof(k->a));
    memcpy(&k->b, b, sizeof(k->b));
    memcpy(&k->d, y, sizeof(k->d));
    memcpy(k->align, pref->align, sizeof(k->align));
    k->work = pref->work;
    memset(&found[0], 0, sizeof(found[0]));
    memcpy(&found[0].algo, &at, sizeof(at));
    *n = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static float brain(uint16_t u)
{
    uint32_t w = (uint32_t)u << 16;
    float x;

    memcpy(&x, &w, sizeof(x));
    return x;
}

static void need(int is, const char *what)
{
    if (is)
        return;
    fprintf(stderr, "cublasLtMatmul: %s\n", what);
    exit(96);
}

PUBLIC cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t desc,
                                     const void *alpha, const void *pa, cublasLtMatrixLayout_t la,
                                     const void *pb, cublasLtMatrixLayout_t lb, const void *beta,
                                     const void *pc, cublasLtMatrixLayout_t lc, void *py,
                                     cublasLtMatrixLayout_t ly, const cublasLtMatmulAlgo_t *algo,
                                     void *work, size_t work_bytes, cudaStream_t s)
{
    const struct layout *a = (void *)la, *b = (void *)lb, *d = (void *)ly;
    const float one = *(const float *)alpha, add = *(const float *)beta;
    const uint16_t *x = pa, *w = pb;
    const struct algo *k;
    float *y = py;

    (void)h, (void)s;
    memcpy(&k, algo, sizeof(k));
    need(((struct desc *)(void *)desc)->turn && fits(a, b, d) && pc == py && lc == ly,
         "the layouts do not fit each other");
    need(!memcmp(a, &k->a, sizeof(*a)) && !memcmp(b, &k->b, sizeof(*b)) &&
             !memcmp(d, &k->d, sizeof(*d)),
         "not the layouts that it was chosen for");
    need((uintptr_t)pa % k->align[0] == 0 && (uintptr_t)pb % k->align[1] == 0 &&
             (uintptr_t)py % k->align[3] == 0 && work_bytes >= k->work && work,
         "not the alignment or the workspace that it was chosen for");
    for (uint64_t j = 0; j < d->cols; j++)
        for (uint64_t i = 0; i < d->rows; i++) {
            float *at = &y[j * (uint64_t)d->ld + i], sum = 0;

            for (uint64_t q = 0; q < a->rows; q++)
                sum += brain(x[i * (uint64_t)a->ld + q]) * brain(w[j * (uint64_t)b->ld + q]);
            *at = one * sum + (add != 0 ? add * *at : 0);
        }
    return CUBLAS_STATUS_SUCCESS;
}
