/* answer.c - the text of an output while it grows, and the stop texts in it. */
#include "answer.h"

#include <string.h>

void answer_free(struct answer *a)
{
    buf_free(&a->text);
}

/* Cut the text before the first stop text in it; only what is new can end one. */
static bool cut(struct answer *a, size_t old, const struct answer_stop *stop)
{
    const char *first = NULL;

    for (int i = 0; i < stop->n; i++) {
        size_t n = strlen(stop->text[i]), from = old > n ? old - n : 0;
        const char *at =
            n ? memmem(buf_cstr(&a->text) + from, a->text.n - from, stop->text[i], n) : NULL;

        if (at && (!first || at < first))
            first = at;
    }
    if (!first)
        return false;
    a->text.n = (size_t)(first - a->text.p);
    a->text.p[a->text.n] = 0;
    a->stream.n_held = 0;
    return true;
}

bool answer_add(struct answer *a, const struct tok *t, int32_t id, const struct answer_stop *stop)
{
    size_t old = a->text.n;

    tok_stream_add(t, &a->stream, id, false, &a->text);
    return cut(a, old, stop);
}

bool answer_stops(const struct answer *a, const struct tok *t, int32_t id,
                  const struct answer_stop *stop)
{
    struct answer end = {.stream = a->stream};
    size_t most = 0;
    bool yes;

    for (int i = 0; i < stop->n; i++) {
        size_t n = strlen(stop->text[i]);

        most = n > most ? n : most;
    }
    if (!most)
        return false;
    most = most < a->text.n ? most : a->text.n;
    buf_add(&end.text, buf_cstr(&a->text) + a->text.n - most, most);
    yes = answer_add(&end, t, id, stop);
    answer_free(&end);
    return yes;
}

void answer_copy(struct answer *to, const struct answer *from)
{
    to->stream = from->stream;
    buf_add(&to->text, buf_cstr(&from->text), from->text.n);
}

void answer_end(struct answer *a, bool whole)
{
    if (!whole)
        a->stream.n_held = 0;
    tok_stream_end(&a->stream, &a->text);
}
