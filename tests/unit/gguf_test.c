/* gguf_test.c - written files read back; every way to lie in a header is refused. */
#include "gguf.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- a file byte by byte ---- */

static void num(struct buf *b, uint64_t v, size_t n)
{
    buf_add(b, &v, n);
}

static void str(struct buf *b, const char *s)
{
    num(b, strlen(s), 8);
    buf_str(b, s);
}

static void head(struct buf *b, uint64_t n_tensors, uint64_t n_kv)
{
    buf_reset(b);
    buf_str(b, "GGUF");
    num(b, 3, 4);
    num(b, n_tensors, 8);
    num(b, n_kv, 8);
}

static void key_u32(struct buf *b, const char *key, uint32_t v)
{
    str(b, key);
    num(b, GGUF_U32, 4);
    num(b, v, 4);
}

static void info(struct buf *b, const char *name, int n_dims, const uint64_t *dim, uint32_t type,
                 uint64_t offset)
{
    str(b, name);
    num(b, (uint32_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++)
        num(b, dim[i], 8);
    num(b, type, 4);
    num(b, offset, 8);
}

static void data(struct buf *b, size_t n)
{
    while (b->n % 32)
        buf_char(b, 0);
    for (size_t i = 0; i < n; i++)
        buf_char(b, (char)i);
}

static int open_bytes(struct gguf *g, const void *p, size_t n, struct err *e)
{
    FILE *f = fopen("t.gguf", "wb");

    CHECK(f);
    if (!f)
        return -1;
    CHECK(fwrite(p, 1, n, f) == n);
    fclose(f);
    return gguf_open(g, "t.gguf", e);
}

/* The file must be refused with a message that holds `want`. */
static void refused(const struct buf *b, const char *want)
{
    struct gguf g;
    struct err e = {0};
    int rc = open_bytes(&g, b->p ? b->p : "", b->n, &e);

    CHECK(rc == -1 && strstr(e.msg, want) && strstr(e.msg, "t.gguf"));
    if (rc != -1 || !strstr(e.msg, want))
        printf("# want '%s', got %d '%s'\n", want, rc, e.msg);
    if (!rc)
        gguf_close(&g);
}

/* ---- tests ---- */

static void test_header(void)
{
    struct buf b = {0};

    TEST("counts and magic");
    refused(&b, "truncated");
    buf_str(&b, "GGU");
    refused(&b, "truncated");
    buf_str(&b, "X");
    refused(&b, "bad magic");
    for (int v = 0; v < 6; v++) {
        static const uint32_t version[] = {0, 1, 4, 0xFFFFFFFF, 3u << 24, 2u << 24};

        head(&b, 0, 0);
        memcpy(b.p + 4, &version[v], 4);
        refused(&b, v < 4 ? "unsupported version" : "big-endian");
    }
    for (int i = 0; i < 4; i++) {
        static const uint64_t n[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 32, 1};

        head(&b, n[i], 0);
        refused(&b, "tensors; the file can hold at most 0");
        head(&b, 0, n[i]);
        refused(&b, "keys; the file can hold at most 0");
    }
    buf_free(&b);
}

static void test_keys(void)
{
    struct buf b = {0};

    TEST("keys");
    for (int i = 0; i < 4; i++) {
        static const uint64_t n[] = {UINT64_MAX, (uint64_t)1 << 63, 65536, 99};

        head(&b, 0, 1);
        num(&b, n[i], 8);
        data(&b, i == 2 ? 70000 : 12);
        refused(&b, i == 2 ? "key length 65536 exceeds the limit" : "key length");
    }
    head(&b, 0, 1);
    num(&b, 0, 8);
    data(&b, 20);
    refused(&b, "empty key");
    for (int i = 0; i < 4; i++) {
        static const char *const key[] = {"\xff", "a\nb", "a\x1b[0m", "\x7f"};

        head(&b, 0, 1);
        key_u32(&b, key[i], 1);
        refused(&b, "bad key");
    }
    head(&b, 0, 1);
    key_u32(&b, "a-b", 1);
    b.p[24 + 8 + 1] = 0;
    refused(&b, "bad key");
    head(&b, 0, 2);
    key_u32(&b, "k", 1);
    key_u32(&b, "k", 1);
    refused(&b, "duplicate key 'k'");
    for (int i = 0; i < 3; i++) {
        static const uint32_t t[] = {13, 255, 0x80000000};

        head(&b, 0, 1);
        str(&b, "k");
        num(&b, t[i], 4);
        num(&b, 0, 8);
        refused(&b, "unknown value type");
    }
    head(&b, 0, 1);
    str(&b, "k");
    num(&b, GGUF_BOOL, 4);
    num(&b, 2, 1);
    num(&b, 0, 8);
    refused(&b, "invalid bool 2");
    buf_free(&b);
}

static void test_values(void)
{
    struct buf b = {0};

    TEST("strings and arrays");
    for (int i = 0; i < 3; i++) {
        static const uint64_t n[] = {UINT64_MAX, (uint64_t)1 << 30, 9};

        head(&b, 0, 1);
        str(&b, "k");
        num(&b, GGUF_STR, 4);
        num(&b, n[i], 8);
        num(&b, 0, 8);
        refused(&b, "exceeds the 8 bytes left");
    }
    for (int i = 0; i < 4; i++) {
        static const uint64_t n[] = {(uint64_t)1 << 61, (uint64_t)1 << 60, UINT64_MAX, 2};

        head(&b, 0, 1);
        str(&b, "k");
        num(&b, GGUF_ARR, 4);
        num(&b, i == 1 ? GGUF_STR : GGUF_U64, 4);
        num(&b, n[i], 8);
        num(&b, 0, 8);
        refused(&b, "exceeds the 8 bytes left");
    }
    head(&b, 0, 1);
    str(&b, "k");
    num(&b, GGUF_ARR, 4);
    num(&b, GGUF_ARR, 4);
    num(&b, 1, 8);
    data(&b, 20);
    refused(&b, "nested arrays");
    memset(b.p + 24 + 9 + 4, 77, 1);
    refused(&b, "unknown value type");
    head(&b, 0, 1);
    str(&b, "k");
    num(&b, GGUF_ARR, 4);
    num(&b, GGUF_BOOL, 4);
    num(&b, 3, 8);
    num(&b, 0xFF0001, 3);
    refused(&b, "invalid bool 255");
    head(&b, 0, 1);
    str(&b, "k");
    num(&b, GGUF_ARR, 4);
    num(&b, GGUF_STR, 4);
    num(&b, 2, 8);
    str(&b, "abc");
    num(&b, 1, 8);
    refused(&b, "exceeds the 0 bytes left");
    for (int i = 0; i < 5; i++) {
        static const uint32_t a[] = {0, 13, 1 << 30, 4, 1 << 21};

        head(&b, 0, 1);
        key_u32(&b, "general.alignment", a[i]);
        refused(&b, "power of two");
    }
    head(&b, 0, 1);
    str(&b, "general.alignment");
    num(&b, GGUF_I32, 4);
    num(&b, 32, 4);
    refused(&b, "expected u32, found i32");
    buf_free(&b);
}

static void test_infos(void)
{
    static const uint64_t one[4] = {32, 1, 1, 1};
    static const struct {
        const char *name;
        int n_dims;
        uint64_t dim[4];
        uint32_t type;
        uint64_t offset;
        const char *want;
    } row[] = {
        {"", 1, {32}, 0, 0, "empty tensor name"},
        {"../\n", 1, {32}, 0, 0, "bad tensor name"},
        {"\xc0\x80", 1, {32}, 0, 0, "bad tensor name"},
        {"w", 0, {32}, 0, 0, "n_dims 0"},
        {"w", 5, {1}, 0, 0, "n_dims 5"},
        {"w", -1, {1}, 0, 0, "n_dims 4294967295"},
        {"w", 2, {0, 4}, 0, 0, "dimension 0 is not in"},
        {"w", 1, {UINT64_MAX}, 0, 0, "dimension 18446744073709551615 is not in"},
        {"w", 1, {(uint64_t)1 << 63}, 0, 0, "dimension"},
        {"w", 2, {(uint64_t)1 << 40, (uint64_t)1 << 40}, 0, 0, "overflows"},
        {"w", 3, {(uint64_t)1 << 32, (uint64_t)1 << 30, 4}, 0, 0, "overflows"},
        {"w", 2, {(uint64_t)1 << 22, ((uint64_t)1 << 39) + 1}, 0, 0, "overflows"},
        {"w", 2, {255, 2}, T_Q4_K, 0, "not a multiple of Q4_K's block of 256"},
        {"w", 1, {32}, 4, 0, "unknown tensor type 4"},
        {"w", 1, {32}, 5, 0, "unknown tensor type 5"},
        {"w", 1, {32}, 64, 0, "unknown tensor type 64"},
        {"w", 1, {32}, UINT32_MAX, 0, "unknown tensor type"},
        {"w", 1, {32}, 1u << 31, 0, "unknown tensor type"},
        {"w", 1, {32}, 0, 16, "not a multiple of 32"},
        {"w", 1, {32}, 0, 64, "outside the file"},
        {"w", 1, {33}, 0, 0, "outside the file"},
        {"w", 1, {32}, 0, (uint64_t)1 << 40, "outside the file"},
        {"w", 1, {32}, 0, UINT64_MAX - 31, "outside the file"},
    };
    struct buf b = {0};

    TEST("tensor infos");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        head(&b, 1, 0);
        info(&b, row[i].name,
             row[i].n_dims < 0   ? 0
             : row[i].n_dims > 4 ? 4
                                 : row[i].n_dims,
             row[i].dim, row[i].type, row[i].offset);
        if (row[i].n_dims < 0 || row[i].n_dims > 4)
            memcpy(b.p + 24 + 8 + 1, &row[i].n_dims, 4);
        data(&b, 128);
        refused(&b, row[i].want);
    }
    head(&b, 1, 0);
    num(&b, 256, 8);
    data(&b, 400);
    refused(&b, "tensor name length 256 exceeds the limit of 255");
    head(&b, 2, 0);
    info(&b, "w", 1, one, 0, 0);
    info(&b, "w", 1, one, 0, 128);
    data(&b, 256);
    refused(&b, "duplicate tensor 'w'");
    head(&b, 2, 0);
    info(&b, "b", 1, one, 0, 96);
    info(&b, "a", 1, one, 0, 0);
    data(&b, 256);
    refused(&b, "tensor 'b' overlaps 'a'");
    buf_free(&b);
}

