/* many_test.c - products of many tokens by every way to cut them, whichever would be chosen: the
 * CPU's bytes; with rows in pairs, and their nonlinearity in the product's place, too. */
#include "../ops/random_rows.h"
#include "gpu_test.h"
#include "matrix.h"

static const enum tensor_type types[] = {T_Q8_0, T_Q4_0, T_Q4_1, T_Q5_0,   T_Q5_1,  T_Q2_K, T_Q3_K,
                                         T_Q4_K, T_Q5_K, T_Q6_K, T_IQ4_NL, T_MXFP4, T_NVFP4};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

struct problem {
    int rows, cols, n;
    float *x, *y, *glu, *bias; // y, glu: what the CPU gives
    struct cuda_matrix m;
    struct cuda_act a;
    void *memory, *raw, *x_d, *y_d, *acts;
};

static void by_cpu(struct ops *o, struct problem *p, int type, const uint8_t *rows)
{
    struct backend *b = o->b[0];
    struct weight w = {.rows = p->rows, .cols = p->cols, .n_parts = 1};
    struct step s = {.n = p->n};
    struct ffn_shape f = {p->rows / 2, 1, (enum ffn_act)(p->n % 4)};
    struct err e;

    w.part[0] = (struct weight_part){
        .type = (enum tensor_type)type, .rows = p->rows, .host = rows, .bias = p->bias};
    CHECK(b->ops->weight(b, &w, &e) == 0);
    ops_begin(b, &s);
    b->ops->linear(b, p->y, &w, p->x, p->n);
    if (p->m.apart)
        b->ops->glu(b, p->glu, p->y, &f, p->n);
    ops_end(b);
}

static void open_problem(struct ops *o, struct problem *p, int type, int rows, int pairs, int cols,
                         int n)
{
    const struct matrix_planes z = matrix_planes(type, cols);
    const size_t panels = ((size_t)rows + 15) / 16, raw = tensor_row_bytes(type, cols);
    const size_t all = (z.low + z.high + z.scale + z.min) * panels;
    const int block = matrix_format(type).block;
    uint8_t *host = random_rows(o, (enum tensor_type)type, rows, cols), *at;

    *p = (struct problem){.rows = rows, .cols = cols, .n = n};
    p->x = ops_floats(o, (size_t)n * (size_t)cols);
    p->bias = ops_floats(o, (size_t)rows);
    p->y = mem_new((size_t)n * (size_t)rows * sizeof(*p->y));
    p->glu = mem_new((size_t)n * (size_t)rows * sizeof(*p->y));
    p->m = (struct cuda_matrix){.type = type, .rows = rows, .cols = cols};
    p->m.apart = pairs ? rows / 2 : 0;
    by_cpu(o, p, type, host + 1);
    p->memory = at = gpu_alloc(all);
    GPU(cudaMemset(at, 0, all));
    p->m.low = at;
    p->m.high = at + z.low * panels;
    p->m.scale = p->m.high + z.high * panels;
    p->m.min = p->m.scale + z.scale * panels;
    p->m.bias = gpu_put(p->bias, (size_t)rows * 4);
    p->raw = gpu_put(host + 1, raw * (size_t)rows);
    cuda_repack(&p->m, p->raw, 0, rows, NULL);
    p->x_d = gpu_put(p->x, (size_t)n * (size_t)cols * 4);
    p->acts = gpu_alloc(cuda_act_bytes(n, cols, block == 16 ? 32 : block));
    p->a = cuda_act_place(p->acts, n, cols, block == 16 ? 32 : block);
    cuda_act_quantize(&p->a, p->x_d, NULL);
    p->y_d = gpu_alloc((size_t)n * (size_t)rows * 4);
    free(host);
}

static void close_problem(struct problem *p)
{
    gpu_free(p->m.bias);
    gpu_free(p->memory);
    gpu_free(p->raw);
    gpu_free(p->x_d);
    gpu_free(p->y_d);
    gpu_free(p->acts);
    free(p->x);
    free(p->y);
    free(p->glu);
    free(p->bias);
}

/* By every cut, for GPUs of some numbers of multiprocessors and with more or less shared memory:
 * few of them have several jobs each, and less memory means fewer stages and fewer rows at a time.
 */
static void check(struct ops *o, int type, int rows, int pairs, int cols, int n)
{
    struct problem p;
    const size_t size = (size_t)n * (size_t)rows;
    float *y = mem_new(size * sizeof(*y));

    if (ops_skip(o)) {
        free(y);
        return;
    }
    open_problem(o, &p, type, rows, pairs, cols, n);
    for (int i = 0; i < 2 * MANY_CUTS; i++) {
        const struct many_way way = {.sms = i % 3 == n % 3 ? 1
                                            : i % 3 == 1   ? 2
                                                           : 132,
                                     .shared = i < MANY_CUTS ? 0 : 99 << 10,
                                     .cut = i % MANY_CUTS};

        GPU(cudaMemset(p.y_d, 0xff, size * 4));
        CHECK(cuda_linear_many_by(&way, p.y_d, rows, false, &p.m, &p.a, NULL) == way.cut);
        gpu_get(y, p.y_d, size * 4);
        CHECK(ops_differs(p.y, y, size) < 0);
        if (!pairs)
            continue;
        struct cuda_matrix m = p.m;
        m.glu = (struct cuda_glu){.y = p.y_d, .act = n % 4};
        GPU(cudaMemset(p.y_d, 0xff, size * 4));
        cuda_linear_many_by(&way, NULL, rows, false, &m, &p.a, NULL);
        gpu_get(y, p.y_d, size / 2 * 4);
        CHECK(ops_differs(p.glu, y, size / 2) < 0);
    }
    close_problem(&p);
    free(y);
}

int main(void)
{
    struct ops o = {.random = 1, .parts = 1};
    struct err e;

    if (gpu_begin())
        return 2;
    if (getenv("LLM_TEST_PART"))
        sscanf(getenv("LLM_TEST_PART"), "%d/%d", &o.part, &o.parts);
    o.b[0] = backend_cpu_open(1, ISA_SCALAR, &e);
    for (int i = 0; i < N_TYPES; i++) {
        const int block = tensor_block(types[i]);

        TEST(tensor_type_name(types[i]));
        check(&o, types[i], ops_pick(&o, 1, 40), 0, block == 256 ? 256 : block * ops_pick(&o, 1, 9),
              ops_pick(&o, 9, 30));
        check(&o, types[i], ops_pick(&o, 100, 200), 0, block == 256 ? 512 : 64 * ops_pick(&o, 7, 9),
              ops_pick(&o, 60, 70));
        check(&o, types[i], ops_pick(&o, 30, 60), 0, 768, ops_pick(&o, 120, 140));
        check(&o, types[i], 16 * ops_pick(&o, 1, 4), 1, 256, 20 + i);
    }
    backend_close(o.b[0]);
    return test_end();
}
