/* tokgguf.c - tokenizers out of GGUF keys, and into them. */
#include "tokgguf.h"

#include "arena.h"
#include "charsmap.h"
#include "json.h"
#include "tokend.h"
#include "tokpre.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY "tokenizer.ggml."
#define OWN "llmutils.tokenizer."

/* Our own files say all; what is not in them is not meant by default either. */
static bool is_own(const struct gguf *g)
{
    return gguf_find(g, OWN "merges") != NULL;
}

/* An array key of n items (any number when n is 0) of one of two types: 1, 0 absent, -1. */
static int array(const struct gguf *g, const char *key, enum gguf_type type, enum gguf_type other,
                 uint64_t n, const struct gguf_kv **out, struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, key);

    if (!kv)
        return 0;
    if (kv->type != GGUF_ARR || (kv->elem != type && kv->elem != other))
        return err_set(e, ERR_DATA, "key '%s' has the wrong type", key);
    if (n && kv->n != n)
        return err_set(e, ERR_DATA, "key '%s' has %llu items for %llu tokens", key,
                       (unsigned long long)kv->n, (unsigned long long)n);
    *out = kv;
    return 1;
}

static int read_pieces(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    const struct gguf_kv *tokens = NULL, *scores = NULL, *types = NULL;
    size_t at = 0, n;
    int rc = array(g, KEY "tokens", GGUF_STR, GGUF_STR, 0, &tokens, e);

    if (rc <= 0)
        return rc ? rc : err_set(e, ERR_DATA, "no key '" KEY "tokens'");
    if (!tokens->n || tokens->n > VOCAB_MAX)
        return err_set(e, ERR_DATA, "key '" KEY "tokens' has %llu items; 1 to %d are supported",
                       (unsigned long long)tokens->n, VOCAB_MAX);
    if (array(g, KEY "scores", GGUF_F32, GGUF_I32, tokens->n, &scores, e) < 0 ||
        array(g, KEY "token_type", GGUF_I32, GGUF_U32, tokens->n, &types, e) < 0)
        return -1;
    if (!scores && s->kind != TOK_BPE && s->kind != TOK_WORDPIECE)
        return err_set(e, ERR_DATA, "no key '" KEY "scores'");
    s->n = (int)tokens->n;
    s->piece = arena_new(&s->mem, tokens->n * sizeof(*s->piece));
    for (int i = 0; i < s->n; i++) {
        struct vocab_piece *p = &s->piece[i];
        const char *text;
        int64_t type = types ? gguf_item_int(types, (uint64_t)i) : TOK_NORMAL;

        if (gguf_next_str(tokens, &at, &text, &n) != 1)
            return err_set(e, ERR_DATA, "key '" KEY "tokens' ends at item %d", i);
        if (n > VOCAB_PIECE) // arena_dup of all would be out of proportion
            return err_set(e, ERR_DATA, "token %d has %zu bytes, at most %d are supported", i, n,
                           VOCAB_PIECE);
        if (type < 0 || type > TOK_BYTE)
            return err_set(e, ERR_DATA, "type %lld of token %d is unknown", (long long)type, i);
        *p = (struct vocab_piece){arena_dup(&s->mem, text, n), (uint32_t)n,
                                  type ? (enum tok_type)type : TOK_NORMAL, false,
                                  scores ? gguf_item_num(scores, (uint64_t)i) : 0};
    }
    return 0;
}

static int read_merges(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    const struct gguf_kv *kv = NULL;
    size_t at = 0, n;
    const char *text;
    int rc = array(g, KEY "merges", GGUF_STR, GGUF_STR, 0, &kv, e);

    if (!rc && is_own(g)) // a tokenizer that merges nothing
        return 0;
    if (rc <= 0)
        return rc ? rc : err_set(e, ERR_DATA, "no key '" KEY "merges'");
    if (kv->n > 4u * VOCAB_MAX)
        return err_set(e, ERR_DATA, "key '" KEY "merges' has %llu items",
                       (unsigned long long)kv->n);
    s->merge = arena_new(&s->mem, (kv->n + 1) * sizeof(*s->merge));
    while (gguf_next_str(kv, &at, &text, &n) == 1) {
        const char *space = n > 2 ? memchr(text + 1, ' ', n - 1) : NULL;
        char *copy;

        if (!space || space == text + n - 1 || n > 2 * VOCAB_PIECE)
            return err_set(e, ERR_DATA, "merge %zu is not two pieces with a space between",
                           s->n_merges);
        copy = arena_dup(&s->mem, text, n);
        s->merge[s->n_merges++] =
            (struct tok_merge){copy, copy + (space - text) + 1, (uint32_t)(space - text),
                               (uint32_t)(text + n - space - 1)};
    }
    return 0;
}

