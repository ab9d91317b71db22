// emu_mma.cpp - cp.async, ldmatrix and mma on the host: the fragments of the PTX ISA.
#include "emu_in.h"

#include <algorithm>
#include <cmath>

namespace emu
{

#define PC __builtin_return_address(0)

// ---- cp.async: nothing arrives before it is waited for; until then its place holds NaNs

void cp_async(void *dst, const void *src, int n, int live)
{
    if ((uintptr_t)dst % (unsigned)n || (uintptr_t)src % (unsigned)n)
        die({"cp_async", 0}, "misaligned cp.async %p <- %p", dst, src);
    memset(dst, 0xff, (size_t)n);
    race_write(dst, (size_t)n, PC);
    cur->pending.push_back({dst, src, n, live});
}

void cp_commit()
{
    cur->groups.push_back(cur->pending.size());
}

void cp_wait(unsigned keep)
{
    Fiber *f = cur;
    size_t g, n;

    if (f->groups.size() <= keep)
        return;
    g = f->groups.size() - keep;
    n = f->groups[g - 1];
    for (size_t i = 0; i < n; i++) {
        const Copy &c = f->pending[i];

        if (c.live)
            race_read(c.src, (size_t)c.live, PC);
        memcpy(c.dst, c.src, (size_t)c.live);
        memset((char *)c.dst + c.live, 0, (size_t)(c.n - c.live));
        race_write(c.dst, (size_t)c.n, PC);
    }
    f->pending.erase(f->pending.begin(), f->pending.begin() + (long)n);
    f->groups.erase(f->groups.begin(), f->groups.begin() + (long)g);
    for (size_t &end : f->groups)
        end -= n;
}

// ---- ldmatrix

struct Ldm {
    uint32_t *r;
    const void *row;
    int n;
    bool trans;
};

static void ldmatrix_all(void **p, unsigned)
{
    const Ldm *x = (const Ldm *)p[0];

    for (int m = 0; m < x->n; m++)
        for (int l = 0; l < 32; l++)
            for (int h = 0; h < 2; h++) {
                int row = l / 4, col = l % 4 * 2 + h;

                if (x->trans)
                    std::swap(row, col);
                memcpy((uint16_t *)(((Ldm *)p[l])->r + m) + h,
                       (const uint16_t *)((Ldm *)p[m * 8 + row])->row + col, 2);
            }
}

void ldmatrix(uint32_t *r, const void *row, int n, bool trans)
{
    Ldm a{r, row, n, trans};

    if ((int)cur->lane < n * 8) {
        if ((uintptr_t)row % 16)
            die({"ldmatrix", 0}, "misaligned row %p", row);
        race_read(row, 16, PC);
    }
    warp_op(~0u, &a, ldmatrix_all, "ldmatrix", {"ldmatrix", 0});
}

// ---- mma of floats: the 16 products of an output are summed in ascending order, then added

struct Mma {
    void *d;
    const uint32_t *a, *b;
};

static float f16_table[1 << 16];

static float from_f16(uint32_t w, int high)
{
    return f16_table[w >> 16 * high & 0xffff];
}

static float from_bf16(uint32_t w, int high)
{
    return __uint_as_float(w >> 16 * high << 16);
}

// As hardware might: all is cut off 24 bits below the largest exponent of what is summed, where a
// product's is the sum of its factors', and a zero has one as well. So what a zero is multiplied
// with shows in the bits, of which no kernel may make a difference.
static float mma_cut(const float *a, const float (*b)[8], int column, float c)
{
    const int ZERO = 4;
    int most = c == 0.0f ? ZERO : ilogbf(c);
    double sum, unit;

    for (int k = 0; k < 16; k++) {
        float x = a[k], y = b[k][column];

        if (!std::isfinite(x) || !std::isfinite(y) || !std::isfinite(c))
            return NAN;
        most = std::max(most, (x == 0.0f ? ZERO : ilogbf(x)) + (y == 0.0f ? ZERO : ilogbf(y)));
    }
    unit = ldexp(1.0, most - 24);
    sum = trunc((double)c / unit);
    for (int k = 0; k < 16; k++)
        sum += trunc((double)a[k] * (double)b[k][column] / unit);
    return (float)(sum * unit);
}

template <float VALUE(uint32_t, int)> static void mma_floats(void **p, unsigned)
{
    static const bool cut = getenv("EMU_MMA_CUT") != nullptr;
    float a[16][16], b[16][8], d[16][8] = {};

    for (int l = 0; l < 32; l++) {
        const Mma &x = *(const Mma *)p[l];
        int g = l / 4, t = l % 4 * 2;

        for (int h = 0; h < 2; h++) {
            for (int i = 0; i < 4; i++)
                a[g + i % 2 * 8][t + i / 2 * 8 + h] = VALUE(x.a[i], h);
            for (int i = 0; i < 2; i++)
                b[t + i * 8 + h][g] = VALUE(x.b[i], h);
        }
    }
    for (int i = 0; !cut && i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++)
                d[i][j] += a[i][k] * b[k][j];
    for (int l = 0; l < 32; l++) {
        float *o = (float *)((const Mma *)p[l])->d;
        int g = l / 4, t = l % 4 * 2;

        for (int i = 0; i < 4; i++) {
            int row = g + i / 2 * 8, column = t + i % 2;

            o[i] = cut ? mma_cut(a[row], b, column, o[i]) : o[i] + d[row][column];
        }
    }
}

static void f16_open()
{
    if (f16_table[0x3c00] == 1.0f)
        return;
    for (unsigned i = 0; i < 1 << 16; i++) {
        __half_raw r;

        r.x = (unsigned short)i;
        f16_table[i] = __half2float(__half(r));
    }
}

void mma_f16(float *d, const uint32_t *a, const uint32_t *b)
{
    Mma m{d, a, b};

    f16_open();
    warp_op(~0u, &m, mma_floats<from_f16>, "mma_f16", {"mma_f16", 0});
}

void mma_bf16(float *d, const uint32_t *a, const uint32_t *b)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, mma_floats<from_bf16>, "mma_bf16", {"mma_bf16", 0});
}

