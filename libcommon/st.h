/* st.h - safetensors: single and sharded, read and write.
 *
 * One struct is a whole checkpoint: a file, or a directory whose
 * model.safetensors or model.safetensors.index.json names its shards. Header at
 * most 100,000,000 bytes and 5,000,000 JSON values, 262,144 tensors, rank at
 * most 8, offsets without hole or overlap, ending where the file ends; shard
 * names are plain file names. Pickle files are refused. A tensor of a dtype
 * without a tensor type (U8 BOOL U16 U32 U64 F8_*) or of rank above 4 has type
 * T_NTYPES: it may be there, its values cannot be read.
 * Source: huggingface/safetensors, README "Format". */
#ifndef ST_H
#define ST_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "file.h"
#include "hash.h"
#include "mem.h"
#include "tensor.h"

struct st {
    struct file_map *map; // (n_maps) one a shard
    int n_maps;
    struct tensor *tensor; // (n_tensors) in the order of their data, shards in name order
    int *shard;            // (n_tensors) index into map
    int n_tensors;
    struct arena mem;
    struct hash_table names; // tensor name -> index
};

/* path: a .safetensors file, or a directory. */
int st_open(struct st *s, const char *path, struct err *e);
void st_close(struct st *s);
const struct tensor *st_tensor(const struct st *s, const char *name); // NULL when absent

/* Writing one file: declare all tensors, then their data in the same order. */
struct st_writer {
    struct file_out out;
    struct buf head;
    uint64_t offset, declared;
    int n;
};

int st_create(struct st_writer *w, const char *path, int force, struct err *e);
int st_put_tensor(struct st_writer *w, const char *name, enum tensor_type t, int n_dims,
                  const int64_t *shape, struct err *e); // F32 F16 BF16 and integers only
int st_start_data(struct st_writer *w, struct err *e);
int st_data(struct st_writer *w, const void *p, size_t n, struct err *e);
int st_finish(struct st_writer *w, struct err *e);
void st_abandon(struct st_writer *w);

#endif
