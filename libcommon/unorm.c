/* unorm.c - Unicode: normal forms, lower case, marks, graphemes. */
#include "unorm.h"

#include "mem.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static void put(struct buf *out, uint32_t cp)
{
    char c[4];

    buf_add(out, c, (size_t)utf8_put(c, cp));
}

/* Sort a run of marks by combining class, keeping the order within a class.
 * Short runs by insertion, long ones by counting: utf8proc's own sort takes
 * quadratic time, which a hostile text would notice. */
static void order_run(int32_t *cp, size_t n)
{
    size_t first[257] = {0};
    int32_t *sorted;

    if (n <= 32) {
        for (size_t i = 1; i < n; i++)
            for (size_t k = i; k > 0; k--) {
                int32_t t = cp[k];

                if (utf8proc_get_property(cp[k - 1])->combining_class <=
                    utf8proc_get_property(t)->combining_class)
                    break;
                cp[k] = cp[k - 1];
                cp[k - 1] = t;
            }
        return;
    }
    sorted = mem_new(n * sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        first[utf8proc_get_property(cp[i])->combining_class + 1]++;
    for (int c = 0; c < 256; c++)
        first[c + 1] += first[c];
    for (size_t i = 0; i < n; i++)
        sorted[first[utf8proc_get_property(cp[i])->combining_class]++] = cp[i];
    memcpy(cp, sorted, n * sizeof(*cp));
    free(sorted);
}

static void order(int32_t *cp, size_t n)
{
    for (size_t i = 0, k; i < n; i = k + 1) {
        for (k = i; k < n && utf8proc_get_property(cp[k])->combining_class; k++)
            ;
        if (k - i > 1)
            order_run(cp + i, k - i);
    }
}

/* One stretch that neither needs what stands before it nor what comes after. */
static void form_stretch(const char *s, size_t n, utf8proc_option_t how, int32_t **cp, size_t *cap,
                         struct buf *out)
{
    size_t len = 0;
    int last = 0;
    utf8proc_ssize_t made;

    for (size_t i = 0; i < n;) {
        uint32_t c;

        i += (size_t)utf8_get(s + i, n - i, &c);
        mem_grow(cp, cap, len + 32, sizeof(**cp)); // no character gives more than 18
        made = utf8proc_decompose_char((int32_t)c, *cp + len, 32, how, &last);
        if (made > 0)
            len += (size_t)made;
    }
    order(*cp, len);
    if (how & UTF8PROC_COMPOSE) {
        made = utf8proc_normalize_utf32(*cp, (utf8proc_ssize_t)len, how);
        len = made > 0 ? (size_t)made : 0;
    }
    for (size_t i = 0; i < len; i++)
        put(out, (uint32_t)(*cp)[i]);
}

void unorm_form(const char *s, size_t n, enum unorm_form form, int32_t **cp, size_t *cap,
                struct buf *out)
{
    static const int how[] = {UTF8PROC_STABLE | UTF8PROC_COMPOSE,
                              UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                              UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                              UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    size_t i = 0;

    while (i < n) {
        size_t k = i, from;

        while (k < n && (unsigned char)s[k] < 0x80)
            k++;
        /* ASCII is its own normal form, but its last character may combine with what follows. */
        from = k < n && k > i ? k - 1 : k;
        buf_add(out, s + i, from - i);
        while (k < n && (unsigned char)s[k] >= 0x80)
            k++;
        if (k > from)
            form_stretch(s + from, k - from, (utf8proc_option_t)how[form], cp, cap, out);
        i = k;
    }
}

void unorm_lower(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;

        i += (size_t)utf8_get(s + i, n - i, &cp);
        if (cp == 0x130) // the only character with two in lower case
            buf_str(out, "i\xCC\x87");
        else
            put(out, (uint32_t)utf8proc_tolower((int32_t)cp));
    }
}

void unorm_clean(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = (size_t)utf8_get(s + i, n - i, &cp);
        utf8proc_category_t c = utf8proc_category((int32_t)cp);
        bool odd = c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF ||
                   c == UTF8PROC_CATEGORY_CO; // as in HF, what is not assigned stays

        if (cp == '\t' || cp == '\n' || cp == '\r')
            buf_char(out, ' ');
        else if (cp && cp != 0xFFFD && !odd && unorm_is_space(cp))
            buf_char(out, ' ');
        else if (cp && cp != 0xFFFD && !odd)
            buf_add(out, s + i, len);
        i += len;
    }
}

/* The blocks of Chinese characters that BERT's tokenizer names. */
static bool is_cjk(uint32_t cp)
{
    static const uint32_t range[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
                                        {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};

    for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
        if (cp >= range[i][0] && cp <= range[i][1])
            return true;
    return false;
}

void unorm_space_cjk(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = (size_t)utf8_get(s + i, n - i, &cp);
        bool cjk = is_cjk(cp);

        if (cjk)
            buf_char(out, ' ');
        buf_add(out, s + i, len);
        if (cjk)
            buf_char(out, ' ');
        i += len;
    }
}

void unorm_drop_accents(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = (size_t)utf8_get(s + i, n - i, &cp);

        if (utf8proc_category((int32_t)cp) != UTF8PROC_CATEGORY_MN)
            buf_add(out, s + i, len);
        i += len;
    }
}

void unorm_drop_marks(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = (size_t)utf8_get(s + i, n - i, &cp);
        utf8proc_category_t c = utf8proc_category((int32_t)cp);

        if (c != UTF8PROC_CATEGORY_MN && c != UTF8PROC_CATEGORY_MC && c != UTF8PROC_CATEGORY_ME)
            buf_add(out, s + i, len);
        i += len;
    }
}

void unorm_nmt(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;

        i += (size_t)utf8_get(s + i, n - i, &c);
        if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
            c == 0x9F)
            continue;
        if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
            (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
            c == 0xFEFF || c == 0xFFFD)
            c = ' ';
        put(out, c);
    }
}

bool unorm_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

bool unorm_is_word(uint32_t cp)
{
    if (cp < 0x80)
        return (cp >= '0' && cp <= '9') || (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') ||
               cp == '_';
    if (cp == 0x200C || cp == 0x200D || (cp >= 0x24B6 && cp <= 0x24E9) ||
        (cp >= 0x1F130 && cp <= 0x1F189))
        return true;
    switch (utf8proc_category((int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

void unorm_strip(const char **s, size_t *n, bool left, bool right)
{
    uint32_t cp;

    while (left && *n) {
        size_t len = (size_t)utf8_get(*s, *n, &cp);

        if (!unorm_is_space(cp))
            break;
        *s += len;
        *n -= len;
    }
    while (right && *n) {
        size_t k = *n - 1;

        while (k && ((unsigned char)(*s)[k] & 0xC0) == 0x80)
            k--;
        utf8_get(*s + k, *n - k, &cp);
        if (!unorm_is_space(cp))
            break;
        *n = k;
    }
}

size_t unorm_grapheme(const char *s, size_t n)
{
    utf8proc_int32_t state = 0;
    uint32_t a, b;
    size_t i;

    if (n > 1 && !(s[0] & 0x80) && !(s[1] & 0x80) && s[0] != '\r')
        return 1;
    i = (size_t)utf8_get(s, n, &a);
    while (i < n) {
        size_t len = (size_t)utf8_get(s + i, n - i, &b);

        if (utf8proc_grapheme_break_stateful((int32_t)a, (int32_t)b, &state))
            break;
        a = b;
        i += len;
    }
    return i;
}
