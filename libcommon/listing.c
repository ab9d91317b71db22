/* listing.c - lists of tasks as prompts show them and models go on with them. */
#include "listing.h"

#include "prompt.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A model may skip a number; what is further away is no item's. */
enum { SKIP = 7 };

static const char no_input[] = "<noinput>";

void listing_put(enum listing_form form, int number, const char *text, size_t n, const char *output,
                 struct buf *out)
{
    const char *inst, *input;
    size_t n_inst, n_input;

    if (form != LISTING_ALPACA) {
        buf_fmt(out, "%s%d. ", out->n ? "\n" : "", number);
        buf_add(out, text, n);
        return;
    }
    prompt_split_task(text, n, &inst, &n_inst, &input, &n_input);
    buf_fmt(out, "%s###\n%d. Instruction: ", out->n ? "\n" : "", number);
    buf_add(out, inst, n_inst);
    buf_fmt(out, "\n%d. Input:\n", number);
    buf_add(out, input ? input : no_input, input ? n_input : strlen(no_input));
    buf_fmt(out, "\n%d. Output:\n%s", number, output);
}

/* Bytes of the item mark at s ("10. ", "10) ", "10 . "), with its number; 0 when there is none. */
static size_t mark(const char *s, size_t n, int *number)
{
    size_t i = 0;

    for (*number = 0; i < n && i < 6 && isdigit((unsigned char)s[i]); i++)
        *number = *number * 10 + (s[i] - '0');
    if (!i)
        return 0;
    if (i < n && s[i] == ' ')
        i++;
    if (i >= n || (s[i] != '.' && s[i] != ')'))
        return 0;
    i++;
    return i == n || tasks_is_space(s[i]) ? i : 0;
}

size_t listing_label(const char *s, size_t n, const char *label)
{
    int number;
    size_t i = mark(s, n, &number), len = strlen(label);

    while (i < n && (s[i] == ' ' || s[i] == '\t'))
        i++;
    if (n - i < len || strncasecmp(s + i, label, len))
        return 0;
    for (i += len; i < n && (s[i] == ' ' || s[i] == '\t'); i++)
        ;
    return i;
}

/* The line that ends the item at p, or end: of a numbered list the next number's, of Alpaca's
 * "###". *next: where the next item begins. own: the number that the list is to begin with, while
 * it may still come; behind the one below it, it is a number inside the item. */
static const char *item_end(enum listing_form form, const char *p, const char *end, int own,
                            int *expect, const char **next)
{
    int before = 0;

    *next = end;
    if (form == LISTING_ONE)
        return end;
    for (const char *nl = p; (nl = memchr(nl, '\n', (size_t)(end - nl))); nl++) {
        size_t left = (size_t)(end - nl - 1), m;
        int number;
        bool begins;

        if (form == LISTING_ALPACA) {
            if (left >= 3 && !memcmp(nl + 1, "###", 3)) {
                *next = nl + 4;
                return nl;
            }
            continue;
        }
        m = mark(nl + 1, left, &number);
        if (!m)
            continue;
        begins = number == own && before != own - 1;
        before = number;
        if (!begins && (number < *expect || number > *expect + SKIP))
            continue;
        *next = nl + 1 + m;
        *expect = number + 1;
        return nl;
    }
    return end;
}

/* Behind the mark of an item that a text begins with, where the model began the list itself: with
 * the number it was given or near it, or anew with 1. *expect: the number that comes next. */
static const char *skip_mark(enum listing_form form, const char *s, const char *end, int first,
                             int *expect)
{
    size_t n = (size_t)(end - s), m;
    int number;

    tasks_strip(&s, &n);
    if (form == LISTING_ALPACA)
        return n >= 3 && !memcmp(s, "###", 3) ? s + 3 : s;
    m = form == LISTING_NUMBERED ? mark(s, n, &number) : 0;
    if (!m || (number != 1 && (number < first || number > first + SKIP)))
        return s;
    *expect = number + 1;
    return s + m;
}

int listing_split(enum listing_form form, const char *text, size_t n, int first, bool cut,
                  struct listing_item *out)
{
    const char *end = text + n;
    int count = 0, expect = 0, own;
    const char *p = skip_mark(form, text, end, first, &expect);

    own = form == LISTING_NUMBERED && !expect ? first : 0;
    expect = expect ? expect : first + 1;
    while (p < end && count < LISTING_MAX) {
        const char *s = p, *stop = item_end(form, p, end, own, &expect, &p);
        size_t len = (size_t)(stop - s);

        tasks_strip(&s, &len);
        if (len && !(own && stop < end && expect == own + 1)) // else a heading of the list
            out[count++] = (struct listing_item){s, len, cut && stop == end};
        own = 0;
    }
    return count;
}

/* An item of a numbered list, whose lines may be set in below its number: "Input:" begins a line
 * all the same. */
static void take_numbered(const struct listing_item *item, struct tasks_task *t)
{
    static const char label[] = "Input:";
    struct buf b = {0};

    for (size_t i = 0; i < item->n; i++) {
        size_t k = i + 1;

        buf_char(&b, item->text[i]);
        while (item->text[i] == '\n' && k < item->n &&
               (item->text[k] == ' ' || item->text[k] == '\t'))
            k++;
        if (k > i + 1 && item->n - k >= sizeof(label) - 1 &&
            !memcmp(item->text + k, label, sizeof(label) - 1))
            i = k - 1;
    }
    tasks_take(t, buf_cstr(&b), b.n);
    buf_free(&b);
}

/* The part of Alpaca's item that a line begins, and the label's length: 0 instruction, 1 input,
 * 2 output; -1: the line goes on with the part before. */
static int alpaca_part(const char *s, size_t n, size_t *label)
{
    static const char *const name[] = {"Instruction:", "Input:", "Output:"};

    for (int i = 0; i < 3; i++)
        if ((*label = listing_label(s, n, name[i])))
            return i;
    return -1;
}

void listing_take(enum listing_form form, const struct listing_item *item, struct tasks_task *t)
{
    struct buf part[3] = {{0}, {0}, {0}};
    const char *s, *text[3];
    size_t left, n[3];
    int now = 0;

    if (form == LISTING_NUMBERED) {
        take_numbered(item, t);
        return;
    }
    if (form == LISTING_ONE) {
        tasks_take(t, item->text, item->n);
        return;
    }
    for (s = item->text, left = item->n; left;) {
        const char *nl = memchr(s, '\n', left);
        size_t line = nl ? (size_t)(nl - s) + 1 : left, label = 0;
        int x = alpaca_part(s, line, &label);

        now = x > now ? x : now; // never back: a label inside an output is text
        label = x == now ? label : 0;
        buf_add(&part[now], s + label, line - label);
        s += line;
        left -= line;
    }
    for (int i = 0; i < 3; i++) {
        text[i] = buf_cstr(&part[i]);
        n[i] = part[i].n;
        tasks_strip(&text[i], &n[i]);
    }
    if (n[1] >= strlen(no_input) && !strncasecmp(text[1], no_input, strlen(no_input)))
        n[1] = 0;
    tasks_put(t, text[0], n[0], text[1], n[1]);
    buf_add(&t->output, text[2], n[2]);
    for (int i = 0; i < 3; i++)
        buf_free(&part[i]);
}
