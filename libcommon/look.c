/* look.c - a text, and what several rules ask of it. */
#include "look.h"

#include "mem.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

void look_text(struct look *l, const char *s, size_t n)
{
    l->s = s;
    l->n = n;
    l->scanned = l->read = l->threes = l->counted = false;
    l->count = -1;
}

void look_free(struct look *l)
{
    kinds_free(&l->scan);
    words_row_free(&l->words);
    runs_free(&l->spans);
    free(l->three);
    *l = (struct look){0};
}

const struct kinds *look_kinds(struct look *l)
{
    if (!l->scanned)
        kinds_text(&l->scan, l->s, l->n);
    l->scanned = true;
    return &l->scan;
}

size_t look_chars(struct look *l)
{
    const struct kinds *t = look_kinds(l);

    return t->easy ? t->n - t->n_high / 3 * 2 : scan_chars(t->s, t->n);
}

const struct words_row *look_words(struct look *l)
{
    if (!l->read)
        words_read(&l->words, look_kinds(l));
    l->read = true;
    return &l->words;
}

const uint32_t *look_threes(struct look *l)
{
    const struct words_row *w = look_words(l);

    if (!l->threes) {
        mem_grow(&l->three, &l->cap_three, w->n + 1, sizeof(*l->three));
        words_threes(w, l->three);
    }
    l->threes = true;
    return l->three;
}

int look_count(struct look *l)
{
    if (l->count < 0)
        l->count = words_count_of(look_kinds(l), &l->spans);
    return l->count;
}

const size_t *look_scripts(struct look *l)
{
    if (!l->counted) {
        memset(l->script, 0, sizeof(l->script));
        l->letters = script_count_of(look_kinds(l), l->script);
    }
    l->counted = true;
    return l->script;
}
