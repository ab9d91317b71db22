/* questions.h - what the model is asked about a new task: is it classification, and its instances.
 *
 * A prompt file may hold `classify` (with `yes`, the words that an answer of yes begins with),
 * `input_first` and `output_first`, each with texts and sampling of its own (temperature 0 unless
 * it says otherwise). Tasks of classification get their instances output first.
 * Source: Wang et al. 2023 (Self-Instruct), steps 2 and 3. */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "calls.h"
#include "instances.h"
#include "recipe.h"
#include "tasks.h"

struct questions {
    struct recipe classify, input_first, output_first;
    struct recipe_list yes;
    bool has_classify, has_output_first;
    int most; // instances of a task
};

int questions_open(struct questions *q, const struct recipe *r, int most, struct err *e);
void questions_close(struct questions *q); // zeroed is closed

/* A task and what came of it. */
struct question {
    const struct tasks_task *task; // one with an input gets one instance, whose input is that
    struct hash128 key;            // of the noise
    int labels;                    // is it classification: 1, 0; -1: not known (and then asked)
    struct instances x;
    const char *rule; // why the model gave no answer, or NULL
    char *why;
};
void questions_free(struct question *t);

/* Ask about n tasks. 1 = done, 0 = asked to stop, -1 = error. */
int questions_ask(const struct questions *q, const struct calls *c, struct question *t, int n,
                  uint64_t seed, struct err *e);

#endif
