/* session.c - a model, ours or a server's, and its prompts, opened from a command's options. */
#include "session.h"

#include "bias.h"
#include "file.h"
#include "gbnf.h"
#include "http.h"
#include "schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Bytes that no prompt which fits the context can exceed: every token at its longest,
 * and four times that for what normalizers drop. */
static size_t most_bytes(const struct tok *t, int ctx)
{
    size_t longest = 1, n;

    for (int i = 0; i < tok_size(t); i++) {
        tok_piece(t, i, &n);
        longest = n > longest ? n : longest;
    }
    return 4 * longest * (size_t)ctx;
}

/* Options about a model of our own. */
static int check_server(const struct cli_model *o, struct err *e)
{
    const struct {
        const char *name;
        bool given;
    } ours[] = {{"device", o->given.device},
                {"threads", o->given.threads && !o->computes},
                {"ctx", o->given.ctx},
                {"batch-tokens", o->given.batch_tokens},
                {"kv-memory", o->given.kv_memory},
                {"no-prefix-cache", o->no_prefix_cache},
                {"fast", o->fast},
                {"nvtx", o->nvtx},
                {"kv-type", o->given.kv_type},
                {"repack", o->given.repack},
                {"isa", o->given.isa && !o->computes}};

    if (o->no_server)
        return err_set(e, ERR_ARG, "-m %s: the model must be a file or directory here, no server",
                       o->path);
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        if (ours[i].given)
            return err_set(e, ERR_ARG,
                           "--%s: the server decides that; it is for a model of our own",
                           ours[i].name);
    return 0;
}

/* Options about a server. */
static int check_own(const struct cli_model *o, struct err *e)
{
    const char *name = o->api_key_file    ? "api-key-file"
                       : o->model_name    ? "model-name"
                       : o->given.timeout ? "timeout"
                       : o->given.retries ? "retries"
                                          : NULL;

    return name ? err_set(e, ERR_ARG, "--%s: -m is not the address of a server", name) : 0;
}

/* No file of this name, which looks as the address of a server does: localhost:8000/v1. */
static int check_path(const char *path, struct err *e)
{
    const char *colon = strchr(path, ':');

    if (!colon || access(path, F_OK) == 0 ||
        (strncmp(colon, "://", 3) != 0 && (colon[1] < '0' || colon[1] > '9')))
        return 0;
    return err_set(e, ERR_ARG,
                   "-m %s: no such file; the address of a server begins with http:// or https://",
                   path);
}

static int open_server(struct session *s, const struct cli *c, const struct cli_model *o,
                       bool ordered, struct err *e)
{
    const struct remote_opt ro = {.url = o->path,
                                  .key_file = o->api_key_file,
                                  .model = o->model_name,
                                  .timeout = o->timeout,
                                  .retries = o->retries,
                                  .batch = o->batch,
                                  .ordered = ordered};

    if (check_server(o, e))
        return -1;
    if (o->chat_template && prompt_model_init(&s->pm, NULL, o->chat_template, e))
        return -1;
    s->remote = remote_open(&ro, e);
    if (!s->remote)
        return -1;
    cli_note(c, "server %s, model %s, %d requests at once", o->path, remote_model(s->remote),
             o->batch);
    return 0;
}

int session_open(struct session *s, const struct cli *c, const struct cli_model *o, bool ordered,
                 struct err *e)
{
    struct engine_opt eo = {
        .batch = o->batch,
        .ctx = o->ctx,
        .batch_tokens = o->batch_tokens,
        .rows = o->rows,
        .beams = o->beams,
        .hidden = o->hidden,
        .kv_bytes = o->kv_memory,
        .no_cache = o->no_prefix_cache,
        .kv_type = o->kv_type ? (enum kv_type)(o->kv_type - 1) : KV_AUTO,
        .repack = (enum plan_repack)o->repack,
        .fast = o->fast,
        .threads = o->threads,
        .isa = (enum backend_isa)o->isa,
        .ordered = ordered,
    };
    struct buf b = {0};