/* A good file with two tensors: (3, 32) Q8_0 and (5) F32. */
static void good(struct buf *b)
{
    static const uint64_t d1[] = {32, 3}, d2[] = {5};

    head(b, 2, 4);
    key_u32(b, "n", 7);
    str(b, "s");
    num(b, GGUF_STR, 4);
    str(b, "text");
    str(b, "a");
    num(b, GGUF_ARR, 4);
    num(b, GGUF_STR, 4);
    num(b, 3, 8);
    str(b, "x");
    str(b, "");
    str(b, "yz");
    str(b, "f");
    num(b, GGUF_F32, 4);
    num(b, 0x3F000000, 4);
    info(b, "w", 2, d1, T_Q8_0, 0);
    info(b, "v", 1, d2, T_F32, 128);
    data(b, 128 + 20);
}

static void test_good(void)
{
    struct buf b = {0};
    struct gguf g = {0};
    struct err e;
    const char *s = NULL;
    size_t n = 0, at = 0;
    int64_t v = 0;
    float f = 0;
    bool flag;

    TEST("a good file");
    good(&b);
    CHECK(!open_bytes(&g, b.p, b.n, &e) && g.n_tensors == 2 && g.n_kv == 4 && g.alignment == 32);
    const struct tensor *t = gguf_tensor(&g, "w");
    CHECK(t && t->type == T_Q8_0 && t->n_dims == 2 && t->shape[0] == 3 && t->shape[1] == 32);
    CHECK(t && t->bytes == 102 && ((const uint8_t *)t->data)[1] == 1);
    t = gguf_tensor(&g, "v");
    CHECK(t && t->shape[0] == 5 && t->shape[1] == 1 && *(const uint8_t *)t->data == 128);
    CHECK(!gguf_tensor(&g, "u") && !gguf_find(&g, "none"));
    CHECK(gguf_int(&g, "n", 0, 9, &v, &e) == 1 && v == 7 && gguf_int(&g, "m", 0, 9, &v, &e) == 0);
    CHECK(gguf_int(&g, "n", 8, 9, &v, &e) == -1);
    CHECK(!strcmp(e.msg, "t.gguf: key 'n': 7 is not in 8..9"));
    CHECK(gguf_int(&g, "s", 8, 9, &v, &e) == -1);
    CHECK(!strcmp(e.msg, "t.gguf: key 's': expected an integer, found string"));
    CHECK(gguf_float(&g, "f", &f, &e) == 1 && f == 0.5f && gguf_float(&g, "n", &f, &e) == -1);
    CHECK(gguf_bool(&g, "n", &flag, &e) == -1 && gguf_str(&g, "a", &s, &n, &e) == -1);
    CHECK(gguf_str(&g, "s", &s, &n, &e) == 1 && n == 4 && !memcmp(s, "text", 4));
    const struct gguf_kv *kv = gguf_find(&g, "a");
    CHECK(kv && kv->n == 3 && gguf_next_str(kv, &at, &s, &n) && n == 1 && *s == 'x');
    CHECK(gguf_next_str(kv, &at, &s, &n) && n == 0 && gguf_next_str(kv, &at, &s, &n) && n == 2);
    CHECK(!gguf_next_str(kv, &at, &s, &n));
    gguf_close(&g);
    gguf_close(&g);
    TEST("cut at every byte");
    for (size_t k = 0; k < b.n; k++) {
        CHECK(open_bytes(&g, b.p, k, &e) == -1);
        gguf_close(&g);
    }
    TEST("bytes after the end are no harm");
    buf_str(&b, "garbage");
    CHECK(!open_bytes(&g, b.p, b.n, &e));
    gguf_close(&g);
    buf_free(&b);
}

