/* cpu.c - the CPU backend: its table of operations, memory, choice of instruction set. */
#include "cpu.h"

#include "mem.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages come zeroed and only when they are touched. */
static int cpu_alloc(struct backend *b, size_t bytes, void **out, struct err *e)
{
    void *p;

    (void)b;
    bytes = bytes ? bytes : 1;
    p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    if (p == MAP_FAILED)
        return err_set(e, ERR_MEM, "cannot reserve %zu MiB: %s", bytes >> 20, strerror(errno));
    *out = p;
    return 0;
}

static void cpu_free(struct backend *b, void *p, size_t bytes)
{
    (void)b;
    if (p)
        munmap(p, bytes ? bytes : 1);
}

static int cpu_load(struct backend *b, void *dst, const void *src, size_t bytes, struct err *e)
{
    (void)b;
    (void)e;
    memcpy(dst, src, bytes);
    return 0;
}

static void cpu_sync(struct backend *b)
{
    (void)b; // calls are synchronous here
}

/* Whether linear can work on weights of a type. */
static bool cpu_knows(enum tensor_type t)
{
    switch ((int)t) {
    case T_F32:
    case T_F16:
    case T_BF16:
    case T_Q8_0:
    case T_Q4_0:
    case T_Q4_1:
    case T_Q5_0:
    case T_Q5_1:
    case T_Q2_K:
    case T_Q3_K:
    case T_Q4_K:
    case T_Q5_K:
    case T_Q6_K:
    case T_IQ4_NL:
    case T_MXFP4:
    case T_NVFP4:
        return true;
    default:
        return false;
    }
}

static struct cpu_matrix *cpu_matrix(struct cpu *c, const struct weight_part *p, int cols)
{
    struct cpu_matrix *m = mem_zero(1, sizeof(*m));
    size_t rows = ((size_t)p->rows + CPU_PANEL_ROWS - 1) / CPU_PANEL_ROWS * CPU_PANEL_ROWS;

    m->file = p->host;
    m->file_bytes = (size_t)p->rows * tensor_row_bytes(p->type, cols);
    m->mapped = p->mapped;
    m->next = c->matrix;
    c->matrix = m;
    if (c->k->panels && tensor_block(p->type) > 1)
        m->bytes = (rows * tensor_row_bytes(p->type, cols) + 63) / 64 * 64;
    c->unpacked += m->bytes;
    return m;
}

/* A region for all that has no panels yet; memory is taken when it is touched. */
static struct cpu_region *cpu_region(struct cpu *c)
{
    const size_t huge = 2 << 20, bytes = c->unpacked + huge;
    struct cpu_region *r;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE); // a wish
    r = mem_zero(1, sizeof(*r));
    *r = (struct cpu_region){c->region, p, bytes, (size_t)(-(uintptr_t)p % huge)};
    return c->region = r;
}

uint8_t *cpu_panels(struct cpu *c, struct cpu_matrix *m)
{
    struct cpu_region *r = c->region;
    uint8_t *p;

    if (!c->repack || !m->bytes || ++m->uses < 2)
        return NULL;
    if (!r || r->bytes - r->used < m->bytes)
        r = cpu_region(c);
    if (!r) {
        c->repack = false; // it goes on from the file
        return NULL;
    }
    p = r->p + r->used;
    r->used += m->bytes;
    c->unpacked -= m->bytes;
    return p;
}

