/* words.h - the words of a text in any script, for comparing and counting.
 *
 * A word is a run of letters, digits and their marks, lower-cased; everything else
 * separates. Scripts that are written without spaces (Han, kana, Thai, Khmer ...), and Hangul,
 * whose endings hide what is shared, give one word a character, so that texts in
 * them can be compared at all. For ASCII this is the tokenizer of Google's rouge_score. */
#ifndef WORDS_H
#define WORDS_H

#include "buf.h"
#include "kinds.h"
#include "runs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next word of s[*at..n) in lower case, UTF-8, into w (emptied first); false at the end.
 * Bytes that are not UTF-8 separate. */
bool words_next(const char *s, size_t n, size_t *at, struct buf *w);

enum words_run_kind { WORDS_ASCII, WORDS_SINGLES, WORDS_OTHER }; // singles: those of kinds.h

/* All words of a text at once, for whom they are hashes. Zeroed is empty. */
struct words_row {
    size_t n, cap;
    uint64_t *hash;        // (n) two words are taken for the same when their hashes are
    uint64_t *pair;        // (n - 1) of a word and the next
    uint32_t *begin, *end; // (n) in the text, which has fewer than 4 GiB
    struct runs runs;      // of letters, digits and bytes beyond ASCII: of ASCII the words
    unsigned char *kind;   // (runs.n) what is in each; of a text of ASCII not told
    size_t cap_kind;
    struct runs units; // scratch
    struct buf one;
};
void words_read(struct words_row *w, const struct kinds *text);
void words_row_free(struct words_row *w);

/* The run of `len` > 0 words from word i on as a hash. */
uint64_t words_run(const struct words_row *w, size_t i, size_t len);
/* Each run of three words as a hash of 32 bits: (n - 2). It is made of 16 bits of each word's, so
 * that runs can be told from so little. */
void words_threes(const struct words_row *w, uint32_t *three);
uint32_t words_three(const uint64_t *hash);
void words_brief(const struct words_row *w, uint16_t *brief);           // (n) those 16 bits
void words_threes_of(const uint16_t *brief, size_t n, uint32_t *three); // of n words
uint64_t words_hash(const char *word, size_t n);                        // of one word in lower case

/* Append " one two three ": the words between single spaces, or " " when there is none. Two
 * texts with the same words give the same bytes. */
void words_fold(const char *s, size_t n, struct buf *out);

/* The words that a person counts: runs between spaces, and in scripts without spaces
 * (and in Hangul) characters. */
int words_count(const char *s, size_t n);
int words_count_of(const struct kinds *text, struct runs *spans); // spans: scratch

/* True when the folded text holds the folded phrase as whole words. */
bool words_hold(const struct buf *text, const struct buf *phrase);

/* The general class of the first character: 'L' letter, 'N' number, 'P' punctuation, 'S' symbol,
 * 'Z' space, 'M' mark, 'C' other; 0 for an empty text or bytes that are not UTF-8. */
char words_class(const char *s, size_t n);

#endif
