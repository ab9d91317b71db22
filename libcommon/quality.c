/* quality.c - measures of running text: the rules of Gopher, C4 and FineWeb. */
#include "quality.h"

#include "buf.h"
#include "c4.h"
#include "hash.h"
#include "mem.h"
#include "parts.h"
#include "repeat.h"
#include "runs.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

// clang-format off
const struct quality_rule quality_rules[QUALITY_N] = {
    {"gopher-min-words", "gopher-quality", true, 50, "drop texts with fewer words"},
    {"gopher-max-words", "gopher-quality", false, 100000, "drop texts with more words"},
    {"gopher-min-mean", "gopher-quality", true, 3, "drop texts whose mean word is shorter, in characters"},
    {"gopher-max-mean", "gopher-quality", false, 10, "drop texts whose mean word is longer"},
    {"gopher-hashes", "gopher-quality", false, 0.1, "drop texts with more '#' a word"},
    {"gopher-ellipses", "gopher-quality", false, 0.1, "drop texts with more ellipses a word"},
    {"gopher-bullets", "gopher-quality", false, 0.9, "drop texts with a larger share of lines that begin with a bullet"},
    {"gopher-end-ellipses", "gopher-quality", false, 0.3, "drop texts with a larger share of lines that end in an ellipsis"},
    {"gopher-letters", "gopher-quality", true, 0.8, "drop texts with a smaller share of words that have a letter"},
    {"gopher-stop-words", "gopher-quality", true, 2, "drop texts with fewer of: the be to of and that have with"},
    {"gopher-dup-paras", "gopher-repetition", false, 0.3, "drop texts with a larger share of repeated paragraphs"},
    {"gopher-dup-para-chars", "gopher-repetition", false, 0.2, "drop texts with a larger share of characters in them"},
    {"gopher-dup-lines", "gopher-repetition", false, 0.3, "drop texts with a larger share of repeated lines"},
    {"gopher-dup-line-chars", "gopher-repetition", false, 0.2, "drop texts with a larger share of characters in them"},
    {"gopher-top-2-gram", "gopher-repetition", false, 0.20, "drop texts with more of their characters in the most frequent pair of words"},
    {"gopher-top-3-gram", "gopher-repetition", false, 0.18, "the same for runs of 3 words"},
    {"gopher-top-4-gram", "gopher-repetition", false, 0.16, "the same for runs of 4 words"},
    {"gopher-dup-5-grams", "gopher-repetition", false, 0.15, "drop texts with more of their characters in runs of 5 words that stood before"},
    {"gopher-dup-6-grams", "gopher-repetition", false, 0.14, "the same for runs of 6 words"},
    {"gopher-dup-7-grams", "gopher-repetition", false, 0.13, "the same for runs of 7 words"},
    {"gopher-dup-8-grams", "gopher-repetition", false, 0.12, "the same for runs of 8 words"},
    {"gopher-dup-9-grams", "gopher-repetition", false, 0.11, "the same for runs of 9 words"},
    {"gopher-dup-10-grams", "gopher-repetition", false, 0.10, "the same for runs of 10 words"},
    {"c4-sentences", "c4", true, 5, "drop texts with fewer sentences in the lines that C4 keeps"},
    {"c4-lorem", "c4", false, 0, "drop texts with more such lines that hold 'lorem ipsum'"},
    {"c4-curly", "c4", false, 0, "drop texts with more such lines that hold '{'"},
    {"fineweb-line-ends", "fineweb", true, 0.12, "drop texts with a smaller share of lines that end a sentence"},
    {"fineweb-short-lines", "fineweb", false, 0.67, "drop texts with a larger share of lines of at most 30 characters"},
    {"fineweb-dup-chars", "fineweb", false, 0.01, "drop texts with a larger share of characters in repeated lines"},
    {"fineweb-newlines", "fineweb", false, 0.3, "drop texts with more newlines a word"},
};

