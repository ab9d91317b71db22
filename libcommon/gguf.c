/* gguf.c - GGUF v3 (and v2): read and write.
 *
 *   "GGUF" u32 version  u64 n_tensors  u64 n_kv
 *   n_kv      x  string key  u32 type  value      string = u64 length, bytes
 *   n_tensors x  string name  u32 n_dims  u64 dims[] innermost first  u32 type  u64 offset
 *   zeros up to the alignment, then the data; offsets count from here
 */
#include "gguf.h"

#include "arena.h"
#include "bytes.h"
#include "utf8.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 1 << 16, MAX_TENSORS = 1 << 18, MAX_KEY = 65535, MAX_NAME = 255 };
enum { MAX_STRING = 64 << 20, MIN_ALIGN = 8, MAX_ALIGN = 1 << 20, WRITE_ALIGN = 64 };
enum { KEY_BYTES = 14, INFO_BYTES = 33 }; // the least that a key or a tensor's info takes

static const struct {
    const char *name;
    size_t size; // of a value in the file; 0 = it varies
} type[GGUF_NTYPES] = {
    [GGUF_U8] = {"u8", 1},     [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},   [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},   [GGUF_BOOL] = {"bool", 1}, [GGUF_STR] = {"string", 0},
    [GGUF_ARR] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

/* ---- keys ---- */

static int take_bools(struct bytes *c, uint64_t n)
{
    size_t at = c->at;
    const uint8_t *p = bytes_take(c, n, "bool");

    for (uint64_t i = 0; p && i < n; i++)
        if (p[i] > 1)
            return bytes_fail(c, at + (size_t)i, "invalid bool %d", p[i]);
    return p ? 0 : -1;
}

static int take_array(struct bytes *c, struct gguf_kv *kv)
{
    size_t at = c->at, least;
    uint32_t elem;
    uint64_t n;

    if (bytes_u32(c, &elem, "array type") || bytes_u64(c, &n, "array count"))
        return -1;
    if (elem >= GGUF_NTYPES)
        return bytes_fail(c, at, "unknown value type %u", elem);
    if (elem == GGUF_ARR)
        return bytes_fail(c, at, "nested arrays are not supported");
    least = elem == GGUF_STR ? 8 : type[elem].size;
    if (n > bytes_left(c) / least)
        return bytes_fail(c, at, "array of %llu items exceeds the %zu bytes left",
                          (unsigned long long)n, bytes_left(c));
    kv->elem = (enum gguf_type)elem;
    kv->n = n;
    kv->data = c->p + c->at;
    if (elem == GGUF_BOOL)
        return take_bools(c, n);
    if (elem != GGUF_STR)
        return bytes_take(c, n * least, "array") ? 0 : -1;
    for (uint64_t i = 0; i < n; i++) {
        const char *s;
        size_t len;

        if (bytes_str(c, 0, MAX_STRING, "string", &s, &len))
            return -1;
    }
    return 0;
}

static int take_value(struct bytes *c, struct gguf_kv *kv)
{
    size_t at = c->at, n;
    uint32_t t;
    const char *s;

    if (bytes_u32(c, &t, "value type"))
        return -1;
    if (t >= GGUF_NTYPES)
        return bytes_fail(c, at, "key '%s': unknown value type %u", kv->key, t);
    kv->type = kv->elem = (enum gguf_type)t;
    kv->n = 1;
    kv->data = c->p + c->at;
    if (t == GGUF_STR) {
        if (bytes_str(c, 0, MAX_STRING, "string", &s, &n))
            return -1;
        kv->data = (const uint8_t *)s;
        kv->n = n;
    } else if (t == GGUF_ARR) {
        if (take_array(c, kv))
            return -1;
    } else if (t == GGUF_BOOL) {
        if (take_bools(c, 1))
            return -1;
    } else if (!bytes_take(c, type[t].size, "value")) {
        return -1;
    }
    kv->size = (size_t)(c->p + c->at - kv->data);
    return 0;
}

static int read_keys(struct gguf *g, struct bytes *c, uint64_t n)
{
    if (n > MAX_KEYS || n > bytes_left(c) / KEY_BYTES)
        return bytes_fail(c, 16,
                          "declares %llu keys; the file can hold at most %zu, the limit is %d",
                          (unsigned long long)n, bytes_left(c) / KEY_BYTES, MAX_KEYS);
    g->kv = arena_new(&g->mem, (size_t)n * sizeof(*g->kv));
    for (; g->n_kv < (int)n; g->n_kv++) {
        struct gguf_kv *kv = &g->kv[g->n_kv];
        size_t at = c->at, len;
        const char *key;

        *kv = (struct gguf_kv){0};
        if (bytes_name(c, MAX_KEY, "key", &key, &len))
            return -1;
        kv->key = arena_dup(&g->mem, key, len);
        if (*hash_put(&g->keys, key, len, g->n_kv) != g->n_kv)
            return bytes_fail(c, at, "duplicate key '%s'", kv->key);
        if (take_value(c, kv))
            return -1;
    }
    return 0;
}

static int read_alignment(struct gguf *g, struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, "general.alignment");
    uint32_t v;

    g->alignment = 32;
    if (!kv)
        return 0;
    if (kv->type != GGUF_U32)
        return err_set(e, ERR_DATA, "%s: key 'general.alignment': expected u32, found %s",
                       g->map.path, type[kv->type].name);
    memcpy(&v, kv->data, sizeof(v));
    if (v < MIN_ALIGN || v > MAX_ALIGN || (v & (v - 1)))
        return err_set(e, ERR_DATA,
                       "%s: key 'general.alignment': %u is not a power of two in %d..%d",
                       g->map.path, v, MIN_ALIGN, MAX_ALIGN);
    g->alignment = v;
    return 0;
}

