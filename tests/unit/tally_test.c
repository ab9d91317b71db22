/* tally_test.c - counts by id, keys that are alike, memory. */
#include "tally.h"
#include "test.h"

#include <stdlib.h>

/* Bytes of the table. */
static size_t bytes(const struct tally *t)
{
    return t->cap * sizeof(struct tally_entry);
}

int main(void)
{
    struct tally t = {0};
    struct hash128 zero = {0, 0};
    int bad = 0;

    TEST("tally: counts of 300,000 ids, and none for others");
    CHECK(!tally_find(&t, hash_bytes("x", 1)));
    for (int i = 0; i < 600000; i++) {
        int id = i % 300000;

        tally_soon(&t, hash_bytes(&id, sizeof(id)));
        tally_at(&t, hash_bytes(&id, sizeof(id)))->seen++;
        tally_at(&t, hash_bytes(&id, sizeof(id)))->done += (uint32_t)(id % 3);
    }
    for (int id = 0; id < 400000; id++) {
        const struct tally_entry *x = tally_find(&t, hash_bytes(&id, sizeof(id)));

        bad += id < 300000 ? !x || x->seen != 2 || x->done != 2 * (uint32_t)(id % 3) : x != NULL;
    }
    CHECK(bad == 0);
    CHECK(bytes(&t) < (size_t)40 * 300000);

    TEST("tally: the zero key, keys that share a half");
    CHECK(tally_at(&t, zero)->seen == 0);
    tally_at(&t, zero)->seen = 5;
    CHECK(tally_at(&t, zero)->seen == 5 && tally_find(&t, zero)->seen == 5);
    for (uint64_t i = 1; i <= 1000; i++) {
        tally_at(&t, (struct hash128){i << 32, 7})->seen = (uint32_t)i;
        tally_at(&t, (struct hash128){9, i})->seen = (uint32_t)i;
    }
    for (uint64_t i = 1; i <= 1000; i++) {
        const struct tally_entry *a = tally_find(&t, (struct hash128){i << 32, 7});
        const struct tally_entry *b = tally_find(&t, (struct hash128){9, i});

        bad += !a || a->seen != i || !b || b->seen != i;
    }
    CHECK(bad == 0);
    tally_free(&t);
    CHECK(bytes(&t) == 0 && !tally_find(&t, zero));
    tally_free(&t);
    return test_end();
}
