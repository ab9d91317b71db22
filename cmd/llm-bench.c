/* llm-bench.c - how fast a model runs on this machine. See llm-bench(1). */
#include "cli.h"
#include "cost.h"
#include "figures.h"
#include "machine.h"
#include "mem.h"
#include "session.h"
#include "synth.h"
#include "workload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef COMMIT
#define COMMIT ""
#endif

enum { LATENCY_REPEAT = 5 };

enum mode { LATENCY, THROUGHPUT, PROBE, MAKE };
static const char *const modes[] = {"latency", "throughput", "probe", "make", NULL};

struct bench {
    struct cli_model model;
    struct cli_sample sample;
    struct cli_notes notes;
    int repeat, warmup, records, shape, type;
    bool fixed, ragged, no_probe, table, force;
    struct {
        bool input, output, warmup, records;
    } given;
    uint64_t seed;
    const char *write;
    const struct cli *cli;
    int mode; // index into modes
    double began;
    char *temp; // of a model for this run only
    bool made;  // it is there
    struct session ses;
    struct record out;
    struct machine_time time;
    double load, load_s, start_s;
    int64_t peak_rss;
    struct spread read, int8, floats;
    struct spread prefill, decode, first, step, tok, request, prompt;
    struct spread of_read, of_peak;
    const char *peak; // what of_peak is a part of
    struct workload_lengths lengths;
    struct workload work;                     // of a pass
    int64_t n_prompt, n_generated, n_padding; // of a pass
    int64_t n_hits, n_preempted;
    struct cli_progress progress;
};

/* ---- the record ---- */

static void put_machine(struct bench *g, const struct backend *b)
{
    char cpu[128];

    machine_cpu(cpu, sizeof(cpu));
    figures_str(&g->out, "cpu", cpu);
    if (b->host) {
        record_set_int(&g->out, "threads", backend_cpu_threads(b));
        figures_str(&g->out, "isa", backend_cpu_isa(b));
    } else {
        b->ops->describe(b, cpu, sizeof(cpu));
        figures_str(&g->out, "device", cpu);
        record_set(&g->out, "fast", g->model.fast ? "true" : "false", g->model.fast ? 4u : 5u);
    }
    figures_str(&g->out, "version", VERSION);
    figures_str(&g->out, "commit", COMMIT);
}

static void put_model(struct bench *g)
{
    const struct model *m = engine_model(g->ses.en);

    figures_str(&g->out, "model", g->temp ? synth_shapes[g->shape] : g->model.path);
    if (g->shape) {
        figures_str(&g->out, "shape", synth_shapes[g->shape]);
        figures_str(&g->out, "type", synth_types[g->type]);
    }
    record_set_int(&g->out, "parameters", m->n_params);
    record_set_int(&g->out, "model_bytes", (int64_t)m->file_bytes);
    record_set_int(&g->out, "cache_bytes", (int64_t)engine_cache_bytes(g->ses.en));
    figures_str(&g->out, "kv_type", cli_kv_types[1 + engine_counts(g->ses.en)->kv_type]);
    record_set_int(&g->out, "batch", g->model.batch);
}

/* What the machine can do, and the model's parts of it; then all spreads, b having the others. */
static void put_rates(struct bench *g, struct buf *b)
{
    figures_spread(&g->out, b, "read_gb_s", &g->read);
    figures_spread(&g->out, b, "int8_gop_s", &g->int8);
    figures_spread(&g->out, b, "float_gop_s", &g->floats);
    figures_spread(&g->out, b, "prefill_peak_percent", &g->of_peak);
    figures_spread(&g->out, b, "decode_read_percent", &g->of_read);
    buf_char(b, '}');
    record_set(&g->out, "spread", b->p, b->n);
    buf_free(b);
}

/* What else the machine did meanwhile. */
static void put_noise(struct bench *g)
{
    struct machine_time t = machine_time();
    double all = t.all - g->time.all, own = t.own - g->time.own;
    double other = t.busy - g->time.busy - own;

    figures_num(&g->out, "load_average", g->load);
    figures_num(&g->out, "other_percent", all > 0 && other > 0 ? 100 * other / all : 0);
    figures_num(&g->out, "steal_percent", all > 0 ? 100 * (t.steal - g->time.steal) / all : 0);
}

