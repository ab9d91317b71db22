/* load.c - rows of files into panels in device memory, while the caller goes on.
 *
 * Rows are cut into chunks. Each of a few threads takes the next one, copies it from the file's map
 * (which reads it from the disk) into pinned memory of its own, sends it and has it repacked on
 * a stream of its own; it has two such buffers, so that the next chunk is read while one is
 * sent. The chunks of a weight are queued by cuda_load, and cuda_load_wait is their end.
 *
 * Measured on an H200 (2026-11-26), from host memory: 8B BF16, 15.0 GB, 1.24 s; Q8_0, 8.0
 * GB, 0.90; Q4_0, 4.2 GB, 0.39. */
#include "device.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 8 << 20, BUFFERS = 2, MAX_THREADS = 8 };

#ifdef GPU_EMU
enum { THREADS = 0 }; // kernels run on the calling thread
#else
enum { THREADS = 4 };
#endif

struct chunk {
    struct chunk *next;
    struct cuda_matrix m;
    const uint8_t *host, *pairs; // rows; NULL, or where the other half of them is
    size_t bytes;                // of all
    int first, rows;
};

/* Where a thread works: pinned memory, device memory, and when they are free again. */
struct lane {
    struct cuda_loader *l;
    pthread_t thread;
    cudaStream_t stream;
    struct {
        void *pinned, *raw;
        size_t bytes;
        cudaEvent_t free;
    } buf[BUFFERS];
    int turn;
    cudaError_t rc;
};

struct cuda_loader {
    struct cuda *c;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct chunk *head, **tail;
    bool closed;
    int n_lanes;
    struct lane lane[MAX_THREADS];
};

static cudaError_t lane_room(struct lane *w, size_t bytes)
{
    cudaError_t rc = cudaSuccess;

    if (!w->stream)
        rc = cudaStreamCreateWithFlags(&w->stream, cudaStreamNonBlocking);
    w->turn = (w->turn + 1) % BUFFERS;
    if (!rc && !w->buf[w->turn].free)
        rc = cudaEventCreateWithFlags(&w->buf[w->turn].free, cudaEventDisableTiming);
    if (!rc)
        rc = cudaEventSynchronize(w->buf[w->turn].free);
    if (rc || w->buf[w->turn].bytes >= bytes)
        return rc;
    cudaFreeHost(w->buf[w->turn].pinned);
    cudaFree(w->buf[w->turn].raw);
    w->buf[w->turn].pinned = w->buf[w->turn].raw = NULL;
    w->buf[w->turn].bytes = 0;
    bytes = (bytes + 65535) / 65536 * 65536;
    rc = cudaMallocHost(&w->buf[w->turn].pinned, bytes);
    if (!rc)
        rc = cudaMalloc(&w->buf[w->turn].raw, bytes);
    if (!rc)
        w->buf[w->turn].bytes = bytes;
    return rc;
}

static cudaError_t lane_send(struct lane *w, const struct chunk *k)
{
    cudaError_t rc = lane_room(w, k->bytes);
    size_t half;

    if (rc)
        return rc;
    half = k->pairs ? k->bytes / 2 : k->bytes;
    memcpy(w->buf[w->turn].pinned, k->host, half);
    if (k->pairs)
        memcpy((uint8_t *)w->buf[w->turn].pinned + half, k->pairs, half);
    rc = cudaMemcpyAsync(w->buf[w->turn].raw, w->buf[w->turn].pinned, k->bytes,
                         cudaMemcpyHostToDevice, w->stream);
    if (rc)
        return rc;
    cuda_repack(&k->m, w->buf[w->turn].raw, k->first, k->rows, w->stream);
    rc = cudaGetLastError();
    return rc ? rc : cudaEventRecord(w->buf[w->turn].free, w->stream);
}

static struct chunk *take(struct cuda_loader *l)
{
    struct chunk *k;

    pthread_mutex_lock(&l->lock);
    while (!l->head && !l->closed)
        pthread_cond_wait(&l->more, &l->lock);
    k = l->head;
    if (k && !(l->head = k->next))
        l->tail = &l->head;
    pthread_mutex_unlock(&l->lock);
    return k;
}

static void *work(void *arg)
{
    struct lane *w = arg;
    struct chunk *k;

    w->rc = cudaSetDevice(w->l->c->device);
    while ((k = take(w->l))) {
        if (!w->rc)
            w->rc = lane_send(w, k);
        free(k);
    }
    if (!w->rc && w->stream)
        w->rc = cudaStreamSynchronize(w->stream);
    return NULL;
}

static struct cuda_loader *loader(struct cuda *c)
{
    struct cuda_loader *l = c->loader ? c->loader : calloc(1, sizeof(*l));

    if (!l || c->loader)
        return l;
    l->c = c;
    l->tail = &l->head;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    for (int i = 0; i < THREADS; i++) {
        l->lane[i].l = l;
        if (pthread_create(&l->lane[i].thread, NULL, work, &l->lane[i]))
            break;
        l->n_lanes++;
    }
    return c->loader = l;
}

int cuda_load(struct cuda *c, const struct cuda_matrix *m, const void *host, const void *pairs,
              size_t row_bytes, int first, int rows, struct err *e)
{
    struct cuda_loader *l = loader(c);
    int unit = matrix_unit(m), fit = (int)(CHUNK / row_bytes) / unit * unit,
        most = fit > unit ? fit : unit;

    for (int i = 0; l && i < rows; i += most) {
        struct chunk *k = malloc(sizeof(*k));
        size_t at = (size_t)(pairs ? i / 2 : i) * row_bytes;

        if (!k)
            break;
        *k = (struct chunk){.m = *m,
                            .host = (const uint8_t *)host + at,
                            .pairs = pairs ? (const uint8_t *)pairs + at : NULL,
                            .first = first + i,
                            .rows = rows - i < most ? rows - i : most};
        k->bytes = (size_t)k->rows * row_bytes;
        pthread_mutex_lock(&l->lock);
        *l->tail = k;
        l->tail = &k->next;
        pthread_cond_signal(&l->more);
        pthread_mutex_unlock(&l->lock);
        if (i + most >= rows)
            return 0;
    }
    return err_set(e, ERR_MEM, "no memory");
}

void cuda_load_drop(struct cuda *c)
{
    struct cuda_loader *l = c->loader;

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    for (struct chunk *k = l->head, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    l->head = NULL;
    l->tail = &l->head;
    pthread_mutex_unlock(&l->lock);
}

int cuda_load_wait(struct cuda *c, struct err *e)
{
    struct cuda_loader *l = c->loader;
    cudaError_t rc = cudaSuccess;

    if (!l)
        return 0;
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    pthread_cond_broadcast(&l->more);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_lanes; i++)
        pthread_join(l->lane[i].thread, NULL);
    if (!l->n_lanes) { // no threads: here and now
        l->lane[0].l = l;
        work(&l->lane[0]);
    }
    for (int i = 0; i < MAX_THREADS; i++) {
        struct lane *w = &l->lane[i];

        rc = rc ? rc : w->rc;
        for (int k = 0; k < BUFFERS; k++) {
            cudaFreeHost(w->buf[k].pinned);
            cudaFree(w->buf[k].raw);
            if (w->buf[k].free)
                cudaEventDestroy(w->buf[k].free);
        }
        if (w->stream)
            cudaStreamDestroy(w->stream);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->more);
    free(l);
    c->loader = NULL;
    if (rc == cudaSuccess)
        return 0;
    return err_set(e, rc == cudaErrorMemoryAllocation ? ERR_MEM : ERR_IO, "GPU %d: weights: %s",
                   c->device, cudaGetErrorString(rc));
}
