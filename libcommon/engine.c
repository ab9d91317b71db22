/* engine.c - submit, step, poll: many requests over one model.
 *
 * A job is a sequence of tokens. Whatever is appended to it (a prompt, a drawn token, a slot's
 * following text) is computed the same way; the logits after the last one say what
 * comes next. Jobs stand in the order of submission; the first `batch` unfinished
 * ones are active, and sched says which of them run in a step. */
#include "engine.h"

#include "answer.h"
#include "hidden.h"
#include "kv.h"
#include "mem.h"
#include "rows.h"
#include "runner.h"
#include "sched.h"
#include "search.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Batches that are submitted at most: unfinished, and in all. Results wait for one that was
 * submitted before them and takes longer, while others take their places in the steps. */
enum { UNFINISHED = 2, SUBMITTED = 64 };

struct job {
    struct engine_request r;
    struct rng noise;
    struct sched_seq seq; // prompt, then output
    bool done;
    enum engine_finish finish;
    struct answer answer;
    struct search search;   // with beams; seq is empty until a result is asked for
    int n_polled;           // results that were asked for
    struct sample_seq seen; // what the sampler keeps of the job
    struct grammar_state grammar;
    float *logprob;
    struct sample_top *top;
    size_t cap_logprob, cap_top;
    float *p; // slots' distributions
    int n_p, at_slot;
    struct hidden hidden;
};

struct engine {
    struct engine_opt o;
    struct runner run;
    const struct model *model; // its
    int ctx;
    struct sched sched;
    struct rows rows;
    struct job **job;   // (n_jobs) in the order of submission; done ones wait for poll
    int n_jobs, n_left; // of them, unfinished
    size_t cap_jobs;
    int64_t submitted;
    struct job *polled; // its memory is lent to the caller until the next poll
    struct engine_counts count;
};

static int n_out(const struct job *j)
{
    return j->seq.n - j->r.n_token;
}

static void job_free(struct engine *en, struct job *j)
{
    if (!j)
        return;
    sched_free(&j->seq, &en->run.kv);
    grammar_leave(&j->grammar);
    answer_free(&j->answer);
    search_close(&j->search, &en->run.kv);
    free(j->logprob);
    free(j->top);
    free(j->p);
    hidden_free(&j->hidden);
    free(j);
}

struct engine *engine_open(const struct engine_opt *o, const char *path, struct err *e)
{
    struct engine *en = mem_zero(1, sizeof(*en));
    const struct runner_opt ro = {
        .device = o->device,
        .threads = o->threads,
        .isa = o->isa,
        .ctx = o->ctx,
        .batch_tokens = o->batch_tokens,
        .batch = o->batch,
        .rows = o->rows,
        .beams = o->beams,
        .kv_bytes = o->kv_bytes,
        .hidden = o->hidden,
        .kv_type = o->kv_type,
        .repack = o->repack,
        .fast = o->fast,
    };

    en->o = *o;
    if (runner_open(&en->run, &ro, path, e)) {
        free(en);
        return NULL;
    }
    rows_open(&en->rows, &en->run);
    en->model = en->run.model;
    en->ctx = en->run.o.ctx;
    if (!o->no_cache && !en->model->whole)
        kv_cache(&en->run.kv);
    sched_open(&en->sched, &en->run.kv, en->run.o.batch_tokens, o->batch, en->run.o.rows);
    en->sched.build.whole = en->model->whole;
    en->count.pages = en->run.plan.pages;
    en->count.fast = en->run.o.fast;
    en->count.kv_type = en->run.plan.kv_type;
    return en;
}

void engine_close(struct engine *en)
{
    if (!en)
        return;
    for (int i = 0; i < en->n_jobs; i++)
        job_free(en, en->job[i]);
    job_free(en, en->polled);
    free(en->job);
    sched_close(&en->sched);
    rows_close(&en->rows);
    runner_close(&en->run);
    free(en);
}

const struct model *engine_model(const struct engine *en)
{
    return en->model;
}

struct hash128 engine_hash(const struct engine *en)
{
    return runner_hash(&en->run);
}

