/* grammar.h - constrained decoding: which tokens may come next so that the text stays within a
 * grammar.
 *
 * The constraint is on the text of the output as tok_stream gives it, byte by byte, so that a
 * token may hold part of a character or cross any number of rules. End tokens are allowed exactly
 * where the text is whole; control, unknown and unused tokens never.
 *
 * What is remembered from token to token and from sequence to sequence is bounded, and changes no
 * result; neither do the other sequences.
 *
 * One grammar serves all sequences of a run, but one thread at a time. */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "cfg.h"
#include "err.h"
#include "tok.h"

#include <stdbool.h>
#include <stdint.h>

enum { GRAMMAR_BYTES = 64 << 20 }; // remembered at most, unless the sequences stand on more

struct grammar;

/* Compile for the first n_vocab ids of a tokenizer, which must outlive it (ids from tok_size on
 * are never allowed). Errors: ERR_DATA. */
struct grammar *grammar_new(const struct cfg *c, const struct tok *t, int n_vocab, struct err *e);
void grammar_free(struct grammar *g); // after all its states

/* Where a sequence stands. The grammar knows all its states: they must not be moved, and be
 * closed by grammar_leave. */
struct grammar_state {
    struct grammar *g;
    int32_t set;
    bool first; // one leading space of the next token is not part of the text (see tok_stream)
    struct grammar_state *next, **at;
};

/* Begin a text; first as in tok_stream. */
void grammar_enter(struct grammar *g, struct grammar_state *s, bool first);
void grammar_fork(struct grammar_state *to, const struct grammar_state *from); // to: not entered
void grammar_leave(struct grammar_state *s); // zeroed is left already

/* The tokens that may come next: n_vocab bits, token i is bit i % 64 of word i / 64; valid until
 * the next call of any of these functions with this grammar. NULL when there is none: ERR_NONE
 * when the text is whole and the vocabulary has no token to end it with; ERR_DATA when no token
 * of the vocabulary can go on, or a limit is met. */
const uint64_t *grammar_mask(struct grammar_state *s, struct err *e);

/* Go on with a token: 0, or -1 when it is not allowed (then s is as it was). */
int grammar_accept(struct grammar_state *s, int32_t token);
bool grammar_can_end(const struct grammar_state *s);

/* The same for bytes: how many of them are allowed; s is behind the last that is. */
size_t grammar_bytes(struct grammar_state *s, const char *p, size_t n);

/* States of the network; what is remembered; how often that was forgotten. */
struct grammar_counts {
    size_t states, sets, masks, bytes, forgotten;
};
struct grammar_counts grammar_counts(const struct grammar *g);
/* Forget at this many bytes instead of GRAMMAR_BYTES, for tests. */
void grammar_limit(struct grammar *g, size_t bytes);

#endif
