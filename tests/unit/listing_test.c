/* listing_test.c - lists as they are shown, split and taken apart, in each form. */
#include "listing.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static enum listing_form form;
static int n_items;
static struct listing_item item[LISTING_MAX];

static int split(const char *s, int first, bool cut)
{
    n_items = listing_split(form, s, strlen(s), first, cut, item);
    return n_items;
}

static bool is(int i, const char *want)
{
    return i < n_items && item[i].n == strlen(want) && !memcmp(item[i].text, want, item[i].n);
}

/* Whether item i is this instruction, input and output. */
static bool task(int i, const char *inst, const char *input, const char *output)
{
    struct tasks_task t = {0};
    bool same;

    listing_take(form, &item[i], &t);
    same = !strcmp(buf_cstr(&t.inst), inst) && !strcmp(buf_cstr(&t.input), input) &&
           !strcmp(buf_cstr(&t.output), output);
    if (!same)
        printf("# %s | %s | %s\n", buf_cstr(&t.inst), buf_cstr(&t.input), buf_cstr(&t.output));
    tasks_free(&t);
    return same;
}

static bool shows(const char *text, const char *output, const char *want)
{
    struct buf b = {0};
    bool same;

    listing_put(form, 1, text, strlen(text), output, &b);
    listing_put(form, 2, "Say it.", 7, "it", &b);
    same = !strcmp(buf_cstr(&b), want);
    if (!same)
        printf("# %s\n", buf_cstr(&b));
    buf_free(&b);
    return same;
}

static void alpaca(void)
{
    form = LISTING_ALPACA;
    TEST("Alpaca's form");
    CHECK(shows("Add them.\nInput: 1 2", "3",
                "###\n1. Instruction: Add them.\n1. Input:\n1 2\n1. Output:\n3\n"
                "###\n2. Instruction: Say it.\n2. Input:\n<noinput>\n2. Output:\nit"));
    CHECK(split(" Add them.\n4. Input:\n1 2\n4. Output:\n3\n###\n5. Instruction: Name\none.\n"
                "5. Input:\n<noinput>\n5. Output: a\nInput: b\n###\n6. Instruction: Cut",
                4, true) == 3);
    CHECK(task(0, "Add them.", "1 2", "3"));
    CHECK(task(1, "Name\none.", "", "a\nInput: b")); // labels do not go back
    CHECK(task(2, "Cut", "", "") && item[2].truncated && !item[1].truncated);
    CHECK(split("\n###\n\n###\n", 4, false) == 0);
    CHECK(split("no label", 4, false) == 1 && task(0, "no label", "", ""));
    CHECK(split("###\n1. Instruction: Add.\n1. Output: 3\n###\n2. Instruction: Cut", 4, false) ==
          2);
    CHECK(task(0, "Add.", "", "3") && task(1, "Cut", "", ""));
}

int main(void)
{
    TEST("items of a completion");
    CHECK(split(" Say hello.\n10. Count the words.\nInput: a b\n11) Third one.\n", 9, false) == 3);
    CHECK(is(0, "Say hello.") && is(1, "Count the words.\nInput: a b") && is(2, "Third one."));
    CHECK(!item[0].truncated && !item[2].truncated);
    CHECK(split(" One\n10. Two\n11. Thr", 9, true) == 3);
    CHECK(!item[1].truncated && item[2].truncated);
    CHECK(split("", 9, true) == 0);
    CHECK(split(" \n10. \n11. x", 9, false) == 1 && is(0, "x"));
    TEST("numbers inside an item are its own");
    CHECK(split(" Rank:\n1. a\n2. b\n10. Next", 9, false) == 2);
    CHECK(is(0, "Rank:\n1. a\n2. b") && is(1, "Next"));
    CHECK(split(" One\n10.5 is a number\n12. Two\n11. still two\n99. also", 9, false) == 2);
    CHECK(is(0, "One\n10.5 is a number") && is(1, "Two\n11. still two\n99. also"));
    CHECK(split(" a\n10. b\n10. c", 9, false) == 2 && is(1, "b\n10. c"));

    TEST("a model that begins the list itself");
    CHECK(split("9. One\n10. Two", 9, false) == 2 && is(0, "One") && is(1, "Two"));
    CHECK(split("\n9) One\n 1. a\n9. b", 9, false) == 1 && is(0, "One\n 1. a\n9. b"));
    CHECK(split("1. One\n2. Two\n3) Three", 9, false) == 3 && is(0, "One") && is(2, "Three"));
    CHECK(split("Here are more:\n\n9. One\n10. Two", 9, false) == 2 && is(0, "One") &&
          is(1, "Two"));
    CHECK(split("Here are more:\n\n9. One", 9, true) == 1 && is(0, "One") && item[0].truncated);
    CHECK(split("Rank:\n1. a\n2. b\n3. Next", 2, false) == 2 && is(0, "Rank:\n1. a\n2. b"));
    CHECK(split("1. One\n2. Two", 2, false) == 2 && is(0, "One") && is(1, "Two"));
    CHECK(split("1984. A novel\n10. Two", 9, false) == 2 && is(0, "1984. A novel"));
    CHECK(split("One\n9.", 9, false) == 0 && split("9.", 9, false) == 0);

    CHECK(shows("Add them.\nInput: 1 2", "3", "1. Add them.\nInput: 1 2\n2. Say it."));
    CHECK(split(" a\n10. b\nInput: c", 9, false) == 2 && task(1, "b", "c", ""));
    CHECK(split(" a\n  x\n\t Input: c\n   d", 9, false) == 1 && task(0, "a\n  x", "c\n   d", ""));
    CHECK(split(" a\r\n  Input: c\n  Inputs: d", 9, false) == 1 &&
          task(0, "a", "c\n  Inputs: d", ""));
    alpaca();

    form = LISTING_ONE;
    TEST("one task, whatever numbers it has");
    CHECK(split(" Rank:\n2. a\n3. b\n", 1, false) == 1 && is(0, "Rank:\n2. a\n3. b"));
    CHECK(split(" \n ", 1, false) == 0);
    TEST("labels");
    CHECK(listing_label("Input: x", 8, "input:") == 7 &&
          listing_label("12. INPUT:x", 11, "input:") == 10);
    CHECK(!listing_label("Inputs: x", 9, "input:") && !listing_label("an input:", 9, "input:"));
    return test_end();
}
