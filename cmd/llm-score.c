/* llm-score.c - five axes and a weighted score for every answer. See llm-score(1).
 *
 * The judge's answer is forced up to each digit; the axis is the expected value
 * of the digits 0..4 under the model's distribution there, so nothing is sampled
 * and nothing has to be parsed. */
#include "cli.h"
#include "mem.h"
#include "recipe.h"
#include "session.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = 5, LEVELS = 5, AHEAD = 8 }; // AHEAD: batches of records held at most

static const char *const axis_name[AXES] = {"helpfulness", "correctness", "coherence", "complexity",
                                            "verbosity"};
static const struct {
    const char *name;
    double w[AXES];
} presets[] = {{"default", {0.30, 0.30, 0.20, 0.10, 0.10}},
               {"nemotron", {0.30, 0.74, 0.46, 0.47, -0.33}}};

struct score {
    struct cli_model model;
    struct stream_opt io;
    struct cli_notes notes;
    const char *prompts, *reference, *weights, *field;
    int max_tokens;
    const struct cli *cli;
    struct session ses;
    struct recipe judge;
    struct stream *s;
    struct cli_progress progress;
    int axis_of[AXES]; // slot -> axis, from the order of the names in the judge's answer
    double weight[AXES];
    struct task *head, **tail; // records in hand, in input order
    int n_tasks;
    int64_t n;                          // scored, and their sums
    double sum[AXES + 1], sq[AXES + 1]; // the axes, and the score
};

/* A record in hand. */
struct task {
    struct record r;
    struct task *next;
    bool judged; // its score is being read; before that it is answered for reference
    bool done;   // scored (written when its turn comes) or rejected
    bool gone;   // rejected
    char *ref;   // the reference answer, or NULL
    size_t n_ref;
    struct engine_slot slot[AXES];
    int32_t choice[AXES][LEVELS];
    struct tok_ids ids; // the forced answer, which the slots' `then` point into
};

static int reject(struct score *g, struct task *t, const char *rule, const char *value,
                  const char *limit, struct err *e)
{
    struct err why = *e;

    t->done = t->gone = true;
    return stream_reject(g->s, &t->r, rule, value, limit, why.msg, e);
}

/* A record's last user message, for records in chat form. */
static const char *last_user(struct record *r, const char *field, size_t *n)
{
    const char *raw, *found = NULL;
    struct json j;
    struct err e;
    size_t n_raw;

    raw = record_raw(r, field, &n_raw);
    if (!raw || json_parse(&j, &r->mem, raw, n_raw, &e) || json_type(&j, 0) != JSON_ARRAY)
        return NULL;
    for (uint32_t k = 1; k < j.node[0].next; k = j.node[k].next) {
        int role = json_get(&j, (int)k, "role"), text = json_get(&j, (int)k, "content");

        role = role < 0 ? json_get(&j, (int)k, "from") : role;
        text = text < 0 ? json_get(&j, (int)k, "value") : text;
        if ((json_str_is(&j, role, "user") || json_str_is(&j, role, "human")) &&
            json_is(&j, text, JSON_STRING))
            found = json_str(&j, text, &r->mem, n);
    }
    return found;
}

static const char *instruction(struct record *r, size_t *n)
{
    const char *s = record_str(r, "instruction", n);

    s = s ? s : last_user(r, "messages", n);
    s = s ? s : last_user(r, "conversations", n);
    return s ? s : record_str(r, "prompt", n);
}

/* The judge's prompt with digit[a] as the answer for axis a. */
static int encode(const struct score *g, const struct task *t, const struct prompt_var *given,
                  const char (*digit)[2], struct tok_ids *out, struct err *e)
{
    struct prompt_var v[4 + AXES];

    memcpy(v, given, 3 * sizeof(*v));
    v[3] = (struct prompt_var){"reference", t ? t->ref : NULL, t ? t->n_ref : 0};
    for (int a = 0; a < AXES; a++)
        v[4 + a] = (struct prompt_var){axis_name[a], digit[a], 1};
    return prompt_encode(&g->judge.prompt, &g->ses.pm, v, 4 + AXES, out, e);
}

