/* plan.c - the memory of a run, before anything large is touched. */
#include "plan.h"

#include "forward.h"
#include "kv.h"

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024 * 1024);
}

/* Pages that nobody asked for by a number: as many as all sequences at their longest need, but
 * half of what is left (of a GPU, an eighth) stays free for others, as long as one request fits. */
static int64_t pages_of(const struct plan *p, int64_t each, int64_t least, uint64_t page)
{
    uint64_t rest = p->weights + p->scratch, most;

    if (p->available < 0)
        return each * p->batch;
    rest = (uint64_t)p->available > rest ? (uint64_t)p->available - rest : 0;
    most = (p->device ? rest - rest / 8 : rest / 2) / page;
    most = most > (uint64_t)least ? most : (uint64_t)least;
    return most < (uint64_t)(each * p->batch) ? (int64_t)most : each * p->batch;
}

/* Weights in the device's layout, and what its ops work in. */
static void on_device(struct plan *p, const struct model *m)
{
    const struct backend_ops *op = p->device->ops;
    int q = m->attn.n_heads * m->attn.head_dim, cols = m->dim > m->ffn.dim ? m->dim : m->ffn.dim;

    p->weights = model_place_bytes(m, p->device);
    p->scratch +=
        op->work_bytes(p->device, &m->attn, p->batch_tokens, p->ctx, q > cols ? q : cols, p->nodes);
}

int plan_make(struct plan *p, const struct model *m, struct err *e)
{
    uint64_t page = kv_page_bytes(m, p->kv_type), all;
    int64_t each = kv_most_pages(m->window, p->ctx, p->batch_tokens), pages;
    int64_t least = each * (p->beams > 1 ? p->beams : 1);

    p->weights = m->file_bytes + m->copy_bytes;
    p->scratch = forward_bytes(m, p->batch_tokens, p->rows);
    if (p->device)
        on_device(p, m);
    pages = p->kv_bytes ? (int64_t)(p->kv_bytes / page) : pages_of(p, each, least, page);
    if (pages < least)
        return err_set(e, ERR_ARG,
                       "--kv-memory: %.1f MiB are less than %s of --ctx %d needs, %.1f MiB",
                       mib(p->kv_bytes), p->beams > 1 ? "a search" : "one sequence", p->ctx,
                       mib((uint64_t)least * page));
    if (pages > INT32_MAX && p->kv_bytes)
        return err_set(e, ERR_ARG,
                       "--kv-memory: %.0f MiB are more than all pages there can be, %.0f MiB",
                       mib(p->kv_bytes), mib((uint64_t)INT32_MAX * page));
    if (pages > INT32_MAX)
        return err_set(e, ERR_ARG, "--ctx %d with --batch %d: too many pages", p->ctx, p->batch);
    p->pages = (int)pages;
    p->cache = (uint64_t)pages * page;
    all = p->weights + p->cache + p->scratch;
    if (p->available >= 0 && all > (uint64_t)p->available)
        return err_set(e, ERR_MEM,
                       "not enough memory%s: %.1f MiB (weights %.1f, cache %.1f, scratch %.1f) are "
                       "needed, %.1f MiB are available; see --kv-memory, --ctx, --batch and "
                       "--batch-tokens",
                       p->device ? " on the GPU" : "", mib(all), mib(p->weights), mib(p->cache),
                       mib(p->scratch), mib((uint64_t)p->available));
    p->twice =
        !p->device && (p->repack == PLAN_ALWAYS || (p->repack == PLAN_AUTO && p->available >= 0 &&
                                                    all + p->weights <= (uint64_t)p->available));
    return 0;
}

void plan_print(const struct plan *p, struct buf *out)
{
    static const char *const types[KV_TYPES] = {"f32", "f16", "bf16", "fp8"};

    buf_fmt(out,
            "memory: weights %.1f MiB (%s), cache up to %.1f MiB (%lld positions, %s), scratch "
            "%.1f MiB",
            mib(p->weights),
            p->device  ? "on the GPU"
            : p->twice ? "mapped, quantized ones repacked"
                       : "mapped",
            mib(p->cache), (long long)p->pages * BACKEND_PAGE, types[p->kv_type], mib(p->scratch));
    if (p->available >= 0)
        buf_fmt(out, "; %.1f MiB available", mib((uint64_t)p->available));
}
