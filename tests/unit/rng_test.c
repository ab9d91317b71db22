/* rng_test.c - Philox against its published vectors, and the noise made from it. */
#include "rng.h"
#include "test.h"

#include <math.h>
#include <string.h>

/* Known answers of Random123's kat_vectors, philox4x32 with 10 rounds. */
static void known_answers(void)
{
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t out[4];

    TEST("philox: known answers");
    for (size_t i = 0; i < sizeof(kat) / sizeof(*kat); i++) {
        rng_philox(kat[i].ctr, kat[i].key, out);
        CHECK(!memcmp(out, kat[i].out, sizeof(out)));
    }
}

static void streams(void)
{
    struct rng a = rng_stream(1, 2, 3), b = rng_stream(1, 2, 4), c = rng_stream(2, 2, 3);
    uint32_t q[4], many[RNG_QUADS][4];
    const uint32_t quad[RNG_QUADS] = {5, UINT32_MAX, 0, 77};
    double sum = 0;

    TEST("streams differ by seed and by name; lanes and quads agree");
    CHECK(memcmp(&a, &b, sizeof(a)) && memcmp(&a, &c, sizeof(a)));
    rng_quad(&a, 77, 5, q);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(rng_bits(&a, 77, 20 + i) == q[i]);
    rng_quads(&a, (7ull << 32) + 9, quad, many);
    for (int i = 0; i < RNG_QUADS; i++) {
        rng_quad(&a, (7ull << 32) + 9, quad[i], q);
        CHECK(!memcmp(many[i], q, sizeof(q)));
    }
    CHECK(rng_bits(&a, 77, 0) != rng_bits(&a, 78, 0));
    CHECK(rng_bits(&a, 1ull << 32, 0) != rng_bits(&a, 0, 0));
    TEST("uniform: inside (0, 1), mean near 1/2; integers below their bound");
    for (uint32_t i = 0; i < 100000; i++) {
        double u = rng_unit(&a, i, 0);

        sum += u;
        CHECK(u > 0 && u < 1);
        CHECK(rng_below(&a, i, 1, 7) < 7);
    }
    CHECK(fabs(sum / 100000 - 0.5) < 0.005);
}

static void gumbel(void)
{
    struct rng r = rng_stream(9, 0, 0);
    double sum = 0, sq = 0;
    int n = 200000;

    TEST("gumbel: mean and variance, against libm, finite at both ends, increasing");
    for (int i = 0; i < n; i++) {
        uint32_t bits = rng_bits(&r, (uint64_t)i, 0);
        double g = (double)rng_gumbel(bits), u = ((double)bits + 0.5) / 4294967296.0;

        CHECK(fabs(g - -log(-log(u))) < 1e-6 * (1 + fabs(g)));
        sum += g;
        sq += g * g;
    }
    CHECK(fabs(sum / n - 0.5772) < 0.01);
    CHECK(fabs(sq / n - sum / n * sum / n - 1.6449) < 0.03);
    CHECK(isfinite(rng_gumbel(0)) && isfinite(rng_gumbel(UINT32_MAX)));
    CHECK(rng_gumbel(UINT32_MAX) < 23 && rng_gumbel(0) > -4);
    for (uint32_t b = 0; b < 4000000000u; b += 100000007u)
        CHECK(rng_gumbel(b) <= rng_gumbel(b + 100000007u));
}

int main(void)
{
    known_answers();
    streams();
    gumbel();
    return test_end();
}
