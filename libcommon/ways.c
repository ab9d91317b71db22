/* ways.c - the operators that rewrite, and the rules that refuse the result. */
#include "ways.h"

#include "conf.h"
#include "json.h"
#include "mem.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* A refusal is short; a long text that says sorry may be about something else. */
enum { SORRY_WORDS = 80, EQUAL_TOKENS = 8 };

const char *const ways_keys[] = {"operators", "equal",    "answer",    "response",
                                 "leaks",     "refusals", "stopwords", NULL};

const char *const ways_rule_names[WAYS_RULES] = {"truncated", "empty", "unchanged", "leak",
                                                 "refusal",   "short", "long",      "equal",
                                                 "context",   "sorry", "stopwords"};

/* What stands in texts that rewrite, that compare, and that are answered. */
static const char *const names_task[] = {"task",  "operator", "method", "instruction",
                                         "input", "output",   NULL};
static const char *const names_equal[] = {"first", "second", NULL};
static const char *const names_answer[] = {"instruction", "input", NULL};

static int load_of(struct ways *w, struct way *x, const struct recipe *r, const struct conf *c,
                   struct err *e)
{
    const char *of = conf_str(c, "of", "instruction");

    x->response = !strcmp(of, "response");
    if (!x->response && strcmp(of, "instruction"))
        return err_set(e, ERR_DATA, "%s:%d: 'of' is not instruction or response", c->file, c->line);
    x->prompt = x->response ? w->response.prompt : r->prompt;
    x->prompt.user = conf_str(c, "user", x->prompt.user);
    if (!x->prompt.user)
        return err_set(e, ERR_DATA, "%s:%d: no key 'user', and none in 'response'", c->file,
                       c->line);
    return 0;
}

static int load(struct ways *w, const struct recipe *r, const struct conf *c, struct err *e)
{
    static const char *const keys[] = {"method", "user", "weight", "of", "leaks", NULL};
    struct way *x;

    if (!c->key)
        return err_set(e, ERR_DATA, "%s:%d: an operator has no name", c->file, c->line);
    if (!c->value && conf_only(c, keys, e))
        return -1;
    w->way = mem_resize(w->way, (size_t)w->n + 1, sizeof(*w->way));
    x = &w->way[w->n++];
    *x = (struct way){.name = c->key, .method = c->value, .prompt = r->prompt, .weight = 1};
    if (c->value)
        return 0;
    x->method = conf_str(c, "method", "");
    return load_of(w, x, r, c, e) || recipe_names_of(c, names_task, e) ||
                   recipe_list_of(&x->leaks, c, "leaks", e) ||
                   conf_num(c, "weight", 0, 1e6, &x->weight, e) < 0
               ? -1
               : 0;
}

static int unknown(const struct ways *w, const char *name, size_t n, struct err *e)
{
    struct buf all = {0};

    for (int i = 0; i < w->n; i++)
        if (w->way[i].response == w->on_response)
            buf_fmt(&all, "%s%s", all.n ? ", " : "", w->way[i].name);
    err_set(e, ERR_ARG, "--operators: '%.*s' is not one of %s", (int)n, name, buf_cstr(&all));
    buf_free(&all);
    return -1;
}

static struct way *find(const struct ways *w, const char *name, size_t n)
{
    for (int i = 0; i < w->n; i++)
        if (w->way[i].response == w->on_response && strlen(w->way[i].name) == n &&
            !memcmp(w->way[i].name, name, n))
            return &w->way[i];
    return NULL;
}

/* Only the operators of the list, with its weights. */
static int choose(struct ways *w, const char *s, struct err *e)
{
    for (int i = 0; i < w->n; i++)
        w->way[i].weight = 0;
    while (*s) {
        size_t n = strcspn(s, ",:");
        struct way *x = find(w, s, n);
        char *end;

        if (!x)
            return unknown(w, s, n, e);
        x->weight = 1;
        if (s[n] == ':') {
            x->weight = strtod(s + n + 1, &end);
            if (end == s + n + 1 || (*end && *end != ',') || !(x->weight >= 0 && x->weight <= 1e6))
                return err_set(e, ERR_ARG,
                               "--operators: the weight of '%s' is not a number in 0..1e6",
                               x->name);
            n = (size_t)(end - s);
        }
        s += n + (s[n] == ',');
    }
    return 0;
}

