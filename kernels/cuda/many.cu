// many.cu - y = W x for many tokens, quantized weights.
//
// A block is 128 rows (32 where these would be too few blocks), a panel a warp, by 64 tokens (32
// for no more), whose activations pass through shared memory in a ring of stages (cp.async).
// Weights go from their planes into fragments of signed bytes, once for the 64 tokens. Integer sums
// of a block of K (mma.sync m16n8k32) are added to the outputs, which stay in registers, by one
// fma, in order: the bytes are those of few.cu and few_k.cu.
#include "linear.cuh"

namespace
{

constexpr int STAGES = 3;

// Bytes less zero, each in -128..127; zero < 128 and the bytes are below 128.
__device__ inline uint32_t less(uint32_t w, uint32_t zero)
{
    return ((w | 0x80808080u) - zero * 0x01010101u) ^ 0x80808080u;
}

// Tiles [tile, tile + n) of the activations of COLS tokens into a stage, by WARPS warps.
template <int COLS, int WARPS>
__device__ inline void stage_in(uint8_t *to, const struct cuda_act &a, int tile, int n, int tiles,
                                int col0)
{
    for (int i = threadIdx.x; i < n * COLS * 4; i += 32 * WARPS) {
        int at = tile + i / (COLS * 4), col = col0 + i / 4 % COLS;
        bool there = at < tiles && col < a.ld;
        size_t from = there ? (((size_t)at * a.ld + col) * 4 + i % 4) * 16 : 0;

        cp_async16(to + i * 16, a.q + from, there);
    }
    cp_async_commit();
}

constexpr int MAGIC = 0x4b400000; // the bits of NUM_ROUND

// The float of an integer below 2^22 in size that MAGIC was added to.
__device__ inline float unmagic(int i)
{
    return num_float((uint32_t)i) - NUM_ROUND;
}

// acc += (float)dot * (row's d * token's d), of rows lane / 4 and 8 on, tokens 2 (lane % 4) and 1
// on.
__device__ inline void join(float acc[4], const int dot[4], const float d[2], float2 dx)
{
    acc[0] = fmaf((float)dot[0], d[0] * dx.x, acc[0]);
    acc[1] = fmaf((float)dot[1], d[0] * dx.y, acc[1]);
    acc[2] = fmaf((float)dot[2], d[1] * dx.x, acc[2]);
    acc[3] = fmaf((float)dot[3], d[1] * dx.y, acc[3]);
}

__device__ inline void put_tile(float *y, int ldy, bool add, const struct cuda_matrix &m, int n,
                                const float acc[4], int row, int col)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int r = row + i / 2 * 8, c = col + i % 2;
        if (r < m.rows && c < n)
            put(y + (size_t)c * ldy + m.row0 + r, m.bias ? acc[i] + m.bias[r] : acc[i], add);
    }
}

// The same of dots that MAGIC was added to.
__device__ inline void join_magic(float acc[4], const int dot[4], const float d[2], float2 dx)
{
    acc[0] = fmaf(unmagic(dot[0]), d[0] * dx.x, acc[0]);
    acc[1] = fmaf(unmagic(dot[1]), d[0] * dx.y, acc[1]);
    acc[2] = fmaf(unmagic(dot[2]), d[1] * dx.x, acc[2]);
    acc[3] = fmaf(unmagic(dot[3]), d[1] * dx.y, acc[3]);
}

constexpr int STEP = 2; // tiles of a stage: activations (STEP, COLS, 64), d (2 STEP, COLS)
__host__ __device__ constexpr int stage_bytes(int cols)
{
    return STEP * cols * 64 + 2 * STEP * cols * 4;
}

// The tokens' scales of the blocks of 32 of a stage.
template <int COLS, int WARPS>
__device__ inline void scales_in(float *to, const struct cuda_act &a, int tile, int col0)
{
    for (int i = threadIdx.x; i < 2 * STEP * COLS / 4; i += 32 * WARPS) {
        const int at = tile * 2 + i / (COLS / 4), col = col0 + i % (COLS / 4) * 4;
        const bool there = at * 32 < a.cols && col < a.ld;

        cp_async16(to + i * 4, a.d + (there ? (size_t)at * a.ld + col : 0), there);
    }
}

