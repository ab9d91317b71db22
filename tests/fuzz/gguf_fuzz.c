/* gguf_fuzz.c - changed GGUF headers: opened or refused, and what is opened can be read whole. */
#include "fuzz.h"
#include "gguf.h"
#include "quant.h"

static void touch_tensors(const struct gguf *g)
{
    float y[256];

    for (int i = 0; i < g->n_tensors; i++) {
        const struct tensor *t = &g->tensor[i];
        const uint8_t *p = t->data;
        int block = tensor_block(t->type);

        if (gguf_tensor(g, t->name) != t || tensor_rows(t) < 1)
            abort();
        for (size_t at = 0; at < t->bytes; at += tensor_block_bytes(t->type))
            quant_read(t->type, p + at, y, block);
    }
}

static void touch_keys(const struct gguf *g)
{
    struct err e;
    int64_t v;
    float f;
    bool b;
    const char *s;
    size_t n;

    for (int i = 0; i < g->n_kv; i++) {
        const struct gguf_kv *kv = &g->kv[i];
        size_t at = 0;
        double sum = 0;

        if (gguf_find(g, kv->key) != kv)
            abort();
        gguf_int(g, kv->key, -5, 5, &v, &e);
        gguf_float(g, kv->key, &f, &e);
        gguf_bool(g, kv->key, &b, &e);
        gguf_str(g, kv->key, &s, &n, &e);
        while (gguf_next_str(kv, &at, &s, &n))
            sum += n ? s[n - 1] : 0;
        for (uint64_t k = 0; k < kv->n && kv->elem != GGUF_STR; k++)
            sum += gguf_item_num(kv, k) + (double)gguf_item_int(kv, k);
        (void)sum;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct gguf g;
    struct err e;
    char path[32];
    int fd = fuzz_file(p, n, path), bad = 0;

    if (!gguf_open(&g, path, &e)) {
        touch_keys(&g);
        touch_tensors(&g);
    } else {
        bad = strncmp(e.msg, path, strlen(path)) != 0;
    }
    gguf_close(&g);
    close(fd);
    return bad;
}

#ifndef LIBFUZZER
/* A small file with every kind of value and several tensor types. */
static void write_seed(const char *path)
{
    static const enum tensor_type type[] = {T_F32, T_F16, T_Q8_0, T_Q4_K, T_Q6_K, T_I32};
    static const uint8_t zero[2048];
    struct gguf_writer w;
    struct err e;
    char name[32];

    CHECK(!gguf_create(&w, path, 1, &e));
    gguf_put_str(&w, "general.architecture", "llama", 5);
    for (int t = 0; t < GGUF_NTYPES; t++) {
        snprintf(name, sizeof(name), "key.%d", t);
        if (t != GGUF_F32 && t != GGUF_F64 && t != GGUF_STR && t != GGUF_ARR)
            gguf_put_int(&w, name, (enum gguf_type)t, 1);
    }
    gguf_put_float(&w, "eps", 1e-5f);
    gguf_put_array(&w, "tokenizer.ggml.tokens", GGUF_STR, 5);
    for (int i = 0; i < 5; i++)
        gguf_add_str(&w, "token", (size_t)i);
    gguf_put_array(&w, "tokenizer.ggml.scores", GGUF_F32, 3);
    for (int i = 0; i < 3; i++)
        gguf_add_float(&w, (float)i);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "blk.%d.weight", i);
        CHECK(!gguf_put_tensor(&w, name, type[i], 2, (const int64_t[]){1 + i % 2, 256}, &e));
    }
    CHECK(!gguf_start_data(&w, &e));
    for (int i = 0; i < 6; i++) {
        size_t n = (size_t)(1 + i % 2) * tensor_row_bytes(type[i], 256);

        CHECK(!gguf_data(&w, zero, n, &e) && !gguf_end_tensor(&w, &e));
    }
    CHECK(!gguf_finish(&w, &e));
}

int main(void)
{
    char dir[] = "/tmp/gguf_fuzz.XXXXXX";
    struct gguf g;
    struct err e;

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    TEST("the seed opens");
    write_seed("seed.gguf");
    if (gguf_open(&g, "seed.gguf", &e))
        return 1;
    fuzz_run("GGUF", g.map.p, g.map.n, g.data_start, 10000);
    gguf_close(&g);
    if (unlink("seed.gguf") || chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
#endif
