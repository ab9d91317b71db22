/* half.h - how a product with F16 or BF16 weights of more than eight tokens is spread over blocks.
 * No byte of what it gives depends on it. */
#ifndef HALF_H
#define HALF_H

#include "matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block is `warps` warps, `across` of them side by side; each has two panels of 16 rows and
 * 8 * tiles tokens. It takes `turn` segments of K, with `stages` steps of 64 values in hand. */
struct half_plan {
    int tiles, across, warps, turn, stages;
};

enum { HALF_PART = 64 << 20 }; // bytes of scratch at most
struct half_plan cuda_half_plan(const struct cuda_matrix *m, int n, int sms);
/* Scratch that it needs: 0 if blocks take all segments. */
size_t cuda_half_part(const struct half_plan *p, const struct cuda_matrix *m, int n);
void cuda_half_run(const struct half_plan *p, float *y, int ldy, bool add,
                   const struct cuda_matrix *m, const struct cuda_act *a, void *part,
                   cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
