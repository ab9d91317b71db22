/* tok.h - tokenizers: byte-level BPE, SentencePiece BPE, Unigram, WordPiece.
 *
 * The tables of one tokenizer, and encode and decode over them. tokload fills
 * it from GGUF keys or a tokenizer.json; nothing here knows a file format. */
#ifndef TOK_H
#define TOK_H

#include "buf.h"
#include "err.h"
#include "tokspec.h"

#include <stdbool.h>
#include <stdint.h>

struct tok; // opaque; made by tokload, freed by tok_close

void tok_close(struct tok *t);

enum tok_kind tok_kind(const struct tok *t);
int tok_size(const struct tok *t); // ids are 0..size-1
/* Ids, or -1 when the tokenizer has none. tok_is_end: ends a generation (eos, eot, eom). */
int tok_bos(const struct tok *t);
int tok_eos(const struct tok *t);
bool tok_is_end(const struct tok *t, int id);
bool tok_adds_bos(const struct tok *t);
bool tok_adds_eos(const struct tok *t);
bool tok_adds_space(const struct tok *t); // puts a space before text (SentencePiece)
/* The chat template text of the file, or NULL. */
const char *tok_template(const struct tok *t);
/* The pre-tokenizer's `pre` name and regular expression (NULL without one, or with several). */
const char *tok_pre(const struct tok *t);
const char *tok_pattern(const struct tok *t);
/* Id of the token with exactly this text as it stands in the vocabulary, or -1. */
int tok_find(const struct tok *t, const char *piece, size_t n);
/* The vocabulary's own text of a token (with its escapes: "Ġthe", "▁the", "<0x0A>"), score and
 * type. */
const char *tok_piece(const struct tok *t, int id, size_t *n);
float tok_score(const struct tok *t, int id);
enum tok_type tok_type(const struct tok *t, int id);

/* Append the ids of n bytes of text (flags and struct tok_ids: tokspec.h). Invalid UTF-8 is
 * ERR_DATA with its offset, 2 GiB or more ERR_ARG; then nothing is appended. User-defined (added)
 * tokens are always recognized, control tokens only with TOK_SPECIAL. A character that a BPE
 * vocabulary has neither a token nor bytes nor an unknown token for is left out, as HF does.
 * Deterministic; safe from several threads at once. */
int tok_encode(const struct tok *t, const char *s, size_t n, int flags, struct tok_ids *out,
               struct err *e);
void tok_ids_free(struct tok_ids *ids);

/* The same for a text made of parts of which only some may name control
 * tokens (TOK_SPECIAL is not looked at): it is tokenized as one text. */
int tok_encode_parts(const struct tok *t, const char *s, const struct tok_part *part,
                     size_t n_parts, int flags, struct tok_ids *out, struct err *e);

/* Text of whole sequences: decode(encode(x)) = x, except for what a normalizer
 * changed. Control tokens give no text unless special is set. Always valid
 * UTF-8: malformed bytes become U+FFFD. */
void tok_decode(const struct tok *t, const int32_t *id, size_t n, bool special, struct buf *out);

/* Streaming decode: bytes of a character that is not complete are held back.
 * Zeroed with `first` set to true decodes from the start of a text (the space
 * that encoding put there is dropped); first = false goes on after a prompt. */
struct tok_stream {
    bool first;
    int n_held;
    char held[4];
};
void tok_stream_add(const struct tok *t, struct tok_stream *s, int32_t id, bool special,
                    struct buf *out);
/* At the end: what is held can never be completed; it becomes U+FFFD. */
void tok_stream_end(struct tok_stream *s, struct buf *out);
/* Whether text after the token `id` begins with a space of the encoder's own,
 * so that `first` is right for it (a prompt that ends in a control token). */
bool tok_starts_text(const struct tok *t, int32_t id);

/* The bytes of one token, as tok_stream_add would emit them in mid-text, before
 * holding back; may be part of a character. */
void tok_bytes(const struct tok *t, int32_t id, bool special, struct buf *out);

/* Check everything and build the tables. Takes over *s, which is empty
 * afterwards, in any case. Errors: ERR_DATA naming token, merge or step. */
struct tok *tok_new(struct tok_spec *s, struct err *e);
const struct tok_spec *tok_spec(const struct tok *t);

#endif
