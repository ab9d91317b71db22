/* instances_test.c - inputs and outputs read out of texts, and each rule of step 4. */
#include "instances.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static struct instances x;

/* What is read: "input>output;..." */
static bool reads(const char *text, const char *given, bool labels, int most, const char *want)
{
    struct buf b = {0}, input = {0};
    bool same;

    buf_str(&input, given ? given : "");
    instances_read(&x, text, strlen(text), given ? &input : NULL, labels, false, most);
    for (int i = 0; i < x.n; i++)
        buf_fmt(&b, "%s>%s;", buf_cstr(&x.item[i].input), buf_cstr(&x.item[i].output));
    same = !strcmp(buf_cstr(&b), want);
    if (!same)
        printf("# %s\n", buf_cstr(&b));
    buf_free(&b);
    buf_free(&input);
    return same;
}

/* The rules that the instances of a text break, "-" for none. */
static bool broken(const char *text, bool cut, const char *const *off, int n_off, const char *want)
{
    struct buf b = {0};
    bool same;
    int left = 0, n;

    instances_read(&x, text, strlen(text), NULL, false, cut, 5);
    n = instances_check(&x, off, n_off);
    for (int i = 0; i < x.n; i++) {
        buf_fmt(&b, "%s ", x.item[i].rule ? x.item[i].rule + strlen("instance-") : "-");
        left += !x.item[i].rule;
    }
    same = !strcmp(buf_cstr(&b), want) && n == left;
    if (!same)
        printf("# %s\n", buf_cstr(&b));
    buf_free(&b);
    return same;
}

int main(void)
{
    static const char *const off[] = {"instance-colon", "instance-conflict"};
    struct buf long_text = {0};

    TEST("input first");
    CHECK(reads("Input: a\nOutput: b", NULL, false, 5, "a>b;"));
    CHECK(reads("Example 1\nInput: a b\nc\nOutput: d\ne\n\nExample 2\nInput: f\nOutput: g\n", NULL,
                false, 5, "a b\nc>d\ne;f>g;"));
    CHECK(reads("Input: a\nOutput: b\nInput: c\nOutput: d", NULL, false, 5, "a>b;c>d;"));
    CHECK(reads("Output: b", NULL, false, 5, ">b;"));
    CHECK(reads("Output: b\nOutput: c", NULL, false, 5, ">b;>c;"));
    CHECK(reads("The text.\nOutput: b", NULL, false, 5, "The text.>b;")); // as published
    CHECK(reads("Input: <noinput>\nOutput: b", NULL, false, 5, ">b;"));
    CHECK(
        reads("Just an answer\nin two lines.", NULL, false, 5, ">Just an answer\nin two lines.;"));
    CHECK(reads("Example 1\nfoo", NULL, false, 5, ">foo;"));
    CHECK(reads("Input: a", NULL, false, 5, "a>;"));
    CHECK(reads("", NULL, false, 5, "") && reads(" \n\nExample 1\n", NULL, false, 5, ""));
    CHECK(reads("Input: a\nOutput: b\nInput: c\nOutput: d", NULL, false, 1, "a>b;"));
    TEST("an input that the task came with");
    CHECK(reads("42", "6 7", false, 5, "6 7>42;"));
    CHECK(reads("Output: 42\nExample 2\nOutput: 43", "6 7", false, 5, "6 7>42;"));
    CHECK(reads("Input: 6 7\nOutput: 42", "6 7", false, 5, "6 7>42;"));
    TEST("output first");
    CHECK(reads(" yes\nIt works.\nClass label: no\nInput: It fails.\nat once", NULL, true, 5,
                "It works.>yes;It fails.\nat once>no;"));
    CHECK(reads("Class label: yes\nIt works.\n", NULL, true, 5, "It works.>yes;"));
    CHECK(reads(" yes", NULL, true, 5, ">yes;"));
    CHECK(reads(" a\nx\nClass label: b\ny\nClass label: c\nz", NULL, true, 2, "x>a;y>b;"));
    TEST("no more than there is room for");
    for (int i = 0; i < 40; i++)
        buf_str(&long_text, "Class label: a\nx\n");
    instances_read(&x, long_text.p, long_text.n, NULL, true, false, INSTANCES_MAX);
    CHECK(x.n == INSTANCES_MAX);
    buf_reset(&long_text);
    for (int i = 0; i < 40; i++)
        buf_str(&long_text, "Example 1\nOutput: x\n");
    instances_read(&x, long_text.p, long_text.n, NULL, false, false, INSTANCES_MAX);
    CHECK(x.n == INSTANCES_MAX);
    buf_free(&long_text);

    TEST("each rule");
    CHECK(broken("Input: a\nOutput: b\nInput: c\nOutput: d", false, NULL, 0, "- - "));
    CHECK(broken("Input: a\nOutput: b\nInput: c\nOutput: d", true, NULL, 0, "- truncated "));
    CHECK(broken("Input: a\nOutput:\nInput: c\nOutput: d", false, NULL, 0, "empty - "));
    CHECK(broken("Input: a\nOutput: a\nInput: c\nOutput: d", false, NULL, 0, "echo - "));
    CHECK(broken("Input: a:\nOutput: b\nInput: c\nOutput: d:", false, NULL, 0, "colon colon "));
    CHECK(broken("Input: a\nOutput: b\nInput: c\nOutput: d\nInput: a\nOutput: x", false, NULL, 0,
                 "conflict conflict conflict "));
    // what is dropped by itself is in nobody's way
    CHECK(broken("Input: a\nOutput: b c\nInput: a\nOutput: b", true, NULL, 0, "- truncated "));
    CHECK(broken("Input: a\nOutput:\nInput: a\nOutput: b", false, NULL, 0, "empty - "));
    CHECK(broken("Input: a\nOutput: b:\nInput: a\nOutput: b\nInput: a\nOutput: b", false, NULL, 0,
                 "colon - same "));
    CHECK(broken("Output: b\nOutput: c", false, NULL, 0, "- - ")); // without an input there is none
    CHECK(broken("Input: a\nOutput: b\nInput: a\nOutput: b", false, NULL, 0, "- same "));
    CHECK(broken("Input: a:\nOutput: b\nInput: a:\nOutput: x", false, off, 2, "- - "));
    instances_free(&x);
    return test_end();
}
