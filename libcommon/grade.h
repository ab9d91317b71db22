/* grade.h - a judge: a rubric's axes for each answer, read from the judge's own prompt.
 *
 * Each axis is the expected value of the digits 0 to 4 where the judge would write one (quiz.h).
 * Sources: Liu et al. 2023 (G-Eval), expected scores; Zheng et al. 2023 (MT-Bench), reference
 * answers. */
#ifndef GRADE_H
#define GRADE_H

#include "score.h"

extern const struct score_way grade_way;

#endif
