/* workload.h - the requests of a measurement: random prompts of given lengths. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "tok.h"

#include <stdint.h>

struct workload {
    struct workload_item {
        struct tok_ids ids;
        int max_tokens;
        int pad_prompt, pad_output; // of both, tokens that are computed for nothing
    } * item;                       // (n)
    int n;
};

struct workload_lengths {
    int input, output; // medians
    float spread;      // deviation of the logarithm of both; 0: all alike
    int shared;        // tokens that all prompts begin with, besides input
};

enum { WORKLOAD_LONGEST = 4 }; // a length is at most this many medians

/* Replace the items by n random ones of ids below vocab, the same for the same
 * (seed, pass) and others, the shared ones too, for another. */
void workload_random(struct workload *w, const struct workload_lengths *l, int n, int vocab,
                     uint64_t seed, int pass);

/* What a program with static batches computes: in each `batch` items, prompts are filled up with
 * random ids to the longest of them, and all generate as long as the last. */
void workload_pad(struct workload *w, int batch, int vocab, uint64_t seed);

/* An empty item at the end, to be filled. */
struct workload_item *workload_add(struct workload *w);
void workload_drop(struct workload *w); // the last one
void workload_free(struct workload *w);

#endif
