/* tokput.c - tokenizers into GGUF keys, and into Hugging Face's files. */
#include "tokput.h"

#include "arena.h"
#include "charsmap.h"
#include "file.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define KEY "tokenizer.ggml."
#define OWN "llmutils.tokenizer."

/* Scores that make the best-score rule do what merges by rank do: minus the
 * rank of the first merge that makes a piece; pieces that none makes come last. */
static float *scores_of(const struct tok *t)
{
    const struct tok_spec *s = tok_spec(t);
    float *score = mem_new((size_t)s->n * sizeof(*score));
    char both[2 * VOCAB_PIECE];

    for (int id = 0; id < s->n; id++) {
        enum tok_type type = s->piece[id].type;

        score[id] = s->by_score || s->kind == TOK_UNIGRAM ? (float)s->piece[id].score
                    : type == TOK_NORMAL                  ? -(float)s->n_merges - (float)id
                                                          : 0;
    }
    for (size_t i = s->kind == TOK_SPM && !s->by_score ? s->n_merges : 0; i-- > 0;) {
        const struct tok_merge *m = &s->merge[i];
        int id;

        memcpy(both, m->left, m->n_left);
        memcpy(both + m->n_left, m->right, m->n_right);
        id = tok_find(t, both, m->n_left + m->n_right);
        if (id >= 0)
            score[id] = -(float)i;
    }
    return score;
}

static void put_pieces(const struct tok *t, int rows, struct gguf_writer *w)
{
    const struct tok_spec *s = tok_spec(t);
    struct buf b = {0};

    gguf_put_array(w, KEY "tokens", GGUF_STR, (uint64_t)rows);
    for (int id = 0; id < rows; id++) {
        buf_reset(&b);
        if (id < s->n)
            buf_add(&b, s->piece[id].s, s->piece[id].n);
        else
            buf_fmt(&b, "[PAD%d]", id);
        gguf_add_str(w, b.p, b.n);
    }
    if (s->kind != TOK_BPE && s->kind != TOK_WORDPIECE) {
        float *score = scores_of(t);

        gguf_put_array(w, KEY "scores", GGUF_F32, (uint64_t)rows);
        for (int id = 0; id < rows; id++)
            gguf_add_float(w, id < s->n ? score[id] : -1000);
        free(score);
    }
    gguf_put_array(w, KEY "token_type", GGUF_I32, (uint64_t)rows);
    for (int id = 0; id < rows; id++)
        gguf_add_i32(w, id < s->n ? (int32_t)s->piece[id].type : TOK_UNUSED);
    if (s->n_merges || s->kind == TOK_BPE) { // there, if empty, for those who ask for it
        gguf_put_array(w, KEY "merges", GGUF_STR, s->n_merges);
        for (size_t i = 0; i < s->n_merges; i++) {
            buf_reset(&b);
            buf_add(&b, s->merge[i].left, s->merge[i].n_left);
            buf_char(&b, ' ');
            buf_add(&b, s->merge[i].right, s->merge[i].n_right);
            gguf_add_str(w, b.p, b.n);
        }
    }
    buf_free(&b);
}

static void put_id(struct gguf_writer *w, const char *key, int id)
{
    if (id >= 0)
        gguf_put_int(w, key, GGUF_U32, id);
}

static void put_text(struct gguf_writer *w, const char *key, const char *s)
{
    if (s)
        gguf_put_str(w, key, s, strlen(s));
}