static void print(struct bench *g)
{
    struct buf b = {0};

    figures_put(&g->out, g->table, &b);
    fwrite(b.p, 1, b.n, stdout); // cli_end sees what went wrong
    buf_free(&b);
}

/* ---- the machine ---- */

static int probe(struct bench *g, struct backend *b, struct backend_rates *r, struct err *e)
{
    if (backend_cpu_probe(b, r, e))
        return -1;
    spread_add(&g->read, r->read_bytes * 1e-9);
    spread_add(&g->int8, r->int8_ops * 1e-9);
    spread_add(&g->floats, r->float_ops * 1e-9);
    return 0;
}

static int probe_only(struct bench *g, struct err *e)
{
    struct backend *b = backend_cpu_open(g->model.threads, (enum backend_isa)g->model.isa, e);
    struct buf spread = {0};
    struct backend_rates rates;
    int rc = b ? 0 : -1;

    g->time = machine_time();
    for (int i = 0; i < (g->repeat ? g->repeat : LATENCY_REPEAT) && !rc; i++)
        rc = probe(g, b, &rates, e);
    if (!rc) {
        put_machine(g, b);
        buf_char(&spread, '{');
        put_rates(g, &spread);
        put_noise(g);
        print(g);
    }
    backend_close(b);
    return rc;
}

/* ---- the model ---- */

/* A model of random weights where the caller wants it, or for this run only. */
static int make_model(struct bench *g, struct err *e)
{
    const char *tmp = getenv("TMPDIR");
    struct buf b = {0};

    if (!g->write) {
        buf_fmt(&b, "%s/llm-bench.%ld.gguf", tmp && *tmp ? tmp : "/tmp", (long)getpid());
        g->temp = b.p;
    }
    g->model.path = g->write ? g->write : g->temp;
    cli_note(g->cli, "writing %s", g->model.path);
    g->made = !synth_write(g->shape, g->type, g->seed, g->model.threads, g->model.path,
                           g->write && g->force, e);
    return g->made ? 0 : -1;
}

/* One of this run only. */
static void remove_model(struct bench *g)
{
    if (g->made && g->temp)
        unlink(g->temp);
    g->made = false;
}

/* What the mode does nothing with would be asked for in vain. */
static int check_options(const struct bench *g, int n, struct err *e)
{
    const struct cli_model *m = &g->model;
    const bool random = g->mode == THROUGHPUT && !n, runs = g->mode <= THROUGHPUT;
    const struct {
        const char *name;
        bool given, fits;
    } row[] = {{"--input", g->given.input, runs && !n},
               {"--output", g->given.output, runs},
               {"--warmup", g->given.warmup, g->mode == LATENCY},
               {"--records", g->given.records, random},
               {"--repeat", g->repeat > 1, !n}, // the prefix cache would find the prompts again
               {"--spread", g->lengths.spread > 0, random},
               {"--shared", g->lengths.shared > 0, random},
               {"--static", g->fixed, g->mode == THROUGHPUT},
               {"--unpadded", g->ragged, g->mode == THROUGHPUT},
               {"--model", g->model.path != NULL, runs},
               // the rates are the processor's
               {"--device", m->given.device, runs || !strcmp(m->device, "cpu")},
               {"--ctx", m->given.ctx, runs},
               {"--batch-tokens", m->given.batch_tokens, runs},
               {"--kv-memory", m->given.kv_memory, runs},
               {"--kv-type", m->given.kv_type, runs},
               {"--repack", m->given.repack, runs},
               {"--fast", m->fast, runs},
               {"--nvtx", m->nvtx, runs},
               {"--no-prefix-cache", m->no_prefix_cache, runs},
               {"--synthetic", g->shape != 0, g->mode != PROBE},
               {"--write", g->write != NULL, g->mode != PROBE}};

    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
        if (row[i].given && !row[i].fits)
            return err_set(e, ERR_ARG, "%s has no meaning for %s%s", row[i].name, modes[g->mode],
                           n ? " of files" : "");
    return 0;
}

