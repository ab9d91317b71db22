/* tokcore.c - encode: added tokens, normalizer, words, symbols, ids. */
#include "tokcore.h"

#include "unorm.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Words whose ids were found in this call. Most texts repeat their words, and
 * a table of one call needs no lock. */
enum { CACHE = 4096, CACHE_WORD = 24, CACHE_IDS = 8, CACHE_FROM = 1024 };

struct cached {
    uint8_t n, n_ids;
    char s[CACHE_WORD];
    int32_t id[CACHE_IDS];
};

struct work {
    const struct tok *t;
    struct tok_ids *out;
    struct norm_work norm;
    struct split_work split;
    struct bpe_work bpe;
    struct unigram_work unigram;
    struct buf text;
    int32_t *sym; // (cap)
    size_t cap;
    struct cached *cache; // (CACHE), or NULL for a short text
};

static void put_id(struct work *w, int32_t id)
{
    mem_grow(&w->out->id, &w->out->cap, w->out->n + 1, sizeof(*w->out->id));
    w->out->id[w->out->n++] = id;
}

/* A character without a token: its bytes, else the unknown token (once for
 * several in a row when they fuse), else nothing. Returns whether it was unknown. */
static bool put_missing(struct work *w, uint32_t cp, bool after_unknown)
{
    const struct tok_spec *s = &w->t->spec;
    char c[4];
    int n = utf8_put(c, cp), have = 0;

    if (s->byte_fallback) {
        while (have < n && w->t->vocab.byte[(unsigned char)c[have]] >= 0)
            have++;
        if (have == n) {
            for (int i = 0; i < n; i++)
                put_id(w, w->t->vocab.byte[(unsigned char)c[i]]);
            return false;
        }
    }
    if (s->unk >= 0 && !(after_unknown && s->fuse_unk))
        put_id(w, s->unk);
    return s->unk >= 0;
}

int32_t tokcore_symbol(const struct tok *t, const char *s, size_t n, uint32_t cp)
{
    int id = vocab_word(&t->vocab, s, n);
    const int *extra = id < 0 && t->n_extra ? hash_find(&t->extra, s, n) : NULL;

    return id >= 0 ? id : extra ? *extra : -1 - (int32_t)cp;
}

/* The symbols of a word: ids, or -1 - (character or byte) where there is none.
 * What will give nothing at all is left out before merging, as in HF: its
 * neighbours may merge. */
static size_t load_symbols(struct work *w, const char *s, size_t n)
{
    const struct tok *t = w->t;
    size_t k = 0;

    mem_grow(&w->sym, &w->cap, n, sizeof(*w->sym));
    if (t->spec.byte_level) {
        for (size_t i = 0; i < n; i++) {
            unsigned char b = (unsigned char)s[i];

            if (t->vocab.byte[b] >= 0 || t->spec.unk >= 0)
                w->sym[k++] = t->vocab.byte[b] >= 0 ? t->vocab.byte[b] : -1 - b;
        }
        return k;
    }
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len;

        if (!(s[i] & 0x80)) {
            w->sym[k] = t->ascii[(unsigned char)s[i++]];
        } else {
            len = (size_t)utf8_get(s + i, n - i, &cp);
            w->sym[k] = tokcore_symbol(t, s + i, len, cp);
            i += len;
        }
        k += w->sym[k] >= 0 || t->spec.unk >= 0 || t->spec.byte_fallback;
    }
    return k;
}

static void put_merged(struct work *w, const char *s, size_t n)
{
    const struct tok *t = w->t;
    size_t n_sym = load_symbols(w, s, n); // first: it may move w->sym
    size_t k = bpe_merge(&t->bpe, &w->bpe, w->sym, n_sym);
    bool unknown = false;

    for (size_t i = 0; i < k; i++) {
        int32_t x = w->sym[i];

        if (x >= 0 && x < t->spec.n) {
            put_id(w, x);
            unknown = false;
        } else if (!t->spec.byte_level) {
            uint32_t cp = x < 0 ? (uint32_t)(-1 - x) : t->extra_cp[x - t->spec.n];

            unknown = put_missing(w, cp, unknown);
        } else if (t->spec.unk >= 0) {
            if (!(unknown && t->spec.fuse_unk))
                put_id(w, t->spec.unk);
            unknown = true;
        }
    }
}