/* ---- tensors ---- */

static int take_shape(struct bytes *c, struct tensor *t)
{
    size_t at = c->at;
    uint32_t n_dims;

    if (bytes_u32(c, &n_dims, "n_dims"))
        return -1;
    if (n_dims < 1 || n_dims > TENSOR_DIMS)
        return bytes_fail(c, at, "tensor '%s': n_dims %u is not in 1..%d", t->name, n_dims,
                          TENSOR_DIMS);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < TENSOR_DIMS; i++)
        t->shape[i] = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        uint64_t d;

        at = c->at;
        if (bytes_u64(c, &d, "dimension"))
            return -1;
        if (d < 1 || d > (uint64_t)1 << 40)
            return bytes_fail(c, at, "tensor '%s': dimension %llu is not in 1..2^40", t->name,
                              (unsigned long long)d);
        t->shape[i] = (int64_t)d;
    }
    return 0;
}

/* One info; the offset stays in *offset until the start of the data is known. */
static int take_info(struct gguf *g, struct bytes *c, struct tensor *t, uint64_t *offset)
{
    size_t at = c->at, len;
    const char *name;
    int64_t count;
    uint32_t number;

    if (bytes_name(c, MAX_NAME, "tensor name", &name, &len))
        return -1;
    t->name = arena_dup(&g->mem, name, len);
    if (*hash_put(&g->names, name, len, g->n_tensors) != g->n_tensors)
        return bytes_fail(c, at, "duplicate tensor '%s'", t->name);
    if (take_shape(c, t))
        return -1;
    at = c->at;
    if (bytes_u32(c, &number, "tensor type"))
        return -1;
    if (number >= T_NTYPES || !tensor_type_name((enum tensor_type)number))
        return bytes_fail(c, at, "tensor '%s': unknown tensor type %u", t->name, number);
    t->type = (enum tensor_type)number;
    if (tensor_size(t->type, t->n_dims, t->shape, &count, &t->bytes, c->e))
        return err_wrap(c->e, "%s: byte %zu: tensor '%s'", c->path, at, t->name);
    return bytes_u64(c, offset, "tensor offset");
}

static int place_tensor(const struct gguf *g, struct tensor *t, uint64_t offset, struct err *e)
{
    uint64_t room = g->map.n - g->data_start;

    if (offset % g->alignment)
        return err_set(e, ERR_DATA, "%s: tensor '%s': offset %llu is not a multiple of %zu",
                       g->map.path, t->name, (unsigned long long)offset, g->alignment);
    if (offset > room || t->bytes > room - offset)
        return err_set(e, ERR_DATA,
                       "%s: tensor '%s': %zu bytes at offset %llu lie outside the file, which has "
                       "%llu bytes of data",
                       g->map.path, t->name, t->bytes, (unsigned long long)offset,
                       (unsigned long long)room);
    t->data = g->map.p + g->data_start + offset;
    return 0;
}

