/* script.c - the scripts of a text's letters. */
#include "script.h"

#include "scan.h"
#include "utf8.h"

#include <string.h>
#include <utf8proc.h>

const char *const script_names[SCRIPT_N] = {
    "other",      "Latin",   "Greek",     "Cyrillic", "Armenian", "Hebrew",   "Arabic",
    "Devanagari", "Bengali", "Gurmukhi",  "Gujarati", "Tamil",    "Telugu",   "Kannada",
    "Malayalam",  "Sinhala", "Thai",      "Lao",      "Tibetan",  "Myanmar",  "Georgian",
    "Ethiopic",   "Khmer",   "Mongolian", "Hangul",   "Hiragana", "Katakana", "Han"};

// clang-format off
/* By tests/goldens/script.py; ascending. */
static const struct {
    uint32_t first, last;
    enum script script;
} ranges[] = {
    {0x0041, 0x00AA, SCRIPT_LATIN}, {0x00BA, 0x02B8, SCRIPT_LATIN}, {0x02E0, 0x02E4, SCRIPT_LATIN},
    {0x0370, 0x0373, SCRIPT_GREEK}, {0x0376, 0x03E1, SCRIPT_GREEK}, {0x03F0, 0x03FF, SCRIPT_GREEK},
    {0x0400, 0x0484, SCRIPT_CYRILLIC}, {0x0487, 0x052F, SCRIPT_CYRILLIC},
    {0x0531, 0x0588, SCRIPT_ARMENIAN}, {0x0591, 0x05F2, SCRIPT_HEBREW},
    {0x0610, 0x063F, SCRIPT_ARABIC}, {0x0641, 0x064A, SCRIPT_ARABIC},
    {0x0656, 0x066F, SCRIPT_ARABIC}, {0x0671, 0x06FF, SCRIPT_ARABIC},
    {0x0750, 0x077F, SCRIPT_ARABIC}, {0x0870, 0x08FF, SCRIPT_ARABIC},
    {0x0900, 0x0950, SCRIPT_DEVANAGARI}, {0x0955, 0x097F, SCRIPT_DEVANAGARI},
    {0x0980, 0x09FE, SCRIPT_BENGALI}, {0x0A01, 0x0A75, SCRIPT_GURMUKHI},
    {0x0A81, 0x0AFF, SCRIPT_GUJARATI}, {0x0B82, 0x0BD7, SCRIPT_TAMIL},
    {0x0C00, 0x0C63, SCRIPT_TELUGU}, {0x0C80, 0x0CF2, SCRIPT_KANNADA},
    {0x0D00, 0x0D7F, SCRIPT_MALAYALAM}, {0x0D81, 0x0DF3, SCRIPT_SINHALA},
    {0x0E01, 0x0E4E, SCRIPT_THAI}, {0x0E81, 0x0EDF, SCRIPT_LAO}, {0x0F00, 0x0FC6, SCRIPT_TIBETAN},
    {0x1000, 0x109D, SCRIPT_MYANMAR}, {0x10A0, 0x10FF, SCRIPT_GEORGIAN},
    {0x1100, 0x11FF, SCRIPT_HANGUL}, {0x1200, 0x138F, SCRIPT_ETHIOPIC},
    {0x1780, 0x17DD, SCRIPT_KHMER}, {0x180B, 0x18AA, SCRIPT_MONGOLIAN},
    {0x1C80, 0x1C88, SCRIPT_CYRILLIC}, {0x1C90, 0x1CBF, SCRIPT_GEORGIAN},
    {0x1D00, 0x1D25, SCRIPT_LATIN}, {0x1D26, 0x1D2A, SCRIPT_GREEK},
    {0x1D2B, 0x1D2B, SCRIPT_CYRILLIC}, {0x1D2C, 0x1D5C, SCRIPT_LATIN},
    {0x1D5D, 0x1D61, SCRIPT_GREEK}, {0x1D62, 0x1D65, SCRIPT_LATIN}, {0x1D66, 0x1D6A, SCRIPT_GREEK},
    {0x1D6B, 0x1D77, SCRIPT_LATIN}, {0x1D78, 0x1D78, SCRIPT_CYRILLIC},
    {0x1D79, 0x1DBE, SCRIPT_LATIN}, {0x1DBF, 0x1DBF, SCRIPT_GREEK}, {0x1E00, 0x1EFF, SCRIPT_LATIN},
    {0x1F00, 0x1FFC, SCRIPT_GREEK}, {0x2071, 0x209C, SCRIPT_LATIN}, {0x2126, 0x2126, SCRIPT_GREEK},
    {0x212A, 0x212B, SCRIPT_LATIN}, {0x2132, 0x2132, SCRIPT_LATIN}, {0x214E, 0x2184, SCRIPT_LATIN},
    {0x2C60, 0x2C7F, SCRIPT_LATIN}, {0x2D00, 0x2D2D, SCRIPT_GEORGIAN},
    {0x2D80, 0x2DDE, SCRIPT_ETHIOPIC}, {0x2DE0, 0x2DFF, SCRIPT_CYRILLIC},
    {0x3005, 0x3005, SCRIPT_HAN}, {0x302E, 0x302F, SCRIPT_HANGUL}, {0x303B, 0x303B, SCRIPT_HAN},
    {0x3041, 0x3096, SCRIPT_HIRAGANA}, {0x309D, 0x309F, SCRIPT_HIRAGANA},
    {0x30A1, 0x30FA, SCRIPT_KATAKANA}, {0x30FD, 0x30FF, SCRIPT_KATAKANA},
    {0x3131, 0x318E, SCRIPT_HANGUL}, {0x31F0, 0x31FF, SCRIPT_KATAKANA},
    {0x3400, 0x9FFF, SCRIPT_HAN}, {0xA640, 0xA69F, SCRIPT_CYRILLIC}, {0xA722, 0xA787, SCRIPT_LATIN},
    {0xA78B, 0xA7FF, SCRIPT_LATIN}, {0xA8E0, 0xA8FF, SCRIPT_DEVANAGARI},
    {0xA960, 0xA97C, SCRIPT_HANGUL}, {0xA9E0, 0xA9FE, SCRIPT_MYANMAR},
    {0xAA60, 0xAA7F, SCRIPT_MYANMAR}, {0xAB01, 0xAB2E, SCRIPT_ETHIOPIC},
    {0xAB30, 0xAB64, SCRIPT_LATIN}, {0xAB65, 0xAB65, SCRIPT_GREEK}, {0xAB66, 0xAB69, SCRIPT_LATIN},
    {0xAC00, 0xD7FB, SCRIPT_HANGUL}, {0xF900, 0xFAD9, SCRIPT_HAN}, {0xFB00, 0xFB06, SCRIPT_LATIN},
    {0xFB13, 0xFB17, SCRIPT_ARMENIAN}, {0xFB1D, 0xFB4F, SCRIPT_HEBREW},
    {0xFB50, 0xFDFB, SCRIPT_ARABIC}, {0xFE2E, 0xFE2F, SCRIPT_CYRILLIC},
    {0xFE70, 0xFEFC, SCRIPT_ARABIC}, {0xFF21, 0xFF5A, SCRIPT_LATIN},
    {0xFF66, 0xFF6F, SCRIPT_KATAKANA}, {0xFF71, 0xFF9D, SCRIPT_KATAKANA},
    {0xFFA0, 0xFFDC, SCRIPT_HANGUL}, {0x10780, 0x107BA, SCRIPT_LATIN},
    {0x16FE3, 0x16FE3, SCRIPT_HAN}, {0x16FF0, 0x16FF1, SCRIPT_HAN},
    {0x1AFF0, 0x1B000, SCRIPT_KATAKANA}, {0x1B001, 0x1B11F, SCRIPT_HIRAGANA},
    {0x1B120, 0x1B122, SCRIPT_KATAKANA}, {0x1B150, 0x1B152, SCRIPT_HIRAGANA},
    {0x1B164, 0x1B167, SCRIPT_KATAKANA}, {0x1D242, 0x1D244, SCRIPT_GREEK},
    {0x1DF00, 0x1DF1E, SCRIPT_LATIN}, {0x1E7E0, 0x1E7FE, SCRIPT_ETHIOPIC},
    {0x1EE00, 0x1EEBB, SCRIPT_ARABIC}, {0x20000, 0x3134A, SCRIPT_HAN},
};
// clang-format on

