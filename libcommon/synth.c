/* synth.c - models of random weights in known shapes, for measurements. */
#include "synth.h"

#include "arch.h"
#include "gguf.h"
#include "quant.h"
#include "rng.h"
#include "thread.h"
#include "vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 1 << 16,   // bytes that a worker makes at a time, at most
    PIECES = 64,       // that are made side by side, and written then
    QUANT_VERSION = 2, // of ggml's block formats
    CTX = 8192,
    N_BYTES = 256,
    N_SPECIAL = 3, // <unk>, <s>, </s>
    FIRST_WORD = N_SPECIAL + N_BYTES,
};

const char *const synth_shapes[] = {"none",     "nano",     "135m",     "llama-1.1b",
                                    "llama-1b", "llama-3b", "llama-8b", NULL};
static const struct shape {
    int dim, ffn_dim, n_layers, n_heads, n_kv_heads, vocab;
    bool tied;
    float rope_base;
} shapes[] = {
    {0},
    {256, 512, 2, 4, 2, 512, true, 1e4f},         // none; the least that every type fits
    {576, 1536, 30, 9, 3, 49152, true, 1e5f},     // SmolLM2-135M
    {2048, 5632, 22, 32, 4, 32000, false, 1e4f},  // TinyLlama-1.1B
    {2048, 8192, 16, 32, 8, 128256, true, 5e5f},  // Llama-3.2-1B
    {3072, 8192, 28, 24, 8, 128256, true, 5e5f},  // Llama-3.2-3B
    {4096, 14336, 32, 32, 8, 128256, false, 5e5f} // Llama-3.1-8B
};

/* How blocks of a type are made: random bytes all over, then the scales put in
 * their places, the same in every block. */
const char *const synth_types[] = {"f32",  "f16",    "bf16",  "q8_0",  "q4_0", "q4_1",
                                   "q5_0", "q5_1",   "q2_k",  "q3_k",  "q4_k", "q5_k",
                                   "q6_k", "iq4_nl", "mxfp4", "nvfp4", NULL};
static const struct form {
    enum tensor_type type;
    int file_type;   // general.file_type, by llama.cpp's numbers
    int d_at, m_at;  // where the scale and the offset (f16) of a block are; -1: nowhere
    float deviation; // of the values where the scale is 1
    float offset;    // in units of the scale, so that the mean is 0
    struct {
        uint8_t at, n, byte;
    } set[2]; // other constant bytes
} forms[] = {
    {T_F32, 0, -1, -1, 0, 0, {{0}}},
    {T_F16, 1, -1, -1, 0, 0, {{0}}},
    {T_BF16, 32, -1, -1, 0, 0, {{0}}},
    {T_Q8_0, 7, 0, -1, 36.95f, 0, {{0}}},
    {T_Q4_0, 2, 0, -1, 4.61f, 0, {{0}}},
    {T_Q4_1, 3, 0, 2, 4.61f, -7.5f, {{0}}},
    {T_Q5_0, 8, 0, -1, 9.23f, 0, {{0}}},
    {T_Q5_1, 9, 0, 2, 9.23f, -15.5f, {{0}}},
    {T_Q2_K, 10, 80, 82, 8 * 1.118f, 1.5f, {{0, 16, 0x88}}},            // 8 and 8
    {T_Q3_K, 12, 108, -1, 16 * 2.29f, 0, {{96, 8, 0}, {104, 4, 0xff}}}, // 48 - 32
    {T_Q4_K, 15, 0, 2, 32 * 4.61f, 7.5f, {{4, 8, 0xa0}, {12, 4, 0}}},   // 32 and 32
    {T_Q5_K, 17, 0, 2, 32 * 9.23f, 15.5f, {{4, 8, 0xa0}, {12, 4, 0}}},  // 32 and 32
    {T_Q6_K, 18, 208, -1, 32 * 18.47f, 0, {{192, 16, 32}}},             //
    {T_IQ4_NL, 25, 0, -1, 67.2f, 0, {{0}}},                             //
    {T_MXFP4, 38, -1, -1, 0, 0, {{0, 1, 120}}},                         // 2^-8 of twice E2M1
    {T_NVFP4, 39, -1, -1, 0, 0, {{0, 4, 4}}},                           // the same
};

