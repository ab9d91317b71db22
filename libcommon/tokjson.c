/* tokjson.c - tokenizers out of tokenizer.json: model, added tokens, template. */
#include "tokjson.h"

#include "arena.h"
#include "file.h"
#include "json.h"
#include "tokconf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPARE_IDS = 65536 }; // ids without a token that a file may leave

struct load {
    struct json j;
    struct tok_spec *s;
    int model;
    size_t n_slots; // of s->piece
};

static int child(const struct json *j, int node, const char *key)
{
    return json_get(j, node, key);
}

/* The id of a node, in 0..limit-1. */
static int id_of(const struct json *j, int node, int64_t limit, int *out)
{
    int64_t v;

    if (json_int(j, node, &v) < 0 || v < 0 || v >= limit)
        return -1;
    *out = (int)v;
    return 0;
}

/* How many ids there are: the highest of the vocabulary and the added tokens, and one. */
static int count_ids(struct load *l, int vocab, int added, struct err *e)
{
    const struct json *j = &l->j;
    int64_t count = 0, top = -1;
    int id;

    if (json_is(j, vocab, JSON_ARRAY)) {
        count = j->node[vocab].size;
        top = count - 1;
    } else {
        for (uint32_t k = (uint32_t)vocab + 1; k < j->node[vocab].next; k = j->node[k + 1].next) {
            if (id_of(j, (int)k + 1, VOCAB_MAX, &id) < 0)
                return err_set(e, ERR_DATA, "vocab: an id is no integer in 0..%d", VOCAB_MAX - 1);
            top = id > top ? id : top;
            count++;
        }
    }
    for (uint32_t k = (uint32_t)added + 1; added >= 0 && k < j->node[added].next;
         k = j->node[k].next) {
        if (id_of(j, child(j, (int)k, "id"), VOCAB_MAX, &id) < 0)
            return err_set(e, ERR_DATA, "added_tokens: an id is no integer in 0..%d",
                           VOCAB_MAX - 1);
        top = id > top ? id : top;
        count++;
    }
    if (top < 0)
        return err_set(e, ERR_DATA, "vocab: no tokens");
    if (top >= 2 * count + SPARE_IDS || top >= VOCAB_MAX)
        return err_set(e, ERR_DATA, "vocab: id %lld, but only %lld tokens", (long long)top,
                       (long long)count);
    l->s->n = (int)top + 1;
    l->s->piece = arena_new(&l->s->mem, (size_t)l->s->n * sizeof(*l->s->piece));
    memset(l->s->piece, 0, (size_t)l->s->n * sizeof(*l->s->piece));
    return 0;
}

static char *wordpiece(struct tok_spec *s, const char *text, size_t *n)
{
    struct buf b = {0};
    char *copy;

    tokspec_from_wordpiece(text, *n, &b);
    copy = arena_dup(&s->mem, buf_cstr(&b), b.n);
    *n = b.n;
    buf_free(&b);
    return copy;
}

/* Is the vocabulary's text of a piece that of an added token? */
static bool is_same(struct tok_spec *s, const struct vocab_piece *p, const char *text, size_t n)
{
    const char *other = s->kind == TOK_WORDPIECE ? wordpiece(s, text, &n) : text;

    return p->n == n && !memcmp(p->s, other, n);
}

static int set_piece(struct load *l, int id, int text, double score, struct err *e)
{
    struct vocab_piece *p = &l->s->piece[id];
    size_t n;
    char *s = json_str(&l->j, text, &l->s->mem, &n);

    if (!s || n > VOCAB_PIECE)
        return err_set(e, ERR_DATA, "vocab: token %d is no text of at most %d bytes", id,
                       VOCAB_PIECE);
    if (p->s)
        return err_set(e, ERR_DATA, "vocab: two tokens have id %d", id);
    if (l->s->kind == TOK_WORDPIECE)
        s = wordpiece(l->s, s, &n);
    *p = (struct vocab_piece){s, (uint32_t)n, TOK_NORMAL, false, score};
    if (l->s->byte_fallback && vocab_byte_name(s, n) >= 0)
        p->type = TOK_BYTE;
    return 0;
}