static int read_tensors(struct gguf *g, struct bytes *c, uint64_t n)
{
    uint64_t *offset;
    int rc = 0;

    if (n > MAX_TENSORS || n > bytes_left(c) / INFO_BYTES)
        return bytes_fail(c, 8,
                          "declares %llu tensors; the file can hold at most %zu, the limit is %d",
                          (unsigned long long)n, bytes_left(c) / INFO_BYTES, MAX_TENSORS);
    g->tensor = arena_new(&g->mem, (size_t)n * sizeof(*g->tensor));
    offset = mem_new((size_t)n * sizeof(*offset));
    for (; g->n_tensors < (int)n && !rc; g->n_tensors += !rc)
        rc = take_info(g, c, &g->tensor[g->n_tensors], &offset[g->n_tensors]);
    // c->at is at most the file's size, which is far from the end of size_t
    g->data_start = (c->at + g->alignment - 1) / g->alignment * g->alignment;
    if (!rc && g->data_start > g->map.n) {
        if (n)
            rc = bytes_fail(c, c->at, "truncated: no tensor data");
        g->data_start = g->map.n;
    }
    for (int i = 0; i < g->n_tensors && !rc; i++)
        rc = place_tensor(g, &g->tensor[i], offset[i], c->e);
    free(offset);
    if (!rc && tensor_overlap(g->tensor, g->n_tensors, c->e))
        rc = err_wrap(c->e, "%s", c->path);
    return rc;
}

/* ---- opening ---- */

static int read_file(struct gguf *g, struct bytes *c)
{
    const uint8_t *magic = bytes_take(c, 4, "magic");
    uint64_t n_tensors, n_kv;

    if (!magic)
        return -1;
    if (memcmp(magic, "GGUF", 4))
        return bytes_fail(c, 0, "bad magic: not a GGUF file");
    if (bytes_u32(c, &g->version, "version"))
        return -1;
    if (g->version && !(g->version & 0xFFFF))
        return bytes_fail(c, 4, "big-endian GGUF is not supported");
    if (g->version != 2 && g->version != 3)
        return bytes_fail(c, 4, "unsupported version %u (2 and 3 are read)", g->version);
    if (bytes_u64(c, &n_tensors, "tensor count") || bytes_u64(c, &n_kv, "key count"))
        return -1;
    if (read_keys(g, c, n_kv) || read_alignment(g, c->e))
        return -1;
    return read_tensors(g, c, n_tensors);
}

int gguf_open(struct gguf *g, const char *path, struct err *e)
{
    struct bytes c;

    *g = (struct gguf){0};
    if (file_map(&g->map, path, e))
        return -1;
    c = (struct bytes){g->map.p, g->map.n, 0, path, e};
    if (read_file(g, &c)) {
        gguf_close(g);
        return -1;
    }
    return 0;
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    hash_free(&g->names);
    hash_free(&g->keys);
    arena_free(&g->mem);
    file_unmap(&g->map);
    *g = (struct gguf){0};
}

/* ---- values ---- */

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key)
{
    int *i = hash_find(&g->keys, key, strlen(key));

    return i ? &g->kv[*i] : NULL;
}

const struct tensor *gguf_tensor(const struct gguf *g, const char *name)
{
    int *i = hash_find(&g->names, name, strlen(name));

    return i ? &g->tensor[*i] : NULL;
}

static int wrong_type(const struct gguf *g, const struct gguf_kv *kv, const char *want,
                      struct err *e)
{
    return err_set(e, ERR_DATA, "%s: key '%s': expected %s, found %s", g->map.path, kv->key, want,
                   type[kv->type].name);
}

int64_t gguf_item_int(const struct gguf_kv *kv, uint64_t i)
{
    uint64_t u = 0;

    if (kv->elem == GGUF_F32 || kv->elem == GGUF_F64 || kv->elem == GGUF_STR)
        return 0;
    memcpy(&u, kv->data + i * type[kv->elem].size, type[kv->elem].size);
    if (kv->elem == GGUF_I8)
        return (int8_t)u;
    if (kv->elem == GGUF_I16)
        return (int16_t)u;
    if (kv->elem == GGUF_I32)
        return (int32_t)u;
    return (int64_t)u;
}

