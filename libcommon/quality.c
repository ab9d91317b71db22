/* quality.c - measures of running text: the rules of Gopher, C4 and FineWeb. */
#include "quality.h"

#include "buf.h"
#include "c4.h"
#include "chunks.h"
#include "hash.h"
#include "mem.h"
#include "parts.h"
#include "repeat.h"
#include "scan.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

// clang-format on

enum { SHORT_LINE = 30, FEW = 16 }; // characters; lines

struct quality {
    struct look *look; // the text at hand
    const struct kinds *t;
    const char *s; // (n) of it
    size_t n;
    double v[QUALITY_N];
    size_t most[REPEAT_LENGTHS]; // characters of which v[QUALITY_TOP_2_GRAM ..] are no more
    unsigned have;               // groups of measures, a bit each
    unsigned grams_have;         // of runs of so many words, a bit each
    unsigned char group[QUALITY_N];
    bool has_ends, has_rows;
    bool rows_differ; // all of them
    size_t n_chars;
    struct chunks chunks;
    struct repeat repeat;
    struct repeat_grams grams;
    struct parts lines;      // scratch
    struct parts ends, rows; // lines at every kind of line end; at runs of newlines
    struct c4_desk c4;
};

void quality_close(struct quality *q)
{
    if (!q)
        return;
    chunks_free(&q->chunks);
    repeat_free(&q->repeat);
    repeat_grams_free(&q->grams);
    parts_free(&q->lines);
    parts_free(&q->ends);
    parts_free(&q->rows);
    c4_close(&q->c4);
    free(q);
}

