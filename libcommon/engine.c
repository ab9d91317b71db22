/* engine.c - submit, step, poll: many requests over one model.
 *
 * A job is a list of tokens of which the first `fed` are in the cache. Whatever
 * stands behind them (a prompt, a drawn token, a slot's following text) is fed
 * the same way; when the last one has been fed, its logits say what comes next.
 * Jobs stand in a ring in the order of submission; the first `batch` unfinished
 * ones are active. */
#include "engine.h"

#include "forward.h"
#include "kv.h"
#include "mem.h"
#include "step.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CTX_DEFAULT = 4096, WAITING = 4 }; // batches that may be submitted and not polled

struct job {
    struct engine_request r;
    struct rng noise;
    int32_t *token; // (n) prompt, then output
    int n, fed;
    size_t cap;
    struct kv_seq kv;
    int row; // of this step's logits; -1 when none is wanted
    bool done;
    enum engine_finish finish;
    struct tok_stream stream;
    struct buf text;
    struct sample_seq seq; // what the sampler keeps of the job
    float *logprob;
    struct sample_top *top;
    size_t cap_logprob, cap_top;
    float *p; // slots' distributions
    int n_p, at_slot;
};

struct engine {
    struct engine_opt o;
    struct backend *backend;
    struct model *model;
    struct kv kv;
    struct act act;
    struct step_build build;
    struct sample_work work;
    float *logits;        // (batch, vocab)
    struct job **job;     // (n_jobs) in the order of submission; done ones wait for poll
    int n_jobs, max_jobs; // engine_room is true below max_jobs
    size_t cap_jobs;
    struct job *polled; // its memory is lent to the caller until the next poll
    struct engine_counts count;
};

static int n_out(const struct job *j)
{
    return j->n - j->r.n_token;
}

static void job_free(struct engine *en, struct job *j)
{
    if (!j)
        return;
    kv_release(&en->kv, &j->kv);
    buf_free(&j->text);
    free(j->token);
    free(j->logprob);
    free(j->top);
    free(j->p);
    free(j);
}

struct engine *engine_open(const struct engine_opt *o, const char *path, struct err *e)
{
    struct engine *en = mem_zero(1, sizeof(*en));
    int pages;

    en->o = *o;
    en->backend = backend_cpu_open(o->threads, o->isa, e);
    en->work.rank.backend = en->backend;
    en->model = en->backend ? model_open(path, en->backend, e) : NULL;
    if (!en->model)
        goto fail;
    if (o->ctx > en->model->ctx) {
        err_set(e, ERR_ARG, "--ctx %d is more than the model's %d positions", o->ctx,
                en->model->ctx);
        goto fail;
    }
    if (!en->o.ctx)
        en->o.ctx = en->model->ctx < CTX_DEFAULT ? en->model->ctx : CTX_DEFAULT;
    pages = (en->o.ctx + BACKEND_PAGE - 1) / BACKEND_PAGE;
    if (pages > INT32_MAX / o->batch) {
        err_set(e, ERR_ARG, "--ctx %d with --batch %d: too many pages", en->o.ctx, o->batch);
        goto fail;
    }
    if (kv_open(&en->kv, en->model, en->backend, pages * o->batch, e) ||
        forward_open(&en->act, en->model, en->backend, o->chunk + o->batch, o->batch, e))
        goto fail;
    step_init(&en->build, o->chunk + o->batch, o->batch, o->batch);
    en->logits = mem_zero((size_t)o->batch * (size_t)en->model->vocab, sizeof(*en->logits));
    en->max_jobs = WAITING * o->batch;
    return en;
fail:
    engine_close(en);
    return NULL;
}

void engine_close(struct engine *en)
{
    if (!en)
        return;
    for (int i = 0; i < en->n_jobs; i++)
        job_free(en, en->job[i]);
    job_free(en, en->polled);
    free(en->job);
    free(en->logits);
    sample_free(&en->work);
    step_free(&en->build);
    if (en->model)
        forward_close(&en->act, en->backend);
    kv_close(&en->kv);
    model_close(en->model);
    backend_close(en->backend);
    free(en);
}

const struct model *engine_model(const struct engine *en)
{
    return en->model;
}

int engine_ctx(const struct engine *en)
{
    return en->o.ctx;
}

size_t engine_cache_bytes(const struct engine *en)
{
    return en->kv.bytes;
}

const struct engine_counts *engine_counts(const struct engine *en)
{
    return &en->count;
}

