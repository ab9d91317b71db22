/* hparam_test.c - hyperparameters out of config.json and GGUF keys: what is read,
 * what is refused and how the message names it, and the rotary frequencies. */
#include "hparam.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[256]; // scratch

/* ---- config.json ---- */

#define GOOD                                                               \
    "\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":3," \
    "\"intermediate_size\":96,\"num_attention_heads\":4"

static int read_config(const char *text, struct hparam *h, struct err *e)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/config.json", dir);
    f = fopen(path, "w");
    if (!f)
        return -1;
    fputs(text, f);
    fclose(f);
    return hparam_dir(h, dir, e);
}

static void test_config(void)
{
    struct hparam h;
    struct err e = {0};

    TEST("config.json: values and defaults");
    CHECK(!read_config("{" GOOD "}", &h, &e));
    CHECK(!strcmp(h.arch, "llama") && h.dim == 64 && h.n_layers == 3 && h.ffn_dim == 96);
    CHECK(h.n_heads == 4 && h.n_kv_heads == 4 && h.head_dim == 16 && h.rope_dims == 16);
    CHECK(h.ctx == 2048 && h.eps == 1e-6f && h.rope_base == 10000.0f && !h.tied);
    CHECK(h.scaling == HPARAM_PLAIN && h.rope_pairs_apart);
    CHECK(!read_config("{" GOOD ",\"num_key_value_heads\":2,\"head_dim\":32,\"rope_theta\":5e5,"
                       "\"max_position_embeddings\":131072,\"tie_word_embeddings\":true,"
                       "\"rms_norm_eps\":1e-05,\"auto_map\":{\"x\":\"y.Z\"},"
                       "\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}",
                       &h, &e));
    CHECK(h.n_kv_heads == 2 && h.head_dim == 32 && h.rope_base == 5e5f && h.ctx == 131072);
    CHECK(h.tied && h.eps == 1e-5f && h.scaling == HPARAM_LINEAR && h.factor == 4.0f);
    CHECK(!read_config("{" GOOD ",\"rope_parameters\":{\"rope_theta\":7.0,\"rope_type\":\"llama3\","
                       "\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
                       "\"original_max_position_embeddings\":8192}}",
                       &h, &e));
    CHECK(h.scaling == HPARAM_LLAMA3 && h.rope_base == 7.0f && h.original_ctx == 8192);
    CHECK(h.factor == 8.0f && h.low_freq == 1.0f && h.high_freq == 4.0f);
    CHECK(!read_config("{" GOOD ",\"sliding_window\":512,\"head_dim\":null}", &h, &e));
    CHECK(h.ctx == 512); // within the window it has no effect
}

static void test_config_bad(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{", "config.json"},
        {"[]", "not a JSON object"},
        {"{}", "model_type none"},
        {"{\"model_type\":\"gpt2\"}", "\"gpt2\" is not supported"},
        {"{\"model_type\":\"llama\"}", "'hidden_size' is missing"},
        {"{" GOOD ",\"num_key_value_heads\":3}", "4 heads cannot share 3"},
        {"{" GOOD ",\"num_key_value_heads\":8}", "8 is not an integer in 1..4"},
        {"{" GOOD ",\"num_key_value_heads\":0}", "0 is not an integer in 1..4"},
        {"{" GOOD ",\"head_dim\":0}", "'head_dim': 0"},
        {"{" GOOD ",\"head_dim\":15}", "15 rotating"},
        {"{" GOOD ",\"head_dim\":\"16\"}", "'head_dim': \"16\""},
        {"{" GOOD ",\"max_position_embeddings\":16777217}", "1..16777216"},
        {"{" GOOD ",\"rms_norm_eps\":0}", "epsilon: 0"},
        {"{" GOOD ",\"rms_norm_eps\":1e400}", "'rms_norm_eps' is not a number"},
        {"{" GOOD ",\"rope_theta\":-1}", "rope base: -1"},
        {"{" GOOD ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.0}}", "factor"},
        {"{" GOOD ",\"rope_scaling\":{\"type\":\"linear\"}}", "'factor' is missing"},
        {"{" GOOD ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}}", "\"yarn\""},
        {"{" GOOD ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,"
         "\"high_freq_factor\":4,\"original_max_position_embeddings\":9}}",
         "high_freq_factor 4 is not above"},
        {"{" GOOD ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":1,"
         "\"high_freq_factor\":4,\"original_max_position_embeddings\":0}}",
         "original_max_position_embeddings"},
        {"{" GOOD ",\"hidden_act\":\"gelu\"}", "hidden_act"},
        {"{" GOOD ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor 0.5"},
        {"{" GOOD ",\"quantization_config\":{\"bits\":4}}", "quantization_config"},
        {"{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":1000000000}",
         "'num_hidden_layers': 1000000000 is not an integer in 1..1024"},
        {"{\"model_type\":\"llama\",\"hidden_size\":65,\"num_hidden_layers\":1,"
         "\"intermediate_size\":9,\"num_attention_heads\":4}",
         "65 dimensions are not divided by 4 heads"},
    };

    TEST("config.json: what is refused is named");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hparam h;
        struct err e = {0};

        CHECK(read_config(bad[i].text, &h, &e) < 0 && e.code == ERR_DATA);
        CHECK(strstr(e.msg, bad[i].says));
        if (!strstr(e.msg, bad[i].says))
            printf("# '%s' says: %s\n", bad[i].text, e.msg);
    }
}

