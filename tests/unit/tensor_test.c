/* tensor_test.c - sizes of shapes, every product checked. */
#include "tensor.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static void test_sizes(void)
{
    static const struct {
        enum tensor_type type;
        int n_dims;
        int64_t shape[4];
        int64_t n; // -1: refused
        size_t bytes;
    } row[] = {
        {T_F32, 0, {0}, 1, 4},
        {T_F32, 1, {7}, 7, 28},
        {T_F32, 2, {3, 0}, 0, 0},
        {T_F16, 3, {2, 3, 5}, 30, 60},
        {T_Q8_0, 2, {3, 64}, 192, 204},
        {T_Q4_K, 2, {2, 256}, 512, 288},
        {T_Q6_K, 1, {512}, 512, 420},
        {T_Q2_K, 1, {256}, 256, 84},
        {T_Q3_K, 1, {256}, 256, 110},
        {T_IQ4_NL, 1, {64}, 64, 36},
        {T_MXFP4, 1, {64}, 64, 34},
        {T_NVFP4, 2, {2, 64}, 128, 72},
        {T_NVFP4, 1, {96}, -1, 0},
        {T_I64, 4, {1, 2, 3, 4}, 24, 192},
        {T_Q4_K, 2, {256, 255}, -1, 0},
        {T_Q8_0, 0, {0}, -1, 0},
        {T_F32, 2, {-1, 4}, -1, 0},
        {T_F32, 5, {1, 1, 1, 1}, -1, 0},
        {T_F32, -1, {0}, -1, 0},
        {T_F32, 2, {(int64_t)1 << 32, (int64_t)1 << 32}, -1, 0},
        {T_F32, 2, {((int64_t)1 << 42) + 1, (int64_t)1 << 22}, -1, 0},
        {T_F32, 1, {(int64_t)1 << 61}, -1, 0},
        {T_F64, 1, {INT64_MAX}, -1, 0},
        {(enum tensor_type)4, 1, {32}, -1, 0},
        {(enum tensor_type)5, 1, {32}, -1, 0},
        {T_NTYPES, 1, {32}, -1, 0},
        {(enum tensor_type) - 1, 1, {32}, -1, 0},
    };
    struct err e;

    TEST("sizes");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        int64_t n = -1;
        size_t bytes = 0;
        int rc = tensor_size(row[i].type, row[i].n_dims, row[i].shape, &n, &bytes, &e);

        CHECK(rc == (row[i].n < 0 ? -1 : 0));
        CHECK(rc || (n == row[i].n && bytes == row[i].bytes));
        CHECK(!rc || (e.code == ERR_DATA && *e.msg));
    }
}

int main(void)
{
    struct tensor t = {"w", T_F32, 3, {2, 3, 5, 1}, NULL, 120};
    enum tensor_type type;

    test_sizes();
    TEST("rows, columns, names");
    CHECK(tensor_cols(&t) == 5 && tensor_rows(&t) == 6);
    t.n_dims = 0;
    CHECK(tensor_cols(&t) == 1 && tensor_rows(&t) == 1);
    CHECK(!tensor_type_find("q4_k", &type) && type == T_Q4_K);
    CHECK(tensor_type_find("q4_9", &type) == -1);
    CHECK(!strcmp(tensor_type_name(T_BF16), "BF16") && !tensor_type_name((enum tensor_type)4));
    CHECK(!tensor_type_name((enum tensor_type) - 5) && tensor_block((enum tensor_type)99) == 0);
    CHECK(tensor_row_bytes(T_Q8_0, 96) == 102 && tensor_block_bytes(T_Q5_K) == 176);
    CHECK(!tensor_type_find("iq4_xs", &type) && tensor_row_bytes(type, 512) == 272);
    return test_end();
}
