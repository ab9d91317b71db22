/* tok_test.c - tokenizers: goldens, decoding, writing and reading back, hand-made vocabularies. */
#include "arena.h"
#include "file.h"
#include "gguf.h"
#include "json.h"
#include "mem.h"
#include "test.h"
#include "tok.h"
#include "tokload.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = {"gpt2",    "gpt2-holes",    "llama3",   "llama2", "gemma",
                                    "gemma2",  "qwen",          "nemotron", "bytes",  "chars",
                                    "unigram", "unigram-bytes", "t5",       NULL};

static struct tok *open_golden(const char *name)
{
    char path[80];
    struct err e;
    struct tok *t;

    snprintf(path, sizeof(path), "tests/data/tok/%s.json", name);
    t = tokload_path(path, &e);
    if (!t)
        printf("# %s\n", e.msg);
    return t;
}

static bool gives(const struct tok *t, const char *s, size_t n, int flags, const int32_t *want,
                  size_t n_want)
{
    struct tok_ids ids = {0};
    struct err e;
    bool same = tok_encode(t, s, n, flags, &ids, &e) == 0 && ids.n == n_want &&
                (!n_want || !memcmp(ids.id, want, n_want * sizeof(*want)));

    tok_ids_free(&ids);
    return same;
}

/* The ids of a member of a golden, or 0 when it has none such. */
static size_t golden_ids(const struct json *j, const char *key, int32_t id[1024])
{
    int list = json_get(j, 0, key);
    size_t n = 0;
    int64_t v;

    for (uint32_t k = (uint32_t)list + 1; list >= 0 && k < j->node[list].next; k = j->node[k].next)
        if (json_int(j, (int)k, &v) == 0 && n < 1024)
            id[n++] = (int32_t)v;
    return n;
}

/* All goldens of one tokenizer; returns how many agree. */
static int agree(const struct tok *t, const char *name, int *all)
{
    struct err e;
    struct arena a = {0};
    char *text = file_text("tests/data/tok/expect.jsonl", 1 << 20, NULL, &e), *save;
    int32_t id[1024];
    int good = 0;

    *all = 0;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        struct json j;
        size_t n, k;
        char *s;
        const char *plain;

        arena_reset(&a);
        if (json_parse(&j, &a, line, strlen(line), &e) < 0 ||
            !json_str_is(&j, json_get(&j, 0, "tokenizer"), name))
            continue;
        s = json_str(&j, json_get(&j, 0, "text"), &a, &n);
        k = golden_ids(&j, "special", id);
        *all += 2;
        good += gives(t, s, n, TOK_SPECIAL, id, k);
        plain = json_get(&j, 0, "plain") >= 0 ? "plain" : "special";
        k = golden_ids(&j, plain, id);
        good += gives(t, s, n, 0, id, k);
        if (json_get(&j, 0, "all") >= 0) {
            k = golden_ids(&j, "all", id);
            *all += 1;
            good += gives(t, s, n, TOK_BOS | TOK_EOS | TOK_SPECIAL, id, k);
        }
    }
    arena_free(&a);
    free(text);
    return good;
}

static bool agrees(const struct tok *t, const char *name)
{
    int all, good = agree(t, name, &all);

    if (good != all)
        printf("# %s: %d of %d\n", name, good, all);
    return good == all && all > 90;
}

static void goldens(void)
{
    TEST("tok: thirteen kinds of tokenizer give Hugging Face's ids");
    for (int i = 0; names[i]; i++) {
        struct tok *t = open_golden(names[i]);

        CHECK(t && agrees(t, names[i]));
        tok_close(t);
    }
}

/* A tokenizer.json of nothing but these members. */
static struct tok *of_json(const char *members)
{
    char path[] = "/tmp/tok_test.XXXXXX.json";
    int fd = mkstemps(path, 5);
    struct err e;
    struct tok *t;

    dprintf(fd, "{%s}", members);
    close(fd);
    t = tokload_path(path, &e);
    if (!t)
        printf("# %s\n", e.msg);
    unlink(path);
    return t;
}

