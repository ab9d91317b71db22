/* convert_test.c - values, types and memory of a conversion. */
#include "convert.h"
#include "quant.h"
#include "test.h"
#include "tokload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { VOCAB = 300 };

/* A tokenizer.bin of <unk> <s> </s>, the 256 bytes, and made-up pieces. */
static void put_tokenizer(const char *path)
{
    FILE *f = fopen(path, "wb");
    char piece[16];
    int32_t longest = 8, n;

    CHECK(f && fwrite(&longest, 4, 1, f) == 1);
    for (int i = 0; f && i < VOCAB; i++) {
        float score = -(float)i;

        if (i < 3)
            snprintf(piece, sizeof(piece), "%s", (const char *[]){"<unk>", "<s>", "</s>"}[i]);
        else if (i < 259)
            snprintf(piece, sizeof(piece), "<0x%02X>", i - 3);
        else
            snprintf(piece, sizeof(piece), "p%d", i);
        n = (int32_t)strlen(piece);
        CHECK(fwrite(&score, 4, 1, f) == 1 && fwrite(&n, 4, 1, f) == 1);
        CHECK(fwrite(piece, 1, (size_t)n, f) == (size_t)n);
    }
    if (f)
        fclose(f);
}

/* A llama2.c checkpoint of one layer, zeros but for values at the end of the embedding. */
static size_t put_model(const char *path, int dim, int ffn, const float *x, int n)
{
    const int32_t head[7] = {dim, ffn, 1, 4, 2, VOCAB, 32};
    size_t d = (size_t)dim, f = (size_t)ffn, hd = d / 4, embed = (size_t)VOCAB * d;
    size_t size = 28 + 4 * (embed + 3 * d + 2 * d * d + 4 * hd * d + 3 * f * d + 32 * hd);
    FILE *out = fopen(path, "wb");

    CHECK(out && fwrite(head, 4, 7, out) == 7);
    if (!out)
        return size;
    CHECK(!fseek(out, (long)(28 + 4 * (embed - (size_t)n)), SEEK_SET));
    CHECK(fwrite(x, 4, (size_t)n, out) == (size_t)n);
    fclose(out);
    CHECK(!truncate(path, (off_t)size));
    return size;
}

/* Parts are told of in their order, each once. */
static void watch(void *arg, int i, int n)
{
    int *next = arg;

    CHECK(i == *next && i < n);
    *next = i + 1 < n ? i + 1 : -n;
}

static int convert(const char *out, enum convert_type type, struct err *e)
{
    struct source s;
    struct tok *tok = NULL;
    int rc = -1, next = 0;

    if (source_open(&s, "m.bin", e))
        return -1;
    s.watch = (struct source_watch){watch, &next};
    if (!source_parts(&s, e))
        tok = source_tok(&s, "tok.bin", e);
    if (tok)
        rc = convert_gguf(&s, tok, out, type, true, e);
    CHECK(rc || next == -s.n_parts);
    tok_close(tok);
    source_close(&s);
    return rc;
}

static void test_values(void)
{
    static const struct {
        float x;
        enum convert_type type;
        const char *want; // NULL: converts
    } row[] = {
        {65504.0f, CONVERT_F16, NULL},
        {65536.0f, CONVERT_F16, "value 65536 is too large for F16"},
        {-1e9f, CONVERT_Q8_0, "value -1e+09 is too large for Q8_0"},
        {1e30f, CONVERT_BF16, NULL},
        {1e30f, CONVERT_F32, NULL},
        {NAN, CONVERT_F16, "a value is not finite"},
        {-INFINITY, CONVERT_Q8_0, "a value is not finite"},
    };
    struct gguf g;
    struct err e = {0};

    TEST("what a type cannot hold is an error that names the tensor");
    put_tokenizer("tok.bin");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        int rc;

        put_model("m.bin", 32, 64, &row[i].x, 1);
        rc = convert("out.gguf", row[i].type, &e);
        CHECK(rc == (row[i].want ? -1 : 0));
        CHECK(!rc || (strstr(e.msg, row[i].want) && strstr(e.msg, "tensor 'token_embd.weight'")));
        CHECK(access("out.gguf", F_OK) == rc);
        if (!rc)
            unlink("out.gguf");
    }
    TEST("values are written in their type, vectors in F32");
    float x[32], y[32];
    for (int i = 0; i < 32; i++)
        x[i] = (float)(i - 16) / 7;
    put_model("m.bin", 32, 64, x, 32);
    CHECK(!convert("out.gguf", CONVERT_Q8_0, &e) && !gguf_open(&g, "out.gguf", &e));
    const struct tensor *t = gguf_tensor(&g, "token_embd.weight");
    CHECK(t && t->type == T_Q8_0 && t->bytes == VOCAB * 34);
    if (t && quant_read(T_Q8_0, (const uint8_t *)t->data + (VOCAB - 1) * 34, y, 32))
        for (int i = 0; i < 32; i++)
            CHECK(fabsf(x[i] - y[i]) < 0.01f);
    t = gguf_tensor(&g, "blk.0.attn_norm.weight");
    CHECK(t && t->type == T_F32);
    const struct gguf_kv *kv = gguf_find(&g, "general.file_type");
    CHECK(kv && gguf_item_int(kv, 0) == 7);
    kv = gguf_find(&g, "tokenizer.ggml.tokens");
    CHECK(kv && kv->n == VOCAB);
    gguf_close(&g);
}

/* 270 MB of weights, the largest tensor 67 MB: the resident size stays far below both. */
static void test_memory(void)
{
    struct rusage before, after;
    struct err e = {0};
    float x = 1;
    int rc;

    TEST("peak memory does not depend on the size of the model");
    put_model("m.bin", 2048, 8192, &x, 1);
    CHECK(!getrusage(RUSAGE_SELF, &before));
    rc = convert("out.gguf", CONVERT_Q8_0, &e);
    CHECK(!rc);
    CHECK(!getrusage(RUSAGE_SELF, &after));
    CHECK(after.ru_maxrss - before.ru_maxrss < 48 * 1024);
    printf("# %ld KiB more at the peak\n", after.ru_maxrss - before.ru_maxrss);
}

int main(void)
{
    char dir[] = "/tmp/convert_test.XXXXXX";

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    test_values();
    test_memory();
    unlink("m.bin");
    unlink("tok.bin");
    unlink("out.gguf");
    if (chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