static int check(const struct bench *g, int n, struct err *e)
{
    if (n && g->mode != THROUGHPUT)
        return err_set(e, ERR_ARG, "%s takes no files", modes[g->mode]);
    if (check_options(g, n, e))
        return -1;
    if (g->mode == PROBE)
        return 0;
    if (g->shape && g->model.path)
        return err_set(e, ERR_ARG, "-m and --synthetic: only one of them");
    if (!g->shape && (g->write || !g->model.path))
        return err_set(e, ERR_ARG, "no model: name one with --synthetic%s",
                       g->mode == MAKE || g->write ? "" : " or -m");
    if (g->mode == MAKE && !g->write)
        return err_set(e, ERR_ARG, "make needs --write");
    if (g->write && !strcmp(g->write, "-"))
        return err_set(e, ERR_ARG, "--write needs a file: a model cannot go to standard output");
    return 0;
}

static int open_model(struct bench *g, int ctx, struct err *e)
{
    double t;

    if (g->shape && make_model(g, e))
        return -1;
    if (!g->model.ctx)
        g->model.ctx = ctx;
    t = machine_now();
    if (session_open(&g->ses, g->cli, &g->model, false, e))
        return -1;
    g->load_s = machine_now() - t;
    if (g->shape) // what the making of a model took is no part of the start
        g->began = t;
    g->no_probe |= !engine_model(g->ses.en)->backend->host; // the rates are the CPU's
    remove_model(g);
    return 0;
}

/* ---- requests ---- */

/* The random prompts of a pass, other ones in each: a prefix cache finds
 * nothing but what --shared asks for. */
static void ask_random(struct bench *g, int n, int pass)
{
    workload_random(&g->work, &g->lengths, n, engine_model(g->ses.en)->vocab, g->seed, pass);
}

static int submit(struct bench *g, int i, struct err *e)
{
    struct engine_request q = session_request(&g->sample, g->seed);

    q.token = g->work.item[i].ids.id;
    q.n_token = (int)g->work.item[i].ids.n;
    q.max_tokens = g->work.item[i].max_tokens;
    q.key = (struct hash128){(uint64_t)i, 0};
    q.user = &g->work.item[i];
    return engine_submit(g->ses.en, &q, e);
}

/* A step, and what has ended with it. */
static int step(struct bench *g, struct err *e)
{
    const struct engine_counts *n = engine_counts(g->ses.en);
    struct engine_result d;

    if (engine_step(g->ses.en, e))
        return -1;
    cli_progress_say(&g->progress, g->cli, "tokens: %lld of prompts, %lld generated",
                     (long long)n->prompt, (long long)n->generated);
    while (engine_poll(g->ses.en, &d)) {
        const struct workload_item *a = d.user;

        if (d.finish == ENGINE_FAILED)
            return err_set(e, ERR_DATA, "the model gave no finite logits");
        g->n_prompt += d.n_prompt - a->pad_prompt;
        g->n_generated += d.n_tokens - a->pad_output;
        g->n_padding += a->pad_prompt + a->pad_output;
    }
    return 0;
}

/* ---- latency ---- */

/* One repetition: what it measured goes to *prefill and *decode, tokens a second. */
static int latency_pass(struct bench *g, bool counts, double *prefill, double *decode,
                        struct err *e)
{
    const struct engine_counts *n = engine_counts(g->ses.en);
    int64_t want = 0, before = n->prompt;
    double t0 = machine_now(), t1, t;

