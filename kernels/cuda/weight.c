/* weight.c - weights in device memory: parts of a type in one matrix, the same rows once. */
#include "device.h"
#include "tensor.h"

#include <stdlib.h>

/* Parts from i on that lie in one matrix: of one type, each but the last of whole panels. */
static int run_of(const struct weight *w, int i)
{
    int n = 1;

    while (i + n < w->n_parts && w->part[i + n].type == w->part[i].type &&
           w->part[i + n - 1].rows % MATRIX_ROWS == 0 && !w->part[i + n].bias == !w->part[i].bias)
        n++;
    return n;
}

/* How far apart the rows of pairs are in the matrix of the n parts from i on; 0: there are none. */
static int apart_of(const struct weight *w, int i, int n)
{
    const struct weight_part *p = &w->part[i];
    const int each = 2 * w->pairs;

    if (!each || p->type == T_F32)
        return 0;
    if (w->rows == each) // halves
        return w->pairs % 8 == 0 && n == w->n_parts && (n == 1 || (n == 2 && p->rows == w->pairs))
                   ? w->pairs
                   : 0;
    if (each % MATRIX_ROWS && MATRIX_ROWS % each)
        return 0;
    for (int k = 0; k < n; k++)
        if (p[k].rows % each || p[k].rows % MATRIX_ROWS)
            return 0;
    return w->pairs;
}

static size_t up(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* Memory for `rows` rows, and where each plane is. */
static int place(struct cuda *c, struct cuda_rows *r, bool bias, struct err *e)
{
    struct matrix_planes p = matrix_planes(r->m.type, r->m.cols);
    size_t n = ((size_t)r->m.rows + MATRIX_ROWS - 1) / MATRIX_ROWS, at = 0;
    const uint8_t **plane[4] = {&r->m.low, &r->m.high, &r->m.scale, &r->m.min};
    size_t bytes[4] = {n * p.low, n * p.high, n * p.scale, n * p.min};
    size_t all = up(bytes[0]) + up(bytes[1]) + up(bytes[2]) + up(bytes[3]);
    cudaError_t rc = cudaMalloc(&r->memory, all + (bias ? (size_t)r->m.rows * 4 : 0));

    if (rc != cudaSuccess)
        return err_set(e, ERR_MEM, "GPU %d: no memory for weights of %zu bytes: %s", c->device, all,
                       cudaGetErrorString(rc));
    for (int i = 0; i < 4; at += up(bytes[i++]))
        *plane[i] = (uint8_t *)r->memory + at;
    if (bias)
        r->m.bias = (const float *)(const void *)((uint8_t *)r->memory + at);
    return 0;
}

/* Parts [i, i + n) of w into one matrix. */
static struct cuda_rows *upload(struct cuda *c, const struct weight *w, int i, int n, struct err *e)
{
    const struct weight_part *p = &w->part[i];
    const size_t row_bytes = tensor_row_bytes(p->type, w->cols);
    struct cuda_rows *r = calloc(1, sizeof(*r));
    int first = 0;

    if (!r) {
        err_set(e, ERR_MEM, "no memory");
        return NULL;
    }
    *r = (struct cuda_rows){.next = c->rows, .host = p->host, .parts = n};
    c->rows = r; // freed with the backend, also when what follows fails
    r->m = (struct cuda_matrix){.type = (int)p->type, .cols = w->cols};
    for (int k = 0; k < n; k++)
        r->m.rows += p[k].rows;
    r->m.apart = apart_of(w, i, n);
    if (place(c, r, p->bias != NULL, e))
        return NULL;
    if (matrix_halves(&r->m) &&
        cuda_load(c, &r->m, p->host,
                  n == 2 ? p[1].host : (const uint8_t *)p->host + (size_t)w->pairs * row_bytes,
                  row_bytes, 0, r->m.rows, e))
        return NULL;
    for (int k = 0; k < n; first += p[k++].rows) {
        if (!matrix_halves(&r->m) &&
            cuda_load(c, &r->m, p[k].host, NULL, row_bytes, first, p[k].rows, e))
            return NULL;
        if (p->bias && c->b.ops->upload(&c->b, (void *)(uintptr_t)(r->m.bias + first), p[k].bias,
                                        (size_t)p[k].rows * sizeof(float), e))
            return NULL;
    }
    return r;
}

/* The same rows, if they are there already. */
static struct cuda_rows *find(const struct cuda *c, const struct weight *w, int i, int n)
{
    int rows = 0;

    for (int k = i; k < i + n; k++)
        rows += w->part[k].rows;
    for (struct cuda_rows *r = c->rows; r; r = r->next)
        if (r->host == w->part[i].host && r->parts == n && r->m.rows == rows &&
            r->m.cols == w->cols && r->m.type == (int)w->part[i].type &&
            r->m.apart == apart_of(w, i, n) && !w->part[i].bias && !r->m.bias)
            return r;
    return NULL;
}

int cuda_weight(struct backend *b, struct weight *w, struct err *e)
{
    struct cuda *c = cuda_of(b);
    int rows = 0;

    for (int i = 0; i < w->n_parts; rows += w->part[i++].rows) {
        int block = tensor_block(w->part[i].type);
        const char *name = tensor_type_name(w->part[i].type);

        if (!matrix_format((int)w->part[i].type).block)
            return err_set(e, ERR_ARG, "weights of type %s are not supported on a GPU",
                           name ? name : "unknown");
        if (w->cols < 1 || w->cols % block)
            return err_set(e, ERR_ARG, "rows of %d values: not a multiple of %s's block of %d",
                           w->cols, name, block);
    }
    if (rows != w->rows)
        return err_set(e, ERR_ARG, "%d rows in parts of %d rows", w->rows, rows);
    for (int i = 0, n; i < w->n_parts; i += n) {
        struct cuda_rows *r;

        n = run_of(w, i);
        r = find(c, w, i, n);
        if (!r && !(r = upload(c, w, i, n, e)))
            return -1;
        for (int k = i; k < i + n; k++)
            w->part[k].w_d = k == i ? r : NULL;
    }
    return 0;
}