/* the be to of and that have with, each at the place that stop_bit finds it by. */
static const char stop_words[8][5] = {"be", "that", "the", "of", "with", "to", "have", "and"};

/* Unicode's Sentence_Terminal, the characters of the basic plane. */
static const uint16_t terminals[][2] = {
    {0x0021, 0x0021}, {0x002E, 0x002E}, {0x003F, 0x003F}, {0x0589, 0x0589}, {0x061D, 0x061F},
    {0x06D4, 0x06D4}, {0x0700, 0x0702}, {0x07F9, 0x07F9}, {0x0837, 0x0839}, {0x083D, 0x083E},
    {0x0964, 0x0965}, {0x104A, 0x104B}, {0x1362, 0x1362}, {0x1367, 0x1368}, {0x166E, 0x166E},
    {0x1735, 0x1736}, {0x17D4, 0x17D6}, {0x1803, 0x1803}, {0x1809, 0x1809}, {0x1944, 0x1945},
    {0x1AA8, 0x1AAB}, {0x1B5A, 0x1B5B}, {0x1B5E, 0x1B5F}, {0x1C3B, 0x1C3C}, {0x1C7E, 0x1C7F},
    {0x203C, 0x203D}, {0x2047, 0x2049}, {0x2E2E, 0x2E2E}, {0x2E3C, 0x2E3C}, {0x3002, 0x3002},
    {0xA4FF, 0xA4FF}, {0xA60E, 0xA60F}, {0xA6F3, 0xA6F3}, {0xA6F7, 0xA6F7}, {0xA876, 0xA877},
    {0xA8CE, 0xA8CF}, {0xA92F, 0xA92F}, {0xA9C8, 0xA9C9}, {0xAA5D, 0xAA5F}, {0xAAF0, 0xAAF1},
    {0xABEB, 0xABEB}, {0xFE52, 0xFE52}, {0xFE56, 0xFE57}, {0xFF01, 0xFF01}, {0xFF0E, 0xFF0E},
    {0xFF1F, 0xFF1F}, {0xFF61, 0xFF61}};
/* With those, with ASCII's punctuation and with the controls: what makes no word by itself. */
static const uint16_t marks[] = {
    0x00AB, 0x00B4, 0x00BB, 0x2013, 0x2014, 0x2019, 0x201C, 0x201D, 0x201E, 0x2026,
    0x2236, 0x2501, 0x25BA, 0x3001, 0x3008, 0x3009, 0x300A, 0x300B, 0x300C, 0x300D,
    0x3010, 0x3011, 0xFF05, 0xFF08, 0xFF09, 0xFF0C, 0xFF11, 0xFF1A, 0xFF1B, 0xFF5E};
// clang-format on

enum { SHORT_LINE = 30, FEW = 16 }; // characters; lines

struct quality {
    const struct scan *t; // the text at hand
    const char *s;        // (n) of it
    size_t n;
    double v[QUALITY_N];
    bool has_words, has_ends, has_lines, has_parts, has_grams, has_c4, has_fineweb;
    size_t n_chars;
    struct repeat_words words;
    struct repeat repeat;
    struct repeat_grams grams;
    struct parts lines, ends; // scratch; the lines at every kind of line end
    struct runs spans;
    uint64_t mark[128]; // hashes of single characters of ASCII
    struct buf text;
};

struct quality *quality_open(void)
{
    struct quality *q = mem_zero(1, sizeof(*q));

    for (int i = 0; i < 128; i++) {
        char c = (char)i;

        q->mark[i] = hash_word(&c, 1, 1, 0);
    }
    return q;
}

void quality_close(struct quality *q)
{
    if (!q)
        return;
    repeat_words_free(&q->words);
    repeat_free(&q->repeat);
    repeat_grams_free(&q->grams);
    parts_free(&q->lines);
    parts_free(&q->ends);
    runs_free(&q->spans);
    buf_free(&q->text);
    free(q);
}

