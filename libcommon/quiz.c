/* quiz.c - an answer of which only a few places are open, read as distributions. */
#include "quiz.h"

#include "json.h"
#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A server lists this many tokens of a place at most. Choices that are not among them have together
 * at most this part of the listed ones' probability, or the place cannot be read. */
enum { LISTED = 20 };
static const double LOST = 0.001;

/* ---- opening ---- */

/* The first {{name}} of the text, or NULL. */
static const char *find_place(const char *text, const char *name)
{
    struct buf b = {0};
    const char *at;

    buf_fmt(&b, "{{%s}}", name);
    at = text ? strstr(text, b.p) : NULL;
    buf_free(&b);
    return at;
}

static const char *assistant(const struct quiz *q)
{
    return q->turned ? q->turned : q->recipe.prompt.assistant;
}

/* Which place stands where, and the texts before them. */
static int find_places(struct quiz *q, struct err *e)
{
    const struct quiz_form *f = q->form;
    const char *text = assistant(q), *at[QUIZ_PLACES];

    for (int i = 0; i < f->n_places; i++) {
        at[i] = find_place(text, f->place[i]);
        if (!at[i])
            return err_set(e, ERR_DATA, "%s: 'assistant' has no place for {{%s}}", q->recipe.path,
                           f->place[i]);
    }
    for (int i = 0; i < f->n_places; i++) {
        int before = 0;
        size_t n = (size_t)(at[i] - text), bare = n;

        for (int k = 0; k < f->n_places; k++)
            before += at[k] < at[i];
        while (bare && text[bare - 1] == ' ')
            bare--;
        q->order[before] = i;
        q->upto[before] = mem_dup(text, n);
        q->bare[before] = bare;
    }
    return 0;
}

/* The lines of the answer, the last one first. */
static int turn(struct quiz *q, struct err *e)
{
    const char *text = q->recipe.prompt.assistant;
    size_t end = text ? strlen(text) : 0;
    struct buf b = {0};
    int lines = 0;

    while (end && text[end - 1] == '\n')
        end--;
    for (size_t from = end; end; end = from ? from - 1 : 0, from = end, lines++) {
        char *line;
        int places = 0;

        while (from && text[from - 1] != '\n')
            from--;
        line = mem_dup(text + from, end - from);
        for (int i = 0; i < q->form->n_places; i++)
            places += find_place(line, q->form->place[i]) != NULL;
        buf_fmt(&b, "%s%s", b.n ? "\n" : "", line);
        free(line);
        if (places != 1) {
            buf_free(&b);
            return err_set(e, ERR_DATA, "%s: a line of 'assistant' has not just one place",
                           q->recipe.path);
        }
    }
    q->turned = b.p;
    return 0;
}

/* The form's choices, or those that the file names. */
static int find_choices(struct quiz *q, struct err *e)
{
    const struct conf *list = conf_get(q->recipe.prompt.conf, "choices");
    int n = 0;

    for (; n < q->form->n_choices && !list; n++)
        q->choice[n] = q->form->choice[n];
    for (const struct conf *c = list ? list->child : NULL; c; c = c->next, n++)
        if (n < q->form->n_choices)
            q->choice[n] = c->value && *c->value ? c->value : NULL;
    for (int i = 0; i < q->form->n_choices; i++)
        if (n != q->form->n_choices || !q->choice[i])
            return err_set(e, ERR_DATA, "%s: 'choices' are not %d texts", q->recipe.path,
                           q->form->n_choices);
    return 0;
}

int quiz_open(struct quiz *q, const struct quiz_form *f, const char *set, const char *name,
              bool turned, struct err *e)
{
    static const char *const keys[] = {"choices", NULL};
    const char *names[QUIZ_VARS + QUIZ_PLACES + 1] = {NULL};
    int n = 0;

    *q = (struct quiz){.form = f};
    if (recipe_open(&q->recipe, set, name, keys, &cli_sample_unset, &cli_sample_default, e))
        return -1;
    for (int i = 0; i < f->n_given; i++)
        names[n++] = f->given[i];
    for (int i = 0; i < f->n_places; i++)
        names[n++] = f->place[i];
    return recipe_names(&q->recipe, names, e) || find_choices(q, e) || (turned && turn(q, e)) ||
                   find_places(q, e)
               ? -1
               : 0;
}