/* Encode the judge's answer with each digit everywhere. Where the five differ
 * are the slots; what they share before the first is the prompt (*n_prompt tokens of t->ids),
 * between two the text that follows the first. */
static int find_slots(const struct score *g, struct task *t, const struct prompt_var *given,
                      size_t *n_prompt, struct err *e)
{
    struct tok_ids all[LEVELS] = {{0}};
    int n = 0, rc = 0;

    for (int d = 0; d < LEVELS && !rc; d++) {
        char digit[AXES][2];

        for (int a = 0; a < AXES; a++)
            memcpy(digit[a], (char[2]){(char)('0' + d), 0}, 2);
        rc = encode(g, t, given, (const char(*)[2])digit, &all[d], e);
        if (!rc && all[d].n != all[0].n)
            rc = err_set(e, ERR_ARG, "the digits 0 to 4 have different numbers of tokens");
    }
    for (size_t i = 0; !rc && i < all[0].n; i++) {
        bool differ = false;

        for (int d = 1; d < LEVELS; d++)
            differ = differ || all[d].id[i] != all[0].id[i];
        if (!differ)
            continue;
        if (n == AXES) {
            rc = err_set(e, ERR_ARG, "the digits 0 to 4 are not single tokens");
            break;
        }
        *n_prompt = n ? *n_prompt : i;
        t->slot[n] = (struct engine_slot){.choice = t->choice[n], .n_choice = LEVELS};
        t->slot[n].then = all[0].id + i + 1;
        if (n)
            t->slot[n - 1].n_then = (int)(all[0].id + i - t->slot[n - 1].then);
        for (int d = 0; d < LEVELS; d++)
            t->choice[n][d] = all[d].id[i];
        n++;
    }
    if (!rc && n < AXES)
        rc = err_set(e, ERR_ARG, "the digits 0 to 4 are not told apart at %d places", AXES);
    t->ids = all[0];
    for (int d = 1; d < LEVELS; d++)
        tok_ids_free(&all[d]);
    return rc;
}

/* The judge's prompt must work with this tokenizer: five slots, and digits that do not
 * change how the text around them is cut. */
static int check_judge(const struct score *g, struct err *e)
{
    const struct prompt_var given[] = {
        {"instruction", "x", 1}, {"input", "x", 1}, {"output", "x", 1}};
    struct task t = {0};
    struct tok_ids mixed = {0};
    char digit[AXES][2];
    size_t at = 0;
    int rc = find_slots(g, &t, given, &at, e);

    for (int i = 0; i < AXES; i++)
        memcpy(digit[g->axis_of[i]], (char[2]){(char)('0' + i), 0}, 2);
    if (!rc)
        rc = encode(g, &t, given, (const char(*)[2])digit, &mixed, e);
    for (int i = 0; i < AXES && !rc; i++) {
        rc = mixed.n != t.ids.n || mixed.id[at] != t.choice[i][i];
        at += 1 + (size_t)t.slot[i].n_then;
        if (rc)
            err_set(e, ERR_ARG, "a digit changes how the text after it is cut into tokens");
    }
    tok_ids_free(&t.ids);
    tok_ids_free(&mixed);
    return rc ? err_wrap(e, "'assistant' cannot be read with this model's tokenizer") : 0;
}

/* Which axis stands where in the judge's answer. */
static int find_axes(struct score *g, const char *path, struct err *e)
{
    const char *at[AXES];

    for (int a = 0; a < AXES; a++) {
        struct buf name = {0};

        buf_fmt(&name, "{{%s}}", axis_name[a]);
        at[a] = g->judge.prompt.assistant ? strstr(g->judge.prompt.assistant, name.p) : NULL;
        buf_free(&name);
        if (!at[a])
            return err_set(e, ERR_DATA, "%s: 'assistant' has no place for {{%s}}", path,
                           axis_name[a]);
    }
    for (int a = 0; a < AXES; a++) {
        int before = 0;

        for (int b = 0; b < AXES; b++)
            before += at[b] < at[a];
        g->axis_of[before] = a;
    }
    return 0;
}

