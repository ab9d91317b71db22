/* cli.h - what every llm-* command shares: option groups, notes, progress, exit statuses.
 *
 * A group is a struct, its defaults and a macro that expands to rows of the
 * option table. A command takes the groups it needs, so that `--temp` means the
 * same thing everywhere or does not exist. */
#ifndef CLI_H
#define CLI_H

#include "buf.h"
#include "hash.h"
#include "json.h"
#include "opt.h"
#include "stream.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CLI_OK = 0, CLI_FAIL = 1, CLI_USAGE = 2, CLI_STOPPED = 75 };

extern const char *const cli_isas[];     // in the order of enum backend_isa
extern const char *const cli_kv_types[]; // auto, then in the order of enum kv_type
extern const char *const cli_repack[];   // in the order of enum plan_repack
extern const char *const cli_progress_when[];

struct cli_model {
    const char *path;   // .gguf file, HF directory, or a server's address
    const char *device; // see device_parse
    int threads;        // 0 = as many as this process may use
    int ctx;            // positions a sequence may have; 0 = the model's, at most 4096
    int batch;          // records in flight
    int rows, beams;    // no options: see engine.h
    bool hidden;        // no option: hidden states are asked for, and no chat template
    int batch_tokens;   // tokens computed in one step
    uint64_t kv_memory; // bytes of the KV cache; 0 = what batch and ctx need
    int kv_type;        // index into cli_kv_types
    bool no_prefix_cache;
    bool fast, nvtx;
    int repack;                // index into cli_repack
    int isa;                   // index into cli_isas
    const char *chat_template; // name, file, "none", or NULL: the model's own
    bool reward;               // no option: hidden states are asked for, not text
    bool no_server;            // no option: the command needs a model of its own
    bool computes;             // no option: threads and isa serve the command beside a server
    const char *api_key_file, *model_name;
    int timeout, retries; // of a request to a server: seconds of a try, tries after the first
    struct {
        bool device, threads, ctx, batch_tokens, kv_memory, kv_type, repack, isa; // of our own
        bool timeout, retries;                                                    // of a server
    } given; // options that have a value anyway
};

struct cli_sample {
    int max_tokens;
    float temp; // 0 = greedy
    int top_k;  // 0 = off
    float top_p, min_p;
    float repeat_penalty, presence_penalty, frequency_penalty;
    float typical_p, top_n_sigma;
    float mirostat_tau, mirostat_eta;
    float dry_multiplier, dry_base;
    int dry_allowed_length, dry_range;
    struct opt_list dry_breaker; // none: those of cli_dry_breakers
    struct opt_list logit_bias;
    struct opt_list stop;
    int samples;
    int logprobs;
    bool ignore_eos;
};

struct cli_beam {
    int beams, groups;
    float diversity, length_penalty;
    int early; // index into cli_early
};

struct cli_notes {
    bool quiet, verbose;
    int progress; // index into cli_progress_when
};

extern const char *const cli_dry_breakers[4];

extern const struct cli_model cli_model_default;
extern const char *const cli_early[]; // in the order of enum beam_stop
extern const struct cli_beam cli_beam_default;
extern const struct cli_sample cli_sample_default;
extern const struct cli_sample cli_sample_unset; // every value outside its range: not given
extern const struct stream_opt cli_io_default;
extern const struct cli_notes cli_notes_default;