static bool ids_are(const struct tok *t, const char *s, const char *want)
{
    struct tok_ids ids = {0};
    struct buf b = {0};
    struct err e;
    bool same;

    if (t && tok_encode(t, s, strlen(s), 0, &ids, &e) == 0)
        for (size_t i = 0; i < ids.n; i++)
            buf_fmt(&b, "%s%d", i ? " " : "", ids.id[i]);
    same = !strcmp(buf_cstr(&b), want);
    if (!same)
        printf("# '%s' gives %s, not %s\n", s, buf_cstr(&b), want);
    buf_free(&b);
    tok_ids_free(&ids);
    return same;
}

#define ADDED(id, text, flag) "{\"id\":" #id ",\"content\":\"" text "\",\"" flag "\":true}"
#define BYTES                 "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"

/* As HF's tokenizers 0.23 has it. */
static void added_tokens(void)
{
    static const char model[] =
        BYTES "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"!\":2,\"\u0120\":3,"
              "\"!!\":4,\"\u010A\":5},\"merges\":[\"! !\"]},\"added_tokens\":[" //
        ADDED(2, "!", "special") "," ADDED(6, "ab", "single_word") ","          //
        ADDED(7, "b!", "rstrip") "," ADDED(8, "  ", "lstrip") ","               //
        ADDED(9, "\\n", "single_word") "," ADDED(10, "a ", "normalized") "]";
    struct tok *t = of_json(model);

    TEST("tok: added tokens hide others, take white space and keep their bytes as in HF");
    CHECK(ids_are(t, "ab", "6") && ids_are(t, "aba", "0 1 0"));
    CHECK(ids_are(t, "aab!", "0 0 1 2")); // "ab" may not stand and hides "b!"
    CHECK(ids_are(t, "a!b", "0 2 1") && ids_are(t, "a!!b", "0 4 1"));
    CHECK(ids_are(t, "b! \n !", "7 9 3 2") && ids_are(t, "b!  b", "7 1"));
    CHECK(ids_are(t, "a    b", "0 8 8 1")); // the text as it is comes before normalized text
    CHECK(ids_are(t, "a b", "10 1"));
    tok_close(t);
}

static void neighbours(void)
{
    struct tok *t = of_json(
        "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\",\"split\":false},"
        "\"normalizer\":{\"type\":\"StripAccents\"},\"model\":{\"type\":\"BPE\",\"vocab\":{"
        "\"a\":0,\"\u2581\":1,\"a\u2581\":2,\"\u2581\u2581\":3},\"merges\":[\"a \u2581\","
        "\"\u2581 \u2581\"]}");

    TEST("tok: what is left out lets its neighbours merge, at a text's start as well");
    CHECK(ids_are(t, "ax ", "1 2") && ids_are(t, "x ", "3"));
    CHECK(ids_are(t, "\u0301a", "0") && ids_are(t, "a\u0301", "1 0"));
    tok_close(t);
}

static void odd_pieces(void)
{
    struct tok *t = of_json(
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":"
        "\"##\",\"vocab\":{\"[UNK]\":0,\"the\":1,\"##l\":2,\"##he\":3,\"t\":4}},"
        "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"lowercase\":false,"
        "\"handle_chinese_chars\":false,\"strip_accents\":null},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"added_tokens\":[" //
        ADDED(1, "the", "single_word") "]");

    TEST("tok: WordPiece: added words begin words, what is not assigned stays");
    CHECK(ids_are(t, "thel the", "1 2 1") && ids_are(t, "t\u0378l tl", "0 4 2"));
    tok_close(t);
    t = of_json("\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],"
                "[\"bb\",-40],[\"abc\",-25],[\"cd\",-1],[\"d\",-22],[\"e\",-30]]},"
                "\"added_tokens\":[" //
                ADDED(2, "bb", "single_word") "]");
    TEST("tok: Unigram: what is unknown is worse than all pieces");
    CHECK(ids_are(t, "abcd", "3 5") && ids_are(t, "abb", "1 2"));
    tok_close(t);
}

