/* score.c - what all ways of scoring answers share: options, the loop over records, counts. */
#include "score.h"

#include "mem.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 8 }; // batches of records held at most

/* ---- records ---- */

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

const char *score_instruction(struct record *r, size_t *n)
{
    const char *s = record_str(r, "instruction", n);

    s = s ? s : last_user(r, "messages", n);
    s = s ? s : last_user(r, "conversations", n);
    return s ? s : record_str(r, "prompt", n);
}

static bool asks_field(const struct score *g)
{
    return g->reference && strcmp(g->reference, "self") != 0;
}

const char *score_reference(struct score *g, struct record *r, size_t *n)
{
    const char *s = asks_field(g) ? record_str(r, g->reference, n) : NULL;

    if (!s || !*n)
        return NULL;
    g->referred = true;
    return s;
}

const char *score_lacks(const struct score *g, struct record *r, struct err *e)
{
    const char *const text[] = {"instruction", "input", g->field};
    const char *s;
    size_t n;

    for (int i = 0; i < 3; i++)
        if (record_text(r, text[i], &s, &n, e) < 0)
            return i == 2 ? "output" : text[i];
    if (asks_field(g) && record_text(r, g->reference, &s, &n, e) < 0)
        return "reference";
    s = score_instruction(r, &n);
    if (!s && record_text(r, "prompt", &s, &n, e) < 0)
        return "instruction";
    if (!s || !words_count(s, n)) {
        err_set(e, ERR_DATA, s ? "the instruction is empty" : "no field 'instruction'");
        return "instruction";
    }
    s = record_str(r, g->field, &n);
    if (!s || !words_count(s, n)) {
        err_set(e, ERR_DATA, s ? "field '%s' is empty" : "no field '%s'", g->field);
        return "output";
    }
    return NULL;
}

int score_check(struct score *g, struct desk_item *t, struct err *e)
{
    const char *rule = score_lacks(g, &t->r, e);

    return rule ? desk_reject(&g->desk, t, rule, NULL, NULL, e) : 1;
}

void score_length(struct score *g, struct record *r, double score)
{
    struct tok_ids ids = {0};
    struct err e;
    size_t n;
    const char *s = record_str(r, g->field, &n);

    if (!g->io.stats || !s)
        return;
    score = axes_round(score); // as it is written: what differs less is equal
    corr_add(&g->words, words_count(s, n), score);
    if (g->ses.en && !tok_encode(g->ses.pm.tok, s, n, 0, &ids, &e))
        corr_add(&g->tokens, (double)ids.n, score);
    tok_ids_free(&ids);
}

/* ---- the loop ---- */

static int take_in(struct score *g, bool *more, struct err *e)
{
    while (*more &&
           (g->way->all || (session_room(&g->ses) && g->desk.n < AHEAD * g->model.batch))) {
        void *task;
        int rc = desk_read(&g->desk, g->way->all || !session_busy(&g->ses), &task, e);

        if (rc < 0)
            return -1;
        *more = rc != 0;
        if (rc != 1)
            return 0;
        if (g->way->start(g, task, e))
            return -1;
    }
    return 0;
}

/* Not after a signal: the input may have ended for that reason only. */
static int submit_more(struct score *g, struct err *e)
{
    return g->way->more && !stream_stopped(g->desk.s) ? g->way->more(g, e) : 0;
}

static bool left(const struct score *g, bool more)
{
    if (more || session_busy(&g->ses))
        return true;
    return g->way->left && g->way->left(g) && !stream_stopped(g->desk.s);
}

static int work(struct score *g, struct err *e)
{
    struct session_result d;
    bool more = true;

    while (left(g, more)) {
        int64_t prompt, generated;

        if (take_in(g, &more, e) || (!more && submit_more(g, e)) || session_step(&g->ses, e))
            return -1;
        while (session_poll(&g->ses, &d))
            if (g->way->take(g, &d, e))
                return -1;
        if (desk_write(&g->desk, e))
            return -1;
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->desk.s), prompt + generated);
    }
    return desk_write(&g->desk, e);
}

static void written(void *with, void *task)
{
    struct score *g = with;

    g->n++;
    if (g->way->count)
        g->way->count(g, task);
}

static void figures(void *with, struct buf *b)
{
    const struct score *g = with;

    session_stats(&g->ses, b);
    buf_fmt(b, ",\"scored\":%lld", (long long)g->n);
    if (g->way->stats)
        g->way->stats(g, b);
    buf_str(b, ",\"length_bias\":{\"words\":");
    json_put_num(b, axes_round(corr_spearman(&g->words)));
    if (g->ses.en) {
        buf_str(b, ",\"tokens\":");
        json_put_num(b, axes_round(corr_spearman(&g->tokens)));
    }
    buf_char(b, '}');
}

static int open_all(struct score *g, int n, char **file, struct err *e)
{
    struct buf b = {0};
    int rc;

    g->model.reward = g->model.no_server = g->way->hidden;
    if (session_open(&g->ses, g->cli, &g->model, false, e))
        return -1;
    rc = g->way->open(g, &b, e);
    if (!rc) {
        buf_fmt(&b, "%s\"way\":\"%s\"", b.n ? "," : "", g->way->name);
        g->io.field = g->field;
        g->desk.s = session_stream(&g->ses, g->cli, &g->io, g->way->fields, 1, b.p, n, file, e);
        rc = g->desk.s ? 0 : -1;
    }
    buf_free(&b);
    return rc;
}

int score_run(struct score *g, const struct score_way *way, int n, char **file, int *status,
              struct err *e)
{
    int rc;

    g->way = way;
    g->io.figures = figures;
    g->io.with = g;
    g->work = mem_zero(1, way->work);
    desk_init(&g->desk);
    g->desk.size = way->task;
    g->desk.unordered = g->io.unordered;
    g->desk.release = way->release;
    g->desk.written = written;
    g->desk.with = g;
    if (open_all(g, n, file, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = work(g, e);
    cli_progress_end(&g->progress);
    if (rc)
        return -1;
    if (asks_field(g) && g->n && !g->referred)
        cli_warn(g->cli, "--reference %s: no record has the field; all were judged without it",
                 g->reference);
    *status = stream_close(g->desk.s, e);
    g->desk.s = NULL;
    return *status < 0 ? -1 : 0;
}

void score_close(struct score *g, const struct err *why)
{
    if (!g->way)
        return;
    cli_progress_end(&g->progress);
    desk_free(&g->desk);
    stream_abandon(g->desk.s, why);
    if (g->way->close)
        g->way->close(g);
    free(g->work);
    corr_free(&g->words);
    corr_free(&g->tokens);
    session_close(&g->ses);
}
