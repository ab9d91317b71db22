// few_k.cu - y = W x for two to eight tokens, quantized weights in blocks of 256 (Q2_K to Q6_K).
//
// As few.cu; here a warp takes whole blocks and adds up their groups, each times its integer
// scale (and the minima times the activations' sums), so that a block leaves one or two integers
// for a (row, token), and one or two fmas.
//
// Measured on an H200 (2026-11-26), 8B shapes, eight tokens, with a kernel for their activations:
// Q4_K qkv 10.9 us, o 8.2, gate_up 33.9, down 19.6.
#include "fuse.cuh"

namespace
{

constexpr int COLS = 8, SUPERS = LINEAR_WARPS; // tokens; blocks of a phase: one for each warp

// Sums of a block of 256 for eight tokens: s and, with minima, t, at rows lane / 4 and 8 on,
// tokens 2 (lane % 4) and 1 on.
template <int LOW, int HIGH, int GROUP, bool MIN> struct Sums {
    int s[4] = {0, 0, 0, 0}, t[4] = {0, 0, 0, 0};

    // Values less their zero; scale and minimum of group i in a row.
    static constexpr int ZERO = LOW == 2 && HIGH ? 4 : HIGH == 2 ? 32 : 0;
    static __device__ inline int scale(const Super<LOW, HIGH> &w, int below, int i)
    {
        int b = w.byte(below, i);
        return LOW == 2 && !HIGH ? b & 15 : GROUP == 32 ? b : (int)(int8_t)b;
    }
    static __device__ inline int least(const Super<LOW, HIGH> &w, int below, int i)
    {
        return GROUP == 32 ? w.byte(below, i + 8) : w.byte(below, i) >> 4;
    }

    // Group i: dots and the activations' sums of the two tokens.
    __device__ inline void add(const Super<LOW, HIGH> &w, int i, const int dot[4], int x0, int x1)
    {
#pragma unroll
        for (int below = 0; below < 2; below++) {
            int c = scale(w, below, i);
            s[2 * below] += c * (dot[2 * below] - ZERO * x0);
            s[2 * below + 1] += c * (dot[2 * below + 1] - ZERO * x1);
            if (MIN) {
                int l = least(w, below, i);
                t[2 * below] += l * x0;
                t[2 * below + 1] += l * x1;
            }
        }
    }

    // All groups; q: lane's words of the activations' tiles, a tile `step` apart; x: sums of groups
    // of the two tokens.
    __device__ inline void block(const Super<LOW, HIGH> &w, const int8_t *q, size_t step,
                                 const int16_t *x0, const int16_t *x1)
    {
#pragma unroll
        for (int tile = 0; tile < 4; tile++) {
            uint4 v = make_uint4(0, 0, 0, 0);
            if (q)
                v = *reinterpret_cast<const uint4 *>(q + tile * step);
#pragma unroll
            for (int i = 0; i < 2; i++) {
                int b = tile * 2 + i;
                const uint32_t r[4] = {w.reg(b, 0), w.reg(b, 1), w.reg(b, 2), w.reg(b, 3)};
                const uint32_t y[2] = {word_of(v, 2 * i), word_of(v, 2 * i + 1)};
                if (GROUP == 32) {
                    int dot[4] = {0, 0, 0, 0};
                    mma_u8s8(dot, r, y);
                    add(w, b, dot, x0[b], x1[b]);
                } else {
#pragma unroll
                    for (int h = 0; h < 2; h++) {
                        int dot[4] = {0, 0, 0, 0};
                        mma_u8s8_k16(dot, r + 2 * h, y[h]);
                        add(w, 2 * b + h, dot, x0[2 * b + h], x1[2 * b + h]);
                    }
                }
            }
        }
    }
};

// The activations' sums of a token's groups in a block: 8 or 16, in registers.
template <int GROUP>
__device__ inline void group_sums(int16_t x[256 / GROUP], const struct cuda_act &a, int super,
                                  int token)
{
    const int16_t *from = GROUP == 32 ? a.s32 : a.s16;
    const uint4 *p =
        reinterpret_cast<const uint4 *>(from + ((size_t)super * a.ld + token) * (256 / GROUP));

#pragma unroll
    for (int i = 0; i < 32 / GROUP; i++) {
        uint4 v = token < a.ld ? p[i] : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int j = 0; j < 8; j++)
            x[i * 8 + j] = (int16_t)(word_of(v, j / 2) >> 16 * (j % 2));
    }
}

