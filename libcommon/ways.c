/* ways.c - the operators that rewrite an instruction, and the rules that refuse the result. */
#include "ways.h"

#include "conf.h"
#include "json.h"
#include "mem.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* A refusal is short; a long text that says sorry may be about something else. */
enum { SORRY_WORDS = 80 };

const char *const ways_keys[] = {"operators", "equal", "leaks", "refusals", NULL};

static int load(struct ways *w, const struct recipe *r, const struct conf *c, struct err *e)
{
    static const char *const keys[] = {"method", "user", "weight", NULL};
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
    x->prompt.user = conf_str(c, "user", x->prompt.user);
    return conf_num(c, "weight", 0, 1e6, &x->weight, e) < 0 ? -1 : 0;
}

static int unknown(const struct ways *w, const char *name, size_t n, struct err *e)
{
    struct buf all = {0};

    for (int i = 0; i < w->n; i++)
        buf_fmt(&all, "%s%s", i ? ", " : "", w->way[i].name);
    err_set(e, ERR_ARG, "--operators: '%.*s' is not one of %s", (int)n, name, buf_cstr(&all));
    buf_free(&all);
    return -1;
}

static struct way *find(const struct ways *w, const char *name, size_t n)
{
    for (int i = 0; i < w->n; i++)
        if (strlen(w->way[i].name) == n && !memcmp(w->way[i].name, name, n))
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

static int load_equal(struct ways *w, const struct recipe *r, struct err *e)
{
    static const char *const keys[] = {"system", "user", NULL};
    const struct conf *c = conf_get(r->prompt.conf, "equal");

    if (!c)
        return 0;
    if (conf_only(c, keys, e))
        return -1;
    w->equal.system = conf_str(c, "system", NULL);
    w->equal.user = conf_str(c, "user", NULL);
    w->asks_equal = w->equal.user != NULL;
    return w->asks_equal ? 0 : err_set(e, ERR_DATA, "%s:%d: no key 'user'", c->file, c->line);
}

int ways_open(struct ways *w, const struct recipe *r, const char *list, struct err *e)
{
    const struct conf *ops = conf_get(r->prompt.conf, "operators");

    if (w->min_words > w->max_words)
        return err_set(e, ERR_ARG, "--min-words %d exceeds --max-words %d", w->min_words,
                       w->max_words);
    if (!ops || !ops->child)
        return err_set(e, ERR_DATA, "%s: no operator under 'operators'", r->path);
    for (const struct conf *c = ops->child; c; c = c->next)
        if (load(w, r, c, e))
            return -1;
    if ((list && choose(w, list, e)) || load_equal(w, r, e) ||
        recipe_list(&w->leaks, r, "leaks", e) || recipe_list(&w->refusals, r, "refusals", e))
        return -1;
    for (int i = 0; i < w->n; i++)
        w->total += w->way[i].weight;
    return w->total > 0 ? 0 : err_set(e, ERR_ARG, "no operator has a weight above 0");
}

void ways_close(struct ways *w)
{
    recipe_list_free(&w->leaks);
    recipe_list_free(&w->refusals);
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

static const char *broken_phrase(const struct ways *w, const struct tasks_task *now,
                                 const struct tasks_task *next, int words, struct buf *value)
{
    const char *rule = "leak", *found = recipe_held(&w->leaks, &next->fold, &now->fold);

    if (!found && words < SORRY_WORDS) {
        rule = "refusal";
        found = recipe_held(&w->refusals, &next->fold, &now->fold);
    }
    if (!found)
        return NULL;
    json_put_str(value, found, strlen(found));
    return rule;
}

const char *ways_broken(const struct ways *w, const struct tasks_task *now,
                        const struct tasks_task *next, bool cut, struct buf *value,
                        struct buf *limit)
{
    int words = words_count(buf_cstr(&next->inst), next->inst.n);
    const char *rule;

    if (cut)
        return "truncated";
    if (!next->inst.n)
        return "empty";
    if (next->fold.n == now->fold.n && !memcmp(next->fold.p, now->fold.p, now->fold.n))
        return "unchanged";
    rule = broken_phrase(w, now, next, words, value);
    if (rule || (words >= w->min_words && words <= w->max_words))
        return rule;
    json_put_int(value, words);
    json_put_int(limit, words < w->min_words ? w->min_words : w->max_words);
    return words < w->min_words ? "short" : "long";
}
