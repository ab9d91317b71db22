/* fuzz_tok.h - what every tokenizer does with any text: ids that it has, or a message; text that is
 * UTF-8. */
#ifndef FUZZ_TOK_H
#define FUZZ_TOK_H

#include "tokload.h"
#include "utf8.h"

#include <stdlib.h>

/* text (n bytes), with each set of flags. */
static void fuzz_tokens(struct tok *t, const char *text, size_t n)
{
    struct tok_ids ids = {0};
    struct buf b = {0};
    struct err e = {0};

    for (int flags = 0; flags < 16; flags++) {
        size_t before = ids.n;

        if (tok_encode(t, text, n, flags, &ids, &e) && (ids.n != before || !e.msg[0]))
            abort();
    }
    for (size_t i = 0; i < ids.n; i++)
        if (ids.id[i] < 0 || ids.id[i] >= tok_size(t))
            abort();
    tok_decode(t, ids.id, ids.n, true, &b);
    if (utf8_check(buf_cstr(&b), b.n) != b.n)
        abort();
    buf_free(&b);
    tok_ids_free(&ids);
}

#endif
