/* lines_test.c - what a stream makes of the lines of its inputs: their form, their length. */
#include "worker.h"

#define LONG                (64 << 20)
#define FILE_BYTES(name, s) file_put(name, s, sizeof(s) - 1) // s may hold NULs

static void test_lines(void)
{
    struct worker w = {.o = {.output = "out", .rejects = "rej"}, .in = "in"};

    TEST("lines: BOM, CRLF, blank lines, no newline at the end");
    clean();
    file_puts("in",
              "\xEF\xBB\xBF{\"id\":1}\r\n\n \t\r\n{\"id\":2}\n\xEF\xBB\xBF{\"id\":3}\n{\"id\":4}");
    CHECK(worker_run(&w) == 1);
    CHECK(file_is(
        "out", "{\"id\":1,\"out\":\"1\"}\n{\"id\":2,\"out\":\"2\"}\n{\"id\":4,\"out\":\"4\"}\n"));
    CHECK(file_is("err", "worker: in:5: byte 0: expected a value\n"));

    TEST("lines: nothing in, nothing out");
    clean();
    file_puts("in", "");
    CHECK(worker_run(&w) == 0 && file_is("out", "") && file_is("err", ""));
    file_puts("in", "\n\n\n");
    CHECK(worker_run(&w) == 0 && file_is("out", ""));

    TEST("lines: bad UTF-8 is rejected with its byte, and kept as text");
    clean();
    FILE_BYTES("in", "{\"p\":\"\xC0\x80\\n\"}\n{\"p\":\"a\xED\xA0\x80\"}\n");
    CHECK(worker_run(&w) == 1);
    CHECK(file_has("err", "worker: in:1: byte 6: invalid UTF-8\n"));
    CHECK(file_has("rej", "{\"raw\":\"{\\\"p\\\":\\\"\\\\xc0\\\\x80\\\\x5cn\\\"}\",\"id\":\""));
    CHECK(file_has("rej",
                   "\"reject\":{\"stage\":\"worker\",\"rule\":\"utf8\",\"value\":6,\"limit\":"
                   "null,\"line\":1}}\n"));
    CHECK(file_has("rej", "\"rule\":\"utf8\",\"value\":7,"));

    TEST("lines: NUL bytes, truncated records, other values, UTF-16");
    clean();
    FILE_BYTES("in", "{\"p\":\"\0\"}\n[1]\n{\"id\":[]}\n{\"id\":1.5}\n{\"p\":");
    CHECK(worker_run(&w) == 1);
    CHECK(file_has("err", "in:1: byte 6: control character in a string\n"));
    CHECK(file_has("err", "in:2: not a JSON object\n"));
    CHECK(file_has("err", "in:3: the id is neither"));
    CHECK(file_has("err", "in:5: byte 5: text ends too early\n"));
    CHECK(file_has("rej", "{\"raw\":\"{\\\"p\\\":\\\"\\u0000\\\"}\""));
    CHECK(file_has("rej", "\"rule\":\"id\""));
    clean();
    FILE_BYTES("in", "\xFF\xFE{\0\"\0p\0\"\0}\0\n\0");
    CHECK(worker_run(&w) == 1);
    CHECK(file_has("err", "in:1: byte 0: not UTF-8 text (it looks like UTF-16"));
}

static void test_growing(void)
{
    struct worker w = {.o = {.output = "out", .rejects = "rej"}, .in = "in"};
    char *p = mem_new(LONG + 1);
    size_t n = 0;

    TEST("lines: what is read and would grow beyond 64 MiB is a reject, and --resume knows it");
    clean();
    memset(p, 'a', LONG + 1);
    memcpy(p, "{\"id\":1,\"p\":\"", 13);
    memcpy(p + LONG - 11, "\"}\n{\"id\":7}\n", 12);
    file_put("in", p, LONG + 1);
    CHECK(worker_run(&w) == 1);
    CHECK(file_is("out", "{\"id\":7,\"out\":\"7\"}\n"));
    CHECK(file_is("err", "worker: in:1: a line of 67108865 bytes, with what was added, exceeds "
                         "67108864\n"));
    CHECK(file_has("rej", "aaa\",\"id\":\"1\",\"reject\":{\"stage\":\"worker\",\"rule\":"
                          "\"line-length\",\"value\":67108865,\"limit\":67108864,\"line\":1}}"));
    free(file_get("rej", &n));
    CHECK(n > 4096 && n < 6000);
    w.o.resume = true;
    CHECK(worker_run(&w) == 0 && file_is("out", "{\"id\":7,\"out\":\"7\"}\n"));
    w.o.resume = false;

    TEST("lines: of a reject that would grow beyond it the beginning is kept");
    clean();
    memcpy(p, "{\"do\":\"late\",\"p\":\"", 18);
    memcpy(p + LONG - 11, "\"}\n{\"id\":7}\n", 12);
    file_put("in", p, LONG + 1);
    CHECK(worker_run(&w) == 1);
    CHECK(file_has("rej", "{\"raw\":\"{\\\"do\\\":"));
    free(file_get("rej", &n));
    CHECK(n > 4096 && n < 6000);
    free(p);
}

