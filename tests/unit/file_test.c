/* file_test.c - maps, small texts, atomic output. */
#include "file.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static int exists(const char *path)
{
    return !access(path, F_OK);
}

static void test_read(void)
{
    struct file_map m;
    struct err e;
    size_t n;
    char *s;

    TEST("maps");
    put("a", "hello");
    CHECK(!file_map(&m, "a", &e) && m.n == 5 && !memcmp(m.p, "hello", 5));
    file_release(&m, m.p + 1, 4);
    CHECK(!memcmp(m.p, "hello", 5));
    file_unmap(&m);
    file_unmap(&m);
    put("empty", "");
    CHECK(!file_map(&m, "empty", &e) && !m.p && !m.n);
    file_unmap(&m);
    CHECK(file_map(&m, ".", &e) == -1 && !strcmp(e.msg, "'.' is not a regular file"));
    CHECK(!mkfifo("fifo", 0600) && file_map(&m, "fifo", &e) == -1);
    CHECK(file_map(&m, "/dev/zero", &e) == -1 && file_map(&m, "none", &e) == -1);
    CHECK(e.code == ERR_IO && !strcmp(e.msg, "cannot open 'none': No such file or directory"));
    TEST("small texts");
    s = file_text("a", 5, &n, &e);
    CHECK(s && n == 5 && !strcmp(s, "hello"));
    free(s);
    s = file_text("empty", 0, &n, &e);
    CHECK(s && n == 0 && !*s);
    free(s);
    CHECK(!file_text("a", 4, &n, &e) && !strcmp(e.msg, "'a' is larger than 4 bytes"));
    CHECK(!file_text(".", 4, &n, &e) && !file_text("none", 4, &n, &e));
    CHECK(file_is_dir(".") && !file_is_dir("a") && !file_is_dir("none"));
    s = file_join("d/", "x");
    CHECK(!strcmp(s, "d/x"));
    free(s);
    s = file_join("d", "x");
    CHECK(!strcmp(s, "d/x"));
    free(s);
}

static void test_write(void)
{
    struct file_out o;
    struct err e;
    size_t n;
    char *s;
    int fd;

    TEST("an output file appears whole or not at all");
    CHECK(!file_create(&o, "out", 0, &e) && !exists("out"));
    fd = open(".", O_WRONLY | O_TMPFILE, 0666);
    if (fd >= 0) // the file system has files without a name, which a kill cannot leave behind
        CHECK(!o.tmp && system("ls -A | grep -q out") != 0);
    close(fd);
    CHECK(!file_write(&o, "abc", 3, &e) && !file_pad(&o, 64, &e) && o.n == 64);
    CHECK(!file_pad(&o, 64, &e) && o.n == 64 && !exists("out"));
    CHECK(!file_commit(&o, &e) && exists("out"));
    s = file_text("out", 100, &n, &e);
    CHECK(s && n == 64 && !memcmp(s, "abc\0\0", 5));
    free(s);
    CHECK(file_create(&o, "out", 0, &e) == -1 && !strcmp(e.msg, "'out' exists; use --force"));
    CHECK(!file_create(&o, "out", 1, &e) && !file_write(&o, "new", 3, &e));
    file_abandon(&o);
    file_abandon(&o);
    s = file_text("out", 100, &n, &e);
    CHECK(s && n == 64);
    free(s);
    CHECK(!file_create(&o, "out", 1, &e) && !file_write(&o, "new", 3, &e) && !file_commit(&o, &e));
    s = file_text("out", 100, &n, &e);
    CHECK(s && n == 3);
    free(s);
    TEST("a file that appears meanwhile is not overwritten");
    CHECK(!file_create(&o, "late", 0, &e));
    put("late", "theirs");
    CHECK(file_commit(&o, &e) == -1);
    s = file_text("late", 100, &n, &e);
    CHECK(s && !strcmp(s, "theirs"));
    free(s);
    TEST("what is no regular file is never replaced");
    CHECK(file_create(&o, "/dev/null", 1, &e) == -1 && file_create(&o, "fifo", 1, &e) == -1);
    CHECK(file_create(&o, "no/such/dir", 0, &e) == -1 && e.code == ERR_IO);
    TEST("nothing is left behind");
    CHECK(system("ls -A | grep -q tmp") != 0);
}

int main(void)
{
    char dir[] = "/tmp/file_test.XXXXXX";

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    test_read();
    test_write();
    for (const char *const *p = (const char *const[]){"a", "empty", "fifo", "out", "late", NULL};
         *p; p++)
        unlink(*p);
    if (chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
