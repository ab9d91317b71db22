/* look.c - a text, and what several rules ask of it. */
#include "look.h"

#include <string.h>

void look_text(struct look *l, const char *s, size_t n)
{
    l->s = s;
    l->n = n;
    l->scanned = l->read = l->counted = false;
    l->count = -1;
}

void look_free(struct look *l)
{
    scan_free(&l->scan);
    words_row_free(&l->words);
    *l = (struct look){0};
}

const struct scan *look_scan(struct look *l)
{
    if (!l->scanned)
        scan_text(&l->scan, l->s, l->n);
    l->scanned = true;
    return &l->scan;
}

const struct words_row *look_words(struct look *l)
{
    if (!l->read)
        words_read(&l->words, look_scan(l));
    l->read = true;
    return &l->words;
}

int look_count(struct look *l)
{
    if (l->count < 0)
        l->count = words_count(l->s, l->n);
    return l->count;
}

const size_t *look_scripts(struct look *l)
{
    if (!l->counted) {
        memset(l->script, 0, sizeof(l->script));
        l->letters = script_count(l->s, l->n, l->script);
    }
    l->counted = true;
    return l->script;
}
