/* words.c - the words of a text in any script. */
#include "words.h"

#include "hash.h"
#include "hash_words.h"
#include "mem.h"
#include "scan.h"
#include "utf8.h"
#include "vec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Blocks of the scripts in which a character is a word, ascending. */
static const struct {
    uint32_t first, last;
} single[] = {
    {0x0E00, 0x0EFF},   // Thai, Lao
    {0x1000, 0x109F},   // Myanmar
    {0x1780, 0x17FF},   // Khmer
    {0x2E80, 0x2FDF},   // Han radicals
    {0x3005, 0x3007},   // Han repetition and zero
    {0x3040, 0x312F},   // Hiragana, Katakana, Bopomofo
    {0x31A0, 0x31FF},   // their extensions
    {0x3400, 0x4DBF},   // Han
    {0x4E00, 0x9FFF},   // Han
    {0xAC00, 0xD7A3},   // Hangul syllables
    {0xF900, 0xFAFF},   // Han, compatibility
    {0xFF66, 0xFF9F},   // Katakana, half width
    {0x1B000, 0x1B16F}, // kana supplement
    {0x20000, 0x3FFFF}, // Han
};

/* Of the two largest of them, whose characters are letters all. */
static bool is_common_single(uint32_t cp)
{
    return (cp >= 0xAC00 && cp <= 0xD7A3) || (cp >= 0x4E00 && cp <= 0x9FA5);
}

static bool is_single(uint32_t cp)
{
    if (cp < single[0].first || is_common_single(cp))
        return cp >= single[0].first;
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]) && cp >= single[i].first; i++)
        if (cp <= single[i].last)
            return true;
    return false;
}

/* First letter of the character's general category. */
static char class_of(uint32_t cp)
{
    if (is_common_single(cp))
        return 'L';
    return *utf8proc_category_string((utf8proc_int32_t)cp);
}