static int submit_judge(struct score *g, struct task *t, struct err *e)
{
    struct engine_request q = {
        .max_tokens = 1, .key = t->r.key, .user = t, .slot = t->slot, .n_slots = AXES};
    struct prompt_var v[3] = {{.name = "instruction"}, {.name = "input"}, {.name = "output"}};
    char value[24], limit[24];
    size_t n = 0;

    v[0].text = instruction(&t->r, &v[0].n);
    v[1].text = record_str(&t->r, "input", &v[1].n);
    v[2].text = record_str(&t->r, g->field, &v[2].n);
    t->judged = true;
    if (find_slots(g, t, v, &n, e))
        return reject(g, t, "prompt", NULL, NULL, e);
    q.token = t->ids.id;
    q.n_token = (int)n;
    if (!engine_submit(g->ses.en, &q, e))
        return 0;
    snprintf(value, sizeof(value), "%zu", t->ids.n);
    snprintf(limit, sizeof(limit), "%d", engine_ctx(g->ses.en));
    return reject(g, t, "context", value, limit, e);
}

/* Ask the model itself for a greedy answer, to which the record's will be held. */
static int submit_answer(struct score *g, struct task *t, struct err *e)
{
    struct cli_sample o = cli_sample_default;
    struct engine_request q;
    struct tok_ids ids = {0};
    bool templated = false;
    int rc = prompt_record(&g->ses.pm, &t->r, &ids, &templated, e);

    o.temp = 0;
    o.max_tokens = g->max_tokens;
    q = session_request(&o, g->io.seed);
    q.key = t->r.key;
    q.token = ids.id;
    q.n_token = (int)ids.n;
    q.trim = templated && tok_adds_space(g->ses.pm.tok);
    q.user = t;
    rc = rc                                ? reject(g, t, "prompt", NULL, NULL, e)
         : engine_submit(g->ses.en, &q, e) ? reject(g, t, "context", NULL, NULL, e)
                                           : 0;
    tok_ids_free(&ids);
    return rc;
}

/* Begin with a record just read. */
static int start(struct score *g, struct task *t, struct err *e)
{
    const char *text;
    size_t n;

    if (!instruction(&t->r, &n)) {
        err_set(e, ERR_DATA, "no field 'instruction'");
        return reject(g, t, "instruction", NULL, NULL, e);
    }
    if (!record_str(&t->r, g->field, &n)) {
        err_set(e, ERR_DATA, "no field '%s'", g->field);
        return reject(g, t, "output", NULL, NULL, e);
    }
    if (g->reference && !strcmp(g->reference, "self"))
        return submit_answer(g, t, e);
    text = g->reference ? record_str(&t->r, g->reference, &n) : NULL;
    if (text && n) {
        t->ref = mem_dup(text, n);
        t->n_ref = n;
    }
    return submit_judge(g, t, e);
}

/* Four decimals are more than the scores mean, and keep the records readable. */
static double rounded(double x)
{
    return floor(x * 1e4 + 0.5) / 1e4;
}

static void put_scores(struct score *g, struct task *t, const double *mean, const double *var)
{
    double score = 0, spread = 0;

    for (int a = 0; a < AXES; a++) {
        record_set_num(&t->r, axis_name[a], rounded(mean[a]));
        score += g->weight[a] * mean[a];
        spread += g->weight[a] * g->weight[a] * var[a];
    }
    record_set_num(&t->r, "score", rounded(score / (LEVELS - 1)));
    record_set_num(&t->r, "score_sd", rounded(sqrt(spread) / (LEVELS - 1)));
    record_set_meta_str(&t->r, "weights", g->weights);
    if (g->reference)
        record_set_meta_str(&t->r, "reference", g->reference);
}

