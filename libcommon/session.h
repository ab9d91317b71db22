/* session.h - an engine and its prompts, opened from a command's options.
 *
 * What every command with a model does before its first record and after its last. */
#ifndef SESSION_H
#define SESSION_H

#include "cli.h"
#include "engine.h"
#include "prompt.h"

struct session {
    struct engine *en;
    struct prompt_model pm;
    struct sample_bias *bias; // of session_sampling
    uint64_t *breaker;
    struct grammar *grammar; // of session_constrain, or NULL
};

/* Open the model of the options (ERR_ARG without -m); says with -v what it runs on and the memory
 * plan. */
int session_open(struct session *s, const struct cli *c, const struct cli_model *o, bool ordered,
                 struct err *e);
void session_close(struct session *s); // zeroed is closed

/* Keep all outputs to the GBNF grammar or the JSON schema in a file; NULL: none, and not both.
 * Appends a pair with the hash of its text to `more`, for session_stream. Errors name the file. */
int session_constrain(struct session *s, const char *grammar, const char *schema, struct buf *more,
                      struct err *e);

/* A request with the sampling options, to which prompt, key and user are added. */
struct engine_request session_request(const struct cli_sample *o, uint64_t seed);

/* What a request needs of the sampling options that depends on the model: biases, DRY's breakers.
 * Once, before any request is submitted; ERR_ARG for what cannot be. */
int session_sampling(struct session *s, const struct cli_sample *o, struct engine_request *q,
                     struct err *e);

/* Members for --stats: tokens, seconds, bytes of model, cache and peak resident memory. */
void session_stats(const struct session *s, struct buf *out);

/* The stream of a command with a model: opens it with the fingerprint of the run (see
 * cli_fingerprint). */
struct stream *session_stream(const struct session *s, const struct cli *c,
                              const struct stream_opt *io, const char *const *fields, int group,
                              const char *more, int n, char **file, struct err *e);

#endif
