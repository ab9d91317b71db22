/* recipe.c - a prompt file with the sampling and the word lists of its command. */
#include "recipe.h"

#include "mem.h"
#include "words.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const common[] = {
    "system", "user",  "assistant", "stop",           "max_tokens",       "temp",
    "top_k",  "top_p", "min_p",     "repeat_penalty", "presence_penalty", "frequency_penalty",
    NULL};

static bool is_path(const char *set)
{
    size_t n = strlen(set);

    return strchr(set, '/') || (n > 5 && !strcmp(set + n - 5, ".yaml"));
}

static int find_file(struct recipe *r, const char *set, const char *name, struct err *e)
{
    struct buf b = {0};
    struct err why;
    char *dir;

    if (is_path(set)) {
        r->path = mem_dup(set, strlen(set));
        return 0;
    }
    buf_fmt(&b, "prompts/%s/%s.yaml", set, name);
    r->path = cli_data(b.p, e);
    if (!r->path) {
        buf_reset(&b);
        buf_fmt(&b, "prompts/%s", set);
        dir = cli_data(b.p, &why);
        if (dir)
            err_set(e, ERR_ARG, "--prompts: set '%s' has no file %s.yaml", set, name);
        else
            err_wrap(e, "--prompts: no set '%s'", set);
        free(dir);
    }
    buf_free(&b);
    return r->path ? 0 : -1;
}

static int check_keys(const struct recipe *r, const char *const *keys, struct err *e)
{
    const struct conf *stop = conf_get(r->prompt.conf, "stop");
    const char *all[64];
    int n = 0;

    if (stop && stop->value && *stop->value)
        return err_set(e, ERR_DATA, "%s:%d: 'stop' is not a list", stop->file, stop->line);

    for (int i = 0; common[i]; i++)
        all[n++] = common[i];
    for (int i = 0; keys[i]; i++)
        all[n++] = keys[i];
    all[n] = NULL;
    return conf_only(r->prompt.conf, all, e);
}

/* A value that the command line left out: the file's, else the command's own. */
static int set_int(const struct recipe *r, const char *key, int lo, int hi, int *x, int otherwise,
                   struct err *e)
{
    if (*x >= lo)
        return 0;
    *x = otherwise;
    return conf_int(r->prompt.conf, key, lo, hi, x, e) < 0 ? -1 : 0;
}

static int set_float(const struct recipe *r, const char *key, double lo, double hi, float *x,
                     float otherwise, struct err *e)
{
    double v = (double)otherwise;

    if ((double)*x >= lo)
        return 0;
    if (conf_num(r->prompt.conf, key, lo, hi, &v, e) < 0)
        return -1;
    *x = (float)v;
    return 0;
}

static int set_sample(struct recipe *r, const struct cli_sample *o, struct err *e)
{
    struct cli_sample *s = &r->sample;

    if (set_int(r, "max_tokens", 1, 1 << 24, &s->max_tokens, o->max_tokens, e) ||
        set_float(r, "temp", 0, 100, &s->temp, o->temp, e) ||
        set_int(r, "top_k", 0, 1 << 24, &s->top_k, o->top_k, e) ||
        set_float(r, "top_p", 0, 1, &s->top_p, o->top_p, e) ||
        set_float(r, "min_p", 0, 1, &s->min_p, o->min_p, e) ||
        set_float(r, "repeat_penalty", 0.01, 100, &s->repeat_penalty, o->repeat_penalty, e) ||
        set_float(r, "presence_penalty", -100, 100, &s->presence_penalty, o->presence_penalty, e))
        return -1;
    return set_float(r, "frequency_penalty", -100, 100, &s->frequency_penalty, o->frequency_penalty,
                     e);
}

int recipe_open(struct recipe *r, const char *set, const char *name, const char *const *keys,
                const struct cli_sample *given, const struct cli_sample *otherwise, struct err *e)
{
    *r = (struct recipe){.sample = *given};
    if (find_file(r, set, name, e) || prompt_open(&r->prompt, r->path, e) ||
        check_keys(r, keys, e) || set_sample(r, otherwise, e)) {
        recipe_close(r);
        return -1;
    }
    return 0;
}

