/* tok.c - tokenizers: building the tables, and decode. */
#include "tok.h"

#include "arena.h"
#include "tokcore.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { ADDED_MAX = 1024 }; // bytes of one added token

static const char meta[] = "\xE2\x96\x81";

void tok_close(struct tok *t)
{
    if (!t)
        return;
    vocab_free(&t->vocab);
    norm_free(t->norm);
    split_free(t->split);
    bpe_free(&t->bpe);
    unigram_free(&t->unigram);
    trie_free(&t->begin);
    trie_free(&t->inside);
    trie_free(&t->added);
    trie_free(&t->added_norm);
    hash_free(&t->extra);
    free(t->extra_cp);
    free(t->flag);
    free(t->whole);
    tokspec_free(&t->spec);
    free(t);
}

/* Bytes of a piece that a message shows. */
static int shown(uint32_t n)
{
    return n < 60 ? (int)n : 60;
}

/* Pairs on their way into the table. */
struct pairs {
    struct bpe_pair pair[256];
    size_t n;
};

static void pairs_end(struct tok *t, struct pairs *p)
{
    bpe_add_all(&t->bpe, p->pair, p->n);
    p->n = 0;
}

static void pairs_add(struct tok *t, struct pairs *p, int left, int right, uint32_t rank, int to)
{
    if (p->n == sizeof(p->pair) / sizeof(*p->pair))
        pairs_end(t, p);
    p->pair[p->n++] = (struct bpe_pair){left, right, rank, to};
}

/* The merges of a file: both parts must be tokens, and so must what they make. */
static int add_merges(struct tok *t, struct err *e)
{
    const struct tok_spec *s = &t->spec;
    char both[2 * VOCAB_PIECE];
    struct pairs pairs = {.n = 0};

    bpe_reserve(&t->bpe, s->n_merges);
    for (size_t i = 0; i < s->n_merges; i++) {
        const struct tok_merge *m = &s->merge[i];
        int a = vocab_find(&t->vocab, m->left, m->n_left);
        int b = vocab_find(&t->vocab, m->right, m->n_right), to;

        if (a < 0 || b < 0)
            return err_set(e, ERR_DATA, "merge %zu: '%.*s' is not in the vocabulary", i,
                           a < 0 ? shown(m->n_left) : shown(m->n_right),
                           a < 0 ? m->left : m->right);
        memcpy(both, m->left, m->n_left);
        memcpy(both + m->n_left, m->right, m->n_right);
        to = vocab_find(&t->vocab, both, m->n_left + m->n_right);
        if (to < 0)
            return err_set(e, ERR_DATA, "merge %zu: '%.*s' is not in the vocabulary", i,
                           shown(m->n_left + m->n_right), both);
        pairs_add(t, &pairs, a, b, (uint32_t)i, to);
    }
    pairs_end(t, &pairs);
    return 0;
}

/* The symbol of a text: a token's id, a number of its own for a character that
 * is part of tokens but none itself, or -1. */
static int symbol(struct tok *t, const char *s, size_t n)
{
    int id = vocab_word(&t->vocab, s, n), *extra;
    uint32_t cp;

    if (id >= 0 || (size_t)utf8_get(s, n, &cp) != n)
        return id;
    extra = hash_put(&t->extra, s, n, t->spec.n + (int)t->n_extra);
    if (*extra == t->spec.n + (int)t->n_extra) {
        mem_grow(&t->extra_cp, &t->cap_extra, t->n_extra + 1, sizeof(*t->extra_cp));
        t->extra_cp[t->n_extra++] = cp;
    }
    return *extra;
}

static int down(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x > y ? -1 : x < y;
}