static void put_list(struct gguf_writer *w, const char *key, const int32_t *id, size_t n)
{
    if (!id)
        return;
    gguf_put_array(w, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        gguf_add_i32(w, id[i]);
}

/* [[id, "lrsno"], ...], a letter for each flag of an added token. */
static void put_added(struct gguf_writer *w, const struct tok_spec *s)
{
    struct buf b = {0};

    buf_char(&b, '[');
    for (size_t i = 0; i < s->n_added; i++) {
        const struct tok_added *a = &s->added[i];

        buf_fmt(&b, "%s[%d,\"%s%s%s%s%s\"]", i ? "," : "", a->id, a->lstrip ? "l" : "",
                a->rstrip ? "r" : "", a->single_word ? "s" : "", a->normalized ? "n" : "",
                s->piece[a->id].outside ? "o" : "");
    }
    buf_char(&b, ']');
    gguf_put_str(w, OWN "added_tokens", b.p, b.n);
    buf_free(&b);
}

/* The first object of a type in a chain's JSON, or -1. */
static int find_type(const struct json *j, const char *type)
{
    for (uint32_t k = 0; k < j->n_node; k++)
        if (json_is(j, (int)k, JSON_OBJECT) && json_str_is(j, json_get(j, (int)k, "type"), type))
            return (int)k;
    return -1;
}

/* The base64 of a chain's character map, or NULL. */
static char *charsmap_text(const struct tok_spec *s, struct arena *a, size_t *n)
{
    struct json j;
    struct err e;

    if (!s->normalizer || json_parse(&j, a, s->normalizer, strlen(s->normalizer), &e) < 0)
        return NULL;
    return json_str(&j, json_get(&j, find_type(&j, "Precompiled"), "precompiled_charsmap"), a, n);
}

static void put_charsmap(struct gguf_writer *w, const struct tok_spec *s)
{
    struct arena a = {0};
    struct charsmap m = {0};
    struct buf blob = {0};
    struct err e;
    size_t n;
    char *b64 = charsmap_text(s, &a, &n);

    if (b64 && charsmap_from_base64(&m, b64, n, &e) == 0) {
        charsmap_blob(&m, &blob);
        gguf_put_array(w, KEY "precompiled_charsmap", GGUF_U8, blob.n);
        buf_add(&w->head, blob.p, blob.n);
    }
    gguf_put_bool(w, KEY "remove_extra_whitespaces", s->kind == TOK_UNIGRAM);
    charsmap_free(&m);
    buf_free(&blob);
    arena_free(&a);
}

/* What other readers of GGUF do not know. */
static void put_own(const struct tok *t, struct gguf_writer *w)
{
    const struct tok_spec *s = tok_spec(t);

    put_text(w, OWN "pattern", tok_pattern(t));
    put_text(w, OWN "normalizer", s->normalizer);
    put_text(w, OWN "pre_tokenizer", s->splitter);
    gguf_put_bool(w, OWN "merges", s->kind == TOK_BPE || (s->kind == TOK_SPM && !s->by_score));
    gguf_put_bool(w, OWN "ignore_merges", s->ignore_merges);
    gguf_put_bool(w, OWN "byte_fallback", s->byte_fallback);
    gguf_put_bool(w, OWN "fuse_unk", s->fuse_unk);
    gguf_put_bool(w, OWN "escaped", s->escaped);
    if (s->kind == TOK_WORDPIECE)
        gguf_put_int(w, OWN "max_word", GGUF_U32, s->max_word);
    put_added(w, s);
    put_list(w, OWN "prefix", s->prefix, (size_t)s->n_prefix);
    put_list(w, OWN "suffix", s->suffix, (size_t)s->n_suffix);
    put_list(w, OWN "end", s->end, s->n_end);
}

void tokput_gguf(const struct tok *t, int rows, struct gguf_writer *w)
{
    static const char *const model[] = {"gpt2", "llama", "t5", "bert"};
    const struct tok_spec *s = tok_spec(t);

    put_text(w, KEY "model", model[s->kind]);
    put_text(w, KEY "pre", s->pre ? s->pre : s->kind == TOK_SPM ? "default" : NULL);
    put_pieces(t, rows > s->n ? rows : s->n, w);
    put_id(w, KEY "bos_token_id", s->bos);
    put_id(w, KEY "eos_token_id", s->eos);
    put_id(w, KEY "unknown_token_id", s->unk);
    put_id(w, KEY "padding_token_id", s->pad);
    gguf_put_bool(w, KEY "add_bos_token", s->add_bos);
    gguf_put_bool(w, KEY "add_eos_token", s->add_eos);
    if (s->kind == TOK_WORDPIECE) { // the second name is spelled as other readers spell it
        put_id(w, KEY "cls_token_id", s->prefix ? s->prefix[0] : s->bos);
        put_id(w, KEY "seperator_token_id", s->suffix ? s->suffix[0] : s->eos);
    } else if (s->kind != TOK_BPE)
        gguf_put_bool(w, KEY "add_space_prefix", tok_adds_space(t));
    if (s->kind == TOK_UNIGRAM)
        put_charsmap(w, s);
    put_text(w, "tokenizer.chat_template", s->chat);
    put_own(t, w);
}

static void json_piece(struct buf *b, const struct tok_spec *s, int id)
{
    if (id < 0)
        buf_str(b, "null");
    else
        json_put_str(b, s->piece[id].s, s->piece[id].n);
}

static void json_bool(struct buf *b, const char *key, bool v)
{
    json_put_key(b, key);
    buf_str(b, v ? "true" : "false");
}

static void json_added(struct buf *b, const struct tok_spec *s)
{
    json_put_key(b, "added_tokens");
    buf_char(b, '[');
    for (size_t i = 0; i < s->n_added; i++) {
        const struct tok_added *a = &s->added[i];

        buf_fmt(b, "%s{\"id\":%d", i ? "," : "", a->id);
        json_put_key(b, "content");
        json_piece(b, s, a->id);
        json_bool(b, "single_word", a->single_word);
        json_bool(b, "lstrip", a->lstrip);
        json_bool(b, "rstrip", a->rstrip);
        json_bool(b, "normalized", a->normalized);
        json_bool(b, "special", s->piece[a->id].type != TOK_USER);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

struct pair {
    int id;
    uint32_t n_left;
    double score;
};

static int best_first(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score > y->score ? -1 : 1;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->n_left < y->n_left ? -1 : 1;
}

/* Merges for a vocabulary that has scores: every way to make a piece of two. */
static void json_score_merges(struct buf *b, const struct tok *t)
{
    const struct tok_spec *s = tok_spec(t);
    struct pair *p = NULL;
    size_t n = 0, cap = 0;

    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *x = &s->piece[id];

        for (uint32_t k = 1; k < x->n && (x->type == TOK_NORMAL || x->type == TOK_UNUSED); k++)
            if (((unsigned char)x->s[k] & 0xC0) != 0x80 && tok_find(t, x->s, k) >= 0 &&
                tok_find(t, x->s + k, x->n - k) >= 0) {
                mem_grow(&p, &cap, n + 1, sizeof(*p));
                p[n++] = (struct pair){id, k, x->score};
            }
    }
    if (n)
        qsort(p, n, sizeof(*p), best_first);
    for (size_t i = 0; i < n; i++) {
        const struct vocab_piece *x = &s->piece[p[i].id];

        buf_str(b, i ? ",[" : "[");
        json_put_str(b, x->s, p[i].n_left);
        buf_char(b, ',');
        json_put_str(b, x->s + p[i].n_left, x->n - p[i].n_left);
        buf_char(b, ']');
    }
    free(p);
}

static void json_bpe(struct buf *b, const struct tok *t)
{
    const struct tok_spec *s = tok_spec(t);

    buf_str(b, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    json_piece(b, s, s->unk);
    json_bool(b, "fuse_unk", s->fuse_unk);
    json_bool(b, "byte_fallback", s->byte_fallback);
    json_bool(b, "ignore_merges", s->ignore_merges);
    buf_str(b, ",\"vocab\":{");
    for (int id = 0; id < s->n; id++) {
        if (s->piece[id].outside)
            continue;
        if (b->p[b->n - 1] != '{')
            buf_char(b, ',');
        json_piece(b, s, id);
        buf_fmt(b, ":%d", id);
    }
    buf_str(b, "},\"merges\":[");
    if (s->by_score)
        json_score_merges(b, t);
    for (size_t i = 0; i < s->n_merges; i++) {
        const struct tok_merge *m = &s->merge[i];

        buf_str(b, i ? ",[" : "[");
        json_put_str(b, m->left, m->n_left);
        buf_char(b, ',');
        json_put_str(b, m->right, m->n_right);
        buf_char(b, ']');
    }
    buf_str(b, "]}");
}

static void json_wordpiece(struct buf *b, const struct tok_spec *s)
{
    struct buf piece = {0};
    bool any = false;

    buf_str(b, "{\"type\":\"WordPiece\",\"unk_token\":");
    json_piece(b, s, s->unk);
    buf_fmt(b, ",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":%d,\"vocab\":{",
            s->max_word);
    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *p = &s->piece[id];

        if (p->outside)
            continue;
        buf_reset(&piece);
        if (p->type == TOK_CONTROL || p->type == TOK_USER || p->type == TOK_UNKNOWN)
            buf_add(&piece, p->s, p->n);
        else
            tokspec_to_wordpiece(p->s, p->n, &piece);
        buf_str(b, any ? "," : "");
        json_put_str(b, piece.p, piece.n);
        buf_fmt(b, ":%d", id);
        any = true;
    }
    buf_str(b, "}}");
    buf_free(&piece);
}

static void json_unigram(struct buf *b, const struct tok_spec *s)
{
    buf_str(b, "{\"type\":\"Unigram\",\"unk_id\":");
    if (s->unk < 0)
        buf_str(b, "null");
    else
        json_put_int(b, s->unk);
    json_bool(b, "byte_fallback", s->byte_fallback);
    buf_str(b, ",\"vocab\":[");
    for (int id = 0; id < s->n; id++) {
        if (s->piece[id].outside) // added tokens follow the vocabulary
            continue;
        buf_str(b, id ? ",[" : "[");
        json_piece(b, s, id);
        buf_char(b, ',');
        json_put_num(b, s->piece[id].score);
        buf_char(b, ']');
    }
    buf_str(b, "]}");
}

/* GGUF's t5 chain in HF's terms: the map, runs of spaces as one, Metaspace. */
static bool json_t5(struct buf *b, const struct tok *t)
{
    const struct tok_spec *s = tok_spec(t);
    struct arena a = {0};
    size_t n;
    char *b64;

    if (s->kind != TOK_UNIGRAM || !s->normalizer || !strstr(s->normalizer, "\"Spaces\""))
        return false;
    b64 = charsmap_text(s, &a, &n);
    buf_str(b, ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (b64) {
        buf_str(b, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":");
        json_put_str(b, b64, n);
        buf_str(b, "},");
    }
    buf_str(b,
            "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},{\"type\":\"Replace\","
            "\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},\"pre_tokenizer\":{\"type\":"
            "\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":");
    buf_str(b, tok_adds_space(t) ? "\"always\",\"split\":true}" : "\"never\",\"split\":true}");
    arena_free(&a);
    return true;
}

static void json_special(struct buf *b, const struct tok_spec *s, const int32_t *id, int n)
{
    for (int i = 0; i < n; i++) {
        buf_str(b, "{\"SpecialToken\":{\"id\":");
        json_piece(b, s, id[i]);
        buf_str(b, ",\"type_id\":0}},");
    }
}

static void json_post(struct buf *b, const struct tok_spec *s)
{
    const int32_t *list[2] = {s->prefix ? s->prefix : &s->bos, s->suffix ? s->suffix : &s->eos};
    int n[2] = {s->prefix ? s->n_prefix : s->add_bos, s->suffix ? s->n_suffix : s->add_eos};

    json_put_key(b, "post_processor");
    if (!n[0] && !n[1]) {
        buf_str(b, s->byte_level ? "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                                   "\"trim_offsets\":false,\"use_regex\":false}"
                                 : "null");
        return;
    }
    for (int pair = 0; pair < 2; pair++) {
        buf_str(b, pair ? ",\"pair\":[" : "{\"type\":\"TemplateProcessing\",\"single\":[");
        json_special(b, s, list[0], n[0]);
        buf_str(b, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},");
        if (pair)
            buf_str(b, "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}},");
        json_special(b, s, list[1], n[1]);
        b->n--; // the last comma
        buf_char(b, ']');
    }
    buf_str(b, ",\"special_tokens\":{");
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < n[i]; k++) {
            buf_str(b, b->p[b->n - 1] == '{' ? "" : ",");
            json_piece(b, s, list[i][k]);
            buf_str(b, ":{\"id\":");
            json_piece(b, s, list[i][k]);
            buf_fmt(b, ",\"ids\":[%d],\"tokens\":[", list[i][k]);
            json_piece(b, s, list[i][k]);
            buf_str(b, "]}");
        }
    buf_str(b, "}}");
}

static void json_decoder(struct buf *b, const struct tok *t)
{
    json_put_key(b, "decoder");
    if (tok_spec(t)->kind == TOK_WORDPIECE)
        buf_str(b, "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false}");
    else if (tok_spec(t)->byte_level)
        buf_str(b, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
                   "\"use_regex\":true}");
    else
        buf_fmt(b,
                "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
                "\"String\":\"▁\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":"
                "\"Fuse\"}%s]}",
                tok_adds_space(t) ? ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"
                                  : "");
}

static int write_file(const char *dir, const char *name, struct buf *b, struct err *e)
{
    char *path = file_join(dir, name);
    struct file_out f;
    int rc = file_create(&f, path, 1, e);

    if (rc == 0) {
        rc = file_write(&f, b->p, b->n, e);
        if (rc == 0)
            rc = file_commit(&f, e);
        else
            file_abandon(&f);
    }
    free(path);
    buf_free(b);
    return rc;
}

static int put_config(const struct tok *t, const char *dir, struct err *e)
{
    const struct tok_spec *s = tok_spec(t);
    const char *const key[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    const int id[] = {s->bos, s->eos, s->unk, s->pad};
    struct buf b = {0};

    buf_str(&b, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"");
    json_bool(&b, "add_bos_token", s->add_bos);
    json_bool(&b, "add_eos_token", s->add_eos);
    json_bool(&b, "clean_up_tokenization_spaces", false);
    for (int i = 0; i < 4; i++) {
        json_put_key(&b, key[i]);
        json_piece(&b, s, id[i]);
    }
    if (s->chat) {
        json_put_key(&b, "chat_template");
        json_put_str(&b, s->chat, strlen(s->chat));
    }
    buf_str(&b, "}\n");
    return write_file(dir, "tokenizer_config.json", &b, e);
}

int tokput_dir(const struct tok *t, const char *dir, struct err *e)
{
    const struct tok_spec *s = tok_spec(t);
    struct buf b = {0};

    buf_str(&b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null");
    json_added(&b, s);
    if (!json_t5(&b, t)) {
        json_put_key(&b, "normalizer");
        buf_str(&b, s->normalizer ? s->normalizer : "null");
        json_put_key(&b, "pre_tokenizer");
        buf_str(&b, s->splitter ? s->splitter : "null");
    }
    json_post(&b, s);
    json_decoder(&b, t);
    json_put_key(&b, "model");
    if (s->kind == TOK_UNIGRAM)
        json_unigram(&b, s);
    else if (s->kind == TOK_WORDPIECE)
        json_wordpiece(&b, s);
    else
        json_bpe(&b, t);
    buf_str(&b, "}\n");
    return write_file(dir, "tokenizer.json", &b, e) < 0 ? -1 : put_config(t, dir, e);
}