struct synth {
    const struct shape *s;
    const struct form *f;
    struct rng rng;
    uint64_t position; // of the first block at hand
    struct thread_pool *pool;
    uint8_t *out; // (PIECES * PIECE)
};

/* ---- values ---- */

/* Nearly normal, mean 0, deviation 1: the sum of four random bytes. */
static float bell(uint32_t bits)
{
    uint32_t sum = (bits & 0xff) + (bits >> 8 & 0xff) + (bits >> 16 & 0xff) + (bits >> 24);

    return ((float)sum - 510) / 147.8f;
}

static void put_float(enum tensor_type t, float x, uint8_t *p)
{
    uint16_t h = t == T_F16 ? quant_to_f16(x) : quant_to_bf16(x);

    if (t == T_F32)
        memcpy(p, &x, sizeof(x));
    else
        memcpy(p, &h, sizeof(h));
}

/* n blocks to out, of draws from position `at` on. */
static void fill_floats(const struct synth *m, uint8_t *out, uint64_t at, size_t n)
{
    size_t size = tensor_block_bytes(m->f->type);
    uint32_t x[4];

    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            rng_quad(&m->rng, at++, 0, x);
        put_float(m->f->type, 0.02f * bell(x[i % 4]), out + i * size);
    }
}

static void fill_q8(const struct synth *m, uint8_t *out, uint64_t at, size_t n)
{
    uint32_t x[4];

    for (size_t i = 0; i < n; i++) {
        struct quant_q8_0 b = {.d = quant_to_f16(0.02f / m->f->deviation)};

        for (int k = 0; k < QUANT_32; k++) {
            if (k % 4 == 0)
                rng_quad(&m->rng, at++, 0, x);
            b.q[k] = (int8_t)(m->f->deviation * bell(x[k % 4]));
        }
        memcpy(out + i * sizeof(b), &b, sizeof(b));
    }
}

static void fill_blocks(const struct synth *m, uint8_t *out, uint64_t at, size_t n)
{
    const struct form *f = m->f;
    size_t size = tensor_block_bytes(f->type);
    float scale = f->deviation > 0 ? 0.02f / f->deviation : 0;
    uint16_t d = quant_to_f16(scale), offset = quant_to_f16(scale * f->offset);
    uint32_t x[4];

    for (size_t i = 0; i < n * size; i += sizeof(x)) {
        rng_quad(&m->rng, at++, 0, x);
        memcpy(out + i, x, n * size - i < sizeof(x) ? n * size - i : sizeof(x));
    }
    for (uint8_t *p = out; p < out + n * size; p += size) {
        for (int k = 0; k < 2; k++)
            memset(p + f->set[k].at, f->set[k].byte, f->set[k].n);
        if (f->d_at >= 0)
            memcpy(p + f->d_at, &d, sizeof(d));
        if (f->m_at >= 0)
            memcpy(p + f->m_at, &offset, sizeof(offset));
    }
}

/* Blocks of a piece. */
static int64_t piece_of(enum tensor_type t)
{
    return (int64_t)(PIECE / tensor_block_bytes(t));
}

/* Draws that n blocks take. */
static uint64_t draws(enum tensor_type t, int64_t n)
{
    uint64_t bytes = (uint64_t)n * tensor_block_bytes(t);

    return tensor_block(t) == 1 ? ((uint64_t)n + 3) / 4
           : t == T_Q8_0        ? (uint64_t)n * (QUANT_32 / 4)
                                : (bytes + 15) / 16;
}

