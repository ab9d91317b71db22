/* model_test.c - binding tensors: names, shapes, types, vocabulary, identity. */
#include "gguf.h"
#include "model.h"
#include "test.h"
#include "tokload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 16, FFN = 24, HEADS = 4, KV = 2, HEAD = 4, LAYERS = 2, VOCAB = 261, MAX = 9000 };

static char path[256];
static struct tok *tok; // of the test checkpoints: 261 tokens
static struct backend *backend;

struct row {
    const char *name;
    enum tensor_type type;
    int n_dims;
    int64_t shape[2];
    float value;
};

/* One tensor of the good file: left out, or as it says here, or added. */
struct change {
    const char *name;
    bool leave_out;
    struct row row;
    const char *says; // NULL: it opens
};

static size_t rows(struct row *r)
{
    static const struct row layer[] = {{"attn_norm.weight", T_F32, 1, {DIM, 1}, 1},
                                       {"attn_q.weight", T_F32, 2, {HEADS * HEAD, DIM}, 1},
                                       {"attn_k.weight", T_F16, 2, {KV * HEAD, DIM}, 1},
                                       {"attn_v.weight", T_BF16, 2, {KV * HEAD, DIM}, 1},
                                       {"attn_output.weight", T_F32, 2, {DIM, HEADS * HEAD}, 1},
                                       {"ffn_norm.weight", T_F16, 1, {DIM, 1}, 1},
                                       {"ffn_gate.weight", T_F32, 2, {FFN, DIM}, 1},
                                       {"ffn_up.weight", T_F32, 2, {FFN, DIM}, 1},
                                       {"ffn_down.weight", T_F32, 2, {DIM, FFN}, 1}};
    static char names[LAYERS * 9][64];
    size_t n = 0;

    r[n++] = (struct row){"token_embd.weight", T_F32, 2, {VOCAB, DIM}, 1};
    r[n++] = (struct row){"output_norm.weight", T_F32, 1, {DIM, 1}, 1};
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < 9; i++) {
            snprintf(names[l * 9 + i], sizeof(names[0]), "blk.%d.%s", l, layer[i].name);
            r[n] = layer[i];
            r[n++].name = names[l * 9 + i];
        }
    return n;
}

static void keys(struct gguf_writer *w)
{
    gguf_put_str(w, "general.architecture", "llama", 5);
    gguf_put_int(w, "llama.embedding_length", GGUF_U32, DIM);
    gguf_put_int(w, "llama.block_count", GGUF_U32, LAYERS);
    gguf_put_int(w, "llama.feed_forward_length", GGUF_U32, FFN);
    gguf_put_int(w, "llama.context_length", GGUF_U32, 64);
    gguf_put_int(w, "llama.attention.head_count", GGUF_U32, HEADS);
    gguf_put_int(w, "llama.attention.head_count_kv", GGUF_U32, KV);
    gguf_put_float(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tokload_put_gguf(tok, tok_size(tok), w);
}

/* A type's bytes of n equal values (floats and integers only). */
static size_t fill(const struct row *r, uint8_t *out)
{
    size_t n = (size_t)(r->shape[0] * r->shape[1]), size = tensor_block_bytes(r->type);
    uint32_t f32 = 0;
    uint16_t f16 = r->type == T_F16 ? 0x3c00 : 0x3f80; // 1 in either

    memcpy(&f32, &r->value, sizeof(f32));
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * size, size == 2 ? (void *)&f16 : (void *)&f32, size);
    return n * size;
}

static int make(const struct change *c, struct err *e)
{
    static uint8_t data[MAX * 4];
    struct row r[64];
    size_t n = rows(r), kept = 0;
    struct gguf_writer w;
    bool replaced = false;

    for (size_t i = 0; i < n; i++) {
        bool this = c->name && !strcmp(r[i].name, c->name);

        replaced = replaced || this;
        if (this && c->leave_out)
            continue;
        r[kept] = r[i];
        if (this) {
            r[kept] = c->row;
            r[kept].name = c->name;
        }
        kept++;
    }
    if (c->name && !replaced) {
        r[kept] = c->row;
        r[kept++].name = c->name;
    }
    if (gguf_create(&w, path, 1, e))
        return -1;
    keys(&w);
    for (size_t i = 0; i < kept; i++)
        if (gguf_put_tensor(&w, r[i].name, r[i].type, r[i].n_dims, r[i].shape, e))
            return -1;
    if (gguf_start_data(&w, e))
        return -1;
    for (size_t i = 0; i < kept; i++)
        if (gguf_data(&w, data, fill(&r[i], data), e) || gguf_end_tensor(&w, e))
            return -1;
    return gguf_finish(&w, e);
}

