/* chunks.c - a text's words as its quality is measured by. */
#include "chunks.h"

#include "hash.h"
#include "hash_words.h"
#include "mem.h"
#include "parts.h"
#include "vec.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

// clang-format off
/* Gopher's. */
static const char stop_words[8][5] = {"be", "that", "the", "of", "with", "to", "have", "and"};

/* What ends a sentence in any script, as datatrove has it: Unicode's Sentence_Terminal, nearly. */
static const uint32_t terminals[][2] = {
    {0x0021, 0x0021}, {0x002E, 0x002E}, {0x003F, 0x003F}, {0x0589, 0x0589}, {0x061D, 0x061F},
    {0x06D4, 0x06D4}, {0x0700, 0x0702}, {0x07F9, 0x07F9}, {0x0837, 0x0837}, {0x0839, 0x0839},
    {0x083D, 0x083E}, {0x0964, 0x0965}, {0x104A, 0x104B}, {0x1362, 0x1362}, {0x1367, 0x1368},
    {0x166E, 0x166E}, {0x1735, 0x1736}, {0x17D4, 0x17D6}, {0x17D9, 0x17DA}, {0x1803, 0x1803},
    {0x1809, 0x1809}, {0x1944, 0x1945}, {0x1AA8, 0x1AAB}, {0x1B5A, 0x1B5B}, {0x1B5E, 0x1B5F},
    {0x1B7D, 0x1B7E}, {0x1C3B, 0x1C3C}, {0x1C7E, 0x1C7F}, {0x203C, 0x203D}, {0x2047, 0x2049},
    {0x2E2E, 0x2E2E}, {0x2E3C, 0x2E3C}, {0x2E53, 0x2E54}, {0x3002, 0x3002}, {0xA4FF, 0xA4FF},
    {0xA60E, 0xA60F}, {0xA6F3, 0xA6F3}, {0xA6F7, 0xA6F7}, {0xA876, 0xA877}, {0xA8CE, 0xA8CF},
    {0xA92F, 0xA92F}, {0xA9C8, 0xA9C9}, {0xAA5D, 0xAA5F}, {0xAAF0, 0xAAF1}, {0xABEB, 0xABEB},
    {0xFE52, 0xFE52}, {0xFE56, 0xFE57}, {0xFF01, 0xFF01}, {0xFF0E, 0xFF0E}, {0xFF1F, 0xFF1F},
    {0xFF61, 0xFF61}, {0x10A56, 0x10A57}, {0x10F55, 0x10F59}, {0x10F86, 0x10F89},
    {0x11047, 0x11048}, {0x110BE, 0x110C1}, {0x11141, 0x11143}, {0x111C5, 0x111C6},
    {0x111CD, 0x111CD}, {0x111DE, 0x111DF}, {0x11238, 0x11239}, {0x1123B, 0x1123C},
    {0x112A9, 0x112A9}, {0x1144B, 0x1144C}, {0x115C2, 0x115C3}, {0x115C9, 0x115D7},
    {0x11641, 0x11642}, {0x1173C, 0x1173E}, {0x11944, 0x11944}, {0x11946, 0x11946},
    {0x11A42, 0x11A43}, {0x11A9B, 0x11A9C}, {0x11C41, 0x11C42}, {0x11EF7, 0x11EF8},
    {0x11F43, 0x11F44}, {0x16A6E, 0x16A6F}, {0x16AF5, 0x16AF5}, {0x16B37, 0x16B38},
    {0x16B44, 0x16B44}, {0x16E98, 0x16E98}, {0x1BC9F, 0x1BC9F}, {0x1DA88, 0x1DA88}};
/* With those, with ASCII's punctuation and with the controls: what makes no word by itself. */
static const uint16_t marks[] = {
    0x00AB, 0x00B4, 0x00BB, 0x2013, 0x2014, 0x2019, 0x201C, 0x201D, 0x201E, 0x2026,
    0x2236, 0x2501, 0x25BA, 0x3001, 0x3008, 0x3009, 0x300A, 0x300B, 0x300C, 0x300D,
    0x3010, 0x3011, 0xFF05, 0xFF08, 0xFF09, 0xFF0C, 0xFF11, 0xFF1A, 0xFF1B, 0xFF5E};
// clang-format on

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

static inline bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
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

bool chunks_is_terminal(uint32_t cp)
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
    return chunks_is_terminal(cp);
}

