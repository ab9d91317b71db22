/* num.h - float functions with one result on every machine: exp tanh log sqrt sin cos pow.
 *
 * Only IEEE operations in a written order: + - * / sqrt and explicit fma, which
 * every machine rounds alike. Nothing of libm whose result may differ. The
 * vector forms in the kernels repeat those of floats operation by operation. */
#ifndef NUM_H
#define NUM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* These functions are the device's as well. */
#ifdef __CUDACC__
#define NUM_FN static inline __host__ __device__
#else
#define NUM_FN static inline
#endif

/* Coefficients of num_exp, fitted so that 1 + r + r^2 (C2 + ... C6 r^4) = e^r within
 * 4e-9 for |r| <= ln(2) / 2; ln(2) in two parts, the first short enough that a
 * product with a small integer is exact; 1.5 * 2^23, whose addition rounds to an integer. */
#define NUM_EXP_C2  0x1.fffff8p-2f
#define NUM_EXP_C3  0x1.55548cp-3f
#define NUM_EXP_C4  0x1.555b64p-5f
#define NUM_EXP_C5  0x1.123cc0p-7f
#define NUM_EXP_C6  0x1.6878aep-10f
#define NUM_LOG2E   0x1.715476p+0f
#define NUM_LN2_HI  0x1.62e400p-1f
#define NUM_LN2_LO  0x1.7f7d1cp-20f
#define NUM_ROUND   0x1.8p+23f
#define NUM_EXP_MAX 89.0f   // e^89 is above the largest float
#define NUM_EXP_MIN -104.0f // e^-104 rounds to 0

#define NUM_TANH_MAX 10.0f           // tanh 10 rounds to 1
#define NUM_GELU_C1  -0x1.988454p+0f // -2 sqrt(2/pi), and 0.044715 times that
#define NUM_GELU_C3  -0x1.2444f2p-4f

/* The upper tail of the normal distribution at a >= 0 is e^(-a^2 / 2) P(t), t = 1 / (1 + T a); the
 * coefficients of P (C0 to C8) are our own fit, within 1e-7 of it. */
#define NUM_ERF_T   0.28284273f // 0.4 / sqrt(2)
#define NUM_ERF_MAX 14.0f       // the tail there is below the smallest float
#define NUM_ERF_C0  3.968176e-05f
#define NUM_ERF_C1  0.111985646f
#define NUM_ERF_C2  0.12066697f
#define NUM_ERF_C3  0.06355364f
#define NUM_ERF_C4  0.21280812f
#define NUM_ERF_C5  -0.19160806f
#define NUM_ERF_C6  0.3407357f
#define NUM_ERF_C7  -0.19433467f
#define NUM_ERF_C8  0.036152933f

NUM_FN uint32_t num_bits(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof(u));
    return u;
}

