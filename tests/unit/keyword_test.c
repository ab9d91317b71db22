/* keyword_test.c - the words of topics. */
#include "keyword.h"
#include "test.h"

#include <string.h>

static struct buf b;

static void add(struct keyword *k, int topic, const char *s)
{
    keyword_add(k, topic, s, strlen(s));
}

static const char *top(struct keyword *k, int topic, int n)
{
    buf_reset(&b);
    keyword_top(k, topic, n, &b);
    return buf_cstr(&b);
}

int main(void)
{
    struct keyword *k = keyword_open(4);

    TEST("what sets a topic apart, ties in the order of bytes, asked twice");
    add(k, 0, "Sort the numbers 1 2 3");
    add(k, 0, "the numbers, the numbers: add x");
    add(k, 1, "the birds: 한 마리");
    add(k, 1, "the Birds sort add");
    add(k, 2, "the end");
    add(k, 2, "!!!");
    CHECK(!strcmp(top(k, 0, 3), "numbers, add, sort"));
    CHECK(!strcmp(top(k, 1, 1), "birds"));
    CHECK(!strcmp(top(k, 1, 2), "birds, 리"));
    CHECK(!strcmp(top(k, 2, 1), "end"));
    CHECK(!strcmp(top(k, 3, 3), "")); // no texts
    add(k, 3, "??");
    CHECK(!strcmp(top(k, 3, 3), ""));
    CHECK(!strcmp(top(k, 0, 1), "numbers")); // asked again after more texts
    keyword_close(k);
    TEST("one topic alone: its most frequent words");
    k = keyword_open(1);
    add(k, 0, "red fox");
    add(k, 0, "red fish");
    CHECK(!strcmp(top(k, 0, 2), "red, fish"));
    keyword_close(k);
    buf_free(&b);
    return test_end();
}
