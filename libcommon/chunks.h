/* chunks.h - a text's words as its quality is measured by: what stands between spaces, without the
 * punctuation at its ends, which is words of its own. */
#ifndef CHUNKS_H
#define CHUNKS_H

#include "kinds.h"
#include "repeat.h"
#include "runs.h"
#include "words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty; memory is kept for the next text. */
struct chunks {
    struct repeat_words words;
    size_t solid, solid_chars; // words that are more than punctuation; their characters
    size_t lettered;           // words with a letter
    /* working memory */
    const struct kinds *t;
    struct runs spans;
    uint64_t *hash; // (cap_hash) of runs as they are written
    size_t cap_hash;
    uint64_t mark[256];     // hashes of single bytes
    unsigned char own[256]; // is a byte behind a run of letters a word of its own? Not a space
    uint64_t stop[32];      // hashes of stop words, each in the place that its bits give
    int shift;
    bool ready;
};
/* row: words_read of the same text. */
void chunks_read(struct chunks *c, const struct kinds *t, const struct words_row *row);
/* How many of Gopher's eight stop words are among the words, counted up to `enough`. */
size_t chunks_stops(const struct chunks *c, size_t enough);
void chunks_free(struct chunks *c);

bool chunks_is_terminal(uint32_t cp); // what ends a sentence, in any script

#endif