void recipe_close(struct recipe *r)
{
    prompt_close(&r->prompt);
    free(r->path);
    *r = (struct recipe){0};
}

int recipe_part(struct recipe *part, const struct recipe *whole, const char *key,
                const struct cli_sample *given, const struct cli_sample *otherwise, struct err *e)
{
    static const char *const none[] = {NULL};
    const struct conf *c = conf_get(whole->prompt.conf, key);

    *part = (struct recipe){.sample = given ? *given : cli_sample_unset, .path = whole->path};
    if (!c)
        return 0;
    part->prompt.conf = (struct conf *)c;
    prompt_texts(&part->prompt, c);
    if (check_keys(part, none, e) || set_sample(part, otherwise, e))
        return -1;
    if (!part->prompt.user)
        return err_set(e, ERR_DATA, "%s:%d: no key 'user'", c->file, c->line);
    return 1;
}

void recipe_part_close(struct recipe *part)
{
    free(part->prompt.stop);
    *part = (struct recipe){0};
}

int recipe_int(const struct recipe *r, const char *key, int lo, int hi, int *x, struct err *e)
{
    return conf_int(r->prompt.conf, key, lo, hi, x, e) < 0 ? -1 : 0;
}

/* A text, or those of a list: filled, each with something, so that optional parts are too. */
static int check_text(const struct conf *c, const struct prompt_var *v, int n, struct err *e)
{
    struct buf b = {0};
    int rc = c->value ? prompt_fill(c->value, v, n, &b, e) : 0;

    buf_free(&b);
    if (rc)
        return err_wrap(e, "%s:%d", c->file, c->line);
    for (const struct conf *x = c->child; x; x = x->next)
        if (check_text(x, v, n, e))
            return -1;
    return 0;
}

int recipe_names_of(const struct conf *c, const char *const *names, struct err *e)
{
    static const char *const key[] = {"system", "user",  "assistant", "stop",
                                      "before", "after", NULL};
    struct prompt_var v[32];
    int n = 0;

    for (; names[n]; n++)
        v[n] = (struct prompt_var){names[n], "x", 1};
    for (int i = 0; key[i]; i++) {
        const struct conf *text = conf_get(c, key[i]);

        if (text && check_text(text, v, n, e))
            return -1;
    }
    return 0;
}

int recipe_names(const struct recipe *r, const char *const *names, struct err *e)
{
    return r->prompt.conf ? recipe_names_of(r->prompt.conf, names, e) : 0;
}

int recipe_shows(const struct recipe *r, const char *name, const char *option, struct err *e)
{
    const char *const text[] = {r->prompt.system, r->prompt.user, r->prompt.assistant};
    struct buf b = {0};
    bool found = false;

    buf_fmt(&b, "{{%s}}", name);
    for (int i = 0; i < 3; i++)
        found = found || (text[i] && strstr(text[i], b.p));
    buf_free(&b);
    return found ? 0 : err_set(e, ERR_ARG, "--%s: %s has no {{%s}}", option, r->path, name);
}

void recipe_print(const struct recipe *r, struct buf *out)
{
    char hex[33];

    hash_hex(r->prompt.hash, hex);
    buf_fmt(out, "\"prompts\":\"%s\"", hex);
}

static int fill_stops(struct recipe_call *c, const struct prompt *p, const struct prompt_var *v,
                      int n, struct err *e)
{
    c->stop = mem_zero((size_t)p->n_stop, sizeof(*c->stop));
    for (; c->n_stop < p->n_stop; c->n_stop++) {
        struct buf b = {0};

        if (prompt_fill(p->stop[c->n_stop], v, n, &b, e)) {
            buf_free(&b);
            return -1;
        }
        buf_add(&b, "", 0);
        c->stop[c->n_stop] = b.p ? b.p : mem_dup("", 0);
    }
    return 0;
}

/* What a call needs besides its prompt. */
static int complete(struct recipe_call *c, const struct session *ses, struct hash128 key,
                    struct err *e)
{
    int ctx = ses->en ? engine_ctx(ses->en) : INT_MAX; // a server says itself what is too long