static int read_id(const struct gguf *g, const char *key, int n, int fallback, int *out,
                   struct err *e)
{
    int64_t v = fallback < n ? fallback : -1;

    if (gguf_int(g, key, 0, n - 1, &v, e) < 0)
        return err_wrap(e, "token id out of range");
    *out = (int)v;
    return 0;
}

/* A text of BERT stands between [CLS] and [SEP]. Old files name neither. */
static int read_around(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    if (read_id(g, KEY "cls_token_id", s->n, s->bos >= 0 ? s->bos : 101, &s->bos, e) < 0 ||
        read_id(g, KEY "seperator_token_id", s->n, s->eos >= 0 ? s->eos : 102, &s->eos, e) < 0)
        return -1;
    s->add_bos = s->add_eos = true;
    return 0;
}

static int read_ids(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    bool spm = !is_own(g) && s->kind == TOK_SPM, uni = !is_own(g) && s->kind == TOK_UNIGRAM;
    bool words = !is_own(g) && s->kind == TOK_WORDPIECE;
    struct err ignored = {0};
    int64_t pad = -1;

    if (read_id(g, KEY "bos_token_id", s->n, spm ? 1 : -1, &s->bos, e) < 0 ||
        read_id(g, KEY "eos_token_id", s->n,
                spm   ? 2
                : uni ? 1
                      : -1,
                &s->eos, e) < 0 ||
        read_id(g, KEY "unknown_token_id", s->n,
                spm     ? 0
                : uni   ? 2
                : words ? 100
                        : -1,
                &s->unk, e) < 0)
        return -1;
    /* Nobody pads here, and fine-tuned files often name a token that is not there. */
    gguf_int(g, KEY "padding_token_id", 0, s->n - 1, &pad, &ignored);
    s->pad = (int)pad;
    s->add_bos |= spm;
    s->add_eos = uni;
    if (words)
        return read_around(g, s, e);
    return gguf_bool(g, KEY "add_bos_token", &s->add_bos, e) < 0 ||
                   gguf_bool(g, KEY "add_eos_token", &s->add_eos, e) < 0
               ? -1
               : 0;
}

static int own_list(const struct gguf *g, const char *key, struct arena *a, int32_t **out,
                    size_t *n, struct err *e)
{
    const struct gguf_kv *kv = NULL;
    int rc = array(g, key, GGUF_I32, GGUF_U32, 0, &kv, e);

    if (rc <= 0)
        return rc;
    if (kv->n > 65536)
        return err_set(e, ERR_DATA, "key '%s' has %llu items", key, (unsigned long long)kv->n);
    *n = kv->n;
    *out = arena_new(a, (kv->n + 1) * sizeof(**out));
    for (uint64_t i = 0; i < kv->n; i++) {
        int64_t v = gguf_item_int(kv, i);

        if (v < 0 || v > VOCAB_MAX)
            return err_set(e, ERR_DATA, "key '%s': token id out of range", key);
        (*out)[i] = (int32_t)v;
    }
    return 1;
}

/* eos, eot and eom by their keys, the well-known others by their text. */
static int read_ends(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    size_t n = 0;
    int32_t *list;
    int id[2] = {-1, -1}, rc = own_list(g, OWN "end", &s->mem, &list, &n, e);

    if (rc < 0)
        return -1;
    if (rc > 0) {
        s->end = list;
        s->n_end = n;
        return 0;
    }
    if (read_id(g, KEY "eot_token_id", s->n, -1, &id[0], e) < 0 ||
        read_id(g, KEY "eom_token_id", s->n, -1, &id[1], e) < 0)
        return -1;
    tokend_find(s);
    for (int i = 0; i < 2; i++)
        tokend_add(s, id[i]);
    return 0;
}

static int chain(const struct gguf *g, const char *key, struct arena *a, const char **out,
                 struct err *e)
{
    const char *text;
    size_t n;
    int rc = gguf_str(g, key, &text, &n, e);

    if (rc > 0)
        *out = arena_dup(a, text, n);
    return rc;
}

