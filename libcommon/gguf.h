/* gguf.h - GGUF v3 (and v2): read and write.
 *
 * Reading maps the file and checks every count, length, offset, type and string
 * against the file's size before using it; limits: 65,536 keys, 262,144
 * tensors, key 1..65,535 bytes, name 1..255 bytes, string at most 64 MiB,
 * 1..4 dimensions of 1..2^40, alignment a power of two in 8..1 MiB, arrays of scalars or
 * strings only; tensors inside the file, aligned, none over another.
 * Errors: ERR_DATA "x.gguf: byte 24: key length 99 exceeds the 12 bytes left".
 * Source: ggml docs/gguf.md. */
#ifndef GGUF_H
#define GGUF_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "file.h"
#include "hash.h"
#include "mem.h"
#include "tensor.h"

#include <stdbool.h>
#include <stdint.h>

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STR,
    GGUF_ARR,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_NTYPES
};

struct gguf_kv {
    const char *key;     // in the arena, NUL-terminated
    enum gguf_type type; // GGUF_ARR: an array of `elem`
    enum gguf_type elem;
    uint64_t n;          // items of an array, bytes of a string, else 1
    const uint8_t *data; // in the map; strings of an array: u64 length + bytes each
    size_t size;         // bytes of data
};

struct gguf {
    struct file_map map;
    uint32_t version;
    struct gguf_kv *kv;
    int n_kv;
    struct tensor *tensor; // (n_tensors), in file order; data points into the map
    int n_tensors;
    size_t data_start, alignment;
    struct arena mem;
    struct hash_table names; // tensor name -> index
    struct hash_table keys;  // key -> index
};

int gguf_open(struct gguf *g, const char *path, struct err *e);
void gguf_close(struct gguf *g);

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key); // NULL when absent
const struct tensor *gguf_tensor(const struct gguf *g, const char *name);

/* Values with their defaults: 1 found, 0 absent (*out untouched), -1 wrong type
 * or out of range with e set ("x.gguf: key 'k': ..."). Any integer type is taken
 * where it fits; a float must be finite, a string valid UTF-8 (not NUL-terminated). */
int gguf_int(const struct gguf *g, const char *key, int64_t lo, int64_t hi, int64_t *out,
             struct err *e);
int gguf_float(const struct gguf *g, const char *key, float *out, struct err *e);
int gguf_bool(const struct gguf *g, const char *key, bool *out, struct err *e);
int gguf_str(const struct gguf *g, const char *key, const char **s, size_t *n, struct err *e);

/* Walk an array of strings: *at starts at 0 and moves on; returns 1, or 0 at the end. */
int gguf_next_str(const struct gguf_kv *kv, size_t *at, const char **s, size_t *n);
/* Item i of an array of numbers (or item 0 of a scalar) as a double, or as an
 * int64 (0 for what is no integer). i is less than kv->n. */
double gguf_item_num(const struct gguf_kv *kv, uint64_t i);
int64_t gguf_item_int(const struct gguf_kv *kv, uint64_t i);

/* Writing. First the keys, then all tensor infos, then the data in the same
 * order, a tensor at a time (any number of pieces), then commit. */
struct gguf_writer {
    struct file_out out;
    struct buf head; // keys, then infos
    int64_t n_kv, n_tensors;
    uint64_t offset;  // of the next tensor's data
    uint64_t start;   // of the data in the file
    size_t alignment; // 64
};

int gguf_create(struct gguf_writer *w, const char *path, int force, struct err *e);
void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type t, int64_t v);
void gguf_put_float(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *s, size_t n);
/* Arrays: begin, then n items by the matching gguf_add_*. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type elem, uint64_t n);
void gguf_add_str(struct gguf_writer *w, const char *s, size_t n);
void gguf_add_float(struct gguf_writer *w, float v);
void gguf_add_i32(struct gguf_writer *w, int32_t v);
void gguf_add_bool(struct gguf_writer *w, bool v);
/* Copy a key as it is from a read file (general.alignment is not copied). */
void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv);
int gguf_put_tensor(struct gguf_writer *w, const char *name, enum tensor_type t, int n_dims,
                    const int64_t *shape, struct err *e);
int gguf_start_data(struct gguf_writer *w, struct err *e); // after the last info
int gguf_data(struct gguf_writer *w, const void *p, size_t n, struct err *e);
int gguf_end_tensor(struct gguf_writer *w, struct err *e); // pads to the alignment
int gguf_finish(struct gguf_writer *w, struct err *e);
void gguf_abandon(struct gguf_writer *w);

#endif
