/* workload.c - the requests of a measurement: random prompts of given lengths, or those of records.
 */
#include "workload.h"

#include "mem.h"
#include "num.h"
#include "rng.h"

#include <stdlib.h>

struct workload_item *workload_add(struct workload *w)
{
    w->item = mem_resize(w->item, (size_t)w->n + 1, sizeof(*w->item));
    w->item[w->n] = (struct workload_item){0};
    return &w->item[w->n++];
}

void workload_drop(struct workload *w)
{
    tok_ids_free(&w->item[--w->n].ids);
}

void workload_free(struct workload *w)
{
    while (w->n)
        workload_drop(w);
    free(w->item);
    w->item = NULL;
}

/* A log-normal length; the sum of twelve uniforms, less 6, is nearly normal. */
static int length(const struct rng *r, uint64_t at, int median, float spread)
{
    double z = -6, x, most = (double)median * WORKLOAD_LONGEST;

    if (!(spread > 0))
        return median;
    for (uint32_t i = 0; i < 12; i++)
        z += rng_unit(r, at, i);
    x = median * num_exp_d((double)spread * z) + 0.5;
    return x < 1 ? 1 : (int)(x > most ? most : x);
}

void workload_random(struct workload *w, const struct workload_lengths *l, int n, int vocab,
                     uint64_t seed, int pass)
{
    struct rng lengths = rng_stream(seed, (uint64_t)pass, 1);
    struct rng ids = rng_stream(seed, (uint64_t)pass, 2);

    workload_free(w);
    for (int i = 0; i < n; i++) {
        struct workload_item *a = workload_add(w);
        uint64_t own = (uint64_t)i + 1; // 0 is what all share
        int all = l->shared + length(&lengths, 2 * own, l->input, l->spread);

        a->max_tokens = length(&lengths, 2 * own + 1, l->output, l->spread);
        a->ids.n = a->ids.cap = (size_t)all;
        a->ids.id = mem_new(a->ids.n * sizeof(*a->ids.id));
        for (int k = 0; k < all; k++)
            a->ids.id[k] =
                (int32_t)rng_below(&ids, k < l->shared ? 0 : own, (uint32_t)k, (uint32_t)vocab);
    }
}

/* One batch. */
static void pad(struct workload_item *item, int n, int at, int vocab, const struct rng *r)
{
    size_t prompt = 0;
    int output = 0;

    for (int i = 0; i < n; i++) {
        prompt = item[i].ids.n > prompt ? item[i].ids.n : prompt;
        output = item[i].max_tokens > output ? item[i].max_tokens : output;
    }
    for (int i = 0; i < n; i++) {
        struct workload_item *a = &item[i];

        a->pad_prompt = (int)(prompt - a->ids.n);
        a->pad_output = output - a->max_tokens;
        a->max_tokens = output;
        mem_grow(&a->ids.id, &a->ids.cap, prompt, sizeof(*a->ids.id));
        while (a->ids.n < prompt) {
            a->ids.id[a->ids.n] =
                (int32_t)rng_below(r, (uint64_t)(at + i), (uint32_t)a->ids.n, (uint32_t)vocab);
            a->ids.n++;
        }
    }
}

void workload_pad(struct workload *w, int batch, int vocab, uint64_t seed)
{
    struct rng r = rng_stream(seed, 0, 3);

    for (int i = 0; i < w->n; i += batch)
        pad(w->item + i, w->n - i < batch ? w->n - i : batch, i, vocab, &r);
}

int workload_fits(const struct workload *w, int ctx, struct err *e)
{
    for (int i = 0; i < w->n; i++) {
        const struct workload_item *a = &w->item[i];

        if (a->ids.n + (size_t)a->max_tokens > (size_t)ctx)
            return err_set(e, ERR_ARG, "a prompt of %zu tokens and %d more are beyond --ctx %d",
                           a->ids.n, a->max_tokens, ctx);
    }
    return 0;
}

/* The prompt of a record into a new item. */
static int add_record(struct workload *w, const struct session *ses, struct record *r, int output,
                      struct err *e)
{
    struct workload_item *a = workload_add(w);
    int ctx = engine_ctx(ses->en);
    bool templated;

    if (!prompt_record(&ses->pm, r, &a->ids, &templated, e)) {
        int room = a->ids.n < (size_t)ctx ? ctx - (int)a->ids.n : 0;

        a->max_tokens = output < room ? output : room;
        if (room)
            return 0;
        err_set(e, ERR_DATA, "the prompt has %zu tokens and leaves no room in a context of %d",
                a->ids.n, ctx);
    }
    workload_drop(w);
    return -1;
}

int workload_files(struct workload *w, struct session *ses, const struct cli *cli, int output,
                   int n, char **file, int *status, struct err *e)
{
    const struct stream_opt io = {0};
    struct stream *s = session_stream(ses, cli, &io, prompt_fields, 1, NULL, n, file, e);
    struct record r = {0};
    int rc = s ? 1 : -1;

    while (rc > 0 && (rc = stream_read(s, &r, true, e)) == 1) {
        struct err why;

        if (add_record(w, ses, &r, output, &why))
            rc = stream_reject(s, &r, "prompt", NULL, NULL, why.msg, e) ? -1 : 1;
        else
            rc = stream_drop(s, &r, "read", NULL, NULL, e) ? -1 : 1;
        record_reset(&r);
    }
    if (!rc && stream_stopped(s))
        rc = err_set(e, ERR_STOP, "stopped before all was read; nothing was measured");
    if (rc < 0) {
        stream_abandon(s, e);
        return -1;
    }
    *status = stream_close(s, e);
    if (*status >= 0 && !w->n)
        return err_set(e, ERR_DATA, "no prompt in the files");
    return *status < 0 ? -1 : 0;
}