int engine_ctx(const struct engine *en)
{
    return en->ctx;
}

size_t engine_cache_bytes(const struct engine *en)
{
    return en->run.kv.bytes;
}

const struct engine_counts *engine_counts(const struct engine *en)
{
    return &en->count;
}

void engine_describe(const struct engine *en, struct buf *out)
{
    runner_describe(&en->run, out);
}

bool engine_room(const struct engine *en)
{
    return en->n_left < UNFINISHED * en->o.batch && en->n_jobs < SUBMITTED * en->o.batch;
}

bool engine_busy(const struct engine *en)
{
    return en->n_jobs > 0;
}

/* Everything of a request that can be refused. */
static int check(const struct engine *en, const struct engine_request *r, struct err *e)
{
    int64_t need = r->n_given == 0 && !en->o.hidden;

    assert(en->o.hidden == (r->pool != HIDDEN_NONE));
    if (r->n_token - r->n_given < 1)
        return err_set(e, ERR_ARG, "the prompt is empty");
    for (int i = 0; i < r->n_token; i++)
        if (r->token[i] < 0 || r->token[i] >= en->model->vocab)
            return err_set(e, ERR_ARG, "token id %d is outside the vocabulary of %d", r->token[i],
                           en->model->vocab);
    if (r->beam.beams > 1 && r->beam.beams > en->o.beams)
        return err_set(e, ERR_ARG, "%d beams are more than %d", r->beam.beams, en->o.beams);
    for (int i = 0; i < r->n_slots; i++)
        need += r->slot[i].n_then + (i > 0);
    if (en->o.hidden && r->n_token > en->ctx)
        return err_set(e, ERR_ARG, "the text has %d tokens, more than a context of %d", r->n_token,
                       en->ctx);
    if (r->n_token + need > en->ctx)
        return err_set(e, ERR_ARG, "the %s %d tokens and leaves no room in a context of %d",
                       r->n_given ? "prompt with the output has" : "prompt has", r->n_token,
                       en->ctx);
    return 0;
}

static void push(struct job *j, int32_t id)
{
    sched_push(&j->seq, id);
}

static void open_search(struct engine *en, struct job *j, const int32_t *token)
{
    const struct engine_request *r = &j->r;
    int room = en->ctx - r->n_token;
    struct search_opt o = {
        .beam = r->beam,
        .sample = &r->sample,
        .grammar = r->grammar,
        .tok = en->model->tok,
        .stop = {r->stop, r->n_stop},
        .ignore_eos = r->ignore_eos,
        .trim = r->trim,
        .n_vocab = en->model->vocab,
        .n_prompt = r->n_token,
    };

    o.beam.max_tokens = r->max_tokens < room ? r->max_tokens : room;
    search_open(&j->search, &o, token, j->seq.group);
}

int engine_submit(struct engine *en, const struct engine_request *r, struct err *e)
{
    struct job *j;
    struct hash128 name = r->key;

    if (check(en, r, e))
        return -1;
    if (r->sample_index)
        name = hash_add(name, &r->sample_index, sizeof(r->sample_index));
    j = mem_zero(1, sizeof(*j));
    j->r = *r;
    j->r.token = NULL;
    mem_grow(&en->job, &en->cap_jobs, (size_t)en->n_jobs + 1, sizeof(struct job *));
    en->job[en->n_jobs++] = j;
    en->n_left++;
    j->seq.group = en->submitted++;
    j->seq.n_prompt = r->n_slots ? INT32_MAX : r->n_token; // what slots add is prompt, and given
    j->noise = rng_stream(r->seed, name.hi, name.lo);
    j->answer.stream.first = r->trim;
    if (r->beam.beams > 1) {
        open_search(en, j, r->token);
        return 0;
    }
    if (r->grammar)
        grammar_enter(r->grammar, &j->grammar, r->trim);
    for (int i = 0; i < r->n_token; i++)
        push(j, r->token[i]);
    if (en->o.hidden) {
        hidden_open(&j->hidden, r->pool, en->model->dim);
        j->seq.want = r->pool == HIDDEN_LAST ? r->n_token - 1 : 0;
        return 0;
    }
    for (int i = 0; i < r->n_slots; i++)
        j->n_p += r->slot[i].n_choice;
    if (j->n_p)
        j->p = mem_zero((size_t)j->n_p, sizeof(*j->p));
    j->n_p = 0;
    if (r->n_given) { // nothing is asked behind the last token: it stands beyond the end
        j->r.n_token = j->seq.want = r->n_token - r->n_given;
        j->seq.want--;
        j->seq.n--;
    }
    return 0;
}