// The scales of a tile for rows lane / 4 and 8 on.
template <int LEVELS, int BLOCK, bool MIN> struct Pairs {
    static constexpr int PER = 64 / BLOCK;
    uint32_t d[PER][2], min[MIN ? PER : 1][2];

    __device__ inline void load(const struct cuda_matrix &m, unsigned at)
    {
#pragma unroll
        for (int i = 0; i < 2 * PER; i++) {
            d[i / 2][i % 2] = scale_raw<LEVELS, BLOCK>(m.scale, at + i * 8);
            if (MIN)
                min[i / 2][i % 2] = scale_raw<0, 32>(m.min, at + i * 8);
        }
    }
};

// A tile's products with COLS tokens, whose activations (lane's first at x) and scales (at dx, of
// tokens 2 (lane % 4) on) are in shared memory. half: only its first 32 values are there.
template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS>
__device__ inline void tile_add(float acc[COLS / 8][4], const Tile<LOW, HIGH> &w,
                                const Pairs<LEVELS, BLOCK, MIN> &scale, const uint8_t *x,
                                const float *dx, const struct cuda_act &a, int tile, int col0,
                                bool half)
{
    constexpr int ZERO = LOW == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;
    const uint4 table = levels_of(LEVELS);
    uint32_t r[2][4];

#pragma unroll
    for (int k = 0; k < 8; k++) {
        r[k / 4][k % 4] = w.template reg<LEVELS>(table, k / 4, k % 4);
        if (ZERO)
            r[k / 4][k % 4] = less(r[k / 4][k % 4], ZERO);
    }
#pragma unroll
    for (int c = 0; c < COLS / 8; c++) {
        const uint4 q = *reinterpret_cast<const uint4 *>(x + c * 512);

        if (c == COLS / 16)
            __syncwarp(); // so much at a time fits into registers
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t v[2] = {word_of(q, 2 * i), word_of(q, 2 * i + 1)};
            const float2 by = *reinterpret_cast<const float2 *>(dx + i * COLS + 8 * c);

            if (i && half)
                break;
#pragma unroll
            for (int h = 0; h < 32 / BLOCK; h++) {
                const int b = i * (32 / BLOCK) + h;
                const float d[2] = {scale_of<LEVELS, BLOCK>(scale.d[b][0]),
                                    scale_of<LEVELS, BLOCK>(scale.d[b][1])};
                int dot[4] = {MAGIC, MAGIC, MAGIC, MAGIC};

                if (BLOCK == 16)
                    mma_s8_k16(dot, r[i] + 2 * h, v[h]);
                else
                    mma_s8(dot, r[i], v);
                join_magic(acc[c], dot, d, by);
            }
            if (MIN) {
                const int at = tile * 2 + i;
                const int col = min(col0 + 8 * c + 2 * ((int)threadIdx.x % 4), a.ld - 2);
                const int16_t *s = a.s32 + ((size_t)(at / 8) * a.ld + col) * 8 + at % 8;
                const int both[4] = {s[0], s[8], s[0], s[8]};
                const float l[2] = {scale_of<0, 32>(scale.min[i][0]),
                                    scale_of<0, 32>(scale.min[i][1])};
                join(acc[c], both, l, by);
            }
        }
    }
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 16 / WARPS)
    many(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a)
{
    constexpr int PER = 64 / BLOCK;
    DYN_SHARED(uint8_t, shared);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int panel = blockIdx.x * WARPS + threadIdx.x / 32;
    const int col0 = blockIdx.y * COLS, tiles = (m.cols + 63) / 64;
    const bool there = panel < (m.rows + 15) / 16;
    const uint8_t *low = m.low + (size_t)panel * tiles * 128 * LOW;
    const uint8_t *high = m.high + (size_t)panel * tiles * 128 * HIGH;
    const unsigned scales = (unsigned)panel * tiles * PER * 16 + g;
    float acc[COLS / 8][4] = {};
    Tile<LOW, HIGH> next;
    Pairs<LEVELS, BLOCK, MIN> next_d;

    if (there) {
        next.load(low, high, 0, lane);
        next_d.load(m, scales);
    }
    previous_done();
    for (int i = 0; i < STAGES - 1; i++) {
        uint8_t *to = shared + i * stage_bytes(COLS);
        scales_in<COLS, WARPS>(reinterpret_cast<float *>(to + STEP * COLS * 64), a, i * STEP, col0);
        stage_in<COLS, WARPS>(to, a, i * STEP, STEP, tiles, col0);
    }
    for (int tile0 = 0, stage = 0; tile0 < tiles; tile0 += STEP, stage = (stage + 1) % STAGES) {
        const uint8_t *from = shared + stage * stage_bytes(COLS);
        const float *dx = reinterpret_cast<const float *>(from + STEP * COLS * 64) + 2 * t;
        uint8_t *to = shared + (stage + STAGES - 1) % STAGES * stage_bytes(COLS);

        cp_async_wait<STAGES - 2>();
        __syncthreads();
        scales_in<COLS, WARPS>(reinterpret_cast<float *>(to + STEP * COLS * 64), a,
                               tile0 + (STAGES - 1) * STEP, col0);
        stage_in<COLS, WARPS>(to, a, tile0 + (STAGES - 1) * STEP, STEP, tiles, col0);
#pragma unroll 1
        for (int u = 0; there && u < STEP && tile0 + u < tiles; u++) {
            const int tile = tile0 + u;
            const Tile<LOW, HIGH> w = next;
            const Pairs<LEVELS, BLOCK, MIN> scale = next_d;

            if (tile + 1 < tiles) {
                next.load(low, high, tile + 1, lane);
                next_d.load(m, scales + (tile + 1) * PER * 16);
            }
            tile_add<LOW, HIGH, LEVELS, BLOCK, MIN, COLS>(
                acc, w, scale, from + u * COLS * 64 + lane * 16, dx + u * 2 * COLS, a, tile, col0,
                tile * 64 + 32 >= m.cols);
        }
    }
    cp_async_wait<0>();
#pragma unroll
    for (int c = 0; c < COLS / 8; c++)
        put_tile(y, ldy, add, m, a.n, acc[c], there ? panel * 16 + g : m.rows,
                 col0 + 8 * c + 2 * t);
}

