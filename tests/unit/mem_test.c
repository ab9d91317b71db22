/* mem_test.c - arenas, checked products, growth, and the end when memory is out. */
#include "arena.h"
#include "mem.h"
#include "test.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_checked(void)
{
    size_t x = 0;

    TEST("mem: products and sums are checked");
    CHECK(mem_mul(3, 5, &x) && x == 15);
    CHECK(mem_mul(0, SIZE_MAX, &x) && x == 0);
    CHECK(mem_mul(SIZE_MAX, 1, &x) && x == SIZE_MAX);
    CHECK(!mem_mul(SIZE_MAX, 2, &x));
    CHECK(!mem_mul((size_t)1 << 32, (size_t)1 << 32, &x));
    CHECK(mem_sum(SIZE_MAX - 1, 1, &x) && x == SIZE_MAX);
    CHECK(!mem_sum(SIZE_MAX, 1, &x));
}

static void test_blocks(void)
{
    unsigned char *p;
    char *s, *none;
    int bad = 0;

    TEST("mem: blocks: empty ones can be freed, aligned ones are zero");
    free(mem_new(0));
    free(mem_zero(0, 8));
    free(mem_resize(NULL, 0, 4));
    s = mem_dup("a\0b", 3);
    CHECK(!memcmp(s, "a\0b", 4));
    free(s);
    none = mem_dup(NULL, 0);
    CHECK(*none == 0);
    free(none);
    for (size_t n = 0; n < 300; n += 7) {
        p = mem_aligned(n);
        bad += (uintptr_t)p % 64 != 0;
        for (size_t i = 0; i < n; i++)
            bad += p[i] != 0;
        free(p);
    }
    CHECK(bad == 0);
}

static void test_grow(void)
{
    int *p = NULL;
    size_t cap = 0, moved = 0;
    int bad = 0;

    TEST("mem_grow: n appends cost O(n) and keep what is there");
    for (int i = 0; i < 100000; i++) {
        size_t old = cap;

        mem_grow(&p, &cap, (size_t)i + 1, sizeof(*p));
        moved += cap != old ? old : 0;
        p[i] = i;
    }
    for (int i = 0; i < 100000; i++)
        bad += p[i] != i;
    CHECK(bad == 0);
    CHECK(moved < 400000);
    CHECK(cap >= 100000 && cap < 200000);
    free(p);
}

static void test_arena(void)
{
    struct arena a = {0};
    char *p[1000];
    int bad = 0;

    TEST("arena: aligned, apart, zeroed struct is empty, reset keeps one small block");
    arena_reset(&a);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 1000; i++) {
            p[i] = arena_new(&a, i);
            bad += (uintptr_t)p[i] % 16 != 0;
            memset(p[i], (int)(i & 127), i);
        }
        for (size_t i = 0; i < 1000; i++)
            for (size_t k = 0; k < i; k++)
                bad += p[i][k] != (char)(i & 127);
        arena_reset(&a);
        CHECK(a.total <= (1 << 20));
    }
    CHECK(bad == 0);
    memset(arena_new(&a, (size_t)5 << 20), 1, (size_t)5 << 20);
    arena_reset(&a);
    CHECK(a.total <= (1 << 20)); // a large block is given back
    CHECK(!memcmp(arena_dup(&a, "xyz", 2), "xy", 3));
    arena_free(&a);
    CHECK(!a.block && !a.total);
    arena_free(&a);
}

/* Exit status of a child that asks for more than there is. */
static int ask(int how)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (!pid) {
        struct arena a = {0};

        dup2(open("/dev/null", O_WRONLY), 2);
        if (how == 0)
            free(mem_resize(NULL, SIZE_MAX / 2, 4));
        if (how == 1)
            free(mem_aligned(SIZE_MAX - 3));
        if (how == 2)
            arena_new(&a, SIZE_MAX - 3);
        if (how == 3)
            mem_dup("", SIZE_MAX - 1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
    test_checked();
    test_blocks();
    test_grow();
    test_arena();
    TEST("mem: out of memory ends with status 2, never with a pointer");
#ifdef __SANITIZE_ADDRESS__
    CHECK(ask(0) == 2); // the others are stopped by the sanitizer itself
#else
    for (int i = 0; i < 4; i++)
        CHECK(ask(i) == 2);
#endif
    return test_end();
}