/* Scores as ranks: the best score is rank 0, equal scores share one. */
static uint32_t *ranks(const struct tok_spec *s)
{
    double *sorted = mem_new((size_t)s->n * sizeof(*sorted));
    uint32_t *rank = mem_new((size_t)s->n * sizeof(*rank));
    size_t n = 0;

    for (int i = 0; i < s->n; i++)
        sorted[i] = s->piece[i].score;
    qsort(sorted, (size_t)s->n, sizeof(*sorted), down);
    for (int i = 0; i < s->n; i++)
        if (!n || sorted[i] < sorted[n - 1])
            sorted[n++] = sorted[i];
    for (int i = 0; i < s->n; i++) {
        double *p = bsearch(&s->piece[i].score, sorted, n, sizeof(*sorted), down);

        rank[i] = p ? (uint32_t)(p - sorted) : 0;
    }
    free(sorted);
    return rank;
}

/* Whether a piece may be cut before byte k. */
static bool is_cut(const struct vocab_piece *p, size_t k)
{
    return ((unsigned char)p->s[k] & 0xC0) != 0x80;
}

/* Ask for the words of all cuts of a piece. */
static void cuts_ahead(const struct tok *t, const struct vocab_piece *p)
{
    for (size_t k = 1; k < p->n; k++)
        if (is_cut(p, k)) {
            vocab_word_ahead(&t->vocab, p->s, k);
            vocab_word_ahead(&t->vocab, p->s + k, p->n - k);
        }
}

/* SentencePiece: any two symbols whose joined text is a piece may merge. All
 * such pairs, once and for all. */
static void add_pairs(struct tok *t)
{
    const struct tok_spec *s = &t->spec;
    uint32_t *rank = ranks(s);
    struct pairs pairs = {.n = 0};

    bpe_reserve(&t->bpe, 2 * (size_t)s->n); // Llama 2 has 1.9 pairs a piece
    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *p = &s->piece[id];

        if (id + 1 < s->n)
            cuts_ahead(t, p + 1);
        if (vocab_word(&t->vocab, p->s, p->n) != id)
            continue; // control, unknown, byte
        for (size_t k = 1; k < p->n; k++) {
            int left, right;

            if (!is_cut(p, k))
                continue;
            left = symbol(t, p->s, k);
            right = left < 0 ? -1 : symbol(t, p->s + k, p->n - k);
            if (right >= 0)
                pairs_add(t, &pairs, left, right, rank[id], id);
        }
    }
    pairs_end(t, &pairs);
    free(rank);
}

static void add_unigram(struct tok *t)
{
    const struct tok_spec *s = &t->spec;
    struct trie_key *key = mem_new((size_t)s->n * sizeof(*key));
    double *score = mem_new((size_t)s->n * sizeof(*score)), lowest = 0;
    bool any = false;
    size_t n = 0;

    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *p = &s->piece[id];

        score[id] = p->score;
        if (vocab_word(&t->vocab, p->s, p->n) == id)
            key[n++] = (struct trie_key){p->s, p->n, id};
        if ((p->type == TOK_NORMAL || (p->type == TOK_USER && !p->outside)) &&
            (!any || p->score < lowest)) {
            lowest = p->score;
            any = true;
        }
    }
    unigram_init(&t->unigram, key, n, score, (size_t)s->n, lowest);
    free(key);
    free(score);
}

/* The pieces that text can become, by whether they begin a word. */
static void add_wordpiece(struct tok *t)
{
    const struct tok_spec *s = &t->spec;
    struct trie_key *key = mem_new((size_t)s->n * sizeof(*key));

    for (int begins = 0; begins < 2; begins++) {
        size_t n = 0;

        for (int id = 0; id < s->n; id++) {
            const struct vocab_piece *p = &s->piece[id];
            bool mark = p->n > 3 && !memcmp(p->s, meta, 3);
            bool added = p->type == TOK_USER; // stands there as in the vocabulary's file

            if ((mark || added) == begins && !(p->s[0] == '[' && p->s[p->n - 1] == ']') &&
                vocab_word(&t->vocab, p->s, p->n) == id)
                key[n++] = (struct trie_key){p->s + 3 * mark, p->n - 3 * (uint32_t)mark, id};
        }
        trie_build(begins ? &t->begin : &t->inside, key, n);
    }
    free(key);
}