// ---- wgmma: a warp's sixteen rows by 64 columns, of which b says where they lie

struct Wgmma {
    float *d;
    const uint32_t *a;
    uint64_t b;
    bool first;
};

template <float VALUE(uint32_t, int)> static void wgmma_floats(void **p, unsigned mask)
{
    const Wgmma *all = (const Wgmma *)p[0];
    const uint8_t *base = (const uint8_t *)dyn_shared() + (all->b & 0x3fff) * 16;
    size_t next = (all->b >> 16 & 0x3fff) * 16;

    for (int c = 0; c < 8; c++) {
        uint32_t b[32][2];
        Mma m[32];
        void *q[32];

        for (int l = 0; l < 32; l++) {
            const Wgmma &x = *(const Wgmma *)p[l];

            if (x.b != all->b || x.first != all->first)
                die({"wgmma", 0}, "lanes differ");
            for (int i = 0; i < 2; i++)
                memcpy(&b[l][i], base + c * 128 + l / 4 * 16 + (size_t)i * next + l % 4 * 4, 4);
            for (int i = 0; x.first && i < 4; i++)
                x.d[c * 4 + i] = 0.0f;
            m[l] = {x.d + c * 4, x.a, b[l]};
            q[l] = &m[l];
        }
        mma_floats<VALUE>(q, mask);
    }
}

void wgmma_64(float *d, const uint32_t *a, uint64_t b, bool bf16, bool first)
{
    Wgmma m{d, a, b, first};

    f16_open();
    warp_op(~0u, &m, bf16 ? wgmma_floats<from_bf16> : wgmma_floats<from_f16>, "wgmma",
            {"wgmma", 0});
}

// ---- mma of bytes, A's type and K

template <class A, int K> static void mma_bytes(void **p, unsigned)
{
    int16_t a[16][K], b[8][K];
    int d[16][8];

    for (int l = 0; l < 32; l++) {
        const Mma &x = *(const Mma *)p[l];
        int g = l / 4, t = l % 4 * 4;

        for (int h = 0; h < 4; h++) {
            for (int i = 0; i < K / 8; i++)
                a[g + i % 2 * 8][t + i / 2 * 16 + h] = (A)(x.a[i] >> 8 * h);
            for (int i = 0; i < K / 16; i++)
                b[g][t + i * 16 + h] = (int8_t)(x.b[i] >> 8 * h);
        }
    }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            int s = 0;

            for (int k = 0; k < K; k++)
                s += a[i][k] * b[j][k];
            d[i][j] = s;
        }
    for (int l = 0; l < 32; l++) {
        int *o = (int *)((const Mma *)p[l])->d, g = l / 4, t = l % 4 * 2;

        for (int i = 0; i < 4; i++)
            o[i] = (int)((unsigned)o[i] + (unsigned)d[g + i / 2 * 8][t + i % 2]);
    }
}

void mma_s8(int *d, const uint32_t *a, const uint32_t *b, int k)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, k == 32 ? mma_bytes<int8_t, 32> : mma_bytes<int8_t, 16>, "mma_s8",
            {"mma_s8", 0});
}

void mma_u8s8(int *d, const uint32_t *a, const uint32_t *b, int k)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, k == 32 ? mma_bytes<uint8_t, 32> : mma_bytes<uint8_t, 16>, "mma_u8s8",
            {"mma_u8s8", 0});
}

int dp4a_u8s8(uint32_t a, uint32_t b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (uint8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

} // namespace emu
