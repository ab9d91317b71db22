/* st.c - safetensors: single and sharded, read and write.
 *
 *   u64 N   N bytes of JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...}
 *   data    offsets count from here; together they cover it without hole or overlap
 */
#include "st.h"

#include "arena.h"
#include "json.h"
#include "utf8.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_HEADER = 100000000, MAX_TENSORS = 1 << 18, MAX_RANK = 8, MAX_NAME = 65535 };
/* Nodes of a header: 16 a tensor and some metadata. Bounds memory before the parse. */
enum { MAX_VALUES = 5000000, MAX_SHARDS = 10000 };

/* Element types by the format's names. Those without a tensor type can be there,
 * and be skipped over, but their values cannot be read. */
static const struct {
    const char *name;
    enum tensor_type type;
    size_t size;
} dtype[] = {
    {"F32", T_F32, 4},        {"F16", T_F16, 2},        {"BF16", T_BF16, 2},
    {"F64", T_F64, 8},        {"I8", T_I8, 1},          {"I16", T_I16, 2},
    {"I32", T_I32, 4},        {"I64", T_I64, 8},        {"U8", T_NTYPES, 1},
    {"BOOL", T_NTYPES, 1},    {"U16", T_NTYPES, 2},     {"U32", T_NTYPES, 4},
    {"U64", T_NTYPES, 8},     {"F8_E4M3", T_NTYPES, 1}, {"F8_E5M2", T_NTYPES, 1},
    {"F8_E8M0", T_NTYPES, 1},
};
enum { N_DTYPES = sizeof(dtype) / sizeof(*dtype) };

/* ---- one file ---- */

/* What is being read. */
struct header {
    struct st *s;
    const struct file_map *map;
    struct json j;
    struct arena mem;    // nodes and strings until the header is done
    const uint8_t *data; // first byte after the header
    uint64_t n_data;
    struct err *e;
};

static int entry_dtype(struct header *h, int node, struct tensor *t, size_t *size)
{
    int value = json_get(&h->j, node, "dtype");

    for (int i = 0; i < N_DTYPES; i++)
        if (json_str_is(&h->j, value, dtype[i].name)) {
            t->type = dtype[i].type;
            *size = dtype[i].size;
            return 0;
        }
    return err_set(h->e, ERR_DATA, "dtype is missing or unknown");
}

/* The shape, and the bytes that it needs. */
static int entry_shape(struct header *h, int node, struct tensor *t, size_t size)
{
    int at = json_get(&h->j, node, "shape"), rank;
    size_t bytes = size;

    if (!json_is(&h->j, at, JSON_ARRAY) || h->j.node[at].size > MAX_RANK)
        return err_set(h->e, ERR_DATA, "shape is not an array of at most %d numbers", MAX_RANK);
    rank = (int)h->j.node[at].size;
    for (int i = 0; i < TENSOR_DIMS; i++)
        t->shape[i] = 1;
    for (int i = 0; i < rank; i++) {
        int64_t d;

        if (json_int(&h->j, at + 1 + i, &d) || d < 0)
            return err_set(h->e, ERR_DATA, "shape: dimension %d is not a whole number", i);
        if (!mem_mul(bytes, (size_t)d, &bytes) || bytes > INT64_MAX)
            return err_set(h->e, ERR_DATA, "shape: tensor size overflows");
        if (rank <= TENSOR_DIMS)
            t->shape[i] = d;
    }
    t->n_dims = rank;
    if (rank > TENSOR_DIMS) { // can be carried along, not used
        t->type = T_NTYPES;
        t->n_dims = 1;
        t->shape[0] = (int64_t)(bytes / size);
    }
    t->bytes = bytes;
    return 0;
}

static int entry_place(struct header *h, int node, struct tensor *t)
{
    int at = json_get(&h->j, node, "data_offsets");
    int64_t begin, end;

    if (!json_is(&h->j, at, JSON_ARRAY) || h->j.node[at].size != 2 ||
        json_int(&h->j, at + 1, &begin) || json_int(&h->j, at + 2, &end))
        return err_set(h->e, ERR_DATA, "data_offsets are not two whole numbers");
    if (begin < 0 || end < begin || (uint64_t)end > h->n_data)
        return err_set(h->e, ERR_DATA, "data_offsets %lld..%lld lie outside the %llu bytes of data",
                       (long long)begin, (long long)end, (unsigned long long)h->n_data);
    if ((uint64_t)(end - begin) != t->bytes)
        return err_set(h->e, ERR_DATA, "data_offsets hold %lld bytes, dtype and shape need %zu",
                       (long long)(end - begin), t->bytes);
    t->data = h->data + begin;
    return 0;
}

