/* decon_test.c - runs of words shared with benchmark files. */
#include "decon.h"
#include "look.h"
#include "test.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int find(const struct decon *d, const char *s, size_t n, struct decon_hit *h)
{
    struct look l = {0};
    int rc;

    look_text(&l, s, n);
    rc = decon_find(d, &l, h);
    look_free(&l);
    return rc;
}

static bool finds(struct decon *d, const char *s, int file, long line, const char *run)
{
    struct decon_hit h;

    if (!find(d, s, strlen(s), &h))
        return !run;
    return run && h.file == file && h.line == line && h.n == strlen(run) &&
           !memcmp(s + h.at, run, h.n);
}

/* By comparing words one by one. */
static bool shares(const char *a, const char *b, int n)
{
    struct buf x = {0}, y = {0};
    bool found = false;
    size_t from = 0;

    words_fold(a, strlen(a), &x);
    words_fold(b, strlen(b), &y);
    while (!found && from + 1 < x.n) { // each run of n words with its spaces
        size_t end = from + 1;
        int k = 0;

        while (end < x.n && k < n)
            k += x.p[end++] == ' ';
        if (k < n)
            break;
        found = memmem(y.p, y.n, x.p + from, end - from);
        from += 1 + strcspn(x.p + from + 1, " ");
    }
    buf_free(&x);
    buf_free(&y);
    return found;
}

static void random_texts(void)
{
    static const char *const word[] = {"fox ", "Goat, ", "plum ", "a ", "the-", "한국 ", "9 "};
    unsigned state = 1;
    int bad = 0, hits = 0;

    for (int k = 0; k < 2000; k++) {
        char text[2][400] = {"", ""};
        struct decon *d = decon_open(4);
        struct decon_hit h;

        for (int t = 0; t < 2; t++)
            for (int i = 0; i < 12; i++)
                strcat(text[t], word[(state = state * 1103515245 + 12345) / 65536 % 7]);
        decon_add(d, 0, 1, text[0], strlen(text[0]));
        bool got = find(d, text[1], strlen(text[1]), &h);

        bad += got != shares(text[0], text[1], 4);
        hits += got;
        decon_close(d);
    }
    CHECK(!bad && hits > 50 && hits < 1950);
}

int main(void)
{
    struct decon *d = decon_open(5);
    char path[] = "/tmp/decon.XXXXXX";
    int fd = mkstemp(path);
    struct err e;
    static const char file[] =
        "{\"id\":\"one two three four five six\",\"question\":\"How many legs has a fox, and why?\","
        "\"choices\":[\"four of them, always\",\"six\"],\"n\":{\"note\" : \"A b c d e f\"}}\n"
        "a plain line of some words\n{broken line with words inside of it\n\n";

    TEST("records, plain lines, short texts");
    CHECK(fd >= 0 && write(fd, file, sizeof(file) - 1) == sizeof(file) - 1);
    CHECK(!decon_read(d, path, &e) && !decon_read(d, path, &e));
    CHECK(finds(d, "Tell me: how many LEGS has a, goat?", 0, 1, "how many LEGS has a"));
    CHECK(finds(d, "How many legs has the fox", 0, 0, NULL));
    CHECK(finds(d, "four of them always", 0, 1, "four of them always"));
    CHECK(finds(d, "it has six legs", 0, 0, NULL)); // too short a text to be looked for
    CHECK(finds(d, "one two three four five six", 0, 0, NULL));
    CHECK(finds(d, "note a b c d", 0, 0, NULL));
    CHECK(finds(d, "with words inside of it", 0, 3, "with words inside of it"));
    CHECK(finds(d, "", 0, 0, NULL));
    TEST("files that are not there");
    CHECK(decon_read(d, "/no/such/file", &e) && e.code == ERR_IO);
    decon_close(d);
    TEST("2000 pairs of texts, by hand and by index");
    random_texts();
    close(fd);
    unlink(path);
    return test_end();
}
