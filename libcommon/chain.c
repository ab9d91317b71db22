/* chain.c - a record and what it becomes, round by round. */
#include "chain.h"

#include "mem.h"
#include "past.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char stage[] = "llm-evol", source[] = "evol";

void chain_close(struct chain *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_rec; i++)
        record_reset(&c->rec[i]);
    for (int i = 0; i < c->n_refused; i++) {
        record_reset(&c->refused[i].r);
        buf_free(&c->refused[i].value);
        buf_free(&c->refused[i].limit);
        free(c->refused[i].why);
    }
    free(c->rec);
    free(c->refused);
    tasks_free(&c->now);
    tasks_free(&c->next);
    buf_free(&c->answer);
    recipe_call_free(&c->call);
    free(c->why);
    free(c);
}

static void fail(struct chain *c, const char *rule, const char *why)
{
    c->why = mem_dup(why, strlen(why));
    c->why_rule = rule;
    c->done = true;
}

/* ---- records ---- */

/* The id of a version: from its parent, the seed and how often that was tried. */
static void derive(const struct chains *g, struct record *r, const char *parent, int tries)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%s:%llu", stage, g->ways->on_response ? ":response" : "",
             (unsigned long long)g->seed);
    record_derive_id(r, parent, name, tries);
}

bool chain_made(const struct chains *g, struct record *r)
{
    size_t n, n_parent;
    const char *from = record_meta_str(r, "source", &n);
    const char *parent = record_meta_str(r, "parent", &n_parent);
    struct record own;
    double tries;
    bool same;

    if (!from || strcmp(from, source) || !parent || record_meta_num(r, "tries", &tries) ||
        !(tries >= 1 && tries <= INT_MAX))
        return false;
    record_new(&own);
    derive(g, &own, parent, (int)tries);
    same = !strcmp(own.id, r->id);
    record_reset(&own);
    return same;
}

/* The record of the version in c->next. */
static void fill_record(const struct chains *g, const struct chain *c, struct record *r)
{
    const char *parent = c->rec[c->n_rec - 1].id, *op = g->ways->way[c->op].name;
    const struct buf *output = g->ways->on_response ? &c->next.output : &c->answer;
    struct buf b = {0};

    record_new(r);
    derive(g, r, parent, c->tries);
    record_set_str(r, "instruction", buf_cstr(&c->next.inst), c->next.inst.n);
    if (c->next.input.n)
        record_set_str(r, "input", c->next.input.p, c->next.input.n);
    if (output->n)
        record_set_str(r, "output", output->p, output->n);
    buf_fmt(&b, "{\"source\":\"%s\",\"parent\":", source);
    json_put_str(&b, parent, strlen(parent));
    json_put_key(&b, "op");
    json_put_str(&b, op, strlen(op));
    buf_fmt(&b, ",\"round\":%d,\"tries\":%d,\"model\":", c->round, c->tries);
    json_put_str(&b, session_model(g->ses), strlen(session_model(g->ses)));
    buf_fmt(&b, ",\"seed\":%llu}", (unsigned long long)g->seed);
    record_set(r, "meta", b.p, b.n);
    buf_free(&b);
}

/* ---- requests ---- */

static int call_rewrite(const struct chains *g, struct chain *c, struct hash128 key, struct err *e)
{
    const struct way *x = &g->ways->way[c->op];
    const struct recipe *r = x->response ? &g->ways->response : g->recipe;
    const struct tasks_task *t = &c->now;
    struct buf task = {0};
    int rc;

    tasks_text(t, false, &task);
    rc = recipe_call(&c->call, r, &x->prompt, g->ses,
                     (struct prompt_var[]){{"task", task.p, task.n},
                                           {"operator", x->name, strlen(x->name)},
                                           {"method", x->method, x->method ? strlen(x->method) : 0},
                                           {"instruction", buf_cstr(&t->inst), t->inst.n},
                                           {"input", buf_cstr(&t->input), t->input.n},
                                           {"output", buf_cstr(&t->output), t->output.n}},
                     6, g->seed, key, e);
    buf_free(&task);
    return rc;
}

static int call_equal(const struct chains *g, struct chain *c, struct hash128 key, struct err *e)
{
    const struct recipe *r = &g->ways->equal;
    struct buf now = {0}, next = {0};
    int rc;

    tasks_text(&c->now, false, &now);
    tasks_text(&c->next, false, &next);
    rc = recipe_call(&c->call, r, &r->prompt, g->ses,
                     (struct prompt_var[]){{"first", now.p, now.n}, {"second", next.p, next.n}}, 2,
                     g->seed, key, e);
    buf_free(&now);
    buf_free(&next);
    return rc;
}

