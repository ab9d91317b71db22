/* vocab.h - the pieces of a tokenizer: ids, texts, and the bytes they stand for.
 *
 * A piece is what the file calls a token ("Ġthe", "▁the", "<0x0A>"); its bytes
 * are what text it gives (" the", " the", "\n"), and its word is what the
 * merging of text can arrive at: the bytes for a byte-level vocabulary, the
 * piece itself for the others. */
#ifndef VOCAB_H
#define VOCAB_H

#include "err.h"
#include "hash.h"
#include "mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types of tokens, with GGUF's numbers. */
enum tok_type { TOK_NORMAL = 1, TOK_UNKNOWN, TOK_CONTROL, TOK_USER, TOK_UNUSED, TOK_BYTE };

enum { VOCAB_MAX = 1 << 24, VOCAB_PIECE = 4096 }; // tokens; bytes of one

struct vocab_piece {
    const char *s; // borrowed
    uint32_t n;
    enum tok_type type;
    bool outside; // no part of the model's vocabulary: it has no word
    double score;
};

struct vocab {
    const struct vocab_piece *piece; // (n) borrowed
    int n;
    char *bytes;             // of all tokens, one after the other
    uint32_t *at;            // (n + 1)
    int32_t byte[256];       // the token of each byte, or -1
    struct hash_table ids;   // pieces -> ids
    struct vocab_slot *word; // (cap) words -> ids
    size_t cap;
};

/* byte_level: normal pieces are written in GPT-2's byte alphabet. escaped:
 * U+2581 in them stands for a space. words: names ("[SEP]", and what is added) are words, with a
 * space before them. Checks what must hold of all vocabularies:
 * count, no empty, overlong, invalid or repeated piece, finite scores, byte
 * pieces that name a byte. The pieces must outlive the vocabulary. */
int vocab_init(struct vocab *v, const struct vocab_piece *piece, int n, bool byte_level,
               bool escaped, bool words, struct err *e);
void vocab_free(struct vocab *v);

int vocab_find(const struct vocab *v, const char *piece, size_t n); // id or -1
/* The token whose word this is, or -1. Control, unknown, byte and outside tokens
 * have no word: text never becomes one of them by merging. */
int vocab_word(const struct vocab *v, const char *s, size_t n);
/* Ask memory for what vocab_word will read: several at a time are soonest there. */
void vocab_word_ahead(const struct vocab *v, const char *s, size_t n);
/* The byte that "<0x0A>" names, or -1. */
int vocab_byte_name(const char *s, size_t n);

#endif