static int read_vocab(struct load *l, int vocab, struct err *e)
{
    const struct json *j = &l->j;
    int id = 0;

    if (json_is(j, vocab, JSON_OBJECT)) {
        for (uint32_t k = (uint32_t)vocab + 1; k < j->node[vocab].next; k = j->node[k + 1].next)
            if (id_of(j, (int)k + 1, l->s->n, &id) < 0 || set_piece(l, id, (int)k, 0, e) < 0)
                return -1;
        return 0;
    }
    for (uint32_t k = (uint32_t)vocab + 1; k < j->node[vocab].next; k = j->node[k].next) {
        double score;

        if (!json_is(j, (int)k, JSON_ARRAY) || j->node[k].size != 2 ||
            json_num(j, json_at(j, (int)k, 1), &score) < 0)
            return err_set(e, ERR_DATA, "vocab: item %d is not [text, score]", id);
        if (set_piece(l, id++, (int)k + 1, score, e) < 0)
            return -1;
    }
    return 0;
}

/* "a b" or ["a", "b"]. */
static int read_merge(struct load *l, int node, struct tok_merge *m, struct err *e)
{
    const struct json *j = &l->j;
    struct arena *a = &l->s->mem;
    size_t n, n_right;
    char *left = json_str(j, node, a, &n), *right;

    if (left) {
        right = memchr(left, ' ', n);
        if (!right || memchr(right + 1, ' ', n - (size_t)(right - left) - 1))
            return err_set(e, ERR_DATA, "merge %zu: not two pieces with a space between",
                           l->s->n_merges);
        n_right = n - (size_t)(right - left) - 1;
        n = (size_t)(right - left);
        right++;
    } else {
        left = json_str(j, json_at(j, node, 0), a, &n);
        right = json_str(j, json_at(j, node, 1), a, &n_right);
        if (!left || !right || j->node[node].size != 2)
            return err_set(e, ERR_DATA, "merge %zu: not two pieces", l->s->n_merges);
    }
    if (n > VOCAB_PIECE || n_right > VOCAB_PIECE)
        return err_set(e, ERR_DATA, "merge %zu: a piece is too long", l->s->n_merges);
    *m = (struct tok_merge){left, right, (uint32_t)n, (uint32_t)n_right};
    return 0;
}

static int read_merges(struct load *l, struct err *e)
{
    int list = child(&l->j, l->model, "merges");

    if (!json_is(&l->j, list, JSON_ARRAY))
        return err_set(e, ERR_DATA, "model without 'merges'");
    l->s->merge = arena_new(&l->s->mem, (l->j.node[list].size + 1) * sizeof(*l->s->merge));
    for (uint32_t k = (uint32_t)list + 1; k < l->j.node[list].next; k = l->j.node[k].next) {
        if (read_merge(l, (int)k, &l->s->merge[l->s->n_merges], e) < 0)
            return -1;
        l->s->n_merges++;
    }
    return 0;
}

static int find_piece(const struct tok_spec *s, const char *text, size_t n)
{
    for (int id = 0; id < s->n; id++)
        if (s->piece[id].n == n && s->piece[id].s && !memcmp(s->piece[id].s, text, n))
            return id;
    return -1;
}

static int read_added(struct load *l, int list, struct err *e)
{
    const struct json *j = &l->j;
    struct tok_spec *s = l->s;
    int id = 0;

    if (list < 0)
        return 0;
    s->added = arena_new(&s->mem, (j->node[list].size + 1) * sizeof(*s->added));
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next) {
        size_t n;
        char *text = json_str(j, child(j, (int)k, "content"), &s->mem, &n);
        bool special = json_true(j, child(j, (int)k, "special"));

        if (!text || !n || id_of(j, child(j, (int)k, "id"), s->n, &id) < 0)
            return err_set(e, ERR_DATA, "added_tokens: item %zu has no content", s->n_added);
        if (s->piece[id].s && !is_same(s, &s->piece[id], text, n))
            return err_set(e, ERR_DATA, "added_tokens: id %d of '%.60s' belongs to '%.60s'", id,
                           text, s->piece[id].s);
        s->piece[id] =
            (struct vocab_piece){text, (uint32_t)n, special ? TOK_CONTROL : TOK_USER,
                                 !s->piece[id].s || s->piece[id].outside, s->piece[id].score};
        s->added[s->n_added++] = (struct tok_added){id, json_true(j, child(j, (int)k, "lstrip")),
                                                    json_true(j, child(j, (int)k, "rstrip")),
                                                    json_true(j, child(j, (int)k, "single_word")),
                                                    json_true(j, child(j, (int)k, "normalized"))};
    }
    return 0;
}

