/* attn_bench.cu - how fast the ops around the products are on this GPU, at the shapes of an 8B
 * model (32 heads, 8 KV heads, head_dim 128, dim 4096, ffn 14336), beside the rate at which the
 * same GPU reads and copies memory. One JSON object a line. Times are medians of launches between
 * events, over buffers that do not fit into the cache where the model's would not. */
#include "bench.h"
#include "cuda.h"
#include "gpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace
{

enum { HEADS = 32, KV_HEADS = 8, HEAD_DIM = 128, DIM = 4096, FFN = 14336, RUNS = 60, MOST = 2048 };

__global__ void read_kernel(uint4 *out, const uint4 *p, size_t n)
{
    uint4 s = {0, 0, 0, 0};
    size_t step = (size_t)gridDim.x * blockDim.x;

#pragma unroll 8
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        uint4 v = load_once(p + i);

        s = {s.x ^ v.x, s.y ^ v.y, s.z ^ v.z, s.w ^ v.w};
    }
    if ((s.x ^ s.y ^ s.z ^ s.w) == 0x12345678u)
        *out = s;
}

__global__ void copy_kernel(uint4 *to, const uint4 *from, size_t n)
{
    size_t step = (size_t)gridDim.x * blockDim.x;

#pragma unroll 4
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        to[i] = from[i];
}

void *room(size_t bytes)
{
    void *p;

    TRY(cudaMalloc(&p, bytes));
    return p;
}

/* Values of a type of the cache between 1/2 and 1, but for f32: the same for any. */
void fill(void *p, size_t bytes, int type)
{
    const uint32_t keep[] = {0x807fffffu, 0x83ff83ffu, 0x807f807fu, 0x87878787u};
    const uint32_t set[] = {0x3f000000u, 0x38003800u, 0x3f003f00u, 0x30303030u};

    LAUNCH(fill_kernel, 1024u, 256u, 0, 0, static_cast<uint32_t *>(p), bytes / 4, keep[type],
           set[type]);
}

int32_t *ints(const int32_t *host, int n)
{
    int32_t *p = static_cast<int32_t *>(room((size_t)n * 4));

    TRY(cudaMemcpy(p, host, (size_t)n * 4, cudaMemcpyHostToDevice));
    return p;
}

/* Bytes read per second of a loop that only reads, and bytes read and written of a copy. */
double bandwidth(void)
{
    size_t bytes = (size_t)4 << 30, n = bytes / sizeof(uint4);
    uint4 *p = static_cast<uint4 *>(room(bytes)), *out = static_cast<uint4 *>(room(16));
    double best = 0, copy = 0;

    fill(p, bytes, CUDA_KV_F16);
    for (unsigned blocks = 132 * 4; blocks <= 132 * 16; blocks *= 2) {
        double us = timed<RUNS>(
            1, [=](int, cudaStream_t s) { LAUNCH(read_kernel, blocks, 512u, 0, s, out, p, n); });
        double both = timed<RUNS>(1, [=](int, cudaStream_t s) {
            LAUNCH(copy_kernel, blocks, 512u, 0, s, p + n / 2, p, n / 2);
        });

        best = (double)bytes / us > best ? (double)bytes / us : best;
        copy = (double)bytes / both > copy ? (double)bytes / both : copy;
    }
    printf("{\"bench\":\"memory\",\"read_gb_s\":%.0f,\"copy_gb_s\":%.0f}\n", best / 1e3,
           copy / 1e3);
    TRY(cudaFree(p));
    TRY(cudaFree(out));
    return best;
}

/* A step of n_seq sequences with `each` tokens at the end of `keys` keys; pages anywhere. */
struct run {
    struct cuda_step st;
    struct cuda_attn a;
    struct cuda_kv kv;
    float *qkv, *y, *inv_freq;
    void *part;
};