void quiz_close(struct quiz *q)
{
    recipe_close(&q->recipe);
    for (int i = 0; i < QUIZ_PLACES; i++)
        free(q->upto[i]);
    free(q->turned);
    *q = (struct quiz){0};
}

void quiz_ask_free(struct quiz_ask *a)
{
    session_prompt_free(&a->prompt);
    tok_ids_free(&a->ids);
}

/* ---- a model of our own ---- */

/* The variables: what is given, and the choice[place] at every place. */
static int fill_vars(const struct quiz *q, const struct quiz_ask *a, const int *choice,
                     struct prompt_var *v)
{
    const struct quiz_form *f = q->form;
    int n = 0;

    for (int i = 0; i < f->n_given; i++)
        v[n++] = (struct prompt_var){f->given[i], a->text[i], a->n_text[i]};
    for (int i = 0; i < f->n_places; i++)
        v[n++] =
            (struct prompt_var){f->place[i], q->choice[choice[i]], strlen(q->choice[choice[i]])};
    return n;
}

static int encode(const struct quiz *q, const struct quiz_ask *a, const struct session *s,
                  const int *choice, struct tok_ids *out, struct err *e)
{
    struct prompt_var v[QUIZ_VARS + QUIZ_PLACES];
    struct prompt whole = q->recipe.prompt;

    whole.assistant = assistant(q);
    return prompt_encode(&whole, &s->pm, v, fill_vars(q, a, choice, v), out, e);
}

/* The answer with each choice everywhere, in tokens. */
static int encode_all(const struct quiz *q, const struct quiz_ask *a, const struct session *s,
                      struct tok_ids *all, struct err *e)
{
    for (int c = 0; c < q->form->n_choices; c++) {
        int choice[QUIZ_PLACES];

        for (int i = 0; i < q->form->n_places; i++)
            choice[i] = c;
        if (encode(q, a, s, choice, &all[c], e))
            return -1;
        if (all[c].n != all[0].n)
            return err_set(e, ERR_ARG, "the choices '%s' and '%s' have different numbers of tokens",
                           q->choice[0], q->choice[c]);
    }
    return 0;
}

/* Where the encodings differ are the slots; what they share before the first is the prompt
 * (*n_prompt tokens of a->ids), between two the text that follows the first. */
static int find_slots(const struct quiz *q, struct quiz_ask *a, const struct session *s,
                      size_t *n_prompt, struct err *e)
{
    const struct quiz_form *f = q->form;
    struct tok_ids all[QUIZ_CHOICES] = {{0}};
    int n = 0, rc = encode_all(q, a, s, all, e);

    for (size_t i = 0; !rc && i < all[0].n; i++) {
        bool differ = false;

        for (int c = 1; c < f->n_choices; c++)
            differ = differ || all[c].id[i] != all[0].id[i];
        if (!differ)
            continue;
        if (n == f->n_places) {
            rc = err_set(e, ERR_ARG, "the choices '%s' to '%s' are not single tokens", q->choice[0],
                         q->choice[f->n_choices - 1]);
            break;
        }
        *n_prompt = n ? *n_prompt : i;
        a->slot[n] = (struct engine_slot){.choice = a->choice[n], .n_choice = f->n_choices};
        a->slot[n].then = all[0].id + i + 1;
        if (n)
            a->slot[n - 1].n_then = (int)(all[0].id + i - a->slot[n - 1].then);
        for (int c = 0; c < f->n_choices; c++)
            a->choice[n][c] = all[c].id[i];
        n++;
    }
    if (!rc && n < f->n_places)
        rc = err_set(e, ERR_ARG, "the choices '%s' to '%s' are not told apart at %d places",
                     q->choice[0], q->choice[f->n_choices - 1], f->n_places);
    a->ids = all[0];
    for (int c = 1; c < f->n_choices; c++)
        tok_ids_free(&all[c]);
    return rc;
}

