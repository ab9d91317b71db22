/* duel.h - answers to one instruction against each other, two at a time.
 *
 * The judge is asked which of two answers is better, in both orders, and the probability of "A" is
 * read where it would name one (quiz.h); the mean of both orders is the match's outcome, and a
 * tournament of matches (league.h) gives each answer its strength.
 * Sources: Zheng et al. 2023 (MT-Bench), pairs in both orders; Bradley & Terry 1952. */
#ifndef DUEL_H
#define DUEL_H

#include "score.h"

extern const struct score_way duel_way;

/* What makes records one tournament: the field or "meta.NAME" that --group names, else the prompt.
 * For stream_opt's part; with is a struct score. */
struct hash128 duel_part(void *with, struct record *r);

#endif
