/* questions.c - what the model is asked about a new task. */
#include "questions.h"

#include "mem.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSIFY_TOKENS = 8, INSTANCE_TOKENS = 350 };

int questions_open(struct questions *q, const struct recipe *r, int most, struct err *e)
{
    static const char *const names[] = {"instruction", "input", "number", NULL};
    struct cli_sample own = cli_sample_default;
    int first, output, classify;

    *q = (struct questions){.most = most};
    own.temp = 0;
    own.max_tokens = INSTANCE_TOKENS;
    first = recipe_part(&q->input_first, r, "input_first", NULL, &own, e);
    output = first < 0 ? -1 : recipe_part(&q->output_first, r, "output_first", NULL, &own, e);
    own.max_tokens = CLASSIFY_TOKENS;
    classify = output < 0 ? -1 : recipe_part(&q->classify, r, "classify", NULL, &own, e);
    if (classify < 0 || recipe_names(&q->input_first, names, e) ||
        recipe_names(&q->output_first, names, e) || recipe_names(&q->classify, names, e) ||
        recipe_list(&q->yes, r, "yes", e))
        return -1;
    q->has_classify = classify;
    q->has_output_first = output;
    return first ? 0 : err_set(e, ERR_ARG, "--instances: %s has no key 'input_first'", r->path);
}

void questions_close(struct questions *q)
{
    recipe_part_close(&q->classify);
    recipe_part_close(&q->input_first);
    recipe_part_close(&q->output_first);
    recipe_list_free(&q->yes);
    *q = (struct questions){0};
}

void questions_free(struct question *t)
{
    instances_free(&t->x);
    free(t->why);
    *t = (struct question){0};
}

static void fail(struct question *t, const char *rule, const char *why)
{
    t->rule = rule;
    t->why = mem_dup(why, strlen(why));
}

/* A round of one call a task. */
struct asking {
    const struct questions *q;
    struct question *t;
    bool classify;
};

static bool output_first(const struct questions *q, const struct question *t)
{
    return t->labels > 0 && !t->task->input.n && q->has_output_first;
}

static bool says_yes(const struct questions *q, const char *s, size_t n)
{
    struct buf fold = {0};
    bool yes;

    words_fold(s, n, &fold);
    yes = q->yes.n ? recipe_begun(&q->yes, &fold) != NULL
                   : fold.n >= 5 && !memcmp(fold.p, " yes ", 5);
    buf_free(&fold);
    return yes;
}

static void keep(void *with, int i, const struct session_result *d)
{
    struct asking *a = with;
    struct question *t = &a->t[i];
    const struct engine_result *r = &d->d;

    if (d->rule)
        fail(t, d->rule, d->why);
    else if (a->classify)
        t->labels = says_yes(a->q, r->text, r->n_text);
    else
        instances_read(&t->x, r->text, r->n_text, t->task->input.n ? &t->task->input : NULL,
                       output_first(a->q, t), r->finish == ENGINE_LENGTH, a->q->most);
}

/* The call of one task; what does not fit the context is a failure of the task alone. */
static int build(const struct asking *a, const struct calls *c, struct question *t, uint64_t seed,
                 struct recipe_call *call, struct err *e)
{
    const struct questions *q = a->q;
    const struct recipe *r = a->classify          ? &q->classify
                             : output_first(q, t) ? &q->output_first
                                                  : &q->input_first;
    const struct buf *inst = &t->task->inst, *input = &t->task->input;
    int kind = a->classify;
    char number[16];
    int rc;

    snprintf(number, sizeof(number), "%d", q->most);
    rc = recipe_call(call, r, &r->prompt, c->ses,
                     (struct prompt_var[]){{"instruction", buf_cstr(inst), inst->n},
                                           {"input", buf_cstr(input), input->n},
                                           {"number", number, strlen(number)}},
                     3, seed, hash_add(t->key, &kind, sizeof(kind)), e);
    if (!rc || !call->q.n_token)
        return rc;
    fail(t, "context", e->msg);
    return 0;
}

static int ask(const struct asking *a, const struct calls *c, int n, uint64_t seed, struct err *e)
{
    struct recipe_call *call = mem_zero((size_t)n, sizeof(*call));
    struct recipe_call **asked = mem_zero((size_t)n, sizeof(*asked));
    int rc = 0;

    for (int i = 0; i < n && !rc; i++) {
        struct question *t = &a->t[i];

        if (t->rule || (a->classify && t->labels >= 0))
            continue;
        rc = build(a, c, t, seed, &call[i], e);
        asked[i] = t->rule ? NULL : &call[i];
    }
    if (!rc)
        rc = calls_run(c, asked, n, keep, (void *)a, e);
    for (int i = 0; i < n; i++)
        recipe_call_free(&call[i]);
    free(call);
    free(asked);
    return rc;
}

int questions_ask(const struct questions *q, const struct calls *c, struct question *t, int n,
                  uint64_t seed, struct err *e)
{
    struct asking a = {.q = q, .t = t, .classify = true};
    int rc = q->has_classify ? ask(&a, c, n, seed, e) : 1;

    a.classify = false;
    return rc == 1 ? ask(&a, c, n, seed, e) : rc;
}
