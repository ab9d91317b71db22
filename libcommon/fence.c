/* fence.c - fenced code blocks of a text. */
#include "fence.h"

#include <string.h>
#include <strings.h>

enum { CODE = 4 }; // columns from which on a line is indented code

/* Length of the line at s[at..n), without its newline; *next is where the next begins. */
static size_t line_at(const char *s, size_t n, size_t at, size_t *next)
{
    const char *nl = memchr(s + at, '\n', n - at);
    size_t end = nl ? (size_t)(nl - s) : n;

    *next = nl ? end + 1 : n;
    return end - at;
}

/* Over spaces and tabs at p[*i], which is in column `column`: the column behind them. */
static int skip(const char *p, size_t n, size_t *i, int column)
{
    for (; *i < n && (p[*i] == ' ' || p[*i] == '\t'); ++*i)
        column = p[*i] == '\t' ? column / 4 * 4 + 4 : column + 1;
    return column;
}

/* Length of the marker of a list item, or 0. */
static size_t marker_of(const char *p, size_t n)
{
    size_t k = 0;

    while (k < n && k < 9 && p[k] >= '0' && p[k] <= '9')
        k++;
    if (k == n || !strchr(k ? ".)" : "-+*", p[k]) || !p[k])
        return 0;
    k++;
    return k == n || strchr(" \t\r", p[k]) ? k : 0;
}

static int base_of(const struct fence *f)
{
    return f->depth ? f->item[f->depth - 1] : 0;
}

/* Where the content of a line begins, in the innermost list item that it is in, and its column; n
 * when it has none or is indented as code is. Items that it begins or ends are known then. */
static size_t enter(struct fence *f, const char *p, size_t n, int *column)
{
    size_t i = 0, k, m;
    int c;

    *column = skip(p, n, &i, 0);
    if (i == n || p[i] == '\r') // a blank line ends no item
        return n;
    while (f->depth && *column < base_of(f))
        f->depth--;
    while (*column - base_of(f) < CODE) {
        m = f->depth < FENCE_DEPTH ? marker_of(p + i, n - i) : 0;
        if (!m)
            return i;
        k = i + m;
        *column += (int)m;
        c = skip(p, n, &k, *column);
        f->item[f->depth++] = k < n && c - *column <= CODE ? c : *column + 1;
        if (k == n)
            return n;
        *column = c;
        i = k;
    }
    return n;
}

/* The fence that a line's content is: how many of *mark; 0 when it is none. */
static size_t fence_of(const char *p, size_t n, char *mark)
{
    size_t k = 0;

    if (!n || (*p != '`' && *p != '~'))
        return 0;
    *mark = *p;
    while (k < n && p[k] == *mark)
        k++;
    return k >= 3 && !(*mark == '`' && memchr(p + k, '`', n - k)) ? k : 0;
}

static bool is_lang(const char *p, size_t n, const char *lang)
{
    size_t len = strlen(lang);

    while (n && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    return n >= len && !strncasecmp(p, lang, len) &&
           (n == len || strchr(" \t\r{,", p[len])); // "python title=x", "c\r"
}

/* The end of the block that begins at `at`, in an item whose content is in column `base`; *next is
 * behind its closing fence, which may be less indented than the item. */
static size_t block_end(const char *s, size_t n, size_t at, char mark, size_t count, int base,
                        size_t *next)
{
    while (at < n) {
        size_t i = 0, k, len = line_at(s, n, at, next);
        char m = 0;

        if (skip(s + at, len, &i, 0) - base < CODE &&
            (k = fence_of(s + at + i, len - i, &m)) >= count && m == mark) {
            i += k;
            while (i < len && strchr(" \t\r", s[at + i]))
                i++;
            if (i == len)
                return at;
        }
        at = *next;
    }
    *next = n;
    return n;
}

bool fence_next(const char *s, size_t n, const char *lang, struct fence *f)
{
    while (f->at < n) {
        size_t begin = f->at, next, len = line_at(s, n, begin, &next), i, k, end;
        char mark = 0;

        i = enter(f, s + begin, len, &f->indent);
        k = fence_of(s + begin + i, len - i, &mark);
        f->at = next;
        if (!k)
            continue;
        end = block_end(s, n, next, mark, k, base_of(f), &f->at);
        if (!is_lang(s + begin + i + k, len - i - k, lang))
            continue;
        f->p = s + next;
        f->n = end - next;
        return true;
    }
    return false;
}

void fence_text(const struct fence *f, struct buf *out)
{
    size_t at = 0, next;

    for (; at < f->n; at = next) {
        int column = 0;

        line_at(f->p, f->n, at, &next);
        for (; column < f->indent && at < next && (f->p[at] == ' ' || f->p[at] == '\t'); at++)
            column = f->p[at] == '\t' ? column / 4 * 4 + 4 : column + 1;
        for (; column > f->indent; column--) // the rest of a tab
            buf_char(out, ' ');
        buf_add(out, f->p + at, next - at);
    }
}