NUM_FN float num_float(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

/* e^x within 1 ulp; 0 from -104 down, infinity from 89 up, NaN for NaN. */
NUM_FN float num_exp(float x)
{
    float t, n, r, p;
    int32_t k, half;

    x = NUM_EXP_MAX < x ? NUM_EXP_MAX : x;
    x = NUM_EXP_MIN > x ? NUM_EXP_MIN : x;
    t = fmaf(x, NUM_LOG2E, NUM_ROUND);
    n = t - NUM_ROUND;
    r = fmaf(n, -NUM_LN2_HI, x);
    r = fmaf(n, -NUM_LN2_LO, r);
    p = fmaf(NUM_EXP_C6, r, NUM_EXP_C5);
    p = fmaf(p, r, NUM_EXP_C4);
    p = fmaf(p, r, NUM_EXP_C3);
    p = fmaf(p, r, NUM_EXP_C2);
    p = fmaf(p * r, r, r) + 1.0f;
    /* 2^n in two factors, so that results below 2^-126 and above 2^127 come out right */
    k = (int32_t)(num_bits(t) - num_bits(NUM_ROUND));
    half = (int32_t)((uint32_t)k & 0xfffffffeu) / 2;
    p *= num_float((uint32_t)(half + 127) << 23);
    return p * num_float((uint32_t)(k - half + 127) << 23);
}

/* x / (1 + e^-x): the activation of SwiGLU. */
NUM_FN float num_silu(float x)
{
    return x / (1.0f + num_exp(-x));
}

/* tanh x within 3 ulp: (e^2x - 1) / (e^2x + 1), the numerator as 2^n (e^r - 1) + (2^n - 1),
 * which cancels nowhere. 1 from NUM_TANH_MAX up. */
NUM_FN float num_tanh(float x)
{
    float t, n, r, p, scale;

    x = NUM_TANH_MAX < x ? NUM_TANH_MAX : x;
    x = -NUM_TANH_MAX > x ? -NUM_TANH_MAX : x;
    x = x + x;
    t = fmaf(x, NUM_LOG2E, NUM_ROUND);
    n = t - NUM_ROUND;
    r = fmaf(n, -NUM_LN2_HI, x);
    r = fmaf(n, -NUM_LN2_LO, r);
    p = fmaf(NUM_EXP_C6, r, NUM_EXP_C5);
    p = fmaf(p, r, NUM_EXP_C4);
    p = fmaf(p, r, NUM_EXP_C3);
    p = fmaf(p, r, NUM_EXP_C2);
    p = fmaf(p * r, r, r);
    scale = num_float((uint32_t)((int32_t)(num_bits(t) - num_bits(NUM_ROUND)) + 127) << 23);
    p = fmaf(p, scale, scale - 1.0f);
    return p / (p + 2.0f);
}

/* -2u of num_gelu. */
NUM_FN float num_gelu_power(float x)
{
    return x * fmaf(x * x, NUM_GELU_C3, NUM_GELU_C1);
}

/* x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2.
 * Hendrycks & Gimpel 2016. */
NUM_FN float num_gelu(float x)
{
    return x / (1.0f + num_exp(num_gelu_power(x)));
}

/* x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| tail(|x|), within 3e-7 of max(|x|, 1): GELU itself,
 * of which num_gelu is an approximation. */
NUM_FN float num_gelu_erf(float x)
{
    float a = x > -x ? x : -x, t, p;

    a = NUM_ERF_MAX < a ? NUM_ERF_MAX : a;
    t = 1.0f / fmaf(a, NUM_ERF_T, 1.0f);
    p = fmaf(NUM_ERF_C8, t, NUM_ERF_C7);
    p = fmaf(p, t, NUM_ERF_C6);
    p = fmaf(p, t, NUM_ERF_C5);
    p = fmaf(p, t, NUM_ERF_C4);
    p = fmaf(p, t, NUM_ERF_C3);
    p = fmaf(p, t, NUM_ERF_C2);
    p = fmaf(p, t, NUM_ERF_C1);
    p = fmaf(p, t, NUM_ERF_C0);
    p = p * num_exp(a * a * -0.5f) * a;
    return (0.0f > x ? 0.0f : x) - p;
}

/* max(x, 0)^2; NaN for NaN. */
NUM_FN float num_relu2(float x)
{
    x = 0.0f > x ? 0.0f : x;
    return x * x;
}

NUM_FN float num_rsqrt(float x)
{
    return 1.0f / sqrtf(x);
}

/* Double precision, used where a result is computed once and rounded to float.
 * ln x for normal x > 0: x = 2^e m, s = (m - 1) / (m + 1), ln m = 2 atanh s. */
NUM_FN double num_log_d(double x)
{
    uint64_t u;
    int64_t e;
    double m, s, z, p;

    memcpy(&u, &x, sizeof(u));
    e = (int64_t)((u - 0x3fe6a09e667f3bcdu) >> 52); // m from sqrt(1/2) to sqrt(2)
    e = e > 2047 ? e - 4096 : e;
    u -= (uint64_t)e << 52;
    memcpy(&m, &u, sizeof(m));
    s = (m - 1.0) / (m + 1.0);
    z = s * s;
    p = 1.0 / 21.0;
    for (int i = 19; i >= 3; i -= 2)
        p = fma(p, z, 1.0 / (double)i);
    p = fma(p * z, s, s);
    return fma((double)e, 0x1.62e42fefa39efp-1, 2.0 * p);
}

/* e^x for |x| < 700: Taylor's series to r^13 on |r| <= ln(2) / 2. */
NUM_FN double num_exp_d(double x)
{
    const double round = 0x1.8p+52;
    double t = fma(x, 0x1.71547652b82fep+0, round), n = t - round, p = 1.0, r;
    int64_t k;
    uint64_t u;

    r = fma(n, -0x1.62e42fefa39efp-1, x);
    r = fma(n, -0x1.abc9e3b39803fp-56, r);
    for (int i = 13; i >= 1; i--)
        p = fma(p * r, 1.0 / (double)i, 1.0);
    k = (int64_t)n;
    u = (uint64_t)(k + 1023) << 52;
    memcpy(&t, &u, sizeof(t));
    return p * t;
}

/* base^y for base > 0, rounded once to float. */
NUM_FN float num_pow(float base, double y)
{
    return (float)num_exp_d(y * num_log_d((double)base));
}

/* ln x within 1 ulp; -infinity for 0, NaN below. */
NUM_FN float num_log(float x)
{
    if (!(x > 0.0f))
        return x == 0.0f ? -INFINITY : NAN;
    if (x == INFINITY)
        return x;
    return (float)num_log_d((double)x);
}

/* sin and cos within 1 ulp for |x| < 2^30 (angles of positions): x is reduced by
 * multiples of pi/2 in double, the constant in two parts. NaN for other x. */
NUM_FN void num_sincos(float x, float *sin_x, float *cos_x)
{
    const double round = 0x1.8p+52;
    double n, r, z, s, c, t;
    int64_t q;

    if (!(x < 0x1p30f && x > -0x1p30f)) {
        *sin_x = *cos_x = NAN;
        return;
    }
    n = fma((double)x, 0x1.45f306dc9c883p-1, round) - round;
    q = (int64_t)n;
    r = fma(n, -0x1.921fb54442d18p+0, (double)x);
    r = fma(n, -0x1.1a62633145c07p-54, r);
    z = r * r;
    /* Taylor: |r| <= pi/4, terms to r^15 and r^16 */
    s = -1.0 / 1307674368000.0;
    s = fma(s, z, 1.0 / 6227020800.0);
    s = fma(s, z, -1.0 / 39916800.0);
    s = fma(s, z, 1.0 / 362880.0);
    s = fma(s, z, -1.0 / 5040.0);
    s = fma(s, z, 1.0 / 120.0);
    s = fma(s, z, -1.0 / 6.0);
    s = fma(s * z, r, r);
    c = 1.0 / 20922789888000.0;
    c = fma(c, z, -1.0 / 87178291200.0);
    c = fma(c, z, 1.0 / 479001600.0);
    c = fma(c, z, -1.0 / 3628800.0);
    c = fma(c, z, 1.0 / 40320.0);
    c = fma(c, z, -1.0 / 720.0);
    c = fma(c, z, 1.0 / 24.0);
    c = fma(c, z, -0.5);
    c = fma(c, z, 1.0);
    t = (q & 1) ? c : s;
    c = (q & 1) ? s : c;
    *sin_x = (float)((q & 2) ? -t : t);
    *cos_x = (float)(((q + 1) & 2) ? -c : c);
}

#endif
