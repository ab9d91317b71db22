/* cost.h - what a step of a model must read and multiply at least. */
#ifndef COST_H
#define COST_H

#include "model.h"

#include <stdbool.h>
#include <stdint.h>

struct cost {
    uint64_t
        weight_bytes;     // every matrix once, the head too; of the embedding only what is the head
    uint64_t cache_bytes; // keys and values of one position, all layers
    int64_t layer_products; // multiply-adds of one token in the layers' matrices
    int64_t head_products;  // and in the head
    bool floats;            // most weights are floats, not blocks of integers
};

struct cost cost_of(const struct model *m, enum kv_type type); // of the cache

#endif
