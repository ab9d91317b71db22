/* source_test.c - a model's tensors are found, checked, and permuted the right way. */
#include "source.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 8, FFN = 12, LAYERS = 2, HEADS = 2, KV = 1, VOCAB = 10, CTX = 16, HEAD = 4 };

/* ---- llama2.c ---- */

/* Bytes of a checkpoint with this header. */
static size_t bin_size(const int32_t v[7])
{
    size_t d = (size_t)v[0], f = (size_t)v[1], l = (size_t)v[2], hd = d / (size_t)v[3];
    size_t k = hd * (size_t)v[4], vocab = (size_t)abs(v[5]), ctx = (size_t)v[6];
    size_t n = vocab * d + l * (2 * d + 2 * d * d + 2 * k * d + 3 * f * d) + d + ctx * hd;

    return 28 + 4 * (n + (v[5] < 0 ? vocab * d : 0));
}

static void put_bin(const char *path, const int32_t v[7], size_t size)
{
    FILE *f = fopen(path, "wb");
    float x = 0;

    CHECK(f && fwrite(v, 4, 7, f) == 7);
    for (size_t at = 28; f && at < size; at += 4, x += 1)
        CHECK(fwrite(&x, 1, size - at < 4 ? size - at : 4, f));
    if (f)
        fclose(f);
}

static void refused(const char *path, const char *want)
{
    struct source s;
    struct err e = {0};
    int rc = source_open(&s, path, &e);

    if (!rc) {
        rc = source_parts(&s, &e);
        source_close(&s);
    }
    CHECK(rc == -1 && strstr(e.msg, want) && strstr(e.msg, path));
    if (rc != -1 || !strstr(e.msg, want))
        printf("# want '%s', got %d '%s'\n", want, rc, e.msg);
}