/* ---- GGUF ---- */

struct change { // one key of a good file: replaced by an integer, a float, a text, or left out
    const char *key;
    enum { LEAVE_OUT, INT, FLOAT, TEXT } how;
    int64_t i;
    double x;
    const char *s;
    const char *says; // NULL: it opens
};

static const struct {
    const char *key;
    double value;
    bool whole;
} keys[] = {{"llama.embedding_length", 64, true},
            {"llama.block_count", 2, true},
            {"llama.feed_forward_length", 96, true},
            {"llama.context_length", 512, true},
            {"llama.attention.head_count", 8, true},
            {"llama.attention.head_count_kv", 4, true},
            {"llama.attention.layer_norm_rms_epsilon", 1e-5, false},
            {"llama.rope.freq_base", 10000, false}};

static void put(struct gguf_writer *w, const struct change *c)
{
    if (c->how == INT)
        gguf_put_int(w, c->key, c->i < 0 ? GGUF_I64 : GGUF_U64, c->i);
    else if (c->how == FLOAT)
        gguf_put_float(w, c->key, (float)c->x);
    else if (c->how == TEXT)
        gguf_put_str(w, c->key, c->s, strlen(c->s));
}

static int read_gguf(const struct change *c, struct hparam *h, struct err *e)
{
    char path[300];
    struct gguf_writer w;
    struct gguf g;
    bool done = false;
    int rc;

    snprintf(path, sizeof(path), "%s/x.gguf", dir);
    if (gguf_create(&w, path, 1, e))
        return -1;
    if (strcmp(c->key, "general.architecture"))
        gguf_put_str(&w, "general.architecture", "llama", 5);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!strcmp(keys[i].key, c->key)) {
            put(&w, c);
            done = true;
        } else if (keys[i].whole) {
            gguf_put_int(&w, keys[i].key, GGUF_U32, (int64_t)keys[i].value);
        } else {
            gguf_put_float(&w, keys[i].key, (float)keys[i].value);
        }
    }
    if (!done)
        put(&w, c);
    if (gguf_start_data(&w, e) || gguf_finish(&w, e) || gguf_open(&g, path, e))
        return -1;
    rc = hparam_gguf(h, &g, e);
    gguf_close(&g);
    return rc;
}

