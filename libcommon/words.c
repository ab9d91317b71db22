/* words.c - the words of a text in any script. */
#include "words.h"

#include "utf8.h"

#include <stdint.h>
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

static bool is_single(uint32_t cp)
{
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]) && cp >= single[i].first; i++)
        if (cp <= single[i].last)
            return true;
    return false;
}

/* First letter of the character's general category. */
static char class_of(uint32_t cp)
{
    return *utf8proc_category_string((utf8proc_int32_t)cp);
}

static bool ascii_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool words_next(const char *s, size_t n, size_t *at, struct buf *w)
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
            *at += len ? (size_t)len : 1;
            if (w->n)
                return true;
            continue;
        }
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

/* Words of one run between spaces. */
static int count_run(const char *s, size_t n, bool has_single)
{
    struct buf w = {0};
    size_t at = 0;
    int count = 0;

    while (has_single && words_next(s, n, &at, &w))
        count++;
    buf_free(&w);
    return count ? count : 1;
}

int words_count(const char *s, size_t n)
{
    size_t start = 0, at = 0;
    bool has_single = false;
    int count = 0;

    while (at < n) {
        uint32_t cp = 0;
        int len = utf8_get(s + at, n - at, &cp);
        bool space = (len == 1 && cp <= 32) || (len > 1 && class_of(cp) == 'Z');

        len = len ? len : 1;
        has_single = has_single || (!space && is_single(cp));
        if (space) {
            if (at > start)
                count += count_run(s + start, at - start, has_single);
            start = at + (size_t)len;
            has_single = false;
        }
        at += (size_t)len;
    }
    return at > start ? count + count_run(s + start, at - start, has_single) : count;
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
