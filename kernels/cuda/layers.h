/* layers.h - all layers of a step of one token by one kernel. */
#ifndef LAYERS_H
#define LAYERS_H

#include "matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Products of a layer, in order. */
enum { LAYER_QKV, LAYER_O, LAYER_GATE_UP, LAYER_DOWN, LAYER_PRODUCTS };

/* What layers differ in; in device memory. */
struct cuda_layer {
    struct cuda_matrix w[LAYER_PRODUCTS]; // their shapes are the same in all layers
    struct cuda_norm norm[2];             // ahead of qkv and of gate_up
    struct cuda_norm q_norm, k_norm;
    const float *inv_freq;
    void *kv; // the layer's pages
    int window, reserved;
};

enum { LAYERS_MOST = 128, LAYERS_RANGES = 8 }; // layers; ranges of keys, at most

struct cuda_layers {
    const struct cuda_layer *layer; // (n)
    int n, type;                    // of the weights
    int rows[LAYER_PRODUCTS], cols[LAYER_PRODUCTS], act;
    struct cuda_attn attn; // but for what is the layer's
    int kv_type;
    struct cuda_step st;     // of one token
    float *x, *h, *qkv, *gu; // (cols of qkv), (cols of o and of down), (rows of qkv), of gate_up
    float *part;             // of cuda_attn_bytes
    struct cuda_act next;    // of down, in device memory: BF16
    unsigned *met;           // two words that begin as zeros: for as long as the device is open
};

/* kv for a layer. */
void *cuda_layer_pages(const struct cuda_kv *kv, int layer);
/* Can this device do so? layer may be NULL. */
bool cuda_layers_fit(const struct cuda_layers *l, int sms);
void cuda_layers_run(const struct cuda_layers *l, int sms, cudaStream_t s);
/* By files: layers_half.cu, layers_one.cu. */
bool cuda_layers_half_fit(const struct cuda_layers *l);
void cuda_layers_half(const struct cuda_layers *l, int sms, cudaStream_t s);
bool cuda_layers_one_fit(const struct cuda_layers *l);
void cuda_layers_one(const struct cuda_layers *l, int sms, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