/* Ids that no token has: checkpoints have rows for them, texts never name them. */
static void fill_holes(struct tok_spec *s)
{
    char name[24];

    for (int id = 0; id < s->n; id++)
        if (!s->piece[id].s) {
            int n = snprintf(name, sizeof(name), "[PAD%d]", id);

            s->piece[id] = (struct vocab_piece){arena_dup(&s->mem, name, (size_t)n), (uint32_t)n,
                                                TOK_UNUSED, true, 0};
        }
}

static bool holds_type(const struct json *j, int node, const char *type)
{
    for (uint32_t k = (uint32_t)node; node >= 0 && k < j->node[node].next; k++)
        if (json_is(j, (int)k, JSON_OBJECT) && json_str_is(j, child(j, (int)k, "type"), type))
            return true;
    return false;
}

/* Does the decoder turn U+2581 into spaces? */
static bool unescapes(const struct json *j, int node)
{
    for (uint32_t k = (uint32_t)node; node >= 0 && k < j->node[node].next; k++)
        if (json_is(j, (int)k, JSON_OBJECT) &&
            (json_str_is(j, child(j, (int)k, "type"), "Metaspace") ||
             (json_str_is(j, child(j, child(j, (int)k, "pattern"), "String"), "\xE2\x96\x81") &&
              json_str_is(j, child(j, (int)k, "content"), " "))))
            return true;
    return false;
}

static bool is_one(const struct json *j, int node, int64_t want)
{
    int64_t v;

    return json_int(j, node, &v) == 0 && v == want;
}

/* Does a step of the decoder what decoding here does, and that is to undo what encoding did? */
static bool step_is_known(const struct load *l, int node, bool *fused)
{
    static const char mark[] = "\xE2\x96\x81";
    const struct json *j = &l->j;
    int type = child(j, node, "type"), start = child(j, node, "start"),
        by = child(j, node, "content"), what = child(j, child(j, node, "pattern"), "String");

    if (json_str_is(j, type, "ByteLevel"))
        return l->s->byte_level;
    if (json_str_is(j, type, "WordPiece"))
        return l->s->kind == TOK_WORDPIECE && json_str_is(j, child(j, node, "prefix"), "##");
    if (json_str_is(j, type, "Metaspace"))
        return !l->s->byte_level && json_str_is(j, child(j, node, "replacement"), mark);
    if (json_str_is(j, type, "Replace"))
        return !l->s->byte_level && json_str_is(j, what, mark) && json_str_is(j, by, " ");
    if (json_str_is(j, type, "Strip")) // before Fuse it would strip every token
        return *fused && json_str_is(j, by, " ") && is_one(j, child(j, node, "stop"), 0) &&
               (is_one(j, start, 0) || is_one(j, start, 1));
    *fused |= json_str_is(j, type, "Fuse");
    return json_str_is(j, type, "Fuse") || json_str_is(j, type, "ByteFallback");
}

static int check_decoder(const struct load *l, int node, bool *fused, struct err *e)
{
    const struct json *j = &l->j;
    int type = child(j, node, "type"), list = child(j, node, "decoders");
    char *name;

    if (node < 0 || json_type(j, node) == JSON_NULL)
        return 0;
    if (json_str_is(j, type, "Sequence") && json_is(j, list, JSON_ARRAY)) {
        for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
            if (check_decoder(l, (int)k, fused, e) < 0)
                return -1;
        return 0;
    }
    if (step_is_known(l, node, fused))
        return 0;
    name = json_str(j, type, &l->s->mem, NULL);
    return err_set(e, ERR_DATA,
                   "decoder: '%.40s' with these fields is not supported for this model",
                   name ? name : "");
}

static bool is_set(const struct json *j, int node)
{
    size_t n = 0;
    double x = 0;

    if (json_is(j, node, JSON_STRING))
        json_raw(j, node, &n);
    json_num(j, node, &x);
    return n > 2 || x > 0; // quotes are part of the raw text
}

