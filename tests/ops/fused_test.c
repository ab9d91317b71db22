/* fused_test.c - ops behind each other, as forward has them: what a device does in one kernel, and
 * what it replays, gives the bytes of the CPU's ops one by one. */
#include "ops.h"
#include "quant.h"
#include "tensor.h"

enum { DIM = 512, FFN = 768, TOKENS = 64 };

struct part {
    struct backend *b;
    struct weight up, down;
    struct norm_weight norm;
    float *x, *h, *gu;
};

/* A matrix of a type, from random floats where that is easy, from random blocks otherwise. */
static void *rows(struct ops *o, enum tensor_type t, int n, int cols)
{
    size_t bytes = tensor_row_bytes(t, cols) * (size_t)n, block = tensor_block_bytes(t);
    uint8_t *p = mem_new(bytes);
    uint16_t d = quant_to_f16(0.01f);

    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)ops_bits(o);
    for (size_t i = 0; i < bytes; i += block) {
        if (t == T_BF16)
            p[i + 1] &= 0xbc; // below 2^-6
        else
            memcpy(p + i + (t == T_Q6_K ? 208 : 0), &d, 2);
        if (t == T_Q4_K || t == T_Q4_1)
            memcpy(p + i + 2, &d, 2);
    }
    return p;
}

static float *make(struct backend *b, const float *x, size_t n)
{
    void *p;
    struct err e;

    CHECK(b->ops->alloc(b, n * sizeof(*x), &p, &e) == 0);
    if (x)
        CHECK(b->ops->upload(b, p, x, n * sizeof(*x), &e) == 0);
    return p;
}

static void open_part(struct part *p, struct backend *b, const struct weight *up,
                      const struct weight *down, const float *w, enum norm_kind kind)
{
    struct err e;

    *p = (struct part){.b = b, .up = *up, .down = *down};
    CHECK(b->ops->weight(b, &p->up, &e) == 0 && b->ops->weight(b, &p->down, &e) == 0);
    p->norm = (struct norm_weight){kind, 1e-5f, make(b, w, DIM),
                                   kind == NORM_LAYER ? make(b, w + DIM, DIM) : NULL};
    p->x = make(b, NULL, TOKENS * DIM);
    p->h = make(b, NULL, TOKENS * FFN);
    p->gu = make(b, NULL, TOKENS * 2 * FFN);
}

/* x += W act(W norm x), twice over, as two steps of a program. */
static void run(struct part *p, const float *x, int n, const void *program, float *y)
{
    static const int32_t zero[TOKENS];
    const struct backend_ops *o = p->b->ops;
    struct ffn_shape f = {FFN, 1, FFN_SILU};
    struct step s = {.n = n, .token = zero, .pos = zero, .seq = zero, .page = zero, .out = zero};
    size_t bytes = (size_t)n * DIM * sizeof(*x);
    struct err e;

    s.program = program;
    CHECK(o->upload(p->b, p->x, x, bytes, &e) == 0);
    for (int i = 0; i < 2; i++) {
        int rc = o->step_begin(p->b, &s, &e);

        CHECK(rc >= 0);
        if (rc == STEP_RUN) {
            o->norm(p->b, p->h, p->x, &p->norm, n, DIM);
            o->linear(p->b, p->gu, &p->up, p->h, n);
            o->glu(p->b, p->h, p->gu, &f, n);
            o->linear_add(p->b, p->x, &p->down, p->h, n);
        }
        CHECK(o->step_end(p->b, &e) == 0);
    }
    CHECK(o->download(p->b, y, p->x, bytes, &e) == 0);
}

static void test_type(struct ops *o, struct backend *device, enum tensor_type t)
{
    static const int counts[] = {1, 3, 8, 33, 64};
    static const char program[2];
    struct weight up = {.rows = 2 * FFN, .cols = DIM, .n_parts = 1};
    struct weight down = {.rows = DIM, .cols = FFN, .n_parts = 1};
    float *w = ops_floats(o, 2 * DIM), *x = ops_floats(o, TOKENS * DIM);
    float *y = mem_new(TOKENS * DIM * sizeof(*y)), *z = mem_new(TOKENS * DIM * sizeof(*z));
    enum norm_kind kind = t == T_Q4_0 ? NORM_LAYER : NORM_RMS;
    struct part host, gpu;

    TEST(tensor_type_name(t));
    up.part[0] = (struct weight_part){.type = t, .rows = up.rows, .host = rows(o, t, 2 * FFN, DIM)};
    down.part[0] = (struct weight_part){.type = t, .rows = DIM, .host = rows(o, t, DIM, FFN)};
    open_part(&host, o->b[0], &up, &down, w, kind);
    open_part(&gpu, device, &up, &down, w, kind);
    for (int i = 0; i < 5; i++) {
        size_t n = (size_t)counts[i] * DIM;

        run(t == T_BF16 ? &gpu : &host, x, t == T_BF16 ? TOKENS : counts[i], NULL, y);
        for (int use = 0; use < 3; use++) { // as it is, recorded, replayed
            run(&gpu, x, counts[i], &program[t % 2], z);
            CHECK(ops_differs(y, z, n) < 0);
        }
        run(&gpu, x, counts[i], NULL, z);
        CHECK(ops_differs(y, z, n) < 0);
    }
    device->ops->sync(device);
    free(x), free(y), free(z), free(w);
}

int main(void)
{
    static const enum tensor_type types[] = {T_Q8_0, T_Q4_0, T_Q4_1, T_Q4_K, T_Q6_K, T_BF16};
    struct ops o;

    ops_open(&o);
    for (int i = 0; i < 6 && o.n > 1; i++) {
        struct backend *b = ops_skip(&o) ? NULL
                            : o.device   ? mirror_device(getenv("LLM_TEST_DEVICE"))
                                         : backend_cpu_open(2, ISA_AUTO, NULL);

        if (b)
            test_type(&o, b, types[i]); // its program is its own: of one backend
        backend_close(b);
    }
    ops_close(&o);
    return test_end();
}
