/* league.h - who meets whom in a tournament, and strengths from its matches.
 *
 * Source: Bradley & Terry 1952, paired comparisons; the maximum of the likelihood by Newton's
 * method. */
#ifndef LEAGUE_H
#define LEAGUE_H

#include "rng.h"

enum { LEAGUE_MOST = 1024 }; // players

struct league_match {
    int a, b; // a < b
    double p; // that a wins
};

/* The matches of n players: all pairs when each then has at most `opponents`, else each meets
 * opponents/2 players on either side in a ring, at distances 1 and others drawn from r: a connected
 * schedule in which all play equally often. *m is allocated; returns how many. */
int league_plan(int n, int opponents, const struct rng *r, struct league_match **m);

/* Strengths (n) as log-odds, mean 0, that make the outcomes likeliest: P(a beats b) = 1 / (1 +
 * e^(strength b - strength a)); and their standard deviations, each match counted as one
 * comparison. A normal prior of deviation 5 keeps them finite. */
void league_strengths(const struct league_match *m, int n_matches, int n, double *strength,
                      double *sd);

/* P(wins) against a player of strength 0. */
double league_share(double strength);

#endif
