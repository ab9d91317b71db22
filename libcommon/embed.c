/* embed.c - vectors of records: in a field, or as the rows of a .npy file. */
#include "embed.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const embed_types[] = {"f32", "int8", NULL};

int embed_shape(float *v, int dim, int to, bool unit)
{
    double sum = 0, by;

    dim = to > 0 && to < dim ? to : dim;
    if (!unit)
        return dim;
    for (int i = 0; i < dim; i++)
        sum += (double)v[i] * (double)v[i];
    by = sqrt(sum);
    for (int i = 0; i < dim && by > 0; i++)
        v[i] = (float)((double)v[i] / by);
    return dim;
}

float embed_int8(const float *v, int dim, int8_t *q)
{
    float most = 0, scale;

    for (int i = 0; i < dim; i++)
        most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
    scale = most / 127;
    for (int i = 0; i < dim; i++) {
        float x = scale > 0 ? rintf(v[i] / scale) : 0; // the division may round up to 127.00001

        q[i] = (int8_t)(x > 127 ? 127 : x < -127 ? -127 : x);
    }
    return scale;
}

/* ---- in records ---- */

void embed_put(struct record *r, const float *v, int dim, enum embed_type type)
{
    int8_t *q = type == EMBED_I8 ? mem_new((size_t)dim + 1) : NULL;
    float scale = q ? embed_int8(v, dim, q) : 0;
    struct buf b = {0};

    buf_char(&b, '[');
    for (int i = 0; i < dim; i++) {
        buf_str(&b, i ? "," : "");
        if (q)
            json_put_int(&b, q[i]);
        else
            json_put_float(&b, v[i]);
    }
    buf_char(&b, ']');
    record_set(r, "embedding", b.p, b.n);
    buf_reset(&b);
    json_put_float(&b, scale);
    if (q)
        record_set(r, "embedding_scale", b.p, b.n);
    else if (record_has(r, "embedding_scale")) // of what it had before
        record_set_int(r, "embedding_scale", 1);
    buf_free(&b);
    free(q);
}

int embed_get(struct record *r, const float **v, int *dim, struct err *e)
{
    size_t n;
    const char *raw = record_raw(r, "embedding", &n);
    double scale = 1, x;
    struct json j;
    float *out;
    int k = 0;

    if (!raw)
        return err_set(e, ERR_DATA, "no field 'embedding'");
    if (json_parse(&j, &r->mem, raw, n, e))
        return err_wrap(e, "field 'embedding'");
    if (!json_is(&j, 0, JSON_ARRAY) || !j.node[0].size || j.node[0].size > NPY_DIM)
        return err_set(e, ERR_DATA, "field 'embedding' is no list of 1 to %d numbers", NPY_DIM);
    if (record_has(r, "embedding_scale") &&
        (record_num(r, "embedding_scale", &scale) || !(scale >= 0)))
        return err_set(e, ERR_DATA, "field 'embedding_scale' is no number from 0 up");
    scale = (double)(float)scale;
    out = arena_new(&r->mem, j.node[0].size * sizeof(*out));
    for (uint32_t i = 1; i < j.node[0].next; i = j.node[i].next) {
        if (json_num(&j, (int)i, &x) || !isfinite((float)(x * scale)))
            return err_set(e, ERR_DATA, "item %d of 'embedding' is no number that a float holds",
                           k);
        out[k++] = (float)(x * scale);
    }
    *v = out;
    *dim = k;
    return 0;
}

/* ---- files ---- */

/* "x.npy" -> "x.scale.npy"; caller frees. */
static char *scale_path(const char *path)
{
    size_t n = strlen(path);
    struct buf b = {0};

    if (n > 4 && !strcmp(path + n - 4, ".npy"))
        n -= 4;
    buf_add(&b, path, n);
    buf_str(&b, ".scale.npy");
    return b.p;
}

int embed_open(struct embed_file *f, const char *path, struct err *e)
{
    char *scale = scale_path(path);
    int rc;

    *f = (struct embed_file){0};
    rc = npy_open(&f->v, path, e);
    if (!rc && f->v.type == NPY_I8) {
        rc = npy_open(&f->scale, scale, e);
        if (!rc && (f->scale.rows != f->v.rows || f->scale.dim != 1))
            rc = err_set(e, ERR_DATA, "%s: not one factor for each of the %lld rows of '%s'", scale,
                         (long long)f->v.rows, path);
    }
    f->rows = f->v.rows;
    f->dim = f->v.dim;
    free(scale);
    if (rc)
        embed_close(f);
    return rc;
}

void embed_close(struct embed_file *f)
{
    npy_close(&f->v);
    npy_close(&f->scale);
    *f = (struct embed_file){0};
}

void embed_row(const struct embed_file *f, int64_t i, float *out)
{
    float scale;

    npy_row(&f->v, i, out);
    if (f->v.type != NPY_I8)
        return;
    npy_row(&f->scale, i, &scale);
    for (int k = 0; k < f->dim; k++)
        out[k] *= scale;
}

int embed_create(struct embed_out *o, const char *path, enum embed_type type, bool resume,
                 int64_t rows, struct err *e)
{
    char *scale = scale_path(path);
    int rc;

    *o = (struct embed_out){0};
    rc = npy_create(&o->v, path, type == EMBED_I8 ? NPY_I8 : NPY_F32, false, resume, rows, e);
    if (!rc && type == EMBED_I8)
        rc = npy_create(&o->scale, scale, NPY_F32, true, resume, rows, e);
    free(scale);
    if (rc)
        embed_abandon(o);
    return rc;
}

int embed_add(struct embed_out *o, const float *v, int dim, struct err *e)
{
    float scale;

    if (!o->scale.path)
        return npy_add(&o->v, v, dim, e);
    mem_grow(&o->q, &o->cap, (size_t)dim, 1);
    scale = embed_int8(v, dim, o->q);
    return npy_add(&o->v, o->q, dim, e) || npy_add(&o->scale, &scale, 1, e) ? -1 : 0;
}

int embed_finish(struct embed_out *o, struct err *e)
{
    int rc = npy_finish(&o->v, e);

    if (!rc && o->scale.path)
        rc = npy_finish(&o->scale, e);
    embed_abandon(o);
    return rc;
}

void embed_abandon(struct embed_out *o)
{
    npy_abandon(&o->v);
    npy_abandon(&o->scale);
    free(o->q);
    *o = (struct embed_out){0};
}
