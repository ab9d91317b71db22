/* fence.c - fenced code blocks of a text. */
#include "fence.h"

#include <string.h>
#include <strings.h>

/* Length of the line at s[at..n), without its newline; *next is where the next begins. */
static size_t line_at(const char *s, size_t n, size_t at, size_t *next)
{
    const char *nl = memchr(s + at, '\n', n - at);
    size_t end = nl ? (size_t)(nl - s) : n;

    *next = nl ? end + 1 : n;
    return end - at;
}

/* The fence a line is: how many of *mark, after at most three spaces; 0 when it is none.
 * *after is where its info string begins, so that *after less the result is its indentation. */
static size_t fence_of(const char *p, size_t n, char *mark, size_t *after)
{
    size_t i = 0, k = 0;

    while (i < n && i < 3 && p[i] == ' ')
        i++;
    if (i == n || (p[i] != '`' && p[i] != '~'))
        return 0;
    *mark = p[i];
    while (i + k < n && p[i + k] == *mark)
        k++;
    *after = i + k;
    return k >= 3 && !(*mark == '`' && memchr(p + i + k, '`', n - i - k)) ? k : 0;
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

/* The end of the block that begins at `at`; *next is behind its closing fence. */
static size_t block_end(const char *s, size_t n, size_t at, char mark, size_t count, size_t *next)
{
    while (at < n) {
        size_t after = 0, len = line_at(s, n, at, next);
        char m = 0;

        if (fence_of(s + at, len, &m, &after) >= count && m == mark) {
            while (after < len && strchr(" \t\r", s[at + after]))
                after++;
            if (after == len)
                return at;
        }
        at = *next;
    }
    *next = n;
    return n;
}

bool fence_next(const char *s, size_t n, const char *lang, size_t *at, struct fence *f)
{
    while (*at < n) {
        size_t next, after = 0, len = line_at(s, n, *at, &next);
        size_t count, begin = *at, end;
        char mark = 0;

        count = fence_of(s + begin, len, &mark, &after);
        *at = next;
        if (!count)
            continue;
        end = block_end(s, n, next, mark, count, at);
        if (!is_lang(s + begin + after, len - after, lang))
            continue;
        *f = (struct fence){s + next, end - next, (int)(after - count)};
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
        while (column < f->indent && at < next && f->p[at] == ' ') {
            column++;
            at++;
        }
        if (column < f->indent && at < next && f->p[at] == '\t') { // up to the fourth column
            buf_add(out, "    ", (size_t)(4 - f->indent));
            at++;
        }
        buf_add(out, f->p + at, next - at);
    }
}
