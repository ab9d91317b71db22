/* norm.h - text normalizers of tokenizers.
 *
 * A chain of steps, described by tokenizer.json's `normalizer` object: NFC NFD
 * NFKC NFKD Lowercase StripAccents BertNormalizer Strip Nmt Prepend Replace Precompiled and
 * Sequence. Two forms of our own describe what GGUF's t5 tokenizers do:
 * Precompiled with `"longest": true` takes the longest match at each place (as
 * SentencePiece does) instead of a whole grapheme's first, and `Spaces` drops
 * and adds spaces ("merge", "prefix", "suffix"). */
#ifndef NORM_H
#define NORM_H

#include "buf.h"
#include "err.h"
#include "json.h"
#include "pattern.h"

enum { NORM_STEPS = 64 };

struct norm; // unchanged by use, so threads may share it

/* From node `node` of j; -1 or a null node gives a chain without steps. */
struct norm *norm_new(const struct json *j, int node, struct err *e);
void norm_free(struct norm *x);
bool norm_is_empty(const struct norm *x);
/* The chain turns spaces into U+2581 (so decoding turns them back). */
bool norm_escapes(const struct norm *x);
/* The chain puts something before each text ("▁"). */
bool norm_prepends(const struct norm *x);

/* What one thread needs. Zeroed is fresh; norm_done frees it. */
struct norm_work {
    struct pattern_work pattern;
    struct buf spare;
    int32_t *cp; // (cap) code points
    size_t cap;
};
void norm_done(struct norm_work *w);

/* Replace out's bytes by the normalized form of n bytes of valid UTF-8. */
int norm_apply(const struct norm *x, struct norm_work *w, const char *s, size_t n, struct buf *out,
               struct err *e);
/* Does nothing come of the character that this text begins with? 1, 0, -1. */
int norm_drops_start(const struct norm *x, struct norm_work *w, const char *s, size_t n,
                     struct err *e);

#endif