    for (int i = 0; i < g->work.n; i++) {
        want += (int64_t)g->work.item[i].ids.n;
        if (submit(g, i, e))
            return -1;
    }
    while (n->prompt - before < want && engine_busy(g->ses.en))
        if (step(g, e))
            return -1;
    t1 = machine_now();
    if (!(g->start_s > 0))
        g->start_s = t1 - g->began;
    for (t = t1; engine_busy(g->ses.en);) {
        double last = t;

        if (step(g, e))
            return -1;
        t = machine_now();
        if (counts)
            spread_add(&g->step, 1e3 * (t - last));
    }
    *prefill = (double)want / (t1 - t0);
    *decode = g->work.n * (g->lengths.output - 1) / (t > t1 ? t - t1 : 1);
    if (!counts)
        return 0;
    spread_add(&g->first, t1 - t0);
    spread_add(&g->prefill, *prefill);
    if (g->lengths.output > 1)
        spread_add(&g->decode, *decode);
    return 0;
}

/* A value of a spread as a part of the machine's rate, which was measured right after it. */
static void add_parts(struct bench *g, const struct backend_rates *r, double prefill, double decode)
{
    struct cost c = cost_of(engine_model(g->ses.en), engine_counts(g->ses.en)->kv_type);
    double depth = g->lengths.input + g->lengths.output / 2.0;
    double bytes = (double)c.weight_bytes + g->work.n * depth * (double)c.cache_bytes;
    double ops = 2 * ((double)c.layer_products + (double)c.head_products / g->lengths.input);

    g->peak = c.floats ? "float_gop_s" : "int8_gop_s";
    spread_add(&g->of_peak, 100 * ops * prefill / (c.floats ? r->float_ops : r->int8_ops));
    if (g->lengths.output > 1)
        spread_add(&g->of_read, 100 * bytes * decode / g->work.n / r->read_bytes);
}

/* Weights are laid out anew in the second step that uses them: where a repetition is one step, that
 * would be in the first one that counts. */
static int warmups(const struct bench *g)
{
    int64_t tokens = (int64_t)g->model.batch * g->lengths.input;
    bool one_step = g->lengths.output == 1 && tokens <= g->model.batch_tokens;

    return g->warmup == 1 && one_step ? 2 : g->warmup;
}

static void put_latency(struct bench *g)
{
    struct buf b = {0};

    record_set_int(&g->out, "input", g->lengths.input);
    record_set_int(&g->out, "output", g->lengths.output);
    record_set_int(&g->out, "warmup", warmups(g));
    figures_num(&g->out, "load_s", g->load_s);
    figures_num(&g->out, "start_s", g->start_s);
    if (g->of_peak.n)
        figures_str(&g->out, "prefill_peak", g->peak);
    buf_char(&b, '{');
    figures_spread(&g->out, &b, "first_token_s", &g->first);
    figures_spread(&g->out, &b, "prefill_tok_s", &g->prefill);
    figures_spread(&g->out, &b, "decode_tok_s", &g->decode);
    figures_spread(&g->out, &b, "step_ms", &g->step);
    put_rates(g, &b);
}

static int latency(struct bench *g, struct err *e)
{
    int repeat = g->repeat ? g->repeat : LATENCY_REPEAT;
    struct backend_rates rates;
    double prefill, decode;

    if (open_model(g, g->lengths.input + g->lengths.output, e))
        return -1;
    g->time = machine_time();
    for (int i = -warmups(g); i < repeat; i++) {
        ask_random(g, g->model.batch, i);
        if (workload_fits(&g->work, engine_ctx(g->ses.en), e) ||
            latency_pass(g, i >= 0, &prefill, &decode, e))
            return -1;
        if (!g->peak_rss) // before the probe needs memory of its own
            g->peak_rss = machine_peak_rss();
        if (i < 0 || g->no_probe)
            continue;
        if (probe(g, engine_model(g->ses.en)->backend, &rates, e))
            return -1;
        add_parts(g, &rates, prefill, decode);
    }
    put_latency(g);
    return 0;
}

/* ---- throughput ---- */

