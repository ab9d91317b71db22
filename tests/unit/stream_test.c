/* stream_test.c - ids, shards, rejects, signals, outputs that fail. lines_test.c and resume_test.c
 * have the rest. */
#include "worker.h"

static void test_ids(void)
{
    struct worker w = {.o = {.output = "out"}, .in = "in"};

    TEST("ids: repeats are numbered, whatever the file's own ids look like");
    clean();
    file_puts("in",
              "{\"id\":\"a\"}\n{\"id\":\"a\"}\n{\"id\":\"a#2\"}\n{\"id\":\"a\"}\n{\"id\":\"b#2\"}\n"
              "{\"id\":\"b\"}\n{\"id\":\"b\"}\n{\"id\":5}\n{\"id\":\"5\"}\n{\"p\":1}\n{\"p\":1}\n");
    CHECK(worker_run(&w) == 0);
    CHECK(file_is("out", "{\"id\":\"a\",\"out\":\"a\"}\n"
                         "{\"id\":\"a#2\",\"out\":\"a#2\"}\n"
                         "{\"id\":\"a#2#2\",\"out\":\"a#2#2\"}\n"
                         "{\"id\":\"a#3\",\"out\":\"a#3\"}\n"
                         "{\"id\":\"b#2\",\"out\":\"b#2\"}\n"
                         "{\"id\":\"b\",\"out\":\"b\"}\n"
                         "{\"id\":\"b#2#2\",\"out\":\"b#2#2\"}\n"
                         "{\"id\":5,\"out\":\"5\"}\n"
                         "{\"id\":\"5#2\",\"out\":\"5#2\"}\n"
                         "{\"p\":1,\"id\":\"cffc24476458856ca943b286591d9156\",\"out\":"
                         "\"cffc24476458856ca943b286591d9156\"}\n"
                         "{\"p\":1,\"id\":\"cffc24476458856ca943b286591d9156#2\",\"out\":"
                         "\"cffc24476458856ca943b286591d9156#2\"}\n"));
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a file, sorted; *n of them. Caller frees the first one's text and the array. */
static char **sorted(char *text, int *n)
{
    char **line = mem_new(10000 * sizeof(*line));

    *n = 0;
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
        line[(*n)++] = p;
    qsort(line, (size_t)*n, sizeof(*line), by_line);
    return line;
}

static void test_shards(void)
{
    struct worker w = {.o = {.output = "ref", .rejects = "refrej"}, .in = "in", .ahead = 4};
    static const char *const shard[] = {"1/3", "2/3", "3/3"};
    struct buf b = {0}, all = {0};
    char *whole;
    char **x, **y;
    int nx, ny, least = 1000, bad = 0;

    TEST("shards: the parts are disjoint, alike in size, and join to the whole");
    clean();
    for (int i = 0; i < 600; i++)
        buf_fmt(&b, i % 20 == 7 ? "{bad %d\n" : "{\"p\":%d,\"n\":%d}\n", i % 450, i);
    file_put("in", b.p, b.n);
    CHECK(worker_run(&w) == 1);
    w.o.output = "out";
    w.o.rejects = "rej";
    for (int i = 0; i < 3; i++) {
        char *p;
        int n = 0;

        unlink("out");
        unlink("rej");
        w.o.shard = shard[i];
        CHECK(worker_run(&w) == 1);
        for (int k = 0; k < 2; k++) {
            p = file_get(k ? "rej" : "out", NULL);
            for (char *c = p; *c; c++)
                n += *c == '\n';
            buf_str(&all, p);
            free(p);
        }
        least = n < least ? n : least;
    }
    whole = file_get("ref", NULL);
    buf_reset(&b);
    buf_str(&b, whole);
    free(whole);
    whole = file_get("refrej", NULL);
    buf_str(&b, whole);
    free(whole);
    x = sorted(b.p, &nx);
    y = sorted(all.p, &ny);
    CHECK(nx == 600 && ny == 600 && least > 150);
    for (int i = 0; i < nx && i < ny; i++)
        bad += strcmp(x[i], y[i]) != 0;
    CHECK(bad == 0);
    free(x);
    free(y);
    buf_free(&b);
    buf_free(&all);

    TEST("shards: what is not I/N is refused");
    for (int i = 0; i < 8; i++) {
        static const char *const wrong[] = {"0/2", "3/2", "1", "1/", "/2", "a/b", "1/2x", "-1/2"};

        w.o.shard = wrong[i];
        CHECK(worker_run(&w) == 2 && file_has("err", "--shard: '"));
    }
}

static void test_rejects(void)
{
    struct worker w = {
        .o = {.output = "out", .rejects = "rej", .stats = "stats"}, .in = "in", .ahead = 8};

    TEST("rejects: in the order of the input, whenever they were known");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2,\"do\":\"late\"}\n{\"id\":3,\"do\":\"drop\"}\n{4\n"
                    "{\"id\":5,\"do\":\"early\"}\n{\"id\":6}\n{\"id\":7,\"do\":\"late\"}\n");
    CHECK(worker_run(&w) == 1);
    CHECK(file_is(
        "rej", "{\"id\":2,\"do\":\"late\",\"reject\":{\"stage\":\"worker\",\"rule\":\"late\","
               "\"value\":1.5,\"limit\":2,\"line\":2}}\n"
               "{\"id\":3,\"do\":\"drop\",\"reject\":{\"stage\":\"worker\",\"rule\":\"short\","
               "\"value\":3,\"limit\":5,\"line\":3}}\n"
               "{\"raw\":\"{4\",\"id\":\"c06fd070f5d3bb02c3979fa8952203c8\",\"reject\":{\"stage\":"
               "\"worker\",\"rule\":\"json\",\"value\":\"byte 1: expected a key in double "
               "quotes\",\"limit\":null,\"line\":4}}\n"
               "{\"id\":5,\"do\":\"early\",\"reject\":{\"stage\":\"worker\",\"rule\":\"early\","
               "\"value\":\"fails early\",\"limit\":null,\"line\":5}}\n"
               "{\"id\":7,\"do\":\"late\",\"reject\":{\"stage\":\"worker\",\"rule\":\"late\","
               "\"value\":1.5,\"limit\":2,\"line\":7}}\n"));
    CHECK(file_is("err", "worker: in:4: byte 1: expected a key in double quotes\n"
                         "worker: in:5: fails early\n"
                         "worker: in:2: fails late\n"
                         "worker: in:7: fails late\n"));
    CHECK(file_has("stats",
                   "{\"stage\":\"worker\",\"status\":1,\"read\":6,\"written\":2,\"rejected\":4,"
                   "\"dropped\":1,\"skipped\":0,\"other_shards\":0,\"blank\":0,\"bytes_in\":"));
    CHECK(file_has("stats", ",\"extra\":1}\n"));

    TEST("rejects: drops are no failure, and -q keeps standard error empty");
    clean();
    file_puts("in", "{\"id\":3,\"do\":\"drop\"}\n");
    CHECK(worker_run(&w) == 0);
    w.quiet = true;
    clean();
    file_puts("in", "{\"id\":3,\"do\":\"late\"}\n");
    CHECK(worker_run(&w) == 1 && file_is("err", ""));

    TEST("rejects: --unordered writes them when they are known");
    clean();
    w.o.unordered = true;
    file_puts("in", "{\"id\":1,\"do\":\"late\"}\n{\"id\":2,\"do\":\"early\"}\n");
    CHECK(worker_run(&w) == 1);
    CHECK(file_has("rej", "\"line\":2}}\n{\"id\":1,\"do\":\"late\""));
}

