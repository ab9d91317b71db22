/* fault.h - what is wrong with a text: repetition, refusals, leaked prompt words.
 *
 * Rules of thumb for what models write. Sources: Rae et al. 2021 (Gopher), repetition; Xu et al.
 * 2023 (Evol-Instruct), elimination of failed evolutions. */
#ifndef FAULT_H
#define FAULT_H

#include "look.h"
#include "words.h"

#include <stddef.h>

/* Share of the text's runs of 3 words that stood in it before, 0..1. */
double fault_repetition(const char *s, size_t n);

/* The refusal in a text, or NULL: "sorry" anywhere in fewer than 80 words, or one of
 * the usual phrases in the first 30. */
const char *fault_refusal(const char *s, size_t n);

/* The words of a prompt or a chat template that are left over in a text, or NULL. */
const char *fault_leak(const char *s, size_t n);

/* The same for many texts, with what is needed for it kept. */
struct fault;
struct fault *fault_open(void);
void fault_close(struct fault *f);                                                // NULL-safe
double fault_repetition_beyond(struct fault *f, struct look *text, double limit); // or 0
const char *fault_refusal_of(const struct fault *f, const struct words_row *w);
const char *fault_leak_of(struct fault *f, const struct kinds *text);

#endif