double gguf_item_num(const struct gguf_kv *kv, uint64_t i)
{
    const uint8_t *p = kv->data + i * type[kv->elem].size;
    double d;
    float f;

    if (kv->elem == GGUF_F32) {
        memcpy(&f, p, sizeof(f));
        return (double)f;
    }
    if (kv->elem == GGUF_F64) {
        memcpy(&d, p, sizeof(d));
        return d;
    }
    if (kv->elem == GGUF_U64)
        return (double)(uint64_t)gguf_item_int(kv, i);
    return (double)gguf_item_int(kv, i);
}

int gguf_int(const struct gguf *g, const char *key, int64_t lo, int64_t hi, int64_t *out,
             struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    int64_t v;

    if (!kv)
        return 0;
    if (kv->type == GGUF_F32 || kv->type == GGUF_F64 || kv->type == GGUF_STR ||
        kv->type == GGUF_ARR || kv->type == GGUF_BOOL)
        return wrong_type(g, kv, "an integer", e);
    v = gguf_item_int(kv, 0);
    if (kv->type == GGUF_U64 && v < 0)
        v = INT64_MAX; // more than an int64_t holds, and more than any hi here
    if (v < lo || v > hi)
        return err_set(e, ERR_DATA, "%s: key '%s': %lld is not in %lld..%lld", g->map.path, key,
                       (long long)v, (long long)lo, (long long)hi);
    *out = v;
    return 1;
}

int gguf_float(const struct gguf *g, const char *key, float *out, struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    float x;

    if (!kv)
        return 0;
    if (kv->type != GGUF_F32 && kv->type != GGUF_F64)
        return wrong_type(g, kv, "a float", e);
    x = (float)gguf_item_num(kv, 0);
    if (!isfinite(x))
        return err_set(e, ERR_DATA, "%s: key '%s': not a finite number", g->map.path, key);
    *out = x;
    return 1;
}

int gguf_bool(const struct gguf *g, const char *key, bool *out, struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, key);

    if (!kv)
        return 0;
    if (kv->type != GGUF_BOOL)
        return wrong_type(g, kv, "a bool", e);
    *out = kv->data[0] != 0;
    return 1;
}

int gguf_str(const struct gguf *g, const char *key, const char **s, size_t *n, struct err *e)
{
    const struct gguf_kv *kv = gguf_find(g, key);

    if (!kv)
        return 0;
    if (kv->type != GGUF_STR)
        return wrong_type(g, kv, "a string", e);
    if (utf8_check((const char *)kv->data, kv->size) != kv->size)
        return err_set(e, ERR_DATA, "%s: key '%s': not valid UTF-8", g->map.path, key);
    *s = (const char *)kv->data;
    *n = kv->size;
    return 1;
}

int gguf_next_str(const struct gguf_kv *kv, size_t *at, const char **s, size_t *n)
{
    uint64_t len;

    if (kv->elem != GGUF_STR || kv->type != GGUF_ARR || *at >= kv->size)
        return 0;
    memcpy(&len, kv->data + *at, sizeof(len)); // lengths were checked when the file was opened
    *s = (const char *)kv->data + *at + sizeof(len);
    *n = (size_t)len;
    *at += sizeof(len) + (size_t)len;
    return 1;
}

/* ---- writing ---- */

static void put_u32(struct gguf_writer *w, uint32_t v)
{
    buf_add(&w->head, &v, sizeof(v));
}

static void put_u64(struct gguf_writer *w, uint64_t v)
{
    buf_add(&w->head, &v, sizeof(v));
}

/* A key and its type. */
static void put_key(struct gguf_writer *w, const char *key, enum gguf_type t)
{
    assert(!w->n_tensors); // keys come before the tensors' infos
    gguf_add_str(w, key, strlen(key));
    put_u32(w, (uint32_t)t);
    w->n_kv++;
}

int gguf_create(struct gguf_writer *w, const char *path, int force, struct err *e)
{
    *w = (struct gguf_writer){.alignment = WRITE_ALIGN};
    if (file_create(&w->out, path, force, e))
        return -1;
    gguf_put_int(w, "general.alignment", GGUF_U32, WRITE_ALIGN);
    return 0;
}

