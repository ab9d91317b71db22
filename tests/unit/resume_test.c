/* resume_test.c - torn tails, kills at any moment, fingerprints, locks: the same bytes in the end.
 */
#include "worker.h"

/* Records of all kinds; every file of a run then ends in the middle of many of them. */
static void put_input(int n)
{
    struct buf b = {0};

    for (int i = 0; i < n; i++) {
        if (i % 7 == 3)
            buf_fmt(&b, "{\"p\":%d,\"do\":\"%s\"}\n", i,
                    i % 3 == 0   ? "late"
                    : i % 3 == 1 ? "early"
                                 : "drop");
        else if (i % 11 == 5)
            buf_fmt(&b, "{bad %d\n", i % 3);
        else if (i % 13 == 0)
            buf_fmt(&b, "\n{\"id\":\"same\",\"p\":\"\xE2\x82\xAC\"}\n");
        else
            buf_fmt(&b, "{\"p\":%d,\"t\":\"text of a record \\u00e9\"}\n", i % 40);
    }
    file_put("in", b.p, b.n);
    buf_free(&b);
}

static const struct worker undisturbed = {
    .o = {.output = "ref", .rejects = "refrej"}, .in = "in", .group = 1, .ahead = 5};
static const struct worker resumed = {
    .o = {.output = "out", .rejects = "rej", .resume = true}, .in = "in", .group = 1, .ahead = 5};

/* Copy the reference files, cut to these sizes; the .meta stood there before the first line. */
static void put_cut(const char *out, size_t n_out, const char *rej, size_t n_rej)
{
    size_t n;
    char *meta = file_get("ref.meta", &n);

    file_put("out.meta", meta, n);
    free(meta);
    file_put("out", out, n_out);
    file_put("rej", rej, n_rej);
}

static void test_torn(int group)
{
    struct worker ref = undisturbed, w = resumed;
    static char *out, *rej; // static: not taken for leaks of a child that exits
    size_t n_out = 0, n_rej = 0;
    int bad = 0;

    TEST(group == 1 ? "resume: output or rejects cut at any byte"
                    : "resume: output or rejects cut at any byte, in groups");
    clean();
    put_input(30);
    ref.group = w.group = group;
    CHECK(worker_run(&ref) == 1);
    out = file_get("ref", &n_out);
    rej = file_get("refrej", &n_rej);
    for (size_t i = 0; i <= n_out && !bad; i += i % 50 ? 1 : 3) {
        put_cut(out, i, rej, n_rej);
        bad += worker_run(&w) != (i == 0 && n_rej == 0 ? 1 : 0);
        bad += !file_same("out", "ref") || !file_same("rej", "refrej");
    }
    for (size_t i = 0; i <= n_rej && !bad; i += i % 50 ? 1 : 3) {
        put_cut(out, n_out, rej, i);
        w.ahead = (int)(i % 9) + 1; // how far it reads ahead must not show
        bad += worker_run(&w) > 1;
        bad += !file_same("out", "ref") || !file_same("rej", "refrej");
    }
    CHECK(bad == 0);
    put_cut(out, n_out - 20, rej, n_rej);
    CHECK(worker_run(&w) == 0 && file_has("err", "worker: out: cut off "));
    CHECK(file_same("out", "ref"));
    free(out);
    free(rej);
}

static void test_kill(int group)
{
    struct worker ref = undisturbed, w = resumed;
    int killed = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    unsigned seed = 12345;

    TEST(group == 1 ? "resume: kill -9 at random moments"
                    : "resume: kill -9 at random moments, in groups");
    clean();
    put_input(300);
    ref.group = w.group = group;
    ref.quiet = w.quiet = true;
    CHECK(worker_run(&ref) == 1);
    for (int round = 0; round < 3; round++) {
        int kills = 0, rc = -1;

        unlink("out");
        unlink("rej");
        w.pause = 100;
        w.ahead = 1 + 7 * round;
        while (rc < 0) {
            pid_t pid = worker_start(&w, null, null);

            seed = seed * 1103515245 + 12345;
            if (kills < 15) {
                usleep(seed >> 16 & 0x1FFF);
                kill(pid, SIGKILL);
            }
            rc = worker_wait(pid);
            kills += rc < 0;
        }
        killed += kills;
        CHECK(rc >= 0 && file_same("out", "ref") && file_same("rej", "refrej"));
    }
    CHECK(killed >= 20);
    close(null);
}