/* May a text be cut between the byte before U+2581 and it? Not where a piece
 * crosses that place, and nowhere when characters may vanish: their neighbours merge. */
static void note_crossings(struct tok *t)
{
    bool vanish = t->spec.unk < 0 && !t->spec.byte_fallback;

    t->cuts = !t->spec.byte_level && t->spec.kind != TOK_WORDPIECE && t->escaped && !vanish &&
              vocab_word(&t->vocab, meta, 3) >= 0;
    for (int id = 0; t->cuts && id < t->spec.n; id++) {
        const struct vocab_piece *p = &t->spec.piece[id];

        for (const char *m = p->s + 1; m + 3 <= p->s + p->n; m++)
            if (!memcmp(m, meta, 3)) {
                if (m - p->s >= 3 && !memcmp(m - 3, meta, 3))
                    t->meta_crosses = true;
                else
                    t->crosses[(unsigned char)m[-1]] = true;
            }
    }
}

/* Added tokens are looked for in the text as it is, or, when they say so, in
 * normalized text in their normalized form, where the others left it. */
static int add_added(struct tok *t, struct err *e)
{
    const struct tok_spec *s = &t->spec;
    struct trie_key *raw = mem_new((s->n_added + 1) * sizeof(*raw));
    struct trie_key *norm = mem_new((s->n_added + 1) * sizeof(*norm));
    struct norm_work w = {0};
    struct buf b = {0};
    size_t n_raw = 0, n_norm = 0;
    int rc = 0;

    for (size_t i = 0; i < s->n_added && rc == 0; i++) {
        const struct tok_added *a = &s->added[i];
        const struct vocab_piece *p;

        p = &s->piece[a->id];
        if (p->n > ADDED_MAX) {
            rc = err_set(e, ERR_DATA, "added token %d has %u bytes, at most %d are supported",
                         a->id, p->n, ADDED_MAX);
        } else if (a->normalized && p->type == TOK_USER) {
            rc = norm_apply(t->norm, &w, p->s, p->n, &b, e);
            if (rc == 0)
                norm[n_norm++] =
                    (struct trie_key){arena_dup(&t->spec.mem, b.p, b.n), b.n, (int32_t)i};
            t->flag[a->id] &= (unsigned char)~TOKCORE_RESETS; // prepended before it was found
        } else {
            raw[n_raw++] = (struct trie_key){p->s, p->n, (int32_t)i};
        }
    }
    if (rc == 0) {
        trie_build(&t->added, raw, n_raw);
        trie_build(&t->added_norm, norm, n_norm);
    }
    norm_done(&w);
    buf_free(&b);
    free(raw);
    free(norm);
    return rc;
}

static void set_flags(struct tok *t)
{
    const struct tok_spec *s = &t->spec;
    /* A pre-tokenizer puts a space only where none is: behind a token it may well be the text's. */
    bool again = norm_prepends(t->norm) && s->kind != TOK_WORDPIECE;

    t->flag = mem_zero((size_t)s->n, 1);
    t->whole = mem_zero((size_t)s->n, sizeof(*t->whole));
    for (int id = 0; id < s->n; id++) {
        enum tok_type type = s->piece[id].type;
        bool silent = type == TOK_CONTROL || type == TOK_UNKNOWN;

        if (silent)
            t->flag[id] |= TOKCORE_SILENT;
        if (again && (silent || type == TOK_USER))
            t->flag[id] |= TOKCORE_RESETS;
    }
    for (size_t i = 0; i < s->n_end; i++)
        t->flag[s->end[i]] |= TOKCORE_END;
}