// Integer sums of a block of 256 with COLS tokens, whose activations are in shared memory.
template <int LOW, int HIGH, int GROUP, int COLS>
__device__ inline void super_sums(int sum[COLS / 8][4], const Super<LOW, HIGH> &w, const uint8_t *x)
{
    constexpr int ZERO = LOW == 2 && HIGH ? 4 : HIGH == 2 ? 32 : 0;

#pragma unroll
    for (int tile = 0; tile < 4; tile++) {
        uint32_t r[2][4];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            r[k / 4][k % 4] = w.reg(2 * tile + k / 4, k % 4);
            if (ZERO)
                r[k / 4][k % 4] = less(r[k / 4][k % 4], ZERO);
        }
#pragma unroll
        for (int c = 0; c < COLS / 8; c++) {
            const uint4 q = *reinterpret_cast<const uint4 *>(x + tile * COLS * 64 + c * 512);
#pragma unroll
            for (int k = 0; k < 64 / GROUP; k++) {
                const int half = k * GROUP / 32, part = k % (32 / GROUP), i = tile * 64 / GROUP + k;
                const int u = w.byte(0, i), v = w.byte(1, i);
                const int s0 = LOW == 2 && !HIGH ? u & 15 : GROUP == 32 ? u : (int)(int8_t)u;
                const int s1 = LOW == 2 && !HIGH ? v & 15 : GROUP == 32 ? v : (int)(int8_t)v;
                const uint32_t p[2] = {word_of(q, 2 * half), word_of(q, 2 * half + 1)};
                int dot[4] = {0, 0, 0, 0};

                if (GROUP == 16)
                    mma_s8_k16(dot, r[half] + 2 * part, p[part]);
                else
                    mma_s8(dot, r[half], p);
                sum[c][0] += s0 * dot[0];
                sum[c][1] += s0 * dot[1];
                sum[c][2] += s1 * dot[2];
                sum[c][3] += s1 * dot[3];
            }
        }
    }
}