int script_find(const char *name, size_t n)
{
    for (int i = 0; i < SCRIPT_N; i++) {
        size_t k = 0;

        while (k < n && script_names[i][k] && (script_names[i][k] | 32) == (name[k] | 32))
            k++;
        if (k == n && !script_names[i][k])
            return i;
    }
    return -1;
}

static enum script script_of(uint32_t cp)
{
    size_t lo = 0, hi = sizeof(ranges) / sizeof(*ranges);

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (cp > ranges[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof(ranges) / sizeof(*ranges) && cp >= ranges[lo].first ? ranges[lo].script
                                                                           : SCRIPT_OTHER;
}

/* The largest scripts, all of whose characters here are letters. */
static int script_common(uint32_t cp)
{
    return cp >= 0xAC00 && cp <= 0xD7A3   ? SCRIPT_HANGUL
           : cp >= 0x4E00 && cp <= 0x9FA5 ? SCRIPT_HAN
                                          : -1;
}

size_t script_count_of(const struct kinds *t, size_t count[SCRIPT_N])
{
    size_t latin;

    if (!t->easy)
        return script_count(t->s, t->n, count);
    latin = t->n_latin;
    count[SCRIPT_LATIN] += latin;
    count[SCRIPT_HANGUL] += t->n_hangul;
    count[SCRIPT_HAN] += t->n_han;
    return latin + t->n_hangul + t->n_han;
}

size_t script_count(const char *s, size_t n, size_t count[SCRIPT_N])
{
    size_t latin = scan_letters(s, n), all = latin;

    count[SCRIPT_LATIN] += latin;
    for (size_t i = scan_ascii(s, n); i < n; i += scan_ascii(s + i, n - i)) {
        while (i < n && (unsigned char)s[i] >= 0x80) {
            uint32_t cp = 0;
            int len = utf8_get(s + i, n - i, &cp), script = script_common(cp);

            if (script < 0 && len && *utf8proc_category_string((utf8proc_int32_t)cp) == 'L')
                script = (int)script_of(cp);
            if (script >= 0) {
                count[script]++;
                all++;
            }
            i += len ? (size_t)len : 1;
        }
    }
    return all;
}