static int throughput_pass(struct bench *g, struct err *e)
{
    const struct engine_counts *n = engine_counts(g->ses.en);
    int64_t hits = n->hits, preempted = n->preemptions;
    double t = machine_now();
    int i = 0;

    g->n_prompt = g->n_generated = g->n_padding = 0;
    while (i < g->work.n || engine_busy(g->ses.en)) {
        int end = !g->fixed                        ? g->work.n
                  : engine_busy(g->ses.en)         ? i
                  : i + g->model.batch < g->work.n ? i + g->model.batch
                                                   : g->work.n;

        for (; i < end && engine_room(g->ses.en); i++)
            if (submit(g, i, e))
                return -1;
        if (step(g, e))
            return -1;
    }
    t = machine_now() - t;
    g->n_hits = n->hits - hits;
    g->n_preempted = n->preemptions - preempted;
    spread_add(&g->tok, (double)g->n_generated / t);
    spread_add(&g->prompt, (double)g->n_prompt / t);
    spread_add(&g->request, g->work.n / t);
    return 0;
}

static void put_throughput(struct bench *g, bool random)
{
    const struct engine_counts *n = engine_counts(g->ses.en);
    struct buf b = {0};

    record_set_int(&g->out, "records", g->work.n);
    if (random) {
        record_set_int(&g->out, "input", g->lengths.input);
        figures_num(&g->out, "length_spread", (double)g->lengths.spread);
        record_set_int(&g->out, "shared", g->lengths.shared);
    }
    record_set_int(&g->out, "output", g->lengths.output);
    record_set_int(&g->out, "prompt_tokens", g->n_prompt);
    record_set_int(&g->out, "generated_tokens", g->n_generated);
    figures_str(&g->out, "batching",
                !g->fixed   ? "continuous"
                : g->ragged ? "static unpadded"
                            : "static");
    record_set_int(&g->out, "padding_tokens", g->n_padding);
    figures_num(&g->out, "load_s", g->load_s);
    record_set_int(&g->out, "prefix_hit_tokens", g->n_hits);
    record_set_int(&g->out, "preemptions", g->n_preempted);
    figures_num(&g->out, "kv_waste", n->unused);
    buf_char(&b, '{');
    figures_spread(&g->out, &b, "tok_s", &g->tok);
    figures_spread(&g->out, &b, "prompt_tok_s", &g->prompt);
    figures_spread(&g->out, &b, "requests_s", &g->request);
    put_rates(g, &b);
}

static int throughput(struct bench *g, int n, char **file, int *status, struct err *e)
{
    int most = g->lengths.spread > 0 ? WORKLOAD_LONGEST : 1, repeat = g->repeat ? g->repeat : 1;
    struct backend_rates rates;

    if (open_model(g, n ? 0 : g->lengths.shared + most * (g->lengths.input + g->lengths.output), e))
        return -1;
    g->time = machine_time();
    if (n && workload_files(&g->work, &g->ses, g->cli, g->lengths.output, n, file, status, e))
        return -1;
    for (int i = 0; i < repeat; i++) {
        if (!n)
            ask_random(g, g->records, i);
        if (g->fixed && !g->ragged)
            workload_pad(&g->work, g->model.batch, engine_model(g->ses.en)->vocab, g->seed);
        if (workload_fits(&g->work, engine_ctx(g->ses.en), e) || throughput_pass(g, e))
            return -1;
        if (!g->peak_rss)
            g->peak_rss = machine_peak_rss();
        if (!g->no_probe && probe(g, engine_model(g->ses.en)->backend, &rates, e))
            return -1;
    }
    put_throughput(g, !n);
    return 0;
}

/* ---- */

static int run(struct bench *g, const char *mode, int n, char **file, int *status, struct err *e)
{
    while (modes[g->mode] && strcmp(modes[g->mode], mode) != 0)
        g->mode++;
    if (!modes[g->mode])
        return err_set(e, ERR_ARG, "'%s': say latency, throughput, probe or make first", mode);
    if (check(g, n, e))
        return -1;
    if (g->mode == MAKE)
        return make_model(g, e);
    cli_progress_begin(&g->progress, g->cli);
    g->load = machine_load();
    record_new(&g->out);
    figures_str(&g->out, "bench", mode);
    if (g->mode == PROBE)
        return probe_only(g, e);
    if (g->mode == LATENCY ? latency(g, e) : throughput(g, n, file, status, e))
        return -1;
    cli_progress_end(&g->progress);
    put_machine(g, engine_model(g->ses.en)->backend);
    put_model(g);
    record_set_int(&g->out, "peak_rss_bytes", g->peak_rss);
    put_noise(g);
    print(g);
    return 0;
}

