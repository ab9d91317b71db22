// one_k.cu - y = W x for one token, quantized weights in blocks of 256 (Q2_K to Q6_K).
//
// As one.cu; a tile is a block of 256, whose groups' exact sums are added up, each times its
// integer scale (and the minima times the activations' sums), so that a block leaves one or two
// integers for a row, and one or two fmas. Lanes t and t ^ 2, which have the same row, share the
// sums of the activations.
//
// Measured on an H200 (2026-11-26), a token of the 8B shape at 128 keys: Q4_K 2.27 ms, before 2.55.
#include "one_supers.cuh"

void cuda_linear_one_k(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                       int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 2 && f.high)
        one_launch<Supers<2, 1, 16, false>>(y, add, m, a, sms, s);
    else if (f.low == 2)
        one_launch<Supers<2, 0, 16, true>>(y, add, m, a, sms, s);
    else if (f.high == 2)
        one_launch<Supers<4, 2, 16, false>>(y, add, m, a, sms, s);
    else if (f.high)
        one_launch<Supers<4, 1, 32, true>>(y, add, m, a, sms, s);
    else
        one_launch<Supers<4, 0, 32, true>>(y, add, m, a, sms, s);
}