/* Blocks [begin, end), whole pieces but for the last of all: each has draws of its own. */
static void fill(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct synth *m = ctx;
    enum tensor_type t = m->f->type;
    int64_t piece = piece_of(t);

    (void)worker;
    for (int64_t i = begin; i < end; i += piece) {
        size_t n = (size_t)(end - i < piece ? end - i : piece);
        uint8_t *out = m->out + (size_t)i * tensor_block_bytes(t);
        uint64_t at = m->position + (uint64_t)(i / piece) * draws(t, piece);

        if (tensor_block(t) == 1)
            fill_floats(m, out, at, n);
        else if (t == T_Q8_0)
            fill_q8(m, out, at, n);
        else
            fill_blocks(m, out, at, n);
    }
}

static int put_matrix(struct synth *m, struct gguf_writer *w, int64_t values, struct err *e)
{
    enum tensor_type t = m->f->type;
    int64_t blocks = values / tensor_block(t), piece = piece_of(t);

    for (int64_t i = 0; i < blocks; i += PIECES * piece) {
        int64_t n = blocks - i < PIECES * piece ? blocks - i : PIECES * piece;

        thread_run(m->pool, fill, m, n, piece);
        m->position += (uint64_t)(n / piece) * draws(t, piece) + draws(t, n % piece);
        if (gguf_data(w, m->out, (size_t)n * tensor_block_bytes(t), e))
            return -1;
    }
    return gguf_end_tensor(w, e);
}

/* The weights of a norm: ones. */
static int put_vector(struct gguf_writer *w, int64_t n, struct err *e)
{
    const float one = 1;

    for (int64_t i = 0; i < n; i++)
        if (gguf_data(w, &one, sizeof(one), e))
            return -1;
    return gguf_end_tensor(w, e);
}

/* ---- vocabulary ---- */

/* Word i: a, ▁a, b, ▁b ... z, ▁z, aa, ▁aa ...: each is another with a letter behind it. */
static void word(int i, struct buf *b)
{
    char text[8];
    size_t n = sizeof(text);

    buf_reset(b);
    if (i % 2)
        buf_str(b, "\xe2\x96\x81");
    for (int k = i / 2 + 1; k > 0; k = (k - 1) / 26)
        text[--n] = (char)('a' + (k - 1) % 26);
    buf_add(b, text + n, sizeof(text) - n);
}

static void put_vocab(struct gguf_writer *w, int n)
{
    static const char *const special[N_SPECIAL] = {"<unk>", "<s>", "</s>"};
    struct buf b = {0};

    gguf_put_str(w, "tokenizer.ggml.model", "llama", 5);
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STR, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        buf_reset(&b);
        if (i < N_SPECIAL)
            buf_str(&b, special[i]);
        else if (i < FIRST_WORD)
            buf_fmt(&b, "<0x%02X>", (unsigned)(i - N_SPECIAL));
        else if (i == FIRST_WORD)
            buf_str(&b, "\xe2\x96\x81");
        else
            word(i - FIRST_WORD - 1, &b);
        gguf_add_str(w, b.p, b.n);
    }
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, (uint64_t)n);
    for (int i = 0; i < n; i++)
        gguf_add_float(w, i < FIRST_WORD ? 0 : (float)(FIRST_WORD - i));
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)n);
    for (int i = 0; i < n; i++)
        gguf_add_i32(w, i == 0           ? TOK_UNKNOWN
                        : i < N_SPECIAL  ? TOK_CONTROL
                        : i < FIRST_WORD ? TOK_BYTE
                                         : TOK_NORMAL);
    gguf_put_int(w, "tokenizer.ggml.unknown_token_id", GGUF_U32, 0);
    gguf_put_int(w, "tokenizer.ggml.bos_token_id", GGUF_U32, 1);
    gguf_put_int(w, "tokenizer.ggml.eos_token_id", GGUF_U32, 2);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
    buf_free(&b);
}

/* ---- the file ---- */