// clang-format off
#define CLI_ENGINE(p) \
    OPT_STR('d', "device", &(p)->device, "name", "cpu, cuda, cuda:n for the nth GPU (from 0), or auto: a GPU if there is one"), \
    OPT_INT('j', "threads", &(p)->threads, "n", 0, 1024, "CPU threads, 0 for as many as may be used"), \
    OPT_INT(0, "ctx", &(p)->ctx, "n", 0, 1 << 24, "positions of a sequence, 0 for the model's up to 4096"), \
    OPT_INT(0, "batch", &(p)->batch, "n", 1, 1024, "records in flight"), \
    OPT_INT(0, "batch-tokens", &(p)->batch_tokens, "n", 1, 8192, "tokens computed in one step, prompts in chunks"), \
    OPT_SIZE(0, "kv-memory", &(p)->kv_memory, "size", "memory of the KV cache, such as 2G, instead of what --batch and --ctx need"), \
    OPT_ENUM(0, "kv-type", &(p)->kv_type, cli_kv_types, "type", "what keys and values are kept as: f32, f16, bf16 or fp8; auto: f16 on a GPU for models of half floats and with --fast, else f32"), \
    OPT_FLAG(0, "fast", &(p)->fast, "on a GPU, compute prompts by cuBLAS: sooner, but the same bytes in any batch no more"), \
    OPT_FLAG(0, "nvtx", &(p)->nvtx, "on a GPU, show profilers the ranges of steps, operations and loading"), \
    OPT_FLAG(0, "no-prefix-cache", &(p)->no_prefix_cache, "compute beginnings of prompts again that were computed before"), \
    OPT_ENUM(0, "repack", &(p)->repack, cli_repack, "when", "lay quantized weights out anew for this CPU: auto, when memory holds them twice; always or never"), \
    OPT_ENUM(0, "isa", &(p)->isa, cli_isas, "name", "instruction set of the CPU kernels: auto, scalar, avx2, avxvnni, avx512 or avx512vnni"), \
    OPT_GIVEN("device", &(p)->given.device), OPT_GIVEN("threads", &(p)->given.threads), \
    OPT_GIVEN("ctx", &(p)->given.ctx), OPT_GIVEN("batch-tokens", &(p)->given.batch_tokens), \
    OPT_GIVEN("kv-memory", &(p)->given.kv_memory), OPT_GIVEN("kv-type", &(p)->given.kv_type), \
    OPT_GIVEN("repack", &(p)->given.repack), OPT_GIVEN("isa", &(p)->given.isa)
/* Where a model is not always there, what it takes to be. */
#define CLI_MODEL_NEEDS(what) \
    OPT_NEED("device", what), OPT_NEED("ctx", what), OPT_NEED("batch", what), \
    OPT_NEED("batch-tokens", what), OPT_NEED("kv-memory", what), OPT_NEED("kv-type", what), \
    OPT_NEED("fast", what), OPT_NEED("nvtx", what), OPT_NEED("no-prefix-cache", what), \
    OPT_NEED("repack", what), OPT_NEED("api-key-file", what), OPT_NEED("model-name", what), \
    OPT_NEED("timeout", what), OPT_NEED("retries", what)
#define CLI_MODEL(p) CLI_MODEL_FOR(p, "GGUF file or Hugging Face directory (required)")
#define CLI_MODEL_FOR(p, what) \
    OPT_HEAD("Model"), \
    OPT_FILE('m', "model", &(p)->path, "path", OPT_READS, what), \
    CLI_ENGINE(p), \
    OPT_FILE(0, "chat-template", &(p)->chat_template, "name", OPT_READS, "template name or file, or none, instead of the model's own")
#define CLI_SERVER(p) \
    OPT_HEAD("Server, with -m http://host:port/v1"), \
    OPT_FILE(0, "api-key-file", &(p)->api_key_file, "file", OPT_READS, "key for a server, sent as a bearer token"), \
    OPT_STR(0, "model-name", &(p)->model_name, "name", "model of a server that has several"), \
    OPT_INT(0, "timeout", &(p)->timeout, "seconds", 1, 86400, "time that a server has for an answer"), \
    OPT_INT(0, "retries", &(p)->retries, "n", 0, 100, "times a request to a server is repeated that failed"), \
    OPT_GIVEN("timeout", &(p)->given.timeout), OPT_GIVEN("retries", &(p)->given.retries)
#define CLI_DRAW(p) \
    OPT_HEAD("Sampling"), \
    OPT_INT('n', "max-tokens", &(p)->max_tokens, "n", 1, 1 << 24, "tokens to generate at most"), \
    OPT_FLOAT('t', "temp", &(p)->temp, "x", 0, 100, "temperature, 0 for greedy"), \
    OPT_INT('k', "top-k", &(p)->top_k, "n", 0, 1 << 24, "keep the k likeliest tokens, 0 for all"), \
    OPT_FLOAT('p', "top-p", &(p)->top_p, "x", 0, 1, "keep the likeliest tokens that make up this mass"), \
    OPT_FLOAT(0, "min-p", &(p)->min_p, "x", 0, 1, "keep tokens at least this likely relative to the likeliest"), \
    OPT_FLOAT(0, "repeat-penalty", &(p)->repeat_penalty, "x", 0.01, 100, "divide the logits of tokens seen, 1 for off"), \
    OPT_FLOAT(0, "presence-penalty", &(p)->presence_penalty, "x", -100, 100, "subtract once from tokens generated before"), \
    OPT_FLOAT(0, "frequency-penalty", &(p)->frequency_penalty, "x", -100, 100, "subtract for each time a token was generated")
