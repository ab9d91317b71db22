/* vocab.c - the pieces of a tokenizer: ids, texts, and the bytes they stand for. */
#include "vocab.h"

#include "buf.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct vocab_slot {
    uint32_t hash;
    int32_t id; // -1: free
    const char *s;
    uint32_t n;
};

/* GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes,
 * in order, for U+0100 and on. */
static bool stands_for_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

static void alphabet(int16_t byte_of[512])
{
    int next = 256;

    memset(byte_of, 0xFF, 512 * sizeof(*byte_of));
    for (int b = 0; b < 256; b++)
        byte_of[stands_for_itself((uint32_t)b) ? b : next++] = (int16_t)b;
}

/* The bytes of a piece in that alphabet; false when it has other characters. */
static bool spell(const int16_t byte_of[512], const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;

        i += (size_t)utf8_get(s + i, n - i, &cp);
        if (cp >= 512 || byte_of[cp] < 0)
            return false;
        buf_char(out, (char)byte_of[cp]);
    }
    return true;
}

int vocab_byte_name(const char *s, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *a, *b;

    if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>' || !s[3] || !s[4])
        return -1;
    a = strchr(hex, s[3] >= 'a' && s[3] <= 'f' ? s[3] - 32 : s[3]);
    b = strchr(hex, s[4] >= 'a' && s[4] <= 'f' ? s[4] - 32 : s[4]);
    return a && b ? (int)((a - hex) << 4 | (b - hex)) : -1;
}

static int check_piece(struct vocab *v, int id, struct err *e)
{
    const struct vocab_piece *p = &v->piece[id];
    int *first;

    if (!p->n)
        return err_set(e, ERR_DATA, "token %d is empty", id);
    if (p->n > VOCAB_PIECE)
        return err_set(e, ERR_DATA, "token %d has %u bytes, at most %d are supported", id, p->n,
                       VOCAB_PIECE);
    if (utf8_check(p->s, p->n) != p->n)
        return err_set(e, ERR_DATA, "token %d is not valid UTF-8", id);
    if (!isfinite(p->score))
        return err_set(e, ERR_DATA, "score of token %d is not finite", id);
    if (p->type < TOK_NORMAL || p->type > TOK_BYTE)
        return err_set(e, ERR_DATA, "type %d of token %d is unknown", (int)p->type, id);
    if (p->type == TOK_BYTE && vocab_byte_name(p->s, p->n) < 0)
        return err_set(e, ERR_DATA, "byte token %d '%.20s' names no byte", id, p->s);
    first = hash_put(&v->ids, p->s, p->n, id);
    if (*first != id)
        return err_set(e, ERR_DATA, "duplicate token '%.60s': ids %d and %d", p->s, *first, id);
    return 0;
}

static struct vocab_slot *slot(const struct vocab *v, const char *s, size_t n, uint32_t h)
{
    size_t i = h & (v->cap - 1);

    for (;; i = (i + 1) & (v->cap - 1)) {
        struct vocab_slot *x = &v->word[i];

        if (x->id < 0 || (x->hash == h && x->n == n && !memcmp(x->s, s, n)))
            return x;
    }
}

static void add_word(struct vocab *v, const char *s, size_t n, int id)
{
    uint32_t h = (uint32_t)XXH3_64bits(s, n);
    struct vocab_slot *x = slot(v, s, n, h);

    if (x->id < 0)
        *x = (struct vocab_slot){h, id, s, (uint32_t)n};
}

static void put_escaped(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (n - i >= 3 && !memcmp(s + i, "\xE2\x96\x81", 3)) {
            buf_char(b, ' ');
            i += 2;
        } else {
            buf_char(b, s[i]);
        }
    }
}

/* Does a piece stand for its text as it is? In a byte-level vocabulary what is a single character
 * stands for a byte, whatever else the token is for: "!" may well pad. */
static bool is_literal(const struct vocab_piece *p, bool byte_level)
{
    uint32_t cp;

    return (p->type == TOK_CONTROL || p->type == TOK_USER || p->type == TOK_UNKNOWN) &&
           !(byte_level && !p->outside && (size_t)utf8_get(p->s, p->n, &cp) == p->n);
}

