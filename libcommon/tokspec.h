/* tokspec.h - what a tokenizer is made of, and the small types of its interface.
 *
 * The loaders fill a struct tok_spec, tok builds its tables from it, the
 * writers write it. */
#ifndef TOKSPEC_H
#define TOKSPEC_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "mem.h"
#include "vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tok_kind { TOK_BPE, TOK_SPM, TOK_UNIGRAM, TOK_WORDPIECE }; // enum tok_type: vocab.h

enum {
    TOK_BOS = 1,     // begin with BOS where the tokenizer adds one (and never two)
    TOK_SPECIAL = 2, // recognize control tokens in the text (templates; never user text)
    TOK_EOS = 4,     // end with EOS where the tokenizer adds one
    TOK_INSIDE = 8,  // the text follows other tokens (Metaspace's "first" is not for it)
};

struct tok_ids {
    int32_t *id; // (n)
    size_t n, cap;
};

/* Parts of a text of which only some may name control tokens. */
struct tok_part {
    size_t end; // offset behind the part
    bool special;
};

struct tok_added {
    int32_t id;
    bool lstrip, rstrip; // white space around it belongs to it
    bool single_word;    // not inside a word
    bool normalized;     // looked for in normalized text (control tokens never are)
};

/* Two pieces that may become the piece with their joined text. */
struct tok_merge {
    const char *left, *right;
    uint32_t n_left, n_right;
};

struct tok_spec {
    enum tok_kind kind;
    bool byte_level; // pieces are written in GPT-2's byte alphabet
    bool escaped;    // U+2581 in pieces stands for a space
    bool by_score;   // no merges: pieces join where a piece has their text, best score first
    bool byte_fallback, fuse_unk, ignore_merges;
    struct vocab_piece *piece; // (n)
    int n;
    struct tok_merge *merge; // (n_merges) lowest rank first
    size_t n_merges;
    struct tok_added *added;
    size_t n_added;
    const char *normalizer, *splitter; // JSON as in tokenizer.json, or NULL
    int bos, eos, unk, pad;            // -1: none
    bool add_bos, add_eos;
    int32_t *prefix, *suffix; // what stands around a text when not just bos and eos, or NULL
    int n_prefix, n_suffix;
    int max_word; // characters of a word that WordPiece cuts; longer ones are unknown
    int32_t *end; // (n_end) tokens that end a generation, eos among them
    size_t n_end;
    const char *chat; // template, or NULL
    const char *pre;  // name, or NULL
    struct arena mem; // holds all of the above
};
void tokspec_free(struct tok_spec *s);
/* Of all that the ids of a text and the text of ids depend on. */
struct hash128 tokspec_hash(const struct tok_spec *s);
/* WordPiece's pieces stand here as they do in GGUF files: those that begin a word with U+2581 in
 * front ("▁the"), those inside one without "##", and names in brackets ("[CLS]") as they are.
 * From the form of vocab.txt, and back into it; both append. */
void tokspec_from_wordpiece(const char *s, size_t n, struct buf *out);
void tokspec_to_wordpiece(const char *s, size_t n, struct buf *out);
/* Ids in range, and there where they are asked for: ERR_DATA names which. */
int tokspec_check(const struct tok_spec *s, struct err *e);

#endif