#define CLI_SAMPLE(p) \
    CLI_DRAW(p), \
    OPT_FLOAT(0, "typical-p", &(p)->typical_p, "x", 0.001, 1, "keep the most typical tokens that make up this mass, 1 for all"), \
    OPT_FLOAT(0, "top-n-sigma", &(p)->top_n_sigma, "x", 0, 100, "keep tokens at most x standard deviations below the likeliest, 0 for all"), \
    OPT_FLOAT(0, "mirostat-tau", &(p)->mirostat_tau, "x", 0, 100, "Mirostat 2: aim at x bits of surprise a token, 0 for off"), \
    OPT_FLOAT(0, "mirostat-eta", &(p)->mirostat_eta, "x", 0.0001, 1, "Mirostat 2: learning rate"), \
    OPT_FLOAT(0, "dry-multiplier", &(p)->dry_multiplier, "x", 0, 1000, "DRY: subtract x * base^(length - allowed) from what would go on with a repetition, 0 for off"), \
    OPT_FLOAT(0, "dry-base", &(p)->dry_base, "x", 1, 100, "DRY: base"), \
    OPT_INT(0, "dry-allowed-length", &(p)->dry_allowed_length, "n", 1, 1 << 24, "DRY: repeated tokens from which on it acts"), \
    OPT_INT(0, "dry-range", &(p)->dry_range, "n", 0, 1 << 24, "DRY: tokens to look back at, 0 for all"), \
    OPT_LIST(0, "dry-breaker", &(p)->dry_breaker, "text", "DRY: no repetition goes across tokens with this text; may be given several times, instead of newline : \" *"), \
    OPT_NEED("mirostat-eta", "mirostat-tau"), OPT_NEED("dry-base", "dry-multiplier"), \
    OPT_NEED("dry-allowed-length", "dry-multiplier"), OPT_NEED("dry-range", "dry-multiplier"), \
    OPT_NEED("dry-breaker", "dry-multiplier"), \
    OPT_LIST(0, "logit-bias", &(p)->logit_bias, "token:x", "add x to the logit of a token (id or text), or ban it; may be given several times"), \
    OPT_LIST(0, "stop", &(p)->stop, "text", "end before this text; may be given several times"), \
    OPT_INT(0, "samples", &(p)->samples, "n", 1, 4096, "completions of each record"), \
    OPT_INT(0, "logprobs", &(p)->logprobs, "n", 0, 100, "write the log-probability of each token and of the n likeliest, 0 for none"), \
    OPT_FLAG(0, "ignore-eos", &(p)->ignore_eos, "go on after the end-of-sequence token")
/* Of these, what only what is generated depends on; the rest is --logprobs. */
#define CLI_SAMPLE_DRAWS \
    "max-tokens|temp|top-k|top-p|min-p|repeat-penalty|presence-penalty|frequency-penalty|" \
    "typical-p|top-n-sigma|mirostat-tau|mirostat-eta|dry-multiplier|dry-base|dry-allowed-length|" \
    "dry-range|dry-breaker|logit-bias|stop|samples|ignore-eos"
#define CLI_BEAM(p) \
    OPT_HEAD("Beam search"), \
    OPT_INT(0, "beams", &(p)->beams, "n", 1, 256, "search for the likeliest output with n hypotheses, 1 for none"), \
    OPT_INT(0, "beam-groups", &(p)->groups, "n", 1, 256, "groups of hypotheses that keep away from each other"), \
    OPT_FLOAT(0, "diversity", &(p)->diversity, "x", 0, 1000, "subtract for each hypothesis of an earlier group with the same token"), \
    OPT_FLOAT(0, "length-penalty", &(p)->length_penalty, "x", -10, 10, "a hypothesis scores log-probability / length^x"), \
    OPT_ENUM(0, "early-stopping", &(p)->early, cli_early, "when", "stop when all hypotheses have ended: yes, no (if none could be better now) or never (at any length)"), \
    OPT_NEED("length-penalty", "beams"), OPT_NEED("early-stopping", "beams")