int quiz_check(const struct quiz *q, const struct session *s, struct err *e)
{
    struct quiz_ask a = {0};
    struct tok_ids mixed = {0};
    int choice[QUIZ_PLACES] = {0}, rc;
    size_t at = 0;

    for (int i = 0; i < q->form->n_given; i++) {
        a.text[i] = "x";
        a.n_text[i] = 1;
    }
    rc = find_slots(q, &a, s, &at, e);
    for (int i = 0; i < q->form->n_places; i++)
        choice[q->order[i]] = i % q->form->n_choices;
    if (!rc)
        rc = encode(q, &a, s, choice, &mixed, e);
    for (int i = 0; i < q->form->n_places && !rc; i++) {
        rc = mixed.n != a.ids.n || mixed.id[at] != a.choice[i][choice[q->order[i]]];
        at += 1 + (size_t)a.slot[i].n_then;
        if (rc)
            err_set(e, ERR_ARG, "a choice changes how the text after it is cut into tokens");
    }
    quiz_ask_free(&a);
    tok_ids_free(&mixed);
    if (!rc)
        return 0;
    err_wrap(e, "'assistant' cannot be read with this model's tokenizer");
    return err_wrap(e, "%s", q->recipe.path);
}

static int submit_own(const struct quiz *q, struct quiz_ask *a, struct session *s,
                      struct quiz_why *why, struct err *e)
{
    struct engine_request r = {.max_tokens = 1, .key = a->key, .user = a->user};
    size_t n = 0;

    why->rule = "prompt";
    if (find_slots(q, a, s, &n, e))
        return -1;
    r.slot = a->slot;
    r.n_slots = q->form->n_places;
    r.token = a->ids.id;
    r.n_token = (int)n;
    if (!engine_submit(s->en, &r, e))
        return 0;
    why->rule = "context";
    snprintf(why->value, sizeof(why->value), "%zu", a->ids.n);
    snprintf(why->limit, sizeof(why->limit), "%d", engine_ctx(s->en));
    return -1;
}

/* False when a distribution is none. */
static bool read_own(const struct quiz *q, struct quiz_ask *a, const float *p)
{
    const int n = q->form->n_choices;

    for (int i = 0; i < q->form->n_places; i++) {
        double *to = a->p[q->order[i]], total = 0;

        for (int c = 0; c < n; c++)
            total += to[c] = (double)p[i * n + c];
        if (!(total > 0.999 && total < 1.001))
            return false;
    }
    return true;
}

/* ---- a server ---- */

/* Ask for the tokens that may come at place a->at. */
static int submit_server(const struct quiz *q, struct quiz_ask *a, struct session *s,
                         struct quiz_why *why, struct err *e)
{
    struct cli_sample o = cli_sample_default;
    struct prompt_var v[QUIZ_VARS + QUIZ_PLACES];
    struct prompt part = q->recipe.prompt;
    char *text = mem_dup(q->upto[a->at], a->spaced ? strlen(q->upto[a->at]) : q->bare[a->at]);
    struct engine_request r;
    int rc;

    o.temp = 0;
    o.max_tokens = 1;
    o.logprobs = LISTED;
    r = session_request(&o, 0);
    r.key = a->key;
    r.user = a->user;
    part.assistant = text;
    session_prompt_free(&a->prompt);
    rc = session_fill(s, &part, v, fill_vars(q, a, a->top, v), &a->prompt, e);
    a->prompt.forced = true;
    free(text);
    why->rule = "prompt";
    return rc || session_submit(s, &r, &a->prompt, e) ? -1 : 0;
}

/* A token without the blank that it may begin with, "\342\226\201" among them. */
static const char *without_blank(const char *s, size_t *n)
{
    while (*n && *s == ' ') {
        s++;
        --*n;
    }
    if (*n >= 3 && !memcmp(s, "\342\226\201", 3)) {
        s += 3;
        *n -= 3;
    }
    return s;
}

/* The listed tokens of the first place. */
struct listed {
    double p[QUIZ_CHOICES]; // of each choice
    double least;           // of all that are listed
    double best;
    bool blank; // the likeliest one is a blank alone
};

