/* personas.h - people that prompts are written for or by, out of a file.
 *
 * A line of text each, or records with `persona`. Every one is taken once before any is
 * taken again, in an order that the seed decides.
 * Source: Ge et al. 2024 (Persona Hub). */
#ifndef PERSONAS_H
#define PERSONAS_H

#include "err.h"
#include "hash.h"
#include "rng.h"

#include <stdint.h>

struct personas {
    struct persona {
        char *id, *text; // id: the record's, or a hash of the text
    } * item;            // (n)
    int n;
    struct hash128 hash; // of the file, for the fingerprint
    int *order;          // (n) of the turn
    int64_t turn;
};

/* ERR_DATA names file and line; ERR_DATA also when there is none. */
int personas_open(struct personas *p, const char *path, struct err *e);
void personas_close(struct personas *p); // zeroed is closed

/* The k-th that is taken, from 0. */
const struct persona *personas_take(struct personas *p, const struct rng *r, int64_t k);

#endif
