/* test.h - checks that print TAP. Each test program calls TEST(name) for a group
 * of CHECKs and ends with `return test_end();`. */
#ifndef TEST_H
#define TEST_H

#include <stdio.h>

static int test_n, test_bad, test_failed; // groups begun, CHECKs failed in this one, groups failed
static const char *test_name;

static inline void test_close(void)
{
    if (!test_name)
        return;
    printf("%s %d %s\n", test_bad ? "not ok" : "ok", test_n, test_name);
    fflush(stdout);
    test_failed += test_bad != 0;
}

static inline int test_end(void)
{
    test_close();
    printf("1..%d\n", test_n);
    return test_failed != 0;
}

#define TEST(name) (test_close(), test_name = (name), test_n++, test_bad = 0)
#define CHECK(x) \
    ((x) ? (void)0 : (void)(test_bad++, printf("# %s:%d: %s\n", __FILE__, __LINE__, #x)))
#define SKIP(why) printf("ok %d %s # skip %s\n", ++test_n, __FILE__, (why))

#endif