/* The text of ids, in one go and token by token. */
static bool text_is(const struct tok *t, const int32_t *id, size_t n, bool special,
                    const char *want)
{
    struct tok_stream st = {.first = true};
    struct buf whole = {0}, parts = {0};
    bool same;

    tok_decode(t, id, n, special, &whole);
    for (size_t i = 0; i < n; i++)
        tok_stream_add(t, &st, id[i], special, &parts);
    tok_stream_end(&st, &parts);
    same = !strcmp(buf_cstr(&whole), want) && !strcmp(buf_cstr(&parts), want);
    if (!same)
        printf("# '%s', not '%s'\n", buf_cstr(&whole), want);
    buf_free(&whole);
    buf_free(&parts);
    return same;
}

/* Metaspace makes the same ids of "aXa" and "aX a": decoding gives the second, as HF does. What
 * puts one more space before every stretch of text has it taken away again. */
static void space_behind(void)
{
    static const char model[] =
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\u2581\":1,\"\u2581a\":2},\"merges\":["
        "\"\u2581 a\"]},\"added_tokens\":[" ADDED(3, "X", "normalized") "," ADDED(
            4, "Y", "rstrip") "," ADDED(5, "Z", "special") "],";
    static const int32_t id[] = {2, 3, 2, 4, 2, 5, 2};
    char text[1024];
    struct tok *t;

    TEST("tok: decode: the space behind an added token is the text's unless it comes twice");
    snprintf(text, sizeof(text), "%s%s", model,
             "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"always\"},"
             "\"normalizer\":{\"type\":\"NFC\"}");
    t = of_json(text);
    CHECK(ids_are(t, "aXa", "2 3 2") && ids_are(t, "aX a", "2 3 2"));
    CHECK(text_is(t, id, 7, true, "aX aY aZ a") && text_is(t, id, 7, false, "aX aY a a"));
    tok_close(t);
    snprintf(text, sizeof(text), "%s%s", model,
             "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
             "\"prepend\":\"\u2581\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
             "\"content\":\"\u2581\"}]}");
    t = of_json(text);
    CHECK(ids_are(t, "aYa", "2 4 2"));
    CHECK(text_is(t, id, 7, true, "aX aYaZa"));
    tok_close(t);
}

static void names_are_words(void)
{
    static const int32_t id[] = {1, 3, 4, 0, 3, 5, 3, 2, 3};
    struct tok *t = of_json(
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":"
        "\"##\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"t\":3,\"##he\":4,\"[unused1]\":5,"
        "\"fox\":6}},\"added_tokens\":["                     //
        "{\"id\":1,\"content\":\"[CLS]\",\"special\":true}," //
        "{\"id\":2,\"content\":\"[SEP]\",\"special\":true}," ADDED(6, "fox", "single_word") "]");

    TEST("tok: WordPiece: names and added words are words in the text, too");
    CHECK(t && text_is(t, id, 9, true, "[CLS] the [UNK] t [unused1] t [SEP] t"));
    CHECK(t && text_is(t, id, 9, false, "the t [unused1] t t"));
    CHECK(t && text_is(t, (const int32_t[]){6, 3, 6, 6}, 4, false, "fox t fox fox"));
    CHECK(t && ids_are(t, "##he", "4") && ids_are(t, "##het", "0") && ids_are(t, "##", "0"));
    tok_close(t);
}

/* Written as GGUF, and as a directory, and read again: the same ids. */
static void written(void)
{
    char dir[] = "/tmp/tok_test.XXXXXX", path[64];

    TEST("tok: written as GGUF or tokenizer.json and read back, the ids stay");
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/t.gguf", dir);
    for (int i = 0; names[i]; i++) {
        struct tok *t = open_golden(names[i]), *back;
        struct gguf_writer w;
        struct gguf g;
        struct err e = {0};
        int rows;

        if (!t)
            continue;
        rows = tok_size(t) + (i % 2 ? 5 : 0); // an embedding that is rounded up
        CHECK(gguf_create(&w, path, 1, &e) == 0);
        tokload_put_gguf(t, rows, &w);
        CHECK(gguf_start_data(&w, &e) == 0 && gguf_finish(&w, &e) == 0);
        CHECK(gguf_open(&g, path, &e) == 0);
        back = tokload_gguf(&g, &e);
        CHECK(back && tok_size(back) == rows);
        if (!back)
            printf("# %s: %s\n", names[i], e.msg);
        CHECK(back && agrees(back, names[i]));
        CHECK(back && tok_eos(back) == tok_eos(t) && tok_bos(back) == tok_bos(t));
        tok_close(back);
        gguf_close(&g);
        CHECK(tokload_put_dir(t, dir, &e) == 0);
        back = tokload_dir(dir, &e);
        CHECK(back && agrees(back, names[i]));
        if (!back)
            printf("# %s: %s\n", names[i], e.msg);
        tok_close(back);
        tok_close(t);
    }
    unlink(path);
    snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/tokenizer_config.json", dir);
    unlink(path);
    rmdir(dir);
}