// As few.cu.
template <int LOW, int HIGH, int GROUP, bool MIN, bool FUSED>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, 2)
    few_k(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a,
          struct cuda_head head, int room_bytes)
{
    constexpr int SIZE = SUPERS * 16 * COLS;
    DYN_SHARED(int, shared); // two of: sums, sums of minima, d and m
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int supers = m.cols / 256, size = SIZE * (MIN ? 2 : 1) + SUPERS * 16, g = lane / 4,
              t = lane % 4, panels = (m.rows + 15) / 16;
    const size_t low = (size_t)supers * 512 * LOW, high = (size_t)supers * 512 * HIGH,
                 group = (size_t)supers * 256;
    const int row = threadIdx.x / COLS, col = threadIdx.x % COLS;
    if (!FUSED)
        head.kind = 0;
    uint8_t *own = reinterpret_cast<uint8_t *>(shared) + room_bytes;
    int panel = (int)blockIdx.x;
    Super<LOW, HIGH> next;
    const auto load = [&](int panel, int super) {
        next.load(m.low + panel * low, m.high + panel * high, m.min + panel * group, super, lane);
    };

    head_begin(head, a, reinterpret_cast<float *>(shared));
    if (warp < supers)
        load(panel, warp);
    previous_done();
    if (head.kind) {
        a = act_place(own, a.n, a.n, a.cols, a.block);
        head_make<0, false>(a, head, reinterpret_cast<float *>(shared));
    }
    for (int phase = 0; panel < panels;) {
        const int then = FUSED ? panel + (int)gridDim.x : panels;
        const uint32_t *scale =
            reinterpret_cast<const uint32_t *>(m.scale) + (size_t)panel * supers * 16;
        float acc = 0.0f;

        for (int super0 = 0; super0 < supers; super0 += SUPERS, phase ^= 1) {
            int *sum = shared + phase * size, *least = sum + SIZE, super = super0 + warp;
            uint32_t *dm = reinterpret_cast<uint32_t *>(sum + SIZE * (MIN ? 2 : 1));

            if (super < supers) {
                Super<LOW, HIGH> w = next;

                if (lane < 16)
                    dm[warp * 16 + lane] = scale[super * 16 + lane];
                if (super + SUPERS < supers)
                    load(panel, super + SUPERS);
                else if (then < panels)
                    load(then, warp);
                Sums<LOW, HIGH, GROUP, MIN> out;
                int16_t x0[256 / GROUP], x1[256 / GROUP];

                group_sums<GROUP>(x0, a, super, 2 * t);
                group_sums<GROUP>(x1, a, super, 2 * t + 1);
                out.block(w,
                          g < a.ld ? a.q + (((size_t)super * 4 * a.ld + g) * 4 + t) * 16 : nullptr,
                          (size_t)a.ld * 64, x0, x1);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int at = (warp * 16 + g + i / 2 * 8) * COLS + 2 * t + i % 2;

                    sum[at] = out.s[i];
                    if (MIN)
                        least[at] = out.t[i];
                }
            }
            __syncthreads();
            for (int b = 0; row < 16 && col < a.n && b < min(SUPERS, supers - super0); b++) {
                const float dx = a.d[(size_t)(super0 + b) * a.ld + col];
                const int at = (b * 16 + row) * COLS + col;
                const uint32_t w = dm[b * 16 + row];

                acc = fmaf((float)sum[at], half_to_float((uint16_t)w) * dx, acc);
                if (MIN)
                    acc = fmaf((float)least[at], -half_to_float((uint16_t)(w >> 16)) * dx, acc);
            }
        }
        few_put(y, ldy, add, m, panel, a.n, acc);
        panel = then;
    }
}

template <int LOW, int HIGH, int GROUP, bool MIN>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            const struct cuda_head *head, int sms, cudaStream_t s)
{
    const size_t bytes = (size_t)(SUPERS * 16 * COLS * (MIN ? 2 : 1) + SUPERS * 16) * 4;
    const Fit f(m, a, head, 2 * sms, bytes, true);

    if constexpr (LOW == 2 || !HIGH) // registers of the others do not suffice: queue.c
        if (head->kind) {
            LAUNCH_EARLY((few_k<LOW, HIGH, GROUP, MIN, true>), f.grid, 32 * LINEAR_WARPS, f.all, s,
                         y, ldy, add, *m, *a, *head, (int)f.room);
            return;
        }
    LAUNCH_EARLY((few_k<LOW, HIGH, GROUP, MIN, false>), f.grid, 32 * LINEAR_WARPS, f.all, s, y, ldy,
                 add, *m, *a, *head, (int)f.room);
}

} // namespace

void cuda_linear_few_k(float *y, int ldy, bool add, const struct cuda_matrix *m,
                       const struct cuda_act *a, const struct cuda_head *head, int sms,
                       cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 2 && f.high)
        launch<2, 1, 16, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.low == 2)
        launch<2, 0, 16, true>(y, ldy, add, m, a, head, sms, s);
    else if (f.high == 2)
        launch<4, 2, 16, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.high)
        launch<4, 1, 32, true>(y, ldy, add, m, a, head, sms, s);
    else
        launch<4, 0, 32, true>(y, ldy, add, m, a, head, sms, s);
}
