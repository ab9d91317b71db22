/* rope.cu - norms of heads, rotary positions and the append to the cache; copies of pages. Where
 * the product in front of them can, it does positions and append (pairs.cuh, turn.cu).
 *
 * Su et al. 2021 (RoFormer), eq. 34: (u, v) -> (u cos - v sin, u sin + v cos). A block takes tokens
 * and some of their heads, a warp heads of one token, through shared memory; cosines and sines, in
 * double precision (num_sincos), are computed once a block. Keys of a page lie (head_dim, PAGE), so
 * those of one token are scattered: of many tokens a block takes eight, and neighbouring lanes
 * write keys of neighbouring tokens. Values are a row.
 *
 * Measured on an H200 (2026-11-27), 32 heads of 128 and 8 KV heads: one token 2.7 us, 32 3.0, 256
 * 7.4, 2048 36 (a token a block 62). */
#include "kv.cuh"
#include "norm.cuh"

namespace
{

/* A block's warps: TOKENS tokens by GROUPS groups of HEADS neighbouring heads. PAD: floats between
 * the tokens' rows, so that lanes that write keys, of eight tokens and four dimensions, read 32
 * banks. */
template <int TOKENS_, int HEADS_> struct rope_plan {
    enum { WARPS = 8, TOKENS = TOKENS_, GROUPS = WARPS / TOKENS, HEADS = HEADS_, PAD = 4 };
};
typedef rope_plan<1, 1> rope_few;
typedef rope_plan<8, 8> rope_many;
enum { ROPE_MANY = 65 }; // tokens: of rope_many

/* Norm the head x (head_dim) in shared memory, in place. */
__device__ inline void rope_norm(float *x, int kind, float eps, const float *w, const float *b,
                                 int dim)
{
    norm_sums s = norm_row_sums(x, dim, kind, eps);

    __syncwarp();
    for (int i = (int)threadIdx.x; i < dim; i += 32) {
        float v = norm_value(x[i], s, w[i]);

        x[i] = b ? v + b[i] : v;
    }
    __syncwarp();
}

/* Pairs of the head x turn by the angles of cs: rope_dims / 2 cosines, then sines. */
__device__ inline void rope_rotate(float *x, const float *cs, const struct cuda_attn &a)
{
    int half = a.rope_dims / 2;

    for (int i = (int)threadIdx.x; i < half; i += 32) {
        int at = a.rope_pairs_apart ? i : 2 * i, to = a.rope_pairs_apart ? half + i : 2 * i + 1;
        float u = x[at], v = x[to], c = cs[i], s = cs[half + i];

        x[at] = u * c - v * s;
        x[to] = u * s + v * c;
    }
    __syncwarp();
}

/* Values (count) of device memory to x, whose loads are all on their way before one is awaited. */
template <int BATCH> __device__ inline void rope_load(float *x, const float *from, int count)
{
    for (int i = (int)threadIdx.x; i < count; i += 32 * BATCH) {
        float v[BATCH];

#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (i + 32 * k < count)
                v[k] = from[i + 32 * k];
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            if (i + 32 * k < count)
                x[i + 32 * k] = v[k];
    }
    __syncwarp();
}

/* n heads of a token, h and those behind it, at `head` and in x; h counts those of q, of k, then of
 * v. What is appended of keys is left in x. values: where the token's of KV head 0 begin. */
template <class T>
__device__ inline void rope_heads(float *head, float *x, const float *cs, const struct cuda_attn &a,
                                  int h, int n, typename T::value *values)
{
    const int dim = a.head_dim, turned = a.n_heads + a.n_kv_heads, lane = (int)threadIdx.x;

    for (int j = 0; j < n; j++, h++, x += dim, head += dim) {
        if (h >= turned) {
            typename T::value *to = values + kv_at(0, h - turned, 0, a.n_kv_heads, dim);

            for (int i = lane; i < dim; i += 32)
                to[i] = T::put(x[i]);
            continue;
        }
        if (h < a.n_heads && a.q_norm.w)
            rope_norm(x, a.q_norm.kind, a.q_norm.eps, a.q_norm.w, a.q_norm.b, dim);
        else if (h >= a.n_heads && a.k_norm.w)
            rope_norm(x, a.k_norm.kind, a.k_norm.eps, a.k_norm.w, a.k_norm.b, dim);
        rope_rotate(x, cs, a);
        for (int i = lane; i < dim; i += 32)
            head[i] = x[i];
    }
}

/* grid (tokens / TOKENS, heads / (GROUPS * HEADS)) */
template <class T, class P>
__global__ void __launch_bounds__(32 * P::WARPS)
    rope_kernel(float *qkv, struct cuda_attn a, typename T::value *pages, cuda_step st)
{
    DYN_SHARED(float, sh); // (TOKENS, rope_dims), then (TOKENS, ld)
    SHARED(int, page, [P::TOKENS]);
    SHARED(int, place, [P::TOKENS]);
    const int dim = a.head_dim, half = a.rope_dims / 2, heads = a.n_heads + 2 * a.n_kv_heads;
    const int own = (int)threadIdx.y / P::GROUPS, group = (int)threadIdx.y % P::GROUPS,
              t0 = (int)blockIdx.x * P::TOKENS, t = t0 + own;
    const int h0 = (int)blockIdx.y * P::GROUPS * P::HEADS, h = h0 + group * P::HEADS,
              n = heads - h < P::HEADS ? heads - h : P::HEADS;
    const int ld = P::GROUPS * P::HEADS * dim + P::PAD, token = (int)threadIdx.x % P::TOKENS,
              lane = (int)(threadIdx.y * 32 + threadIdx.x) / P::TOKENS;
    float *cs = sh + own * a.rope_dims, *rows = sh + P::TOKENS * a.rope_dims,
          *x = rows + own * ld + group * P::HEADS * dim;

    if (t < st.n) {
        const int slot = st.slot[t];

        if (group == 0 && threadIdx.x == 0) {
            page[own] = st.page[(size_t)st.seq[t] * (size_t)st.max_pages + slot / CUDA_PAGE];
            place[own] = slot % CUDA_PAGE;
        }
        for (int i = group * 32 + (int)threadIdx.x; i < half; i += 32 * P::GROUPS)
            num_sincos((float)st.pos[t] * a.inv_freq[i], &cs[half + i], &cs[i]);
    }
    previous_done(); // positions and pages are there since before the step
    __syncthreads();
    if (t < st.n && n > 0) {
        float *head = qkv + ((size_t)t * (size_t)heads + (size_t)h) * (size_t)dim;

        rope_load<4 * P::HEADS>(x, head, n * dim);
        rope_heads<T>(head, x, cs, a, h, n,
                      pages + kv_at(page[own], 0, 1, a.n_kv_heads, dim) +
                          (size_t)place[own] * (size_t)dim);
    }
    __syncthreads();
    for (int j = 0; j < P::GROUPS * P::HEADS && t0 + token < st.n; j++) {
        const int k = h0 + j - a.n_heads;
        typename T::value *to;

        if (k < 0 || k >= a.n_kv_heads)
            continue;
        to = pages + kv_at(page[token], k, 0, a.n_kv_heads, dim) + place[token];
        for (int i = lane; i < dim; i += 32 * P::WARPS / P::TOKENS)
            to[(size_t)i * CUDA_PAGE] = T::put(rows[token * ld + j * dim + i]);
    }
}

/* Shared memory of a block. */
template <class P> size_t rope_bytes(const struct cuda_attn *a)
{
    int values = a->rope_dims + P::GROUPS * P::HEADS * a->head_dim + P::PAD;

    return P::TOKENS * (size_t)values * sizeof(float);
}

template <class T, class P>
void rope_run(float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv, int layer,
              const struct cuda_step *st, cudaStream_t s)
{
    int heads = a->n_heads + 2 * a->n_kv_heads, per = P::GROUPS * P::HEADS;
    dim3 grid((unsigned)((st->n + P::TOKENS - 1) / P::TOKENS), (unsigned)((heads + per - 1) / per));

    LAUNCH_EARLY((rope_kernel<T, P>), grid, dim3(32, P::WARPS), rope_bytes<P>(a), s, qkv, *a,
                 reinterpret_cast<typename T::value *>(kv_layer(kv, layer)), *st);
}

/* The pages' layers are `stride` vectors apart. */
__global__ void __launch_bounds__(256)
    copy_kernel(uint4 *data, size_t stride, int vecs, size_t dst, size_t src)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    uint4 *layer = data + (size_t)blockIdx.y * stride;

