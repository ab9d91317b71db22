/* engine.h - submit, step, poll: many requests over one model.
 *
 * All that a command sees of inference. Requests share steps: each step carries
 * one token of every sequence that generates and prompt chunks of those that do
 * not yet; a finished sequence's place is taken in the next step. Beginnings that requests have
 * in common are computed once. What a request returns depends on the request alone, never on its
 * company.
 * Source: Yu et al. 2022 (Orca), continuous batching; Kwon et al. 2023, paged KV. */
#ifndef ENGINE_H
#define ENGINE_H

#include "backend.h"
#include "beam.h"
#include "buf.h"
#include "device.h"
#include "err.h"
#include "grammar.h"
#include "hash.h"
#include "hidden.h"
#include "model.h"
#include "plan.h"
#include "sample.h"

#include <stdbool.h>
#include <stdint.h>

struct engine_opt {
    int batch;            // sequences in flight at most
    int ctx;              // positions of a sequence; 0: the model's, at most 4096
    int batch_tokens;     // tokens in one step at most
    int rows;             // of logits in one step at most; 0: batch
    int beams;            // of one request at most; at most batch
    uint64_t kv_bytes;    // memory of the cache; 0: see plan.h
    bool hidden;          // requests are answered with hidden states; nothing is generated
    bool no_cache;        // compute every prompt whole, also what was computed before
    enum kv_type kv_type; // see runner_opt
    enum plan_repack repack;
    bool fast; // see backend.h; exact where the device has nothing for it
    struct device device;
    int threads; // 0: as many as this process may use
    enum backend_isa isa;
    bool ordered; // engine_poll gives results in the order of submission
};

/* A place where the answer is one of a few tokens, and the text that follows it.
 * A request with slots generates nothing else: after the prompt the
 * distribution over slot 0's choices is read, the likeliest is taken, `then` is
 * appended, and so on; this is how scores are read as expected values. */
struct engine_slot {
    const int32_t *choice; // (n_choice) token ids
    int n_choice;
    const int32_t *then; // (n_then), may be empty
    int n_then;
};

struct engine_request {
    const int32_t *token; // (n_token) the prompt with its BOS; copied
    int n_token;
    int max_tokens;
    struct sample_opt sample;
    uint64_t seed;
    struct hash128 key;      // of the record's id: noise is keyed by (seed, key, sample, position)
    int sample_index;        // 0..N-1 of --samples
    const char *const *stop; // (n_stop) texts that end the output, not part of it; borrowed
    int n_stop;
    int n_logprobs; // likeliest tokens to report at each position; 0: no log-probabilities
    bool ignore_eos;
    int32_t end_token; // one more that ends the output; 0: none
    bool trim;         // drop one leading space of the output (SentencePiece after a template)
    struct grammar *grammar; // that the text must keep to, or NULL; borrowed, outlives the engine
    const struct engine_slot *slot; // (n_slots) borrowed until polled; NULL: generate
    int n_slots;
    struct beam_opt
        beam;    // beams > 1: beam search (max_tokens and n_end are not looked at, nor what
    int n_best;  // in sample is for draws), which has n_best results
    int n_given; // the last tokens are an output whose log-probabilities are all that is asked for
    enum hidden_pool pool; // with engine_opt.hidden, of the states behind the model's last norm;
                           // only token, key and user are looked at besides
    void *user;
};

/* ENGINE_GRAMMAR: nothing that the grammar allows can come next, or it is too ambiguous;
 * ENGINE_FEW: the search has found fewer outputs than n_best. */
enum engine_finish {
    ENGINE_STOP,
    ENGINE_LENGTH,
    ENGINE_SLOTS,
    ENGINE_GIVEN,
    ENGINE_HIDDEN,
    ENGINE_FAILED,
    ENGINE_GRAMMAR,
    ENGINE_FEW
};

/* What came of a request; its pointers are valid until the next engine_poll. */
struct engine_result {
    void *user;
    enum engine_finish finish;
    const char *text; // (n_text) UTF-8, without stop text and end token
    size_t n_text;
    const int32_t *token; // (n_tokens) as drawn, the end token included; or as given
    int n_tokens, n_prompt;
    const float *logprob;         // (n_tokens), or NULL
    const struct sample_top *top; // (n_tokens, n_logprobs), or NULL
    const float *p;               // slots' distributions one after the other, or NULL
    const float *hidden;          // (n_hidden) the pooled hidden state, or NULL
    int n_hidden;
    int sample_index;  // with beams: 0 is the best
    double sum, score; // with beams: log-probability; see beam.h
};

struct engine;

/* Open a model on a device. Memory is planned first (plan.h): ERR_MEM when it is too little. */
struct engine *engine_open(const struct engine_opt *o, const char *path, struct err *e);
void engine_close(struct engine *en);

const struct model *engine_model(const struct engine *en);
/* The model's hash; on a device whose sums of half floats differ from the CPU's, of a model that
 * has such, or with a cache that has, another one: what stands for the model in a run's
 * fingerprint. */
struct hash128 engine_hash(const struct engine *en);
int engine_ctx(const struct engine *en);
size_t engine_cache_bytes(const struct engine *en); // of the whole pool, resident or not
/* What it runs on and the memory plan, one line each, for -v. */
void engine_describe(const struct engine *en, struct buf *out);

/* True when another request may be submitted (a batch waits besides the one at work). */
bool engine_room(const struct engine *en);
bool engine_busy(const struct engine *en); // something is submitted and not polled

/* ERR_ARG when the prompt (without what is given) is empty, has ids outside the vocabulary or
 * leaves no room for one token (of hidden states: is longer) within ctx, or when it has more beams
 * than the engine was opened for: the request is refused, the engine goes on. */
int engine_submit(struct engine *en, const struct engine_request *r, struct err *e);
int engine_step(struct engine *en, struct err *e);             // -1: the device failed
int engine_poll(struct engine *en, struct engine_result *out); // 1 or 0

/* Since open; see sched.h. */
struct engine_counts {
    int64_t prompt, generated, steps; // tokens and steps
    double prefill_seconds, decode_seconds;
    int64_t hits, again, preemptions;
    int pages, peak_pages; // of the cache; held by sequences at once
    bool fast;             // exactness was given up, see engine_opt
    enum kv_type kv_type;  // of the cache
    double unused;         // part of what sequences hold that has no position yet, over time
};
const struct engine_counts *engine_counts(const struct engine *en);

#endif