static void test_bin(void)
{
    static const int32_t good[7] = {DIM, FFN, LAYERS, HEADS, KV, VOCAB, CTX};
    struct source s;
    struct err e = {0};
    int32_t v[7];

    TEST("llama2.c: every tensor where the header says");
    put_bin("m.bin", good, bin_size(good));
    CHECK(!source_open(&s, "m.bin", &e) && !source_parts(&s, &e));
    CHECK(s.kind == SOURCE_LLAMA2C && s.n_parts == 2 + 9 * LAYERS && s.h.tied && s.vocab == VOCAB);
    CHECK(s.h.head_dim == HEAD && s.h.ctx == CTX && !s.h.rope_pairs_apart);
    // token_embd, then attn_norm of both layers, then wq of both: q of layer 1 begins after these
    const float *q1 = s.part[1 + 9 + 1].t->data;
    CHECK(!strcmp(s.part[1 + 9 + 1].t->name, "blk.1.attn_q.weight"));
    CHECK(q1[0] == VOCAB * DIM + LAYERS * DIM + DIM * DIM);
    // w2 comes before w3 in the file: ffn_down before ffn_up
    const float *down = s.part[9].t->data, *up = s.part[8].t->data;
    CHECK(!strcmp(s.part[9].t->name, "blk.0.ffn_down.weight") && up - down == LAYERS * FFN * DIM);
    CHECK(s.part[9].t->shape[0] == DIM && s.part[9].t->shape[1] == FFN);
    source_close(&s);
    memcpy(v, good, sizeof(v));
    v[5] = -VOCAB;
    put_bin("m.bin", v, bin_size(v));
    CHECK(!source_open(&s, "m.bin", &e) && !source_parts(&s, &e));
    CHECK(!s.h.tied && s.n_parts == 3 + 9 * LAYERS && s.vocab == VOCAB);
    source_close(&s);
    TEST("llama2.c: headers that cannot be");
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 4; k++) {
            static const int32_t bad[] = {0, INT32_MIN, INT32_MAX, -1};

            memcpy(v, good, sizeof(v));
            v[i] = bad[k];
            put_bin("m.bin", v, 5000);
            refused("m.bin", "m.bin: ");
        }
    memcpy(v, good, sizeof(v));
    v[3] = 3;
    put_bin("m.bin", v, 5000);
    refused("m.bin", "do not fit together");
    put_bin("m.bin", good, bin_size(good) - 4);
    refused("m.bin", "the header asks for");
    put_bin("m.bin", good, bin_size(good) + 1);
    refused("m.bin", "the header asks for");
    CHECK(!truncate("m.bin", 10));
    refused("m.bin", "truncated");
    FILE *f = fopen("m.bin", "wb");
    CHECK(f && fwrite("PK\3\4xxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1, 32, f) == 32);
    if (f)
        fclose(f);
    refused("m.bin", "pickle");
}

/* ---- GGUF ---- */

struct spec {
    const char *skip;  // this tensor is not written
    const char *wrong; // this one has a column too many
    const char *extra; // this one comes besides
    bool rope, bad_rope, split;
};

static void put_one(struct gguf_writer *w, const struct spec *x, const char *name, int64_t rows,
                    int64_t cols)
{
    struct err e;

    if (x->skip && !strcmp(x->skip, name))
        return;
    cols += x->wrong && !strcmp(x->wrong, name);
    CHECK(!gguf_put_tensor(w, name, T_F32, rows ? 2 : 1,
                           rows ? (const int64_t[]){rows, cols} : (const int64_t[]){cols}, &e));
}

static void put_gguf(const char *path, const struct spec *x)
{
    static const char key[][40] = {
        "llama.embedding_length",     "llama.feed_forward_length",     "llama.block_count",
        "llama.attention.head_count", "llama.attention.head_count_kv", "llama.context_length"};
    static const int v[] = {DIM, FFN, LAYERS, HEADS, KV, CTX};
    static const float zero[4096];
    struct gguf_writer w;
    struct err e;
    char name[64];

    CHECK(!gguf_create(&w, path, 1, &e));
    gguf_put_str(&w, "general.architecture", "llama", 5);
    for (int i = 0; i < 6; i++)
        gguf_put_int(&w, key[i], GGUF_U32, v[i]);
    gguf_put_float(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    if (x->split)
        gguf_put_int(&w, "split.count", GGUF_U16, 3);
    put_one(&w, x, "token_embd.weight", VOCAB, DIM);
    for (int l = 0; l < LAYERS; l++) {
        static const struct {
            const char *name;
            int rows, cols;
        } row[] = {{"attn_norm", 0, DIM},  {"attn_q", DIM, DIM},      {"attn_k", HEAD, DIM},
                   {"attn_v", HEAD, DIM},  {"attn_output", DIM, DIM}, {"ffn_norm", 0, DIM},
                   {"ffn_gate", FFN, DIM}, {"ffn_up", FFN, DIM},      {"ffn_down", DIM, FFN}};

        for (int i = 0; i < 9; i++) {
            snprintf(name, sizeof(name), "blk.%d.%s.weight", l, row[i].name);
            put_one(&w, x, name, row[i].rows, row[i].cols);
        }
    }
    put_one(&w, x, "output_norm.weight", 0, DIM);
    if (x->extra)
        put_one(&w, x, x->extra, 0, DIM);
    if (x->rope)
        put_one(&w, x, "rope_freqs.weight", 0, HEAD / 2 + x->bad_rope);
    CHECK(!gguf_start_data(&w, &e));
    while (w.out.n - w.start < w.offset) // all tensors are zeros
        CHECK(!gguf_data(&w, zero, 64, &e));
    CHECK(!gguf_finish(&w, &e));
}

static void test_gguf(void)
{
    static const struct {
        struct spec x;
        const char *want;
    } row[] = {
        {{.skip = "token_embd.weight"}, "missing tensor 'token_embd.weight'"},
        {{.skip = "blk.1.attn_k.weight"}, "missing tensor 'blk.1.attn_k.weight'"},
        {{.wrong = "blk.0.ffn_down.weight"}, "shape (8, 13), expected (8, 12)"},
        {{.wrong = "output_norm.weight"}, "tensor 'output_norm.weight': shape (9), expected (8)"},
        {{.wrong = "token_embd.weight"}, "tensor 'token_embd.weight': shape"},
        {{.extra = "blk.1.attn_q.scale"}, "blk.1.attn_q.scale' is not one that family 'llama' has"},
        {{.extra = "blk.1.attn_k.bias"}, "tensor 'blk.1.attn_k.bias': shape (8), expected (4)"},
        {{.extra = "blk.2.attn_q.weight"}, "is not one that family 'llama' has"},
        {{.rope = true, .bad_rope = true}, "tensor 'rope_freqs.weight': not 2 values of F32"},
        {{.split = true}, "one of 3 parts of a model"},
        {{.rope = true}, "tensor 'rope_freqs.weight': value 0 is not a number above 0"},
    };
    struct source s;
    struct err e = {0};

    TEST("GGUF: the family's tensors, no more and no fewer");
    put_gguf("m.gguf", &(struct spec){0});
    CHECK(!source_open(&s, "m.gguf", &e) && !source_parts(&s, &e));
    CHECK(s.n_parts == 2 + 9 * LAYERS && s.h.tied && s.vocab == VOCAB && !s.n_unknown);
    source_close(&s);
    source_close(&s);
    put_gguf("m.gguf", &(struct spec){.extra = "blk.1.attn_q.bias"});
    CHECK(!source_open(&s, "m.gguf", &e) && !source_parts(&s, &e));
    CHECK(s.n_parts == 3 + 9 * LAYERS && source_part(&s, ARCH_Q, true, 1) &&
          !source_part(&s, ARCH_Q, true, 0) && !source_part(&s, ARCH_POSITIONS, false, -1));
    source_close(&s);
    put_gguf("m.gguf", &(struct spec){.extra = "vision.proj"});
    CHECK(!source_open(&s, "m.gguf", &e) && !source_parts(&s, &e));
    CHECK(s.n_unknown == 1 && !strcmp(s.unknown, "vision.proj"));
    source_close(&s);
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        put_gguf("m.gguf", &row[i].x);
        refused("m.gguf", row[i].want);
    }
}

static void test_rope(void)
{
    struct hparam h = {.rope_dims = 8,
                       .rope_base = 500000,
                       .factor = 8,
                       .low_freq = 1,
                       .high_freq = 4,
                       .original_ctx = 8192,
                       .scaling = HPARAM_LLAMA3};
    float factor[4], direct[4], plain[4];

    TEST("the permutation of q and k rows, and its inverse");
    // halves (0 1 2 3 | 4 5 6 7) become pairs 0 4 1 5 2 6 3 7, in each head
    static const int64_t pairs[16] = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15};
    for (int64_t r = 0; r < 16; r++) {
        CHECK(arch_rope_row(r, 8, true) == pairs[r]);
        CHECK(arch_rope_row(arch_rope_row(r, 8, true), 8, false) == r);
    }
    TEST("Llama-3's factors give the scaled frequencies");
    source_llama3(&h, factor);
    hparam_freqs(&h, NULL, direct);
    h.scaling = HPARAM_PLAIN;
    hparam_freqs(&h, factor, plain);
    for (int i = 0; i < 4; i++)
        CHECK(fabsf(plain[i] / direct[i] - 1) < 1e-6f);
    CHECK(factor[0] == 1 && factor[3] == 8);
}

int main(void)
{
    char dir[] = "/tmp/source_test.XXXXXX";

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    test_bin();
    test_gguf();
    test_rope();
    unlink("m.bin");
    unlink("m.gguf");
    if (chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