static void test_good(void)
{
    struct err e = {0};
    struct model *m;
    int64_t params = (int64_t)VOCAB * DIM + DIM +
                     LAYERS * (2 * DIM + 2 * DIM * 16 + 2 * DIM * 8 + 3 * DIM * FFN);

    TEST("a good file: sizes, parts, tied head");
    CHECK(!make(&(struct change){0}, &e));
    m = model_open(path, backend, &e);
    CHECK(m != NULL);
    if (!m) {
        printf("# %s\n", e.msg);
        return;
    }
    CHECK(!strcmp(m->arch, "llama") && m->dim == DIM && m->vocab == VOCAB && m->ctx == 64);
    CHECK(m->n_params == params && m->file_bytes > 4 * (uint64_t)VOCAB * DIM);
    CHECK(m->attn.scale == 0.5f && m->attn.rope_dims == HEAD && !m->attn.rope_pairs_apart);
    CHECK(m->head.part[0].host == m->embed.part[0].host && m->head.rows == VOCAB);
    CHECK(m->layer[1].qkv.n_parts == 3 && m->layer[1].qkv.rows == 32);
    CHECK(m->layer[1].qkv.part[1].type == T_F16 && m->layer[1].qkv.part[2].type == T_BF16);
    CHECK(m->layer[0].gate_up.rows == 2 * FFN && m->layer[0].down.cols == FFN);
    CHECK(m->layer[1].ffn_norm.w_d[DIM - 1] == 1.0f && m->out_norm.w_d[0] == 1.0f);
    CHECK(tok_size(m->tok) == VOCAB && !m->layer[0].qkv.part[0].bias);
    model_close(m);
    model_close(NULL);
}

