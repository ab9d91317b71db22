/* workload_test.c - random requests: their lengths, what repeats and what does not. */
#include "test.h"
#include "workload.h"

#include <math.h>
#include <string.h>

enum { N = 1000, VOCAB = 300 };

static bool same(const struct workload_item *a, const struct workload_item *b, size_t from,
                 size_t n)
{
    return a->ids.n >= from + n && b->ids.n >= from + n &&
           !memcmp(a->ids.id + from, b->ids.id + from, n * sizeof(int32_t));
}

int main(void)
{
    struct workload_lengths l = {.input = 20, .output = 7, .shared = 5};
    struct workload a = {0}, b = {0};
    double sum = 0, squares = 0;
    int below = 0, shortest = 0, longest = 0;

    TEST("lengths that do not vary, ids of the vocabulary");
    workload_random(&a, &l, N, VOCAB, 1, 0);
    CHECK(a.n == N);
    for (int i = 0; i < N; i++) {
        CHECK(a.item[i].ids.n == 25 && a.item[i].max_tokens == 7);
        for (size_t k = 0; k < a.item[i].ids.n; k++)
            CHECK(a.item[i].ids.id[k] >= 0 && a.item[i].ids.id[k] < VOCAB);
    }

    TEST("the beginning is shared, the rest is not");
    CHECK(same(&a.item[0], &a.item[1], 0, 5));
    CHECK(!same(&a.item[0], &a.item[1], 5, 3));

    TEST("the same for the same seed and pass, another for others");
    workload_random(&b, &l, N, VOCAB, 1, 0);
    CHECK(same(&a.item[7], &b.item[7], 0, 25));
    workload_random(&b, &l, N, VOCAB, 1, 1);
    CHECK(!same(&a.item[7], &b.item[7], 0, 5) && !same(&a.item[7], &b.item[7], 5, 20));
    workload_random(&b, &l, N, VOCAB, 2, 0);
    CHECK(!same(&a.item[7], &b.item[7], 0, 5));

    TEST("log-normal lengths");
    l = (struct workload_lengths){.input = 200, .output = 100, .spread = 0.5f};
    workload_random(&a, &l, N, VOCAB, 3, 0);
    for (int i = 0; i < N; i++) {
        double x = log((double)a.item[i].ids.n / 200);

        CHECK(a.item[i].ids.n >= 1 && a.item[i].ids.n <= 200 * WORKLOAD_LONGEST);
        CHECK(a.item[i].max_tokens >= 1 && a.item[i].max_tokens <= 100 * WORKLOAD_LONGEST);
        below += a.item[i].ids.n < 200;
        sum += x;
        squares += x * x;
    }
    CHECK(below > 450 && below < 550);
    CHECK(fabs(sum / N) < 0.05);
    CHECK(fabs(sqrt(squares / N) - 0.5) < 0.05);

    TEST("padding: the rectangle of each batch, what was there stays");
    workload_random(&b, &l, N, VOCAB, 3, 0);
    workload_pad(&a, 7, VOCAB, 3);
    for (int i = 0; i < N; i++) {
        const struct workload_item *x = &a.item[i], *y = &b.item[i], *lead = &a.item[i - i % 7];

        CHECK(x->ids.n == lead->ids.n && x->max_tokens == lead->max_tokens);
        CHECK((int)x->ids.n - x->pad_prompt == (int)y->ids.n && same(x, y, 0, y->ids.n));
        CHECK(x->max_tokens - x->pad_output == y->max_tokens && x->pad_output >= 0);
        for (size_t k = y->ids.n; k < x->ids.n; k++)
            CHECK(x->ids.id[k] >= 0 && x->ids.id[k] < VOCAB);
        shortest += !x->pad_prompt;
        longest += !x->pad_output;
    }
    CHECK(shortest >= (N + 6) / 7 && shortest < N / 5 && longest >= (N + 6) / 7 && longest < N / 5);
    workload_free(&a);
    workload_free(&b);
    return test_end();
}
