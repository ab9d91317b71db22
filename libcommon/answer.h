/* answer.h - the text of an output while it grows, and the stop texts in it. */
#ifndef ANSWER_H
#define ANSWER_H

#include "buf.h"
#include "tok.h"

#include <stdbool.h>

/* Zeroed is empty; stream.first as for tok_stream. */
struct answer {
    struct buf text;
    struct tok_stream stream;
};

struct answer_stop {
    const char *const *text; // (n)
    int n;
};

void answer_free(struct answer *a);
/* Add a token. When that completes a stop text, cut the text before the first one: true. */
bool answer_add(struct answer *a, const struct tok *t, int32_t id, const struct answer_stop *stop);
/* Would it? Nothing changes. */
bool answer_stops(const struct answer *a, const struct tok *t, int32_t id,
                  const struct answer_stop *stop);
/* to (empty) becomes a copy. */
void answer_copy(struct answer *to, const struct answer *from);
/* At the end: whole, bytes of a character that is not become U+FFFD; else they are dropped. */
void answer_end(struct answer *a, bool whole);

#endif