    if (i < vecs)
        layer[dst * (size_t)vecs + (size_t)i] = layer[src * (size_t)vecs + (size_t)i];
}

} // namespace

void cuda_rope_kv(float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv, int layer,
                  const struct cuda_step *st, cudaStream_t s)
{
    bool few = st->n < ROPE_MANY || rope_bytes<rope_many>(a) > (size_t)shared_most();

    if (st->n < 1)
        return;
#define ROPE_OF(TYPE, T)                                 \
    if (kv->type == (TYPE) && few)                       \
        rope_run<T, rope_few>(qkv, a, kv, layer, st, s); \
    else if (kv->type == (TYPE))                         \
        rope_run<T, rope_many>(qkv, a, kv, layer, st, s);
    KV_TYPES(ROPE_OF)
#undef ROPE_OF
}

void cuda_copy_page(const struct cuda_kv *kv, int dst, int src, cudaStream_t s)
{
    size_t values = 2 * (size_t)kv->n_kv_heads * CUDA_PAGE * (size_t)kv->head_dim;
    size_t vecs = values * kv_bytes(kv->type) / sizeof(uint4);
    dim3 grid((unsigned)((vecs + 255) / 256), (unsigned)kv->n_layers);

    LAUNCH(copy_kernel, grid, 256u, 0, s, static_cast<uint4 *>(kv->data),
           vecs * (size_t)kv->n_pages, (int)vecs, (size_t)dst, (size_t)src);
}
