/* cost_test.c - what a step reads and multiplies, of a model whose sizes are known. */
#include "cost.h"
#include "synth.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int find(const char *const *list, const char *name)
{
    int i = 0;

    while (strcmp(list[i], name) != 0)
        i++;
    return i;
}

static struct cost cost_of_type(const char *path, const char *type)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);
    struct cost c = {0};
    struct model *m = NULL;

    if (b &&
        !synth_write(find(synth_shapes, "nano"), find(synth_types, type), 1, 1, path, true, &e))
        m = model_open(path, b, &e);
    if (m)
        c = cost_of(m, KV_F32);
    model_close(m);
    backend_close(b);
    return c;
}

int main(void)
{
    /* nano: dim 256, ffn 512, 2 layers, 4 heads, 2 kv heads of 64, 512 tokens, tied */
    const int64_t layer = 256 * 256 + 2 * 128 * 256 + 256 * 256 + 3 * 256 * 512;
    char path[] = "/tmp/cost_test.XXXXXX";
    struct cost c;
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    TEST("blocks");
    c = cost_of_type(path, "q4_0");
    CHECK(c.layer_products == 2 * layer && c.head_products == 512 * 256);
    CHECK(c.weight_bytes == (uint64_t)(2 * layer + 512 * 256) / 32 * 18);
    CHECK(c.cache_bytes == 2 * 2 * 2 * 64 * sizeof(float));
    CHECK(!c.floats);
    TEST("floats");
    c = cost_of_type(path, "bf16");
    CHECK(c.weight_bytes == (uint64_t)(2 * layer + 512 * 256) * 2);
    CHECK(c.floats);
    unlink(path);
    return test_end();
}