static void put_keys(const struct synth *m, const char *name, struct gguf_writer *w)
{
    const struct shape *s = m->s;
    const struct {
        const char *key;
        int v;
    } row[] = {
        {"llama.vocab_size", s->vocab},
        {"llama.context_length", CTX},
        {"llama.embedding_length", s->dim},
        {"llama.block_count", s->n_layers},
        {"llama.feed_forward_length", s->ffn_dim},
        {"llama.attention.head_count", s->n_heads},
        {"llama.attention.head_count_kv", s->n_kv_heads},
        {"llama.rope.dimension_count", s->dim / s->n_heads},
    };

    gguf_put_str(w, "general.architecture", "llama", 5);
    gguf_put_str(w, "general.name", name, strlen(name));
    gguf_put_int(w, "general.file_type", GGUF_U32, m->f->file_type);
    gguf_put_int(w, "general.quantization_version", GGUF_U32, QUANT_VERSION);
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
        gguf_put_int(w, row[i].key, GGUF_U32, row[i].v);
    gguf_put_float(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_put_float(w, "llama.rope.freq_base", s->rope_base);
    put_vocab(w, s->vocab);
}

typedef int (*tensor_fn)(struct synth *m, struct gguf_writer *w, const char *name, int n_dims,
                         const int64_t *shape, struct err *e);

static int put_info(struct synth *m, struct gguf_writer *w, const char *name, int n_dims,
                    const int64_t *shape, struct err *e)
{
    return gguf_put_tensor(w, name, n_dims > 1 ? m->f->type : T_F32, n_dims, shape, e);
}

static int put_data(struct synth *m, struct gguf_writer *w, const char *name, int n_dims,
                    const int64_t *shape, struct err *e)
{
    (void)name;
    return n_dims > 1 ? put_matrix(m, w, shape[0] * shape[1], e) : put_vector(w, shape[0], e);
}

/* Call fn for every tensor of the family, in the order of the computation. */
static int each_tensor(struct synth *m, struct gguf_writer *w, tensor_fn fn, struct err *e)
{
    const struct shape *s = m->s;
    const struct arch *a = arch_find("llama");
    const struct hparam h = {.dim = s->dim,
                             .ffn_dim = s->ffn_dim,
                             .n_layers = s->n_layers,
                             .n_heads = s->n_heads,
                             .n_kv_heads = s->n_kv_heads,
                             .head_dim = s->dim / s->n_heads};

    for (int place = ARCH_FIRST; place <= (int)ARCH_LAST; place++)
        for (int l = 0; l < (place == ARCH_LAYER ? s->n_layers : 1); l++)
            for (int i = 0; i < a->n_tensors; i++) {
                const struct arch_tensor *t = &a->tensor[i];
                int64_t shape[TENSOR_DIMS] = {1, 1, 1, 1};
                char name[ARCH_NAME];

                if ((int)t->place != place || t->need == ARCH_MAY ||
                    (t->need == ARCH_TIED && s->tied))
                    continue;
                arch_gguf_name(a, t, l, name);
                if (fn(m, w, name, arch_shape(t, &h, s->vocab, shape), shape, e))
                    return -1;
            }
    return 0;
}

int synth_write(int shape, int type, uint64_t seed, int threads, const char *path, bool force,
                struct err *e)
{
    struct synth m = {.s = &shapes[shape], .f = &forms[type]};
    struct gguf_writer w;
    int rc;

    m.rng = rng_stream(seed, (uint64_t)shape, (uint64_t)m.f->type);
    if (m.s->dim % tensor_block(m.f->type) || m.s->ffn_dim % tensor_block(m.f->type))
        return err_set(e, ERR_ARG, "rows of %d values are no multiple of %s's block of %d",
                       m.s->dim, synth_types[type], tensor_block(m.f->type));
    m.pool = thread_open(threads, e);
    if (!m.pool)
        return -1;
    if (gguf_create(&w, path, force, e)) {
        thread_close(m.pool);
        return -1;
    }
    m.out = mem_new((size_t)PIECES * PIECE);
    put_keys(&m, synth_shapes[shape], &w);
    rc = each_tensor(&m, &w, put_info, e) || gguf_start_data(&w, e) ||
         each_tensor(&m, &w, put_data, e) || gguf_finish(&w, e);
    free(m.out);
    thread_close(m.pool);
    if (rc)
        gguf_abandon(&w);
    return rc ? -1 : 0;
}
