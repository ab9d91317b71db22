/* instances.c - inputs and outputs of a task, out of a model's text, and their rules. */
#include "instances.h"

#include "listing.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

const char *const instances_rule_names[] = {"instance-truncated",
                                            "instance-empty",
                                            "instance-echo",
                                            "instance-colon",
                                            "instance-conflict",
                                            "instance-same",
                                            NULL};

enum { CONFLICT = 4 }; // its number among them

static void strip(struct buf *b)
{
    size_t from = 0;

    while (b->n && isspace((unsigned char)b->p[b->n - 1]))
        b->n--;
    while (from < b->n && isspace((unsigned char)b->p[from]))
        from++;
    if (!b->p)
        return;
    memmove(b->p, b->p + from, b->n - from);
    b->n -= from;
    b->p[b->n] = '\0';
}

static bool is(const struct buf *b, const char *s)
{
    return b->n == strlen(s) && !strncasecmp(buf_cstr(b), s, b->n);
}

/* "Example 2", "Example 2:" ... and nothing else. */
static bool is_heading(const char *s, size_t n)
{
    size_t i = 7;

    if (n < 8 || strncasecmp(s, "example", 7))
        return false;
    while (i < n && strchr(" 0123456789.:)#", s[i]) && s[i])
        i++;
    return i == n || s[i] == '\n' || s[i] == '\r';
}

/* What is being read: the instance, and which part of it. */
struct reading {
    struct instances *x;
    int most;
    bool labels, marked, output; // marked: some label was seen
};

static struct instance *now(const struct reading *r)
{
    return &r->x->item[r->x->n];
}

/* The instance in hand is whole. */
static void finish(struct reading *r)
{
    struct instance *i = now(r);

    strip(&i->input);
    strip(&i->output);
    if (is(&i->input, "<noinput>") || is(&i->input, "none") || is(&i->input, "n/a"))
        buf_reset(&i->input);
    r->output = false;
    r->x->n += i->input.n || i->output.n;
}

/* One line of the text. False: there are enough. */
static bool take_line(struct reading *r, const char *s, size_t n)
{
    size_t k;

    if (is_heading(s, n)) {
        finish(r);
    } else if ((k = listing_label(s, n, r->labels ? "class label:" : "output:"))) {
        if (r->output || (r->labels && now(r)->output.n))
            finish(r);
        if (r->x->n == r->most)
            return false;
        r->marked = true;
        r->output = !r->labels;
        buf_add(&now(r)->output, s + k, n - k);
    } else if ((k = listing_label(s, n, "input:")) && !(r->labels && now(r)->input.n)) {
        if (r->output)
            finish(r);
        if (r->x->n == r->most)
            return false;
        r->marked = true;
        buf_add(&now(r)->input, s + k, n - k);
    } else if (r->x->n < r->most) {
        buf_add(r->output ? &now(r)->output : &now(r)->input, s, n);
    }
    return r->x->n < r->most;
}

static void empty(struct instances *x)
{
    for (int i = 0; i < INSTANCES_MAX; i++) {
        buf_reset(&x->item[i].input);
        buf_reset(&x->item[i].output);
        x->item[i].rule = NULL;
        x->item[i].truncated = false;
    }
    x->n = 0;
}

void instances_read(struct instances *x, const char *text, size_t n, const struct buf *given,
                    bool labels, bool cut, int most)
{
    struct reading r = {.x = x, .most = given ? 1 : most, .labels = labels};
    struct instance *last;
    bool more = true;

    empty(x);
    for (size_t at = 0; at < n && more;) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t line = nl ? (size_t)(nl - text) + 1 - at : n - at;

        if (!at && labels && !listing_label(text, line, "class label:"))
            buf_add(&x->item[0].output, text, line); // behind the label that was given
        else
            more = take_line(&r, text + at, line);
        at += line;
    }
    if (more && x->n < r.most)
        finish(&r);
    if (!x->n)
        return;
    last = &x->item[x->n - 1];
    if (!labels && !r.marked) { // a bare answer
        struct buf b = last->output;

        last->output = last->input;
        last->input = b;
    }
    if (given) {
        buf_reset(&last->input);
        buf_add(&last->input, given->p, given->n);
    }
    last->truncated = cut && more;
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->n == b->n && !memcmp(buf_cstr(a), buf_cstr(b), a->n);
}

static bool ends_with_colon(const struct buf *b)
{
    return b->n && b->p[b->n - 1] == ':';
}

/* Among those that no rule has dropped. */
static bool conflict(const struct instances *x)
{
    for (int k = 0; k < x->n; k++)
        for (int m = 0; m < k; m++)
            if (!x->item[k].rule && !x->item[m].rule && x->item[k].input.n &&
                same(&x->item[k].input, &x->item[m].input) &&
                !same(&x->item[k].output, &x->item[m].output))
                return true;
    return false;
}

/* Whether instance i breaks rule number `rule`. */
static bool breaks(const struct instances *x, int i, int rule)
{
    const struct instance *a = &x->item[i];

    switch (rule) {
    case 0:
        return a->truncated;
    case 1:
        return !a->output.n;
    case 2:
        return same(&a->input, &a->output);
    case 3:
        return ends_with_colon(&a->input) || ends_with_colon(&a->output);
    case CONFLICT:
        return false; // a rule of them all
    default:
        for (int k = 0; k < i; k++)
            if (!x->item[k].rule && same(&a->input, &x->item[k].input) &&
                same(&a->output, &x->item[k].output))
                return true;
        return false;
    }
}

static bool is_off(const char *name, const char *const *off, int n_off)
{
    for (int k = 0; k < n_off; k++)
        if (!strcmp(name, off[k]))
            return true;
    return false;
}

int instances_check(struct instances *x, const char *const *off, int n_off)
{
    int left = x->n;

    for (int rule = 0; instances_rule_names[rule]; rule++) {
        const char *name = instances_rule_names[rule];
        bool all = rule == CONFLICT && conflict(x);

        if (is_off(name, off, n_off))
            continue;
        for (int i = 0; i < x->n; i++) {
            if (x->item[i].rule || !(all || breaks(x, i, rule)))
                continue;
            x->item[i].rule = name;
            left--;
        }
    }
    return left;
}

void instances_free(struct instances *x)
{
    for (int i = 0; i < INSTANCES_MAX; i++) {
        buf_free(&x->item[i].input);
        buf_free(&x->item[i].output);
    }
    *x = (struct instances){0};
}