    c->q.key = key;
    c->q.n_token = (int)c->prompt.ids.n;
    c->q.stop = (const char *const *)c->stop;
    c->q.n_stop = c->n_stop;
    if (c->q.n_token > ctx - c->q.max_tokens)
        return err_set(e, ERR_ARG,
                       "the prompt of %d tokens and %d new ones exceed the context of %d",
                       c->q.n_token, c->q.max_tokens, ctx);
    return 0;
}

/* No prompt: by the variables, which are too long, or by the file. */
static int no_prompt(struct recipe_call *c, const struct recipe *r, struct err *e)
{
    if (e->code != ERR_DATA)
        return err_wrap(e, "%s", r->path);
    c->q.n_token = INT_MAX;
    return -1;
}

int recipe_call(struct recipe_call *c, const struct recipe *r, const struct prompt *p,
                const struct session *ses, const struct prompt_var *v, int n, uint64_t seed,
                struct hash128 key, struct err *e)
{
    *c = (struct recipe_call){.q = session_request(&r->sample, seed)};
    if (session_fill(ses, p, v, n, &c->prompt, e) || fill_stops(c, p, v, n, e))
        return no_prompt(c, r, e);
    return complete(c, ses, key, e);
}

int recipe_turn(struct recipe_call *c, const struct recipe *r, const struct session *ses,
                const struct prompt_var *v, int n, uint64_t seed, struct hash128 key, struct err *e)
{
    const struct prompt *p = &r->prompt;
    struct buf end = {0};

    *c = (struct recipe_call){.q = session_request(&r->sample, seed)};
    if (session_turn(ses, p, conf_str(p->conf, "before", NULL), conf_str(p->conf, "after", NULL), v,
                     n, &c->prompt, &end, &c->q.end_token, e) ||
        fill_stops(c, p, v, n, e)) {
        buf_free(&end);
        return no_prompt(c, r, e);
    }
    if (end.n) {
        c->stop = mem_resize(c->stop, (size_t)c->n_stop + 1, sizeof(*c->stop));
        c->stop[c->n_stop++] = end.p;
    }
    return complete(c, ses, key, e);
}

void recipe_call_free(struct recipe_call *c)
{
    for (int i = 0; i < c->n_stop; i++)
        free(c->stop[i]);
    free(c->stop);
    session_prompt_free(&c->prompt);
    *c = (struct recipe_call){0};
}

int recipe_list(struct recipe_list *l, const struct recipe *r, const char *key, struct err *e)
{
    return recipe_list_of(l, r->prompt.conf, key, e);
}

int recipe_list_of(struct recipe_list *l, const struct conf *c, const char *key, struct err *e)
{
    const struct conf *list = conf_get(c, key);

    *l = (struct recipe_list){0};
    if (!list)
        return 0;
    for (c = list->child; c; c = c->next) {
        struct recipe_phrase *x;

        if (!c->value)
            return err_set(e, ERR_DATA, "%s:%d: '%s' is not a list of texts", c->file, c->line,
                           key);
        l->item = mem_resize(l->item, (size_t)l->n + 1, sizeof(*l->item));
        x = &l->item[l->n++];
        *x = (struct recipe_phrase){.text = c->value};
        words_fold(c->value, strlen(c->value), &x->fold);
    }
    if (list->value && *list->value)
        return err_set(e, ERR_DATA, "%s:%d: '%s' is not a list", list->file, list->line, key);
    return 0;
}

void recipe_list_free(struct recipe_list *l)
{
    for (int i = 0; i < l->n; i++)
        buf_free(&l->item[i].fold);
    free(l->item);
    *l = (struct recipe_list){0};
}

const char *recipe_held(const struct recipe_list *l, const struct buf *text, const struct buf *but)
{
    for (int i = 0; i < l->n; i++) {
        const struct buf *p = &l->item[i].fold;

        if (words_hold(text, p) && !(but && words_hold(but, p)))
            return l->item[i].text;
    }
    return NULL;
}

const char *recipe_begun(const struct recipe_list *l, const struct buf *text)
{
    for (int i = 0; i < l->n; i++) {
        const struct buf *p = &l->item[i].fold;

        if (p->n > 1 && text->n >= p->n && !memcmp(text->p, p->p, p->n))
            return l->item[i].text;
    }
    return NULL;
}
