/* tok_fuzz.c - changed tokenizers, as tokenizer.json and as GGUF: refused with a message, or
 * they encode and decode a nasty text without harm. */
#include "arena.h"
#include "file.h"
#include "fuzz.h"
#include "fuzz_tok.h"
#include "json.h"
#include "tokjson.h"

#include <sys/stat.h>

static const char text[] =
    "The <user> fox\n\n 3.14 \xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xF0\x9F\x98\x80 "
    "</s> wordword don't aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \x01";

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[32];
    int fd = fuzz_file(p, n, path);
    struct err e = {0};
    struct tok *t = n && p[0] == 'G' ? tokload_path(path, &e) : tokjson_load(path, NULL, &e);

    if (t)
        fuzz_tokens(t, text, sizeof(text) - 1);
    else if (!e.msg[0])
        abort();
    tok_close(t);
    close(fd);
    return 0;
}

#ifndef LIBFUZZER
static const char *const names[] = {"gpt2",  "gpt2-holes", "llama3",        "llama2", "gemma",
                                    "chars", "unigram",    "unigram-bytes", "t5",     NULL};

/* Copies of a JSON text in which one value stands in another's place: what byte
 * flips hardly ever make, valid JSON that says something else. */
static void swap_values(const char *s, size_t n, int times)
{
    struct arena a = {0};
    struct json j;
    struct err e;
    struct buf b = {0};
    uint64_t state = 7;

    CHECK(json_parse(&j, &a, s, n, &e) == 0);
    for (int i = 0; i < times; i++) {
        /* Half of the places are among the first nodes and the last: the pipeline, not the
         * vocabulary. */
        uint32_t edge = j.n_node < 400 ? j.n_node : 400, at, from;
        size_t len, len_at;
        const char *raw, *raw_at;

        at = (uint32_t)(fuzz_next(&state) % (i % 2 ? j.n_node : edge));
        from = (uint32_t)(fuzz_next(&state) % (i % 3 ? edge : j.n_node));
        raw_at = json_raw(&j, (int)at, &len_at);
        raw = json_raw(&j, (int)from, &len);
        buf_reset(&b);
        buf_add(&b, s, (size_t)(raw_at - s));
        buf_add(&b, raw, len);
        buf_add(&b, raw_at + len_at, (size_t)(s + n - raw_at) - len_at);
        CHECK(LLVMFuzzerTestOneInput((const uint8_t *)b.p, b.n) == 0);
    }
    buf_free(&b);
    arena_free(&a);
}

static void as_gguf(const char *name, const struct tok *t)
{
    char dir[] = "/tmp/tok_fuzz.XXXXXX", path[64];
    struct gguf_writer w;
    struct file_map m;
    struct err e;

    if (!mkdtemp(dir))
        abort();
    snprintf(path, sizeof(path), "%s/t.gguf", dir);
    CHECK(!gguf_create(&w, path, 1, &e));
    tokload_put_gguf(t, tok_size(t), &w);
    CHECK(!gguf_start_data(&w, &e) && !gguf_finish(&w, &e));
    if (!file_map(&m, path, &e)) {
        fuzz_run(name, m.p, m.n, m.n, 400);
        file_unmap(&m);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    for (int i = 0; names[i]; i++) {
        char path[80], title[120];
        struct err e;
        struct tok *t;
        size_t n;
        char *s;

        snprintf(path, sizeof(path), "tests/data/tok/%s.json", names[i]);
        snprintf(title, sizeof(title), "%s: values in other places", path);
        s = file_text(path, 1 << 20, &n, &e);
        t = tokload_path(path, &e);
        if (!s || !t)
            return 1;
        TEST(title);
        swap_values(s, n, 300);
        fuzz_run(path, (const uint8_t *)s, n, n, 200);
        snprintf(title, sizeof(title), "%s as GGUF", names[i]);
        as_gguf(title, t);
        tok_close(t);
        free(s);
    }
    return test_end();
}
#endif