#define CLI_IO(p) \
    OPT_HEAD("Records"), \
    OPT_FILE('o', "output", &(p)->output, "file", OPT_WRITES, "write here instead of standard output"), \
    OPT_FILE(0, "rejects", &(p)->rejects, "file", OPT_WRITES, "write records that cannot be used here"), \
    OPT_FLAG(0, "resume", &(p)->resume, "skip what the output or the rejects already hold, and append"), \
    OPT_FLAG('u', "unordered", &(p)->unordered, "write records as they finish"), \
    OPT_STR(0, "shard", &(p)->shard, "i/n", "take only the i-th of n parts of the records"), \
    OPT_STR(0, "attempt", &(p)->attempt, "k", "write to FILE.ak instead of -o FILE, and do nothing that other attempts have done"), \
    OPT_U64('s', "seed", &(p)->seed, "n", "seed of all random choices"), \
    OPT_FILE(0, "stats", &(p)->stats, "file", OPT_AT_LAST, "write counts as a JSON object")
#define CLI_NOTES(p) \
    OPT_HEAD("Notes"), \
    OPT_FLAG('q', "quiet", &(p)->quiet, "no messages about single records"), \
    OPT_FLAG('v', "verbose", &(p)->verbose, "say what is done"), \
    OPT_ENUM(0, "progress", &(p)->progress, cli_progress_when, "when", "progress line: auto, always or never"), \
    OPT_FLAG('h', "help", &(bool){false}, "show this text and exit"), \
    OPT_FLAG('V', "version", &(bool){false}, "show the version and exit")
// clang-format on

struct cli {
    const char *name;     // "llm-generate"
    const char *operands; // "[file ...]"
    const char *about;    // one line, as in the man page's .Nd
    const struct opt *opts;
    const struct cli_notes *notes;
};

/* Parse the command line; on -h, -V or bad usage, which a file with two parts to play is (roles.h),
 * print and exit (0 or 2).
 * Returns the number of operands left in argv. The only function of libcommon
 * that may exit, and it is called from main() only. */
int cli_begin(const struct cli *c, int argc, char **argv);

/* Print "name: message" on stderr; returns the status to exit with. */
int cli_fail(const struct cli *c, const struct err *e);

/* Flush stdout. Returns `status`, or CLI_FAIL when output was lost (ENOSPC, EPIPE). */
int cli_end(const struct cli *c, int status);

/* A line on standard error: always, or only with -v. */
void cli_warn(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_note(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One line on standard error that is written over, at most ten times a second,
 * only when standard error is a terminal (or --progress always). */
struct cli_progress {
    bool on;
    struct timespec start, last, work; // work: since when records are computed
    int64_t skipped;                   // those before, which an earlier run did
    uint64_t from;                     // bytes read up to them
    int width;                         // of what stands on the line now
};
void cli_progress_begin(struct cli_progress *p, const struct cli *c);
/* Counts of a stream and tokens so far (0: not said), with rate and time left where known. */
void cli_progress(struct cli_progress *p, const struct cli *c, const struct stats *n,
                  int64_t tokens);
/* The same with a text of the caller's own. */
void cli_progress_say(struct cli_progress *p, const struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cli_progress_end(struct cli_progress *p);

/* The fingerprint of a run for FILE.meta: version, command, model hash (NULL
 * without a model), further pairs of the caller ("\"prompts\":\"...\"" or NULL) and every option
 * that can change the records. */
void cli_fingerprint(const struct cli *c, const struct hash128 *model, const char *more,
                     struct buf *out);

/* Where files go that are gone with the process: the directory given (NULL: none), TMPDIR, or
 * /var/tmp. */
const char *cli_tmp_dir(const char *given);

/* Find a file or directory of the toolkit's own data, such as "prompts/tiny/evol.yaml":
 * beside the executable in ../examples (build tree) or ../share/llmutils
 * (installed). Caller frees; NULL with e set when it is in neither. */
char *cli_data(const char *name, struct err *e);

#endif
