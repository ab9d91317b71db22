// one.cu - y = W x for one token, quantized weights in blocks of 16 or 32.
//
// A tile is 64 values of K. Tensor cores (mma.sync m16n8k32 and m16n8k16, s8 or u8 by s8) give the
// exact integer sums of blocks; each goes into its row's sum by one fma, in order, as
// kernels/cpu/plain_isa.h does.
//
// Measured on an H200 (2026-11-26), a token of the 8B shape at 128 keys: Q4_0 2.32 ms, Q8_0 3.07;
// by parts of sums in shared memory and barriers, before, 3.40 and 3.87. Reading the weights takes
// 0.95 and 1.79.
//
#include "one_blocks.cuh"

void cuda_linear_one(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                     int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        one_launch<Blocks<8, 0, 0, 32, false>>(y, add, m, a, sms, s);
    else if (f.levels == 1)
        one_launch<Blocks<4, 0, 1, 32, false>>(y, add, m, a, sms, s);
    else if (f.block == 16)
        one_launch<Blocks<4, 0, 2, 16, false>>(y, add, m, a, sms, s);
    else if (f.levels == 2)
        one_launch<Blocks<4, 0, 2, 32, false>>(y, add, m, a, sms, s);
    else if (f.high && f.min)
        one_launch<Blocks<4, 1, 0, 32, true>>(y, add, m, a, sms, s);
    else if (f.high)
        one_launch<Blocks<4, 1, 0, 32, false>>(y, add, m, a, sms, s);
    else if (f.min)
        one_launch<Blocks<4, 0, 0, 32, true>>(y, add, m, a, sms, s);
    else
        one_launch<Blocks<4, 0, 0, 32, false>>(y, add, m, a, sms, s);
}
