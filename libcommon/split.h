/* split.h - pre-tokenizers: normalized text into words.
 *
 * A chain of steps, described by tokenizer.json's `pre_tokenizer` object:
 * ByteLevel Split Metaspace Digits Punctuation Whitespace WhitespaceSplit
 * CharDelimiterSplit BertPreTokenizer and Sequence. ByteLevel's change of bytes into letters is
 * not done here: tok merges bytes. */
#ifndef SPLIT_H
#define SPLIT_H

#include "buf.h"
#include "err.h"
#include "json.h"
#include "pattern.h"

enum { SPLIT_STEPS = 32 };

struct split; // unchanged by use, so threads may share it

/* Where decoding must take a space away again. */
enum split_space { SPLIT_NO_SPACE, SPLIT_FIRST, SPLIT_ALWAYS };

/* From node `node` of j; -1 or a null node gives a chain without steps. */
struct split *split_new(const struct json *j, int node, struct err *e);
void split_free(struct split *x);
bool split_is_empty(const struct split *x);
bool split_is_byte_level(const struct split *x); // a ByteLevel step is in it
bool split_escapes(const struct split *x);       // a Metaspace step is in it
enum split_space split_space(const struct split *x);
/* The regular expression, when exactly one step has one of its own, else NULL. */
const char *split_pattern(const struct split *x);

/* What one thread needs. Zeroed is fresh; split_done frees it. */
struct split_work {
    struct pattern_work pattern;
    struct buf text[SPLIT_STEPS]; // of the steps that change the text
};
void split_done(struct split_work *w);

/* Called with each word, which is borrowed for the call. 0, or -1 with *e set. */
typedef int (*split_emit)(void *arg, const char *s, size_t n, struct err *e);

/* Split n bytes of valid UTF-8. at_start: nothing stands before them. */
int split_run(const struct split *x, struct split_work *w, const char *s, size_t n, bool at_start,
              split_emit emit, void *arg, struct err *e);

#endif