static bool ascii_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The word that begins at or after *at, which is left behind it; *begin is its first byte. */
static bool next_word(const char *s, size_t n, size_t *at, struct buf *w, size_t *begin)
{
    char out[4];

    buf_reset(w);
    while (*at < n) {
        unsigned char c = (unsigned char)s[*at];
        uint32_t cp = c;
        int len = c < 0x80 ? 1 : utf8_get(s + *at, n - *at, &cp);
        char kind = 'C';

        if (c < 0x80)
            kind = ascii_word(c) ? 'L' : 'Z';
        else if (len)
            kind = class_of(cp);
        if (kind == 'M' && !w->n)
            kind = 'Z'; // a mark on nothing
        if (kind != 'L' && kind != 'N' && kind != 'M') {
            if (w->n)
                return true;
            *at += len ? (size_t)len : 1;
            continue;
        }
        if (!w->n)
            *begin = *at;
        if (kind != 'M' && is_single(cp)) {
            if (w->n)
                return true;
            buf_add(w, s + *at, (size_t)len);
            *at += (size_t)len;
            // Marks that follow belong to it; the next letter does not.
            while (*at < n && (len = utf8_get(s + *at, n - *at, &cp)) > 1 && class_of(cp) == 'M') {
                buf_add(w, s + *at, (size_t)len);
                *at += (size_t)len;
            }
            return true;
        }
        *at += (size_t)len;
        if (c < 0x80)
            buf_char(w, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
        else
            buf_add(w, out, (size_t)utf8_put(out, (uint32_t)utf8proc_tolower((int32_t)cp)));
    }
    return w->n > 0;
}

bool words_next(const char *s, size_t n, size_t *at, struct buf *w)
{
    size_t begin;

    return next_word(s, n, at, w, &begin);
}

/* ---- all words of a text ---- */

static const uint64_t BASE = 0x9E3779B97F4A7C15u, MIX = 0xBF58476D1CE4E5B9u;

/* Pairs one behind the other, the last over the one before when the length is odd. */
static inline size_t next_pair(size_t k, size_t len)
{
    return k + 1 < len ? k : k - 1;
}

static inline uint64_t mixed(uint64_t h, size_t len)
{
    return (h ^ h >> 29) * MIX + len; // runs of two lengths are two hashes
}

uint64_t words_run(const struct words_row *w, size_t i, size_t len)
{
    uint64_t h = len > 1 ? w->pair[i] : w->hash[i];

    for (size_t k = 2; k < len; k += 2)
        h = h * MIX + w->pair[i + next_pair(k, len)];
    return mixed(h, len);
}

ANY_CPU static void make_pairs(uint64_t *restrict pair, const uint64_t *restrict hash, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = hash[i] * BASE + hash[i + 1];
}

static inline uint16_t brief_of(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

static inline uint32_t three_of(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint32_t)((a | b << 16 | c << 32) * BASE >> 32);
}

uint32_t words_three(const uint64_t *hash)
{
    return three_of(brief_of(hash[0]), brief_of(hash[1]), brief_of(hash[2]));
}

ANY_CPU void words_threes(const struct words_row *w, uint32_t *restrict three)
{
    const uint64_t *restrict hash = w->hash;

    for (size_t i = 0; i + 2 < w->n; i++)
        three[i] = three_of(hash[i] >> 48, hash[i + 1] >> 48, hash[i + 2] >> 48);
}

ANY_CPU void words_brief(const struct words_row *w, uint16_t *restrict brief)
{
    const uint64_t *restrict hash = w->hash;

    for (size_t i = 0; i < w->n; i++)
        brief[i] = (uint16_t)(hash[i] >> 48);
}

ANY_CPU void words_threes_of(const uint16_t *restrict brief, size_t n, uint32_t *restrict three)
{
    for (size_t i = 0; i + 2 < n; i++)
        three[i] = three_of(brief[i], brief[i + 1], brief[i + 2]);
}

uint64_t words_hash(const char *word, size_t n)
{
    return hash_word(word, n, n, 0);
}

static void room(struct words_row *w, size_t n)
{
    if (n < w->cap)
        return;
    w->cap = 2 * n + 64;
    w->hash = mem_resize(w->hash, w->cap, sizeof(*w->hash));
    w->pair = mem_resize(w->pair, w->cap, sizeof(*w->pair));
    w->begin = mem_resize(w->begin, w->cap, sizeof(*w->begin));
    w->end = mem_resize(w->end, w->cap, sizeof(*w->end));
}

static inline void add(struct words_row *w, uint64_t hash, size_t begin, size_t end)
{
    size_t k = w->n++;

    w->hash[k] = hash;
    w->begin[k] = (uint32_t)begin;
    w->end[k] = (uint32_t)end;
}

/* False where a look at the bytes shows that no mark begins here. */
static bool may_be_mark(const char *s, size_t n)
{
    unsigned char c = n ? (unsigned char)*s : 0;

    return !(c < 0x80 || (c >= 0xE4 && c <= 0xE9) || (c >= 0xEB && c <= 0xED) || // Han, Hangul
             (c == 0xEA && n > 1 && (unsigned char)s[1] >= 0xB0));
}

/* A run of letters, digits and bytes beyond ASCII: no word goes beyond it. */
static void add_wide(struct words_row *w, const struct kinds *t, size_t begin, size_t end)
{
    size_t at = begin;

    while (at < end) {
        uint32_t cp;
        size_t from = at;

        room(w, w->n + 2);
        if (end - at >= 3 && utf8_get(t->s + at, 3, &cp) == 3 && is_common_single(cp) &&
            !may_be_mark(t->s + at + 3, end - at - 3)) {
            at += 3;
            add(w, hash_word(t->s + from, 3, t->n - from, 0), from, at);
            continue;
        }
        if (!next_word(t->s, end, &at, &w->one, &from))
            break;
        add(w, words_hash(w->one.p, w->one.n), from, at);
    }
}

/* Runs first..last-1 are words of ASCII. */
static void add_plain(struct words_row *w, const struct kinds *t, size_t first, size_t last)
{
    const uint32_t *begin = w->runs.begin + first, *end = w->runs.end + first;
    size_t n = last - first;

    room(w, w->n + n + 1);
    if (!n)
        return;
    memcpy(w->begin + w->n, begin, n * sizeof(*begin));
    memcpy(w->end + w->n, end, n * sizeof(*end));
    hash_words(t->s, t->n, begin, end, n, true, w->hash + w->n);
    w->n += n;
}

/* Where ASCII and what is beyond it meet in a run: the first place at or behind `from`. */
static size_t next_meeting(const struct kinds *t, size_t from)
{
    for (size_t b = from / 64; b < t->blocks; b++) {
        uint64_t in = t->word[b] | t->high[b], high = t->high[b] << 1, before = in << 1, m;

        if (b) {
            high |= t->high[b - 1] >> 63;
            before |= (t->word[b - 1] | t->high[b - 1]) >> 63;
        }
        m = in & before & (t->high[b] ^ high);
        m &= 64 * b < from ? ~0ull << from % 64 : ~0ull;
        if (m)
            return 64 * b + (size_t)__builtin_ctzll(m);
    }
    return SIZE_MAX;
}

static void tell_kinds(struct words_row *w, const struct kinds *t)
{
    const uint32_t *begin = w->runs.begin, *end = w->runs.end;
    size_t meeting = next_meeting(t, 0);
    unsigned char high = t->easy ? WORDS_SINGLES : WORDS_OTHER;

    mem_grow(&w->kind, &w->cap_kind, w->runs.n + 1, 1);
    for (size_t k = 0; k < w->runs.n; k++) {
        w->kind[k] = (unsigned char)t->s[begin[k]] < 0x80 ? WORDS_ASCII : high;
        if (meeting < end[k]) {
            w->kind[k] = WORDS_OTHER;
            meeting = next_meeting(t, end[k]);
        }
    }
}

/* Words of ASCII and characters of three bytes that are words, and there are no others. */
static void add_units(struct words_row *w, const struct kinds *t)
{
    size_t n;

    runs_units(&w->units, t);
    n = w->units.n;
    room(w, n + 1);
    memcpy(w->begin, w->units.begin, n * sizeof(*w->begin));
    memcpy(w->end, w->units.end, n * sizeof(*w->end));
    hash_words(t->s, t->n, w->begin, w->end, n, true, w->hash);
    w->n = n;
}

/* Any text. */
static void add_any(struct words_row *w, const struct kinds *t)
{
    const uint32_t *begin = w->runs.begin, *end = w->runs.end;
    size_t done = 0;

    for (size_t k = 0; k < w->runs.n; k++) {
        if (w->kind[k] == WORDS_ASCII)
            continue;
        add_plain(w, t, done, k);
        add_wide(w, t, begin[k], end[k]);
        done = k + 1;
    }
    add_plain(w, t, done, w->runs.n);
}

void words_read(struct words_row *w, const struct kinds *t)
{
    runs_words(&w->runs, t);
    w->n = 0;
    room(w, 2);
    if (!t->ascii)
        tell_kinds(w, t);
    if (t->ascii)
        add_plain(w, t, 0, w->runs.n);
    else if (t->easy)
        add_units(w, t);
    else
        add_any(w, t);
    make_pairs(w->pair, w->hash, w->n);
}

void words_row_free(struct words_row *w)
{
    free(w->hash);
    free(w->pair);
    free(w->begin);
    free(w->end);
    free(w->kind);
    runs_free(&w->runs);
    runs_free(&w->units);
    buf_free(&w->one);
    *w = (struct words_row){0};
}

void words_fold(const char *s, size_t n, struct buf *out)
{
    struct buf w = {0};
    size_t at = 0;

    buf_char(out, ' ');
    while (words_next(s, n, &at, &w)) {
        buf_add(out, w.p, w.n);
        buf_char(out, ' ');
    }
    buf_free(&w);
}

/* What stands between two spaces, while it is read. */
struct run {
    size_t begin;
    int count;             // its words, when it is `easy`: of ASCII and of the commonest scripts
    bool easy, single, in; // single: has characters that are words; in: in a word of ASCII
};

static void run_char(struct run *r, uint32_t cp)
{
    bool word = cp < 0x80 && ascii_word((unsigned char)cp);

    if (is_common_single(cp)) {
        r->single = true;
        r->count++;
    } else if (cp >= 0x80) {
        r->easy = false;
        r->single = r->single || is_single(cp);
    }
    r->count += word && !r->in;
    r->in = word;
}

static int run_words(const struct run *r, const char *s, size_t end, struct buf *w)
{
    size_t at = r->begin;
    int count = 0;

    if (end == at)
        return 0;
    if (r->single && r->easy)
        return r->count;
    while (r->single && words_next(s, end, &at, w))
        count++;
    return count ? count : 1;
}

int words_count(const char *s, size_t n)
{
    struct run r = {.easy = true};
    struct buf w = {0};
    size_t at = 0;
    int count = 0;

    if (scan_ascii(s, n) == n)
        return (int)scan_chunks(s, n);
    while (at < n) {
        uint32_t cp = (unsigned char)s[at];
        int len = cp < 0x80 ? 1 : utf8_get(s + at, n - at, &cp);
        bool space = cp < 0x80 ? cp <= 32 : len > 1 && !is_common_single(cp) && class_of(cp) == 'Z';

        if (space) {
            count += run_words(&r, s, at, &w);
            r = (struct run){.begin = at + (size_t)len, .easy = true};
        } else {
            run_char(&r, cp);
        }
        at += len ? (size_t)len : 1;
    }
    count += run_words(&r, s, n, &w);
    buf_free(&w);
    return count;
}

/* Runs of letters and digits of ASCII that begin in from..to-1. */
static size_t count_starts(const struct kinds *t, size_t from, size_t to)
{
    size_t n = 0;

    for (size_t b = from / 64; 64 * b < to; b++) {
        uint64_t m = t->word[b] & ~(t->word[b] << 1 | (b ? t->word[b - 1] >> 63 : 0));

        m &= 64 * b < from ? ~0ull << from % 64 : ~0ull;
        m &= to - 64 * b < 64 ? ~(~0ull << to % 64) : ~0ull;
        n += kinds_ones(m);
    }
    return n;
}

/* What stands between spaces. */
static size_t count_spans(const struct kinds *t)
{
    size_t n = 0;
    uint64_t space = 1; // before the block

    for (size_t b = 0; b < t->blocks; b++) {
        n += kinds_ones(~t->space[b] & (t->space[b] << 1 | space));
        space = t->space[b] >> 63;
    }
    return n;
}

/* Of what stands between spaces, all that has a character which is a word counts by its words; the
 * rest, which is little, is one each. */
int words_count_of(const struct kinds *t, struct runs *spans)
{
    size_t count = t->n_hangul + t->n_han;

    if (!t->easy || t->control)
        return words_count(t->s, t->n);
    if (t->ascii)
        return (int)count_spans(t);
    count += count_starts(t, 0, t->n);
    runs_spans(spans, t);
    for (size_t k = 0; k < spans->n; k++)
        if ((unsigned char)t->s[spans->begin[k]] < 0x80 &&
            !kinds_any(t->single, spans->begin[k], spans->end[k]))
            count += 1 - count_starts(t, spans->begin[k], spans->end[k]);
    return (int)count;
}

bool words_hold(const struct buf *text, const struct buf *phrase)
{
    return phrase->n > 1 && text->n && memmem(text->p, text->n, phrase->p, phrase->n);
}

char words_class(const char *s, size_t n)
{
    uint32_t cp;

    return utf8_get(s, n, &cp) ? class_of(cp) : 0;
}
