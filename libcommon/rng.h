/* rng.h - counter-based random numbers: f(seed, stream, position, lane).
 *
 * No state, so no order: what is drawn for (seed, stream, position, lane) is the
 * same whenever, wherever and however often it is asked for.
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32-10). */
#ifndef RNG_H
#define RNG_H

#include "num.h"

#include <stdint.h>
#include <string.h>

/* Philox's multipliers, and what its key grows by each round. */
#define RNG_MUL_0 0xD2511F53u
#define RNG_MUL_1 0xCD9E8D57u
#define RNG_KEY_0 0x9E3779B9u
#define RNG_KEY_1 0xBB67AE85u

/* The Philox block function: ten rounds over ctr with key, into out. A device has it as well. */
NUM_FN void rng_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {ctr[0], ctr[1], ctr[2], ctr[3]}, k0 = key[0], k1 = key[1];

    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)RNG_MUL_0 * c[0], b = (uint64_t)RNG_MUL_1 * c[2];
        uint32_t c1 = c[1], c3 = c[3];

        c[0] = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c[3] = (uint32_t)a;
        k0 += RNG_KEY_0;
        k1 += RNG_KEY_1;
    }
    memcpy(out, c, sizeof(c));
}

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
NUM_FN void rng_quad(const struct rng *r, uint64_t position, uint32_t quad, uint32_t out[4])
{
    uint32_t ctr[4] = {quad, (uint32_t)position, (uint32_t)(position >> 32), 0};

    rng_philox(ctr, r->key, out);
}

/* The same of RNG_QUADS quads, which are computed side by side. */
enum { RNG_QUADS = 4 };
void rng_quads(const struct rng *r, uint64_t position, const uint32_t quad[RNG_QUADS],
               uint32_t out[RNG_QUADS][4]);

/* Gumbel(0, 1) noise -log(-log u) of a lane's bits, u = (bits + 1/2) / 2^32; increasing in
 * bits. The argmax over tokens of logit + noise is a draw from softmax(logit). */
NUM_FN float rng_gumbel(uint32_t bits)
{
    return (float)-num_log_d(-num_log_d(((double)bits + 0.5) * 0x1p-32));
}

#endif