/* The bytes of every token; spelled[id] tells those written in the alphabet. */
static int lay_out(struct vocab *v, bool byte_level, bool escaped, bool words, bool *spelled,
                   struct err *e)
{
    int16_t byte_of[512];
    struct buf b = {0};

    alphabet(byte_of);
    v->at = mem_new(((size_t)v->n + 1) * sizeof(*v->at));
    for (int id = 0; id < v->n; id++) {
        const struct vocab_piece *p = &v->piece[id];
        bool literal = is_literal(p, byte_level);

        if (b.n > UINT32_MAX - VOCAB_PIECE) {
            buf_free(&b);
            return err_set(e, ERR_DATA, "the tokens have more than 4 GiB of text");
        }
        v->at[id] = (uint32_t)b.n;
        if (words && (literal || (p->n > 1 && p->s[0] == '[' && p->s[p->n - 1] == ']')))
            buf_char(&b, ' ');
        if (p->type == TOK_BYTE) {
            buf_char(&b, (char)vocab_byte_name(p->s, p->n));
            continue;
        }
        if (byte_level && !literal) {
            spelled[id] = spell(byte_of, p->s, p->n, &b);
            if (spelled[id])
                continue;
            b.n = v->at[id];
        }
        if (escaped && !byte_level && !literal)
            put_escaped(&b, p->s, p->n);
        else
            buf_add(&b, p->s, p->n);
    }
    v->at[v->n] = (uint32_t)b.n;
    v->bytes = b.p ? b.p : mem_new(1);
    return 0;
}

static void index_words(struct vocab *v, bool byte_level, const bool *spelled)
{
    for (v->cap = 64; v->cap < (size_t)v->n * 2; v->cap *= 2)
        ;
    v->word = mem_new(v->cap * sizeof(*v->word));
    for (size_t i = 0; i < v->cap; i++)
        v->word[i].id = -1;
    for (int b = 0; b < 256; b++)
        v->byte[b] = -1;
    for (int id = 0; id < v->n; id++) {
        const struct vocab_piece *p = &v->piece[id];
        const char *s = v->bytes + v->at[id];
        size_t n = v->at[id + 1] - v->at[id];
        unsigned char b = (unsigned char)s[0];

        if (p->type == TOK_BYTE || (byte_level && spelled[id] && n == 1))
            v->byte[b] = v->byte[b] < 0 ? id : v->byte[b];
        if (p->type == TOK_CONTROL || p->type == TOK_UNKNOWN || p->type == TOK_BYTE || p->outside)
            continue;
        if (!byte_level)
            add_word(v, p->s, p->n, id);
        else if (spelled[id])
            add_word(v, s, n, id);
    }
}

int vocab_init(struct vocab *v, const struct vocab_piece *piece, int n, bool byte_level,
               bool escaped, bool words, struct err *e)
{
    bool *spelled;
    int rc = 0;

    *v = (struct vocab){.piece = piece, .n = n};
    if (n < 1 || n > VOCAB_MAX)
        return err_set(e, ERR_DATA, "a vocabulary of %d tokens; 1 to %d are supported", n,
                       VOCAB_MAX);
    hash_reserve(&v->ids, (size_t)v->n);
    for (int id = 0; id < n && rc == 0; id++)
        rc = check_piece(v, id, e);
    if (rc == 0) {
        spelled = mem_zero((size_t)n, sizeof(*spelled));
        rc = lay_out(v, byte_level, escaped, words, spelled, e);
        if (rc == 0)
            index_words(v, byte_level, spelled);
        free(spelled);
    }
    if (rc < 0)
        vocab_free(v);
    return rc;
}

void vocab_free(struct vocab *v)
{
    free(v->bytes);
    free(v->at);
    free(v->word);
    hash_free(&v->ids);
    *v = (struct vocab){0};
}

int vocab_find(const struct vocab *v, const char *piece, size_t n)
{
    const int *id = hash_find(&v->ids, piece, n);

    return id ? *id : -1;
}

void vocab_word_ahead(const struct vocab *v, const char *s, size_t n)
{
    __builtin_prefetch(&v->word[XXH3_64bits(s, n) & (v->cap - 1)]);
}

int vocab_word(const struct vocab *v, const char *s, size_t n)
{
    return slot(v, s, n, (uint32_t)XXH3_64bits(s, n))->id;
}
