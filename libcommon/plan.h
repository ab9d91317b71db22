/* plan.h - the memory of a run, before anything large is touched.
 *
 * Weights are the model's file, mapped, or what a device makes of them; the cache is a pool of
 * pages; scratch is what a step works in. */
#ifndef PLAN_H
#define PLAN_H

#include "buf.h"
#include "model.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether the backend may hold quantized weights in a layout of its own, see backend.h. */
enum plan_repack { PLAN_AUTO, PLAN_ALWAYS, PLAN_NEVER };

struct plan {
    int ctx, batch, batch_tokens; // given: positions of a sequence, sequences, tokens of a step
    int rows;                     // given: of logits in a step, at least batch; 0: none
    int nodes;                    // given: of token trees in a step
    int beams;                    // given: sequences that one request may need at once
    uint64_t kv_bytes;            // given: of the cache; 0: batch sequences of ctx positions, but
                                  // at most half of what is left, and at least beams sequences
    enum plan_repack repack;      // given
    enum kv_type kv_type;         // given
    int64_t available;            // given: -1 when not known
    const struct backend *device; // given: whose memory it is, or NULL: the host's
    int pages;                    // of the cache
    uint64_t weights, cache, scratch;
    bool twice; // repack, as wished or because there is room for the file as well
};

/* Fill the rest. ERR_ARG when the cache cannot hold beams sequences of ctx positions, ERR_MEM with
 * the numbers when it all is more than what is available. */
int plan_make(struct plan *p, const struct model *m, struct err *e);
void plan_print(const struct plan *p, struct buf *out); // one line, without its end

#endif