/* Expected value and variance of each axis; false when a distribution is none. */
static bool read_scores(const struct score *g, const float *p, double *mean, double *var)
{
    for (int i = 0; i < AXES; i++) {
        double m = 0, v = 0, total = 0;

        for (int d = 0; d < LEVELS; d++) {
            m += d * (double)p[i * LEVELS + d];
            v += d * d * (double)p[i * LEVELS + d];
            total += (double)p[i * LEVELS + d];
        }
        if (!(total > 0.999 && total < 1.001))
            return false;
        mean[g->axis_of[i]] = m;
        var[g->axis_of[i]] = v > m * m ? v - m * m : 0;
    }
    return true;
}

/* A result came: the reference answer, or the scores. */
static int receive(struct score *g, const struct engine_result *d, struct err *e)
{
    struct task *t = d->user;
    double mean[AXES], var[AXES];

    if (d->finish == ENGINE_FAILED || (t->judged && !read_scores(g, d->p, mean, var))) {
        err_set(e, ERR_DATA, "the model gave no finite logits");
        return reject(g, t, "logits", NULL, NULL, e);
    }
    if (!t->judged) {
        t->ref = mem_dup(d->text, d->n_text);
        t->n_ref = d->n_text;
        return submit_judge(g, t, e);
    }
    put_scores(g, t, mean, var);
    t->done = true;
    return 0;
}

static void task_free(struct task *t)
{
    record_reset(&t->r);
    tok_ids_free(&t->ids);
    free(t->ref);
    free(t);
}

static void count(struct score *g, struct task *t)
{
    g->n++;
    for (int a = 0; a <= AXES; a++) {
        double x = 0;

        record_num(&t->r, a < AXES ? axis_name[a] : "score", &x);
        g->sum[a] += x;
        g->sq[a] += x * x;
    }
}

/* Write what is done: in input order, unless --unordered. */
static int write_done(struct score *g, struct err *e)
{
    for (struct task **at = &g->head; *at;) {
        struct task *t = *at;

        if (!t->done && !g->io.unordered)
            return 0;
        if (!t->done) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (g->tail == &t->next)
            g->tail = at;
        g->n_tasks--;
        if (!t->gone)
            count(g, t);
        int rc = t->gone ? 0 : stream_write(g->s, &t->r, e);
        task_free(t);
        if (rc)
            return -1;
    }
    return 0;
}

static int take_in(struct score *g, bool *more, struct err *e)
{
    while (*more && engine_room(g->ses.en) && g->n_tasks < AHEAD * g->model.batch) {
        struct task *t = mem_zero(1, sizeof(*t));
        int rc = stream_read(g->s, &t->r, !engine_busy(g->ses.en), e);

        if (rc != 1)
            task_free(t);
        if (rc < 0)
            return -1;
        *more = rc != 0;
        if (rc != 1)
            return 0;
        *g->tail = t;
        g->tail = &t->next;
        g->n_tasks++;
        if (start(g, t, e))
            return -1;
    }
    return 0;
}

static int set_weights(struct score *g, struct err *e)
{
    const char *s = g->weights;
    char *end;

    for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++)
        if (!strcmp(presets[i].name, s)) {
            memcpy(g->weight, presets[i].w, sizeof(g->weight));
            return 0;
        }
    for (int a = 0; a < AXES; a++, s = end + 1) {
        errno = 0;
        g->weight[a] = strtod(s, &end);
        if (end == s || errno || !(fabs(g->weight[a]) <= 1000) ||
            *end != (a < AXES - 1 ? ',' : '\0'))
            return err_set(e, ERR_ARG,
                           "--weights: '%s' is not default, nemotron or five numbers "
                           "h,c,o,x,v from -1000 to 1000",
                           g->weights);
    }
    return 0;
}

