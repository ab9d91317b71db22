/* st_fuzz.c - changed safetensors headers: opened or refused, and what is opened can be read. */
#include "fuzz.h"
#include "quant.h"
#include "st.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct st s;
    struct err e;
    char path[32];
    int fd = fuzz_file(p, n, path), bad = 0;
    unsigned sum = 0;

    if (!st_open(&s, path, &e)) {
        for (int i = 0; i < s.n_tensors; i++) {
            const struct tensor *t = &s.tensor[i];

            if (st_tensor(&s, t->name) != t)
                abort();
            for (size_t k = 0; k < t->bytes; k++)
                sum += ((const uint8_t *)t->data)[k];
        }
        (void)sum;
    } else {
        bad = strncmp(e.msg, path, strlen(path)) != 0;
    }
    st_close(&s);
    close(fd);
    return bad;
}

#ifndef LIBFUZZER
static void write_seed(const char *path)
{
    static const enum tensor_type type[] = {T_F32, T_F16, T_BF16, T_I8, T_I64};
    static const uint8_t zero[512];
    struct st_writer w;
    struct err e;
    char name[32];

    CHECK(!st_create(&w, path, 1, &e));
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "model.layers.%d.weight", i);
        CHECK(!st_put_tensor(&w, name, type[i], i, (const int64_t[]){2, 3, 1, 4}, &e));
    }
    CHECK(!st_start_data(&w, &e) && !st_data(&w, zero, w.declared, &e) && !st_finish(&w, &e));
}

int main(void)
{
    char dir[] = "/tmp/st_fuzz.XXXXXX";
    struct file_map m;
    struct err e;
    uint64_t n = 0;

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    TEST("the seed opens");
    write_seed("seed.safetensors");
    if (file_map(&m, "seed.safetensors", &e))
        return 1;
    memcpy(&n, m.p, sizeof(n));
    fuzz_run("safetensors", m.p, m.n, n + 8, 10000);
    file_unmap(&m);
    if (unlink("seed.safetensors") || chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
#endif
