/* npy_test.c - .npy files against numpy's (tests/goldens/npy.py), written whole, killed and taken
 * up again; vectors in records and beside them. */
#include "embed.h"
#include "mem.h"
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float values[2][3] = {{0, 1, -2.5f}, {0.1f, 3e-5f, -127}};

static char dir[200];

static const char *at(const char *name)
{
    static char path[2][300];
    static int k;

    snprintf(path[k ^= 1], sizeof(path[0]), "%s/%s", dir, name);
    return path[k];
}

static bool equal_files(const char *a, const char *b)
{
    struct file_map x, y;
    struct err e;
    bool same;

    if (file_map(&x, a, &e) || file_map(&y, b, &e))
        return false;
    same = x.n == y.n && !memcmp(x.p, y.p, x.n);
    file_unmap(&x);
    file_unmap(&y);
    return same;
}

static void check_read(const char *name, enum npy_type type, float tolerance)
{
    struct npy x;
    struct err e;
    char path[100];

    snprintf(path, sizeof(path), "tests/data/npy/%s.npy", name);
    CHECK(!npy_open(&x, path, &e) && x.type == type && x.rows == 2 && x.dim == 3);
    for (int i = 0; i < 2 && x.rows == 2; i++) {
        float row[3];

        npy_row(&x, i, row);
        for (int k = 0; k < 3; k++) {
            float want = type == NPY_I8 ? truncf(values[i][k]) : values[i][k];

            CHECK(fabsf(row[k] - want) <= tolerance * fabsf(want));
        }
    }
    npy_close(&x);
}

static void test_read(void)
{
    static const struct {
        const char *name, *why;
    } bad[] = {{"fortran", "fortran_order"}, {"big", "descr"},    {"cube", "two dimensions"},
               {"scalar", "single value"},   {"struct", "descr"}, {"i8", "descr"}};
    struct npy x;
    struct err e;

    TEST("what numpy wrote is read");
    check_read("f4", NPY_F32, 0);
    check_read("v2", NPY_F32, 0);
    check_read("v3", NPY_F32, 0);
    check_read("f2", NPY_F16, 1e-2f);
    check_read("f8", NPY_F64, 1e-7f);
    check_read("i1", NPY_I8, 0);
    CHECK(!npy_open(&x, "tests/data/npy/flat.npy", &e) && x.rows == 6 && x.dim == 1);
    npy_close(&x);
    CHECK(!npy_open(&x, "tests/data/npy/none.npy", &e) && x.rows == 0 && x.dim == 3);
    npy_close(&x);
    TEST("what is no list of vectors is refused by its name");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char path[100];

        snprintf(path, sizeof(path), "tests/data/npy/%s.npy", bad[i].name);
        CHECK(npy_open(&x, path, &e) < 0 && strstr(e.msg, path) && strstr(e.msg, bad[i].why));
    }
}

static void put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
}

static void test_broken(void)
{
    struct file_map m;
    struct err e;
    struct npy x;
    char *copy;

    TEST("a file of another size than its header says is refused");
    CHECK(!file_map(&m, "tests/data/npy/f4.npy", &e));
    copy = mem_new(m.n + 1);
    memcpy(copy, m.p, m.n);
    copy[m.n] = 0;
    for (size_t n = 0; n <= m.n + 1; n++) {
        put(at("cut.npy"), copy, n);
        CHECK(npy_open(&x, at("cut.npy"), &e) == (n == m.n ? 0 : -1));
        npy_close(&x);
    }
    free(copy);
    file_unmap(&m);
}

static void test_write(void)
{
    const struct {
        const char *name;
        int rows;
    } golden[] = {{"f4", 2}, {"none", 0}};
    struct npy_out o;
    struct err e;

    TEST("what is written is what numpy writes, byte for byte");
    for (int i = 0; i < 2; i++) {
        char path[100];

        snprintf(path, sizeof(path), "tests/data/npy/%s.npy", golden[i].name);
        CHECK(!npy_create(&o, at("w.npy"), NPY_F32, false, false, 0, &e));
        o.dim = 3;
        for (int k = 0; k < golden[i].rows; k++)
            CHECK(!npy_add(&o, values[k], 3, &e));
        CHECK(!npy_finish(&o, &e) && equal_files(at("w.npy"), path));
        unlink(at("w.npy"));
    }
    CHECK(!npy_create(&o, at("w.npy"), NPY_F32, true, false, 0, &e));
    for (int k = 0; k < 6; k++)
        CHECK(!npy_add(&o, &values[k / 3][k % 3], 1, &e));
    CHECK(!npy_finish(&o, &e) && equal_files(at("w.npy"), "tests/data/npy/flat.npy"));
    TEST("an existing file, another's file and a file that is in use are refused");
    CHECK(npy_create(&o, at("w.npy"), NPY_F32, true, false, 0, &e) < 0 && e.code == ERR_ARG);
    CHECK(npy_create(&o, at("w.npy"), NPY_F32, false, true, 0, &e) < 0 && e.code == ERR_DATA);
    CHECK(npy_create(&o, at("w.npy"), NPY_I8, true, true, 0, &e) < 0 && e.code == ERR_DATA);
    put(at("text"), "something of value\n", 19);
    CHECK(npy_create(&o, at("text"), NPY_F32, false, true, 0, &e) < 0 && e.code == ERR_DATA);
    CHECK(npy_create(&o, "/dev/null", NPY_F32, false, true, 0, &e) < 0 && e.code == ERR_ARG);
    CHECK(!npy_create(&o, at("lock"), NPY_F32, false, false, 0, &e));
    CHECK(npy_create(&(struct npy_out){0}, at("lock"), NPY_F32, false, true, 0, &e) < 0 &&
          strstr(e.msg, "another process"));
    CHECK(!npy_add(&o, values[0], 3, &e) && npy_add(&o, values[0], 2, &e) < 0);
    npy_abandon(&o);
}