// Minima times the activations' sums of tokens col and col + 1 in block `super`.
template <int LOW, int HIGH, int GROUP>
__device__ inline void super_least(int least[4], const Super<LOW, HIGH> &w,
                                   const struct cuda_act &a, int super, int col)
{
    constexpr int N = 256 / GROUP;
    const int16_t *s = (GROUP == 32 ? a.s32 : a.s16) + ((size_t)super * a.ld + col) * N;

#pragma unroll
    for (int i = 0; i < N; i++) {
        const int m0 = GROUP == 32 ? w.byte(0, i + 8) : w.byte(0, i) >> 4;
        const int m1 = GROUP == 32 ? w.byte(1, i + 8) : w.byte(1, i) >> 4;

        least[0] += m0 * s[i];
        least[1] += m0 * s[i + N];
        least[2] += m1 * s[i];
        least[3] += m1 * s[i + N];
    }
}

template <int LOW, int HIGH, int GROUP, bool MIN, int COLS, int WARPS>
__global__ void __launch_bounds__(32 * WARPS, 8 / WARPS)
    many_k(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a)
{
    DYN_SHARED(uint8_t, shared);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int panel = blockIdx.x * WARPS + threadIdx.x / 32;
    const int col0 = blockIdx.y * COLS, supers = m.cols / 256;
    const bool there = panel < (m.rows + 15) / 16;
    const uint8_t *low = m.low + (size_t)panel * supers * 512 * LOW;
    const uint8_t *high = m.high + (size_t)panel * supers * 512 * HIGH;
    const uint8_t *group = m.min + (size_t)panel * supers * 256;
    const uint32_t *scale =
        reinterpret_cast<const uint32_t *>(m.scale) + (size_t)panel * supers * 16;
    float acc[COLS / 8][4] = {};
    Super<LOW, HIGH> next;

    if (there)
        next.load(low, high, group, 0, lane);
    previous_done();
    for (int i = 0; i < STAGES - 1; i++)
        stage_in<COLS, WARPS>(shared + i * COLS * 256, a, i * 4, 4, supers * 4, col0);
    for (int super = 0, stage = 0; super < supers; super++, stage = (stage + 1) % STAGES) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        stage_in<COLS, WARPS>(shared + (stage + STAGES - 1) % STAGES * COLS * 256, a,
                              (super + STAGES - 1) * 4, 4, supers * 4, col0);
        if (!there)
            continue;
        const Super<LOW, HIGH> w = next;
        const uint32_t w0 = scale[super * 16 + g], w1 = scale[super * 16 + g + 8];
        int sum[COLS / 8][4] = {};

        if (super + 1 < supers)
            next.load(low, high, group, super + 1, lane);
        super_sums<LOW, HIGH, GROUP, COLS>(sum, w, shared + stage * COLS * 256 + lane * 16);
        const float d[2] = {half_to_float((uint16_t)w0), half_to_float((uint16_t)w1)};
        const float l[2] = {-half_to_float((uint16_t)(w0 >> 16)),
                            -half_to_float((uint16_t)(w1 >> 16))};
#pragma unroll
        for (int c = 0; c < COLS / 8; c++) {
            const int col = min(col0 + 8 * c + 2 * t, a.ld - 2); // beyond, anything
            const float2 dx = *reinterpret_cast<const float2 *>(a.d + (size_t)super * a.ld + col);
            int least[4] = {0, 0, 0, 0};

            join(acc[c], sum[c], d, dx);
            if (!MIN)
                continue;
            super_least<LOW, HIGH, GROUP>(least, w, a, super, col);
            join(acc[c], least, l, dx);
        }
    }
    cp_async_wait<0>();
#pragma unroll
    for (int c = 0; c < COLS / 8; c++)
        put_tile(y, ldy, add, m, a.n, acc[c], there ? panel * 16 + g : m.rows,
                 col0 + 8 * c + 2 * t);
}