static void test_long(void)
{
    struct worker w = {.o = {.output = "out", .rejects = "rej"}, .in = "in"};
    char *p = mem_new(LONG + 200);
    size_t n = 0;
    struct rusage after;

    TEST("lines: 64 MiB are a record, one byte more is not; what follows is read");
    clean();
    memset(p, 'a', LONG + 200);
    memcpy(p, "{\"id\":1,\"p\":\"", 13);
    memcpy(p + LONG - 12, "\"}\n{\"id\":7}\n", 12); // with "out":"1" it has 64 MiB
    file_put("in", p, LONG);
    CHECK(worker_run(&w) == 0);
    free(file_get("out", &n));
    CHECK(n == LONG + 1 + 19 && file_is("err", ""));

    unlink("out");
    memset(p + LONG - 12, 'a', 20);
    memcpy(p, "{\"p\":\"", 6);
    memset(p + LONG - 2, 'a', 20);
    memcpy(p + LONG - 1, "\"}\n{\"id\":7}\n", 12);
    file_put("in", p, LONG + 11);
    CHECK(worker_run(&w) == 1);
    CHECK(file_is("out", "{\"id\":7,\"out\":\"7\"}\n"));
    CHECK(file_is("err", "worker: in:1: line of 67108865 bytes exceeds 67108864\n"));
    CHECK(file_has("rej",
                   "\"rule\":\"line-length\",\"value\":67108865,\"limit\":67108864,\"line\":1}}"));
    free(file_get("rej", &n));
    CHECK(n > 4096 && n < 6000);
    free(p);

    TEST("lines: a line without end takes bounded memory");
    clean();
    p = mem_new(1 << 20);
    memset(p, '[', 1 << 20);
    {
        int in[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct worker pipe_in = {.o = {.output = "out"}};
        pid_t pid;

        if (pipe(in))
            abort();
        fcntl(in[1], F_SETFD, FD_CLOEXEC);
        pid = worker_start(&pipe_in, in[0], null);
        close(in[0]);
        close(null);
        for (int i = 0; i < 700; i++)
            if (write(in[1], p, 1 << 20) != 1 << 20)
                abort();
        dprintf(in[1], "\n{\"id\":1}\n");
        close(in[1]);
        CHECK(worker_wait(pid) == 1);
    }
    getrusage(RUSAGE_CHILDREN, &after);
    CHECK(file_is("out", "{\"id\":1,\"out\":\"1\"}\n"));
    CHECK(file_has("err", "worker: <stdin>:1: line of 734003200 bytes exceeds"));
#ifndef __SANITIZE_ADDRESS__
    CHECK(after.ru_maxrss < 320 << 10); // KiB; the 64 MiB record above needs most: 64 + 4 x 64 MiB
#endif
    free(p);
}

/* Behind the tests of what memory is held: a reject of this size takes some of it. */
static void test_quoted(void)
{
    struct worker w = {.o = {.output = "out", .rejects = "rej"}, .in = "in"};
    char *p = mem_new(LONG + 1);
    size_t n = 0;

    TEST("lines: of a line that is no record and grows beyond it when it is quoted");
    for (int utf8 = 0; utf8 < 2; utf8++) {
        clean();
        memset(p, '"', LONG + 1);
        memcpy(p, utf8 ? "{\"p\":x" : "{\"p\":\xFF", 6);
        memcpy(p + LONG - 11, "\"}\n{\"id\":7}\n", 12);
        file_put("in", p, LONG + 1);
        CHECK(worker_run(&w) == 1);
        CHECK(file_has("rej", utf8 ? "{\"raw\":\"{\\\"p\\\":x\\\"\\\""
                                   : "{\"raw\":\"{\\\"p\\\":\\\\xff\\\""));
        CHECK(file_has("rej", utf8 ? "\"rule\":\"json\"" : "\"rule\":\"utf8\",\"value\":5,"));
        free(file_get("rej", &n));
        CHECK(n > 8192 && n < 9000); // 4096 quotation marks, of two bytes
    }
    free(p);
}

int main(void)
{
    char dir[40];

    worker_begin(dir);
    test_lines();
    test_growing();
    test_long();
    test_quoted();
    worker_end(dir);
    return test_end();
}