void engine_describe(const struct engine *en, struct buf *out)
{
    const struct model *m = en->model;
    double mib = 1024 * 1024;

    buf_fmt(out, "%s: %.1f M parameters, %d layers, dim %d, %d heads (%d kv), vocabulary %d\n",
            m->arch, (double)m->n_params / 1e6, m->n_layers, m->dim, m->attn.n_heads,
            m->attn.n_kv_heads, m->vocab);
    buf_fmt(out, "cpu: %s, %d threads\n", backend_cpu_isa(en->backend),
            backend_cpu_threads(en->backend));
    buf_fmt(
        out,
        "memory: weights %.1f MiB (mapped), cache up to %.1f MiB (%d positions x %d), scratch %.1f MiB",
        (double)m->file_bytes / mib, (double)en->kv.bytes / mib, en->o.ctx, en->o.batch,
        (double)(en->act.bytes + (size_t)en->o.batch * (size_t)m->vocab * 4) / mib);
}

bool engine_room(const struct engine *en)
{
    return en->n_jobs < en->max_jobs;
}

bool engine_busy(const struct engine *en)
{
    return en->n_jobs > 0;
}

/* Everything of a request that can be refused. */
static int check(const struct engine *en, const struct engine_request *r, struct err *e)
{
    int64_t need = 1;

    if (r->n_token < 1)
        return err_set(e, ERR_ARG, "the prompt is empty");
    for (int i = 0; i < r->n_token; i++)
        if (r->token[i] < 0 || r->token[i] >= en->model->vocab)
            return err_set(e, ERR_ARG, "token id %d is outside the vocabulary of %d", r->token[i],
                           en->model->vocab);
    for (int i = 0; i < r->n_slots; i++)
        need += r->slot[i].n_then + (i > 0);
    if (r->n_token + need > en->o.ctx)
        return err_set(e, ERR_ARG, "the prompt has %d tokens and leaves no room in a context of %d",
                       r->n_token, en->o.ctx);
    return 0;
}

static void push(struct job *j, int32_t id)
{
    mem_grow(&j->token, &j->cap, (size_t)j->n + 1, sizeof(*j->token));
    j->token[j->n++] = id;
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
    j->noise = rng_stream(r->seed, name.hi, name.lo);
    j->stream.first = r->trim;
    for (int i = 0; i < r->n_token; i++)
        push(j, r->token[i]);
    for (int i = 0; i < r->n_slots; i++)
        j->n_p += r->slot[i].n_choice;
    if (j->n_p)
        j->p = mem_zero((size_t)j->n_p, sizeof(*j->p));
    j->n_p = 0;
    mem_grow(&en->job, &en->cap_jobs, (size_t)en->n_jobs + 1, sizeof(struct job *));
    en->job[en->n_jobs++] = j;
    return 0;
}

static void finish(struct engine *en, struct job *j, enum engine_finish how)
{
    j->done = true;
    j->finish = how;
    tok_stream_end(&j->stream, &j->text);
    kv_release(&en->kv, &j->kv);
}

/* Cut the text before the first stop text in it; only what is new can end one. */
static bool cut_at_stop(struct job *j, size_t old)
{
    const char *first = NULL;

    for (int i = 0; i < j->r.n_stop; i++) {
        size_t n = strlen(j->r.stop[i]), from = old > n ? old - n : 0;
        const char *at =
            n ? memmem(buf_cstr(&j->text) + from, j->text.n - from, j->r.stop[i], n) : NULL;

        if (at && (!first || at < first))
            first = at;
    }
    if (!first)
        return false;
    j->text.n = (size_t)(first - j->text.p);
    j->text.p[j->text.n] = 0;
    j->stream.n_held = 0;
    return true;
}

static void note_logprobs(struct engine *en, struct job *j, const float *logit, int32_t id)
{
    size_t i = (size_t)n_out(j), n = (size_t)j->r.n_logprobs;

    mem_grow(&j->logprob, &j->cap_logprob, i + 1, sizeof(*j->logprob));
    mem_grow(&j->top, &j->cap_top, (i + 1) * n, sizeof(*j->top));
    j->logprob[i] =
        sample_logprobs(&en->work, logit, en->model->vocab, id, j->top + i * n, j->r.n_logprobs);
}

/* The next token of a job that generates. */
static void generate(struct engine *en, struct job *j, const float *logit)
{
    const struct tok *tok = en->model->tok;
    size_t old = j->text.n;
    int32_t id;

    j->seq.token = j->token;
    j->seq.n_prompt = j->r.n_token;
    j->seq.n = j->n;
    id = sample_draw(&en->work, &j->r.sample, &j->seq, NULL, &j->noise, logit, en->model->vocab,
                     j->n);

    if (id < 0) {
        finish(en, j, ENGINE_FAILED);
        return;
    }
    if (j->r.n_logprobs)
        note_logprobs(en, j, logit, id);
    push(j, id);
    en->count.generated++;
    if (id < tok_size(tok))
        tok_stream_add(tok, &j->stream, id, false, &j->text);
    if ((!j->r.ignore_eos && id < tok_size(tok) && tok_is_end(tok, id)) || cut_at_stop(j, old))
        finish(en, j, ENGINE_STOP);
    else if (n_out(j) >= j->r.max_tokens || j->n >= en->o.ctx)
        finish(en, j, ENGINE_LENGTH);
}