    *s = (struct session){0};
    if (!o->path)
        return err_set(e, ERR_ARG, "no model: name one with -m");
    if (http_is_url(o->path))
        return open_server(s, c, o, ordered, e);
    if (check_own(o, e) || check_path(o->path, e))
        return -1;
    if (device_parse(o->device, &eo.device, e))
        return -1;
    eo.device.nvtx = o->nvtx;
    eo.hidden = eo.hidden || o->reward;
    s->en = engine_open(&eo, o->path, e);
    if (!s->en)
        return -1;
    if (engine_model(s->en)->no_head && !eo.hidden) {
        session_close(s);
        return err_set(
            e, ERR_ARG,
            "%s: a classifier without a head for tokens: it scores (llm-score reward) and "
            "generates nothing",
            o->path);
    }
    if (prompt_model_init(&s->pm, engine_model(s->en), o->hidden ? "none" : o->chat_template, e)) {
        session_close(s);
        return -1;
    }
    hash_hex(engine_model(s->en)->hash, s->name);
    s->pm.max_bytes = most_bytes(s->pm.tok, engine_ctx(s->en));
    engine_describe(s->en, &b);
    for (char *save = NULL, *line = strtok_r(b.p, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        cli_note(c, "%s", line);
    buf_free(&b);
    return 0;
}

void session_close(struct session *s)
{
    prompt_model_free(&s->pm);
    engine_close(s->en);
    remote_close(s->remote);
    free(s->schema);
    free(s->bias);
    free(s->breaker);
    grammar_free(s->grammar);
    *s = (struct session){0};
}

const char *session_model(const struct session *s)
{
    return s->remote ? remote_model(s->remote) : s->name;
}

/* A server gets the schema as it is: whether it can follow it, it says. Takes text over. */
static int keep_schema(struct session *s, const char *path, char *text, size_t n, const char *hex,
                       struct buf *more, struct err *e)
{
    struct arena mem = {0};
    struct json j;
    int rc = json_parse(&j, &mem, text, n, e);
    const char *root = rc ? NULL : json_raw(&j, 0, &n);

    if (root)
        s->schema = mem_dup(root, n); // without the space around it
    arena_free(&mem);
    free(text);
    buf_fmt(more, "%s\"json-schema\":\"%s\"", more->n ? "," : "", hex);
    return rc ? err_wrap(e, "%s", path) : 0;
}

int session_constrain(struct session *s, const char *grammar, const char *schema, struct buf *more,
                      struct err *e)
{
    const char *path = grammar ? grammar : schema;
    struct cfg c = {0};
    char hex[33], *text;
    size_t n;

    if (!path)
        return 0;
    if (grammar && schema)
        return err_set(e, ERR_ARG, "--grammar and --json-schema exclude each other");
    if (grammar && s->remote)
        return err_set(e, ERR_ARG,
                       "--grammar: a server has no common form for it; --json-schema has");
    text = file_text(path, CFG_TEXT, &n, e);
    if (!text)
        return -1;
    hash_hex(hash_bytes(text, n), hex);
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) // what some editors begin files with
        memset(text, ' ', 3);
    if (s->remote)
        return keep_schema(s, path, text, n, hex, more, e);
    if (!(grammar ? gbnf_read : schema_read)(&c, text, n, e))
        s->grammar = grammar_new(&c, s->pm.tok, engine_model(s->en)->vocab, e);
    cfg_free(&c);
    free(text);
    if (!s->grammar)
        return err_wrap(e, "%s", path);
    buf_fmt(more, "%s\"%s\":\"%s\"", more->n ? "," : "", grammar ? "grammar" : "json-schema", hex);
    return 0;
}

struct engine_request session_request(const struct cli_sample *o, uint64_t seed)
{
    return (struct engine_request){
        .max_tokens = o->max_tokens,
        .sample = {.temp = o->temp,
                   .top_k = o->top_k,
                   .top_p = o->top_p,
                   .min_p = o->min_p,
                   .repeat_penalty = o->repeat_penalty,
                   .presence_penalty = o->presence_penalty,
                   .frequency_penalty = o->frequency_penalty,
                   .typical_p = o->typical_p,
                   .top_n_sigma = o->top_n_sigma,
                   .mirostat_tau = o->mirostat_tau,
                   .mirostat_eta = o->mirostat_eta,
                   .dry = {o->dry_multiplier, o->dry_base, o->dry_allowed_length, o->dry_range,
                           NULL}},
        .seed = seed,
        .stop = o->stop.v,
        .n_stop = o->stop.n,
        .n_logprobs = o->logprobs,
        .ignore_eos = o->ignore_eos,
    };
}

int session_takes(const struct session *s, const struct cli_sample *o, struct err *e)
{
    const struct {
        const char *name;
        bool given;
    } ours[] = {{"repeat-penalty", o->repeat_penalty < 1 || o->repeat_penalty > 1},
                {"typical-p", o->typical_p > 0 && o->typical_p < 1},
                {"top-n-sigma", o->top_n_sigma > 0},
                {"mirostat-tau", o->mirostat_tau > 0},
                {"dry-multiplier", o->dry_multiplier > 0},
                {"logit-bias", o->logit_bias.n > 0},
                {"ignore-eos", o->ignore_eos}};

    for (int i = 0; i < o->stop.n; i++)
        if (!*o->stop.v[i])
            return err_set(e, ERR_ARG, "--stop: an empty text stops nothing");
    for (size_t i = 0; s->remote && i < sizeof(ours) / sizeof(*ours); i++)
        if (ours[i].given)
            return err_set(e, ERR_ARG, "--%s: servers have no common form for it", ours[i].name);
    if (s->remote && o->logprobs > OPENAI_LOGPROBS)
        return err_set(e, ERR_ARG, "--logprobs %d: a server gives at most %d", o->logprobs,
                       OPENAI_LOGPROBS);
    return 0;
}

int session_sampling(struct session *s, const struct cli_sample *o, struct engine_request *q,
                     struct err *e)
{
    const struct tok *tok = s->pm.tok;
    bool given = o->dry_breaker.n > 0;
    int n_vocab;

