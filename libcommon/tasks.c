/* tasks.c - tasks out of a numbered list, and the rules that drop them. */
#include "tasks.h"

#include "json.h"
#include "prompt.h"
#include "words.h"

#include <ctype.h>
#include <string.h>

/* A model may skip a number; what is further away is no item's. */
enum { SKIP = 7 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void strip(const char **s, size_t *n)
{
    while (*n && is_space(**s)) {
        ++*s;
        --*n;
    }
    while (*n && is_space((*s)[*n - 1]))
        --*n;
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
    return i == n || is_space(s[i]) ? i : 0;
}

int tasks_split(const char *text, size_t n, int first, bool cut, struct tasks_item *out)
{
    const char *p = text, *end = text + n;
    int count = 0, expect = first + 1;

    while (p < end && count < TASKS_MAX) {
        const char *stop = end, *next = end, *s = p;
        size_t len;

        for (const char *nl = p; (nl = memchr(nl, '\n', (size_t)(end - nl))); nl++) {
            int number;
            size_t m = mark(nl + 1, (size_t)(end - nl - 1), &number);

            if (!m || number < expect || number > expect + SKIP)
                continue;
            stop = nl;
            next = nl + 1 + m;
            expect = number + 1;
            break;
        }
        len = (size_t)(stop - s);
        strip(&s, &len);
        if (len)
            out[count++] = (struct tasks_item){s, len, cut && stop == end};
        p = next;
    }
    return count;
}

void tasks_put(struct tasks_task *t, const char *inst, size_t n, const char *input, size_t n_input)
{
    struct buf both = {0};

    buf_reset(&t->inst);
    buf_reset(&t->input);
    buf_reset(&t->fold);
    strip(&inst, &n);
    for (size_t i = 0; i < n; i++)
        if (!is_space(inst[i]))
            buf_char(&t->inst, inst[i]);
        else if (!is_space(inst[i - 1])) // there is one before: the text is stripped
            buf_char(&t->inst, ' ');
    if (input)
        buf_add(&t->input, input, n_input);
    buf_add(&both, buf_cstr(&t->inst), t->inst.n);
    buf_char(&both, ' ');
    buf_add(&both, buf_cstr(&t->input), t->input.n);
    words_fold(both.p, both.n, &t->fold);
    buf_free(&both);
}

void tasks_take(struct tasks_task *t, const char *text, size_t n)
{
    const char *inst, *input;
    size_t n_inst, n_input;

    prompt_split_task(text, n, &inst, &n_inst, &input, &n_input);
    tasks_put(t, inst, n_inst, input, n_input);
}

void tasks_text(const struct tasks_task *t, struct buf *out)
{
    buf_add(out, buf_cstr(&t->inst), t->inst.n);
    if (t->input.n)
        buf_fmt(out, "\nInput: ");
    buf_add(out, buf_cstr(&t->input), t->input.n);
}

void tasks_free(struct tasks_task *t)
{
    buf_free(&t->inst);
    buf_free(&t->input);
    buf_free(&t->fold);
}

bool tasks_load(struct tasks_task *t, struct record *r)
{
    size_t n, n_input = 0;
    const char *inst = record_str(r, "instruction", &n), *input = record_str(r, "input", &n_input);

    if (!inst)
        return false;
    tasks_put(t, inst, n, input, n_input);
    return t->inst.n > 0;
}

void tasks_lift(struct record *r)
{
    static const char *const part[] = {"input", "output"};
    size_t n;
    const char *raw = record_raw(r, "instances", &n);
    struct json j;
    struct err e;

    if (!raw || record_has(r, "input") || json_parse(&j, &r->mem, raw, n, &e) ||
        !json_is(&j, 0, JSON_ARRAY))
        return;
    for (int i = 0; i < 2; i++) {
        size_t n_text;
        const char *text = json_str(&j, json_get(&j, json_at(&j, 0, 0), part[i]), &r->mem, &n_text);

        if (text && !record_has(r, part[i]))
            record_set_str(r, part[i], text, n_text);
    }
}

static const char *broken_length(const struct tasks_rules *rules, const struct tasks_task *t,
                                 struct buf *value, struct buf *limit)
{
    int words = words_count(buf_cstr(&t->inst), t->inst.n);
    bool is_short = words < rules->min_words;

    if (!is_short && words <= rules->max_words)
        return NULL;
    json_put_int(value, words);
    json_put_int(limit, is_short ? rules->min_words : rules->max_words);
    return is_short ? "short" : "long";
}

/* Phrases are looked for in the instruction alone: an input may be about anything. */
static const char *broken_phrase(const struct tasks_rules *rules, const struct tasks_task *t,
                                 struct buf *value)
{
    const char *rule = "blacklist", *found;
    struct buf fold = {0};

    words_fold(buf_cstr(&t->inst), t->inst.n, &fold);
    found = recipe_held(&rules->blacklist, &fold, NULL);
    if (!found) {
        found = recipe_begun(&rules->starts, &fold);
        rule = "start";
    }
    buf_free(&fold);
    if (!found)
        return NULL;
    json_put_str(value, found, strlen(found));
    return rule;
}

const char *tasks_broken(const struct tasks_rules *rules, const struct tasks_task *t,
                         bool truncated, struct buf *value, struct buf *limit)
{
    const char *s = buf_cstr(&t->inst), *rule;
    char kind = words_class(s, t->inst.n);

    buf_reset(value);
    buf_reset(limit);
    if (truncated)
        return "truncated";
    if (!t->inst.n)
        return "empty";
    rule = broken_length(rules, t, value, limit);
    if (!rule && s[t->inst.n - 1] == ':' && !t->input.n)
        rule = "incomplete";
    if (!rule && t->input.n && memmem(t->input.p, t->input.n, "\nInput:", 7))
        rule = "inputs";
    if (!rule)
        rule = broken_phrase(rules, t, value);
    if (rule)
        return rule;
    json_put_str(value, s,
                 (size_t)(1 + ((unsigned char)*s >= 0xC0) + ((unsigned char)*s >= 0xE0) +
                          ((unsigned char)*s >= 0xF0)));
    if (kind == 'P')
        return "punctuation";
    if (rules->ascii && (unsigned char)*s >= 0x80)
        return "language";
    buf_reset(value);
    return NULL;
}
