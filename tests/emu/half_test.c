/* half_test.c - products with F16 and BF16 weights: every plan of blocks for more than eight tokens
 * gives the bytes of the kernel for up to eight; those of half_wide.cu as well, for sm_90a. Where
 * rows are in pairs, the nonlinearity in their place gives those of its own kernel. */
#include "gpu_test.h"
#include "half.h"

enum { MOST = 200, SMS = 4 };

struct problem {
    struct cuda_matrix m;
    int n;
    bool add;
    float *x, *y0, *y;          // (n, cols), (n, rows) to add to, (n, rows)
    void *w_d, *bias_d, *act_d; // half.h's matrix.h
    float *x_d, *y_d, *part_d;
};

static void fill(struct ops *o, struct problem *p, int type, int rows, int cols, int n)
{
    const size_t bytes = matrix_planes(type, cols).low * (size_t)((rows + 15) / 16);
    uint16_t *w = mem_new(bytes);
    float *bias = ops_floats(o, (size_t)rows);

    for (size_t i = 0; i < bytes / 2; i++) { // exponents around 1, of either sign
        const uint32_t r = (uint32_t)ops_bits(o);

        w[i] = (uint16_t)(type == 30 ? (r & 0x81ff) | 0x3e00 : (r & 0x8fff) | 0x3000);
    }
    p->n = n;
    p->add = ops_bits(o) % 2;
    p->x = ops_floats(o, (size_t)n * (size_t)cols);
    p->y0 = ops_floats(o, (size_t)n * (size_t)rows);
    p->y = mem_new((size_t)n * (size_t)rows * 4);
    p->w_d = gpu_put(w, bytes);
    p->bias_d = gpu_put(bias, (size_t)rows * 4);
    p->act_d = gpu_alloc(cuda_act_bytes(n, cols, 1));
    p->x_d = gpu_put(p->x, (size_t)n * (size_t)cols * 4);
    p->y_d = gpu_alloc((size_t)n * (size_t)rows * 4);
    p->m = (struct cuda_matrix){.type = type, .rows = rows, .cols = cols, .low = p->w_d};
    p->m.bias = ops_bits(o) % 2 ? p->bias_d : NULL;
    free(bias);
    free(w);
}

static void drop(struct problem *p)
{
    gpu_free(p->w_d);
    gpu_free(p->bias_d);
    gpu_free(p->act_d);
    gpu_free(p->x_d);
    gpu_free(p->y_d);
    free(p->x);
    free(p->y0);
    free(p->y);
}

static void clear(struct problem *p)
{
    GPU(cudaMemcpy(p->y_d, p->y0, (size_t)p->n * (size_t)p->m.rows * 4, cudaMemcpyHostToDevice));
}

/* Eight tokens at a time. */
static void by_few(struct problem *p)
{
    const struct cuda_head head = {.kind = CUDA_HEAD_NONE};

    clear(p);
    for (int t = 0; t < p->n; t += 8) {
        const int n = p->n - t < 8 ? p->n - t : 8;
        const struct cuda_act a = cuda_act_place(p->act_d, n, p->m.cols, 1);

        cuda_act_half(&a, p->x_d + (size_t)t * (size_t)p->m.cols, p->m.type, 0);
        cuda_linear_half_few(p->y_d + (size_t)t * (size_t)p->m.rows, p->m.rows, p->add, &p->m, &a,
                             &head, SMS, 0);
    }
    gpu_get(p->y, p->y_d, (size_t)p->n * (size_t)p->m.rows * 4);
}

/* The nonlinearity of the product's pairs, in its own kernel and in the product's. */
static void glu_by_plan(struct problem *p, const struct half_plan *plan)
{
    const int dim = p->m.rows / 2, act = p->n % 4, leave = dim % 64 == 0;
    const size_t size = (size_t)p->n * (size_t)dim, part = cuda_half_part(plan, &p->m, p->n),
                 bytes = leave ? cuda_act_bytes(p->n, dim, 1) : 1;
    const struct cuda_act a = cuda_act_place(p->act_d, p->n, p->m.cols, 1);
    void *part_d = gpu_alloc(part), *y_d[2], *act_d[2];
    uint8_t *y[2], *acts[2];

    for (int i = 0; i < 2; i++) {
        struct cuda_matrix m = p->m;

        y[i] = mem_new(size * 4), acts[i] = mem_new(bytes);
        y_d[i] = gpu_alloc(size * 4), act_d[i] = gpu_alloc(bytes);
        GPU(cudaMemset(act_d[i], 0, bytes)); // columns beyond the last token mean nothing
        m.glu = (struct cuda_glu){.y = y_d[i], .act = act};
        if (leave)
            m.glu.a = cuda_act_place(act_d[i], p->n, dim, 1);
        cuda_act_half(&a, p->x_d, p->m.type, 0);
        cuda_half_run(plan, p->y_d, p->m.rows, false, i ? &m : &p->m, &a, part_d, 0);
        if (!i)
            cuda_glu(y_d[0], p->y_d, p->n, dim, 1, act, leave ? &m.glu.a : NULL, 0);
        gpu_get(y[i], y_d[i], size * 4);
        gpu_get(acts[i], act_d[i], bytes);
        gpu_free(y_d[i]);
        gpu_free(act_d[i]);
    }
    CHECK(memcmp(y[0], y[1], size * 4) == 0);
    CHECK(!leave || memcmp(acts[0], acts[1], bytes) == 0);
    for (int i = 0; i < 2; i++)
        free(y[i]), free(acts[i]);
    gpu_free(part_d);
}