/* How a byte-level file cuts words: its own chain, its own expression, or a known name. */
static int read_splitter(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    struct buf b = {0};
    struct tokpre pre = {0};
    const char *text;
    size_t n;
    int rc;

    if (chain(g, KEY "pre", &s->mem, &s->pre, e) < 0)
        return -1;
    rc = chain(g, OWN "pre_tokenizer", &s->mem, &s->splitter, e);
    if (rc)
        return rc < 0 ? -1 : 0;
    rc = gguf_str(g, OWN "pattern", &text, &n, e);
    if (rc < 0)
        return -1;
    if (rc)
        tokpre_splitter(text, n, &b);
    else
        rc = tokpre_find(s->pre ? s->pre : "default", &pre, &b, e);
    if (rc >= 0) {
        s->splitter = arena_dup(&s->mem, b.p, b.n);
        s->ignore_merges = pre.ignore_merges;
        s->add_bos = pre.add_bos;
    }
    buf_free(&b);
    return rc < 0 ? -1 : 0;
}

const char *tokgguf_spaces(bool prefix)
{
    if (!prefix)
        return "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}";
    return "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"▁\"},"
           "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}]}";
}

static int spm_normalizer(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    bool prefix = true;

    if (gguf_bool(g, KEY "add_space_prefix", &prefix, e) < 0)
        return -1;
    s->normalizer = tokgguf_spaces(prefix);
    return 0;
}

static int t5_normalizer(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    bool prefix = false, merge = false;
    const struct gguf_kv *map = NULL;
    struct buf b = {0};

    if (gguf_bool(g, KEY "add_space_prefix", &prefix, e) < 0 ||
        gguf_bool(g, KEY "remove_extra_whitespaces", &merge, e) < 0 ||
        array(g, KEY "precompiled_charsmap", GGUF_U8, GGUF_I8, 0, &map, e) < 0)
        return -1;
    buf_str(&b, "{\"type\":\"Sequence\",\"normalizers\":[");
    if (map && map->n) {
        buf_str(&b, "{\"type\":\"Precompiled\",\"longest\":true,\"precompiled_charsmap\":\"");
        charsmap_put_base64(&b, map->data, map->n);
        buf_str(&b, "\"},");
    }
    buf_fmt(&b, "{\"type\":\"Spaces\",\"merge\":%s,\"prefix\":%s,\"suffix\":false}]}",
            merge ? "true" : "false", prefix ? "true" : "false");
    s->normalizer = arena_dup(&s->mem, b.p, b.n);
    buf_free(&b);
    return 0;
}

/* BERT's: what files of this kind say nothing about is as in the original's lower-case model. */
static void bert_chains(struct tok_spec *s)
{
    s->normalizer =
        "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
        "\"strip_accents\":null,\"lowercase\":true}";
    s->splitter = "{\"type\":\"BertPreTokenizer\"}";
}

/* What each kind of file implies, and what our own keys say instead. */
static int read_kind(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    bool merges = s->kind == TOK_BPE;
    int64_t longest = 100;
    int rc = 0;

    s->byte_level = s->kind == TOK_BPE;
    s->fuse_unk = s->kind == TOK_UNIGRAM;
    s->byte_fallback = s->kind == TOK_SPM;
    s->escaped = s->kind != TOK_BPE;
    if (s->kind == TOK_WORDPIECE)
        bert_chains(s);
    if (s->kind == TOK_BPE)
        rc = read_splitter(g, s, e);
    else if (!is_own(g) && s->kind != TOK_WORDPIECE)
        rc = s->kind == TOK_SPM ? spm_normalizer(g, s, e) : t5_normalizer(g, s, e);
    if (rc < 0 || gguf_bool(g, OWN "merges", &merges, e) < 0 ||
        gguf_bool(g, OWN "ignore_merges", &s->ignore_merges, e) < 0 ||
        gguf_bool(g, OWN "byte_fallback", &s->byte_fallback, e) < 0 ||
        gguf_bool(g, OWN "fuse_unk", &s->fuse_unk, e) < 0 ||
        gguf_bool(g, OWN "escaped", &s->escaped, e) < 0 ||
        gguf_int(g, OWN "max_word", 1, INT32_MAX, &longest, e) < 0 ||
        chain(g, OWN "normalizer", &s->mem, &s->normalizer, e) < 0)
        return -1;
    if (s->kind != TOK_BPE && (chain(g, KEY "pre", &s->mem, &s->pre, e) < 0 ||
                               chain(g, OWN "pre_tokenizer", &s->mem, &s->splitter, e) < 0))
        return -1;
    s->max_word = (int)longest;
    s->by_score = s->kind == TOK_SPM && !merges;
    return merges && s->kind < TOK_UNIGRAM ? read_merges(g, s, e) : 0;
}