template <int COLS, int WARPS> dim3 grid_of(const struct cuda_matrix *m, const struct cuda_act *a)
{
    return dim3((unsigned)((m->rows + 15) / 16 + WARPS - 1) / WARPS,
                (unsigned)(a->n + COLS - 1) / COLS);
}

// Are blocks of eight warps too few for the GPU?
bool small(const struct cuda_matrix *m, const struct cuda_act *a, int sms)
{
    const dim3 grid = grid_of<64, LINEAR_WARPS>(m, a);

    return (int)(grid.x * grid.y) < 2 * sms;
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS, int WARPS>
void launch_of(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
               cudaStream_t s)
{
    LAUNCH_EARLY((many<LOW, HIGH, LEVELS, BLOCK, MIN, COLS, WARPS>), (grid_of<COLS, WARPS>(m, a)),
                 32 * WARPS, STAGES * stage_bytes(COLS), s, y, ldy, add, *m, *a);
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            int sms, cudaStream_t s)
{
    if (a->n <= 32)
        launch_of<LOW, HIGH, LEVELS, BLOCK, MIN, 32, 2>(y, ldy, add, m, a, s);
    else if (small(m, a, sms))
        launch_of<LOW, HIGH, LEVELS, BLOCK, MIN, 64, 2>(y, ldy, add, m, a, s);
    else
        launch_of<LOW, HIGH, LEVELS, BLOCK, MIN, 64, LINEAR_WARPS>(y, ldy, add, m, a, s);
}

template <int LOW, int HIGH, int GROUP, bool MIN, int COLS, int WARPS>
void launch_k_of(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                 cudaStream_t s)
{
    LAUNCH_EARLY((many_k<LOW, HIGH, GROUP, MIN, COLS, WARPS>), (grid_of<COLS, WARPS>(m, a)),
                 32 * WARPS, STAGES * COLS * 256, s, y, ldy, add, *m, *a);
}

template <int LOW, int HIGH, int GROUP, bool MIN>
void launch_k(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
              int sms, cudaStream_t s)
{
    if (a->n <= 32)
        launch_k_of<LOW, HIGH, GROUP, MIN, 32, 2>(y, ldy, add, m, a, s);
    else if (small(m, a, sms))
        launch_k_of<LOW, HIGH, GROUP, MIN, 64, 2>(y, ldy, add, m, a, s);
    else
        launch_k_of<LOW, HIGH, GROUP, MIN, 64, LINEAR_WARPS>(y, ldy, add, m, a, s);
}

} // namespace

void cuda_linear_many(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.block == 256 && f.low == 2)
        f.high ? launch_k<2, 1, 16, false>(y, ldy, add, m, a, sms, s)
               : launch_k<2, 0, 16, true>(y, ldy, add, m, a, sms, s);
    else if (f.block == 256 && f.high != 1)
        f.high ? launch_k<4, 2, 16, false>(y, ldy, add, m, a, sms, s)
               : launch_k<4, 0, 32, true>(y, ldy, add, m, a, sms, s);
    else if (f.block == 256)
        launch_k<4, 1, 32, true>(y, ldy, add, m, a, sms, s);
    else if (f.low == 8)
        launch<8, 0, 0, 32, false>(y, ldy, add, m, a, sms, s);
    else if (f.levels == 1)
        launch<4, 0, 1, 32, false>(y, ldy, add, m, a, sms, s);
    else if (f.levels == 2)
        f.block == 16 ? launch<4, 0, 2, 16, false>(y, ldy, add, m, a, sms, s)
                      : launch<4, 0, 2, 32, false>(y, ldy, add, m, a, sms, s);
    else if (f.high)
        f.min ? launch<4, 1, 0, 32, true>(y, ldy, add, m, a, sms, s)
              : launch<4, 1, 0, 32, false>(y, ldy, add, m, a, sms, s);
    else
        f.min ? launch<4, 0, 0, 32, true>(y, ldy, add, m, a, sms, s)
              : launch<4, 0, 0, 32, false>(y, ldy, add, m, a, sms, s);
}