static void by_plan(struct problem *p, const struct half_plan *plan)
{
    const size_t size = (size_t)p->n * (size_t)p->m.rows, part = cuda_half_part(plan, &p->m, p->n);
    const struct cuda_act a = cuda_act_place(p->act_d, p->n, p->m.cols, 1);
    float *y = mem_new(size * 4);
    void *part_d = gpu_alloc(part);

    clear(p);
    cuda_act_half(&a, p->x_d, p->m.type, 0);
    cuda_half_run(plan, p->y_d, p->m.rows, p->add, &p->m, &a, part_d, 0);
    gpu_get(y, p->y_d, size * 4);
    CHECK(ops_differs(p->y, y, size) < 0);
    if (ops_differs(p->y, y, size) >= 0)
        printf("# %s: %d tokens, %d x %d: tiles %d, across %d, warps %d, turn %d, split %d, stages "
               "%d\n",
               plan->wide ? "wide" : "narrow", p->n, p->m.rows, p->m.cols, plan->tiles,
               plan->across, plan->warps, plan->turn, plan->split, plan->stages);
    gpu_free(part_d);
    free(y);
    if (matrix_halves(&p->m))
        glu_by_plan(p, plan);
}

/* Few blocks, so that each takes several pieces; and the plan that would be used. */
static void by_wide(struct ops *o, struct problem *p)
{
    static const int shapes[][2] = {{1, 1}, {2, 1}, {3, 1}, {1, 2}, {1, 4}};
    struct half_plan plan;

    if (!cuda_half_wide_plan(&plan, &p->m, p->n, 132))
        return;
    by_plan(p, &plan);
    for (int i = 0; i < (int)(sizeof(shapes) / sizeof(*shapes)); i++) {
        plan.tiles = 8 * shapes[i][0];
        plan.split = shapes[i][1];
        plan.blocks = plan.split * ops_pick(o, 1, 3);
        plan.stages = ops_pick(o, 2, 5);
        by_plan(p, &plan);
    }
}

/* apart: of pairs, cuda_matrix */
static void check(struct ops *o, int type, int rows, int apart, int cols, int n)
{
    struct problem p;
    struct half_plan plan;

    if (ops_skip(o))
        return;
    fill(o, &p, type, rows, cols, n);
    p.m.apart = apart;
    by_few(&p);
    plan = cuda_half_plan(&p.m, n, SMS);
    by_plan(&p, &plan);
    plan = cuda_half_plan(&p.m, n, 132);
    by_plan(&p, &plan);
    plan.stages = ops_pick(o, 3, plan.stages); // what fits into shared memory
    plan.warps = plan.across * ops_pick(o, 1, plan.warps / plan.across);
    plan.turn = ops_pick(o, 1, (cols + 511) / 512);
    by_plan(&p, &plan);
    by_wide(o, &p);
    drop(&p);
}

static void test_type(struct ops *o, int type)
{
    static const int counts[] = {9, 16, 17, 32, 33, 64, 65, 130, MOST};

    TEST(type == 30 ? "BF16: all plans" : "F16: all plans");
    for (int i = 0; i < (int)(sizeof(counts) / sizeof(*counts)); i++) {
        const int cols = i % 3 == 0   ? ops_pick(o, 1, 600)
                         : i % 3 == 1 ? 64 * ops_pick(o, 8, 24)
                                      : 512 * ops_pick(o, 1, 4);

        const int half = i % 2 ? 64 * ops_pick(o, 1, 3) : 8 * ops_pick(o, 1, 20);

        check(o, type, ops_pick(o, 1, 300), 0, cols, counts[i]);
        check(o, type, 2 * half, half, cols, counts[i]);
        if (i % 3 == 0)
            check(o, type, 48 * ops_pick(o, 2, 6), i % 2 ? 1 : 24, cols, counts[i]);
    }
}

int main(void)
{
    struct ops o = {.random = 1, .parts = 1};
    int rc = gpu_begin();

    if (rc)
        return rc;
    if (getenv("LLM_TEST_PART"))
        sscanf(getenv("LLM_TEST_PART"), "%d/%d", &o.part, &o.parts);
    test_type(&o, 1);
    test_type(&o, 30);
    return test_end();
}