/* The further prompts of the file. */
static int load_parts(struct ways *w, const struct recipe *r, const struct cli_sample *given,
                      struct err *e)
{
    struct cli_sample own = cli_sample_default;
    int equal, answer, response;

    own.max_tokens = 512;
    response = recipe_part(&w->response, r, "response", given, &own, e);
    answer = response < 0 ? -1 : recipe_part(&w->answer, r, "answer", NULL, &own, e);
    own.temp = 0;
    own.max_tokens = EQUAL_TOKENS;
    equal = answer < 0 ? -1 : recipe_part(&w->equal, r, "equal", NULL, &own, e);
    if (equal < 0 || recipe_names(r, names_task, e) || recipe_names(&w->response, names_task, e) ||
        recipe_names(&w->answer, names_answer, e) || recipe_names(&w->equal, names_equal, e))
        return -1;
    if (!response) // operators that all have a `user` of their own
        w->response.sample = r->sample;
    w->asks_equal = equal && !w->on_response;
    w->has_answer = answer;
    return 0;
}

int ways_open(struct ways *w, const struct recipe *r, const char *list, bool on_response,
              const struct cli_sample *given, struct err *e)
{
    const struct conf *ops = conf_get(r->prompt.conf, "operators");

    w->on_response = on_response;
    if (w->min_words > w->max_words)
        return err_set(e, ERR_ARG, "--min-words %d exceeds --max-words %d", w->min_words,
                       w->max_words);
    if (!ops || !ops->child)
        return err_set(e, ERR_DATA, "%s: no operator under 'operators'", r->path);
    if (load_parts(w, r, given, e))
        return -1;
    for (const struct conf *c = ops->child; c; c = c->next)
        if (load(w, r, c, e))
            return -1;
    if ((list && choose(w, list, e)) || recipe_list(&w->leaks, r, "leaks", e) ||
        recipe_list(&w->refusals, r, "refusals", e) ||
        recipe_list(&w->stopwords, r, "stopwords", e))
        return -1;
    for (int i = 0; i < w->n; i++) {
        if (w->way[i].response != on_response)
            w->way[i].weight = 0;
        w->total += w->way[i].weight;
    }
    return w->total > 0 ? 0
                        : err_set(e, ERR_ARG, "%s: no operator of %s has a weight above 0", r->path,
                                  on_response ? "responses" : "instructions");
}

void ways_close(struct ways *w)
{
    recipe_list_free(&w->leaks);
    recipe_list_free(&w->refusals);
    recipe_list_free(&w->stopwords);
    for (int i = 0; i < w->n; i++)
        recipe_list_free(&w->way[i].leaks);
    recipe_part_close(&w->equal);
    recipe_part_close(&w->answer);
    recipe_part_close(&w->response);
    free(w->way);
    *w = (struct ways){0};
}

int ways_draw(const struct ways *w, const struct rng *r, uint64_t at)
{
    double x = rng_unit(r, at, 0) * w->total;
    int found = 0;

    for (int i = 0; i < w->n && x >= 0; i++) {
        x -= w->way[i].weight;
        found = w->way[i].weight > 0 ? i : found;
    }
    return found;
}

/* Only stop words and punctuation. */
static bool only_stopwords(const struct ways *w, const char *s, size_t n)
{
    struct buf word = {0};
    size_t at = 0;
    bool only = true;

    while (only && words_next(s, n, &at, &word)) {
        struct buf fold = {0};

        words_fold(word.p, word.n, &fold);
        only = false;
        for (int i = 0; i < w->stopwords.n && !only; i++) {
            const struct buf *x = &w->stopwords.item[i].fold;

            only = x->n == fold.n && !memcmp(x->p, fold.p, fold.n);
        }
        buf_free(&fold);
    }
    buf_free(&word);
    return only;
}