static const char *const nasty[] = {"",
                                    " ",
                                    "  ",
                                    "\n",
                                    " a",
                                    "a ",
                                    "  two  words ",
                                    "\t\r\n\f",
                                    "é 한국어 😀 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
                                    "0x41 <0x41> <s>",
                                    "\x01\x7F",
                                    "\xEF\xBF\xBD",
                                    "x\xCC\x81y",
                                    "don't 'tis 3.14 100%",
                                    "a\xC2\xA0\xE3\x80\x80",
                                    "\xF4\x8F\xBF\xBF"};

static void round_trip(void)
{
    static const char *const exact[] = {"gpt2", "llama2", "llama3", NULL};

    TEST("tok: decode(encode(x)) = x, in one go and token by token");
    for (int i = 0; exact[i]; i++) {
        struct tok *t = open_golden(exact[i]);

        for (size_t k = 0; t && k < sizeof(nasty) / sizeof(nasty[0]); k++) {
            struct tok_ids ids = {0};
            struct tok_stream st = {.first = true};
            struct buf whole = {0}, parts = {0};
            struct err e;
            bool cut = false;

            CHECK(tok_encode(t, nasty[k], strlen(nasty[k]), TOK_BOS, &ids, &e) == 0);
            tok_decode(t, ids.id, ids.n, false, &whole);
            for (size_t x = 0; x < ids.n; x++) {
                tok_stream_add(t, &st, ids.id[x], false, &parts);
                cut |= utf8_check(parts.p, parts.n) != parts.n;
            }
            tok_stream_end(&st, &parts);
            if (strcmp(buf_cstr(&whole), nasty[k]))
                printf("# %s '%s' '%s'\n", exact[i], nasty[k], buf_cstr(&whole));
            CHECK(!strcmp(buf_cstr(&whole), nasty[k]));
            CHECK(!strcmp(buf_cstr(&parts), nasty[k]) && !cut);
            buf_free(&whole);
            buf_free(&parts);
            tok_ids_free(&ids);
        }
        CHECK(t);
        tok_close(t);
    }
}

/* A vocabulary by hand: <unk> <s> </s>, 256 bytes, then pieces with scores. */
static struct tok *by_hand(const char *const *piece, int n, bool prefix, struct err *e)
{
    struct tok_spec s = {.kind = TOK_SPM,
                         .by_score = true,
                         .byte_fallback = true,
                         .bos = 1,
                         .eos = 2,
                         .unk = 0,
                         .pad = -1,
                         .add_bos = true,
                         .n = 259 + n};
    static const char *const first[] = {"<unk>", "<s>", "</s>"};

    s.piece = arena_new(&s.mem, (size_t)s.n * sizeof(*s.piece));
    s.added = arena_new(&s.mem, 3 * sizeof(*s.added));
    s.normalizer =
        prefix ? "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"▁\"},"
                 "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}]}"
               : NULL;
    for (int i = 0; i < s.n; i++) {
        char name[8];
        const char *text = i < 3 ? first[i] : i < 259 ? name : piece[i - 259];
        enum tok_type type = i == 0    ? TOK_UNKNOWN
                             : i < 3   ? TOK_CONTROL
                             : i < 259 ? TOK_BYTE
                                       : TOK_NORMAL;

        snprintf(name, sizeof(name), "<0x%02X>", (unsigned)(i - 3) & 0xFF);
        s.piece[i] = (struct vocab_piece){arena_dup(&s.mem, text, strlen(text)),
                                          (uint32_t)strlen(text), type, false, -i};
    }
    for (int i = 0; i < 3; i++)
        s.added[s.n_added++] = (struct tok_added){.id = i};
    return tok_new(&s, e);
}