static void finish(struct engine *en, struct job *j, enum engine_finish how)
{
    j->done = true;
    en->n_left--;
    j->finish = how;
    answer_end(&j->answer, !j->r.grammar); // part of a character that it allows is not broken
    kv_release(&en->run.kv, &j->seq.kv);
}

/* Of the i-th token of the output, behind a row. */
static void note_logprobs(struct engine *en, struct job *j, int row, int32_t id, size_t i)
{
    size_t n = (size_t)j->r.n_logprobs;

    mem_grow(&j->logprob, &j->cap_logprob, i + 1, sizeof(*j->logprob));
    mem_grow(&j->top, &j->cap_top, (i + 1) * n, sizeof(*j->top));
    j->logprob[i] = rows_logprobs(&en->rows, row, id, n ? j->top + i * n : NULL, j->r.n_logprobs);
}

/* The next token of a job that generates. */
static void generate(struct engine *en, struct job *j)
{
    const struct tok *tok = en->model->tok;
    const struct answer_stop stop = {j->r.stop, j->r.n_stop};
    const uint64_t *allow = NULL;
    struct err why;
    bool end, stopped = false;
    int32_t id;

    if (j->r.grammar && !(allow = grammar_mask(&j->grammar, &why))) {
        finish(en, j, why.code ? ENGINE_GRAMMAR : ENGINE_STOP);
        return;
    }
    id = rows_draw(&en->rows, j->seq.row, &j->r.sample, &j->seen, allow, &j->noise, j->seq.n);
    if (id < 0) {
        finish(en, j, ENGINE_FAILED);
        return;
    }
    if (j->r.n_logprobs)
        note_logprobs(en, j, j->seq.row, id, (size_t)n_out(j));
    push(j, id);
    en->count.generated++;
    end = tok_is_end(tok, id) || (j->r.end_token && id == j->r.end_token);
    if (j->r.grammar)
        grammar_accept(&j->grammar, id);
    if (id < tok_size(tok) && !(j->r.grammar && end)) // whatever text an end token has
        stopped = answer_add(&j->answer, tok, id, &stop);
    if ((!j->r.ignore_eos && end) || stopped)
        finish(en, j, ENGINE_STOP);
    else if (n_out(j) >= j->r.max_tokens || j->seq.n >= en->ctx)
        finish(en, j, ENGINE_LENGTH);
}

/* The next slot of a job that is read: its distribution, the likeliest choice, what follows. */
static void read_slot(struct engine *en, struct job *j)
{
    const struct engine_slot *s = &j->r.slot[j->at_slot++];
    int top = rows_choice(&en->rows, j->seq.row, s->choice, s->n_choice, j->p + j->n_p);

    j->n_p += s->n_choice;
    if (j->at_slot == j->r.n_slots) {
        finish(en, j, ENGINE_SLOTS);
        return;
    }
    push(j, s->choice[top]);
    for (int i = 0; i < s->n_then; i++)
        push(j, s->then[i]);
}

/* The log-probabilities of tokens that are given: row i is behind token `at` + i. */
static void read_given(struct engine *en, struct job *j)
{
    int at = j->seq.want - j->seq.n_rows;

    for (int i = 0; i < j->seq.n_rows; i++, at++) {
        int k = at + 1 - j->r.n_token; // of the output

        note_logprobs(en, j, j->seq.row + i, j->seq.token[at + 1], (size_t)k);
        if (!isfinite(j->logprob[k])) {
            finish(en, j, ENGINE_FAILED);
            return;
        }
    }
    if (j->seq.want == j->seq.n)
        finish(en, j, ENGINE_GIVEN);
}