/* A child that copies `text` to a pipe, `step` bytes at a time. */
static pid_t feed(const char *text, size_t step, int *fd)
{
    size_t n = strlen(text);
    int p[2];
    pid_t pid;

    if (pipe(p))
        abort();
    fflush(stdout);
    pid = fork();
    if (!pid) {
        close(p[0]);
        for (size_t i = 0; i < n; i += step) {
            if (write(p[1], text + i, n - i < step ? n - i : step) < 0)
                break;
            usleep(50);
        }
        _exit(0);
    }
    close(p[1]);
    *fd = p[0];
    return pid;
}

static void test_slow(void)
{
    static const char text[] =
        "\xEF\xBB\xBF{\"id\":1,\"p\":\"\xE2\x82\xAC\"}\r\n\n{\"id\":2}\n{x\n{\"id\":3,\"p\":\"\xF0\x9F\x98\x80\"}";
    struct worker w = {.o = {.output = "ref"}};

    TEST("slow producer: a byte at a time gives the same, waiting or not");
    clean();
    for (int k = 0; k < 3; k++) {
        int in, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        pid_t from = feed(text, k ? 1 : sizeof(text), &in), pid;

        w.o.output = k ? "out" : "ref";
        w.poll = k == 2;
        w.ahead = k + 1;
        unlink("out");
        pid = worker_start(&w, in, null);
        close(in);
        close(null);
        CHECK(worker_wait(pid) == 1);
        worker_wait(from);
        CHECK(file_same(w.o.output, "ref"));
    }
    CHECK(file_has("ref", "{\"id\":3,\"p\":\"\xF0\x9F\x98\x80\",\"out\":\"3\"}\n"));
}

