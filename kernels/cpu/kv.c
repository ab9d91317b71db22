/* kv.c - copies within the cache on the CPU: bytes as they are, whatever they stand for. */
#include "cpu.h"

#include <string.h>

void cpu_kv_move(const struct kv_pages *kv, uint8_t *key, uint8_t *value, const uint8_t *from_key,
                 const uint8_t *from_value)
{
    size_t bytes = kv_value_bytes(kv->type), dim = (size_t)kv->head_dim;

    for (size_t i = 0; i < dim * BACKEND_PAGE * bytes; i += BACKEND_PAGE * bytes)
        memcpy(key + i, from_key + i, bytes);
    memmove(value, from_value, dim * bytes);
}

void cpu_copy(struct backend *b, const struct kv_pages *kv, int dst, int src)
{
    size_t bytes = (size_t)kv->n_kv_heads * 2 * cpu_kv_bytes(kv);

    (void)b;
    for (int l = 0; l < kv->n_layers; l++)
        memcpy(cpu_page(kv, l, dst, 0, 0), cpu_page(kv, l, src, 0, 0), bytes);
}

void cpu_move(struct backend *b, const struct kv_pages *kv, const struct kv_place *dst,
              const struct kv_place *src, int n)
{
    (void)b;
    for (int i = 0; i < n; i++)
        for (int l = 0; l < kv->n_layers; l++)
            for (int h = 0; h < kv->n_kv_heads; h++)
                cpu_kv_move(kv, cpu_key(kv, l, dst[i], h), cpu_value(kv, l, dst[i], h),
                            cpu_key(kv, l, src[i], h), cpu_value(kv, l, src[i], h));
}