static void put_unigram(struct work *w, const char *s, size_t n)
{
    const struct tok *t = w->t;
    const struct unigram_piece *p;

    unigram_cut(&t->unigram, &w->unigram, s, n);
    for (size_t i = 0; i < w->unigram.n_piece; i++) {
        p = &w->unigram.piece[i];
        if (p->id >= 0) {
            put_id(w, p->id);
            continue;
        }
        bool unknown = false;

        for (size_t k = p->from; k < p->to;) {
            uint32_t cp;

            k += (size_t)utf8_get(s + k, p->to - k, &cp);
            unknown = put_missing(w, cp, unknown);
        }
    }
}

/* The longest piece at s[at], and where it ends; -1 when there is none. */
static int32_t longest_piece(const struct trie *trie, const char *s, size_t n, size_t at,
                             size_t *end)
{
    uint32_t node = 0;
    int32_t id = -1;

    for (size_t i = at; trie->n > 1 && i < n && (node = trie_step(trie, node, s[i])); i++)
        if (trie->value[node] >= 0) {
            id = trie->value[node];
            *end = i + 1;
        }
    return id;
}

/* The longest piece at each place, Schuster & Nakajima 2012 as Devlin et al. 2019 (BERT) use it: a
 * word that cannot be covered, or is too long, is unknown as a whole. */
static void put_wordpiece(struct work *w, const char *s, size_t n)
{
    const struct tok *t = w->t;
    size_t before = w->out->n, chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xC0) != 0x80;
    for (size_t at = 0; at < n;) {
        const struct trie *trie = at ? &t->inside : &t->begin;
        size_t end = at, inner_end = 2;
        int32_t id = longest_piece(trie, s, n, at, &end);

        if (!at && n > 2 && !memcmp(s, "##", 2)) { // "##ing" as a word: the piece of that name
            int32_t inner = longest_piece(&t->inside, s, n, 2, &inner_end);

            if (inner >= 0 && inner_end > end) {
                id = inner;
                end = inner_end;
            }
        }
        if (id < 0 || chars > (size_t)t->spec.max_word) {
            w->out->n = before;
            put_id(w, t->spec.unk);
            return;
        }
        put_id(w, id);
        at = end;
    }
}

/* Does the merging of a token's own word end in the token? Then a text with
 * that word needs no merging. Found out once for each token. */
static bool is_whole(struct work *w, int id, const char *s, size_t n)
{
    const struct tok *t = w->t;
    unsigned char known = atomic_load_explicit(&t->whole[id], memory_order_relaxed);

    if (!known) {
        size_t n_sym = load_symbols(w, s, n); // first: it may move w->sym
        size_t k = bpe_merge(&t->bpe, &w->bpe, w->sym, n_sym);

        known = k == 1 && w->sym[0] == id ? 1 : 2;
        atomic_store_explicit(&t->whole[id], known, memory_order_relaxed);
    }
    return known == 1;
}

static bool from_cache(struct work *w, struct cached *c, const char *s, size_t n)
{
    if (c->n != n || memcmp(c->s, s, n))
        return false;
    mem_grow(&w->out->id, &w->out->cap, w->out->n + c->n_ids, sizeof(*w->out->id));
    memcpy(w->out->id + w->out->n, c->id, c->n_ids * sizeof(*c->id));
    w->out->n += c->n_ids;
    return true;
}

/* A word that nothing outside can merge with. */
static void put_word(struct work *w, const char *s, size_t n)
{
    const struct tok *t = w->t;
    struct cached *c = NULL;
    size_t before = w->out->n;
    bool whole = t->spec.kind == TOK_UNIGRAM || t->spec.kind == TOK_WORDPIECE || n > VOCAB_PIECE;
    int id = whole ? -1 : vocab_word(&t->vocab, s, n);

    if (id >= 0 && (t->spec.ignore_merges || is_whole(w, id, s, n))) {
        put_id(w, id);
        return;
    }
    if (w->cache && n <= CACHE_WORD) {
        c = &w->cache[XXH3_64bits(s, n) % CACHE];
        if (from_cache(w, c, s, n))
            return;
    }
    if (t->spec.kind == TOK_UNIGRAM)
        put_unigram(w, s, n);
    else if (t->spec.kind == TOK_WORDPIECE)
        put_wordpiece(w, s, n);
    else
        put_merged(w, s, n);
    if (c && w->out->n - before <= CACHE_IDS) {
        c->n = (uint8_t)n;
        c->n_ids = (uint8_t)(w->out->n - before);
        memcpy(c->s, s, n);
        memcpy(c->id, w->out->id + before, c->n_ids * sizeof(*c->id));
    }
}