static int call_answer(const struct chains *g, struct chain *c, struct hash128 key, struct err *e)
{
    const struct recipe *r = &g->ways->answer;
    const struct tasks_task *t = &c->next;
    int rc = recipe_call(&c->call, r, &r->prompt, g->ses,
                         (struct prompt_var[]){{"instruction", buf_cstr(&t->inst), t->inst.n},
                                               {"input", buf_cstr(&t->input), t->input.n}},
                         2, g->seed, key, e);

    c->call.q.trim = session_trims(g->ses, true);
    return rc;
}

/* Build the request of a step. *fits: it does not exceed the context. */
static int build(struct chains *g, struct chain *c, enum chain_step step, bool *fits, struct err *e)
{
    static int (*const call[])(const struct chains *, struct chain *, struct hash128,
                               struct err *) = {call_rewrite, call_equal, call_answer};
    const char *id = c->rec[0].id;
    int place[2] = {c->attempts, (int)step}, rc;
    struct hash128 key = hash_add(hash_bytes(stage, sizeof(stage)), id, strlen(id));

    recipe_call_free(&c->call);
    c->step = step;
    rc = call[step](g, c, hash_add(key, place, sizeof(place)), e);
    c->call.q.user = c;
    *fits = !rc;
    c->waits = !rc;
    return rc && !c->call.q.n_token ? -1 : 0; // no prompt at all: no record will do better
}

/* The operator of an attempt is keyed by record and attempt. */
static int draw(const struct chains *g, const struct chain *c)
{
    const char *id = c->rec[0].id;
    struct hash128 h = hash_add(hash_bytes(stage, sizeof(stage)), id, strlen(id));
    struct rng rng = rng_stream(g->seed, h.hi, h.lo);

    return ways_draw(g->ways, &rng, (uint64_t)c->attempts);
}

/* Try the newest version again, in this round or a new one. */
static int attempt(struct chains *g, struct chain *c, bool again, struct err *e)
{
    bool fits;

    if (!again || c->in_round == g->tries) {
        if (c->round == g->rounds) {
            c->done = true;
            return 0;
        }
        c->round++;
        c->in_round = 0;
    }
    c->in_round++;
    c->tries++;
    c->attempts++;
    c->op = draw(g, c);
    buf_reset(&c->answer);
    if (build(g, c, CHAIN_REWRITE, &fits, e))
        return -1;
    if (fits)
        g->ways->way[c->op].tried++;
    else if (c->attempts == 1)
        fail(c, "context", e->msg);
    else
        c->done = true; // what it became is good, only too long to go on with
    return 0;
}

/* ---- results ---- */

/* Put the version in c->next among those that the output will not have. */
static struct chain_refused *set_aside(const struct chains *g, struct chain *c)
{
    struct chain_refused *x;

    c->refused = mem_resize(c->refused, (size_t)c->n_refused + 1, sizeof(*c->refused));
    x = &c->refused[c->n_refused++];
    *x = (struct chain_refused){0};
    fill_record(g, c, &x->r);
    return x;
}

/* No answer came: the record fails, or, when something was made of it, the version in hand. */
static void lose(const struct chains *g, struct chain *c, const struct session_result *d)
{
    const struct tasks_task *t = &c->now;
    struct chain_refused *x;

    if (c->n_rec == 1 && !c->torn) {
        fail(c, d->rule, d->why);
        return;
    }
    if (c->step == CHAIN_REWRITE) { // there is no text: the one that was to be rewritten
        tasks_put(&c->next, buf_cstr(&t->inst), t->inst.n, t->input.n ? t->input.p : NULL,
                  t->input.n);
        buf_add(&c->next.output, buf_cstr(&t->output), t->output.n);
    }
    x = set_aside(g, c);
    x->lost = d->rule;
    x->why = mem_dup(d->why, strlen(d->why));
    x->r.file = c->rec[0].file;
    x->r.line_no = c->rec[0].line_no;
    c->done = true;
}

/* The version in c->next is refused: the one before it stays. */
static int refuse(struct chains *g, struct chain *c, enum ways_rule rule, struct buf *value,
                  struct buf *limit, struct err *e)
{
    struct chain_refused *x = set_aside(g, c);

    x->rule = rule;
    if (value) {
        x->value = *value;
        *value = (struct buf){0};
    }
    if (limit) {
        x->limit = *limit;
        *limit = (struct buf){0};
    }
    g->ways->way[c->op].refused[rule]++;
    return attempt(g, c, true, e);
}