static void test_many(void)
{
    static const uint64_t d[] = {1};
    struct buf b = {0};
    struct gguf g = {0};
    struct err e;
    clock_t t;
    char name[32];

    TEST("200,000 tensors in time that is linear");
    head(&b, 200000, 0);
    for (int i = 0; i < 200000; i++) {
        snprintf(name, sizeof(name), "tensor.%d", i);
        info(&b, name, 1, d, T_F32, (uint64_t)(199999 - i) * 32);
    }
    data(&b, 200000 * 32);
    t = clock();
    CHECK(!open_bytes(&g, b.p, b.n, &e) && g.n_tensors == 200000 &&
          gguf_tensor(&g, "tensor.77777"));
    CHECK((double)(clock() - t) / CLOCKS_PER_SEC < 5);
    gguf_close(&g);
    buf_free(&b);
}

static void write_all(struct gguf_writer *w, const struct gguf_kv *copy)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t q[68] = {1};
    struct err e;

    gguf_put_int(w, "i8", GGUF_I8, -5);
    gguf_put_int(w, "u16", GGUF_U16, 65535);
    gguf_put_int(w, "i64", GGUF_I64, INT64_MIN);
    gguf_put_int(w, "u64", GGUF_U64, -1);
    gguf_put_float(w, "pi", 3.25f);
    gguf_put_float(w, "nan", NAN);
    gguf_put_bool(w, "yes", true);
    gguf_put_str(w, "bad", "a\xff", 2);
    gguf_put_array(w, "floats", GGUF_F32, 2);
    gguf_add_float(w, 0.5f);
    gguf_add_float(w, -1);
    gguf_put_array(w, "ints", GGUF_I32, 2);
    gguf_add_i32(w, -7);
    gguf_add_i32(w, 8);
    gguf_put_array(w, "none", GGUF_STR, 0);
    gguf_put_kv(w, copy);
    CHECK(!gguf_put_tensor(w, "x", T_F32, 2, (const int64_t[]){2, 3}, &e));
    CHECK(!gguf_put_tensor(w, "q", T_Q8_0, 1, (const int64_t[]){64}, &e));
    CHECK(gguf_put_tensor(w, "", T_F32, 1, (const int64_t[]){3}, &e) == -1);
    CHECK(!gguf_start_data(w, &e) && !gguf_data(w, x, 8, &e) && !gguf_data(w, x + 2, 16, &e));
    CHECK(!gguf_end_tensor(w, &e) && !gguf_data(w, q, 68, &e) && !gguf_end_tensor(w, &e));
    CHECK(!gguf_finish(w, &e));
}

