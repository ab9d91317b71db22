/* spread_test.c - quantiles. */
#include "spread.h"
#include "test.h"

#include <string.h>

int main(void)
{
    struct spread s = {0};
    struct buf b = {0};

    TEST("nothing");
    CHECK(spread_at(&s, 0.5) == 0);

    TEST("one value is every quantile");
    spread_add(&s, 7);
    CHECK(spread_at(&s, 0) == 7 && spread_at(&s, 0.5) == 7 && spread_at(&s, 1) == 7);

    TEST("in any order, between neighbours");
    spread_add(&s, 1);
    spread_add(&s, 3);
    spread_add(&s, 9);
    CHECK(spread_at(&s, 0) == 1);
    CHECK(spread_at(&s, 0.5) == 5);
    CHECK(spread_at(&s, 0.25) == 2.5);
    CHECK(spread_at(&s, 1) == 9);

    TEST("as JSON");
    spread_put(&s, &b);
    CHECK(!strcmp(buf_cstr(&b), "{\"min\":1,\"q1\":2.5,\"q3\":7.5,\"max\":9,\"n\":4}"));
    buf_free(&b);
    spread_free(&s);
    return test_end();
}