static int read_model(struct load *l, struct err *e)
{
    static const char *const never[] = {"continuing_subword_prefix", "end_of_word_suffix",
                                        "dropout"};
    const struct json *j = &l->j;
    struct tok_spec *s = l->s;
    int type = child(j, l->model, "type"), unk;
    bool fused = false;
    bool unigram = json_str_is(j, type, "Unigram"), words = json_str_is(j, type, "WordPiece");
    int longest = child(j, l->model, "max_input_chars_per_word");
    int64_t most = 100;
    size_t n = 0;
    char *text;

    if (!unigram && !words && !json_str_is(j, type, "BPE") &&
        (type >= 0 || child(j, l->model, "merges") < 0)) {
        text = json_str(j, type, &s->mem, NULL);
        return err_set(e, ERR_DATA,
                       "model type '%.40s' is not supported; BPE, Unigram and WordPiece are",
                       text ? text : "");
    }
    for (int i = 0; i < 3; i++)
        if (!(words && !i) && is_set(j, child(j, l->model, never[i])))
            return err_set(e, ERR_DATA, "model: '%s' is not supported", never[i]);
    s->byte_level = holds_type(j, child(j, 0, "pre_tokenizer"), "ByteLevel");
    s->kind = words ? TOK_WORDPIECE : unigram ? TOK_UNIGRAM : s->byte_level ? TOK_BPE : TOK_SPM;
    if ((unigram || words) && s->byte_level)
        return err_set(e, ERR_DATA, "a %s model over bytes is not supported",
                       words ? "WordPiece" : "Unigram");
    if (words && !json_str_is(j, child(j, l->model, "continuing_subword_prefix"), "##"))
        return err_set(e, ERR_DATA, "model: 'continuing_subword_prefix' is not '##'");
    if (longest >= 0 && (json_int(j, longest, &most) || most < 1 || most > INT32_MAX))
        return err_set(e, ERR_DATA, "model: 'max_input_chars_per_word' is not a number from 1 up");
    s->max_word = (int)most;
    s->byte_fallback = json_true(j, child(j, l->model, "byte_fallback"));
    s->fuse_unk = unigram || json_true(j, child(j, l->model, "fuse_unk"));
    s->ignore_merges = json_true(j, child(j, l->model, "ignore_merges"));
    s->escaped = words || (!s->byte_level && unescapes(j, child(j, 0, "decoder")));
    if (check_decoder(l, child(j, 0, "decoder"), &fused, e) < 0 ||
        count_ids(l, child(j, l->model, "vocab"), child(j, 0, "added_tokens"), e) < 0 ||
        read_vocab(l, child(j, l->model, "vocab"), e) < 0 ||
        (!unigram && !words && read_merges(l, e) < 0) ||
        read_added(l, child(j, 0, "added_tokens"), e) < 0)
        return -1;
    unk = child(j, l->model, "unk_id");
    if (json_is(j, unk, JSON_NUMBER) && id_of(j, unk, s->n, &s->unk) < 0)
        return err_set(e, ERR_DATA, "model: unk_id out of range");
    text = json_str(j, child(j, l->model, "unk_token"), &s->mem, &n);
    if (text && n && (s->unk = find_piece(s, text, n)) < 0)
        return err_set(e, ERR_DATA, "model: unk_token '%.60s' is not in the vocabulary", text);
    if (s->unk >= 0 && s->piece[s->unk].s)
        s->piece[s->unk].type = TOK_UNKNOWN;
    fill_holes(s);
    return 0;
}

static int check_shape(const struct load *l, struct err *e)
{
    const struct json *j = &l->j;
    int vocab = child(j, l->model, "vocab"), added = child(j, 0, "added_tokens");

    if (!json_is(j, l->model, JSON_OBJECT))
        return err_set(e, ERR_DATA, "no object 'model'");
    if (!json_is(j, vocab, JSON_OBJECT) && !json_is(j, vocab, JSON_ARRAY))
        return err_set(e, ERR_DATA, "model without 'vocab'");
    if (json_is(j, vocab, JSON_ARRAY) != json_str_is(j, child(j, l->model, "type"), "Unigram"))
        return err_set(e, ERR_DATA, "vocab: not what this type of model has");
    if (added >= 0 && !json_is(j, added, JSON_ARRAY))
        return err_set(e, ERR_DATA, "'added_tokens' is no array");
    return 0;
}

static const char *raw(struct load *l, const char *key)
{
    int node = child(&l->j, 0, key);
    size_t n;
    const char *text;

    if (node < 0 || json_type(&l->j, node) == JSON_NULL)
        return NULL;
    text = json_raw(&l->j, node, &n);
    return arena_dup(&l->s->mem, text, n);
}

static int read_spec(struct load *l, const char *dir, struct err *e)
{
    l->s->bos = l->s->eos = l->s->unk = l->s->pad = -1;
    l->model = child(&l->j, 0, "model");
    if (check_shape(l, e) < 0 || read_model(l, e) < 0)
        return -1;
    l->s->normalizer = raw(l, "normalizer");
    l->s->splitter = raw(l, "pre_tokenizer");
    return tokconf_read(l->s, &l->j, dir, e);
}

