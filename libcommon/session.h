/* session.h - a model, ours or a server's, and its prompts, opened from a command's options.
 *
 * What every command with a model does before its first record and after its last, and between:
 * a request goes to the engine or to a server (remote.h), which a command need not know. */
#ifndef SESSION_H
#define SESSION_H

#include "cli.h"
#include "engine.h"
#include "prompt.h"
#include "remote.h"

struct session {
    struct engine *en;     // NULL with a server
    struct remote *remote; // NULL without
    struct stream *stream; // of session_stream, borrowed: a server is not waited for after a signal
    struct prompt_model pm;
    struct sample_bias *bias; // of session_sampling
    uint64_t *breaker;
    struct grammar *grammar; // of session_constrain, or NULL
    char *schema;            // its text for a server, or NULL
    char name[33];           // of our model: its hash
};

/* Open the model of the options (ERR_ARG without -m); says with -v what it runs on and the memory
 * plan. With a server, ERR_ARG for options that only a model of our own can have. */
int session_open(struct session *s, const struct cli *c, const struct cli_model *o, bool ordered,
                 struct err *e);
void session_close(struct session *s); // zeroed is closed

/* The model's name for records: the hash of our own, what a server calls it. */
const char *session_model(const struct session *s);

/* What stands for the model in a fingerprint: the hash of our own, or of what a server calls it. */
struct hash128 session_hash(const struct session *s);

/* Keep all outputs to the GBNF grammar or the JSON schema in a file; NULL: none, and not both.
 * Appends a pair with the hash of its text to `more`, for session_stream. Errors name the file. */
int session_constrain(struct session *s, const char *grammar, const char *schema, struct buf *more,
                      struct err *e);

/* A request with the sampling options, to which prompt, key and user are added. */
struct engine_request session_request(const struct cli_sample *o, uint64_t seed);

/* ERR_ARG, naming the option, when a server has no such sampling, or no model has. */
int session_takes(const struct session *s, const struct cli_sample *o, struct err *e);

/* What a request needs of the sampling options that depends on the model: biases, DRY's breakers.
 * Once, before any request is submitted; ERR_ARG for what cannot be. */
int session_sampling(struct session *s, const struct cli_sample *o, struct engine_request *q,
                     struct err *e);

/* A prompt in the form that the model takes. */
struct session_prompt {
    struct tok_ids ids; // for the engine
    struct buf json;    // for a server: a list of messages, or a string
    struct buf begun;   // the answer's beginning, which the last of the messages is
    size_t n_bare;      // of json before it
    bool templated;
    bool rendered; // for a server: by us
    bool forced;   // a server that refuses the beginning is not asked without it
};

/* A text as it stands, for hidden states, with what the tokenizer puts around it; with `cut` the
 * end of one that is longer than the context is left away. *n_token gets its tokens before that
 * (0 with a server, which counts itself). */
int session_text(const struct session *s, const char *text, size_t n, bool cut,
                 struct session_prompt *out, size_t *n_token, struct err *e);

/* The prompt of a record, or a filled prompt file; see prompt_record and prompt_encode. */
int session_record(const struct session *s, struct record *r, struct session_prompt *out,
                   struct err *e);
int session_fill(const struct session *s, const struct prompt *p, const struct prompt_var *v, int n,
                 struct session_prompt *out, struct err *e);
/* A prompt file of which the model writes the user's turn (prompt_turn). A server does not say its
 * template: before, after: the texts around a user's, or NULL: ERR_ARG then, and the model's own
 * template with a model of ours. */
int session_turn(const struct session *s, const struct prompt *p, const char *before,
                 const char *after, const struct prompt_var *v, int n, struct session_prompt *out,
                 struct buf *stop, int32_t *token, struct err *e);
/* Is a space at the front of an output dropped? Behind a template, where the tokenizer puts one
 * before what it takes for a beginning; what a server's does is not known. */
bool session_trims(const struct session *s, bool templated);
void session_prompt_free(struct session_prompt *p);

/* As engine.h has them. p must stay until the request was polled; q is completed with it. */
bool session_room(const struct session *s);
bool session_busy(const struct session *s);
int session_submit(struct session *s, struct engine_request *q, const struct session_prompt *p,
                   struct err *e);
int session_step(struct session *s, struct err *e);

/* What came of a request. rule, why: why it came to nothing, or NULL. A server's result has
 * no tokens, and counts of -1 where it gave none. */
struct session_result {
    struct engine_result d;
    const char *rule, *why;
    const char *logprobs; // (n_logprobs) JSON, of a server
    size_t n_logprobs;
};
int session_poll(struct session *s, struct session_result *out);

/* Tokens so far; of a server, what it said. */
void session_tokens(const struct session *s, int64_t *prompt, int64_t *generated);

/* Members for --stats: tokens, seconds, bytes of model, cache and peak resident memory; or
 * requests, failures and retries. */
void session_stats(const struct session *s, struct buf *out);

/* The stream of a command with a model: opens it with the fingerprint of the run (see
 * cli_fingerprint). */
struct stream *session_stream(struct session *s, const struct cli *c, const struct stream_opt *io,
                              const char *const *fields, int group, const char *more, int n,
                              char **file, struct err *e);

#endif