/* The next slot of a job that is read: its distribution, the likeliest choice, what follows. */
static void read_slot(struct engine *en, struct job *j, const float *logit)
{
    const struct engine_slot *s = &j->r.slot[j->at_slot++];
    int top = sample_choice(logit, s->choice, s->n_choice, j->p + j->n_p);

    j->n_p += s->n_choice;
    if (j->at_slot == j->r.n_slots) {
        finish(en, j, ENGINE_SLOTS);
        return;
    }
    push(j, s->choice[top]);
    for (int i = 0; i < s->n_then; i++)
        push(j, s->then[i]);
}

/* Give a job's next tokens to the step: at most `room` of them. */
static int feed(struct engine *en, struct job *j, int room, struct err *e)
{
    int n = j->n - j->fed < room ? j->n - j->fed : room, last = j->fed + n == j->n, row;

    j->row = -1;
    if (n <= 0)
        return 0;
    if (kv_reserve(&en->kv, &j->kv, n))
        return err_set(e, ERR_MEM, "the cache has no page left");
    row = step_add(&en->build, &j->kv, j->token + j->fed, n, j->fed, last);
    j->row = last ? row : -1;
    j->fed += n;
    j->kv.len = j->fed;
    return n;
}

/* Build the step: first the jobs that wait for one token, so that no prompt
 * holds them up, then prompt chunks in the order of submission. */
static int build(struct engine *en, struct job **active, int n, bool *prefill, struct err *e)
{
    int room = en->o.chunk;

    step_reset(&en->build);
    *prefill = false;
    for (int i = 0; i < n; i++)
        if (active[i]->fed && active[i]->n - active[i]->fed == 1 && feed(en, active[i], 1, e) < 0)
            return -1;
    for (int i = 0; i < n; i++) {
        int fed = active[i]->fed < active[i]->n ? feed(en, active[i], room, e) : 0;

        if (fed < 0)
            return -1;
        en->count.prompt += fed;
        room -= fed;
        *prefill = *prefill || fed;
    }
    return 0;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int engine_step(struct engine *en, struct err *e)
{
    struct job **active = mem_new((size_t)en->o.batch * sizeof(struct job *));
    size_t row = (size_t)en->model->vocab;
    const struct step *s;
    double t0 = now();
    bool prefill;
    int n = 0, rc = -1;

    for (int i = 0; i < en->n_jobs && n < en->o.batch; i++)
        if (!en->job[i]->done)
            active[n++] = en->job[i];
    if (!n) {
        rc = 0;
        goto out;
    }
    if (build(en, active, n, &prefill, e))
        goto out;
    s = step_done(&en->build);
    if (forward(en->model, en->backend, &en->kv.pages, &en->act, s, e))
        goto out;
    if (s->n_out && en->backend->ops->download(en->backend, en->logits, en->act.logits_d,
                                               (size_t)s->n_out * row * sizeof(float), e))
        goto out;
    for (int i = 0; i < n; i++)
        if (active[i]->row >= 0)
            (active[i]->r.n_slots ? read_slot : generate)(
                en, active[i], en->logits + (size_t)active[i]->row * row);
    en->count.steps++;
    *(prefill ? &en->count.prefill_seconds : &en->count.decode_seconds) += now() - t0;
    rc = 0;
out:
    free(active);
    return rc;
}

int engine_poll(struct engine *en, struct engine_result *out)
{
    struct job *j;
    int i = 0;

    job_free(en, en->polled);
    en->polled = NULL;
    while (i < en->n_jobs && !en->job[i]->done) {
        if (en->o.ordered)
            return 0;
        i++;
    }
    if (i == en->n_jobs)
        return 0;
    j = en->polled = en->job[i];
    en->n_jobs--;
    memmove(en->job + i, en->job + i + 1, (size_t)(en->n_jobs - i) * sizeof(struct job *));
    *out = (struct engine_result){
        .user = j->r.user,
        .finish = j->finish,
        .text = buf_cstr(&j->text),
        .n_text = j->text.n,
        .token = j->token + j->r.n_token,
        .n_tokens = j->r.n_slots ? 0 : n_out(j),
        .n_prompt = j->r.n_token,
        .logprob = j->logprob,
        .top = j->top,
        .p = j->p,
        .sample_index = j->r.sample_index,
    };
    return 1;
}