struct tok *tokjson_load(const char *path, const char *dir, struct err *e)
{
    struct tok_spec s = {0};
    struct load l = {.s = &s};
    struct arena mem = {0};
    struct file_map map;
    struct tok *t = NULL;

    if (file_map(&map, path, e) < 0)
        return NULL;
    if (json_parse(&l.j, &mem, map.p ? (const char *)map.p : "", map.n, e) == 0 &&
        read_spec(&l, dir, e) == 0)
        t = tok_new(&s, e);
    if (!t)
        err_wrap(e, "%s", path);
    file_unmap(&map);
    arena_free(&mem);
    tokspec_free(&s);
    return t;
}

/* ---- vocab.txt ---- */

enum { VOCAB_BYTES = 256 << 20 };

/* A flag of tokenizer_config.json into the normalizer; null stays. */
static void put_flag(const struct json *j, const char *from, const char *to, bool none,
                     struct buf *b)
{
    int node = json_get(j, 0, from);

    json_put_key(b, to);
    if (json_is(j, node, JSON_BOOL))
        buf_str(b, json_true(j, node) ? "true" : "false");
    else
        buf_str(b, none ? "true" : "null");
}

static int put_normalizer(const char *dir, struct buf *b, struct err *e)
{
    char *path = file_join(dir, "tokenizer_config.json"), *text = NULL;
    struct arena mem = {0};
    struct json j = {0};
    size_t n;
    int rc = 0;

    if (!access(path, F_OK)) {
        text = file_text(path, VOCAB_BYTES, &n, e);
        rc = !text || json_parse(&j, &mem, text, n, e) ? err_wrap(e, "%s", path) : 0;
    }
    if (!rc) {
        buf_str(b, "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true");
        put_flag(&j, "tokenize_chinese_chars", "handle_chinese_chars", true, b);
        put_flag(&j, "strip_accents", "strip_accents", false, b);
        put_flag(&j, "do_lower_case", "lowercase", true, b);
        buf_str(b, "},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}");
    }
    arena_free(&mem);
    free(text);
    free(path);
    return rc;
}

/* The lines as a tokenizer.json. */
static int put_vocab(const char *text, size_t n, const char *dir, struct buf *b, struct err *e)
{
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    struct buf added = {0};
    int id = 0, at[5] = {-1, -1, -1, -1, -1};

    buf_str(b, "{");
    if (put_normalizer(dir, b, e))
        return -1;
    buf_str(b, ",\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
               "\"continuing_subword_prefix\":\"##\",\"vocab\":{");
    for (const char *s = text, *end = text + n; s < end; id++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((stop ? stop : end) - s);

        len -= len && s[len - 1] == '\r';
        buf_str(b, id ? "," : "");
        json_put_str(b, s, len);
        buf_fmt(b, ":%d", id);
        for (int i = 0; i < 5; i++)
            if (len == strlen(special[i]) && !memcmp(s, special[i], len))
                at[i] = id;
        s = stop ? stop + 1 : end;
    }
    for (int i = 0; i < 5; i++)
        if (at[i] >= 0)
            buf_fmt(&added, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true}", added.n ? "," : "",
                    at[i], special[i]);
    buf_fmt(b, "}},\"added_tokens\":[%s]", added.n ? added.p : "");
    if (at[2] >= 0 && at[3] >= 0)
        buf_fmt(b,
                ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",%d],"
                "\"sep\":[\"[SEP]\",%d]}",
                at[2], at[3]);
    buf_str(b, "}");
    buf_free(&added);
    return 0;
}

struct tok *tokjson_vocab(const char *path, const char *dir, struct err *e)
{
    struct tok_spec s = {0};
    struct load l = {.s = &s};
    struct arena mem = {0};
    struct buf b = {0};
    struct tok *t = NULL;
    size_t n;
    char *text = file_text(path, VOCAB_BYTES, &n, e);

    if (text && !put_vocab(text, n, dir, &b, e) && !json_parse(&l.j, &mem, b.p, b.n, e) &&
        !read_spec(&l, dir, e))
        t = tok_new(&s, e);
    if (!t && text)
        err_wrap(e, "%s", path);
    free(text);
    buf_free(&b);
    arena_free(&mem);
    tokspec_free(&s);
    return t;
}
