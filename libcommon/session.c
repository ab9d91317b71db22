/* session.c - an engine and its prompts, opened from a command's options. */
#include "session.h"

#include "bias.h"
#include "file.h"
#include "gbnf.h"
#include "schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

int session_open(struct session *s, const struct cli *c, const struct cli_model *o, bool ordered,
                 struct err *e)
{
    const struct engine_opt eo = {
        .batch = o->batch,
        .ctx = o->ctx,
        .batch_tokens = o->batch_tokens,
        .rows = o->rows,
        .beams = o->beams,
        .kv_bytes = o->kv_memory,
        .no_cache = o->no_prefix_cache,
        .threads = o->threads,
        .isa = (enum backend_isa)o->isa,
        .ordered = ordered,
    };
    struct buf b = {0};

    *s = (struct session){0};
    if (!o->path)
        return err_set(e, ERR_ARG, "no model: name one with -m");
    if (!strcmp(cli_devices[o->device], "cuda"))
        return err_set(e, ERR_ARG, "--device cuda: this build has no CUDA backend");
    s->en = engine_open(&eo, o->path, e);
    if (!s->en)
        return -1;
    if (prompt_model_init(&s->pm, engine_model(s->en), o->chat_template, e)) {
        session_close(s);
        return -1;
    }
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
    free(s->bias);
    free(s->breaker);
    grammar_free(s->grammar);
    *s = (struct session){0};
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
    text = file_text(path, CFG_TEXT, &n, e);
    if (!text)
        return -1;
    hash_hex(hash_bytes(text, n), hex);
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

int session_sampling(struct session *s, const struct cli_sample *o, struct engine_request *q,
                     struct err *e)
{
    const struct tok *tok = s->pm.tok;
    int n_vocab = engine_model(s->en)->vocab;
    bool given = o->dry_breaker.n > 0;

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

void session_stats(const struct session *s, struct buf *out)
{
    const struct engine_counts *n = engine_counts(s->en);
    struct rusage use;

    buf_fmt(out, "\"prompt_tokens\":%lld,\"generated_tokens\":%lld,\"steps\":%lld,",
            (long long)n->prompt, (long long)n->generated, (long long)n->steps);
    buf_fmt(out, "\"prefill_seconds\":%.3f,\"decode_seconds\":%.3f,", n->prefill_seconds,
            n->decode_seconds);
    buf_fmt(out, "\"prefix_hit_tokens\":%lld,\"preemptions\":%lld,\"recomputed_tokens\":%lld,",
            (long long)n->hits, (long long)n->preemptions, (long long)n->again);
    buf_fmt(out, "\"kv_pages\":%d,\"kv_peak_pages\":%d,\"kv_waste\":%.4f,", n->pages, n->peak_pages,
            n->unused);
    getrusage(RUSAGE_SELF, &use); // ru_maxrss is in KiB on Linux
    buf_fmt(out, "\"model_bytes\":%llu,\"cache_bytes\":%llu,\"peak_rss_bytes\":%lld",
            (unsigned long long)engine_model(s->en)->file_bytes,
            (unsigned long long)engine_cache_bytes(s->en), (long long)use.ru_maxrss * 1024);
}

struct stream *session_stream(const struct session *s, const struct cli *c,
                              const struct stream_opt *io, const char *const *fields, int group,
                              const char *more, int n, char **file, struct err *e)
{
    struct buf print = {0};
    struct stream_conf conf = {
        .stage = c->name, .fields = fields, .group = group, .quiet = c->notes->quiet};
    struct stream *st;

    cli_fingerprint(c, &engine_model(s->en)->hash, more, &print);
    conf.fingerprint = buf_cstr(&print);
    st = stream_open(io, &conf, n, file, e);
    buf_free(&print);
    return st;
}