/* The JSON of a step chain, parsed into an arena of its own. */
static int read_chains(struct tok *t, struct err *e)
{
    const char *text[2] = {t->spec.normalizer, t->spec.splitter};
    struct arena mem = {0};

    for (int i = 0; i < 2; i++) {
        struct json j = {0};
        bool bad = text[i] && json_parse(&j, &mem, text[i], strlen(text[i]), e) < 0;

        if (!bad && i == 0)
            bad = !(t->norm = norm_new(&j, text[i] ? 0 : -1, e));
        else if (!bad)
            bad = !(t->split = split_new(&j, text[i] ? 0 : -1, e));
        arena_reset(&mem);
        if (bad) {
            arena_free(&mem);
            return -1;
        }
    }
    arena_free(&mem);
    return 0;
}

static int build(struct tok *t, struct err *e)
{
    struct tok_spec *s = &t->spec;

    if (read_chains(t, e) < 0)
        return -1;
    t->escaped = s->escaped || norm_escapes(t->norm) || split_escapes(t->split);
    t->space = split_space(t->split);
    if (norm_prepends(t->norm) || s->kind == TOK_WORDPIECE)
        t->space = SPLIT_ALWAYS;
    if (vocab_init(&t->vocab, s->piece, s->n, s->byte_level, t->escaped, s->kind == TOK_WORDPIECE,
                   e) < 0 ||
        tokspec_check(s, e) < 0)
        return -1;
    if (s->kind == TOK_SPM && s->byte_fallback && s->unk < 0)
        for (int b = 0; b < 256; b++)
            if (t->vocab.byte[b] < 0)
                return err_set(e, ERR_DATA, "no unknown token and no token for byte 0x%02X", b);
    set_flags(t);
    if (add_added(t, e) < 0)
        return -1;
    note_crossings(t);
    if (s->kind == TOK_UNIGRAM)
        add_unigram(t);
    else if (s->kind == TOK_WORDPIECE)
        add_wordpiece(t);
    else if (s->by_score)
        add_pairs(t);
    else if (add_merges(t, e) < 0)
        return -1;
    for (int c = 0; c < 128; c++)
        t->ascii[c] = tokcore_symbol(t, &(char){(char)c}, 1, (uint32_t)c);
    return 0;
}

struct tok *tok_new(struct tok_spec *s, struct err *e)
{
    struct tok *t = mem_zero(1, sizeof(*t));

    t->spec = *s;
    *s = (struct tok_spec){0};
    if (build(t, e) == 0)
        return t;
    tok_close(t);
    return NULL;
}

const struct tok_spec *tok_spec(const struct tok *t)
{
    return &t->spec;
}

enum tok_kind tok_kind(const struct tok *t)
{
    return t->spec.kind;
}

int tok_size(const struct tok *t)
{
    return t->spec.n;
}

int tok_bos(const struct tok *t)
{
    return t->spec.bos;
}

int tok_eos(const struct tok *t)
{
    return t->spec.eos;
}

bool tok_is_end(const struct tok *t, int id)
{
    return id >= 0 && id < t->spec.n && t->flag[id] & TOKCORE_END;
}

bool tok_adds_bos(const struct tok *t)
{
    return t->spec.add_bos;
}

bool tok_adds_eos(const struct tok *t)
{
    return t->spec.add_eos;
}

bool tok_adds_space(const struct tok *t)
{
    return t->space != SPLIT_NO_SPACE;
}

const char *tok_template(const struct tok *t)
{
    return t->spec.chat;
}

const char *tok_pre(const struct tok *t)
{
    return t->spec.pre;
}

const char *tok_pattern(const struct tok *t)
{
    return split_pattern(t->split);
}

int tok_find(const struct tok *t, const char *piece, size_t n)
{
    return vocab_find(&t->vocab, piece, n);
}

const char *tok_piece(const struct tok *t, int id, size_t *n)
{
    if (n)
        *n = t->spec.piece[id].n;
    return t->spec.piece[id].s;
}

