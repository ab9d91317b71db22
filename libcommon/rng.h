/* rng.h - counter-based random numbers: f(seed, stream, position, lane).
 *
 * No state, so no order: what is drawn for (seed, stream, position, lane) is the
 * same whenever, wherever and however often it is asked for.
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32-10). */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

/* The Philox block function: ten rounds over ctr with key, into out. */
void rng_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

/* A stream: its key mixes a seed and any 128-bit name (a record's id hash, a stage). */
struct rng {
    uint32_t key[2];
};
struct rng rng_stream(uint64_t seed, uint64_t name_hi, uint64_t name_lo);

/* 32 random bits for (position, lane). */
uint32_t rng_bits(const struct rng *r, uint64_t position, uint32_t lane);

/* Uniform in (0, 1), never 0 or 1: (bits + 1/2) / 2^32. */
double rng_unit(const struct rng *r, uint64_t position, uint32_t lane);

/* Uniform integer in 0..n-1 (n >= 1) by multiplication; bias below n / 2^32. */
uint32_t rng_below(const struct rng *r, uint64_t position, uint32_t lane, uint32_t n);

/* The bits of lanes 4*quad .. 4*quad+3 at a position: rng_bits, four at a time. */
void rng_quad(const struct rng *r, uint64_t position, uint32_t quad, uint32_t out[4]);

/* The same of RNG_QUADS quads, which are computed side by side. */
enum { RNG_QUADS = 4 };
void rng_quads(const struct rng *r, uint64_t position, const uint32_t quad[RNG_QUADS],
               uint32_t out[RNG_QUADS][4]);

/* Gumbel(0, 1) noise -log(-log u) of a lane's bits, u = (bits + 1/2) / 2^32; increasing in
 * bits. The argmax over tokens of logit + noise is a draw from softmax(logit). */
float rng_gumbel(uint32_t bits);

#endif
