/* source_fuzz.c - changed model files through all of --info and --check: GGUF
 * headers, llama2.c headers, config.json. A fault is named or there is none. */
#include "convert.h"
#include "fuzz.h"
#include "inspect.h"

enum { VOCAB = 300 };

static const char *target = "f.gguf"; // the name under which the bytes are put

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const char *path = strstr(target, "/") ? "dir" : target;
    struct inspect_count count;
    struct buf b = {0};
    struct err e = {0};
    FILE *f = fopen(target, "wb");

    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
    if (inspect_info(path, "tok.bin", &b, &e) && (!*e.msg || strchr(e.msg, '\n')))
        abort();
    buf_free(&b);
    e.msg[0] = 0;
    if (inspect_check(path, "tok.bin", NULL, &count, &e) && (!*e.msg || strchr(e.msg, '\n')))
        abort();
    return 0;
}

#ifndef LIBFUZZER
static void put_tokenizer(void)
{
    FILE *f = fopen("tok.bin", "wb");
    int32_t longest = 8, n;
    char piece[16];

    if (!f || fwrite(&longest, 4, 1, f) != 1)
        abort();
    for (int i = 0; i < VOCAB; i++) {
        float score = -(float)i;

        snprintf(piece, sizeof(piece), i >= 3 && i < 259 ? "<0x%02X>" : "p%d", i < 3 ? i : i - 3);
        n = (int32_t)strlen(piece);
        if (fwrite(&score, 4, 1, f) != 1 || fwrite(&n, 4, 1, f) != 1 || fputs(piece, f) < 0)
            abort();
    }
    fclose(f);
}

static void put_model(void)
{
    const int32_t head[7] = {16, 24, 2, 4, 2, VOCAB, 32};
    size_t n = VOCAB * 16 + 5 * 16 + 2 * (2 * 16 * 16 + 2 * 8 * 16 + 3 * 24 * 16) + 32 * 4;
    FILE *f = fopen("m.bin", "wb");
    float x = 0;

    if (!f || fwrite(head, 4, 7, f) != 7)
        abort();
    for (size_t i = 0; i < n; i++, x += 0.25f)
        if (fwrite(&x, 4, 1, f) != 1)
            abort();
    fclose(f);
}

/* m.gguf and dir/ out of m.bin. */
static void make_seeds(void)
{
    struct source s;
    struct tok *tok;
    struct err e;

    put_tokenizer();
    put_model();
    if (source_open(&s, "m.bin", &e) || source_parts(&s, &e))
        abort();
    tok = source_tok(&s, "tok.bin", &e);
    CHECK(tok && !convert_gguf(&s, tok, "m.gguf", CONVERT_F16, true, &e));
    tok_close(tok);
    source_close(&s);
    if (source_open(&s, "m.gguf", &e) || source_parts(&s, &e))
        abort();
    tok = source_tok(&s, NULL, &e);
    CHECK(tok && !convert_dir(&s, tok, "dir", CONVERT_AUTO, false, &e));
    tok_close(tok);
    source_close(&s);
}

static void change(const char *seed, const char *as, size_t head, int times)
{
    struct file_map m;
    struct err e;
    uint8_t *copy;

    if (file_map(&m, seed, &e))
        abort();
    copy = malloc(m.n);
    if (!copy)
        abort();
    memcpy(copy, m.p, m.n); // the seed may be the file that is changed
    target = as;
    fuzz_run(as, copy, m.n, head && head < m.n ? head : m.n, times);
    if (!strcmp(seed, as)) { // as it was, for the next
        FILE *f = fopen(as, "wb");

        if (!f || fwrite(copy, 1, m.n, f) != m.n || fclose(f))
            abort();
    }
    free(copy);
    file_unmap(&m);
}

int main(void)
{
    static const char *const family[] = {"qwen2window", "gpt2", "gemma2", "nemotron"};
    char dir[] = "/tmp/source_fuzz.XXXXXX", config[4200], *data;

    data = realpath("tests/data/logits", NULL);
    if (!data || !mkdtemp(dir) || chdir(dir))
        return 1;
    TEST("seeds");
    make_seeds();
    change("m.gguf", "f.gguf", 2500, 3000);
    change("m.bin", "f.bin", 28, 1000);
    change("dir/config.json", "dir/config.json", 0, 2000);
    for (size_t i = 0; i < sizeof(family) / sizeof(family[0]); i++) { // beside foreign weights
        snprintf(config, sizeof(config), "%s/%s/config.json", data, family[i]);
        change(config, "dir/config.json", 0, 500);
    }
    free(data);
    if (system("rm -rf ./*") || chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
#endif