static void test_gguf(void)
{
    static const struct change changes[] = {
        {"general.architecture", LEAVE_OUT, 0, 0, NULL, "'general.architecture' is missing"},
        {"general.architecture", TEXT, 0, 0, "mamba", "'mamba' is not supported"},
        {"llama.embedding_length", LEAVE_OUT, 0, 0, NULL, "embedding_length"},
        {"llama.embedding_length", INT, 0, 0, NULL, "embedding_length"},
        {"llama.embedding_length", INT, 63, 0, NULL, "63 dimensions"},
        {"llama.block_count", INT, 0, 0, NULL, "block_count"},
        {"llama.block_count", INT, (int64_t)1 << 31, 0, NULL, "block_count"},
        {"llama.context_length", INT, 0, 0, NULL, "context_length"},
        {"llama.attention.head_count", INT, 0, 0, NULL, "head_count"},
        {"llama.attention.head_count", INT, -8, 0, NULL, "head_count"},
        {"llama.attention.head_count_kv", INT, 3, 0, NULL, "8 heads cannot share 3"},
        {"llama.attention.head_count_kv", INT, 9, 0, NULL, "head_count_kv"},
        {"llama.attention.head_count_kv", LEAVE_OUT, 0, 0, NULL, NULL},
        {"llama.attention.layer_norm_rms_epsilon", LEAVE_OUT, 0, 0, NULL, "rms_epsilon"},
        {"llama.attention.layer_norm_rms_epsilon", FLOAT, 0, NAN, NULL, "epsilon"},
        {"llama.rope.freq_base", FLOAT, 0, 0, NULL, "rope base: 0"},
        {"llama.rope.freq_base", FLOAT, 0, INFINITY, NULL, "freq_base"},
        {"llama.rope.dimension_count", INT, 16, 0, NULL, "16 rotating"},
        {"llama.rope.dimension_count", INT, 7, 0, NULL, "7 rotating"},
        {"llama.rope.dimension_count", INT, 4, 0, NULL, NULL},
        {"llama.attention.key_length", INT, 0, 0, NULL, "key_length"},
        {"llama.attention.key_length", INT, 12, 0, NULL, NULL},
        {"llama.attention.value_length", INT, 12, 0, NULL, "values of 12 beside keys of 8"},
        {"llama.expert_count", INT, 8, 0, NULL, "experts"},
        {"llama.expert_count", INT, 0, 0, NULL, NULL},
        {"llama.rope.scaling.type", TEXT, 0, 0, "yarn", "'yarn' is not supported"},
        {"llama.rope.scaling.type", TEXT, 0, 0, "none", NULL},
        {"llama.rope.scaling.type", INT, 1, 0, NULL, "rope.scaling.type"},
        {"llama.rope.scale_linear", FLOAT, 0, -1, NULL, "scaling factor"},
    };
    struct hparam h;

    TEST("GGUF keys: what is read, what is refused");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct change *c = &changes[i];
        struct err e = {0};
        int rc = read_gguf(c, &h, &e);
        bool ok = c->says ? rc < 0 && e.code == ERR_DATA && strstr(e.msg, c->says) : rc == 0;

        CHECK(ok);
        if (!ok)
            printf("# %s (%zu): %s\n", c->key, i, e.msg);
    }
    CHECK(!read_gguf(&(struct change){"llama.attention.key_length", INT, 12, 0, NULL, NULL}, &h,
                     &(struct err){0}));
    CHECK(h.dim == 64 && h.n_layers == 2 && h.ffn_dim == 96 && h.ctx == 512 && h.n_heads == 8);
    CHECK(h.n_kv_heads == 4 && h.head_dim == 12 && h.rope_dims == 12 && !h.rope_pairs_apart);
    CHECK(!read_gguf(&(struct change){"llama.rope.scale_linear", FLOAT, 0, 4, NULL, NULL}, &h,
                     &(struct err){0}));
    CHECK(h.scaling == HPARAM_LINEAR && h.factor == 4.0f);
}

/* ---- frequencies ---- */

static void test_freqs(void)
{
    struct hparam h = {.rope_dims = 8, .rope_base = 10000.0f};
    float f[4], ones[4] = {1, 1, 1, 2};

    TEST("rotary frequencies");
    hparam_freqs(&h, NULL, f);
    CHECK(f[0] == 1.0f && f[1] == 0.1f && f[2] == 0.01f && f[3] == 0.001f);
    hparam_freqs(&h, ones, f);
    CHECK(f[2] == 0.01f && f[3] == 0.0005f);
    h.scaling = HPARAM_LINEAR;
    h.factor = 4;
    hparam_freqs(&h, NULL, f);
    CHECK(f[0] == 0.25f);
    h = (struct hparam){.rope_dims = 8,
                        .rope_base = 10000.0f,
                        .scaling = HPARAM_LLAMA3,
                        .factor = 8,
                        .low_freq = 1,
                        .high_freq = 4,
                        .original_ctx = 1024};
    hparam_freqs(&h, NULL, f);
    /* waves of 6.3 and 63 are short, of 628 between 256 and 1024, of 6283 long */
    CHECK(f[0] == 1.0f && f[1] == 0.1f && f[3] == 0.001f / 8);
    CHECK(f[2] > 0.01f / 8 && f[2] < 0.01f);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[300];

    snprintf(dir, sizeof(dir), "%s/hparam_test_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    test_config();
    test_config_bad();
    test_gguf();
    test_freqs();
    snprintf(path, sizeof(path), "%s/config.json", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/x.gguf", dir);
    unlink(path);
    rmdir(dir);
    return test_end();
}