/* Rows of a run that was killed after `rows` records and some more vectors. */
static void test_resume(void)
{
    struct embed_out o;
    struct err e;
    struct npy x;

    TEST("a file that a killed run left says that it is empty, and is taken up");
    for (int rows = 0; rows <= 2; rows++) {
        CHECK(!embed_create(&o, at("r.npy"), EMBED_I8, false, 0, &e));
        for (int k = 0; k < 2; k++)
            CHECK(!embed_add(&o, values[k], 3, &e));
        embed_abandon(&o);
        CHECK(npy_open(&x, at("r.npy"), &e) < 0 && strstr(e.msg, "but 0 rows"));
        CHECK(!embed_create(&o, at("r.npy"), EMBED_I8, true, rows, &e) && o.v.rows == rows);
        for (int k = rows; k < 2; k++)
            CHECK(!embed_add(&o, values[k], 3, &e));
        CHECK(!embed_finish(&o, &e));
        CHECK(embed_create(&o, at("r.npy"), EMBED_I8, true, 3, &e) < 0 &&
              strstr(e.msg, "fewer rows than the 3 records"));
        if (rows)
            CHECK(equal_files(at("r.npy"), at("first.npy")) &&
                  equal_files(at("r.scale.npy"), at("first.scale.npy")));
        rename(at("r.npy"), at("first.npy"));
        rename(at("r.scale.npy"), at("first.scale.npy"));
    }
}

static void test_forms(void)
{
    float v[3] = {0.5f, 1.25f, -2}, row[3];
    const float *got;
    struct embed_file f;
    struct record r;
    struct err e;
    struct buf b = {0};
    int dim;

    TEST("both forms in a record, and both of files, give the same floats");
    for (int type = EMBED_F32; type <= EMBED_I8; type++) {
        struct embed_out o;

        record_new(&r);
        embed_put(&r, v, 3, (enum embed_type)type);
        buf_reset(&b);
        record_write(&r, &b);
        CHECK(!strcmp(b.p, type == EMBED_F32
                               ? "{\"embedding\":[0.5,1.25,-2]}\n"
                               : "{\"embedding\":[32,79,-127],\"embedding_scale\":0.015748031}\n"));
        CHECK(!embed_get(&r, &got, &dim, &e) && dim == 3);
        CHECK(!embed_create(&o, at(embed_types[type]), (enum embed_type)type, false, 0, &e) &&
              !embed_add(&o, v, 3, &e) && !embed_finish(&o, &e));
        CHECK(!embed_open(&f, at(embed_types[type]), &e) && f.rows == 1 && f.dim == 3);
        embed_row(&f, 0, row);
        CHECK(dim == 3 && !memcmp(row, got, sizeof(row)));
        CHECK(fabsf(row[1] - v[1]) <= 2.0f / 254);
        embed_close(&f);
        record_reset(&r);
    }
    buf_free(&b);
    TEST("a file of factors that do not fit is refused");
    CHECK(!embed_open(&f, at("first.npy"), &e) && f.rows == 2);
    embed_close(&f);
    unlink(at("first.scale.npy"));
    CHECK(embed_open(&f, at("first.npy"), &e) < 0 && strstr(e.msg, "first.scale.npy"));
    CHECK(!rename(at("int8.scale.npy"), at("first.scale.npy")));
    CHECK(embed_open(&f, at("first.npy"), &e) < 0 && strstr(e.msg, "2 rows"));
    TEST("cut and made unit");
    CHECK(embed_shape(v, 3, 2, false) == 2 && embed_shape(v, 3, 0, true) == 3);
    CHECK(fabsf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] - 1) < 1e-6f);
    memset(v, 0, sizeof(v));
    CHECK(embed_shape(v, 3, 5, true) == 3 && v[0] == 0);
}

static void test_fields(void)
{
    static const char *const bad[] = {
        "{}",
        "{\"embedding\":1}",
        "{\"embedding\":[]}",
        "{\"embedding\":[1,\"2\"]}",
        "{\"embedding\":[1,[2]]}",
        "{\"embedding\":[1e39]}",
        "{\"embedding\":[1],\"embedding_scale\":\"x\"}",
        "{\"embedding\":[1],\"embedding_scale\":-1}",
        "{\"embedding\":[127],\"embedding_scale\":3e38}",
    };
    struct record r;
    const float *v;
    struct err e;
    int dim;

    TEST("a field that is no vector is refused");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CHECK(!record_parse(&r, bad[i], strlen(bad[i]), &e));
        CHECK(embed_get(&r, &v, &dim, &e) < 0 && e.code == ERR_DATA && strstr(e.msg, "embedding"));
        record_reset(&r);
    }
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char rm[300];

    snprintf(dir, sizeof(dir), "%s/npy_test_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    test_read();
    test_broken();
    test_write();
    test_resume();
    test_forms();
    test_fields();
    snprintf(rm, sizeof(rm), "rm -r %s", dir);
    CHECK(!system(rm));
    return test_end();
}