static void streaming(void)
{
    struct err e;
    struct tok *t = by_hand((const char *const[]){"▁a", "▁", "a"}, 3, true, &e);
    struct tok_stream s = {.first = true};
    struct buf b = {0};
    int32_t split[] = {1, 259, 3 + 0xE2, 3 + 0x82};

    TEST("tok: streaming holds back what is no character yet");
    CHECK(t);
    if (!t)
        return;
    for (int i = 0; i < 4; i++)
        tok_stream_add(t, &s, split[i], false, &b);
    CHECK(!strcmp(buf_cstr(&b), "a") && s.n_held == 2);
    tok_stream_add(t, &s, 3 + 0xAC, false, &b);
    CHECK(!strcmp(buf_cstr(&b), "a€") && s.n_held == 0);
    tok_stream_add(t, &s, 3 + 0xE2, false, &b);
    tok_stream_add(t, &s, 261, false, &b); // cannot be completed any more
    CHECK(!strcmp(buf_cstr(&b), "a€\xEF\xBF\xBD"
                                "a"));
    tok_stream_add(t, &s, 3 + 0x80, false, &b);
    tok_stream_add(t, &s, 3 + 0xF0, false, &b);
    tok_stream_add(t, &s, 3 + 0x9F, false, &b);
    tok_stream_end(&s, &b);
    CHECK(!strcmp(buf_cstr(&b), "a€\xEF\xBF\xBD"
                                "a\xEF\xBF\xBD\xEF\xBF\xBD"));
    buf_reset(&b);
    s = (struct tok_stream){.first = false};
    tok_stream_add(t, &s, 259, false, &b);
    CHECK(!strcmp(buf_cstr(&b), " a"));
    tok_stream_add(t, &s, 2, false, &b); // a control token: its text is asked for or not
    tok_stream_add(t, &s, 2, true, &b);
    tok_stream_add(t, &s, 259, false, &b); // and the space behind it is the encoder's
    CHECK(!strcmp(buf_cstr(&b), " a</s>a"));
    tok_stream_add(t, &s, -1, true, &b);
    tok_stream_add(t, &s, 1 << 30, true, &b);
    CHECK(!strcmp(buf_cstr(&b), " a</s>a"));
    buf_free(&b);
    tok_close(t);
}

static void scores(void)
{
    struct err e;
    /* Scores fall with the id: "bc" outdoes "ab"; "ab" and "abc" come after. */
    struct tok *t =
        by_hand((const char *const[]){"bc", "ab", "abc", "a", "b", "c", "aa"}, 7, false, &e);
    struct tok_ids ids = {0};

    TEST("tok: SentencePiece merges the best score first, the leftmost of equals");
    CHECK(t);
    if (!t)
        return;
    CHECK(gives(t, "abc", 3, 0, (int32_t[]){261}, 1)); // bc, then a + bc
    CHECK(gives(t, "aab", 3, 0, (int32_t[]){262, 260}, 2));
    CHECK(gives(t, "aaa", 3, 0, (int32_t[]){265, 262}, 2));
    CHECK(gives(t, "z\n", 2, 0, (int32_t[]){3 + 'z', 3 + '\n'}, 2));
    CHECK(gives(t, "</s>", 4, TOK_SPECIAL, (int32_t[]){2}, 1));
    CHECK(!gives(t, "</s>", 4, 0, (int32_t[]){2}, 1));
    CHECK(gives(t, "<s>a", 4, TOK_SPECIAL | TOK_BOS, (int32_t[]){1, 262}, 2));
    CHECK(gives(t, "", 0, TOK_BOS, (int32_t[]){1}, 1));
    CHECK(tok_encode(t, "a\xFF", 2, TOK_BOS, &ids, &e) == -1 && e.code == ERR_DATA && ids.n == 0);
    CHECK(strstr(e.msg, "byte 1 "));
    CHECK(tok_find(t, "abc", 3) == 261 && tok_find(t, "abcd", 4) == -1);
    CHECK(tok_type(t, 5) == TOK_BYTE && tok_type(t, 1) == TOK_CONTROL && tok_is_end(t, 2) == false);
    tok_ids_free(&ids);
    tok_close(t);
}

