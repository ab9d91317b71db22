// pairs.cuh - what a product makes of rows that stand in pairs (matrix.h), in the threads that have
// their sums: act(gate) * up, the nonlinearity; or of heads values that rotate, and the append.
#pragma once
#include "act.cuh"
#include "kv.cuh"
#include "linear.cuh"

namespace
{

__device__ inline float glu_act(int act, float x)
{
    if (act == CUDA_RELU2)
        return num_relu2(x);
    if (act == CUDA_GELU_ERF)
        return num_gelu_erf(x);
    return act == CUDA_GELU ? num_gelu(x) : num_silu(x);
}

// The same of N values: all exponentials before the first quotient, which has branches in it.
template <int N> __device__ inline void glu_acts(int act, float x[N])
{
    float e[N];

    if (act == CUDA_RELU2 || act == CUDA_GELU_ERF) {
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = glu_act(act, x[i]);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        e[i] = num_exp(act == CUDA_GELU ? num_gelu_power(x[i]) : -x[i]);
#pragma unroll
    for (int i = 0; i < N; i++)
        x[i] = x[i] / (1.0f + e[i]);
}

// Pair k of a token.
__device__ inline void glu_put(const struct cuda_matrix &m, float gate, float up, int k, int token)
{
    const struct cuda_glu &g = m.glu;
    const float x = glu_act(g.act, gate) * up;

    g.y[(size_t)token * m.apart + k] = x;
    if (g.a.block != 1)
        return;
    if (k == 0)
        const_cast<float *>(g.a.scale)[token] = 1.0f;
    reinterpret_cast<uint16_t *>(h_at(g.a, k - k % 2, token))[k % 2] = half_bits(x, true);
}

// x, pair k of tokens `token` and the one behind it, of n and more than eight, to where they go; by
// a whole warp, which writes whole lines.
__device__ inline void glu_two(const struct cuda_matrix &m, const float x[2], int k, unsigned token,
                               unsigned n)
{
    const struct cuda_glu &g = m.glu;
    const int odd = k % 2;
    float *y = g.y + k + (size_t)token * (unsigned)m.apart;

    if (token < n)
        y[0] = x[0];
    if (token + 1 < n)
        y[m.apart] = x[1];
    if (g.a.block != 1)
        return;
    const float other = __shfl_xor_sync(~0u, odd ? x[0] : x[1], 4);
    if (token + odd >= n)
        return;
    if (k <= 1)
        const_cast<float *>(g.a.scale)[token + odd] = 1.0f;
    h_at(g.a, k - odd, 0)[(size_t)(token + odd) * 4] =
        half_bits(odd ? other : x[0], true) | (uint32_t)half_bits(odd ? x[1] : other, true) << 16;
}

// What a token's pair takes of the step's arrays.
struct Turn {
    float2 by;
    int place;
};

// Rows `row` and row + apart of m: what of their pairs is the same for all tokens.
struct Turn_row {
    int row, pair; // of an output; of a token's angles, -1: it does not rotate
    int step;      // of the cache: from a dimension to the next; 0: it is not kept there
    int next;      // from a place in a page to the next
    size_t to;     // where it is in page 0

    __device__ inline Turn_row(const struct cuda_matrix &m, int of)
    {
        const struct cuda_turn &t = m.turn;
        const int r = m.row0 + of, h = r / t.head_dim, d = r % t.head_dim, kept = h - t.n_heads,
                  value = kept >= t.n_kv_heads;

        row = r;
        pair = value || d >= t.rope_dims ? -1 : m.apart == 1 ? d / 2 : d;
        step = kept < 0 ? 0 : value ? 1 : (int)CUDA_PAGE;
        next = value ? t.head_dim : 1;
        to = kv_at(0, kept - value * t.n_kv_heads, value, t.n_kv_heads, t.head_dim) +
             (unsigned)(d * step);
    }
    __device__ inline Turn of(const struct cuda_matrix &m, int token) const
    {
        const struct cuda_turn &t = m.turn;
        Turn a = {};

        if (pair >= 0)
            a.by = *reinterpret_cast<const float2 *>(t.by +
                                                     ((unsigned)token * t.rope_dims + 2 * pair));
        if (step)
            a.place = t.place[token];
        return a;
    }
    // The pair u, v of a token.
    __device__ inline void put(const struct cuda_matrix &m, float *y, int ldy, float u, float v,
                               int token, const Turn &a) const
    {
        const struct cuda_turn &t = m.turn;

        if (pair >= 0) {
            const float x = u, z = v;

            u = x * a.by.x - z * a.by.y;
            v = x * a.by.y + z * a.by.x;
        }
        y += (size_t)token * ldy + row;
        y[0] = u;
        y[m.apart] = v;
        if (!step)
            return;
        const size_t at = to + kv_at(a.place / CUDA_PAGE, 0, 0, t.n_kv_heads, t.head_dim) +
                          (unsigned)(a.place % CUDA_PAGE * next);
#define TURN_PUT(TYPE, T)                                                      \
    if (t.type == (TYPE)) {                                                    \
        typename T::value *x = static_cast<typename T::value *>(t.pages) + at; \
        x[0] = T::put(u);                                                      \
        x[m.apart * step] = T::put(v);                                         \
    }
        KV_TYPES(TURN_PUT)
#undef TURN_PUT
    }
};

// The pair u, v of rows `row` and row + apart of m, of a token.
__device__ inline void turn_put(const struct cuda_matrix &m, float *y, int ldy, float u, float v,
                                int row, int token)
{
    const Turn_row r(m, row);

    r.put(m, y, ldy, u, v, token, r.of(m, token));
}

// Sums of U fragments, from fragment c on, times what their tokens' are multiplied by, if anything,
// and with their rows' biases.
template <int U, class Token>
__device__ inline void finish_sums(float v[U][4], const struct cuda_matrix &m, const float *scale,
                                   const int row[2], int c, int n, Token token)
{
    if (scale) {
        float by[2 * U];

#pragma unroll
        for (int i = 0; i < 2 * U; i++)
            by[i] = token(c + i / 2) + i % 2 < n ? scale[token(c + i / 2) + i % 2] : 1.0f;
#pragma unroll
        for (int i = 0; i < 4 * U; i++)
            v[i / 4][i % 4] = v[i / 4][i % 4] * by[i / 4 * 2 + i % 2];
    }
    if (m.bias) {
        float bias[2];

#pragma unroll
        for (int i = 0; i < 2; i++)
            bias[i] = row[i] < m.rows ? m.bias[row[i]] : 0.0f;
#pragma unroll
        for (int i = 0; i < 4 * U; i++)
            v[i / 4][i % 4] = v[i / 4][i % 4] + bias[i % 4 / 2];
    }
}

// put_fragments() of pairs that may rotate. What a token's take is read while those of the one
// before are written.
template <int N, int U, class Token>
__device__ inline void turn_fragments(const struct cuda_matrix &m, float *y, int ldy, float v[N][4],
                                      const float *scale, const int row[2], int n, Token token)
{
    const Turn_row at(m, row[0]);
    Turn next = token(0) < n ? at.of(m, token(0)) : Turn();

#pragma unroll 1
    for (int c = 0; c < N; c += U) {
        float a[2 * U], b[2 * U];

        finish_sums<U>(v, m, scale, row, c, n, token);
#pragma unroll
        for (int i = 0; i < 2 * U; i++) {
            a[i] = v[i / 2][i % 2];
            b[i] = v[i / 2][2 + i % 2];
        }
#pragma unroll 1
        for (int i = 0; i < 2 * U; i++) {
            const int t = token(c + i / 2) + i % 2, behind = token(c + (i + 1) / 2) + (i + 1) % 2;
            const Turn now = next;

            if (behind < n)
                next = at.of(m, behind);
            if (t < n)
                at.put(m, y, ldy, a[0], b[0], t, now);
#pragma unroll
            for (int k = 0; k + 1 < 2 * U; k++) {
                a[k] = a[k + 1];
                b[k] = b[k + 1];
            }
        }
#pragma unroll
        for (int i = 0; i < 4 * (N - U); i++)
            v[i / 4][i % 4] = v[i / 4 + U][i % 4];
    }
}

// A warp's outputs of a panel that there is, of more than eight tokens: N fragments of sums
// (mma.sync) side by side; token(c) is the lane's first token of fragment c, of n. scale: what
// tokens' sums are multiplied by, or NULL. A loop, through whose front the registers pass: unrolled
// it would be most of a kernel. TURN: pairs may rotate.
template <int N, bool TURN, class Token>
__device__ inline void put_fragments(const struct cuda_matrix &m, float *y, int ldy, bool add,
                                     const float sums[N][4], const float *scale, int panel, int n,
                                     Token token)
{
    constexpr int U = N < 8 ? 1 : 4;
    const int g = late((int)threadIdx.x) % 32 / 4,
              row[2] = {matrix_row(&m, panel, g), matrix_row(&m, panel, g + 8)};
    float v[N][4];

#pragma unroll
    for (int i = 0; i < 4 * N; i++)
        v[i / 4][i % 4] = sums[i / 4][i % 4];
    if (TURN && m.turn.by) {
        turn_fragments<N, U>(m, y, ldy, v, scale, row, n, token);
        return;
    }
#pragma unroll 1
    for (int c = 0; c < N; c += U) {
        finish_sums<U>(v, m, scale, row, c, n, token);
        if (m.glu.y) {
            float x[2 * U];

#pragma unroll
            for (int i = 0; i < 2 * U; i++)
                x[i] = v[i / 2][i % 2];
            glu_acts<2 * U>(m.glu.act, x);
#pragma unroll
            for (int i = 0; i < 2 * U; i++)
                x[i] = x[i] * v[i / 2][2 + i % 2];
#pragma unroll
            for (int u = 0; u < U; u++)
                glu_two(m, x + 2 * u, row[0], (unsigned)token(c + u), (unsigned)n);
        } else {
#pragma unroll
            for (int i = 0; i < 4 * U; i++) {
                const int t = token(c + i / 4) + i % 2, r = row[i % 4 / 2];

                if (t < n && r < m.rows)
                    put(y + (size_t)t * ldy + m.row0 + r, v[i / 4][i % 4], add);
            }
        }
#pragma unroll
        for (int i = 0; i < 4 * (N - U); i++)
            v[i / 4][i % 4] = v[i / 4 + U][i % 4];
    }
}

} // namespace
