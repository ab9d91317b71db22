/* prefer.c - preference records: two answers to one prompt, the chosen and the rejected one. */
#include "prefer.h"

#include "prompt.h"

#include <stdbool.h>

/* A text, or the message that says it. */
static void put_answer(struct record *r, const char *field, const char *s, size_t n, bool messages)
{
    struct buf b = {0};

    buf_str(&b, messages ? "[{\"role\":\"assistant\",\"content\":" : "");
    json_put_str(&b, s, n);
    buf_str(&b, messages ? "}]" : "");
    record_set(r, field, b.p, b.n);
    buf_free(&b);
}

static int put_messages(struct record *r, struct err *e)
{
    struct buf b = {0};
    bool templated;
    int rc = prompt_record_json(NULL, r, &b, &templated, e);

    if (!rc)
        record_set(r, "prompt", b.p, b.n);
    buf_free(&b);
    return rc;
}

static void put_text(struct record *r)
{
    struct buf b = {0};
    size_t n;
    const char *s = record_str(r, "instruction", &n);

    if (s)
        buf_add(&b, s, n);
    s = record_str(r, "input", &n);
    if (s && n) {
        buf_str(&b, "\n\n");
        buf_add(&b, s, n);
    }
    record_set_str(r, "prompt", buf_cstr(&b), b.n);
    buf_free(&b);
}

int prefer_put(struct record *chosen, struct record *rejected, const char *field, double high,
               double low, struct err *e)
{
    bool messages = record_has(chosen, "messages") || record_has(chosen, "conversations");
    size_t n_good, n_bad;
    const char *good = record_str(chosen, field, &n_good);
    const char *bad = record_str(rejected, field, &n_bad);

    if (!good || !bad)
        return err_set(e, ERR_DATA, "no field '%s'", field);
    if (!record_has(chosen, "prompt") && messages && put_messages(chosen, e))
        return -1;
    if (!record_has(chosen, "prompt"))
        put_text(chosen);
    put_answer(chosen, "chosen", good, n_good, messages);
    put_answer(chosen, "rejected", bad, n_bad, messages);
    record_set_num(chosen, "score_chosen", high);
    record_set_num(chosen, "score_rejected", low);
    record_set_meta_str(chosen, "rejected", rejected->id);
    return 0;
}
