/* utf8_test.c - every code point, every two-byte start, the bad sequences of table 3-7. */
#include "test.h"
#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static void test_all(void)
{
    int bad = 0;

    TEST("utf8: every scalar value goes out and comes back");
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char s[4];
        uint32_t back = 0;
        int n;

        if (cp == 0xD800)
            cp = 0xE000;
        n = utf8_put(s, cp);
        bad += n != (cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        bad += utf8_get(s, (size_t)n, &back) != n || back != cp;
        bad += utf8_check(s, (size_t)n) != (size_t)n;
        for (int k = 1; k < n; k++) // a part of it is none, and is held back
            bad += utf8_get(s, (size_t)k, &back) != 0 || utf8_check(s, (size_t)k) != 0 ||
                   utf8_whole(s, (size_t)k) != 0;
        bad += utf8_whole(s, (size_t)n) != (size_t)n;
    }
    CHECK(bad == 0);
}

static void test_malformed(void)
{
    static const struct {
        const char *s;
        size_t n, at;
    } t[] = {
        {"\x80", 1, 0},
        {"ab\xBF", 3, 2},
        {"\xC0\x80", 2, 0},
        {"\xC1\xBF", 2, 0},
        {"\xE0\x80\x80", 3, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xED\xA0\x80", 3, 0},
        {"\xED\xBF\xBF", 3, 0},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"\xF4\x90\x80\x80", 4, 0},
        {"\xF5\x80\x80\x80", 4, 0},
        {"\xFE", 1, 0},
        {"\xFF", 1, 0},
        {"a\xE2\x82", 3, 1},
        {"\xE2\x82x", 3, 0},
        {"\xC3\xA9\xC3", 3, 2},
        {"\xF0\x9F\x98\x80\xF0\x9F", 6, 4},
        {"\xE2\x28\xA1", 3, 0},
    };

    TEST("utf8: malformed sequences are found at their first byte");
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        CHECK(utf8_check(t[i].s, t[i].n) == t[i].at);
    CHECK(utf8_check("", 0) == 0);
    CHECK(utf8_check("a\0b", 3) == 3);
    CHECK(utf8_get("", 0, &(uint32_t){0}) == 0);
}

/* By definition: could more bytes make the end of s[0..n) one character? */
static bool could_go_on(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        char t[4];
        uint32_t cp;

        memcpy(t, s + n - back, back);
        for (unsigned x = 0; x < 64 * 64 * 64; x++) {
            size_t len = back;

            for (unsigned y = x; len < 4; len++, y >>= 6)
                t[len] = (char)(0x80 | (y & 63));
            if (utf8_get(t, 4, &cp) > (int)back)
                return true;
            if (back == 3 ? x >= 63 : back == 2 ? x >= 4095 : false)
                break;
        }
    }
    return false;
}

static void test_whole(void)
{
    static const unsigned char pick[] = {0x00, 'a',  0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                         0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED,
                                         0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF};
    size_t n = sizeof(pick);
    int bad = 0;

    TEST("utf8_whole: holds back exactly what can still become a character");
    for (size_t i = 0; i < n * n * n; i++) {
        char s[3] = {(char)pick[i % n], (char)pick[i / n % n], (char)pick[i / n / n]};
        size_t whole = utf8_whole(s, 3);
        uint32_t cp;
        bool open = whole < 3;

        if (i % 19) // a part of them is enough for the slow definition
            continue;
        bad += open != could_go_on(s, 3);
        bad += open && utf8_get(s + whole, 3 - whole, &cp) != 0;
    }
    CHECK(bad == 0);
    CHECK(utf8_whole("ab\xE2\x82", 4) == 2);
    CHECK(utf8_whole("ab\xE2\x82\xAC", 5) == 5);
    CHECK(utf8_whole("\xF0\x9F\x98", 3) == 0);
    CHECK(utf8_whole("\xED\xA0", 2) == 2); // no character begins so
    CHECK(utf8_whole("\x80\x80\x80\x80", 4) == 4);
    CHECK(utf8_whole("", 0) == 0);
}

int main(void)
{
    test_all();
    test_malformed();
    test_whole();
    return test_end();
}