    if (session_takes(s, o, e))
        return -1;
    if (s->remote)
        return 0;
    n_vocab = engine_model(s->en)->vocab;
    if (o->mirostat_tau > 0 && (o->top_k > 0 || o->top_p < 1 || o->min_p > 0 || o->typical_p < 1))
        return err_set(e, ERR_ARG,
                       "--mirostat-tau stands in the place of --top-k, --top-p, --min-p and "
                       "--typical-p: give it alone");
    if (bias_read(tok, n_vocab, &o->logit_bias, &s->bias, &q->sample.n_bias, e))
        return err_wrap(e, "--logit-bias");
    q->sample.bias = s->bias;
    if (o->dry_multiplier > 0)
        s->breaker = dry_breakers(tok, n_vocab, given ? o->dry_breaker.v : cli_dry_breakers,
                                  given ? o->dry_breaker.n : 4);
    q->sample.dry.breaker = s->breaker;
    return 0;
}

int session_text(const struct session *s, const char *text, size_t n, bool cut,
                 struct session_prompt *out, size_t *n_token, struct err *e)
{
    size_t ctx, end;

    *out = (struct session_prompt){0};
    *n_token = 0;
    if (s->remote) {
        json_put_str(&out->json, text, n);
        return 0;
    }
    if (tok_encode(s->pm.tok, text, n, TOK_BOS | TOK_EOS, &out->ids, e))
        return -1;
    *n_token = out->ids.n;
    ctx = (size_t)engine_ctx(s->en);
    if (!cut || out->ids.n <= ctx)
        return 0;
    // what stands behind a text, and in front of it, to count it
    tok_encode(s->pm.tok, "", 0, TOK_EOS, &out->ids, e);
    end = out->ids.n - *n_token;
    tok_encode(s->pm.tok, "", 0, TOK_BOS, &out->ids, e);
    if (out->ids.n - *n_token >= ctx)
        return err_set(e, ERR_DATA, "a context of %zu has no room for any of the text", ctx);
    out->ids.n = *n_token + end;
    memmove(out->ids.id + ctx - end, out->ids.id + out->ids.n - end, end * sizeof(*out->ids.id));
    out->ids.n = ctx;
    return 0;
}

int session_record(const struct session *s, struct record *r, struct session_prompt *out,
                   struct err *e)
{
    const struct prompt_model *pm = s->pm.known ? &s->pm : NULL;