static bool is_letter(uint32_t cp)
{
    if (is_common(cp))
        return true;
    if (cp < 0x80)
        return (cp | 32) >= 'a' && (cp | 32) <= 'z';
    return *utf8proc_category_string((utf8proc_int32_t)cp) == 'L';
}

static inline size_t stop_place(const struct chunks *c, uint64_t hash)
{
    return hash >> c->shift & 31;
}

static void add_word(struct chunks *c, const char *p, size_t n)
{
    size_t at = (size_t)(p - c->t->s), chars = 0, i = 0;
    bool solid = false, letter = false;
    uint64_t hash;
    uint32_t cp;

    if (c->t->ascii && n <= 64) { // as the loop would find
        uint64_t word = kinds_window(c->t->word, at, n);

        solid = word != 0;
        letter = (word & ~kinds_window(c->t->data, at, n)) != 0;
        chars = i = n;
    }
    for (; i < n; chars++) {
        if (is_common_at(p + i, n - i)) {
            solid = letter = true;
            i += 3;
            continue;
        }
        i += (size_t)parts_char(p + i, n - i, &cp);
        solid = solid || !is_mark(cp);
        letter = letter || is_letter(cp);
    }
    hash = hash_word(p, n, c->t->n - at, 0);
    repeat_words_add(&c->words, hash, chars);
    c->solid += solid;
    c->solid_chars += solid ? chars : 0;
    c->lettered += letter;
}

/* Bytes of the punctuation at the front of s[0..n) that make one word: a run of full stops or
 * one character; 0 when there is none. */
