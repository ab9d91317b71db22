/* charsmap.h - SentencePiece's precompiled character map.
 *
 * A trie (Darts-clone double array) over byte strings and the texts that
 * replace them. Every step is checked against the map's size. */
#ifndef CHARSMAP_H
#define CHARSMAP_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct charsmap {
    uint32_t *unit; // (n_unit)
    size_t n_unit;
    char *text; // (n_text) replacements, NUL-terminated each
    size_t n_text;
};

/* From the blob: u32 size of the trie in bytes, the trie, the replacements. */
int charsmap_init(struct charsmap *m, const void *blob, size_t n, struct err *e);
/* From and to base64, as tokenizer.json has it. */
int charsmap_from_base64(struct charsmap *m, const char *s, size_t n, struct err *e);
void charsmap_put_base64(struct buf *b, const void *blob, size_t n);
/* The blob again, appended to b. */
void charsmap_blob(const struct charsmap *m, struct buf *b);
void charsmap_free(struct charsmap *m);

/* The replacement of the longest (else the shortest) prefix of s[0..n) that the
 * map knows: bytes matched with *to and *n_to, 0 when it knows none, -1 when
 * the map leads outside itself (ERR_DATA). */
int charsmap_find(const struct charsmap *m, const char *s, size_t n, bool longest, const char **to,
                  size_t *n_to, struct err *e);

#endif