void cpu_panels_filled(struct cpu_matrix *m, uint8_t *panels)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)m->file;
    uintptr_t from = (at + page - 1) / page * page, to = (at + m->file_bytes) / page * page;

    m->panels = panels;
    if (m->mapped && from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void backend_cpu_repack(struct backend *b, bool yes)
{
    cpu_of(b)->repack = yes;
}

static int cpu_weight(struct backend *b, struct weight *w, struct err *e)
{
    struct cpu *c = cpu_of(b);
    int rows = 0;

    for (int i = 0; i < w->n_parts; i++) {
        struct weight_part *p = &w->part[i];
        int block = tensor_block(p->type);
        const char *name = tensor_type_name(p->type);

        if (!cpu_knows(p->type))
            return err_set(e, ERR_ARG, "weights of type %s are not supported",
                           name ? name : "unknown");
        if (w->cols < 1 || w->cols % block)
            return err_set(e, ERR_ARG, "rows of %d values: not a multiple of %s's block of %d",
                           w->cols, name, block);
        p->w_d = cpu_matrix(c, p, w->cols);
        p->bias_d = (void *)(uintptr_t)p->bias;
        rows += p->rows;
    }
    if (rows != w->rows)
        return err_set(e, ERR_ARG, "%d rows in parts of %d rows", w->rows, rows);
    c->max_cols = w->cols > c->max_cols ? w->cols : c->max_cols;
    return 0;
}

/* Room for the widest weight, once per worker. */
static int cpu_make_scratch(struct cpu *c, struct err *e)
{
    size_t want = cpu_scratch_bytes(c->max_cols);

    if (want <= c->scratch_bytes)
        return 0;
    free(c->scratch);
    c->scratch_bytes = 0;
    c->scratch = aligned_alloc(64, want * (size_t)c->n_threads);
    if (!c->scratch)
        return err_set(e, ERR_MEM, "no memory for scratch of %zu bytes a thread", want);
    c->scratch_bytes = want;
    return 0;
}

static int cpu_step_begin(struct backend *b, const struct step *s, struct err *e)
{
    struct cpu *c = cpu_of(b);

    c->failed = (struct err){0};
    c->rope_of = NULL;
    tree_plan(&c->tree, s);
    if (cpu_make_scratch(c, e))
        return -1;
    return STEP_RUN;
}

static int cpu_step_end(struct backend *b, struct err *e)
{
    struct cpu *c = cpu_of(b);

    if (c->failed.code == ERR_NONE)
        return 0;
    *e = c->failed;
    return -1;
}

bool cpu_buf_grow(struct cpu *c, struct cpu_buf *b, size_t bytes)
{
    if (bytes <= b->bytes)
        return true;
    free(b->p);
    bytes = (bytes + bytes / 4 + 63) / 64 * 64;
    b->p = aligned_alloc(64, bytes);
    b->bytes = b->p ? bytes : 0;
    if (!b->p)
        err_set(&c->failed, ERR_MEM, "no memory for %zu bytes of activations", bytes);
    return b->p != NULL;
}

static void cpu_close(struct backend *b)
{
    struct cpu *c = cpu_of(b);

    thread_close(c->pool);
    for (int i = 0; i < 2; i++)
        free(c->act[i].p);
    for (int i = 0; i < 4; i++)
        free(c->attn[i].p);
    cpu_ahead_close(c);
    tree_free(&c->tree);
    free(c->rope.p);
    free(c->scratch);
    for (struct cpu_matrix *m = c->matrix, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    for (struct cpu_region *r = c->region, *next; r; r = next) {
        next = r->next;
        munmap(r->p, r->bytes);
        free(r);
    }
    free(c);
}

static void cpu_describe(const struct backend *b, char *out, size_t size)
{
    snprintf(out, size, "cpu: %s, %d threads", backend_cpu_isa(b), backend_cpu_threads(b));
}

static const struct backend_ops cpu_ops = {
    .name = "cpu",
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_load,
    .download = cpu_load,
    .weight = cpu_weight,
    .sync = cpu_sync,
    .describe = cpu_describe,
    .copy = cpu_copy,
    .move = cpu_move,
    .step_begin = cpu_step_begin,
    .step_end = cpu_step_end,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .norm_add = cpu_norm_add,
    .linear = cpu_linear,
    .linear_add = cpu_linear_add,
    .rope_kv = cpu_rope_kv,
    .attn = cpu_attn,
    .glu = cpu_glu,
    .gather = cpu_gather,
    .softcap = cpu_softcap,
    .row_max = cpu_row_max,
    .row_exp = cpu_row_exp,
    .dots = cpu_dots,
    .nearest = cpu_nearest,
    .close = cpu_close,
};

#if defined(__x86_64__)
/* AVX-VNNI: VNNI in 256 bits, without AVX-512. CPUID leaf 7, subleaf 1, EAX bit 4. */
static bool has_avxvnni(void)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

/* The best kernels of the instruction set asked for, or NULL when this CPU lacks it. */
static const struct cpu_kernels *cpu_choose(enum backend_isa isa)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");

    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");

    if (vnni && (isa == ISA_AUTO || isa == ISA_VNNI))
        return &cpu_kernels_vnni;
    if (avx512 && (isa == ISA_AUTO || isa == ISA_AVX512))
        return &cpu_kernels_avx512;
    if (avx2 && has_avxvnni() && (isa == ISA_AUTO || isa == ISA_AVXVNNI))
        return &cpu_kernels_avxvnni;
    if (avx2 && (isa == ISA_AUTO || isa == ISA_AVX2))
        return &cpu_kernels_avx2;
#endif
    return isa == ISA_AUTO || isa == ISA_SCALAR ? &cpu_kernels_scalar : NULL;
}

struct backend *backend_cpu_open(int threads, enum backend_isa isa, struct err *e)
{
    static const char *const names[] = {
        [ISA_AVX2] = "AVX2",
        [ISA_AVXVNNI] = "AVX-VNNI",
        [ISA_AVX512] = "AVX-512",
        [ISA_VNNI] = "AVX-512 VNNI",
    };
    const struct cpu_kernels *k = cpu_choose(isa);
    struct thread_pool *pool;
    struct cpu *c;

    if (!k) {
        err_set(e, ERR_ARG, "this CPU has no %s", names[isa]);
        return NULL;
    }
    pool = thread_open(threads, e);
    if (!pool)
        return NULL;
    c = calloc(1, sizeof(*c));
    if (!c) {
        thread_close(pool);
        err_set(e, ERR_MEM, "no memory for the CPU backend");
        return NULL;
    }
    c->b.ops = &cpu_ops;
    c->b.host = true;
    c->k = k;
    c->pool = pool;
    c->n_threads = thread_count(pool);
    cpu_ahead_open(c);
    return &c->b;
}

const char *backend_cpu_isa(const struct backend *b)
{
    return ((const struct cpu *)b)->k->name;
}

int backend_cpu_threads(const struct backend *b)
{
    return ((const struct cpu *)b)->n_threads;
}