static void test_stop(void)
{
    struct worker ref = undisturbed, w = resumed;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc, stops = 0, wait = 10000;

    TEST("resume: SIGTERM again and again, 75 each time, then the same files");
    clean();
    put_input(200);
    CHECK(worker_run(&ref) == 1);
    w.pause = 500;
    do {
        pid_t pid = worker_start(&w, null, null);

        usleep((useconds_t)(wait += 300)); // longer each time: it gets somewhere on a slow machine
        kill(pid, SIGTERM);
        rc = worker_wait(pid);
        stops += rc == 75;
    } while (rc == 75 || rc == -SIGTERM);
    CHECK(rc == 0 || rc == 1);
    CHECK(stops > 0);
    CHECK(file_same("out", "ref") && file_same("rej", "refrej"));
    close(null);
}

/* Nothing of the files is taken for whole, and nothing cut, before they have been read. */
static void test_stop_early(void)
{
    static const char *const name[] = {"out", "out.meta", "rej"};
    struct worker ref = undisturbed, w = resumed;
    char *before[3];
    size_t n[3];

    TEST("resume: a signal while the files are read changes none of them");
    clean();
    put_input(2000);
    CHECK(worker_run(&ref) == 1);
    before[0] = file_get("ref", &n[0]);
    before[2] = file_get("refrej", &n[2]);
    put_cut(before[0], n[0] - 20, before[2], n[2] - 20);
    before[1] = file_get("out.meta", &n[1]);
    n[0] -= 20;
    n[2] -= 20;
    w.stopped = true;
    for (int attempt = 0; attempt < 2; attempt++) {
        w.o.attempt = attempt ? "1" : NULL;
        CHECK(worker_run(&w) == 75);
        CHECK(file_has("err", "worker: stopped while 'out' was read"));
        for (int i = 0; i < 3; i++) {
            size_t size;
            char *now = file_get(name[i], &size);

            CHECK(size == n[i] && !memcmp(now, before[i], size));
            free(now);
        }
    }
    unlink("out.a1");
    unlink("rej.a1");
    w = resumed;
    CHECK(worker_run(&w) <= 1 && file_same("out", "ref") && file_same("rej", "refrej"));
    for (int i = 0; i < 3; i++)
        free(before[i]);
}

/* Resume over these files: status, and what standard error says. */
static int over(const char *out, size_t n, const char *says)
{
    struct worker w = resumed;
    int rc;

    w.o.rejects = NULL;
    unlink("out.meta");
    file_put("out", out, n);
    rc = worker_run(&w);
    return file_has("err", says) ? rc : 1000 + rc;
}
#define OVER(s, says) over(s, sizeof(s) - 1, says)

