/* buf_test.c - growable byte strings. */
#include "buf.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    struct buf b = {0};
    char big[5000];

    TEST("buf: zeroed is empty and reads as \"\"");
    CHECK(!strcmp(buf_cstr(&b), ""));
    buf_reset(&b);
    buf_free(&b);
    buf_add(&b, NULL, 0);
    CHECK(b.n == 0 && b.p && b.p[0] == 0);
    buf_free(&b);
    CHECK(!b.p && !b.n && !b.cap);

    TEST("buf: appends bytes, strings, characters, formats; always NUL-terminated");
    buf_add(&b, "a\0b", 3);
    buf_str(&b, "cd");
    buf_char(&b, '\0');
    buf_char(&b, 'e');
    buf_fmt(&b, "%d-%s", 42, "xyz");
    CHECK(b.n == 13 && !memcmp(b.p, "a\0bcd\0e42-xyz", 14));
    buf_fmt(&b, "%s", "");
    CHECK(b.n == 13 && b.p[13] == 0);
    buf_reset(&b);
    CHECK(b.n == 0 && b.p[0] == 0);

    TEST("buf: a format longer than any first guess");
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    for (int i = 0; i < 50; i++)
        buf_fmt(&b, "%s%d", big, i % 10);
    CHECK(b.n == 50 * 5000 && b.p[b.n] == 0 && b.p[4999] == '0' && b.p[b.n - 1] == '9');

    TEST("buf: many single characters");
    buf_reset(&b);
    for (int i = 0; i < 300000; i++)
        buf_char(&b, (char)('a' + i % 26));
    CHECK(b.n == 300000 && b.p[299999] == (char)('a' + 299999 % 26));
    buf_free(&b);
    return test_end();
}