    *out = (struct session_prompt){0};
    if (s->remote) {
        out->rendered = pm;
        return prompt_record_json(pm, r, &out->json, &out->templated, e);
    }
    return prompt_record(&s->pm, r, &out->ids, &out->templated, e);
}

int session_fill(const struct session *s, const struct prompt *p, const struct prompt_var *v, int n,
                 struct session_prompt *out, struct err *e)
{
    const struct prompt_model *pm = s->pm.known ? &s->pm : NULL;

    *out = (struct session_prompt){.templated = true};
    if (s->remote) {
        out->rendered = pm;
        return prompt_json(p, pm, v, n, &out->json, &out->begun, &out->n_bare, e);
    }
    return prompt_encode(p, &s->pm, v, n, &out->ids, e);
}

int session_turn(const struct session *s, const struct prompt *p, const char *before,
                 const char *after, const struct prompt_var *v, int n, struct session_prompt *out,
                 struct buf *stop, int32_t *token, struct err *e)
{
    struct buf text = {0};
    int rc;

    *out = (struct session_prompt){0};
    *token = 0;
    if (!before && s->remote)
        return err_set(e, ERR_ARG,
                       "a server does not say its chat template: the prompt file "
                       "must hold 'before', the text before a user's, and 'after'");
    if (!before)
        return prompt_turn(p, &s->pm, v, n, &out->ids, stop, token, e);
    rc = prompt_fill(before, v, n, &text, e) || prompt_fill(p->user, v, n, &text, e) ? -1 : 0;
    if (!rc && after)
        buf_str(stop, after);
    if (!rc && s->remote)
        json_put_str(&out->json, buf_cstr(&text), text.n);
    else if (!rc)
        rc = tok_encode(s->pm.tok, buf_cstr(&text), text.n, TOK_BOS | TOK_SPECIAL, &out->ids, e);
    buf_free(&text);
    return rc;
}

bool session_trims(const struct session *s, bool templated)
{
    return templated && (s->remote || tok_adds_space(s->pm.tok));
}

void session_prompt_free(struct session_prompt *p)
{
    tok_ids_free(&p->ids);
    buf_free(&p->json);
    buf_free(&p->begun);
    *p = (struct session_prompt){0};
}

bool session_room(const struct session *s)
{
    return s->remote ? remote_room(s->remote) : engine_room(s->en);
}

bool session_busy(const struct session *s)
{
    return s->remote ? remote_busy(s->remote) : engine_busy(s->en);
}

int session_submit(struct session *s, struct engine_request *q, const struct session_prompt *p,
                   struct err *e)
{
    const struct openai_ask ask = {.prompt = p->json.p,
                                   .n_prompt = p->json.n,
                                   .raw = !p->templated || p->rendered,
                                   .vector = q->pool != HIDDEN_NONE,
                                   .begun = p->begun.p,
                                   .n_begun = p->begun.n,
                                   .n_bare = p->n_bare,
                                   .forced = p->forced,
                                   .schema = s->schema,
                                   .n_schema = s->schema ? strlen(s->schema) : 0};