void open_run(struct run *r, int type, int n_seq, int each, int keys, int layers)
{
    int n = n_seq * each, max_pages = (keys + CUDA_PAGE - 1) / CUDA_PAGE, pages = n_seq * max_pages;
    int most = n > pages ? n : pages;
    const size_t size[] = {4, 2, 2, 1};
    size_t bytes =
        (size_t)layers * (size_t)pages * 2 * KV_HEADS * CUDA_PAGE * HEAD_DIM * size[type];
    int32_t *host = static_cast<int32_t *>(malloc((size_t)most * 4));
    float freq[HEAD_DIM / 2];

    memset(r, 0, sizeof(*r));
    r->kv = {room(bytes), type, layers, pages, KV_HEADS, HEAD_DIM};
    fill(r->kv.data, bytes, type);
    r->st.n = n;
    r->st.max_pages = max_pages;
    for (r->st.n_ranges = 1; r->st.n_ranges * CUDA_RANGE < keys;) // as in steps
        r->st.n_ranges *= 2;
    r->st.runs = each >= CUDA_RUN;
    r->st.lone = r->st.runs ? static_cast<const int32_t *>(room(4)) : nullptr; // none is
    for (int i = 0; i < n; i++)
        host[i] = i / each;
    r->st.token = r->st.seq = ints(host, n);
    for (int i = 0; i < n; i++)
        host[i] = keys - each + i % each;
    r->st.pos = r->st.slot = r->st.last = ints(host, n);
    for (int i = 0; i < pages; i++)
        host[i] = i;
    for (int i = pages - 1; i > 0; i--) {
        int k = (int)((uint32_t)i * 2654435761u % (uint32_t)(i + 1)), t = host[i];

        host[i] = host[k];
        host[k] = t;
    }
    r->st.page = ints(host, pages);
    free(host);
    for (int i = 0; i < HEAD_DIM / 2; i++)
        freq[i] = (float)pow(500000.0, -2.0 * i / HEAD_DIM);
    r->inv_freq = static_cast<float *>(room(sizeof(freq)));
    TRY(cudaMemcpy(r->inv_freq, freq, sizeof(freq), cudaMemcpyHostToDevice));
    r->a = {HEADS, KV_HEADS, HEAD_DIM, HEAD_DIM, 1, 0, 0.08838834764f, 0.0f, r->inv_freq, {}, {}};
    bytes = (size_t)n * (HEADS + 2 * KV_HEADS) * HEAD_DIM * sizeof(float);
    r->qkv = static_cast<float *>(room(bytes));
    fill(r->qkv, bytes, CUDA_KV_F32);
    r->y = static_cast<float *>(room((size_t)n * HEADS * HEAD_DIM * sizeof(float)));
    r->part = room(cuda_attn_bytes(&r->a, n, r->st.n_ranges) + 16);
}

void close_run(struct run *r)
{
    void *p[] = {r->kv.data,
                 (void *)r->st.lone,
                 (void *)r->st.seq,
                 (void *)r->st.pos,
                 (void *)r->st.page,
                 r->inv_freq,
                 r->qkv,
                 r->y,
                 r->part};

    for (size_t i = 0; i < sizeof(p) / sizeof(*p); i++)
        TRY(cudaFree(p[i]));
}

const char *const type_name[] = {"f32", "f16", "bf16", "fp8"};

void decode(int type, int n_seq, int keys, double read)
{
    const size_t size[] = {4, 2, 2, 1};
    double bytes = 2.0 * n_seq * keys * KV_HEADS * HEAD_DIM * (double)size[type], us;
    int layers = (int)(2.5e8 / bytes) + 2, each = bytes > 2e8 ? 1 : 20;
    struct run r;

    open_run(&r, type, n_seq, 1, keys, layers > 32 ? 32 : layers);
    us = timed<RUNS>(each, [&](int i, cudaStream_t s) {
        cuda_attn(r.y, r.qkv, &r.a, &r.kv, i % r.kv.n_layers, &r.st, r.part, NULL, s);
    });
    printf("{\"bench\":\"attn_decode\",\"kv\":\"%s\",\"sequences\":%d,\"keys\":%d,\"us\":%.2f,"
           "\"gb_s\":%.0f,\"percent_of_read\":%.1f}\n",
           type_name[type], n_seq, keys, us, bytes / us / 1e3, 100 * bytes / us / read);
    fflush(stdout);
    close_run(&r);
}

