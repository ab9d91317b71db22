/* charsmap.c - SentencePiece's precompiled character map. */
#include "charsmap.h"

#include "mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int charsmap_init(struct charsmap *m, const void *blob, size_t n, struct err *e)
{
    const unsigned char *p = blob;
    size_t trie;

    *m = (struct charsmap){0};
    if (n < 8)
        return err_set(e, ERR_DATA, "precompiled charsmap of %zu bytes is too short", n);
    trie = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (trie < 4 || trie % 4 || trie > n - 4)
        return err_set(e, ERR_DATA, "precompiled charsmap: trie of %zu bytes does not fit in %zu",
                       trie, n - 4);
    if (n > 4 + trie && p[n - 1])
        return err_set(e, ERR_DATA, "precompiled charsmap: last replacement is not terminated");
    m->n_unit = trie / 4;
    m->unit = mem_new(trie);
    for (size_t i = 0; i < m->n_unit; i++) {
        const unsigned char *u = p + 4 + 4 * i;

        m->unit[i] = u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    }
    m->n_text = n - 4 - trie;
    m->text = mem_dup((const char *)p + 4 + trie, m->n_text);
    return 0;
}

int charsmap_from_base64(struct charsmap *m, const char *s, size_t n, struct err *e)
{
    struct buf b = {0};
    uint32_t bits = 0;
    int n_bits = 0, rc;

    while (n && s[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        const char *d = s[i] ? strchr(digit, s[i]) : NULL;

        if (!d) {
            buf_free(&b);
            return err_set(e, ERR_DATA, "precompiled charsmap: character %zu is not base64", i);
        }
        bits = bits << 6 | (uint32_t)(d - digit);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            buf_char(&b, (char)(bits >> n_bits & 0xFF));
        }
    }
    rc = charsmap_init(m, buf_cstr(&b), b.n, e);
    buf_free(&b);
    return rc;
}

void charsmap_put_base64(struct buf *b, const void *blob, size_t n)
{
    const unsigned char *p = blob;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0u);

        buf_char(b, digit[v >> 18]);
        buf_char(b, digit[v >> 12 & 63]);
        buf_char(b, i + 1 < n ? digit[v >> 6 & 63] : '=');
        buf_char(b, i + 2 < n ? digit[v & 63] : '=');
    }
}

void charsmap_blob(const struct charsmap *m, struct buf *b)
{
    uint32_t trie = (uint32_t)m->n_unit * 4;

    for (int k = 0; k < 4; k++)
        buf_char(b, (char)(trie >> 8 * k & 0xFF));
    for (size_t i = 0; i < m->n_unit; i++)
        for (int k = 0; k < 4; k++)
            buf_char(b, (char)(m->unit[i] >> 8 * k & 0xFF));
    buf_add(b, m->text, m->n_text);
}

void charsmap_free(struct charsmap *m)
{
    free(m->unit);
    free(m->text);
    *m = (struct charsmap){0};
}

/* A unit: bits 0-7 and 31 label, bit 8 has a leaf, bits 10-30 offset, which bit 9 shifts by 8. */
static size_t offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static int damaged(struct err *e)
{
    return err_set(e, ERR_DATA, "precompiled charsmap: an entry points outside the map");
}

int charsmap_find(const struct charsmap *m, const char *s, size_t n, bool longest, const char **to,
                  size_t *n_to, struct err *e)
{
    size_t at = offset(m->unit[0]), text = 0;
    int found = 0;

    if (n > INT_MAX)
        n = INT_MAX;
    for (size_t i = 0; i < n && s[i]; i++) {
        unsigned char c = (unsigned char)s[i];
        uint32_t unit;

        at ^= c;
        if (at >= m->n_unit)
            return damaged(e);
        unit = m->unit[at];
        if ((unit & (1u << 31 | 0xFF)) != c)
            break;
        at ^= offset(unit);
        if (!(unit >> 8 & 1))
            continue;
        if (at >= m->n_unit)
            return damaged(e);
        text = m->unit[at] & ~(1u << 31);
        found = (int)i + 1;
        if (!longest)
            break;
    }
    if (!found)
        return 0;
    if (text >= m->n_text)
        return damaged(e);
    *to = m->text + text;
    *n_to = strlen(*to); // the last replacement is terminated, so all are
    return found;
}
