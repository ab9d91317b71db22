/* instances.h - inputs and outputs of a task, out of a model's text, and the rules that drop them.
 *
 * Input first: lines that begin with "Input:" and "Output:", perhaps under "Example 1"; a text
 * without any is one output. Output first, for classification, so that labels come out evenly:
 * lines "Class label: X", each followed by an input that has it.
 * Source: Wang et al. 2023 (Self-Instruct), steps 3 and 4, and its published scripts. */
#ifndef INSTANCES_H
#define INSTANCES_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { INSTANCES_MAX = 16 };

struct instances {
    struct instance {
        struct buf input, output;
        const char *rule; // that it breaks, or NULL
        bool truncated;
    } item[INSTANCES_MAX];
    int n;
};

/* Read at most `most` (up to INSTANCES_MAX) instances; x is emptied first. given: the input that
 * the task came with, or NULL: then there is one instance, whose input is that. labels: output
 * first, the text goes on behind a "Class label:". cut: the text ended at its length limit. */
void instances_read(struct instances *x, const char *text, size_t n, const struct buf *given,
                    bool labels, bool cut, int most);

/* Name the rule that each instance breaks: instance-truncated (the last one of a text that was
 * cut), instance-empty (no output), instance-echo (output equals input), instance-colon (either
 * ends with one), instance-conflict (of those left, the same input with another output: then all of
 * them), instance-same (said before). off: (n_off) names of rules that do not hold. Returns how
 * many are left. */
int instances_check(struct instances *x, const char *const *off, int n_off);
extern const char *const instances_rule_names[]; // NULL-terminated

void instances_free(struct instances *x); // zeroed is free

#endif