static int read_list(const struct quiz *q, const char *text, size_t n_text, struct listed *l,
                     struct err *e)
{
    struct arena mem = {0};
    struct json j;
    int list = -1, rc = json_parse(&j, &mem, text, n_text, e);

    *l = (struct listed){.least = 1, .best = -1};
    list = rc ? -1 : json_get(&j, json_at(&j, 0, 0), "top");
    for (uint32_t k = (uint32_t)list + 1; list >= 0 && k < j.node[list].next; k = j.node[k].next) {
        double logprob = 0, p;
        size_t n = 0, bare;
        const char *s = json_str(&j, json_get(&j, (int)k, "token"), &mem, &n);

        if (!s || json_num(&j, json_get(&j, (int)k, "logprob"), &logprob))
            continue;
        p = logprob > -700 ? num_exp_d(logprob < 0 ? logprob : 0) : 0;
        bare = n;
        s = without_blank(s, &bare);
        for (int c = 0; c < q->form->n_choices; c++)
            if (bare == strlen(q->choice[c]) && !memcmp(s, q->choice[c], bare))
                l->p[c] += p;
        if (p > l->best) {
            l->best = p;
            l->blank = n && !bare;
        }
        l->least = p < l->least ? p : l->least;
    }
    arena_free(&mem);
    return rc;
}

/* The distribution at place a->at: 1 read, 0 the place is behind a blank, -1 not to be read. */
static int read_server(const struct quiz *q, struct quiz_ask *a, const struct session_result *d,
                       struct quiz_why *why, struct err *e)
{
    const struct quiz_form *f = q->form;
    double *to = a->p[q->order[a->at]], total = 0;
    const char *absent = NULL;
    struct listed l;
    int n_absent = 0, top = 0;

    why->rule = "logprobs";
    if (read_list(q, d->logprobs, d->n_logprobs, &l, e))
        return -1;
    for (int c = 0; c < f->n_choices; c++) {
        total += l.p[c];
        top = l.p[c] > l.p[top] ? c : top;
        if (!(l.p[c] > 0)) {
            n_absent++;
            absent = absent ? absent : q->choice[c];
        }
    }
    if (l.blank && !a->spaced && q->upto[a->at][q->bare[a->at]])
        return 0;
    if (!(total > 0) || n_absent * l.least > LOST * total)
        return err_set(e, ERR_DATA, "'%s' is not among the server's likeliest tokens where %s is",
                       absent ? absent : "", f->place[q->order[a->at]]);
    for (int c = 0; c < f->n_choices; c++)
        to[c] = l.p[c] / total;
    a->top[q->order[a->at]] = top;
    return 1;
}

/* ---- both ---- */

int quiz_submit(const struct quiz *q, struct quiz_ask *a, struct session *s, struct quiz_why *why,
                struct err *e)
{
    *why = (struct quiz_why){0};
    a->at = 0;
    a->spaced = false;
    return s->remote ? submit_server(q, a, s, why, e) : submit_own(q, a, s, why, e);
}

int quiz_take(const struct quiz *q, struct quiz_ask *a, struct session *s,
              const struct session_result *d, struct quiz_why *why, struct err *e)
{
    int rc;

    *why = (struct quiz_why){0};
    if (!d->rule && s->en && read_own(q, a, d->d.p))
        return 1;
    why->rule = d->rule ? d->rule : "logits";
    if (d->rule || s->en)
        return err_set(e, ERR_DATA, "%s", d->why ? d->why : "the model gave no finite logits");
    rc = read_server(q, a, d, why, e);
    if (rc < 0)
        return -1;
    a->spaced = !rc;
    if (rc && ++a->at == q->form->n_places)
        return 1;
    return submit_server(q, a, s, why, e);
}

void quiz_moments(const struct quiz *q, const double *p, double *mean, double *var)
{
    double m = 0, v = 0;

    for (int c = 0; c < q->form->n_choices; c++) {
        m += c * p[c];
        v += c * c * p[c];
    }
    *mean = m;
    *var = v > m * m ? v - m * m : 0;
}