static void test_damage(void)
{
    TEST("resume: a damaged last line is cut off, whatever it holds");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n");
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"ou\n", "cut off 12 bytes") == 0);
    CHECK(file_is("out", "{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}\n"));
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n\0\0\0\0\0\0", "cut off 6 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"\0\0\"}\n", "cut off") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}", "cut off 18 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n[]\n", "cut off 3 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}\n{}\n", "cut off 3 bytes") == 0);
    CHECK(file_is("out", "{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}\n"));

    TEST("resume: the beginning of a first record is cut off, another file is left alone");
    CHECK(OVER("{", "cut off 1 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":tr", "cut off 16 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"\xEA\xB0", "cut off 17 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"\\ud83d\\ude0", "cut off 26 bytes") == 0);
    CHECK(OVER("{\"id\":1,\"out\":\"1\"}", "cut off 18 bytes") == 0);
    CHECK(OVER("{\"out\":\"1\"}", "holds no record") == 2);
    CHECK(OVER("{garbage", "holds no record") == 2);
    CHECK(OVER("{\"id\":1}}", "holds no record") == 2);
    CHECK(OVER("\0", "holds no record") == 2);
    CHECK(OVER("notes", "holds no record") == 2);
    CHECK(OVER("notes\n", "holds no record") == 2);
    CHECK(file_is("out", "notes\n") && access("out.meta", F_OK));

    TEST("resume: blank lines are passed over, a BOM too");
    CHECK(OVER("\xEF\xBB\xBF{\"id\":1}\n\n \t\r\n{\"id\":2,\"ou", "cut off 11 bytes") == 0);
    CHECK(file_is("out", "\xEF\xBB\xBF{\"id\":1}\n\n \t\r\n{\"id\":2,\"out\":\"2\"}\n"));
    CHECK(OVER("{\"id\":1}\n{\"id\":2}\n\n ", "cut off 1 bytes") == 0);
    CHECK(file_is("out", "{\"id\":1}\n{\"id\":2}\n\n"));

    TEST("resume: damage elsewhere is an error with its line, and nothing is touched");
    CHECK(OVER("{\"id\":1\n{\"id\":2,\"out\":\"2\"}\n", "worker: out:1: byte 7") == 2);
    CHECK(file_is("out", "{\"id\":1\n{\"id\":2,\"out\":\"2\"}\n"));
    CHECK(OVER("{\"id\":1}\nx\n{\"id\":2,\"out\":\"2\"}\n", "out:2: ") == 2);
    CHECK(OVER("{\"id\":1}\n{\"out\":\"2\"}\n{\"id\":3}\n", "out:2: no field 'id'") == 2);
    CHECK(OVER("{\"id\":1}\n\xFF\n{\"id\":3}\nxx", "out:2: ") == 2);
    CHECK(file_is("out", "{\"id\":1}\n\xFF\n{\"id\":3}\nxx"));
}

static void test_groups(void)
{
    struct worker w = resumed;

    TEST("resume: a group is done when all of it is there");
    clean();
    w.group = 3;
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n");
    file_puts("out",
              "{\"id\":1,\"s\":0}\n{\"id\":1,\"s\":1}\n{\"id\":1,\"s\":2}\n{\"id\":2,\"s\":0}\n"
              "{\"id\":2,\"s\":1}\n{\"i");
    CHECK(worker_run(&w) == 0 && file_has("err", "cut off 33 bytes"));
    CHECK(file_is("out",
                  "{\"id\":1,\"s\":0}\n{\"id\":1,\"s\":1}\n{\"id\":1,\"s\":2}\n"
                  "{\"id\":2,\"out\":\"2\",\"sample\":0}\n{\"id\":2,\"out\":\"2\",\"sample\":1}\n"
                  "{\"id\":2,\"out\":\"2\",\"sample\":2}\n"));
    file_puts("out", "{\"id\":1}\n{\"id\":1}\n{\"id\":2}\n{\"id\":2}\n{\"id\":2}\n");
    CHECK(worker_run(&w) == 2 && file_has("err", "out:3: a group of 3 records ends after 2"));
}

static void test_fingerprint(void)
{
    struct worker w = resumed;

    TEST("fingerprint: another one is refused, and the field is named");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n");
    w.fingerprint = "{\"version\":\"1\",\"options\":{\"temp\":\"0.7\",\"top-k\":\"40\"}}";
    CHECK(worker_run(&w) == 0);
    CHECK(file_is("out.meta", "{\"version\":\"1\",\"options\":{\"temp\":\"0.7\",\"top-k\":\"40\"},"
                              "\"stage\":\"worker\",\"seed\":0,\"shard\":\"1/1\",\"group\":1}\n"));
    CHECK(worker_run(&w) == 0);
    w.fingerprint =
        "{\"options\":{\"top-k\":\"40\", \"temp\":\"0.7\"},\"version\":\"1\"}"; // the same
    CHECK(worker_run(&w) == 0);
    w.fingerprint = "{\"version\":\"1\",\"options\":{\"temp\":\"0.8\",\"top-k\":\"40\"}}";
    CHECK(worker_run(&w) == 2);
    CHECK(file_has("err", "cannot resume: options.temp was \"0.7\" and is \"0.8\" now (out.meta)"));
    w.fingerprint = "{\"version\":\"1\",\"options\":{\"temp\":\"0.7\"}}";
    CHECK(worker_run(&w) == 2 && file_has("err", "options.top-k was \"40\" and is absent now"));
    w.fingerprint = "{\"version\":\"1\",\"new\":1,\"options\":{\"temp\":\"0.7\",\"top-k\":\"40\"}}";
    CHECK(worker_run(&w) == 2 && file_has("err", "new was absent and is 1 now"));
    w.fingerprint = "{\"version\":\"1\",\"options\":{\"temp\":\"0.7\",\"top-k\":\"40\"}}";
    w.o.seed = 1;
    CHECK(worker_run(&w) == 2 && file_has("err", "seed was 0 and is 1 now"));
    w.o.seed = 0;
    w.o.shard = "1/2";
    CHECK(worker_run(&w) == 2 && file_has("err", "shard was \"1/1\" and is \"1/2\" now"));
    w.o.shard = NULL;
    w.group = 2;
    CHECK(worker_run(&w) == 2 && file_has("err", "group was 1 and is 2 now"));
    w.group = 1;
    CHECK(worker_run(&w) == 0);

    TEST("fingerprint: damaged, missing, of an output that holds nothing");
    file_puts("out.meta", "{\"version\":");
    CHECK(worker_run(&w) == 2 && file_has("err", "out.meta: byte 11"));
    file_puts("out.meta", "[]");
    CHECK(worker_run(&w) == 2 && file_has("err", "out.meta: not a JSON object"));
    unlink("out.meta");
    CHECK(worker_run(&w) == 0 && file_has("err", "out.meta is not there"));
    CHECK(worker_run(&w) == 0 && file_is("err", ""));
    w.fingerprint = "{}";
    CHECK(worker_run(&w) == 2);
    file_puts("out", "");
    unlink("rej");
    CHECK(worker_run(&w) == 0);
    CHECK(file_is("out.meta", "{\"stage\":\"worker\",\"seed\":0,\"shard\":\"1/1\",\"group\":1}\n"));
}

/* Run with standard output on this file. */
static int run_to(const struct worker *w, const char *path, int flags)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(path, flags | O_CLOEXEC, 0666);
    pid_t pid = worker_start(w, in, out);

    close(in);
    close(out);
    return worker_wait(pid);
}

