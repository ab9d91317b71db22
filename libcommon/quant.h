/* quant.h - reference dequantizers and quantizers, a type each.
 *
 * These define what a file's blocks mean; fast kernels are tested against them.
 * Layouts are ggml's published blocks (little-endian). Scalar C, one result on
 * every machine. */
#ifndef QUANT_H
#define QUANT_H

#include "tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* Half floats by bits. Rounding to nearest even; NaN stays NaN; overflow to infinity. */
float quant_f16(uint16_t h);
uint16_t quant_to_f16(float x);
float quant_bf16(uint16_t h);
uint16_t quant_to_bf16(float x);

// clang-format off
/* Block layouts, as they lie in files. */
enum { QUANT_16 = 16, QUANT_32 = 32, QUANT_K = 256 };
struct quant_q8_0 { uint16_t d; int8_t q[32]; };                          // x = d * q
struct quant_q4_0 { uint16_t d; uint8_t q[16]; };                         // x = d * (q - 8)
struct quant_q4_1 { uint16_t d, m; uint8_t q[16]; };                      // x = d * q + m
struct quant_q5_0 { uint16_t d; uint8_t h[4]; uint8_t q[16]; };           // x = d * (q - 16)
struct quant_q5_1 { uint16_t d, m; uint8_t h[4]; uint8_t q[16]; };        // x = d * q + m
struct quant_q2_k { uint8_t scale[16]; uint8_t q[64]; uint16_t d, dmin; };
struct quant_q3_k { uint8_t h[32]; uint8_t q[64]; uint8_t scale[12]; uint16_t d; };
struct quant_q4_k { uint16_t d, dmin; uint8_t scale[12]; uint8_t q[128]; };
struct quant_q5_k { uint16_t d, dmin; uint8_t scale[12]; uint8_t h[32]; uint8_t q[128]; };
struct quant_q6_k { uint8_t ql[128]; uint8_t qh[64]; int8_t scale[16]; uint16_t d; };
struct quant_iq4_nl { uint16_t d; uint8_t q[16]; };                       // x = d * quant_iq4[q]
struct quant_mxfp4 { uint8_t e; uint8_t q[16]; };                         // x = d * quant_fp4[q]
struct quant_nvfp4 { uint8_t d[4]; uint8_t q[32]; };                      // as mxfp4, 16 to a d
// clang-format on

/* What nibbles mean: IQ4_NL's levels; twice the values of E2M1 (OCP Microscaling
 * Formats 1.0), whose halves are in the scales. */
extern const int8_t quant_iq4[16], quant_fp4[16];

/* The scales of MXFP4 (half of an E8M0) and NVFP4 (half of an E4M3, sign ignored, 0x7f is 0). */
float quant_e8m0(uint8_t e);
float quant_e4m3(uint8_t d);

/* The sixteen 6-bit scales of a block of Q3_K, less 32. */
void quant_q3_scales(const uint8_t s[12], int8_t scale[16]);

/* y[0..n) = the n values of a row; n is a multiple of the type's block. The row
 * may stand at any address. False for the integer types and unknown ones. */
bool quant_read(enum tensor_type t, const void *row, float *y, int64_t n);

/* Write n floats as a row of type F32, F16, BF16 or Q8_0 (the types that
 * llm-convert writes). False for other types. Q8_0: d = max|x| / 127 as f16,
 * q = round(x * (1 / d_f32)), ties away from zero, as the published reference
 * does; a block with a NaN or an infinity gets d = NaN. */
bool quant_write(enum tensor_type t, const float *x, void *row, int64_t n);

#endif