/* Hidden states of tokens in their order, the last of them or all. */
static void read_hidden(struct engine *en, struct job *j, const float *row)
{
    hidden_add(&j->hidden, row, j->seq.n_rows);
    if (j->seq.want == j->seq.n || j->r.pool == HIDDEN_FIRST)
        finish(en, j, hidden_end(&j->hidden) ? ENGINE_HIDDEN : ENGINE_FAILED);
}

static bool searches(const struct job *j)
{
    return j->r.beam.beams > 1;
}

/* The rows of a search: those of all its lines, in whichever step they come. */
static void read_search(struct engine *en, struct job *j)
{
    bool any = false;

    for (int i = 0; i < j->search.beam.n_running; i++) {
        const struct sched_seq *q = search_seq(&j->search, i);
        const float *row;

        if (!q->n_rows)
            continue;
        row = rows_at(&en->rows, q->row);
        while (en->rows.failed.code == ERR_NONE &&
               !search_offer(&j->search, i, &en->rows.work, row))
            row = rows_fetch(&en->rows, q->row);
        en->count.generated++;
        any = true;
    }
    if (any && search_go(&j->search, &en->run.kv)) {
        j->done = true;
        en->n_left--;
    }
}

/* What a step's logits, or hidden states, mean to a job. */
static void read_rows(struct engine *en, struct job *j)
{
    if (searches(j))
        read_search(en, j);
    else if (!j->seq.n_rows)
        return;
    else if (en->o.hidden)
        read_hidden(en, j, rows_at(&en->rows, j->seq.row));
    else if (j->r.n_slots)
        read_slot(en, j);
    else if (j->r.n_given)
        read_given(en, j);
    else
        generate(en, j);
}

/* What a job will want to know of its i-th row; false: the row. */
static bool ask_row(const struct engine *en, struct job *j, int i, struct pick_ask *ask)
{
    const struct engine_slot *slot = &j->r.slot[j->at_slot];

    if (j->r.n_slots)
        return sample_ask_choice(slot->choice, slot->n_choice, ask);
    if (j->r.n_given)
        return sample_ask_logprobs(j->seq.token[j->seq.want - j->seq.n_rows + i + 1],
                                   j->r.n_logprobs, ask);
    return sample_ask(&j->r.sample, &j->seen, j->r.grammar, &j->noise, en->model->vocab, j->seq.n,
                      j->r.n_logprobs, ask);
}

/* Ask a device about the rows of a job, which the sampler sees as it is now. */
static void ask_rows(struct engine *en, struct job *j)
{
    struct pick_ask *ask;

    j->seen.token = j->seq.token;
    j->seen.n_prompt = j->r.n_token;
    j->seen.n = j->seq.n;
    for (int i = 0; searches(j) && i < j->search.beam.n_running; i++) {
        const struct sched_seq *q = search_seq(&j->search, i);

        if (q->n_rows && (ask = rows_ask(&en->rows, q->row)) && !search_ask(&j->search, i, ask))
            rows_want(&en->rows, q->row);
    }
    for (int i = 0; !searches(j) && i < j->seq.n_rows; i++)
        if ((ask = rows_ask(&en->rows, j->seq.row + i)) && !ask_row(en, j, i, ask))
            rows_want(&en->rows, j->seq.row + i);
}