void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type t, int64_t v)
{
    assert(type[t].size && t != GGUF_F32 && t != GGUF_F64);
    put_key(w, key, t);
    buf_add(&w->head, &v, type[t].size); // little-endian: the low bytes come first
}

void gguf_put_float(struct gguf_writer *w, const char *key, float v)
{
    put_key(w, key, GGUF_F32);
    buf_add(&w->head, &v, sizeof(v));
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    gguf_put_int(w, key, GGUF_BOOL, v);
}

void gguf_put_str(struct gguf_writer *w, const char *key, const char *s, size_t n)
{
    put_key(w, key, GGUF_STR);
    gguf_add_str(w, s, n);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type elem, uint64_t n)
{
    put_key(w, key, GGUF_ARR);
    put_u32(w, (uint32_t)elem);
    put_u64(w, n);
}

void gguf_add_str(struct gguf_writer *w, const char *s, size_t n)
{
    put_u64(w, n);
    buf_add(&w->head, s, n);
}

void gguf_add_float(struct gguf_writer *w, float v)
{
    buf_add(&w->head, &v, sizeof(v));
}

void gguf_add_i32(struct gguf_writer *w, int32_t v)
{
    buf_add(&w->head, &v, sizeof(v));
}

void gguf_add_bool(struct gguf_writer *w, bool v)
{
    buf_char(&w->head, v);
}

void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv)
{
    if (!strcmp(kv->key, "general.alignment")) // this file has its own
        return;
    if (kv->type == GGUF_ARR)
        gguf_put_array(w, kv->key, kv->elem, kv->n);
    else
        put_key(w, kv->key, kv->type);
    if (kv->type == GGUF_STR)
        put_u64(w, kv->n);
    buf_add(&w->head, kv->data, kv->size);
}

int gguf_put_tensor(struct gguf_writer *w, const char *name, enum tensor_type t, int n_dims,
                    const int64_t *shape, struct err *e)
{
    int64_t count;
    size_t bytes, n = strlen(name);

    if (!n || n > MAX_NAME || n_dims < 1)
        return err_set(e, ERR_ARG, "tensor '%s' cannot be written as GGUF", name);
    if (tensor_size(t, n_dims, shape, &count, &bytes, e))
        return err_wrap(e, "tensor '%s'", name);
    gguf_add_str(w, name, n);
    put_u32(w, (uint32_t)n_dims);
    for (int i = n_dims - 1; i >= 0; i--)
        put_u64(w, (uint64_t)shape[i]);
    put_u32(w, (uint32_t)t);
    put_u64(w, w->offset);
    w->n_tensors++;
    if (!mem_sum(w->offset, bytes, &w->offset) || w->offset > INT64_MAX)
        return err_set(e, ERR_ARG, "tensor '%s': file size overflows", name);
    w->offset = (w->offset + w->alignment - 1) / w->alignment * w->alignment;
    return 0;
}

int gguf_start_data(struct gguf_writer *w, struct err *e)
{
    const uint32_t version = 3;
    const uint64_t count[2] = {(uint64_t)w->n_tensors, (uint64_t)w->n_kv};

    if (file_write(&w->out, "GGUF", 4, e) || file_write(&w->out, &version, sizeof(version), e) ||
        file_write(&w->out, count, sizeof(count), e) ||
        file_write(&w->out, w->head.p, w->head.n, e) || file_pad(&w->out, w->alignment, e))
        return -1;
    w->start = w->out.n;
    return 0;
}

int gguf_data(struct gguf_writer *w, const void *p, size_t n, struct err *e)
{
    return file_write(&w->out, p, n, e);
}

int gguf_end_tensor(struct gguf_writer *w, struct err *e)
{
    return file_pad(&w->out, w->alignment, e);
}

int gguf_finish(struct gguf_writer *w, struct err *e)
{
    int rc;

    assert(w->out.n == w->start + w->offset); // every tensor got the bytes it declared
    rc = file_commit(&w->out, e);
    gguf_abandon(w);
    return rc;
}

void gguf_abandon(struct gguf_writer *w)
{
    if (!w)
        return;
    file_abandon(&w->out);
    buf_free(&w->head);
    *w = (struct gguf_writer){0};
}
