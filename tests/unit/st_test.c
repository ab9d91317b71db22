/* st_test.c - written files read back; wrong headers and indexes are refused. */
#include "st.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    CHECK(f && fwrite(p, 1, n, f) == n);
    if (f)
        fclose(f);
}

/* A file with this header and n bytes of data. */
static void put_st(const char *path, const char *header, size_t n_header, size_t n)
{
    struct buf b = {0};
    uint64_t len = n_header;

    buf_add(&b, &len, sizeof(len));
    buf_add(&b, header, n_header);
    for (size_t i = 0; i < n; i++)
        buf_char(&b, (char)i);
    put(path, b.p, b.n);
    buf_free(&b);
}

static void refused(const char *path, const char *want)
{
    struct st s;
    struct err e = {0};
    int rc = st_open(&s, path, &e);

    CHECK(rc == -1 && strstr(e.msg, want));
    if (rc != -1 || !strstr(e.msg, want))
        printf("# want '%s', got %d '%s'\n", want, rc, e.msg);
    st_close(&s);
}

#define W(dtype, shape, offsets) \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_headers(void)
{
    static const struct {
        const char *header;
        size_t n; // bytes of data
        const char *want;
    } row[] = {
        {"[]", 0, "not a JSON object"},
        {" {}", 0, "not a JSON object"},
        {"\xef\xbb\xbf{}", 0, "not a JSON object"},
        {"{}x", 0, "header: byte 2"},
        {"{\"w\":1}", 0, "not an object"},
        {"{\"\":{}}", 0, "tensor name of 0 bytes"},
        {"{\"a\\n\":{}}", 0, "control character"},
        {"{\"a\\u0000\":{}}", 0, "control character"},
        {"{\"w\":{}}", 0, "tensor 'w': dtype"},
        {"{\"w\":{},\"w\":{}}", 0, "duplicate key 'w'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "no string"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
        {W("\"f32\"", "[1]", "[0,4]"), 4, "dtype"},
        {W("\"F4\"", "[1]", "[0,4]"), 4, "dtype"},
        {W("7", "[1]", "[0,4]"), 4, "dtype"},
        {W("\"F32\"", "1", "[0,4]"), 4, "shape"},
        {W("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "at most 8"},
        {W("\"F32\"", "[-1]", "[0,4]"), 4, "dimension 0"},
        {W("\"F32\"", "[1.0]", "[0,4]"), 4, "dimension 0"},
        {W("\"F32\"", "[1e0]", "[0,4]"), 4, "dimension 0"},
        {W("\"F32\"", "[\"1\"]", "[0,4]"), 4, "dimension 0"},
        {W("\"F32\"", "[18446744073709551616]", "[0,4]"), 4, "dimension 0"},
        {W("\"F32\"", "[4611686018427387905,4]", "[0,16]"), 16, "overflows"},
        {W("\"F32\"", "[1]", "[0]"), 4, "data_offsets"},
        {W("\"F32\"", "[1]", "[0,4,8]"), 4, "data_offsets"},
        {W("\"F32\"", "[1]", "[0,4.0]"), 4, "data_offsets"},
        {W("\"F32\"", "[1]", "[4,0]"), 4, "outside"},
        {W("\"F32\"", "[1]", "[-4,0]"), 4, "outside"},
        {W("\"F32\"", "[1]", "[0,9223372036854775807]"), 4, "outside"},
        {W("\"F32\"", "[2]", "[0,4]"), 4, "dtype and shape need 8"},
        {W("\"F32\"", "[1]", "[4,8]"), 8, "hole or overlap"},
        {W("\"F32\"", "[1]", "[0,4]"), 8, "end at 4, the file has 8"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "hole or overlap"},
    };

    TEST("headers");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        put_st("t.safetensors", row[i].header, strlen(row[i].header), row[i].n);
        refused("t.safetensors", row[i].want);
    }
    put_st("t.safetensors", "{}\0", 3, 0);
    refused("t.safetensors", "header: byte 2");
    TEST("header length");
    for (int i = 0; i < 6; i++) {
        static const uint64_t n[] = {0, 1, UINT64_MAX, 100000001, 9, (uint64_t)1 << 63};
        char b[16] = {0};

        memcpy(b, &n[i], 8);
        put("t.safetensors", b, sizeof(b));
        refused("t.safetensors", "header length");
    }
    put("t.safetensors", "", 0);
    refused("t.safetensors", "truncated");
    put("t.safetensors", "1234567", 7);
    refused("t.safetensors", "truncated");
    TEST("pickle");
    put("t.safetensors", "PK\3\4aaaaaaaaaaaa", 16);
    refused("t.safetensors", "pickle");
    put("t.safetensors", "\x80\2}q\0aaaaaaaaaaa", 16);
    refused("t.safetensors", "pickle");
}

/* Headers of 128, 384, ... 1408 bytes begin as a pickle's protocols 0 to 5 do. */
static void test_like_pickle(void)
{
    char header[1408];
    struct err e = {0};
    struct st s;

    TEST("a header whose length looks like a pickle");
    for (size_t n = 128; n <= sizeof(header); n += 256) {
        memset(header, ' ', n);
        memcpy(header, W("\"F32\"", "[1]", "[0,4]"), strlen(W("\"F32\"", "[1]", "[0,4]")));
        put_st("t.safetensors", header, n, 4);
        CHECK(!st_open(&s, "t.safetensors", &e) && s.n_tensors == 1);
        st_close(&s);
    }
}

static void test_big_header(void)
{
    struct buf b = {0};
    clock_t t = clock();

    TEST("a 90 MB header of nested arrays is refused at once");
    buf_str(&b, "{\"__metadata__\":");
    for (int i = 0; i < 22 * 1000 * 1000; i++)
        buf_str(&b, "[[],");
    put_st("t.safetensors", b.p, b.n, 0);
    t = clock();
    refused("t.safetensors", "header of more than 5000000 values");
    CHECK((double)(clock() - t) / CLOCKS_PER_SEC < 2);
    TEST("500,000 entries");
    buf_reset(&b);
    for (int i = 0; i < 500000; i++)
        buf_fmt(&b, "%s\"%d\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                i ? "," : "{", i);
    buf_char(&b, '}');
    put_st("t.safetensors", b.p, b.n, 0);
    t = clock();
    refused("t.safetensors", "of more than 5000000 values");
    CHECK((double)(clock() - t) / CLOCKS_PER_SEC < 2);
    buf_free(&b);
}

static void test_good(void)
{
    static const char header[] =
        "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[3,11]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[11,15]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[11,11]},"
        "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[15,17]},"
        "\"r5\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[17,25]}}   ";
    struct st s;
    struct err e = {0};
    const struct tensor *t;

    TEST("a good file: any order of keys, odd places, empty, scalar and foreign tensors");
    put_st("t.safetensors", header, strlen(header), 25);
    CHECK(!st_open(&s, "t.safetensors", &e) && s.n_tensors == 6 && s.n_maps == 1);
    CHECK(!strcmp(s.tensor[0].name, "a") && !strcmp(s.tensor[1].name, "b"));
    t = st_tensor(&s, "b");
    CHECK(t && t->type == T_F16 && t->shape[0] == 2 && t->bytes == 8 &&
          *(const char *)t->data == 3);
    t = st_tensor(&s, "scalar");
    CHECK(t && t->n_dims == 0 && t->bytes == 4 && *(const char *)t->data == 11);
    t = st_tensor(&s, "none");
    CHECK(t && t->bytes == 0 && t->shape[1] == 7);
    t = st_tensor(&s, "mask");
    CHECK(t && t->type == T_NTYPES && t->bytes == 2);
    t = st_tensor(&s, "r5");
    CHECK(t && t->type == T_NTYPES && t->bytes == 8 && t->n_dims == 1);
    CHECK(!st_tensor(&s, "__metadata__"));
    st_close(&s);
    st_close(&s);
    TEST("cut anywhere");
    for (size_t n = 0; n < sizeof(header) - 1 + 8 + 25; n++) {
        CHECK(!truncate("t.safetensors", (off_t)(sizeof(header) - 1 + 8 + 24 - n)));
        refused("t.safetensors", "t.safetensors: ");
    }
}

static void test_writer(void)
{
    struct st_writer w;
    struct st s;
    struct err e = {0};
    const struct tensor *t;

    TEST("what is written is read back");
    CHECK(!st_create(&w, "w.safetensors", 0, &e));
    CHECK(!st_put_tensor(&w, "a\"b", T_BF16, 1, (const int64_t[]){3}, &e));
    CHECK(!st_put_tensor(&w, "c", T_F32, 2, (const int64_t[]){1, 1}, &e));
    CHECK(st_put_tensor(&w, "q", T_Q8_0, 1, (const int64_t[]){32}, &e) == -1);
    CHECK(!st_start_data(&w, &e) && !st_data(&w, "123456", 6, &e) && !st_data(&w, "abcd", 4, &e));
    CHECK(!st_finish(&w, &e) && !st_open(&s, "w.safetensors", &e) && s.n_tensors == 2);
    t = st_tensor(&s, "a\"b");
    CHECK(t && t->type == T_BF16 && t->shape[0] == 3 && !memcmp(t->data, "123456", 6));
    t = st_tensor(&s, "c");
    CHECK(t && t->n_dims == 2 && !memcmp(t->data, "abcd", 4));
    CHECK(((uintptr_t)s.tensor[0].data - (uintptr_t)s.map[0].p) % 8 == 0);
    st_close(&s);
    CHECK(st_create(&w, "w.safetensors", 0, &e) == -1);
}

static void index_is(const char *text)
{
    put("d/model.safetensors.index.json", text, strlen(text));
}

static void test_shards(void)
{
    static const char *const bad[] = {"../x.safetensors",
                                      "/etc/x.safetensors",
                                      ".safetensors",
                                      "x.bin",
                                      "a/b.safetensors",
                                      "x\\u0000.safetensors",
                                      ""};
    struct st s;
    struct err e = {0};
    char text[200];

    TEST("shards");
    CHECK(!mkdir("d", 0700));
    refused("d", "no model.safetensors");
    put("d/pytorch_model.bin", "x", 1);
    refused("d", "pickle");
    put_st("d/m2.safetensors", W("\"I8\"", "[4]", "[0,4]"), strlen(W("\"I8\"", "[4]", "[0,4]")), 4);
    put_st("d/m1.safetensors", "{\"v\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
           strlen("{\"v\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}"), 2);
    index_is(
        "{\"metadata\":{},\"weight_map\":{\"w\":\"m2.safetensors\",\"v\":\"m1.safetensors\"}}");
    CHECK(!st_open(&s, "d", &e) && s.n_maps == 2 && s.n_tensors == 2);
    CHECK(st_tensor(&s, "v") == &s.tensor[0] && s.shard[0] == 0 && s.shard[1] == 1);
    st_close(&s);
    index_is("{\"weight_map\":{\"w\":\"m1.safetensors\",\"v\":\"m2.safetensors\"}}");
    refused("d", "'w' is not in its shard");
    index_is("{\"weight_map\":{\"x\":\"m1.safetensors\"}}");
    refused("d", "'x' is not in its shard");
    index_is("{\"weight_map\":{\"w\":\"m3.safetensors\"}}");
    refused("d", "cannot open 'd/m3.safetensors'");
    index_is("{\"weight_map\":{}}");
    refused("d", "no 'weight_map'");
    index_is("{\"weight_map\":{\"w\":7}}");
    refused("d", "plain file name");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(text, sizeof(text), "{\"weight_map\":{\"w\":\"%s\"}}", bad[i]);
        index_is(text);
        refused("d", "plain file name");
    }
    put_st("d/m3.safetensors", W("\"I8\"", "[4]", "[0,4]"), strlen(W("\"I8\"", "[4]", "[0,4]")), 4);
    index_is("{\"weight_map\":{\"w\":\"m3.safetensors\",\"u\":\"m2.safetensors\"}}");
    refused("d", "tensor 'w' is in another shard too");
}

int main(void)
{
    char dir[] = "/tmp/st_test.XXXXXX";

    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    test_headers();
    test_like_pickle();
    test_big_header();
    test_good();
    test_writer();
    test_shards();
    if (system("rm -f ./*.safetensors d/*; rmdir d") || chdir("/") || rmdir(dir))
        return 1;
    return test_end();
}
