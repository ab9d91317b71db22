/* answer_test.c - the text of an output, against decoding all of its ids at once. */
#include "answer.h"
#include "rng.h"
#include "test.h"
#include "tokload.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { LISTS = 400, MOST = 24 };

/* A list of ids grows an answer to the text that they are decoded into; whole characters only. */
static bool grows(const struct tok *t, const int32_t *id, size_t n, const char *want)
{
    static const struct answer_stop none = {NULL, 0};
    struct answer a = {.stream = {.first = true}};
    bool good = true;

    for (size_t i = 0; i < n; i++) {
        good = good && !answer_add(&a, t, id[i], &none);
        good = good && utf8_check(buf_cstr(&a.text), a.text.n) == a.text.n &&
               !strncmp(buf_cstr(&a.text), want, a.text.n);
    }
    answer_end(&a, true);
    good = good && !strcmp(buf_cstr(&a.text), want);
    answer_free(&a);
    return good;
}

/* What comes before the stop text, which is in the whole text, and nothing is added behind it. */
static bool stops(const struct tok *t, const int32_t *id, size_t n, const char *want,
                  const char *text)
{
    const struct answer_stop stop = {&text, 1};
    struct answer a = {.stream = {.first = true}};
    size_t before = (size_t)(strstr(want, text) - want);
    bool done = false, good = true;

    for (size_t i = 0; i < n && !done; i++) {
        bool will = answer_stops(&a, t, id[i], &stop);

        done = answer_add(&a, t, id[i], &stop);
        good = good && will == done;
    }
    answer_end(&a, !done);
    /* A character that is cut short at the end is no text yet, and cannot stop. */
    good = good && (done ? a.text.n == before : strstr(want, "\xEF\xBF\xBD") != NULL) &&
           !strncmp(buf_cstr(&a.text), want, a.text.n);
    answer_free(&a);
    return good;
}

static bool agrees(const struct tok *t, const struct rng *r, uint64_t list)
{
    int32_t id[MOST];
    size_t n = rng_below(r, list, 0, MOST), from, len;
    struct buf whole = {0};
    const char *want;
    bool good;

    for (size_t i = 0; i < n; i++) // half of them among the bytes and names
        id[i] = (int32_t)rng_below(r, list, (uint32_t)i + 9,
                                   i % 2 && tok_size(t) > 262 ? 262 : (uint32_t)tok_size(t));
    tok_decode(t, id, n, false, &whole);
    want = buf_cstr(&whole);
    len = strlen(want);
    good = len < whole.n || grows(t, id, n, want); // a NUL ends what can be compared
    if (good && len && len == whole.n) {
        char *text;

        for (from = rng_below(r, list, 1, (uint32_t)len); from && (want[from] & 0xC0) == 0x80;)
            from--;
        n = len - from < 5 ? len - from : utf8_whole(want + from, 5);
        text = strndup(want + from, n);
        good = !n || stops(t, id, rng_below(r, list, 0, MOST), want, text);
        free(text);
    }
    buf_free(&whole);
    return good;
}

int main(void)
{
    static const char *const file[] = {"tok/bytes",         "tok/gpt2",  "tok/llama2",
                                       "tok/gemma",         "tok/t5",    "tok/qwen",
                                       "tok/unigram-bytes", "tok/chars", "tok/unigram"};
    struct rng r = rng_stream(1, 2, 3);

    TEST("answer: token by token it is the text of all ids, and ends before a stop text");
    for (size_t i = 0; i < sizeof(file) / sizeof(*file); i++) {
        char path[64];
        struct err e;
        struct tok *t;
        int bad = 0;

        snprintf(path, sizeof(path), "tests/data/%s.json", file[i]);
        t = tokload_path(path, &e);
        for (int k = 0; t && k < LISTS; k++)
            bad += !agrees(t, &r, (uint64_t)k);
        if (bad)
            printf("# %s: %d of %d\n", file[i], bad, LISTS);
        CHECK(t && !bad);
        tok_close(t);
    }
    return test_end();
}