/* Send a signal again and again, as an impatient user does. */
static int kill_until_dead(pid_t pid, int sig)
{
    siginfo_t info = {0};

    while (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid) {
        kill(pid, sig);
        usleep(20000);
    }
    return worker_wait(pid);
}

static void test_signals(void)
{
    static const int sig[] = {SIGINT, SIGTERM};
    struct worker w = {.o = {.output = "out"}};

    for (int i = 0; i < 2; i++) {
        int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_t pid;

        TEST(i ? "SIGTERM: what is read is finished, then status 75" : "SIGINT: the same");
        clean();
        signal(sig[i], SIG_DFL); // a shell's background jobs ignore SIGINT
        if (pipe(p))
            abort();
        dprintf(p[1], "{\"id\":1}\n{\"id\":2}\n");
        w.pause = 300000;
        w.ahead = 2;
        pid = worker_start(&w, p[0], null);
        close(p[0]); // the other end stays open: no end of input
        file_wait("out", 1);
        kill(pid, sig[i]);
        CHECK(worker_wait(pid) == 75);
        CHECK(file_is("out", "{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}\n"));
        close(p[1]);

        TEST("signals: a reader that waits is woken");
        clean();
        if (pipe(p))
            abort();
        pid = worker_start(&w, p[0], null);
        close(p[0]);
        file_wait("out", 0);
        kill(pid, sig[i]);
        CHECK(worker_wait(pid) == 75);
        close(p[1]);

        TEST("signals: the second one kills");
        clean();
        if (pipe(p))
            abort();
        dprintf(p[1], "{\"id\":1}\n{\"id\":0,\"do\":\"early\"}\n{\"id\":2}\n");
        w.pause = 500000;
        pid = worker_start(&w, p[0], null);
        close(p[0]);
        file_wait("err", 1);
        usleep(50000);
        kill(pid, sig[i]);
        file_wait("out", 1); // looked at when the first record is done
        CHECK(kill_until_dead(pid, sig[i]) == -sig[i]);
        close(p[1]);
        close(null);
    }
}

static void test_late_signal(void)
{
    struct worker w = {.o = {.output = "out"}, .in = "in", .ahead = 8, .pause = 300000};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    TEST("signals: after the end of the input, with all finished, the status is its own");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n{\"id\":3,\"do\":\"early\"}\n");
    pid = worker_start(&w, null, null);
    file_wait("err", 1); // about the last line
    usleep(100000);
    kill(pid, SIGTERM);
    CHECK(worker_wait(pid) == 1);
    CHECK(file_is("out", "{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}\n"));

    TEST("signals: what was ignored stays ignored");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n");
    signal(SIGINT, SIG_IGN);
    w.ahead = 1;
    pid = worker_start(&w, null, null);
    signal(SIGINT, SIG_DFL);
    file_wait("out", 1);
    kill(pid, SIGINT);
    CHECK(worker_wait(pid) == 0);

    TEST("signals: a stuck consumer can be left with two of them");
    clean();
    {
        struct buf b = {0};
        int p[2];

        for (int i = 0; i < 20000; i++)
            buf_fmt(&b, "{\"p\":%d}\n", i);
        file_put("in", b.p, b.n);
        buf_free(&b);
        if (pipe(p))
            abort();
        w = (struct worker){.in = "in"};
        pid = worker_start(&w, null, p[1]);
        close(p[1]);
        usleep(100000);
        CHECK(kill_until_dead(pid, SIGINT) == -SIGINT);
        close(p[0]);
    }
    close(null);
}

/* Run with this standard output; -1 is a closed one. */
static int run_to(const struct worker *w, const char *path, int flags)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = path ? open(path, flags | O_CLOEXEC, 0666) : -1;
    pid_t pid = worker_start(w, in, out);

    close(in);
    close(out);
    return worker_wait(pid);
}

