/* tasks.c - a task in hand, and the rules that drop it. */
#include "tasks.h"

#include "json.h"
#include "mem.h"
#include "prompt.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

bool tasks_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void tasks_strip(const char **s, size_t *n)
{
    while (*n && tasks_is_space(**s)) {
        ++*s;
        --*n;
    }
    while (*n && tasks_is_space((*s)[*n - 1]))
        --*n;
}

void tasks_put(struct tasks_task *t, const char *inst, size_t n, const char *input, size_t n_input)
{
    struct buf both = {0};

    buf_reset(&t->inst);
    buf_reset(&t->input);
    buf_reset(&t->fold);
    buf_reset(&t->output);
    tasks_strip(&inst, &n);
    buf_add(&t->inst, inst, n);
    if (input)
        buf_add(&t->input, input, n_input);
    buf_add(&both, buf_cstr(&t->inst), t->inst.n);
    buf_char(&both, ' ');
    if (!t->bare)
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

void tasks_text(const struct tasks_task *t, bool line, struct buf *out)
{
    const char *inst = buf_cstr(&t->inst);

    for (size_t i = 0; i < t->inst.n; i++)
        if (!line || !tasks_is_space(inst[i]))
            buf_char(out, inst[i]);
        else if (!tasks_is_space(inst[i - 1])) // there is one before: the text is stripped
            buf_char(out, ' ');
    if (t->input.n)
        buf_fmt(out, "\nInput: ");
    buf_add(out, buf_cstr(&t->input), t->input.n);
}

void tasks_free(struct tasks_task *t)
{
    buf_free(&t->inst);
    buf_free(&t->input);
    buf_free(&t->output);
    buf_free(&t->fold);
}

const char *tasks_load(struct tasks_task *t, struct record *r, struct err *e)
{
    const char *inst, *input, *output;
    size_t n, n_input;

    if (record_text(r, "instruction", &inst, &n, e) < 0)
        return "instruction";
    if (record_text(r, "input", &input, &n_input, e) < 0)
        return "input";
    tasks_put(t, inst, n, input, n_input);
    output = record_str(r, "output", &n);
    if (output)
        buf_add(&t->output, output, n);
    if (t->inst.n)
        return NULL;
    err_set(e, ERR_DATA, "no text in field 'instruction'");
    return "instruction";
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

static const char *const rule_names[] = {"short",     "long",  "incomplete",  "inputs",
                                         "blacklist", "start", "punctuation", NULL};

int tasks_off(struct tasks_off *o, const char *list, const char *const *others, struct err *e)
{
    const char *const *const known[] = {rule_names, others};

    *o = (struct tasks_off){0};
    if (!list)
        return 0;
    o->text = mem_dup(list, strlen(list));
    for (char *save = NULL, *name = strtok_r(o->text, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        struct buf all = {0};
        bool found = false;

        for (int k = 0; k < 2; k++)
            for (int i = 0; known[k][i]; i++) {
                found = found || !strcmp(known[k][i], name);
                buf_fmt(&all, "%s%s", all.n ? ", " : "", known[k][i]);
            }
        if (!found)
            err_set(e, ERR_ARG, "--off: '%s' is not one of %s", name, all.p);
        buf_free(&all);
        if (!found)
            return -1;
        o->name = mem_resize(o->name, (size_t)o->n + 1, sizeof(*o->name));
        o->name[o->n++] = name;
    }
    return 0;
}

void tasks_off_free(struct tasks_off *o)
{
    free(o->name);
    free(o->text);
    *o = (struct tasks_off){0};
}

/* Whether a rule is switched off. */
static bool off(const struct tasks_rules *rules, const char *name)
{
    for (int i = 0; rules->off && i < rules->off->n; i++)
        if (!strcmp(rules->off->name[i], name))
            return true;
    return false;
}

static const char *broken_length(const struct tasks_rules *rules, const struct tasks_task *t,
                                 struct buf *value, struct buf *limit)
{
    int words = words_count(buf_cstr(&t->inst), t->inst.n);
    bool is_short = words < rules->min_words;

    if (is_short ? off(rules, "short") : words <= rules->max_words || off(rules, "long"))
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
    found = off(rules, rule) ? NULL : recipe_held(&rules->blacklist, &fold, NULL);
    if (!found && !off(rules, "start")) {
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
    // ASCII's symbols are punctuation too, as in the published rule: $ + < = > ^ ` | ~
    bool mark = words_class(s, t->inst.n) == 'P' || (*s && strchr("$+<=>^`|~", *s));

    buf_reset(value);
    buf_reset(limit);
    if (truncated)
        return "truncated";
    if (!t->inst.n)
        return "empty";
    rule = broken_length(rules, t, value, limit);
    if (!rule && s[t->inst.n - 1] == ':' && !t->input.n && !off(rules, "incomplete"))
        rule = "incomplete";
    if (!rule && t->input.n && !off(rules, "inputs") &&
        memmem(t->input.p, t->input.n, "\nInput:", 7))
        rule = "inputs";
    if (!rule)
        rule = broken_phrase(rules, t, value);
    if (rule)
        return rule;
    json_put_str(value, s,
                 (size_t)(1 + ((unsigned char)*s >= 0xC0) + ((unsigned char)*s >= 0xE0) +
                          ((unsigned char)*s >= 0xF0)));
    if (mark && !off(rules, "punctuation"))
        return "punctuation";
    if (rules->ascii && (unsigned char)*s >= 0x80)
        return "language";
    buf_reset(value);
    return NULL;
}