static void test_stdout(void)
{
    struct worker w = resumed;

    TEST("standard output: --resume >> FILE takes up the file, with its .meta");
    clean();
    put_input(30);
    CHECK(worker_run(&undisturbed) == 1);
    w.o.output = NULL;
    CHECK(run_to(&w, "out", O_WRONLY | O_CREAT | O_APPEND) == 1);
    CHECK(file_same("out", "ref") && file_same("rej", "refrej") &&
          file_same("out.meta", "ref.meta"));
    CHECK(!truncate("out", 333) && run_to(&w, "out", O_WRONLY | O_APPEND) == 0);
    CHECK(file_same("out", "ref") && file_has("err", "/out: cut off "));
    w.o.seed = 5;
    CHECK(run_to(&w, "out", O_WRONLY | O_APPEND) == 2 && file_has("err", "seed was 0"));
    w.o.seed = 0;
    CHECK(run_to(&w, "out", O_RDWR) == 2 && file_has("err", "--resume needs '>> FILE'"));
    CHECK(run_to(&w, "/dev/null", O_WRONLY) == 2 && file_has("err", "--resume needs -o FILE"));
    CHECK(file_same("out", "ref"));
    w.o.resume = false;
    w.o.rejects = NULL;
    unlink("out.meta");
    CHECK(run_to(&w, "out", O_WRONLY | O_APPEND) == 1); // plain >> appends, as ever
    CHECK(access("out.meta", F_OK));
}

static void test_lock(void)
{
    struct worker w = resumed;
    int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    TEST(
        "lock: an output that is being written is refused, and free again after the writer's death");
    clean();
    file_puts("in", "{\"id\":1}\n");
    if (pipe(p))
        abort();
    w.in = NULL;
    w.o.rejects = NULL;
    pid = worker_start(&w, p[0], null);
    close(p[0]);
    while (access("out.meta", F_OK))
        usleep(1000);
    w.in = "in";
    CHECK(worker_run(&w) == 2 && file_has("err", "'out' is being written by another process"));
    kill(pid, SIGKILL);
    worker_wait(pid);
    close(p[1]);
    CHECK(worker_run(&w) == 0 && file_is("out", "{\"id\":1,\"out\":\"1\"}\n"));
    close(null);
}

static void test_unordered(void)
{
    struct worker ref = undisturbed, w = resumed;
    size_t n = 0, m = 0;

    TEST("resume --unordered: the same set of lines");
    clean();
    put_input(60);
    CHECK(worker_run(&ref) == 1);
    w.o.unordered = true;
    w.ahead = 9;
    CHECK(worker_run(&w) == 1);
    CHECK(!truncate("rej", 500) && !truncate("out", 700) && worker_run(&w) == 1);
    free(file_get("ref", &n));
    free(file_get("out", &m));
    CHECK(n == m);
    free(file_get("refrej", &n));
    free(file_get("rej", &m));
    CHECK(n == m);
}

int main(void)
{
    char dir[40];

    worker_begin(dir);
    test_torn(1);
    test_torn(3);
    test_kill(1);
    test_kill(3);
    test_stop();
    test_stop_early();
    test_damage();
    test_groups();
    test_fingerprint();
    test_stdout();
    test_lock();
    test_unordered();
    worker_end(dir);
    return test_end();
}