void quality_text(struct quality *q, const struct scan *text)
{
    q->t = text;
    q->s = text->s;
    q->n = text->n;
    q->has_words = q->has_ends = q->has_lines = q->has_parts = q->has_grams = q->has_c4 =
        q->has_fineweb = false;
    q->n_chars = text->ascii ? q->n : scan_chars(q->s, q->n);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* ---- words ---- */

/* The letters of the largest scripts that are not Latin. */
static inline bool is_common(uint32_t cp)
{
    return (cp >= 0xAC00 && cp <= 0xD7A3) || (cp >= 0x4E00 && cp <= 0x9FA5);
}

/* Is one of them there? A look at the bytes that tells most. */
static inline bool is_common_at(const char *s, size_t n)
{
    unsigned char a = (unsigned char)*s, b = n >= 3 ? (unsigned char)s[1] : 0;

    return ((a >= 0xE5 && a <= 0xE8) || a == 0xEB || a == 0xEC || (a == 0xEA && b >= 0xB0)) &&
           (b & 0xC0) == 0x80 && ((unsigned char)s[2] & 0xC0) == 0x80;
}

static bool is_punct(uint32_t cp)
{
    if (is_common(cp))
        return false;
    if (cp < 0x80)
        return cp < 33 || cp == 127 ||
               !((cp >= '0' && cp <= '9') || ((cp | 32) >= 'a' && (cp | 32) <= 'z'));
    const char *c = utf8proc_category_string((utf8proc_int32_t)cp);
    return *c == 'P' || (c[0] == 'C' && c[1] == 'c');
}

static bool is_terminal(uint32_t cp)
{
    for (size_t i = 0; i < sizeof(terminals) / sizeof(*terminals) && cp >= terminals[i][0]; i++)
        if (cp <= terminals[i][1])
            return true;
    return false;
}

static bool is_mark(uint32_t cp)
{
    if (is_common(cp))
        return false;
    if (cp < 0xA0)
        return cp < 0x80 ? is_punct(cp) : true;
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks) && cp >= marks[i]; i++)
        if (cp == marks[i])
            return true;
    return is_terminal(cp);
}

static bool is_letter(uint32_t cp)
{
    if (is_common(cp))
        return true;
    if (cp < 0x80)
        return (cp | 32) >= 'a' && (cp | 32) <= 'z';
    return *utf8proc_category_string((utf8proc_int32_t)cp) == 'L';
}

struct counts {
    size_t solid, solid_chars, lettered;
    unsigned stops; // bits
};

/* Four bytes as a number, the first the least. */
static inline uint32_t least_first(uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(v);
#else
    return v;
#endif
}

/* The stop word that n bytes are, of which `room` can be read, as a bit, or 0. */
static inline unsigned stop_bit(const char *p, size_t n, size_t room)
{
    static const uint32_t bits[8] = {0, 0, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF};
    uint32_t v = 0, w, i;

    if (room >= 4)
        memcpy(&v, p, 4);
    else
        memcpy(&v, p, n);
    v = least_first(v) & bits[n < 5 ? n : 5]; // 0 is none of them
    i = v * 0x6EC9D287u >> 29;
    memcpy(&w, stop_words[i], 4);
    return (unsigned)(v == least_first(w)) << i;
}

static void add_word(struct quality *q, struct counts *c, const char *p, size_t n)
{
    bool solid = false, letter = false;
    size_t chars = 0;
    uint32_t cp;

    for (size_t i = 0; i < n; chars++) {
        if (is_common_at(p + i, n - i)) {
            solid = letter = true;
            i += 3;
            continue;
        }
        i += (size_t)parts_char(p + i, n - i, &cp);
        solid = solid || !is_mark(cp);
        letter = letter || is_letter(cp);
    }
    repeat_words_add(&q->words, hash_word(p, n, q->n - (size_t)(p - q->s), 0), chars);
    c->solid += solid;
    c->solid_chars += solid ? chars : 0;
    c->lettered += letter;
    c->stops |= stop_bit(p, n, q->n - (size_t)(p - q->s));
}