static void test_outputs(void)
{
    struct worker w = {.in = "in"};
    int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    TEST("outputs: lost output is status 1 and says so");
    clean();
    file_puts("in", "{\"id\":1}\n");
    CHECK(run_to(&w, "/dev/full", O_WRONLY) == 1);
    CHECK(file_is("err", "worker: cannot write 'standard output': No space left on device\n"));
    CHECK(run_to(&w, NULL, 0) == 1 && file_is("err", "worker: standard output is closed\n"));
    CHECK(run_to(&w, "in", O_RDONLY) == 1);
    w.o.output = "/dev/full";
    CHECK(worker_run(&w) == 1);
    w.o.output = "/nonexistent/out";
    CHECK(worker_run(&w) == 2 && file_has("err", "cannot open '/nonexistent/out'"));
    w.o.output = "out";
    w.o.rejects = "/dev/full";
    file_puts("in", "{\"id\":1,\"do\":\"late\"}\n");
    CHECK(worker_run(&w) == 1 && file_has("err", "cannot write '/dev/full'"));

    TEST("outputs: a reader that goes away ends it by SIGPIPE");
    clean();
    file_puts("in", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    if (pipe(p))
        abort();
    w = (struct worker){.in = "in", .pause = 50000};
    pid = worker_start(&w, null, p[1]);
    close(p[1]);
    close(p[0]);
    CHECK(worker_wait(pid) == -SIGPIPE);

    TEST("outputs: lines longer than a pipe, to a slow reader that does not wait");
    clean();
    {
        struct buf b = {0}, got = {0};
        char c[3000];
        ssize_t n;

        for (int i = 0; i < 5; i++) {
            buf_str(&b, "{\"p\":\"");
            for (int k = 0; k < 60000; k++)
                buf_str(&b, "abc");
            buf_fmt(&b, "\",\"id\":%d,\"out\":\"%d\"}\n", i, i);
        }
        file_put("in", b.p, b.n);
        if (pipe(p))
            abort();
        fcntl(p[1], F_SETFL, O_NONBLOCK);
        w.pause = 0;
        pid = worker_start(&w, null, p[1]);
        close(p[1]);
        while ((n = read(p[0], c, sizeof(c))) > 0)
            buf_add(&got, c, (size_t)n);
        CHECK(worker_wait(pid) == 0);
        CHECK(got.n == b.n && !memcmp(got.p, b.p, b.n));
        close(p[0]);
        buf_free(&b);
        buf_free(&got);
    }
    close(null);
}

static void test_refused(void)
{
    struct worker w = {.o = {.output = "out"}, .in = "in"};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    TEST("refused: an output that holds something, files with two parts to play");
    clean();
    file_puts("in", "{\"id\":1}\n");
    CHECK(worker_run(&w) == 0);
    CHECK(worker_run(&w) == 2 && file_has("err", "'out' exists and is not empty; use --resume"));
    w.o.output = "in";
    CHECK(worker_run(&w) == 2 && file_has("err", "'in'"));
    w.o.resume = true;
    CHECK(worker_run(&w) == 2 && file_has("err", "'in' is both input and output"));
    w.o.rejects = w.o.output = "out";
    CHECK(worker_run(&w) == 2 && file_has("err", "--rejects: 'out' is the output"));
    CHECK(file_is("in", "{\"id\":1}\n"));

    TEST("refused: inputs that cannot be read");
    w = (struct worker){.in = "absent"};
    CHECK(worker_run(&w) == 2 && file_has("err", "cannot open 'absent': No such file"));
    w.in = "/tmp";
    CHECK(worker_run(&w) == 2 && file_has("err", "'/tmp' is a directory"));
    w.in = NULL;
    CHECK(worker_wait(worker_start(&w, -1, null)) == 2 &&
          file_has("err", "standard input is closed"));
    w.o.resume = true;
    CHECK(worker_run(&w) == 2 && file_has("err", "--resume needs -o FILE"));
    close(null);
}

int main(void)
{
    char dir[40];

    worker_begin(dir);
    test_ids();
    test_shards();
    test_rejects();
    test_slow();
    test_signals();
    test_late_signal();
    test_outputs();
    test_refused();
    worker_end(dir);
    return test_end();
}
