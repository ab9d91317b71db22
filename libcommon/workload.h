/* workload.h - the requests of a measurement: random prompts of given lengths, or those of records.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "session.h"
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

/* Add the prompts of the records in the files, `output` tokens to be generated of each, or as many
 * as the context has room for. A record without a prompt, or of which the prompt leaves no room, is
 * a reject; *status is the run's then. ERR_DATA when there is no prompt. */
int workload_files(struct workload *w, struct session *ses, const struct cli *cli, int output,
                   int n, char **file, int *status, struct err *e);

/* Does a context hold every prompt with its output? An output that it cuts short would be counted
 * as whole; ERR_ARG names the first. */
int workload_fits(const struct workload *w, int ctx, struct err *e);

/* An empty item at the end, to be filled. */
struct workload_item *workload_add(struct workload *w);
void workload_drop(struct workload *w); // the last one
void workload_free(struct workload *w);

#endif