/* May s be cut at i, where U+2581 stands? */
static bool may_cut(const struct tok *t, const char *s, size_t i)
{
    if (i >= 3 && !memcmp(s + i - 3, "\xE2\x96\x81", 3))
        return !t->meta_crosses;
    return !t->crosses[(unsigned char)s[i - 1]];
}

/* A word of the pre-tokenizer, cut where no piece crosses. */
static int take_word(void *arg, const char *s, size_t n, struct err *e)
{
    struct work *w = arg;
    const struct tok *t = w->t;
    size_t from = 0;

    (void)e;
    if (t->cuts && !(t->spec.ignore_merges && n <= VOCAB_PIECE && vocab_word(&t->vocab, s, n) >= 0))
        for (const char *p = s; (p = memchr(p + 1, 0xE2, (size_t)(s + n - p - 1)));) {
            size_t i = (size_t)(p - s);

            if (n - i >= 3 && !memcmp(p, "\xE2\x96\x81", 3) && may_cut(t, s, i)) {
                put_word(w, s + from, i - from);
                from = i;
            }
        }
    put_word(w, s + from, n - from);
    return 0;
}

static int put_words(struct work *w, const char *s, size_t n, bool at_start, struct err *e)
{
    if (!n)
        return 0;
    if (split_is_empty(w->t->split))
        return take_word(w, s, n, e);
    return split_run(w->t->split, &w->split, s, n, at_start, take_word, w, e);
}

static bool word_before(const char *s, size_t i)
{
    size_t k = i;
    uint32_t cp = 0;

    while (k && ((unsigned char)s[--k] & 0xC0) == 0x80)
        ;
    return i && utf8_get(s + k, i - k, &cp) && unorm_is_word(cp);
}

static bool word_after(const char *s, size_t n, size_t i)
{
    uint32_t cp = 0;

    return i < n && utf8_get(s + i, n - i, &cp) && unorm_is_word(cp);
}

/* The parts of the text, followed from left to right. */
struct parts {
    const struct tok_part *part;
    size_t n, at;
};

/* May a control token stand at from..to? All parts it touches must allow it. */
static bool special_at(struct parts *p, size_t from, size_t to)
{
    while (p->at < p->n && p->part[p->at].end <= from)
        p->at++;
    for (size_t k = p->at; k < p->n; k++) {
        if (!p->part[k].special)
            return false;
        if (p->part[k].end >= to)
            return true;
    }
    return false;
}

struct found {
    size_t from, to; // with the white space that belongs to it
    size_t next;     // where the search goes on: behind its own text
    int32_t id;
};

/* The longest added token whose text stands at s[i], and where it ends; NULL when there is none.
 * A control token that may not stand there still hides shorter ones, as in HF, when its text is
 * all in the part that it may not stand in. */
static const struct tok_added *longest_at(const struct tok *t, const struct trie *trie,
                                          struct parts *parts, const char *s, size_t n, size_t i,
                                          size_t *end, bool *may)
{
    const struct tok_added *longest = NULL;
    uint32_t node = 0;

    for (size_t k = i; k < n; k++) {
        const struct tok_added *x;
        bool silent, allowed;

        node = trie_step(trie, node, s[k]);
        if (!node)
            break;
        if (trie->value[node] < 0)
            continue;
        x = &t->spec.added[trie->value[node]];
        silent = t->flag[x->id] & TOKCORE_SILENT;
        allowed = !silent || (parts && special_at(parts, i, k + 1));
        if (!allowed && parts && parts->part[parts->at].end <= k)
            continue;
        longest = x;
        *end = k + 1;
        *may = allowed;
    }
    return longest;
}

/* The first added token at or after f->next. One that may not stand where it is found hides those
 * that begin inside it, as in HF. Text before `taken` is an earlier token's, with its white space.
 */
