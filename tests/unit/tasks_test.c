/* tasks_test.c - taking tasks apart, each rule, rules switched off. */
#include "tasks.h"
#include "test.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static struct recipe_list list(const char *phrase)
{
    struct recipe_list l = {calloc(1, sizeof(struct recipe_phrase)), 1};

    l.item[0].text = phrase;
    words_fold(phrase, strlen(phrase), &l.item[0].fold);
    return l;
}

/* The rule that a task's text breaks, "" for none. */
static const char *rule(const struct tasks_rules *r, const char *text, bool truncated,
                        const char *value)
{
    struct tasks_task t = {0};
    struct buf v = {0}, limit = {0};
    const char *got;

    tasks_take(&t, text, strlen(text));
    got = tasks_broken(r, &t, truncated, &v, &limit);
    if (value && strcmp(buf_cstr(&v), value)) {
        printf("# value %s\n", buf_cstr(&v));
        got = "wrong value";
    }
    tasks_free(&t);
    buf_free(&v);
    buf_free(&limit);
    return got ? got : "";
}

static void test_take(void)
{
    struct tasks_task t = {0};

    TEST("tasks taken apart");
    tasks_take(&t, " Sort  the\nlist. \nInput:  b a \n", 32);
    CHECK(!strcmp(buf_cstr(&t.inst), "Sort  the\nlist."));
    CHECK(!strcmp(buf_cstr(&t.input), "b a"));
    CHECK(!strcmp(buf_cstr(&t.fold), " sort the list b a "));
    tasks_take(&t, "Say it.\nInput: <noinput>", 24);
    CHECK(!strcmp(buf_cstr(&t.inst), "Say it."));
    CHECK(t.input.n == 0);
    tasks_take(&t, "", 0);
    CHECK(t.inst.n == 0 && t.input.n == 0);
    tasks_free(&t);
}

int main(void)
{
    struct tasks_rules r = {4, 10, false, list("go to"), list("Write a program"), NULL};
    static const char *const others[] = {"other", NULL};
    struct tasks_off off;
    struct err e;

    test_take();

    TEST("each rule");
    CHECK(!strcmp(rule(&r, "Name four red things.", false, ""), ""));
    CHECK(!strcmp(rule(&r, "Name four red things.", true, NULL), "truncated"));
    CHECK(!strcmp(rule(&r, "\nInput: x", false, NULL), "empty"));
    CHECK(!strcmp(rule(&r, "Name three things.", false, "3"), "short"));
    CHECK(!strcmp(rule(&r, "a b c d e f g h i j k", false, "11"), "long"));
    CHECK(!strcmp(rule(&r, "Sort these four words:", false, NULL), "incomplete"));
    CHECK(!strcmp(rule(&r, "Sort these four words:\nInput: a b c d", false, ""), ""));
    CHECK(!strcmp(rule(&r, "Sort these four words.\nInput: a b\nInput: c", false, NULL), "inputs"));
    CHECK(!strcmp(rule(&r, "Please GO to the shop.", false, "\"go to\""), "blacklist"));
    CHECK(!strcmp(rule(&r, "Do as told here.\nInput: go to bed", false, ""), ""));
    CHECK(!strcmp(rule(&r, "write a program that sorts", false, NULL), "start"));
    CHECK(!strcmp(rule(&r, "Do not write a program", false, ""), ""));
    CHECK(!strcmp(rule(&r, "- name four red things", false, "\"-\""), "punctuation"));
    CHECK(!strcmp(rule(&r, "```python is shown here", false, "\"`\""), "punctuation"));
    CHECK(!strcmp(rule(&r, "| a | b | c |", false, "\"|\""), "punctuation"));
    CHECK(!strcmp(rule(&r, "「四個字列出」", false, "\"「\""), "punctuation"));
    TEST("languages pass unless ASCII is asked for");
    CHECK(!strcmp(rule(&r, "列出四個字。", false, ""), ""));
    CHECK(!strcmp(rule(&r, "단어를 써라.", false, ""), ""));
    r.ascii = true;
    CHECK(!strcmp(rule(&r, "列出四個字。", false, "\"列\""), "language"));
    CHECK(!strcmp(rule(&r, "Name four rôles here.", false, ""), ""));
    TEST("rules switched off");
    CHECK(!tasks_off(&off, "short,punctuation,blacklist,other", others, &e) && off.n == 4);
    r.off = &off;
    CHECK(!strcmp(rule(&r, "Name three things.", false, ""), ""));
    CHECK(!strcmp(rule(&r, "- go to the red shop", false, ""), ""));
    CHECK(!strcmp(rule(&r, "a b c d e f g h i j k", false, "11"), "long"));
    CHECK(!strcmp(rule(&r, "write a program that sorts", false, NULL), "start"));
    tasks_off_free(&off);
    CHECK(!tasks_off(&off, "start,long,inputs,incomplete", others, &e));
    CHECK(!strcmp(rule(&r, "write a program that sorts", false, ""), ""));
    CHECK(!strcmp(rule(&r, "go to a b c d e f g h i j k", false, NULL), "blacklist"));
    CHECK(!strcmp(rule(&r, "Sort these four words:", false, ""), ""));
    CHECK(!strcmp(rule(&r, "Name three things.", false, "3"), "short"));
    tasks_off_free(&off);
    CHECK(tasks_off(&off, "long,tall", others, &e) && strstr(e.msg, "'tall' is not one of short"));
    tasks_off_free(&off);
    CHECK(!tasks_off(&off, NULL, others, &e) && !off.n);
    TEST("the instruction's words alone");
    {
        struct tasks_task t = {.bare = true};

        tasks_take(&t, "Sort the list.\nInput: b a", 25);
        CHECK(!strcmp(buf_cstr(&t.fold), " sort the list "));
        tasks_free(&t);
    }
    recipe_list_free(&r.blacklist);
    recipe_list_free(&r.starts);
    return test_end();
}