static void test_writer(void)
{
    struct gguf_writer w;
    struct gguf g = {0}, from = {0};
    struct buf b = {0};
    struct err e;
    int64_t v = 0;
    float f;
    bool yes = false;
    const char *s;
    size_t n;

    TEST("what is written is read back");
    good(&b);
    CHECK(!open_bytes(&from, b.p, b.n, &e));
    CHECK(!gguf_create(&w, "w.gguf", 0, &e));
    write_all(&w, gguf_find(&from, "a"));
    CHECK(!gguf_open(&g, "w.gguf", &e) && g.alignment == 64 && g.version == 3 && g.n_kv == 13);
    CHECK(gguf_int(&g, "i8", -9, 9, &v, &e) == 1 && v == -5);
    CHECK(gguf_int(&g, "u16", 0, 1 << 20, &v, &e) == 1 && v == 65535);
    CHECK(gguf_int(&g, "i64", INT64_MIN, 0, &v, &e) == 1 && v == INT64_MIN);
    CHECK(gguf_int(&g, "u64", INT64_MIN, 1 << 20, &v, &e) == -1);
    CHECK(gguf_item_num(gguf_find(&g, "u64"), 0) == 0x1p64);
    CHECK(gguf_float(&g, "pi", &f, &e) == 1 && f == 3.25f && gguf_float(&g, "nan", &f, &e) == -1);
    CHECK(gguf_bool(&g, "yes", &yes, &e) == 1 && yes && gguf_str(&g, "bad", &s, &n, &e) == -1);
    CHECK(gguf_item_num(gguf_find(&g, "floats"), 1) == -1);
    CHECK(gguf_item_int(gguf_find(&g, "ints"), 0) == -7);
    CHECK(gguf_find(&g, "none")->n == 0 && gguf_find(&g, "a")->n == 3);
    const struct tensor *x = gguf_tensor(&g, "x"), *q = gguf_tensor(&g, "q");
    CHECK(x && x->shape[0] == 2 && x->shape[1] == 3 && ((const float *)x->data)[5] == 6);
    CHECK(q && q->bytes == 68 && (uintptr_t)q->data % 64 == 0 && *(const uint8_t *)q->data == 1);
    gguf_close(&g);
    gguf_close(&from);
    CHECK(gguf_create(&w, "w.gguf", 0, &e) == -1);
    gguf_abandon(&w);
    buf_free(&b);
}

int main(void)
{
    char dir[] = "/tmp/gguf_test.XXXXXX";

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    test_header();
    test_keys();
    test_values();
    test_infos();
    test_good();
    test_many();
    test_writer();
    unlink("t.gguf");
    unlink("w.gguf");
    if (chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
