/* runner.c - a model on a device with its memory: weights, cache, scratch; the rows of a step. */
#include "runner.h"

#include "mem.h"
#include "ram.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CTX_DEFAULT = 4096 };

static int open_backends(struct runner *r, struct err *e)
{
    const struct device *d = &r->o.device;

    r->host = backend_cpu_open(r->o.threads, r->o.isa, e);
    if (!r->host)
        return -1;
    if (d->kind != DEVICE_CPU)
        r->backend = device_open(d, &r->no_gpu);
    if (!r->backend && d->kind != DEVICE_CPU && d->kind != DEVICE_AUTO) {
        *e = r->no_gpu;
        return err_wrap(e, "--device %s", d->kind == DEVICE_EMU ? "emu" : "cuda");
    }
    if (!r->backend)
        r->backend = r->host;
    r->o.fast = r->o.fast && r->backend->ops->fast;
    if (r->o.fast && r->backend->ops->fast(r->backend, e))
        return err_wrap(e, "--fast");
    return 0;
}

/* What follows from the model's own sizes. */
static int settle(struct runner *r, struct err *e)
{
    struct runner_opt *o = &r->o;
    const struct model *m = r->model;

    if (o->ctx > m->ctx)
        return err_set(e, ERR_ARG, "--ctx %d is more than the model's %d positions", o->ctx,
                       m->ctx);
    if (m->whole && !o->hidden)
        return err_set(e, ERR_ARG, "%s: an encoder only makes vectors", m->path);
    assert(o->beams <= o->batch && !(o->hidden && o->beams > 1));
    if (!o->ctx)
        o->ctx = m->ctx < CTX_DEFAULT ? m->ctx : CTX_DEFAULT;
    if (m->whole && o->batch_tokens < o->ctx) // a text is computed in one step
        o->batch_tokens = o->ctx;
    o->rows = o->hidden ? o->batch_tokens : o->rows > o->batch ? o->rows : o->batch;
    return 0;
}

/* What the cache is of. */
static enum kv_type kv_type_of(const struct runner *r)
{
    bool halves = r->backend != r->host && (r->o.fast || model_halves(r->model));

    return r->o.kv_type != KV_AUTO ? r->o.kv_type : halves ? KV_F16 : KV_F32;
}

static int make_plan(struct runner *r, struct err *e)
{
    const struct runner_opt *o = &r->o;

    r->plan = (struct plan){.ctx = o->ctx,
                            .batch = o->batch,
                            .batch_tokens = o->batch_tokens,
                            .rows = o->hidden ? 0 : o->rows,
                            .beams = o->beams,
                            .kv_bytes = o->kv_bytes,
                            .repack = o->repack,
                            .kv_type = kv_type_of(r),
                            .device = r->backend == r->host ? NULL : r->backend};
    r->plan.available = r->plan.device ? r->backend->ops->available(r->backend) : ram_available("");
    return plan_make(&r->plan, r->model, e);
}

/* Where any device will do, one whose memory does not hold the run is none. */
static int choose_plan(struct runner *r, struct err *e)
{
    if (!make_plan(r, e))
        return 0;
    if (r->o.device.kind != DEVICE_AUTO || r->backend == r->host || e->code != ERR_MEM)
        return -1;
    r->no_gpu = *e;
    *e = (struct err){0};
    backend_close(r->backend);
    r->backend = r->host;
    r->o.fast = false;
    return make_plan(r, e);
}

static int make(struct runner *r, struct err *e)
{
    struct backend *b;

    if (choose_plan(r, e))
        return -1;
    b = r->backend;
    if (model_place(r->model, b, e) ||
        kv_open(&r->kv, r->model, b, r->plan.kv_type, r->plan.pages, e) ||
        forward_open(&r->act, r->model, b, r->o.batch_tokens, r->plan.rows, e))
        return -1;
    if (b == r->host)
        backend_cpu_repack(b, r->plan.twice);
    r->width = r->o.hidden ? r->model->dim : r->model->vocab;
    if (!b->host)
        r->copy = mem_zero((size_t)r->o.rows * (size_t)r->width, sizeof(*r->copy));
    return 0;
}

int runner_open(struct runner *r, const struct runner_opt *o, const char *path, struct err *e)
{
    *r = (struct runner){.o = *o};
    if (!open_backends(r, e) && (r->model = model_read(path, e)) && !settle(r, e) && !make(r, e))
        return 0;
    runner_close(r);
    return -1;
}

void runner_close(struct runner *r)
{
    free(r->copy);
    if (r->model && r->model->backend) {
        forward_close(&r->act, r->backend);
        kv_close(&r->kv);
        model_leave(r->model);
    }
    if (r->backend != r->host)
        backend_close(r->backend);
    backend_close(r->host);
    model_close(r->model);
    *r = (struct runner){0};
}

int runner_step(struct runner *r, const struct step *s, struct err *e)
{
    return forward(r->model, r->backend, &r->kv.pages, &r->act, s, e);
}

const float *runner_rows(struct runner *r, int first, int n, struct err *e)
{
    struct backend *b = r->backend;
    size_t at = (size_t)first * (size_t)r->width;
    const float *out_d = (r->o.hidden ? r->act.h_d : r->act.logits_d) + at;

    if (!r->copy)
        return out_d;
    if (b->ops->download(b, r->copy + at, out_d, (size_t)n * (size_t)r->width * sizeof(float), e))
        return NULL;
    return r->copy + at;
}

struct hash128 runner_hash(const struct runner *r)
{
    const char *name = r->backend->ops->name;
    bool same = r->backend == r->host || (!model_halves(r->model) && r->plan.kv_type == KV_F32);

    return same ? r->model->hash : hash_add(r->model->hash, name, strlen(name));
}

void runner_describe(const struct runner *r, struct buf *out)
{
    const struct model *m = r->model;
    char line[256];

    buf_fmt(out, "%s: %.1f M parameters, %d layers, dim %d, %d heads (%d kv), vocabulary %d\n",
            m->arch, (double)m->n_params / 1e6, m->n_layers, m->dim, m->attn.n_heads,
            m->attn.n_kv_heads, m->vocab);
    if (r->backend != r->host) {
        r->backend->ops->describe(r->backend, line, sizeof(line));
        buf_fmt(out, "%s\n", line);
    } else if (r->no_gpu.code != ERR_NONE) {
        buf_fmt(out, "no GPU: %s\n", r->no_gpu.msg);
    }
    r->host->ops->describe(r->host, line, sizeof(line));
    buf_fmt(out, "%s\n", line);
    plan_print(&r->plan, out);
}