void quality_text(struct quality *q, struct look *text)
{
    q->look = text;
    q->t = look_kinds(text);
    q->s = text->s;
    q->n = text->n;
    q->have = 0;
    q->has_ends = q->has_rows = false;
    q->n_chars = look_chars(text);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* ---- words ---- */

static void measure_words(struct quality *q)
{
    struct chunks *c = &q->chunks;
    size_t hashes = q->t->sign ? scan_count(q->s, q->n, '#') : 0;
    size_t ellipses = q->t->easy ? 0 : parts_count(q->s, q->n, "…");
    double words;

    chunks_read(c, q->t, look_words(q->look));
    words = (double)c->words.n;
    q->v[QUALITY_MIN_WORDS] = q->v[QUALITY_MAX_WORDS] = (double)c->solid;
    q->v[QUALITY_MIN_MEAN] = q->v[QUALITY_MAX_MEAN] =
        c->solid ? (double)c->solid_chars / (double)c->solid : NAN;
    q->v[QUALITY_HASHES] = ratio((double)hashes, words);
    ellipses += kinds_three(q->t->stop, q->t->blocks) ? parts_count(q->s, q->n, "...") : 0;
    q->v[QUALITY_ELLIPSES] = ratio((double)ellipses, words);
    q->v[QUALITY_LETTERS] = ratio((double)c->lettered, words);
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
}

/* ---- what is repeated ---- */

/* Do a look at their lengths, beginnings and ends show that no line is another's copy? */
static bool all_differ(const struct parts *lines)
{
    uint64_t key[FEW];

    if (lines->n > FEW)
        return false;
    for (size_t i = 0; i < lines->n; i++) {
        const char *p = lines->v[i].p;
        size_t n = lines->v[i].n;

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
static void repeated(struct quality *q, const struct parts *lines, double *number, double *chars)
{
    *number = *chars = 0;
    repeat_clear(&q->repeat, lines->n);
    for (size_t i = 0; i < lines->n; i++)
        if (repeat_add(&q->repeat, hash_bytes(lines->v[i].p, lines->v[i].n).lo, 0)) {
            *number += 1;
            *chars += (double)scan_chars(lines->v[i].p, lines->v[i].n);
        }
}

static void split_rows(struct quality *q)
{
    if (!q->has_rows) {
        parts_split(&q->rows, q->t, (struct part){q->s, q->n}, 1);
        q->rows_differ = all_differ(&q->rows);
    }
    q->has_rows = true;
}

static void look_parts(struct quality *q)
{
    struct part all = parts_strip((struct part){q->s, q->n});
    double number = 0, chars = 0;

    split_rows(q);
    parts_split(&q->lines, q->t, all, 2);
    if (!q->rows_differ || all.n != q->n) // paragraphs that are alike begin with rows that are
        repeated(q, &q->lines, &number, &chars);
    q->v[QUALITY_DUP_PARAS] = ratio(number, (double)q->lines.n);
    q->v[QUALITY_DUP_PARA_CHARS] = ratio(chars, (double)q->n_chars);
    number = chars = 0;
    if (!q->rows_differ)
        repeated(q, &q->rows, &number, &chars);
    q->v[QUALITY_DUP_LINES] = ratio(number, (double)q->rows.n);
    q->v[QUALITY_DUP_LINE_CHARS] = ratio(chars, (double)q->n_chars);
}

/* What bounds tell of runs of words; each measure of them is found by itself. */
static void look_grams(struct quality *q)
{
    repeat_grams_begin(&q->grams, &q->chunks.words);
    repeat_grams_bound(&q->grams, &q->chunks.words, q->most);
    q->grams_have = 0;
}

static void find_gram(struct quality *q, enum quality_id id)
{
    size_t run = 2 + (size_t)(id - QUALITY_TOP_2_GRAM), chars;

    if (q->grams_have >> run & 1)
        return;
    chars = repeat_top(&q->grams, &q->chunks.words, run);
    if (run >= REPEAT_LONG)
        chars = repeat_runs(&q->grams, &q->chunks.words);
    q->v[id] = ratio((double)chars, (double)q->n_chars);
    q->grams_have |= 1u << run;
}

/* ---- C4 ---- */

static void look_c4(struct quality *q)
{
    struct c4 x;

    split_lines(q);
    x = c4_count(&q->c4, q->t, &q->ends);
    q->v[QUALITY_C4_SENTENCES] = (double)x.sentences;
    q->v[QUALITY_C4_LOREM] = (double)x.lorem;
    q->v[QUALITY_C4_CURLY] = (double)x.curly;
}

/* ---- FineWeb ---- */

static bool ends_sentence(struct part x)
{
    unsigned char last = (unsigned char)x.p[x.n - 1];
    size_t len = 1;
    uint32_t cp;

    if (last < 0x80)
        return last == '.' || last == '!' || last == '?';
    while (len < x.n && ((unsigned char)x.p[x.n - len] & 0xC0) == 0x80)
        len++;
    parts_char(x.p + x.n - len, len, &cp);
    return chunks_is_terminal(cp);
}

static void look_fineweb(struct quality *q)
{
    size_t out = 0, ended = 0, brief = 0, newlines = kinds_count(q->t->newline, 0, q->n);
    double number = 0, chars = 0;

    split_rows(q);
    parts_room(&q->lines, q->rows.n);
    for (size_t i = 0; i < q->rows.n; i++) {
        struct part x = q->rows.v[i];

        if (!parts_strip(x).n)
            continue;
        ended += ends_sentence(x);
        brief += x.n <= 4 * SHORT_LINE && scan_chars(x.p, x.n) <= SHORT_LINE;
        q->lines.v[out++] = x;
    }
    q->lines.n = out;
    if (!q->rows_differ)
        repeated(q, &q->lines, &number, &chars);
    q->v[QUALITY_LINE_ENDS] = ratio((double)ended, (double)out);
    q->v[QUALITY_SHORT_LINES] = ratio((double)brief, (double)out);
    q->v[QUALITY_DUP_CHARS] = ratio(chars, (double)(q->n_chars - newlines));
    q->v[QUALITY_NEWLINES] = ratio((double)newlines, (double)q->chunks.words.n);
}

/* Measures that are found together. */
enum group { WORDS, LINES, PARTS, GRAMS, C4, FINEWEB };

static enum group group_of(int id)
{
    return id <= QUALITY_ELLIPSES         ? WORDS
           : id <= QUALITY_END_ELLIPSES   ? LINES
           : id <= QUALITY_STOP_WORDS     ? WORDS
           : id <= QUALITY_DUP_LINE_CHARS ? PARTS
           : id <= QUALITY_DUP_10_GRAMS   ? GRAMS
           : id <= QUALITY_C4_CURLY       ? C4
                                          : FINEWEB;
}

static void measure(struct quality *q, enum group g)
{
    static void (*const how[])(struct quality * q) = {measure_words, look_lines, look_parts,
                                                      look_grams,    look_c4,    look_fineweb};

    if ((g == GRAMS || g == FINEWEB) && !(q->have & 1u << WORDS))
        measure(q, WORDS);
    how[g](q);
    q->have |= 1u << g;
}

/* With its group. */
static void find_value(struct quality *q, enum quality_id id)
{
    enum group g = q->group[id];

    if (!(q->have >> g & 1))
        measure(q, g);
    if (g == GRAMS)
        find_gram(q, id);
}

/* Can the measure be seen not to be more without being found? */
static bool is_within(struct quality *q, enum quality_id id, double limit)
{
    size_t most;

    if (q->group[id] != GRAMS)
        return false;
    if (!(q->have >> GRAMS & 1))
        measure(q, GRAMS);
    most = q->most[id - QUALITY_TOP_2_GRAM];
    return most ? ratio((double)most, (double)q->n_chars) <= limit : limit >= 0;
}

double quality_value(struct quality *q, enum quality_id id)
{
    find_value(q, id);
    if (id == QUALITY_STOP_WORDS)
        q->v[id] = (double)chunks_stops(&q->chunks, SIZE_MAX);
    return q->v[id];
}

int quality_beyond(struct quality *q, const struct quality_limit *x, int n)
{
    for (int i = 0; i < n; i++) {
        enum quality_id id = x[i].id;
        double limit = x[i].limit, value;

        if (is_within(q, id, limit))
            continue;
        find_value(q, id);
        value = q->v[id];
        if (id == QUALITY_STOP_WORDS) { // most texts begin with some
            size_t enough = limit < 8 ? (size_t)ceil(limit) : 9;

            value = limit > 0 ? (double)chunks_stops(&q->chunks, enough) : 0;
        }
        if (quality_rules[id].least ? value < limit : value > limit)
            return i;
    }
    return n;
}

struct quality *quality_open(void)
{
    struct quality *q = mem_zero(1, sizeof(*q));

    for (int i = 0; i < QUALITY_N; i++)
        q->group[i] = (unsigned char)group_of(i);
    c4_open(&q->c4);
    return q;
}