/* Is there a letter in a word of ASCII? */
static inline bool has_letter(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && !is_letter((unsigned char)p[i]))
        i++;
    return i < n;
}

/* Bytes of the punctuation at the front of s[0..n) that make one word: a run of full stops or
 * one character; 0 when there is none. */
static size_t front(const char *s, size_t n)
{
    uint32_t cp;
    size_t k = 0;
    int len;

    if (is_common_at(s, n))
        return 0;
    len = parts_char(s, n, &cp);
    if (!is_punct(cp))
        return 0;
    while (k < n && s[k] == '.')
        k++;
    return k ? k : (size_t)len;
}

/* The same at the end. */
static size_t back(const char *s, size_t n)
{
    size_t k = 0, len = 1;
    uint32_t cp;

    if (n >= 3 && is_common_at(s + n - 3, 3))
        return 0;
    while (len < n && ((unsigned char)s[n - len] & 0xC0) == 0x80)
        len++;
    parts_char(s + n - len, len, &cp);
    if (!is_punct(cp))
        return 0;
    while (k < n && s[n - 1 - k] == '.')
        k++;
    return k ? k : len;
}

/* What stands between two spaces, as words. */
static void add_chunk(struct quality *q, struct counts *c, const char *p, size_t n)
{
    size_t k, end;

    while (n && (k = front(p, n))) {
        add_word(q, c, p, k);
        p += k;
        n -= k;
    }
    for (end = n; end && (k = back(p, end));)
        end -= k;
    if (end)
        add_word(q, c, p, end);
    for (p += end, n -= end; n; p += k, n -= k) {
        k = front(p, n);
        k = k ? k : n; // bytes that are no UTF-8
        add_word(q, c, p, k);
    }
}

