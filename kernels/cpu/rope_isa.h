/* rope_isa.h - rotate the heads of one token. Included by isa_*.c.
 *
 * Su et al. 2021 (RoFormer), eq. 34: (u, v) -> (u cos - v sin, u sin + v cos). */
#ifndef ROPE_ISA_H
#define ROPE_ISA_H

#include "vec.h"

static void rope_apart(float *x, const float *cs, int half)
{
    const float *sn = cs + half;
    int i = 0;

    for (; i + 16 <= half; i += 16) {
        struct v16 u = v16_load(x + i), v = v16_load(x + half + i);
        struct v16 c = v16_load(cs + i), s = v16_load(sn + i);

        v16_store(x + i, v16_sub(v16_mul(u, c), v16_mul(v, s)));
        v16_store(x + half + i, v16_add(v16_mul(u, s), v16_mul(v, c)));
    }
    for (; i < half; i++) {
        float u = x[i], v = x[half + i];

        x[i] = u * cs[i] - v * sn[i];
        x[half + i] = u * sn[i] + v * cs[i];
    }
}

static void rope_row(float *x, const float *cs, const struct attn_shape *a, int n_heads)
{
    int half = a->rope_dims / 2;

    for (int h = 0; h < n_heads; h++, x += a->head_dim) {
        if (a->rope_pairs_apart) {
            rope_apart(x, cs, half);
            continue;
        }
        for (int i = 0; i < half; i++) {
            float u = x[2 * i], v = x[2 * i + 1];

            x[2 * i] = u * cs[i] - v * cs[half + i];
            x[2 * i + 1] = u * cs[half + i] + v * cs[i];
        }
    }
}

#endif