enum ways_rule ways_answer(const struct ways *w, const char *s, size_t n, struct buf *value)
{
    struct buf fold = {0};
    const char *found;

    if (only_stopwords(w, s, n))
        return WAYS_STOPWORDS;
    words_fold(s, n, &fold);
    found = words_count(s, n) < SORRY_WORDS ? recipe_held(&w->refusals, &fold, NULL) : NULL;
    buf_free(&fold);
    if (!found)
        return WAYS_NONE;
    json_put_str(value, found, strlen(found));
    return WAYS_SORRY;
}

/* Phrases of prompts that leaked into the words of `next`, or of a model that refuses. */
static enum ways_rule broken_phrase(const struct ways *w, const struct way *x,
                                    const struct buf *now, const struct buf *next,
                                    struct buf *value)
{
    enum ways_rule rule = WAYS_LEAK;
    const char *found = recipe_held(&w->leaks, next, now);

    if (!found)
        found = recipe_held(&x->leaks, next, now);
    if (!found && !x->response) {
        rule = WAYS_REFUSAL;
        found = recipe_begun(&w->refusals, now) ? NULL : recipe_begun(&w->refusals, next);
    }
    if (!found)
        return WAYS_NONE;
    json_put_str(value, found, strlen(found));
    return rule;
}

/* What holds for instructions and responses. */
static enum ways_rule broken_text(const struct ways *w, const struct way *x, const struct buf *text,
                                  const struct buf *now, const struct buf *next, bool cut,
                                  struct buf *value)
{
    if (cut)
        return WAYS_TRUNCATED;
    if (!text->n)
        return WAYS_EMPTY;
    if (next->n == now->n && !memcmp(next->p, now->p, now->n))
        return WAYS_UNCHANGED;
    return broken_phrase(w, x, now, next, value);
}

static enum ways_rule broken_response(const struct ways *w, const struct way *x,
                                      const struct buf *now, const struct buf *next, bool cut,
                                      struct buf *value)
{
    struct buf a = {0}, b = {0};
    enum ways_rule rule;

    words_fold(buf_cstr(now), now->n, &a);
    words_fold(buf_cstr(next), next->n, &b);
    rule = broken_text(w, x, next, &a, &b, cut, value);
    buf_free(&a);
    buf_free(&b);
    return rule == WAYS_NONE ? ways_answer(w, next->p, next->n, value) : rule;
}

enum ways_rule ways_broken(const struct ways *w, const struct way *x, const struct tasks_task *now,
                           const struct tasks_task *next, bool cut, struct buf *value,
                           struct buf *limit)
{
    enum ways_rule rule;
    int words;

    if (x->response)
        return broken_response(w, x, &now->output, &next->output, cut, value);
    rule = broken_text(w, x, &next->inst, &now->fold, &next->fold, cut, value);
    words = words_count(buf_cstr(&next->inst), next->inst.n);
    if (rule != WAYS_NONE || (words >= w->min_words && words <= w->max_words))
        return rule;
    json_put_int(value, words);
    json_put_int(limit, words < w->min_words ? w->min_words : w->max_words);
    return words < w->min_words ? WAYS_SHORT : WAYS_LONG;
}

void ways_stats(const struct ways *w, struct buf *out)
{
    buf_str(out, "\"operators\":{");
    for (int i = 0; i < w->n; i++) {
        const struct way *x = &w->way[i];
        bool first = true;

        if (!x->tried)
            continue;
        json_put_key(out, x->name);
        buf_fmt(out, "{\"tried\":%lld,\"kept\":%lld,\"refused\":{", (long long)x->tried,
                (long long)x->kept);
        for (int k = 0; k < WAYS_RULES; k++) {
            if (!x->refused[k])
                continue;
            buf_fmt(out, "%s\"%s\":%lld", first ? "" : ",", ways_rule_names[k],
                    (long long)x->refused[k]);
            first = false;
        }
        buf_str(out, "}}");
    }
    buf_char(out, '}');
}