static void finish(struct bench *g)
{
    struct spread *const all[] = {&g->read,    &g->int8,   &g->floats,  &g->prefill,
                                  &g->decode,  &g->first,  &g->step,    &g->tok,
                                  &g->request, &g->prompt, &g->of_read, &g->of_peak};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        spread_free(all[i]);
    remove_model(g);
    free(g->temp);
    workload_free(&g->work);
    record_reset(&g->out);
    session_close(&g->ses);
}

int main(int argc, char **argv)
{
    struct bench g = {.model = cli_model_default,
                      .sample = cli_sample_default,
                      .notes = cli_notes_default,
                      .lengths = {.input = 256, .output = 32},
                      .warmup = 1,
                      .records = 100,
                      .type = 4,
                      .began = machine_now()};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Measurement"),
        OPT_INT(0, "input", &g.lengths.input, "n", 1, 1 << 20, "tokens of a prompt"),
        OPT_INT(0, "output", &g.lengths.output, "n", 1, 1 << 20, "tokens to generate"),
        OPT_INT(0, "repeat", &g.repeat, "n", 0, 10000, "repetitions, 0 for 5, or 1 of throughput"),
        OPT_INT(0, "warmup", &g.warmup, "n", 0, 1000, "repetitions of latency before those that count"),
        OPT_INT(0, "records", &g.records, "n", 1, 1 << 20, "random prompts of throughput"),
        OPT_FLOAT(0, "spread", &g.lengths.spread, "x", 0, 4, "log-normal lengths of throughput with this deviation of the logarithm"),
        OPT_INT(0, "shared", &g.lengths.shared, "n", 0, 1 << 20, "tokens that all prompts of throughput begin with, besides --input"),
        OPT_FLAG(0, "static", &g.fixed, "throughput in static batches: padded, and all of one end before the next begins"),
        OPT_FLAG(0, "unpadded", &g.ragged, "static batches without padding, finished sequences computed no further"),
        OPT_FLAG(0, "no-probe", &g.no_probe, "do not measure what the machine can do"),
        OPT_FLAG(0, "table", &g.table, "a line for each field instead of JSON"),
        OPT_U64('s', "seed", &g.seed, "n", "seed of prompts and weights"),
        OPT_HEAD("Synthetic model"),
        OPT_ENUM(0, "synthetic", &g.shape, synth_shapes, "shape", "random weights in the shape of nano, 135m, llama-1.1b, llama-1b, llama-3b or llama-8b"),
        OPT_ENUM(0, "type", &g.type, synth_types, "type", "type of its matrices: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, mxfp4 or nvfp4"),
        OPT_STR(0, "write", &g.write, "file", "write it here and keep it"),
        OPT_FLAG(0, "force", &g.force, "replace the file if it is there"),
        OPT_GIVEN("input", &g.given.input), OPT_GIVEN("output", &g.given.output),
        OPT_GIVEN("warmup", &g.given.warmup), OPT_GIVEN("records", &g.given.records),
        OPT_NEED("unpadded", "static"), OPT_NEED("type", "synthetic"), OPT_NEED("force", "write"),
        CLI_MODEL(&g.model), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-bench", "latency|throughput|probe|make [file ...]",
                            "how fast a model runs on this machine", opts, &g.notes};
    struct err e;
    int n, status = CLI_OK;

    g.model.batch = 1;
    g.sample.temp = 0;
    g.sample.ignore_eos = true;
    g.cli = &cli;
    g.model.no_server = true;
    n = cli_begin(&cli, argc, argv);
    if (run(&g, n ? argv[0] : "", n ? n - 1 : 0, argv + 1, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    finish(&g);
    return cli_end(&cli, status);
}