void prefill(int type, int tokens, int keys)
{
    struct run r;
    double fma = 2.0 * HEADS * HEAD_DIM * tokens * (keys - tokens + (tokens + 1) / 2.0), us;

    open_run(&r, type, 1, tokens, keys, 2);
    us = timed<RUNS>(1, [&](int i, cudaStream_t s) {
        cuda_attn(r.y, r.qkv, &r.a, &r.kv, i % 2, &r.st, r.part, NULL, s);
    });
    printf("{\"bench\":\"attn_prefill\",\"kv\":\"%s\",\"tokens\":%d,\"keys\":%d,"
           "\"us\":%.1f,\"tera_fma_s\":%.2f}\n",
           type_name[type], tokens, keys, us, fma / us / 1e6);
    fflush(stdout);
    close_run(&r);
}

void small(const char *what, int n, double us, double bytes, double read)
{
    printf("{\"bench\":\"%s\",\"tokens\":%d,\"us\":%.2f,\"gb_s\":%.0f,\"percent_of_read\":%.1f}\n",
           what, n, us, bytes / us / 1e3, 100 * bytes / us / read);
    fflush(stdout);
}

/* Ops of n tokens, over enough copies of their input that it is in no cache when there is much. */
void rows(int n, double read)
{
    int copies = n < 256 ? 1 : 4;
    size_t x = (size_t)n * 2 * FFN;
    float *p = static_cast<float *>(room((size_t)copies * x * 4));
    float *y = static_cast<float *>(room((size_t)n * FFN * 4)), *w = y;
    struct cuda_norm norm = {CUDA_NORM_RMS, 1e-5f, w, nullptr};
    struct run r;
    double us;

    fill(p, (size_t)copies * x * 4, CUDA_KV_F32);
    fill(y, (size_t)n * FFN * 4, CUDA_KV_F32);
    us = timed<RUNS>(20, [&](int i, cudaStream_t s) {
        cuda_norm(y + DIM, p + (size_t)(i % copies) * x, &norm, n, DIM, false, nullptr, s);
    });
    small("norm", n, us, 2.0 * n * DIM * 4, read);
    us = timed<RUNS>(20, [&](int i, cudaStream_t s) {
        cuda_glu(y, p + (size_t)(i % copies) * x, n, FFN, 1, CUDA_SILU, nullptr, s);
    });
    small("glu", n, us, 3.0 * n * FFN * 4, read);
    TRY(cudaFree(p));
    TRY(cudaFree(y));
    open_run(&r, CUDA_KV_F16, n < 256 ? n : 1, n < 256 ? 1 : n, n < 256 ? 1024 : n, 1);
    us = timed<RUNS>(20,
                     [&](int, cudaStream_t s) { cuda_rope_kv(r.qkv, &r.a, &r.kv, 0, &r.st, s); });
    small("rope_kv", n, us, n * (40 * 8.0 + 8 * 4 + 16 * 2) * HEAD_DIM, read);
    close_run(&r);
}

} // namespace

int main(void)
{
    struct cudaDeviceProp p;
    double read;
    int n = 0;

    TRY(cudaGetDeviceCount(&n));
    TRY(cudaGetDeviceProperties(&p, 0));
    printf("{\"bench\":\"device\",\"name\":\"%s\",\"multiprocessors\":%d}\n", p.name,
           p.multiProcessorCount);
    read = bandwidth();
    for (int type = 0; type < CUDA_KV_TYPES; type++)
        decode(type, 32, 8192, read);
    for (int keys = 64; keys <= 8192; keys *= 2)
        decode(CUDA_KV_F16, 1, keys, read);
    decode(CUDA_KV_F16, 8, 1024, read);
    decode(CUDA_KV_F16, 64, 1024, read);
    decode(CUDA_KV_F16, 256, 1536, read);
    for (int type = 0; type < CUDA_KV_TYPES; type++)
        prefill(type, MOST, MOST);
    prefill(CUDA_KV_F16, 256, 8192);
    prefill(CUDA_KV_F16, MOST, 8192);
    for (n = 1; n <= MOST; n = n == 1 ? 32 : n == 32 ? 256 : 8 * n)
        rows(n, read);
    return 0;
}
