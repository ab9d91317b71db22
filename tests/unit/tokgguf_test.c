/* tokgguf_test.c - tokenizers out of GGUF keys: defaults, flags, and files that are no good. */
#include "test.h"
#include "tokload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY "tokenizer.ggml."

/* What a test file says; what is not set is not written. */
struct file {
    const char *model, *pre, *name;
    const char *const *piece;
    int n, n_scores, n_types;
    const int *type; // by id; NULL: 1
    const char *const *merge;
    int n_merges;
    int bos, eos, unk, pad; // INT_MIN-like -9: not written
    int add_bos;            // -1: not written
    const char *pattern;
};

static const struct file none = {
    .model = "llama", .bos = -9, .eos = -9, .unk = -9, .pad = -9, .add_bos = -1};

static void put_u32(struct gguf_writer *w, const char *key, int v)
{
    if (v != -9)
        gguf_put_int(w, key, GGUF_U32, (int64_t)(uint32_t)v);
}

static void put_str(struct gguf_writer *w, const char *key, const char *s)
{
    if (s)
        gguf_put_str(w, key, s, strlen(s));
}

static void put_file(struct gguf_writer *w, const struct file *f)
{
    put_str(w, "general.name", f->name);
    put_str(w, KEY "model", f->model);
    put_str(w, KEY "pre", f->pre);
    put_str(w, "llmutils.tokenizer.pattern", f->pattern);
    if (f->piece) {
        gguf_put_array(w, KEY "tokens", GGUF_STR, (uint64_t)f->n);
        for (int i = 0; i < f->n; i++)
            gguf_add_str(w, f->piece[i], strlen(f->piece[i]));
    }
    if (f->n_scores) {
        gguf_put_array(w, KEY "scores", GGUF_F32, (uint64_t)f->n_scores);
        for (int i = 0; i < f->n_scores; i++)
            gguf_add_float(w, -(float)i);
    }
    if (f->n_types) {
        gguf_put_array(w, KEY "token_type", GGUF_I32, (uint64_t)f->n_types);
        for (int i = 0; i < f->n_types; i++)
            gguf_add_i32(w, f->type ? f->type[i] : 1);
    }
    if (f->merge) {
        gguf_put_array(w, KEY "merges", GGUF_STR, (uint64_t)f->n_merges);
        for (int i = 0; i < f->n_merges; i++)
            gguf_add_str(w, f->merge[i], strlen(f->merge[i]));
    }
    put_u32(w, KEY "bos_token_id", f->bos);
    put_u32(w, KEY "eos_token_id", f->eos);
    put_u32(w, KEY "unknown_token_id", f->unk);
    put_u32(w, KEY "padding_token_id", f->pad);
    if (f->add_bos >= 0)
        gguf_put_bool(w, KEY "add_bos_token", f->add_bos);
}

static struct tok *load(const struct file *f, struct err *e)
{
    char dir[] = "/tmp/tokgguf_test.XXXXXX", path[64];
    struct gguf_writer w;
    struct gguf g;
    struct tok *t = NULL;

    *e = (struct err){0};
    if (!mkdtemp(dir))
        return NULL;
    snprintf(path, sizeof(path), "%s/t.gguf", dir);
    if (gguf_create(&w, path, 1, e) == 0) {
        put_file(&w, f);
        if (gguf_start_data(&w, e) == 0 && gguf_finish(&w, e) == 0 && gguf_open(&g, path, e) == 0) {
            t = tokload_gguf(&g, e);
            gguf_close(&g);
        }
    }
    unlink(path);
    rmdir(dir);
    return t;
}

static bool refused(const struct file *f, const char *why)
{
    struct err e;
    struct tok *t = load(f, &e);
    bool good = !t && strstr(e.msg, why);

    if (!good)
        printf("# %s\n", t ? "loaded" : e.msg);
    tok_close(t);
    return good;
}

static const char *const bpe_piece[] = {"a", "b", "ab", "Ġ", "<|end|>", "<|im_end|>"};
static const char *const bpe_merge[] = {"a b"};
static const int bpe_type[] = {1, 1, 1, 1, 3, 1};

static struct file bpe(void)
{
    struct file f = none;

    f.model = "gpt2";
    f.pre = "gpt-2";
    f.piece = bpe_piece;
    f.n = 6;
    f.type = bpe_type;
    f.n_types = 6;
    f.merge = bpe_merge;
    f.n_merges = 1;
    return f;
}

static const char *const spm_piece[] = {"<unk>", "<s>", "</s>", "▁", "a", "▁a"};
static const int spm_type[] = {2, 3, 3, 1, 1, 1};

static struct file spm(void)
{
    struct file f = none;

    f.piece = spm_piece;
    f.n = f.n_scores = f.n_types = 6;
    f.type = spm_type;
    return f;
}

