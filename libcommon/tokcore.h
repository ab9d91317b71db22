/* tokcore.h - the inside of a tokenizer, shared by tok (building, decode) and
 * tokcore (encode). Nobody else includes it. */
#ifndef TOKCORE_H
#define TOKCORE_H

#include "bpe.h"
#include "norm.h"
#include "split.h"
#include "tokspec.h"
#include "trie.h"
#include "unigram.h"

#include <stdatomic.h>

enum {
    TOKCORE_SILENT = 1, // gives no text unless asked for
    TOKCORE_RESETS = 2, // the encoder's own space comes again after it
    TOKCORE_END = 4,    // ends a generation
};

struct tok {
    struct tok_spec spec;
    struct vocab vocab;
    struct norm *norm;
    struct split *split;
    struct bpe bpe;
    struct unigram unigram;
    struct trie begin, inside;     // WordPiece's pieces, without U+2581, by where they stand
    struct trie added, added_norm; // index into spec.added
    bool escaped;
    enum split_space space;
    unsigned char *flag; // (n)
    /* Characters that are parts of pieces but no pieces: symbols n, n + 1, ... */
    struct hash_table extra;
    uint32_t *extra_cp; // (n_extra)
    int32_t ascii[128]; // the symbols of ASCII, -1 - character where there is none
    size_t n_extra, cap_extra;
    /* Text may be cut before U+2581 (cuts) unless the byte before it crosses. */
    bool cuts, meta_crosses, crosses[256];
    /* Whether the merging of a token's word ends in the token: 0 not known yet,
     * 1 yes, 2 no. A pure function of the tables, so threads may race to fill it. */
    atomic_uchar *whole; // (n)
};

/* The symbol of the character cp, whose n bytes are s. */
int32_t tokcore_symbol(const struct tok *t, const char *s, size_t n, uint32_t cp);

/* As tok_encode_parts. */
int tokcore_encode(const struct tok *t, const char *s, const struct tok_part *part, size_t n_parts,
                   int flags, struct tok_ids *out, struct err *e);

#endif
