/* words.h - launchers that run each PTX instruction of gpu.h once, on its own (words.cu). */
#ifndef WORDS_H
#define WORDS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum words_mma { WORDS_F16, WORDS_BF16, WORDS_S8, WORDS_U8S8, WORDS_S8_K16, WORDS_U8S8_K16 };

/* d (16, 8) += a (16, K) b (8, K): one warp. K is 16 or 32 bytes, or 16 values of two bytes. */
void words_mma(void *d, const void *a, const void *b, int what, cudaStream_t s);
/* The same of WORDS_F16, b as (K, 8), through shared memory: cp.async, ldmatrix. */
void words_tile(float *d, const uint16_t *a, const uint16_t *b, cudaStream_t s);
/* y (n) = dp4a of a and b, c[0]; y (n) behind = those of unsigned a. */
void words_dp4a(int *y, const uint32_t *a, const uint32_t *b, const int *c, int n, cudaStream_t s);
/* y (2, n) = x * y[0] + y[n] rounded twice, and once. */
void words_fma(float *y, const float *x, int n, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
