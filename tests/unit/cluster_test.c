/* cluster_test.c - vectors of texts. */
#include "cluster.h"
#include "test.h"

#include <string.h>

static float cosine(const char *a, const char *b)
{
    float x[CLUSTER_DIM], y[CLUSTER_DIM];

    cluster_vector(a, strlen(a), NULL, x);
    cluster_vector(b, strlen(b), NULL, y);
    return cluster_dot(x, y, CLUSTER_DIM);
}

static void test_vectors(void)
{
    struct cluster_df df = {0};
    float v[CLUSTER_DIM], w[CLUSTER_DIM], len;

    TEST("vectors of texts");
    cluster_vector("Reverse the list.", 17, NULL, v);
    len = cluster_dot(v, v, CLUSTER_DIM);
    CHECK(len > 0.9999f && len < 1.0001f);
    CHECK(cosine("Reverse the list.", "reverse THE list") > 0.9999f);
    CHECK(cosine("Reverse the list of animals", "Reverse the list of fruits") > 0.5f);
    CHECK(cosine("Reverse the list of animals", "Who painted this picture?") < 0.3f);
    CHECK(cosine("animals", "animal") > cosine("animals", "painting")); // shared runs of characters
    cluster_vector("", 0, NULL, v);
    CHECK(cluster_dot(v, v, CLUSTER_DIM) == 0);
    cluster_vector("한국어 문장을 바꾸세요", strlen("한국어 문장을 바꾸세요"), NULL, v);
    CHECK(cluster_dot(v, v, CLUSTER_DIM) > 0.99f);
    /* a word that stands in every text says less than one that stands in one */
    for (int i = 0; i < 50; i++)
        cluster_df_add(&df, i ? "common" : "common rare", i ? 6 : 11);
    cluster_vector("common rare", 11, &df, v);
    cluster_vector("rare", 4, &df, w);
    float rare = cluster_dot(v, w, CLUSTER_DIM);
    cluster_vector("common", 6, &df, w);
    CHECK(rare > 2 * cluster_dot(v, w, CLUSTER_DIM));
    TEST("counts of several workers add up");
    struct cluster_df half[2] = {{0}};
    for (int i = 0; i < 50; i++)
        cluster_df_add(&half[i % 2], i ? "common" : "common rare", i ? 6 : 11);
    cluster_df_join(&half[0], &half[1]);
    CHECK(half[0].n_text == 50);
    cluster_vector("common", 6, &half[0], v);
    CHECK(!memcmp(v, w, sizeof(v)));
    cluster_df_free(&half[0]);
    cluster_df_free(&half[1]);
    cluster_df_free(&df);
}

int main(void)
{
    test_vectors();
    return test_end();
}
