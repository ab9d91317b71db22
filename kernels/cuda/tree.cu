/* tree.cu - token trees in the cache: tail pages (libcommon/tree.h), and the path that is kept.
 *
 * Attention takes the pages of a token's path from its sequence or, from where the path leaves the
 * order of slots on, from these: keys and values of a KV head are copied as they are, to the order
 * of the path. What the pages hold behind it means nothing. */
#include "kv.cuh"

namespace
{

enum { TREE_THREADS = 256 };

/* Block (tail page, KV head). V: an unsigned number as wide as a value. */
template <class V>
__global__ void __launch_bounds__(TREE_THREADS)
    tails_kernel(V *tails, const V *pages, const int32_t *row, int dim)
{
    SHARED(int32_t, rows, [CUDA_PAGE]);
    int tail = (int)blockIdx.x, head = (int)blockIdx.y, heads = (int)gridDim.y;
    V *key = tails + kv_at(tail, head, 0, heads, dim);
    V *value = tails + kv_at(tail, head, 1, heads, dim);

    if (threadIdx.x < CUDA_PAGE) // there since before the step
        rows[threadIdx.x] = row[tail * CUDA_PAGE + (int)threadIdx.x];
    previous_done();
    __syncthreads();
    for (int i = (int)threadIdx.x; i < CUDA_PAGE * dim; i += TREE_THREADS) {
        int from = rows[i % CUDA_PAGE];

        if (from >= 0)
            key[i] = pages[kv_at(from / CUDA_PAGE, head, 0, heads, dim) +
                           (size_t)(i - i % CUDA_PAGE + from % CUDA_PAGE)];
        from = rows[i / dim];
        if (from >= 0)
            value[i] = pages[kv_at(from / CUDA_PAGE, head, 1, heads, dim) +
                             (size_t)(from % CUDA_PAGE * dim + i % dim)];
    }
}

/* Places as page * CUDA_PAGE + place. */
struct tree_moves {
    int n;
    int32_t dst[CUDA_TREE], src[CUDA_TREE];
};

/* Block (KV head and which, layer); a thread has dimensions of its own, so that the moves of each
 * are one after the other. */
template <class V>
__global__ void __launch_bounds__(TREE_THREADS)
    move_kernel(V *data, size_t layer, tree_moves m, int heads, int dim)
{
    int head = (int)blockIdx.x / 2, which = (int)blockIdx.x % 2;
    V *pages = data + (size_t)blockIdx.y * layer;

    for (int d = (int)threadIdx.x; d < dim; d += TREE_THREADS)
        for (int i = 0; i < m.n; i++) {
            V *to = pages + kv_at(m.dst[i] / CUDA_PAGE, head, which, heads, dim);
            const V *from = pages + kv_at(m.src[i] / CUDA_PAGE, head, which, heads, dim);
            int at = m.dst[i] % CUDA_PAGE, was = m.src[i] % CUDA_PAGE;

            to[which ? at * dim + d : d * CUDA_PAGE + at] =
                from[which ? was * dim + d : d * CUDA_PAGE + was];
        }
}

template <class V>
void tails_launch(const struct cuda_kv *kv, int layer, const struct cuda_step *st, cudaStream_t s)
{
    LAUNCH_EARLY((tails_kernel<V>), dim3((unsigned)st->n_tails, (unsigned)kv->n_kv_heads),
                 (unsigned)TREE_THREADS, 0, s, static_cast<V *>(st->tails),
                 reinterpret_cast<const V *>(kv_layer(kv, layer)), st->row, kv->head_dim);
}

template <class V> void move_launch(const struct cuda_kv *kv, const tree_moves &m, cudaStream_t s)
{
    size_t layer =
        (size_t)kv->n_pages * (size_t)kv->n_kv_heads * 2 * CUDA_PAGE * (size_t)kv->head_dim;

    LAUNCH((move_kernel<V>), dim3(2u * (unsigned)kv->n_kv_heads, (unsigned)kv->n_layers),
           (unsigned)TREE_THREADS, 0, s, static_cast<V *>(kv->data), layer, m, kv->n_kv_heads,
           kv->head_dim);
}

} // namespace

size_t cuda_tails_bytes(int n_kv_heads, int head_dim, int type, int n)
{
    return (size_t)n * (size_t)n_kv_heads * 2 * CUDA_PAGE * (size_t)head_dim * kv_bytes(type);
}

void cuda_tails(const struct cuda_kv *kv, int layer, const struct cuda_step *st, cudaStream_t s)
{
    if (!st->n_tails)
        return;
    if (kv_bytes(kv->type) == 1)
        tails_launch<uint8_t>(kv, layer, st, s);
    else if (kv_bytes(kv->type) == 2)
        tails_launch<uint16_t>(kv, layer, st, s);
    else
        tails_launch<uint32_t>(kv, layer, st, s);
}

void cuda_move(const struct cuda_kv *kv, const int32_t *dst, const int32_t *src, int n,
               cudaStream_t s)
{
    tree_moves m = {n, {0}, {0}};

    memcpy(m.dst, dst, (size_t)n * sizeof(*dst));
    memcpy(m.src, src, (size_t)n * sizeof(*src));
    if (kv_bytes(kv->type) == 1)
        move_launch<uint8_t>(kv, m, s);
    else if (kv_bytes(kv->type) == 2)
        move_launch<uint16_t>(kv, m, s);
    else
        move_launch<uint32_t>(kv, m, s);
}