static bool is_in(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

/* A chunk with characters beyond ASCII, of which some may be spaces: these begin with C2, E1, E2 or
 * E3, as no other character goes on. */
static void add_wide(struct quality *q, struct counts *c, size_t start, size_t end)
{
    for (size_t at = start; at < end; at++) {
        unsigned char b = (unsigned char)q->s[at];
        uint32_t cp;
        size_t len;

        if (b != 0xC2 && (b < 0xE1 || b > 0xE3))
            continue;
        len = (size_t)parts_char(q->s + at, end - at, &cp);
        if (!parts_is_space(cp))
            continue;
        if (at > start)
            add_chunk(q, c, q->s + start, at - start);
        start = at + len;
        at = start - 1;
    }
    if (end > start)
        add_chunk(q, c, q->s + start, end - start);
}

/* What stands between two spaces of ASCII and is no word with at most one mark behind it. */
static void add_span(struct quality *q, struct counts *c, size_t begin, size_t end)
{
    if (!q->t->ascii && scan_any(q->t->high, begin, end))
        add_wide(q, c, begin, end);
    else
        add_chunk(q, c, q->s + begin, end - begin);
}

/* "word" and "word,", which most are: without a branch that could be guessed wrong. */
static void add_spans(struct quality *q, struct counts *c)
{
    const uint64_t *word = q->t->word;

    runs_spans(&q->spans, q->t);
    for (size_t k = 0; k < q->spans.n; k++) {
        size_t begin = q->spans.begin[k], end = q->spans.end[k], mark, room = q->n - begin;
        unsigned char last = (unsigned char)q->s[end - 1];

        mark = !is_in(word, end - 1);
        if (!is_in(word, begin) || !is_in(word, end - 1 - mark) || last >= 0x80 ||
            (!q->t->ascii && scan_any(q->t->high, begin, end))) {
            add_span(q, c, begin, end);
            continue;
        }
        end -= mark;
        c->lettered += has_letter(q->s + begin, end - begin);
        c->solid++;
        c->solid_chars += end - begin;
        c->stops |= stop_bit(q->s + begin, end - begin, room);
        repeat_words_two(&q->words, hash_word(q->s + begin, end - begin, room, 0), end - begin,
                         q->mark[last & 0x7F], mark);
    }
}

static void look_words(struct quality *q)
{
    struct counts c = {0};
    double words;

    repeat_words_clear(&q->words);
    add_spans(q, &c);
    words = (double)q->words.n;
    q->v[QUALITY_MIN_WORDS] = q->v[QUALITY_MAX_WORDS] = (double)c.solid;
    q->v[QUALITY_MIN_MEAN] = q->v[QUALITY_MAX_MEAN] =
        c.solid ? (double)c.solid_chars / (double)c.solid : NAN;
    q->v[QUALITY_HASHES] = ratio((double)scan_count(q->s, q->n, '#'), words);
    q->v[QUALITY_ELLIPSES] = ratio(
        (double)(parts_count(q->s, q->n, "...") + (q->t->ascii ? 0 : parts_count(q->s, q->n, "…"))),
        words);
    q->v[QUALITY_LETTERS] = ratio((double)c.lettered, words);
    q->v[QUALITY_STOP_WORDS] = (double)__builtin_popcount(c.stops);
    q->has_words = true;
}

/* ---- lines ---- */

static void split_lines(struct quality *q)
{
    if (!q->has_ends)
        parts_lines(&q->ends, q->t);
    q->has_ends = true;
}

static void look_lines(struct quality *q)
{
    size_t bullets = 0, ellipses = 0;

    split_lines(q);
    for (size_t i = 0; i < q->ends.n; i++) {
        struct part x = parts_strip(q->ends.v[i]);

        bullets += parts_begin(x, "•") || parts_begin(x, "-");
        ellipses += parts_end(x, "...") || parts_end(x, "…");
    }
    q->v[QUALITY_BULLETS] = ratio((double)bullets, (double)q->ends.n);
    q->v[QUALITY_END_ELLIPSES] = ratio((double)ellipses, (double)q->ends.n);
    q->has_lines = true;
}

/* ---- what is repeated ---- */

/* Do a look at their lengths, beginnings and ends show that no line is another's copy? */
static bool all_differ(const struct quality *q)
{
    uint64_t key[FEW];

    if (q->lines.n > FEW)
        return false;
    for (size_t i = 0; i < q->lines.n; i++) {
        const char *p = q->lines.v[i].p;
        size_t n = q->lines.v[i].n;

        key[i] = n;
        if (n >= 8) {
            uint64_t a, b;

            memcpy(&a, p, 8);
            memcpy(&b, p + n - 8, 8);
            key[i] = hash_fold(a ^ n, b ^ 0x9E3779B97F4A7C15u);
        }
        for (size_t k = 0; k < i; k++)
            if (key[k] == key[i])
                return false;
    }
    return true;
}

/* Lines that stood before: their number and their characters. */
static void repeated(struct quality *q, double *number, double *chars)
{
    *number = *chars = 0;
    if (all_differ(q))
        return;
    repeat_clear(&q->repeat, q->lines.n);
    for (size_t i = 0; i < q->lines.n; i++)
        if (repeat_add(&q->repeat, hash_bytes(q->lines.v[i].p, q->lines.v[i].n).lo, 0)) {
            *number += 1;
            *chars += (double)scan_chars(q->lines.v[i].p, q->lines.v[i].n);
        }
}

static void look_parts(struct quality *q)
{
    struct part all = parts_strip((struct part){q->s, q->n});
    double number, chars;

    parts_split(&q->lines, all.p, all.n, 2);
    repeated(q, &number, &chars);
    q->v[QUALITY_DUP_PARAS] = ratio(number, (double)q->lines.n);
    q->v[QUALITY_DUP_PARA_CHARS] = ratio(chars, (double)q->n_chars);
    parts_split(&q->lines, q->s, q->n, 1);
    repeated(q, &number, &chars);
    q->v[QUALITY_DUP_LINES] = ratio(number, (double)q->lines.n);
    q->v[QUALITY_DUP_LINE_CHARS] = ratio(chars, (double)q->n_chars);
    q->has_parts = true;
}

static void look_grams(struct quality *q)
{
    repeat_grams_begin(&q->grams, &q->words);
    for (size_t run = 2; run <= 10; run++) {
        size_t top = repeat_top(&q->grams, &q->words), chars = top;

        if (run >= 5)
            chars = repeat_runs(&q->grams, &q->words);
        q->v[run < 5 ? QUALITY_TOP_2_GRAM + run - 2 : QUALITY_DUP_5_GRAMS + run - 5] =
            ratio((double)chars, (double)q->n_chars);
    }
    q->has_grams = true;
}

/* ---- C4 ---- */

static void look_c4(struct quality *q)
{
    struct c4 x;

    split_lines(q);
    x = c4_count(&q->ends, &q->text);
    q->v[QUALITY_C4_SENTENCES] = (double)x.sentences;
    q->v[QUALITY_C4_LOREM] = (double)x.lorem;
    q->v[QUALITY_C4_CURLY] = (double)x.curly;
    q->has_c4 = true;
}

/* ---- FineWeb ---- */

static bool ends_sentence(struct part x)
{
    size_t len = 1;
    uint32_t cp;

    while (len < x.n && ((unsigned char)x.p[x.n - len] & 0xC0) == 0x80)
        len++;
    parts_char(x.p + x.n - len, len, &cp);
    return is_terminal(cp);
}

static void look_fineweb(struct quality *q)
{
    size_t out = 0, ended = 0, brief = 0, newlines = scan_count(q->s, q->n, '\n');
    double number, chars;

    parts_split(&q->lines, q->s, q->n, 1);
    for (size_t i = 0; i < q->lines.n; i++) {
        if (!parts_strip(q->lines.v[i]).n)
            continue;
        ended += ends_sentence(q->lines.v[i]);
        brief += scan_chars(q->lines.v[i].p, q->lines.v[i].n) <= SHORT_LINE;
        q->lines.v[out++] = q->lines.v[i];
    }
    q->lines.n = out;
    repeated(q, &number, &chars);
    q->v[QUALITY_LINE_ENDS] = ratio((double)ended, (double)out);
    q->v[QUALITY_SHORT_LINES] = ratio((double)brief, (double)out);
    q->v[QUALITY_DUP_CHARS] = ratio(chars, (double)(q->n_chars - newlines));
    q->v[QUALITY_NEWLINES] = ratio((double)newlines, (double)q->words.n);
    q->has_fineweb = true;
}

double quality_value(struct quality *q, enum quality_id id)
{
    bool words = id <= QUALITY_ELLIPSES || id == QUALITY_LETTERS || id == QUALITY_STOP_WORDS;
    bool grams = id >= QUALITY_TOP_2_GRAM && id <= QUALITY_DUP_10_GRAMS;

    if ((words || grams || id >= QUALITY_LINE_ENDS) && !q->has_words)
        look_words(q);
    if ((id == QUALITY_BULLETS || id == QUALITY_END_ELLIPSES) && !q->has_lines)
        look_lines(q);
    if (id >= QUALITY_DUP_PARAS && id <= QUALITY_DUP_LINE_CHARS && !q->has_parts)
        look_parts(q);
    if (grams && !q->has_grams)
        look_grams(q);
    if (id >= QUALITY_C4_SENTENCES && id <= QUALITY_C4_CURLY && !q->has_c4)
        look_c4(q);
    if (id >= QUALITY_LINE_ENDS && !q->has_fineweb)
        look_fineweb(q);
    return q->v[id];
}
