/* rng.c - counter-based random numbers: f(seed, stream, position, lane). */
#include "rng.h"

struct rng rng_stream(uint64_t seed, uint64_t name_hi, uint64_t name_lo)
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, x[4];
    uint32_t ctr[4] = {(uint32_t)name_lo, (uint32_t)(name_lo >> 32), (uint32_t)name_hi,
                       (uint32_t)(name_hi >> 32)};

    rng_philox(ctr, key, x);
    return (struct rng){{x[0] ^ x[2], x[1] ^ x[3]}};
}

/* A round waits for the one before it; those of other quads need not. */
void rng_quads(const struct rng *r, uint64_t position, const uint32_t quad[RNG_QUADS],
               uint32_t out[RNG_QUADS][4])
{
    uint32_t c[4][RNG_QUADS], k0 = r->key[0], k1 = r->key[1];

    for (int q = 0; q < RNG_QUADS; q++) {
        c[0][q] = quad[q];
        c[1][q] = (uint32_t)position;
        c[2][q] = (uint32_t)(position >> 32);
        c[3][q] = 0;
    }
    for (int i = 0; i < 10; i++, k0 += RNG_KEY_0, k1 += RNG_KEY_1)
        for (int q = 0; q < RNG_QUADS; q++) {
            uint64_t a = (uint64_t)RNG_MUL_0 * c[0][q], b = (uint64_t)RNG_MUL_1 * c[2][q];

            c[0][q] = (uint32_t)(b >> 32) ^ c[1][q] ^ k0;
            c[1][q] = (uint32_t)b;
            c[2][q] = (uint32_t)(a >> 32) ^ c[3][q] ^ k1;
            c[3][q] = (uint32_t)a;
        }
    for (int q = 0; q < RNG_QUADS; q++)
        for (int i = 0; i < 4; i++)
            out[q][i] = c[i][q];
}

uint32_t rng_bits(const struct rng *r, uint64_t position, uint32_t lane)
{
    uint32_t x[4];

    rng_quad(r, position, lane / 4, x);
    return x[lane % 4];
}

double rng_unit(const struct rng *r, uint64_t position, uint32_t lane)
{
    return ((double)rng_bits(r, position, lane) + 0.5) * 0x1p-32;
}

uint32_t rng_below(const struct rng *r, uint64_t position, uint32_t lane, uint32_t n)
{
    return (uint32_t)((uint64_t)rng_bits(r, position, lane) * n >> 32);
}
