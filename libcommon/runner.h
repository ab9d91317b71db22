/* runner.h - a model on a device with its memory: weights, cache, scratch; the rows of a step.
 *
 * The host's backend stands beside the device's: what is done with rows in host memory is done by
 * the CPU, whatever computed them. */
#ifndef RUNNER_H
#define RUNNER_H

#include "backend.h"
#include "buf.h"
#include "device.h"
#include "err.h"
#include "forward.h"
#include "kv.h"
#include "model.h"
#include "plan.h"

#include <stdbool.h>

struct runner_opt {
    struct device device;
    int threads; // of the CPU, 0: as many as this process may use
    enum backend_isa isa;
    int ctx;          // 0: the model's, at most 4096
    int batch_tokens; // of a step at most; for an encoder it becomes ctx where that is more
    int batch, rows, beams;
    uint64_t kv_bytes;
    bool hidden;          // hidden states instead of logits
    enum kv_type kv_type; // KV_AUTO: F16 where bytes are those of a kind of GPU anyway, else F32
    enum plan_repack repack;
    bool
        fast; // give exactness up where the device has something for it; false in what is open: not
};

struct runner {
    struct runner_opt o;     // with ctx, batch_tokens and rows as they have become
    struct backend *host;    // the CPU's
    struct backend *backend; // of the model: host, or a GPU's
    struct err no_gpu;       // auto: why the CPU was taken
    struct model *model;
    struct kv kv;
    struct act act;
    struct plan plan;
    int width;   // of a row of the results: vocab, or dim of hidden states
    float *copy; // (rows, width) of these; NULL when the device's can be read
};

/* Memory is planned before any of it is taken: ERR_MEM when it is too little. On failure what was
 * opened is closed again. */
int runner_open(struct runner *r, const struct runner_opt *o, const char *path, struct err *e);
void runner_close(struct runner *r);

/* Compute a step. */
int runner_step(struct runner *r, const struct step *s, struct err *e);
/* n of its rows (n_out, width) in host memory until the next step, or NULL. */
const float *runner_rows(struct runner *r, int first, int n, struct err *e);

/* The model's hash, with the backend's name where that one's sums are its own. */
struct hash128 runner_hash(const struct runner *r);

/* What it runs on and the memory plan, one line each, for -v. */
void runner_describe(const struct runner *r, struct buf *out);

#endif