float tok_score(const struct tok *t, int id)
{
    return (float)t->spec.piece[id].score;
}

enum tok_type tok_type(const struct tok *t, int id)
{
    return t->spec.piece[id].type;
}

static const char *text_of(const struct tok *t, int32_t id, bool special, size_t *n)
{
    *n = 0;
    if (id < 0 || id >= t->spec.n || (t->flag[id] & TOKCORE_SILENT && !special))
        return "";
    *n = t->vocab.at[id + 1] - t->vocab.at[id];
    return t->vocab.bytes + t->vocab.at[id];
}

void tok_bytes(const struct tok *t, int32_t id, bool special, struct buf *out)
{
    size_t n;
    const char *s = text_of(t, id, special, &n);

    buf_add(out, s, n);
}

bool tok_starts_text(const struct tok *t, int32_t id)
{
    return id >= 0 && id < t->spec.n && t->flag[id] & TOKCORE_RESETS;
}

/* Length of the start of s[0..n) that could have become a character. */
static size_t broken(const char *s, size_t n)
{
    size_t k = n < 3 ? n : 3;

    while (k > 1 && utf8_whole(s, k))
        k--;
    return k;
}

/* Emit the whole characters of what is held and n bytes more. */
static void emit(struct tok_stream *s, const char *p, size_t n, struct buf *out)
{
    char join[4 + 4];

    while (n) {
        size_t held = (size_t)s->n_held, take = n < 4 ? n : 4;
        const char *c = p;
        size_t len = n, used;
        uint32_t cp;

        if (held) {
            memcpy(join, s->held, held);
            memcpy(join + held, p, take);
            c = join;
            len = held + take;
        }
        used = (size_t)utf8_get(c, len, &cp);
        if (used) {
            buf_add(out, c, used);
        } else if (len < 4 && !utf8_whole(c, len)) {
            memcpy(s->held, c, len);
            s->n_held = (int)len;
            return;
        } else {
            used = broken(c, len);
            buf_str(out, "\xEF\xBF\xBD");
        }
        s->n_held = 0;
        if (used < held) { // what was held began no character; keep the rest of it
            s->n_held = (int)(held - used);
            memmove(s->held, s->held + used, held - used);
            continue;
        }
        p += used - held;
        n -= used - held;
    }
}

void tok_stream_add(const struct tok *t, struct tok_stream *s, int32_t id, bool special,
                    struct buf *out)
{
    size_t n;
    const char *p = text_of(t, id, special, &n);

    if (n && s->first && t->space != SPLIT_NO_SPACE && *p == ' ' && !s->n_held) {
        p++;
        n--;
        s->first = false;
    } else if (n) {
        s->first = false;
    }
    emit(s, p, n, out);
    if (tok_starts_text(t, id))
        s->first = true;
}

void tok_stream_end(struct tok_stream *s, struct buf *out)
{
    if (s->n_held)
        buf_str(out, "\xEF\xBF\xBD");
    s->n_held = 0;
}

void tok_decode(const struct tok *t, const int32_t *id, size_t n, bool special, struct buf *out)
{
    struct tok_stream s = {.first = true};

    for (size_t i = 0; i < n; i++)
        tok_stream_add(t, &s, id[i], special, out);
    tok_stream_end(&s, out);
}

int tok_encode_parts(const struct tok *t, const char *s, const struct tok_part *part,
                     size_t n_parts, int flags, struct tok_ids *out, struct err *e)
{
    return tokcore_encode(t, s, part, n_parts, flags, out, e);
}

int tok_encode(const struct tok *t, const char *s, size_t n, int flags, struct tok_ids *out,
               struct err *e)
{
    struct tok_part part = {n, flags & TOK_SPECIAL};

    return tokcore_encode(t, s, &part, 1, flags, out, e);
}

void tok_ids_free(struct tok_ids *ids)
{
    free(ids->id);
    *ids = (struct tok_ids){0};
}