static void test_changes(void)
{
    static const struct change changes[] = {
        {"blk.1.attn_q.weight", true, {0}, "missing tensor 'blk.1.attn_q.weight'"},
        {"token_embd.weight", true, {0}, "missing tensor 'token_embd.weight'"},
        {"output_norm.weight", true, {0}, "missing tensor 'output_norm.weight'"},
        {"blk.0.ffn_norm.weight", true, {0}, "missing tensor 'blk.0.ffn_norm.weight'"},
        {"blk.0.attn_k.weight",
         false,
         {0, T_F32, 2, {HEADS * HEAD, DIM}, 1},
         "(16, 16), expected (8, 16)"},
        {"blk.0.ffn_down.weight",
         false,
         {0, T_F32, 2, {FFN, DIM}, 1},
         "(24, 16), expected (16, 24)"},
        {"blk.1.attn_norm.weight", false, {0, T_F32, 1, {DIM + 1, 1}, 1}, "(17), expected (16)"},
        {"blk.1.attn_norm.weight", false, {0, T_F32, 2, {1, DIM}, 1}, "(1, 16), expected (16)"},
        {"blk.0.ffn_up.weight", false, {0, T_I32, 2, {FFN, DIM}, 1}, "of type I32 are not"},
        {"blk.0.ffn_norm.weight", false, {0, T_I8, 1, {DIM, 1}, 1}, "of type I8 are not"},
        {"token_embd.weight", false, {0, T_F32, 2, {VOCAB - 1, DIM}, 1}, "261 tokens, but"},
        {"token_embd.weight",
         false,
         {0, T_F32, 2, {VOCAB, DIM + 1}, 1},
         "(261, 17), expected (261, 16)"},
        {"token_embd.weight", false, {0, T_F32, 1, {VOCAB, 1}, 1}, "(261), expected (261, 16)"},
        {"token_embd.weight", false, {0, T_F32, 2, {VOCAB + 3, DIM}, 1}, NULL}, // padded
        {"output.weight", false, {0, T_F32, 2, {VOCAB, DIM}, 2}, NULL},
        {"output.weight",
         false,
         {0, T_F32, 2, {VOCAB + 1, DIM}, 2},
         "(262, 16), expected (261, 16)"},
        {"blk.0.attn_q.bias", false, {0, T_F16, 1, {HEADS * HEAD, 1}, 1}, NULL},
        {"blk.0.attn_k.bias", false, {0, T_F32, 1, {HEADS * HEAD, 1}, 1}, "(16), expected (8)"},
        {"rope_freqs.weight", false, {0, T_F32, 1, {HEAD / 2, 1}, 8}, NULL},
        {"rope_freqs.weight", false, {0, T_F32, 1, {HEAD, 1}, 8}, "not 2 values"},
        {"rope_freqs.weight",
         false,
         {0, T_F32, 1, {HEAD / 2, 1}, 0},
         "value 0 is not a number above 0"},
        {"rope_freqs.weight",
         false,
         {0, T_F32, 1, {HEAD / 2, 1}, NAN},
         "value 0 is not a number above 0"},
        {"blk.0.attn_scale", false, {0, T_F32, 1, {5, 1}, 1}, "not one that family 'llama' has"},
        {"something.else", false, {0, T_F32, 1, {5, 1}, 1}, NULL}, // not ours to judge
    };

    TEST("every tensor's presence, shape and type is checked");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct change *c = &changes[i];
        struct err e = {0};
        struct model *m;
        bool ok;

        CHECK(!make(c, &e));
        m = model_open(path, backend, &e);
        ok = c->says ? !m && strstr(e.msg, c->says) && strstr(e.msg, path) : m != NULL;
        CHECK(ok);
        if (!ok)
            printf("# %s (%zu): %s\n", c->name, i, m ? "opened" : e.msg);
        if (m && !strcmp(c->name, "output.weight"))
            CHECK(((const float *)m->head.part[0].host)[0] == 2.0f);
        if (m && !strcmp(c->name, "blk.0.attn_q.bias"))
            CHECK(m->layer[0].qkv.part[0].bias[15] == 1.0f && !m->layer[1].qkv.part[0].bias);
        if (m && !strcmp(c->name, "rope_freqs.weight"))
            CHECK(m->attn.inv_freq[0] == 0.125f);
        model_close(m);
    }
}

static struct hash128 hash_of(const struct change *c)
{
    struct err e = {0};
    struct hash128 h = {0};
    struct model *m;

    CHECK(!make(c, &e));
    m = model_open(path, backend, &e);
    CHECK(m != NULL);
    if (m)
        h = m->hash;
    model_close(m);
    return h;
}

static void test_identity(void)
{
    const struct change norm = {"output_norm.weight", false, {0, T_F32, 1, {DIM, 1}, 3}, NULL};
    struct hash128 a, b, c;

    TEST("the hash tells models apart");
    a = hash_of(&(struct change){0});
    b = hash_of(&(struct change){0});
    c = hash_of(&norm);
    CHECK(a.lo == b.lo && a.hi == b.hi);
    CHECK(a.lo != c.lo && a.hi != c.hi);
}

static void test_absent(void)
{
    struct err e = {0};

    TEST("what is no model");
    CHECK(!model_open("tests/data/logits/none", backend, &e) && strstr(e.msg, "none"));
    CHECK(!model_open("tests/data/logits", backend, &e) && strstr(e.msg, "safetensors"));
    CHECK(!model_open("Makefile", backend, &e) && e.code == ERR_DATA);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    struct err e;

    snprintf(path, sizeof(path), "%s/model_test_%d.gguf", tmp ? tmp : "/tmp", (int)getpid());
    tok = tokload_dir("tests/data/logits/mha", &e);
    backend = backend_cpu_open(1, ISA_AUTO, &e);
    if (!tok || !backend)
        return printf("not ok 1 %s\n", e.msg), 1;
    test_good();
    test_changes();
    test_identity();
    test_absent();
    unlink(path);
    backend_close(backend);
    tok_close(tok);
    return test_end();
}
