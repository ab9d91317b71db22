/* device.h - the backend that computes a model: the CPU's, or a GPU's that is opened at run time.
 *
 * A GPU's backend is a shared object, so that the commands run without CUDA as well. It is looked
 * for beside the program (where it was built) and in ../lib/llmutils (where it is installed). */
#ifndef DEVICE_H
#define DEVICE_H

#include "backend.h"
#include "err.h"

/* EMU: the kernels of a GPU, run by the CPU thread by thread, for tests of them. */
enum device_kind { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA, DEVICE_EMU };

struct device {
    enum device_kind kind;
    int index; // of the GPU
    bool nvtx; // see backend.h; a CPU has no such ranges
};

/* "auto", "cpu", "cuda", "cuda:N" or "emu". ERR_ARG for anything else. */
int device_parse(const char *text, struct device *out, struct err *e);

/* The GPU asked for (AUTO: the first). NULL with e set, in one line, when there is none that can be
 * used, or for the CPU. */
struct backend *device_open(const struct device *d, struct err *e);

#endif
