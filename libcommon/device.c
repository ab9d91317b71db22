/* device.c - the backend that computes a model: the CPU's, or a GPU's that is opened at run time.
 */
#include "device.h"

#include "file.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int device_parse(const char *text, struct device *out, struct err *e)
{
    static const char *const name[] = {"auto", "cpu", "cuda", "emu"};
    char *end;
    long n;

    for (int i = 0; i < 4; i++)
        if (!strcmp(text, name[i])) {
            *out = (struct device){.kind = (enum device_kind)i};
            return 0;
        }
    if (!strncmp(text, "cuda:", 5) && text[5] >= '0' && text[5] <= '9') {
        errno = 0;
        n = strtol(text + 5, &end, 10);
        if (!*end && !errno && n <= INT_MAX) {
            *out = (struct device){.kind = DEVICE_CUDA, .index = (int)n};
            return 0;
        }
    }
    return err_set(e, ERR_ARG, "--device '%s': not auto, cpu, cuda or cuda:N", text);
}

struct backend *device_open(const struct device *d, struct err *e)
{
    static const char *const base[] = {".", "../lib/llmutils", NULL};
    const char *name = d->kind == DEVICE_EMU ? "llm-cuda-emu.so" : "llm-cuda.so";
    const struct backend_cuda o = {
        .version = BACKEND_CUDA_VERSION, .device = d->index, .nvtx = d->nvtx};
    struct backend *(*open)(const struct backend_cuda *, struct err *);
    struct backend *b = NULL;
    char *path;
    void *so, *f;

    if (d->kind == DEVICE_CPU) {
        err_set(e, ERR_ARG, "the CPU is no GPU");
        return NULL;
    }
    path = file_beside(base, name, e);
    if (!path) {
        err_wrap(e, "this build has no CUDA backend");
        return NULL;
    }
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL); // for good: its state may be in use until the end
    f = so ? dlsym(so, "llm_cuda_open") : NULL;
    memcpy(&open, &f, sizeof(open));
    if (!so)
        err_set(e, ERR_ARG, "%s", dlerror());
    else if (!f)
        err_set(e, ERR_ARG, "%s: not a CUDA backend", path);
    else
        b = open(&o, e);
    free(path);
    return b;
}