static void parts(void)
{
    struct err e;
    struct tok *t = by_hand((const char *const[]){"a", "b", "ab"}, 3, false, &e);
    struct tok_ids ids = {0};
    const char *text = "</s>a</s>b";
    struct tok_part part[] = {{4, true}, {9, false}, {10, true}};

    TEST("tok: control tokens only in the parts that may name them, merges across parts");
    CHECK(t);
    if (!t)
        return;
    CHECK(tok_encode_parts(t, text, part, 3, 0, &ids, &e) == 0);
    CHECK(ids.n == 7 && ids.id[0] == 2 && ids.id[1] == 259 && ids.id[6] == 260);
    ids.n = 0;
    CHECK(tok_encode_parts(t, "ab", (struct tok_part[]){{1, true}, {2, false}}, 2, 0, &ids, &e) ==
          0);
    CHECK(ids.n == 1 && ids.id[0] == 261);
    ids.n = 0;
    CHECK(tok_encode_parts(t, "</s>", (struct tok_part[]){{2, true}, {4, false}}, 2, 0, &ids, &e) ==
          0);
    CHECK(ids.n == 4); // half a name is none
    tok_ids_free(&ids);
    tok_close(t);
}

static void refused(void)
{
    static const char *const twice[] = {"a", "a"}, *const empty[] = {""}, *const bad[] = {"\xC3"};
    struct err e;

    TEST("tok: vocabularies that cannot be are refused");
    CHECK(!by_hand(twice, 2, false, &e) && strstr(e.msg, "duplicate token 'a'"));
    CHECK(!by_hand(empty, 1, false, &e) && strstr(e.msg, "token 259 is empty"));
    CHECK(!by_hand(bad, 1, false, &e) && strstr(e.msg, "not valid UTF-8"));
    CHECK(!tokload_path("tests/data/tok", &e));
    CHECK(!tokload_path("tests/data/tok/expect.jsonl", &e));
}

static void vocabularies(void)
{
    static const char *const file[] = {"gpt-2", "llama-bpe", "llama-spm", "qwen2"};
    const char *data = getenv("LLM_TEST_DATA");
    char path[600], dir[] = "/tmp/tok_test.XXXXXX";
    struct err e = {0};

    snprintf(path, sizeof(path), "%s/vocab", data ? data : "../shared/data");
    if (access(path, R_OK)) {
        SKIP("no vocabularies of others");
        return;
    }
    TEST("tok: a GGUF's vocabulary written as tokenizer.json gives the same ids");
    CHECK(mkdtemp(dir));
    for (int i = 0; i < 4; i++) {
        static const char *const text[] = {
            "Hello, y'all! How are you 😁 ?我想在apple工作1314151天～", " \t\n x",
            "we'Ve 3333 нещо на Български ------======="};
        struct tok *t, *back;

        snprintf(path, sizeof(path), "%s/vocab/ggml-vocab-%s.gguf", data ? data : "../shared/data",
                 file[i]);
        t = tokload_path(path, &e);
        CHECK(t && tokload_put_dir(t, dir, &e) == 0);
        back = tokload_dir(dir, &e);
        CHECK(back);
        for (int k = 0; t && back && k < 3; k++) {
            struct tok_ids ids = {0};

            CHECK(tok_encode(t, text[k], strlen(text[k]), TOK_BOS, &ids, &e) == 0);
            CHECK(gives(back, text[k], strlen(text[k]), TOK_BOS, ids.id, ids.n));
            tok_ids_free(&ids);
        }
        CHECK(t && back && (tok_pre(back) ? !strcmp(tok_pre(back), tok_pre(t)) : i == 2));
        tok_close(t);
        tok_close(back);
    }
    snprintf(path, sizeof(path), "rm -r %s", dir);
    CHECK(system(path) == 0);
}

int main(void)
{
    goldens();
    added_tokens();
    neighbours();
    odd_pieces();
    names_are_words();
    space_behind();
    written();
    round_trip();
    streaming();
    scores();
    parts();
    refused();
    vocabularies();
    return test_end();
}