static int open_judge(struct score *g, struct err *e)
{
    static const char *const keys[] = {NULL};
    const char *path;

    if (recipe_open(&g->judge, g->prompts, "judge", keys, &cli_sample_unset, &cli_sample_default,
                    e))
        return -1;
    path = g->judge.path;
    return find_axes(g, path, e) || (check_judge(g, e) && err_wrap(e, "%s", path)) ? -1 : 0;
}

static void put_stats(const struct score *g, struct buf *b)
{
    session_stats(&g->ses, b);
    buf_fmt(b, ",\"scored\":%lld", (long long)g->n);
    for (int k = 0; k < 2; k++) {
        buf_str(b, k ? ",\"sd\":{" : ",\"mean\":{");
        for (int a = 0; a <= AXES; a++) {
            double m = g->n ? g->sum[a] / (double)g->n : 0;
            double v = g->n ? g->sq[a] / (double)g->n - m * m : 0;

            json_put_key(b, a < AXES ? axis_name[a] : "score");
            json_put_num(b, rounded(k ? sqrt(v > 0 ? v : 0) : m));
        }
        buf_char(b, '}');
    }
}

static int work(struct score *g, struct err *e)
{
    const struct engine_counts *c = engine_counts(g->ses.en);
    struct engine_result d;
    bool more = true;

    while (more || engine_busy(g->ses.en)) {
        if (take_in(g, &more, e) || engine_step(g->ses.en, e))
            return -1;
        while (engine_poll(g->ses.en, &d))
            if (receive(g, &d, e))
                return -1;
        if (write_done(g, e))
            return -1;
        cli_progress(&g->progress, g->cli, stream_counts(g->s), c->prompt + c->generated);
    }
    return 0;
}

static int run(struct score *g, int n, char **file, int *status, struct err *e)
{
    static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                         "input",    "prompt",        "output", NULL};
    struct buf b = {0};
    int rc;

    if (set_weights(g, e) || session_open(&g->ses, g->cli, &g->model, false, e) || open_judge(g, e))
        return -1;
    recipe_print(&g->judge, &b);
    g->s = session_stream(&g->ses, g->cli, &g->io, fields, 1, b.p, n, file, e);
    buf_free(&b);
    if (!g->s)
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = work(g, e);
    cli_progress_end(&g->progress);
    if (rc)
        return -1;
    put_stats(g, &b);
    *status = stream_close(g->s, b.p, e);
    g->s = NULL;
    buf_free(&b);
    return *status < 0 ? -1 : 0;
}

static void release(struct score *g)
{
    while (g->head) {
        struct task *t = g->head;

        g->head = t->next;
        task_free(t);
    }
    stream_abandon(g->s);
    recipe_close(&g->judge);
    session_close(&g->ses);
}

int main(int argc, char **argv)
{
    struct score g = {.model = cli_model_default,
                      .io = cli_io_default,
                      .notes = cli_notes_default,
                      .prompts = "general",
                      .weights = "default",
                      .field = "output",
                      .max_tokens = 256};
    // clang-format off
    const struct opt opts[] = {
        CLI_MODEL(&g.model),
        OPT_HEAD("Scores"),
        OPT_STR(0, "prompts", &g.prompts, "set", "prompt set (tiny, general) or a judge's prompt file"),
        OPT_STR(0, "weights", &g.weights, "w", "default, nemotron, or five numbers h,c,o,x,v for the axes in order"),
        OPT_STR(0, "reference", &g.reference, "what", "self: the model's own greedy answer, or a field with a right answer"),
        OPT_STR(0, "field", &g.field, "name", "field with the answer to be scored"),
        OPT_INT('n', "max-tokens", &g.max_tokens, "n", 1, 1 << 24, "tokens of a reference answer at most"),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-score", "[file ...]", "score every answer on five axes", opts,
                            &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.cli = &cli;
    g.model.no_server = true;
    g.tail = &g.head;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    release(&g);
    return cli_end(&cli, status);
}
