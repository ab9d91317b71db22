// emu_copy.cpp - on the host, what moves data by warps: cp.async, prefetches, ldmatrix, and the
// fragments that wgmma reads from shared memory.
#include "emu_in.h"

#include <utility>

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

// ---- prefetches

void ask(const void *p, size_t bytes, unsigned align)
{
    if ((uintptr_t)p % align || bytes % align)
        die({"prefetch", 0}, "misaligned: %zu bytes at %p", bytes, p);
    check_range(p, bytes, "prefetch");
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

// ---- wgmma: a warp's sixteen rows by 64 columns, of which b says where they lie

struct Wgmma {
    float *d;
    const uint32_t *a;
    uint64_t b;
    bool first;
};

template <void FLOATS(void **, unsigned)> static void wgmma_floats(void **p, unsigned mask)
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
        FLOATS(q, mask);
    }
}

void wgmma_64(float *d, const uint32_t *a, uint64_t b, bool bf16, bool first)
{
    Wgmma m{d, a, b, first};

    warp_op(~0u, &m, bf16 ? wgmma_floats<mma_bf16_warp> : wgmma_floats<mma_f16_warp>, "wgmma",
            {"wgmma", 0});
}

} // namespace emu