static void good(void)
{
    struct file f = bpe();
    struct err e;
    struct tok *t = load(&f, &e);
    struct tok_ids ids = {0};

    TEST("tokgguf: defaults and flags");
    CHECK(t && tok_kind(t) == TOK_BPE && tok_bos(t) == -1 && !tok_adds_bos(t) &&
          !tok_adds_space(t));
    CHECK(t && tok_is_end(t, 5) && tok_type(t, 5) == TOK_CONTROL); // by its text
    CHECK(t && tok_encode(t, "ab ab<|end|>", 12, TOK_SPECIAL, &ids, &e) == 0 && ids.n == 4);
    CHECK(ids.n == 4 && ids.id[0] == 2 && ids.id[1] == 3 && ids.id[2] == 2 && ids.id[3] == 4);
    tok_close(t);
    f.pre = "llama-bpe";
    f.bos = 4;
    t = load(&f, &e);
    CHECK(t && tok_adds_bos(t) && !strcmp(tok_pre(t), "llama-bpe"));
    tok_close(t);
    f.pre = "never heard of";
    f.pattern = "[a-z]";
    t = load(&f, &e);
    ids.n = 0;
    CHECK(t && tok_encode(t, "ab", 2, 0, &ids, &e) == 0 && ids.n == 2);
    CHECK(t && !strcmp(tok_pattern(t), "[a-z]"));
    tok_close(t);
    f = spm();
    f.pad = 99; // out of range and of no use
    t = load(&f, &e);
    CHECK(t && tok_kind(t) == TOK_SPM && tok_bos(t) == 1 && tok_eos(t) == 2 && tok_adds_bos(t));
    CHECK(t && tok_adds_space(t));
    tok_close(t);
    tok_ids_free(&ids);
}

static void phi3(void)
{
    struct file f = spm();
    static const char *const piece[] = {"<unk>", "<s>", "</s>", "▁", "a", "▁a", "<|user|>"};
    static const int type[] = {2, 3, 3, 1, 1, 1, 3};
    struct tok_ids ids = {0};
    struct err e;
    struct tok *t;

    TEST("tokgguf: Phi-3's control tokens take the white space behind them");
    f.piece = piece;
    f.type = type;
    f.n = f.n_scores = f.n_types = 7;
    f.name = "Phi-3 mini";
    t = load(&f, &e);
    CHECK(t && tok_encode(t, "<|user|> \n a", 12, TOK_SPECIAL, &ids, &e) == 0);
    CHECK(ids.n == 2 && ids.id[0] == 6 && ids.id[1] == 5);
    tok_ids_free(&ids);
    tok_close(t);
}

static void bad_lists(void)
{
    static const char *const twice[] = {"a", "b", "ab", "Ġ", "a", "x"};
    static const char *const empty[] = {"a", "b", "ab", "Ġ", "", "x"};
    static const char *const loose[] = {"ab"}, *const strange[] = {"a c"},
                             *const fruitless[] = {"b a"};
    static const int types[] = {1, 1, 1, 1, 1, 7};
    struct file f = none;

    TEST("tokgguf: lists that do not fit together");
    CHECK(refused(&f, "no key '" KEY "tokens'"));
    f = bpe();
    f.model = NULL;
    CHECK(refused(&f, "no key '" KEY "model'"));
    f.model = "rwkv";
    CHECK(refused(&f, "'rwkv' is not supported"));
    f = bpe();
    f.n_types = 5;
    CHECK(refused(&f, "5 items for 6 tokens"));
    f = bpe();
    f.type = types;
    CHECK(refused(&f, "type 7 of token 5"));
    f = spm();
    f.n_scores = 7;
    CHECK(refused(&f, "7 items for 6 tokens"));
    f.n_scores = 0;
    CHECK(refused(&f, "no key '" KEY "scores'"));
    f = bpe();
    f.piece = twice;
    CHECK(refused(&f, "duplicate token 'a': ids 0 and 4"));
    f.piece = empty;
    CHECK(refused(&f, "token 4 is empty"));
    f = bpe();
    f.merge = loose;
    CHECK(refused(&f, "merge 0"));
    f.merge = strange;
    CHECK(refused(&f, "merge 0: 'c' is not in the vocabulary"));
    f.merge = fruitless;
    CHECK(refused(&f, "merge 0: 'ba' is not in the vocabulary"));
    f.merge = NULL;
    CHECK(refused(&f, "no key '" KEY "merges'"));
}

static void bad_ids(void)
{
    struct file f = bpe();

    TEST("tokgguf: ids out of range, BOS wanted but absent, unknown pre-tokenizers");
    f.bos = 6;
    CHECK(refused(&f, "token id out of range"));
    f.bos = -1; // 2^32 - 1
    CHECK(refused(&f, "token id out of range"));
    f = bpe();
    f.eos = 1 << 30;
    CHECK(refused(&f, "token id out of range"));
    f = bpe();
    f.unk = 6;
    CHECK(refused(&f, "token id out of range"));
    f = bpe();
    f.add_bos = 1;
    CHECK(refused(&f, "add_bos_token set but no bos id"));
    f = bpe();
    f.pre = "never heard of";
    CHECK(refused(&f, "'never heard of'") && refused(&f, "llmutils.tokenizer.pattern"));
    f.pre = "gpt"; // part of a name is none
    CHECK(refused(&f, "unknown pre-tokenizer 'gpt'"));
    f.pattern = "(";
    CHECK(refused(&f, "unsupported pattern '('"));
}

int main(void)
{
    good();
    phi3();
    bad_lists();
    bad_ids();
    return test_end();
}
