/* words_test.c - words of many scripts, counting, whole-word phrases. */
#include "test.h"
#include "words.h"

#include <string.h>

static bool folds(const char *s, const char *want)
{
    struct buf b = {0};
    bool same;

    words_fold(s, strlen(s), &b);
    same = !strcmp(b.p, want);
    if (!same)
        printf("# '%s' gives '%s'\n", s, b.p);
    buf_free(&b);
    return same;
}

static bool holds(const char *text, const char *phrase)
{
    struct buf t = {0}, p = {0};
    bool yes;

    words_fold(text, strlen(text), &t);
    words_fold(phrase, strlen(phrase), &p);
    yes = words_hold(&t, &p);
    buf_free(&t);
    buf_free(&p);
    return yes;
}

static int count(const char *s)
{
    return words_count(s, strlen(s));
}

int main(void)
{
    TEST("folding");
    CHECK(folds("", " "));
    CHECK(folds("  ,;- ", " "));
    CHECK(folds("Don't STOP, x_1!", " don t stop x 1 "));
    CHECK(folds("Écris LE Mot ÜBER", " écris le mot über "));
    CHECK(folds("ПРИВЕТ мир", " привет мир "));
    CHECK(folds("단어 Apple를", " 단 어 apple 를 "));
    CHECK(folds("請列出3個字。", " 請 列 出 3 個 字 "));
    CHECK(folds("ひらカナ", " ひ ら カ ナ "));
    CHECK(folds("กิน", " กิ น "));
    CHECK(folds("e\xcc\x81t", " e\xcc\x81t "));
    CHECK(folds("\xcc\x81 a", " a "));
    CHECK(folds("a\xff\xfe\x62\xc3", " a b "));
    CHECK(folds("٣٤ x", " ٣٤ x "));

    TEST("counting");
    CHECK(count("") == 0);
    CHECK(count("   ") == 0);
    CHECK(count("one two\tthree\nfour ") == 4);
    CHECK(count("What's 3+4?") == 2);
    CHECK(count("- a") == 2);
    CHECK(count("one\xc2\xa0two") == 2);
    CHECK(count("단어를 써라") == 5);
    CHECK(count("列出三個字。") == 5);
    CHECK(count("use 列出 now") == 4);
    CHECK(count("。") == 1);

    TEST("phrases are whole words, case-blind");
    CHECK(holds("Draw a MAP of it.", "map"));
    CHECK(holds("Then go   to-sleep", "go to"));
    CHECK(!holds("Mapping things", "map"));
    CHECK(!holds("", "map"));
    CHECK(!holds("any text", "..."));
    CHECK(holds("사과를 그려라", "그려"));

    TEST("class of the first character");
    CHECK(words_class("a", 1) == 'L');
    CHECK(words_class("3", 1) == 'N');
    CHECK(words_class("-x", 2) == 'P');
    CHECK(words_class("。", 3) == 'P');
    CHECK(words_class("+", 1) == 'S');
    CHECK(words_class("가", 3) == 'L');
    CHECK(words_class("", 0) == 0);
    CHECK(words_class("\xff", 1) == 0);
    return test_end();
}
