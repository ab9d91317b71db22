/* kinds_test.c - the bits of every byte, in texts of all lengths, against a look at each. */
#include "kinds.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static int is_in(unsigned char c, const char *list)
{
    return c && strchr(list, c) != NULL;
}

static int between(unsigned char c, int first, int last)
{
    return c >= first && c <= last;
}

static int is_space(unsigned char c)
{
    return between(c, 9, 13) || between(c, 28, 32);
}

static unsigned wrong_at(const struct kinds *t, size_t i)
{
    unsigned char c = i < t->n ? (unsigned char)t->s[i] : ' ';
    int digit = between(c, '0', '9'), latin = between(c | 32, 'a', 'z');
    unsigned bad = 0;

#define BIT(x) (int)(t->x[i / 64] >> i % 64 & 1)
    bad += BIT(word) != (digit || latin);
    bad += BIT(high) != (c >= 0x80);
    bad += BIT(space) != is_space(c);
    bad += BIT(line) != (between(c, 10, 13) || between(c, 28, 30));
    bad += BIT(upper) != between(c, 'A', 'Z');
    bad += BIT(newline) != (c == '\n');
    bad += BIT(stop) != is_in(c, ".!?");
    bad += BIT(data) != (digit || is_in(c, ":@+("));
#undef BIT
    return bad;
}

static unsigned wrong(const char *s, size_t n)
{
    static struct kinds t;
    size_t high = 0, latin = 0;
    int odd = 0, sign = 0, control = 0;
    unsigned bad = 0;

    kinds_text(&t, s, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        high += c >= 0x80;
        latin += (size_t)between(c | 32, 'a', 'z');
        odd |= is_in(c, "[{");
        sign |= is_in(c, "#<");
        control |= between(c, 0, 8) || between(c, 14, 27) || c == 31;
    }
    for (size_t i = 0; i < 64 * t.blocks; i++)
        bad += wrong_at(&t, i);
    bad += t.n_high != high || t.n_latin != latin || t.ascii != !high;
    bad += t.odd != odd || t.sign != sign || t.control != control || t.blocks != n / 64 + 1;
    if (!n)
        kinds_free(&t);
    return bad;
}

int main(void)
{
    unsigned bad = 0;

    TEST("each byte wherever it stands");
    for (int c = 0; c < 256; c++)
        for (size_t n = 1; n < 200; n += 1 + n / 8) {
            char *s = malloc(n); // to the byte, so that what reads behind it is found

            for (size_t i = 0; i < n; i++)
                s[i] = 'a';
            s[n - 1 - (size_t)c % n] = (char)c;
            bad += wrong(s, n);
            free(s);
        }
    CHECK(bad == 0);

    TEST("all of them together");
    for (size_t n = 400; n-- > 0;) {
        char s[400];

        for (size_t i = 0; i < n; i++)
            s[i] = (char)(i * 167 + n * 31 + i / 256);
        bad += wrong(s, n);
    }
    CHECK(bad == 0);
    return test_end();
}
