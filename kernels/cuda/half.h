/* half.h - how a product with F16 or BF16 weights of more than eight tokens is spread over blocks.
 * No byte of what it gives depends on it. */
#ifndef HALF_H
#define HALF_H

#include "matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block is `warps` warps, `across` of them side by side; each has two panels of 16 rows and
 * 8 * tiles tokens. It takes `turn` segments of K, with `stages` steps of 64 values in hand.
 * wide: half_wide.cu's. A block has eight panels and 8 * tiles tokens (64, 128 or 192; `across` is
 * 1), `split` blocks (1; of 64 tokens 1, 2 or 4) take segments in turn, and `blocks` of them all
 * one piece after the other; `stages` is at least 2. */
struct half_plan {
    int tiles, across, warps, turn, stages, blocks, split;
    bool wide;
};

enum { HALF_PART = 64 << 20 }; // bytes of scratch at most
struct half_plan cuda_half_plan(const struct cuda_matrix *m, int n, int sms);
/* Scratch that it needs: 0 if blocks take all segments. */
size_t cuda_half_part(const struct half_plan *p, const struct cuda_matrix *m, int n);
void cuda_half_run(const struct half_plan *p, float *y, int ldy, bool add,
                   const struct cuda_matrix *m, const struct cuda_act *a, void *part,
                   cudaStream_t s);

/* half_wide.cu: plans for GPUs that can, and their kernel; false for others. */
bool cuda_half_wide_plan(struct half_plan *p, const struct cuda_matrix *m, int n, int sms);
/* The most blocks of a plan at a time on so many multiprocessors of this device, whole clusters;
 * and the most stages in so many bytes of shared memory. */
int cuda_half_wide_blocks(const struct half_plan *p, int sms);
int cuda_half_wide_stages(const struct half_plan *p, int shared);
void cuda_half_wide(const struct half_plan *p, float *y, int ldy, bool add,
                    const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