static int accept(struct chains *g, struct chain *c, struct err *e)
{
    struct tasks_task now = c->now;
    struct record r;

    fill_record(g, c, &r);
    c->rec = mem_resize(c->rec, (size_t)c->n_rec + 1, sizeof(*c->rec));
    c->rec[c->n_rec++] = r;
    c->now = c->next;
    c->next = now;
    c->tries = 0;
    g->ways->way[c->op].kept++;
    return attempt(g, c, false, e);
}

/* The next step that c->next needs: is it gained, its answer, or neither. */
static int go_on(struct chains *g, struct chain *c, enum chain_step after, struct err *e)
{
    bool fits;

    if (after == CHAIN_REWRITE && g->ways->asks_equal)
        after = CHAIN_EQUAL;
    else if (after != CHAIN_ANSWER && g->answers)
        after = CHAIN_ANSWER;
    else
        return accept(g, c, e);
    if (build(g, c, after, &fits, e))
        return -1;
    return fits ? 0 : refuse(g, c, WAYS_CONTEXT, NULL, NULL, e);
}

static void take_text(const struct chains *g, struct chain *c, const char *s, size_t n)
{
    const struct tasks_task *t = &c->now;

    if (!g->ways->on_response) {
        tasks_take(&c->next, s, n);
        return;
    }
    tasks_put(&c->next, buf_cstr(&t->inst), t->inst.n, t->input.n ? t->input.p : NULL, t->input.n);
    while (n && strchr(" \t\r\n", *s)) {
        s++;
        n--;
    }
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    buf_add(&c->next.output, s, n);
}

int chain_take(struct chains *g, struct chain *c, const struct session_result *d, struct err *e)
{
    const char *s = d->d.text;
    struct buf value = {0}, limit = {0}, word = {0};
    enum ways_rule rule = WAYS_NONE;
    size_t n = d->d.n_text, at = 0;
    int rc;

    if (d->rule) {
        lose(g, c, d);
        return 0;
    }
    if (c->step == CHAIN_REWRITE) {
        take_text(g, c, s, n);
        rule = ways_broken(g->ways, &g->ways->way[c->op], &c->now, &c->next,
                           d->d.finish == ENGINE_LENGTH, &value, &limit);
    } else if (c->step == CHAIN_EQUAL) { // "Equal" or "Not Equal"
        if (words_next(s, n, &at, &word) && !strcmp(word.p, "equal"))
            rule = WAYS_EQUAL;
    } else {
        buf_add(&c->answer, s, n);
        rule = ways_answer(g->ways, s, n, &value);
    }
    rc = rule == WAYS_NONE ? go_on(g, c, c->step, e) : refuse(g, c, rule, &value, &limit, e);
    buf_free(&value);
    buf_free(&limit);
    buf_free(&word);
    return rc;
}

struct chain *chain_open(struct chains *g, struct record *r, struct err *e)
{
    struct chain *c = mem_zero(1, sizeof(*c));
    const char *field;
    struct err why;

    c->rec = mem_zero(1, sizeof(*c->rec));
    c->rec[c->n_rec++] = *r;
    *r = (struct record){0};
    tasks_lift(&c->rec[0]);
    field = tasks_load(&c->now, &c->rec[0], &why);
    if (field)
        fail(c, field, why.msg);
    else if (g->ways->on_response && !c->now.output.n)
        fail(c, "output", "no text in field 'output'");
    else if (attempt(g, c, false, e)) {
        chain_close(c);
        return NULL;
    }
    return c;
}

/* ---- out ---- */

int chain_write(struct chain *c, struct stream *s, const struct tally *past, struct err *e)
{
    struct record *out = mem_zero((size_t)c->n_rec, sizeof(*out));
    int n = 0, rc = 0;

    for (int i = 0; i < c->n_refused && !rc; i++) {
        struct chain_refused *x = &c->refused[i];

        if (past_has(past, &x->r))
            continue;
        if (x->lost)
            rc = stream_reject(s, &x->r, x->lost, NULL, NULL, x->why, e);
        else
            rc = stream_drop(s, &x->r, ways_rule_names[x->rule], x->value.n ? x->value.p : NULL,
                             x->limit.n ? x->limit.p : NULL, e);
    }
    if (!rc && c->why && !c->torn) {
        rc = stream_reject(s, &c->rec[0], c->why_rule, NULL, NULL, c->why, e);
    } else if (!rc) {
        for (int i = 0; i < c->n_rec; i++)
            if (!c->torn || !past_has(past, &c->rec[i]))
                out[n++] = c->rec[i]; // borrowed
        rc = n ? stream_write_group(s, out, n, e) : 0;
    }
    free(out);
    return rc;
}