static bool is_phi3(const struct gguf *g)
{
    const char *name;
    size_t n;
    struct err e = {0};
    char low[256] = "";

    if (gguf_str(g, "general.name", &name, &n, &e) == 1)
        for (size_t i = 0; i < n && i + 1 < sizeof(low); i++)
            low[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    return strstr(low, "phi-3") || strstr(low, "phi3");
}

/* GGUF has no list of added tokens: those that are no normal text, with no
 * flags; in a Unigram model they outdo all others. (Phi-3's eat the white space behind them; its
 * files do not say so.) */
static void default_added(const struct gguf *g, struct tok_spec *s)
{
    bool phi3 = is_phi3(g);

    s->added = arena_new(&s->mem, (size_t)s->n * sizeof(*s->added));
    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *p = &s->piece[id];
        bool strip =
            phi3 && strcmp(p->s, "<unk>") && strcmp(p->s, "<s>") && strcmp(p->s, "<|endoftext|>");

        if (p->type == TOK_USER)
            s->piece[id].score = 0;
        if (p->type == TOK_CONTROL || p->type == TOK_USER || p->type == TOK_UNKNOWN)
            s->added[s->n_added++] = (struct tok_added){.id = id, .rstrip = strip};
    }
}

/* Our own key: [[id, "lrsno"], ...], a letter for each flag. */
static int read_added(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    const char *text;
    size_t n;
    struct json j;
    int rc = gguf_str(g, OWN "added_tokens", &text, &n, e);

    if (rc <= 0) {
        default_added(g, s);
        return rc;
    }
    if (json_parse(&j, &s->mem, text, n, e) < 0 || !json_is(&j, 0, JSON_ARRAY))
        return err_set(e, ERR_DATA, "key '" OWN "added_tokens' is no JSON array");
    s->added = arena_new(&s->mem, (j.node[0].size + 1) * sizeof(*s->added));
    for (uint32_t k = 1; k < j.node[0].next; k = j.node[k].next) {
        struct tok_added *a = &s->added[s->n_added++];
        const char *f = json_str(&j, json_at(&j, (int)k, 1), &s->mem, NULL);
        int64_t id;

        if (!f || json_int(&j, json_at(&j, (int)k, 0), &id) < 0 || id < 0 || id >= s->n)
            return err_set(e, ERR_DATA, "key '" OWN "added_tokens': item %zu", s->n_added - 1);
        *a = (struct tok_added){(int32_t)id, strchr(f, 'l') != NULL, strchr(f, 'r') != NULL,
                                strchr(f, 's') != NULL, strchr(f, 'n') != NULL};
        s->piece[id].outside = strchr(f, 'o') != NULL;
    }
    return 0;
}

static int read_spec(const struct gguf *g, struct tok_spec *s, struct err *e)
{
    static const char *const model[] = {"gpt2", "llama", "t5",
                                        "bert"}; // in the order of enum tok_kind
    const char *name;
    size_t n, n_prefix = 0, n_suffix = 0;
    int rc = gguf_str(g, KEY "model", &name, &n, e), kind = 0;

    if (rc <= 0)
        return rc < 0 ? -1 : err_set(e, ERR_DATA, "no key '" KEY "model'");
    while (kind < 4 && (strlen(model[kind]) != n || memcmp(model[kind], name, n)))
        kind++;
    if (kind == 4)
        return err_set(e, ERR_DATA,
                       "tokenizer model '%.*s' is not supported; gpt2, llama, t5, bert are",
                       n > 40 ? 40 : (int)n, name);
    s->kind = (enum tok_kind)kind;
    s->bos = s->eos = s->unk = s->pad = -1;
    if (read_pieces(g, s, e) < 0 || read_kind(g, s, e) < 0 || read_ids(g, s, e) < 0 ||
        read_ends(g, s, e) < 0 || read_added(g, s, e) < 0 ||
        chain(g, "tokenizer.chat_template", &s->mem, &s->chat, e) < 0 ||
        own_list(g, OWN "prefix", &s->mem, &s->prefix, &n_prefix, e) < 0 ||
        own_list(g, OWN "suffix", &s->mem, &s->suffix, &n_suffix, e) < 0)
        return -1;
    s->n_prefix = (int)n_prefix;
    s->n_suffix = (int)n_suffix;
    return 0;
}

struct tok *tokgguf_load(const struct gguf *g, struct err *e)
{
    struct tok_spec s = {0};

    if (read_spec(g, &s, e) == 0)
        return tok_new(&s, e);
    tokspec_free(&s);
    return NULL;
}