static int entry(struct header *h, int key, struct tensor *t)
{
    const char *name;
    size_t n, size = 0;

    name = json_str(&h->j, key, &h->s->mem, &n);
    if (!n || n > MAX_NAME)
        return err_set(h->e, ERR_DATA, "tensor name of %zu bytes (limit 1..%d)", n, MAX_NAME);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return err_set(h->e, ERR_DATA, "tensor name with a control character");
    t->name = name;
    if (!json_is(&h->j, key + 1, JSON_OBJECT))
        return err_set(h->e, ERR_DATA, "tensor '%s': not an object", name);
    if (entry_dtype(h, key + 1, t, &size) || entry_shape(h, key + 1, t, size) ||
        entry_place(h, key + 1, t))
        return err_wrap(h->e, "tensor '%s'", name);
    return 0;
}

static int check_metadata(struct header *h, int node)
{
    const struct json *j = &h->j;

    if (!json_is(j, node, JSON_OBJECT))
        return err_set(h->e, ERR_DATA, "__metadata__ is not an object");
    for (uint32_t k = (uint32_t)node + 1; k < j->node[node].next; k = j->node[k + 1].next)
        if (!json_is(j, (int)k + 1, JSON_STRING))
            return err_set(h->e, ERR_DATA, "__metadata__ holds a value that is no string");
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;

    if (px != py)
        return px < py ? -1 : 1;
    if (x->bytes != y->bytes) // empty tensors before the one that begins where they lie
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* In file order, tensors must follow each other from the first byte to the last. */
static int check_cover(struct header *h, const struct tensor *t, int n)
{
    const uint8_t *at = h->data;

    for (int i = 0; i < n; i++) {
        const uint8_t *p = t[i].data;

        if (p != at)
            return err_set(h->e, ERR_DATA, "tensor '%s': data_offsets leave a hole or overlap",
                           t[i].name);
        at = p + t[i].bytes;
    }
    if ((uint64_t)(at - h->data) != h->n_data)
        return err_set(h->e, ERR_DATA, "data_offsets end at %llu, the file has %llu bytes of data",
                       (unsigned long long)(at - h->data), (unsigned long long)h->n_data);
    return 0;
}

/* A ZIP archive, or the protocol of a bare pickle. The length of a header may begin with the same
 * two bytes, but has '{' behind its eight. */
static bool is_pickle(const struct file_map *m)
{
    if (m->n >= 4 && !memcmp(m->p, "PK\3\4", 4))
        return true;
    return m->n >= 4 && m->p[0] == 0x80 && m->p[1] < 6 && (m->n < 9 || m->p[8] != '{');
}

/* The header's JSON: found, bounded, parsed. */
static int parse_header(struct header *h)
{
    const struct file_map *m = h->map;
    const char *text;
    uint64_t n;

    if (is_pickle(m))
        return err_set(h->e, ERR_DATA, "pickle checkpoints are not read; save as safetensors");
    if (m->n < 8)
        return err_set(h->e, ERR_DATA, "truncated: %zu bytes hold no header", m->n);
    memcpy(&n, m->p, sizeof(n));
    if (n < 2 || n > MAX_HEADER || n > m->n - 8)
        return err_set(h->e, ERR_DATA, "header length %llu is not in 2..%zu", (unsigned long long)n,
                       m->n - 8 < MAX_HEADER ? m->n - 8 : MAX_HEADER);
    text = (const char *)m->p + 8;
    h->data = m->p + 8 + n;
    h->n_data = m->n - 8 - n;
    if (*text != '{')
        return err_set(h->e, ERR_DATA, "header is not a JSON object");
    if (json_bound(text, (size_t)n) > MAX_VALUES)
        return err_set(h->e, ERR_DATA, "header of more than %d values", MAX_VALUES);
    if (json_parse(&h->j, &h->mem, text, (size_t)n, h->e))
        return err_wrap(h->e, "header");
    if (h->j.node[0].size > MAX_TENSORS)
        return err_set(h->e, ERR_DATA, "more than %d tensors", MAX_TENSORS);
    return 0;
}

static int read_header(struct header *h, int shard)
{
    struct st *s = h->s;
    struct tensor *t;
    int n = 0;

    if (parse_header(h))
        return -1;
    s->tensor = mem_resize(s->tensor, (size_t)s->n_tensors + h->j.node[0].size, sizeof(*t));
    t = s->tensor + s->n_tensors;
    for (uint32_t k = 1; k < h->j.n_node; k = h->j.node[k + 1].next) {
        if (json_str_is(&h->j, (int)k, "__metadata__")) {
            if (check_metadata(h, (int)k + 1))
                return -1;
            continue;
        }
        if (entry(h, (int)k, &t[n]))
            return -1;
        n++;
    }
    qsort(t, (size_t)n, sizeof(*t), by_place);
    if (check_cover(h, t, n))
        return -1;
    if (s->n_tensors + n > MAX_TENSORS)
        return err_set(h->e, ERR_DATA, "more than %d tensors", MAX_TENSORS);
    s->shard = mem_resize(s->shard, (size_t)(s->n_tensors + n), sizeof(*s->shard));
    for (int i = 0; i < n; i++)
        s->shard[s->n_tensors++] = shard;
    return 0;
}

/* Map one more file and add its tensors. */
static int add_file(struct st *s, const char *path, struct err *e)
{
    struct header h = {.s = s, .e = e};
    int first = s->n_tensors, rc;

    s->map = mem_resize(s->map, (size_t)s->n_maps + 1, sizeof(*s->map));
    if (file_map(&s->map[s->n_maps], path, e))
        return -1;
    h.map = &s->map[s->n_maps++];
    rc = read_header(&h, s->n_maps - 1);
    arena_free(&h.mem);
    if (rc)
        return err_wrap(e, "%s", path);
    for (int i = first; i < s->n_tensors; i++) {
        const char *name = s->tensor[i].name;

        if (*hash_put(&s->names, name, strlen(name), i) != i)
            return err_set(e, ERR_DATA, "%s: tensor '%s' is in another shard too", path, name);
    }
    return 0;
}

/* ---- a directory of shards ---- */

/* A shard's name from an index: a plain file name that cannot lead elsewhere. */
static bool plain_name(const char *s, size_t n)
{
    static const char end[] = ".safetensors";

    return n > sizeof(end) - 1 && n < 256 && strlen(s) == n && *s != '.' && !strchr(s, '/') &&
           !strcmp(s + n - (sizeof(end) - 1), end);
}

/* The distinct shard names of a weight_map, sorted; NULL on error. Names live in `a`. */
static char **shard_names(const struct json *j, struct arena *a, int *n, struct err *e)
{
    int map = json_get(j, 0, "weight_map");
    struct hash_table seen = {0};
    char **name = NULL;
    size_t cap = 0, len;

    *n = 0;
    if (!json_is(j, map, JSON_OBJECT) || !j->node[map].size) {
        err_set(e, ERR_DATA, "no 'weight_map'");
        return NULL;
    }
    for (uint32_t k = (uint32_t)map + 1; k < j->node[map].next; k = j->node[k + 1].next) {
        char *s = json_str(j, (int)k + 1, a, &len);

        if (!s || !plain_name(s, len) || *n == MAX_SHARDS) {
            err_set(e, ERR_DATA, "weight_map: shard %s",
                    *n == MAX_SHARDS ? "count exceeds 10000"
                                     : "path must be a plain file name that ends in .safetensors");
            free(name);
            name = NULL;
            break;
        }
        if (*hash_put(&seen, s, len, *n) != *n)
            continue;
        mem_grow(&name, &cap, (size_t)*n + 1, sizeof(*name));
        name[(*n)++] = s;
    }
    hash_free(&seen);
    return name;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every tensor of the map must be in the shard that the map says. */
static int check_map(const struct st *s, const struct json *j, struct arena *a, char **name,
                     struct err *e)
{
    int map = json_get(j, 0, "weight_map");

    for (uint32_t k = (uint32_t)map + 1; k < j->node[map].next; k = j->node[k + 1].next) {
        size_t n;
        const char *key = json_str(j, (int)k, a, &n);
        int *i = hash_find(&s->names, key, n);

        if (!i || !json_str_is(j, (int)k + 1, name[s->shard[*i]]))
            return err_set(e, ERR_DATA, "weight_map: tensor '%.200s' is not in its shard", key);
    }
    return 0;
}

static int add_shards(struct st *s, const char *dir, const struct json *j, struct arena *a,
                      struct err *e)
{
    int n, rc = 0;
    char **name = shard_names(j, a, &n, e);

    if (!name)
        return -1;
    qsort(name, (size_t)n, sizeof(*name), by_name);
    for (int i = 0; i < n && !rc; i++) {
        char *path = file_join(dir, name[i]);

        rc = add_file(s, path, e);
        free(path);
    }
    if (!rc)
        rc = check_map(s, j, a, name, e);
    free(name);
    return rc;
}

static int open_index(struct st *s, const char *dir, const char *path, struct err *e)
{
    struct arena a = {0};
    struct json j;
    size_t n;
    char *text = file_text(path, MAX_HEADER, &n, e);
    int rc;

    if (!text)
        return -1;
    if (json_bound(text, n) > MAX_VALUES)
        rc = err_set(e, ERR_DATA, "more than %d values", MAX_VALUES);
    else
        rc = json_parse(&j, &a, text, n, e);
    if (rc || add_shards(s, dir, &j, &a, e))
        rc = err_wrap(e, "%s", path);
    arena_free(&a);
    free(text);
    return rc;
}

static int open_dir(struct st *s, const char *dir, struct err *e)
{
    char *one = file_join(dir, "model.safetensors");
    char *index = file_join(dir, "model.safetensors.index.json");
    char *pickle = file_join(dir, "pytorch_model.bin");
    int rc;

    if (!access(one, F_OK))
        rc = add_file(s, one, e);
    else if (!access(index, F_OK))
        rc = open_index(s, dir, index, e);
    else if (!access(pickle, F_OK))
        rc =
            err_set(e, ERR_ARG, "%s: pickle checkpoints are not read; save as safetensors", pickle);
    else
        rc = err_set(e, ERR_ARG, "'%s' has no model.safetensors and no index of shards", dir);
    free(one);
    free(index);
    free(pickle);
    return rc;
}

int st_open(struct st *s, const char *path, struct err *e)
{
    *s = (struct st){0};
    if (file_is_dir(path) ? open_dir(s, path, e) : add_file(s, path, e)) {
        st_close(s);
        return -1;
    }
    return 0;
}

void st_close(struct st *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_maps; i++)
        file_unmap(&s->map[i]);
    free(s->map);
    free(s->tensor);
    free(s->shard);
    hash_free(&s->names);
    arena_free(&s->mem);
    *s = (struct st){0};
}

const struct tensor *st_tensor(const struct st *s, const char *name)
{
    int *i = hash_find(&s->names, name, strlen(name));

    return i ? &s->tensor[*i] : NULL;
}

/* ---- writing ---- */

int st_create(struct st_writer *w, const char *path, int force, struct err *e)
{
    *w = (struct st_writer){0};
    if (file_create(&w->out, path, force, e))
        return -1;
    // loaders ask which framework's layout the tensors have
    buf_str(&w->head, "{\"__metadata__\":{\"format\":\"pt\"}");
    return 0;
}

int st_put_tensor(struct st_writer *w, const char *name, enum tensor_type t, int n_dims,
                  const int64_t *shape, struct err *e)
{
    int64_t count;
    size_t bytes;
    int k = 0;

    while (k < N_DTYPES && (dtype[k].type != t || t == T_NTYPES))
        k++;
    if (k == N_DTYPES || !*name)
        return err_set(e, ERR_ARG, "tensor '%s' cannot be written as safetensors", name);
    if (tensor_size(t, n_dims, shape, &count, &bytes, e))
        return err_wrap(e, "tensor '%s'", name);
    json_put_key(&w->head, name);
    buf_fmt(&w->head, "{\"dtype\":\"%s\",\"shape\":[", dtype[k].name);
    for (int i = 0; i < n_dims; i++)
        buf_fmt(&w->head, "%s%lld", i ? "," : "", (long long)shape[i]);
    buf_fmt(&w->head, "],\"data_offsets\":[%llu,", (unsigned long long)w->declared);
    if (!mem_sum(w->declared, bytes, &w->declared) || w->declared > INT64_MAX)
        return err_set(e, ERR_ARG, "tensor '%s': file size overflows", name);
    buf_fmt(&w->head, "%llu]}", (unsigned long long)w->declared);
    w->n++;
    return 0;
}

int st_start_data(struct st_writer *w, struct err *e)
{
    uint64_t n;

    buf_char(&w->head, '}');
    while (w->head.n % 8) // the data begin at a multiple of 8
        buf_char(&w->head, ' ');
    n = w->head.n;
    if (n > MAX_HEADER)
        return err_set(e, ERR_ARG, "header of %llu bytes exceeds the format's limit of %d",
                       (unsigned long long)n, MAX_HEADER);
    return file_write(&w->out, &n, sizeof(n), e) ? -1
                                                 : file_write(&w->out, w->head.p, w->head.n, e);
}

int st_data(struct st_writer *w, const void *p, size_t n, struct err *e)
{
    w->offset += n;
    return file_write(&w->out, p, n, e);
}

int st_finish(struct st_writer *w, struct err *e)
{
    int rc;

    assert(w->offset == w->declared); // every tensor got the bytes it declared
    rc = file_commit(&w->out, e);
    st_abandon(w);
    return rc;
}

void st_abandon(struct st_writer *w)
{
    if (!w)
        return;
    file_abandon(&w->out);
    buf_free(&w->head);
    *w = (struct st_writer){0};
}