static size_t front(const char *s, size_t n)
{
    uint32_t cp;
    size_t k = 0;
    int len;

    if (is_alnum(*s) || is_common_at(s, n))
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

    if (is_alnum(s[n - 1]) || (n >= 3 && is_common_at(s + n - 3, 3)))
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
static void add_chunk(struct chunks *c, const char *p, size_t n)
{
    size_t k, end;

    while (n && (k = front(p, n))) {
        add_word(c, p, k);
        p += k;
        n -= k;
    }
    for (end = n; end && (k = back(p, end));)
        end -= k;
    if (end)
        add_word(c, p, end);
    for (p += end, n -= end; n; p += k, n -= k) {
        k = front(p, n);
        k = k ? k : n; // bytes that are no UTF-8
        add_word(c, p, k);
    }
}

/* Bytes from..to-1, of which each is a word by itself, but for full stops side by side. */
static void add_marks(struct chunks *c, size_t from, size_t to)
{
    const char *s = c->t->s;
    size_t k;

    for (; from < to; from += k) {
        uint64_t hash = c->mark[(unsigned char)s[from]];

        for (k = 1; s[from] == '.' && from + k < to && s[from + k] == '.'; k++)
            ;
        repeat_words_add(&c->words, k > 1 ? hash_word(s + from, k, k, 0) : hash, k);
    }
}

/* The same in a text of ASCII. */
static void add_ascii(struct chunks *c, size_t begin, size_t end)
{
    const struct kinds *t = c->t;
    size_t first = kinds_next_before(t->word, begin, end), behind;

    add_marks(c, begin, first);
    if (first == end)
        return;
    behind = kinds_after_last(t->word, end);
    add_word(c, t->s + first, behind - first);
    add_marks(c, behind, end);
}

/* A chunk with characters beyond ASCII, of which some may be spaces: these begin with C2, E1, E2 or
 * E3, as no other character goes on. */
static void add_wide(struct chunks *c, size_t start, size_t end)
{
    for (size_t at = start; at < end; at++) {
        unsigned char b = (unsigned char)c->t->s[at];
        uint32_t cp;
        size_t len;

        if (b != 0xC2 && (b < 0xE1 || b > 0xE3))
            continue;
        len = (size_t)parts_char(c->t->s + at, end - at, &cp);
        if (!parts_is_space(cp))
            continue;
        if (at > start)
            add_chunk(c, c->t->s + start, at - start);
        start = at + len;
        at = start - 1;
    }
    if (end > start)
        add_chunk(c, c->t->s + start, end - start);
}

/* Hashes of an ASCII text's runs as they are written: those in lower case, but for runs with a
 * capital. Added to the letters that are none, the first of each run carries up to its first
 * capital, or out of the run. */
ANY_CPU static void hash_ascii(struct chunks *c, const struct kinds *t, const struct words_row *row)
{
    const struct runs *r = &row->runs;
    uint64_t before = 0, carry = 0, *hash = c->hash;
    size_t begun = 0;

    if (r->n)
        memcpy(hash, row->hash, r->n * sizeof(*hash));
    for (size_t b = 0; b < t->blocks; b++) {
        uint64_t word = t->word[b], first = word & ~(word << 1 | before);
        uint64_t small = word & ~t->upper[b], sum = small + first, up = sum + carry;

        before = word >> 63;
        carry = (sum < small) | (up < sum);
        for (up &= word & ~small; up; up &= up - 1) {
            size_t k = begun + (size_t)__builtin_popcountll(first & (up ^ (up - 1))) - 1;
            size_t at = r->begin[k];

            hash[k] = hash_word(t->s + at, r->end[k] - at, t->n - at, 0);
        }
        begun += (size_t)__builtin_popcountll(first);
    }
}

static void hash_runs(struct chunks *c, const struct kinds *t, const struct words_row *row)
{
    const struct runs *r = &row->runs;

    mem_grow(&c->hash, &c->cap_hash, r->n + 1, sizeof(*c->hash));
    if (t->ascii)
        hash_ascii(c, t, row);
    else
        hash_words(t->s, t->n, r->begin, r->end, r->n, false, c->hash);
}

/* Where a text's words are simple, all that need be known of a run of letters is where it is. */
struct walk {
    const struct kinds *t;
    const struct runs *r;
    const unsigned char *kind; // (r->n) of runs
    size_t run;                // the next
};

/* Runs that begin in from..to-1 and are digits only: added to the digits, the first of each run
 * carries up to what is none, which is out of the run then. */
static size_t count_numbers(const struct kinds *t, size_t from, size_t to)
{
    uint64_t before = 0, carry = 0;
    size_t n = 0;

    for (size_t b = from / 64; b < t->blocks && (64 * b < to || carry); b++) {
        uint64_t run = t->word[b] | t->high[b], digit = t->word[b] & t->data[b];
        uint64_t first = digit & ~(run << 1 | before), sum, up;

        first &= 64 * b < from ? ~0ull << from % 64 : ~0ull;
        first &= to <= 64 * b ? 0 : to - 64 * b < 64 ? ~(~0ull << to % 64) : ~0ull;
        sum = digit + first;
        up = sum + carry;
        carry = (sum < digit) | (up < sum);
        n += kinds_ones(up & ~run);
        before = run >> 63;
    }
    return n;
}

static inline size_t chars_of(const struct walk *w, size_t k)
{
    size_t at = w->r->begin[k], end = w->r->end[k];

    if (w->t->ascii || w->kind[k] == WORDS_ASCII)
        return end - at;
    return w->kind[k] == WORDS_SINGLES ? (end - at) / 3
                                       : end - at - 2 * kinds_count(w->t->single, at, end);
}

/* Runs from..to-1, behind each of which there is a byte: "word" or "word,", all. */
static inline __attribute__((always_inline)) void add_some(struct chunks *c, const struct walk *w,
                                                           size_t from, size_t to, bool ascii)
{
    const uint32_t *begin = w->r->begin, *end = w->r->end;
    const char *s = w->t->s;
    const uint64_t *run = c->hash;
    uint64_t *hash = c->words.hash + c->words.n;
    uint32_t *upto = c->words.upto + c->words.n, chars = *upto;
    size_t n = 0;

    for (size_t k = from; k < to; k++) {
        unsigned char behind = (unsigned char)s[end[k]];
        unsigned more = c->own[behind];

        chars += ascii ? end[k] - begin[k] : (uint32_t)chars_of(w, k);
        hash[n] = run[k];
        hash[n + 1] = c->mark[behind];
        upto[n + 1] = chars;
        upto[n + 2] = chars + 1;
        chars += more;
        n += 1 + more;
    }
    c->words.n += n;
}

/* The runs that begin before `to`. */
static void add_simple(struct chunks *c, struct walk *w, size_t to)
{
    size_t from = w->run, end = w->r->n, last, before = c->words.n, own;

    if (to < w->t->n)
        for (end = from; end < w->r->n && w->r->begin[end] < to; end++)
            ;
    if (end == from)
        return;
    repeat_words_room(&c->words, 2 * (end - from) + 2);
    last = end - (w->r->end[end - 1] == w->t->n);
    if (w->t->ascii)
        add_some(c, w, from, last, true);
    else
        add_some(c, w, from, last, false);
    if (last < end)
        repeat_words_add(&c->words, c->hash[last], chars_of(w, last));
    own = c->words.n - before - (end - from);
    c->solid += end - from;
    c->solid_chars += c->words.upto[c->words.n] - c->words.upto[before] - own;
    c->lettered += end - from - count_numbers(w->t, w->r->begin[from], w->r->end[end - 1]);
    w->run = end;
}

/* What in block b is neither of a run nor the one byte behind it before a space. */
static uint64_t odd_of(const struct kinds *t, size_t b)
{
    uint64_t run = t->word[b] | t->high[b], no_space = ~t->space[b];
    uint64_t behind = run << 1 | (b ? (t->word[b - 1] | t->high[b - 1]) >> 63 : 0);
    uint64_t before = t->space[b] >> 1 | (b + 1 < t->blocks ? t->space[b + 1] : 1) << 63;

    return no_space & ~run & ~(behind & before);
}

/* Text of ASCII and of scripts whose characters are letters all. */
static void add_easy(struct chunks *c, const struct kinds *t, const struct words_row *row)
{
    struct walk w = {.t = t, .r = &row->runs, .kind = row->kind};
    size_t done = 0;

    hash_runs(c, t, row);
    for (size_t b = 0; b < t->blocks; b++)
        for (uint64_t odd = odd_of(t, b); odd; odd &= odd - 1) {
            size_t at = 64 * b + (size_t)__builtin_ctzll(odd), begin;

            if (at < done)
                continue;
            begin = kinds_after_last(t->space, at);
            add_simple(c, &w, begin);
            done = kinds_next(t->space, at);
            if (t->ascii)
                add_ascii(c, begin, done);
            else
                add_chunk(c, t->s + begin, done - begin);
            while (w.run < w.r->n && w.r->begin[w.run] < done)
                w.run++;
        }
    add_simple(c, &w, SIZE_MAX);
}

static void add_all(struct chunks *c, const struct kinds *t)
{
    runs_spans(&c->spans, t);
    for (size_t k = 0; k < c->spans.n; k++) {
        size_t begin = c->spans.begin[k], end = c->spans.end[k];

        if (kinds_any(t->high, begin, end))
            add_wide(c, begin, end);
        else
            add_chunk(c, t->s + begin, end - begin);
    }
}

/* Each stop word in a place of its own. */
static bool place_stops(struct chunks *c)
{
    memset(c->stop, 0, sizeof(c->stop));
    for (size_t i = 0; i < sizeof(stop_words) / sizeof(*stop_words); i++) {
        uint64_t h = hash_word(stop_words[i], strlen(stop_words[i]), sizeof(*stop_words), 0);

        if (c->stop[stop_place(c, h)])
            return false;
        c->stop[stop_place(c, h)] = h;
    }
    return true;
}

static void prepare(struct chunks *c)
{
    for (int i = 0; i < 256; i++) {
        char one = (char)i;

        c->mark[i] = hash_word(&one, 1, 1, 0);
        c->own[i] = !(i == 32 || (i >= 9 && i <= 13) || (i >= 28 && i <= 31));
    }
    while (!place_stops(c) && c->shift < 58)
        c->shift++;
    c->ready = true;
}

void chunks_read(struct chunks *c, const struct kinds *t, const struct words_row *row)
{
    if (!c->ready)
        prepare(c);
    c->t = t;
    c->solid = c->solid_chars = c->lettered = 0;
    repeat_words_clear(&c->words);
    if (t->easy)
        add_easy(c, t, row);
    else
        add_all(c, t);
}

size_t chunks_stops(const struct chunks *c, size_t enough)
{
    uint32_t found = 0;
    size_t n = 0;

    for (size_t k = 0; k < c->words.n && n < enough; k++) {
        uint64_t h = c->words.hash[k];
        uint32_t bit = (uint32_t)(c->stop[stop_place(c, h)] == h) << stop_place(c, h);

        n += (bit & ~found) != 0;
        found |= bit;
    }
    return n;
}

void chunks_free(struct chunks *c)
{
    repeat_words_free(&c->words);
    runs_free(&c->spans);
    free(c->hash);
}