/* Compute a step, and what its rows mean to n jobs. */
static int compute(struct engine *en, const struct step *s, struct job **job, int n, struct err *e)
{
    if (rows_step(&en->rows, s, e))
        return -1;
    for (int i = 0; i < n; i++)
        ask_rows(en, job[i]);
    if (rows_go(&en->rows, e))
        return -1;
    for (int i = 0; i < n; i++)
        read_rows(en, job[i]);
    *e = en->rows.failed;
    return e->code == ERR_NONE ? 0 : -1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void count(struct engine *en)
{
    const struct sched_counts *c = &en->sched.count;
    struct engine_counts *n = &en->count;

    n->prompt = c->prompt;
    n->steps = c->steps;
    n->prefill_seconds = c->prefill_seconds;
    n->decode_seconds = c->decode_seconds;
    n->hits = c->hits;
    n->again = c->again;
    n->preemptions = c->preemptions;
    n->peak_pages = c->peak_pages;
    n->unused = c->page_seconds > 0 ? c->unused_seconds / c->page_seconds : 0;
}

/* The jobs that are worked on, the oldest, and their sequences: batch of these at most, a search
 * counted with all its beams. */
static int active(struct engine *en, struct job **job, struct sched_seq **seq, int *n_seq)
{
    int n = 0, left = en->o.batch;

    *n_seq = 0;
    for (int i = 0; i < en->n_jobs; i++) {
        struct job *j = en->job[i];

        if (j->done)
            continue;
        left -= searches(j) ? j->r.beam.beams : 1;
        if (left < 0)
            break;
        job[n++] = j;
        for (int k = 0; searches(j) && k < j->search.beam.n_running; k++)
            seq[(*n_seq)++] = search_seq(&j->search, k);
        if (!searches(j))
            seq[(*n_seq)++] = &j->seq;
    }
    return n;
}

int engine_step(struct engine *en, struct err *e)
{
    struct job **job = mem_new((size_t)en->o.batch * sizeof(struct job *));
    struct sched_seq **seq = mem_new((size_t)en->o.batch * sizeof(struct sched_seq *));
    const struct step *s;
    double t0 = now();
    int n, n_seq, rc = 0;

    n = active(en, job, seq, &n_seq);
    s = n ? sched_step(&en->sched, seq, n_seq) : NULL;
    assert(s || !n);
    if (s)
        rc = compute(en, s, job, n, e);
    if (s && !rc) {
        sched_done(&en->sched, now() - t0);
        count(en);
    }
    free(job);
    free(seq);
    return rc;
}

/* The next best of a search, as the job's own tokens and text. */
static void take_best(struct engine *en, struct job *j, struct engine_result *out)
{
    const struct beam_hyp *h;

    sched_free(&j->seq, &en->run.kv);
    answer_free(&j->answer);
    j->answer = (struct answer){0};
    h = search_best(&j->search, j->n_polled, &j->seq, &j->answer);
    *out = (struct engine_result){
        .finish = h                ? h->ended ? ENGINE_STOP : ENGINE_LENGTH
                  : j->n_polled    ? ENGINE_FEW
                  : j->search.lost ? ENGINE_GRAMMAR
                                   : ENGINE_FAILED,
        .token = j->seq.token,
        .n_tokens = j->seq.n,
        .sample_index = j->n_polled,
        .sum = h ? h->sum : 0,
        .score = h ? h->score : 0,
    };
}

static void take(struct job *j, struct engine_result *out)
{
    *out = (struct engine_result){
        .finish = j->finish,
        .token = j->seq.token + j->r.n_token,
        .n_tokens = j->r.n_slots   ? 0
                    : j->r.n_given ? j->r.n_given
                                   : n_out(j),
        .logprob = j->logprob,
        .top = j->top,
        .p = j->p,
        .hidden = j->hidden.v,
        .n_hidden = j->hidden.dim,
        .sample_index = j->r.sample_index,
    };
}

int engine_poll(struct engine *en, struct engine_result *out)
{
    struct job *j;
    int i = 0;

    job_free(en, en->polled);
    en->polled = NULL;
    if (en->rows.failed.code != ERR_NONE) // what a lost device has left may be wrong
        return 0;
    while (i < en->n_jobs && !en->job[i]->done) {
        if (en->o.ordered)
            return 0;
        i++;
    }
    if (i == en->n_jobs)
        return 0;
    j = en->job[i];
    if (searches(j))
        take_best(en, j, out);
    else
        take(j, out);
    out->user = j->r.user;
    out->n_prompt = j->r.n_token;
    out->text = buf_cstr(&j->answer.text);
    out->n_text = j->answer.text.n;
    if (++j->n_polled < (searches(j) ? j->r.n_best : 1))
        return 1;
    en->polled = j;
    en->n_jobs--;
    memmove(en->job + i, en->job + i + 1, (size_t)(en->n_jobs - i) * sizeof(struct job *));
    return 1;
}
