/* bert_fuzz.c - changed files of an encoder and of its WordPiece tokenizer: vocab.txt,
 * tokenizer.json, tokenizer_config.json, config.json, 1_Pooling/config.json, weights, GGUF. Refused
 * with a message, or texts have tokens and vectors without harm. */
#include "convert.h"
#include "engine.h"
#include "file.h"
#include "fuzz.h"
#include "fuzz_tok.h"
#include "source.h"

/* The file that is changed, and what is opened then. */
static const char *target = "words/vocab.txt", *path = "words";
static int whole;    // the model, not the tokenizer alone
static int n_opened; // how often it could be

static const char text[] =
    "The quick fox's 3.14 \xC3\xA9t\xC3\xA9 \xED\x95\x9C\xEA\xB5\xAD "
    "\xE4\xB8\xAD\xE6\x96\x87 [SEP] ##ing unbelievable\xCC\x81 \xF0\x9F\x98\x80";

/* The vector of the text. */
static void vector(struct engine *en)
{
    struct engine_request q = {.pool = HIDDEN_MEAN};
    struct engine_result d = {0};
    struct tok_ids ids = {0};
    struct err e = {0};

    if (!tok_encode(engine_model(en)->tok, text, sizeof(text) - 1, TOK_BOS | TOK_EOS, &ids, &e)) {
        q.token = ids.id;
        q.n_token = (int)ids.n;
        if (!engine_submit(en, &q, &e))
            while (!engine_poll(en, &d) && !engine_step(en, &e))
                ;
    }
    tok_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const struct engine_opt o = {.batch = 1, .batch_tokens = 256, .threads = 1, .hidden = true};
    struct err e = {0};
    FILE *f = fopen(target, "wb");
    struct engine *en = NULL;
    struct tok *t = NULL;

    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
    if (whole)
        en = engine_open(&o, path, &e);
    else
        t = tokload_path(path, &e);
    if (!en && !t && (!e.msg[0] || strchr(e.msg, '\n')))
        abort();
    if (en)
        vector(en);
    if (t)
        fuzz_tokens(t, text, sizeof(text) - 1);
    n_opened += en || t;
    engine_close(en);
    tok_close(t);
    return 0;
}

#ifndef LIBFUZZER
/* A file changed so many times within its first bytes (0: all), then as it was. */
static void change(const char *file, const char *opened, int model, size_t head, int times)
{
    struct file_map m;
    struct err e;
    uint8_t *copy;

    if (file_map(&m, file, &e))
        abort();
    copy = malloc(m.n);
    if (!copy)
        abort();
    memcpy(copy, m.p, m.n);
    target = file;
    path = opened;
    whole = model;
    fuzz_run(file, copy, m.n, head && head < m.n ? head : m.n, times);
    printf("# %d of them opened\n", n_opened);
    n_opened = 0;
    CHECK(LLVMFuzzerTestOneInput(copy, m.n) == 0 && n_opened == 1);
    n_opened = 0;
    free(copy);
    file_unmap(&m);
}

static void as_gguf(void)
{
    struct source s;
    struct tok *tok;
    struct err e;

    if (source_open(&s, "words", &e) || source_parts(&s, &e))
        abort();
    tok = source_tok(&s, NULL, &e);
    CHECK(tok && !convert_gguf(&s, tok, "m.gguf", CONVERT_F16, true, &e));
    tok_close(tok);
    source_close(&s);
}

int main(void)
{
    char dir[] = "/tmp/bert_fuzz.XXXXXX", cmd[4400], *data = realpath("tests/data/bert", NULL);

    if (!data || !mkdtemp(dir) || chdir(dir))
        return 1;
    snprintf(cmd, sizeof(cmd),
             "cp -r %s words && cp -r words json && rm words/tokenizer.json json/vocab.txt", data);
    free(data);
    if (system(cmd))
        return 1;
    as_gguf();
    change("words/vocab.txt", "words", 0, 0, 2000);
    change("words/tokenizer_config.json", "words", 0, 0, 500);
    change("json/tokenizer.json", "json", 0, 0, 2000);
    change("words/config.json", "words", 1, 0, 1000);
    change("words/1_Pooling/config.json", "words", 1, 0, 200);
    change("words/model.safetensors", "words", 1, 3000, 500);
    change("m.gguf", "m.gguf", 1, 4000, 1500);
    if (system("rm -rf ./*") || chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
#endif