    if (s->remote) {
        remote_submit(s->remote, &ask, q);
        return 0;
    }
    q->token = p->ids.id;
    q->n_token = (int)p->ids.n;
    q->grammar = s->grammar;
    return engine_submit(s->en, q, e);
}

int session_step(struct session *s, struct err *e)
{
    if (s->remote)
        return remote_step(s->remote, s->stream && stream_stopped(s->stream), e);
    return engine_step(s->en, e);
}

static int poll_server(struct session *s, struct session_result *out)
{
    struct remote_result r;

    if (!remote_poll(s->remote, &r))
        return 0;
    *out = (struct session_result){.rule = r.rule, .why = r.why};
    out->d = (struct engine_result){
        .user = r.user, .sample_index = r.sample_index, .finish = ENGINE_FAILED, .text = ""};
    if (!r.answer)
        return 1;
    out->d.finish = r.answer->finish;
    out->d.text = buf_cstr(&r.answer->text);
    out->d.n_text = r.answer->text.n;
    out->d.n_prompt = r.answer->n_prompt;
    out->d.n_tokens = r.answer->n_tokens;
    out->d.hidden = r.answer->vector;
    out->d.n_hidden = r.answer->n_vector;
    out->logprobs = r.answer->logprobs.p;
    out->n_logprobs = r.answer->logprobs.n;
    return 1;
}

int session_poll(struct session *s, struct session_result *out)
{
    if (s->remote)
        return poll_server(s, out);
    *out = (struct session_result){0};
    if (!engine_poll(s->en, &out->d))
        return 0;
    if (out->d.finish == ENGINE_FAILED) {
        out->rule = out->d.hidden ? "vector" : "logits";
        out->why = out->d.hidden ? "the model gave no finite vector"
                   : s->bias     ? "all that could come is banned by --logit-bias, or the model "
                                   "gave no finite logits"
                                 : "the model gave no finite logits";
    } else if (out->d.finish == ENGINE_GRAMMAR) {
        out->rule = "grammar";
        out->why = "no token of the vocabulary keeps to the grammar, or it is too ambiguous";
    } else if (out->d.finish == ENGINE_FEW) {
        out->rule = "beams";
        out->why = "the search found fewer outputs than --samples asks for";
    }
    return 1;
}

void session_tokens(const struct session *s, int64_t *prompt, int64_t *generated)
{
    *prompt = s->remote ? remote_counts(s->remote)->prompt : engine_counts(s->en)->prompt;
    *generated = s->remote ? remote_counts(s->remote)->generated : engine_counts(s->en)->generated;
}

static void server_stats(const struct remote_counts *n, struct buf *out)
{
    buf_fmt(out, "\"prompt_tokens\":%lld,\"generated_tokens\":%lld,", (long long)n->prompt,
            (long long)n->generated);
    buf_fmt(out, "\"requests\":%lld,\"failed\":%lld,\"retries\":%lld", (long long)n->requests,
            (long long)n->failed, (long long)n->retries);
}

void session_stats(const struct session *s, struct buf *out)
{
    const struct engine_counts *n;
    struct rusage use;

    if (s->remote) {
        server_stats(remote_counts(s->remote), out);
        return;
    }
    n = engine_counts(s->en);

    buf_fmt(out, "\"prompt_tokens\":%lld,\"generated_tokens\":%lld,\"steps\":%lld,",
            (long long)n->prompt, (long long)n->generated, (long long)n->steps);
    buf_fmt(out, "\"prefill_seconds\":%.3f,\"decode_seconds\":%.3f,", n->prefill_seconds,
            n->decode_seconds);
    buf_fmt(out, "\"prefix_hit_tokens\":%lld,\"preemptions\":%lld,\"recomputed_tokens\":%lld,",
            (long long)n->hits, (long long)n->preemptions, (long long)n->again);
    buf_fmt(out, "\"kv_pages\":%d,\"kv_peak_pages\":%d,\"kv_waste\":%.4f,", n->pages, n->peak_pages,
            n->unused);
    buf_fmt(out, "\"fast\":%s,", n->fast ? "true" : "false");
    getrusage(RUSAGE_SELF, &use); // ru_maxrss is in KiB on Linux
    buf_fmt(out, "\"model_bytes\":%llu,\"cache_bytes\":%llu,\"peak_rss_bytes\":%lld",
            (unsigned long long)engine_model(s->en)->file_bytes,
            (unsigned long long)engine_cache_bytes(s->en), (long long)use.ru_maxrss * 1024);
}

struct hash128 session_hash(const struct session *s)
{
    return s->remote ? hash_bytes(session_model(s), strlen(session_model(s))) : engine_hash(s->en);
}

struct stream *session_stream(struct session *s, const struct cli *c, const struct stream_opt *io,
                              const char *const *fields, int group, const char *more, int n,
                              char **file, struct err *e)
{
    struct buf print = {0};
    struct stream_conf conf = {
        .stage = c->name, .fields = fields, .group = group, .quiet = c->notes->quiet};
    struct hash128 model;

    model = session_hash(s);
    cli_fingerprint(c, &model, more, &print);
    conf.fingerprint = buf_cstr(&print);
    s->stream = stream_open(io, &conf, n, file, e);
    buf_free(&print);
    return s->stream;
}
