/* fast.h - products of many tokens by cuBLAS: what its kernels do around it. */
#ifndef FAST_H
#define FAST_H

#include "matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* fast.cu. `rows` rows of m, of any type, from place `first` on, as BF16 (rows, ld), zeros from
 * m->cols on; both multiples of 16. Of pairs, all that come first, then those that belong to them.
 */
void cuda_fast_rows(uint16_t *y, const struct cuda_matrix *m, int first, int rows, int ld,
                    cudaStream_t s);
/* x (n, cols) as BF16 (n, ld), zeros from cols on; ld is a multiple of 8. */
void cuda_fast_act(uint16_t *y, const float *x, int n, int cols, int ld, cudaStream_t s);
/* y (n, ldy), of which `rows` columns from the first on = bias, or += bias. */
void cuda_fast_bias(float *y, int ldy, const float *bias, int n, int rows, bool add,
                    cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