static bool next_added(const struct tok *t, const struct trie *trie, struct parts *parts,
                       const char *s, size_t n, size_t taken, struct found *f)
{
    size_t end = 0;

    for (size_t i = f->next; i < n; i = end) {
        const struct tok_added *a = NULL;
        bool may = true;

        end = i + 1;
        if (trie->root[(unsigned char)s[i]])
            a = longest_at(t, trie, parts, s, n, i, &end, &may);
        if (!a || !may || (a->single_word && (word_before(s, i) || word_after(s, n, end))))
            continue;
        *f = (struct found){i, end, end, a->id};
        if (a->lstrip)
            unorm_strip(&(const char *){s}, &f->from, false, true);
        if (a->rstrip) {
            const char *p = s + end;
            size_t rest = n - end;

            unorm_strip(&p, &rest, true, false);
            f->to = n - rest;
        }
        if (!a->lstrip || f->to > taken)
            return true;
    }
    return false;
}

/* Text between added tokens: normalize, look for those of normalized text. */
static int put_section(struct work *w, const char *s, size_t n, bool at_start, struct err *e)
{
    const struct tok *t = w->t;
    struct found f = {0};
    size_t at = 0;

    if (!norm_is_empty(t->norm)) {
        /* HF goes by offsets in the text. */
        int drops =
            at_start && t->space == SPLIT_FIRST ? norm_drops_start(t->norm, &w->norm, s, n, e) : 0;

        if (drops < 0 || norm_apply(t->norm, &w->norm, s, n, &w->text, e) < 0)
            return -1;
        at_start = at_start && !drops;
        s = w->text.p;
        n = w->text.n;
    }
    while (t->added_norm.n > 1 && next_added(t, &t->added_norm, NULL, s, n, at, &f)) {
        if (f.from > at && put_words(w, s + at, f.from - at, at_start && !at, e) < 0)
            return -1;
        put_id(w, f.id);
        at = f.to;
    }
    return put_words(w, s + at, n - at, at_start && !at, e);
}

static int put_text(struct work *w, const char *s, size_t n, struct parts *parts, bool at_start,
                    struct err *e)
{
    const struct tok *t = w->t;
    struct found f = {0};
    size_t at = 0;

    while (t->added.n > 1 && next_added(t, &t->added, parts, s, n, at, &f)) {
        if (f.from > at && put_section(w, s + at, f.from - at, at_start && !at, e) < 0)
            return -1;
        put_id(w, f.id);
        at = f.to;
    }
    return at < n ? put_section(w, s + at, n - at, at_start && !at, e) : 0;
}

static void put_around(struct work *w, const int32_t *list, int n, bool add, int id)
{
    if (!list && add)
        put_id(w, id);
    for (int i = 0; list && i < n; i++)
        put_id(w, list[i]);
}

static void work_free(struct work *w)
{
    norm_done(&w->norm);
    split_done(&w->split);
    bpe_done(&w->bpe);
    unigram_done(&w->unigram);
    buf_free(&w->text);
    free(w->sym);
    free(w->cache);
}

int tokcore_encode(const struct tok *t, const char *s, const struct tok_part *part, size_t n_parts,
                   int flags, struct tok_ids *out, struct err *e)
{
    struct work w = {.t = t, .out = out};
    struct parts parts = {part, n_parts, 0};
    size_t n = n_parts ? part[n_parts - 1].end : 0, first = out->n, bad, text;
    int rc;

    if (n > INT32_MAX)
        return err_set(e, ERR_ARG, "a text of %zu bytes; less than 2 GiB are supported", n);
    bad = utf8_check(s, n);
    if (bad < n)
        return err_set(e, ERR_DATA, "byte %zu is not valid UTF-8", bad);
    if (n >= CACHE_FROM)
        w.cache = mem_zero(CACHE, sizeof(*w.cache));
    if (flags & TOK_BOS)
        put_around(&w, t->spec.prefix, t->spec.n_prefix, t->spec.add_bos, t->spec.bos);
    text = out->n;
    rc = put_text(&w, s, n, &parts, !(flags & TOK_INSIDE), e);
    if (rc < 0)
        out->n = first;
    if (rc == 0 && text > first && out->n > text && out->id[text] == t->spec.bos &&
        out->id[text - 1] == t->spec.bos) { // the text brought its own: never two
        memmove(out->id + text - 1, out->id + text, (out->n - text) * sizeof(*out->id));
        out->n--;
    }
    if (rc == 0 && flags & TOK_EOS)
        put_around(&w, t->spec.suffix, t->spec.n_suffix, t->spec.add_eos, t->spec.eos);
    work_free(&w);
    return rc;
}
