/* hparam_test.c - hyperparameters out of config.json and GGUF keys: what is read,
 * what is refused and how the message names it, and the rotary frequencies. */
#include "hparam_dir.h"
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
    CHECK(!read_config("{" GOOD ",\"hidden_act\":\"silu\"}", &h, &e));
    CHECK(!read_config("{" GOOD ",\"hidden_act\":\"swish\"}", &h, &e));
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
    CHECK(h.ctx == 2048 && h.window == 0); // Llama has none
}

/* The same sizes in any family's words. */
#define SIZES                                                                              \
    "\"hidden_size\":64,\"num_hidden_layers\":3,\"intermediate_size\":96,\"head_dim\":16," \
    "\"num_attention_heads\":4"
#define TYPE(name) "{\"model_type\":\"" name "\"," SIZES

static void test_families(void)
{
    struct hparam h;
    struct err e = {0};

    TEST("config.json: what each family fixes, and transformers' defaults");
    CHECK(!read_config(TYPE("mistral") "}", &h, &e));
    CHECK(!strcmp(h.arch, "llama") && h.window == 4096 && h.windowed[0] && h.windowed[2]);
    CHECK(!read_config(TYPE("mistral") ",\"sliding_window\":null}", &h, &e) && h.window == 0);
    CHECK(!read_config(
        TYPE("mistral") ",\"sliding_window\":9,\"layer_types\":[\"full_attention\","
                        "\"sliding_attention\",\"full_attention\"],\"is_causal\":true}",
        &h, &e));
    CHECK(h.window == 9 && !h.windowed[0] && h.windowed[1] && !h.windowed[2]);
    CHECK(!read_config(TYPE("qwen2") ",\"sliding_window\":9}", &h, &e));
    CHECK(!strcmp(h.arch, "qwen2") && h.window == 0 && h.ctx == 32768 && h.gated);
    CHECK(!read_config(TYPE("qwen2") ",\"use_sliding_window\":true,\"max_window_layers\":2}", &h,
                       &e));
    CHECK(h.window == 4096 && !h.windowed[0] && !h.windowed[1] && h.windowed[2]);
    CHECK(!read_config("{\"model_type\":\"qwen3\",\"hidden_size\":64,\"num_hidden_layers\":3,"
                       "\"intermediate_size\":96,\"num_attention_heads\":4}",
                       &h, &e));
    CHECK(!strcmp(h.arch, "qwen3") && h.head_dim == 128 && h.norm == NORM_RMS);
    CHECK(
        !read_config("{\"model_type\":\"gpt2\",\"n_embd\":64,\"n_layer\":2,\"n_head\":4}", &h, &e));
    CHECK(h.norm == NORM_LAYER && h.act == FFN_GELU && !h.gated && h.rope_dims == 0 && h.tied);
    CHECK(h.ctx == 1024 && h.ffn_dim == 256 && h.eps == 1e-5f && h.n_kv_heads == 4);
    CHECK(!read_config(TYPE("gemma2") "}", &h, &e));
    CHECK(h.act == FFN_GELU && h.gated && h.norm == NORM_RMS && h.tied && h.embed_scale == 8.0f);
    CHECK(h.attn_cap == 50.0f && h.logit_cap == 30.0f && h.attn_scale == 0.0625f);
    CHECK(h.window == 4096 && h.windowed[0] && !h.windowed[1] && h.windowed[2]);
    CHECK(
        !read_config(TYPE("gemma2") ",\"attn_logit_softcapping\":null,\"final_logit_softcapping\":"
                                    "null,\"query_pre_attn_scalar\":144,\"sliding_window\":null}",
                     &h, &e));
    CHECK(h.attn_cap == 0 && h.logit_cap == 0 && h.attn_scale == 1.0f / 12 && h.window == 0);
    CHECK(!read_config(TYPE("gemma2") ",\"layer_types\":[\"full_attention\",\"full_attention\","
                                      "\"sliding_attention\"]}",
                       &h, &e));
    CHECK(!h.windowed[0] && !h.windowed[1] && h.windowed[2]);
    CHECK(!read_config(TYPE("nemotron") "}", &h, &e));
    CHECK(h.norm == NORM_LAYER && h.act == FFN_RELU2 && !h.gated && h.rope_dims == 8);
    CHECK(!read_config(TYPE("nemotron") ",\"rope_parameters\":{\"partial_rotary_factor\":0.25}}",
                       &h, &e));
    CHECK(h.rope_dims == 4 && h.head_dim == 16);
    CHECK(!read_config("{\"model_type\":\"nemotron\",\"hidden_size\":80,\"num_hidden_layers\":3,"
                       "\"intermediate_size\":96,\"num_attention_heads\":4,"
                       "\"partial_rotary_factor\":0.7}",
                       &h, &e));
    CHECK(h.rope_dims == 14 && h.head_dim == 20);
}

/* As transformers' PreTrainedConfig finds them, whichever of its versions wrote the file. */
static void test_rope_fields(void)
{
    struct hparam h;
    struct err e = {0};

    TEST("config.json: where the fields of the rotary positions are looked for");
    CHECK(!read_config("{" GOOD ",\"rope_theta\":9.0,\"rope_scaling\":{\"rope_theta\":7.0,"
                       "\"type\":\"linear\",\"factor\":2.0}}",
                       &h, &e));
    CHECK(h.rope_base == 7.0f && h.scaling == HPARAM_LINEAR && h.factor == 2.0f);
    CHECK(!read_config("{" GOOD ",\"rope_theta\":9.0,\"rope_parameters\":{\"rope_type\":\"linear\","
                       "\"factor\":2.0}}",
                       &h, &e));
    CHECK(h.rope_base == 9.0f && h.scaling == HPARAM_LINEAR);
    CHECK(!read_config("{" GOOD ",\"rope_parameters\":{\"rope_theta\":7.0},\"rope_scaling\":{"
                       "\"rope_type\":\"linear\",\"factor\":3.0}}",
                       &h, &e));
    CHECK(h.rope_base == 10000.0f && h.scaling == HPARAM_LINEAR && h.factor == 3.0f);
    for (int i = 0; i < 2; i++) {
        CHECK(!read_config(i ? "{" GOOD ",\"rope_parameters\":{\"rope_theta\":7.0},"
                               "\"rope_scaling\":{}}"
                             : "{" GOOD ",\"rope_parameters\":{\"rope_theta\":7.0},"
                               "\"rope_scaling\":null}",
                           &h, &e));
        CHECK(h.rope_base == 7.0f && h.scaling == HPARAM_PLAIN);
    }
    CHECK(!read_config(TYPE("nemotron") ",\"rope_scaling\":{\"type\":\"default\","
                                        "\"partial_rotary_factor\":0.25}}",
                       &h, &e));
    CHECK(h.rope_dims == 4);
#define LLAMA3 "{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":1,\"high_freq_factor\":4"
    CHECK(!read_config("{" GOOD ",\"max_position_embeddings\":300,\"rope_scaling\":" LLAMA3 "}}",
                       &h, &e));
    CHECK(h.original_ctx == 300);
    CHECK(!read_config("{" GOOD ",\"original_max_position_embeddings\":200,\"rope_scaling\":" LLAMA3
                       ",\"original_max_position_embeddings\":100}}",
                       &h, &e));
    CHECK(h.original_ctx == 200);
}

static const struct {
    const char *text, *says;
} bad[] = {
    {"{", "config.json"},
    {"[]", "not a JSON object"},
    {"{}", "model_type none"},
    {"{\"model_type\":\"gpt9\"}", "\"gpt9\" is not supported"},
    {"{\"model_type\":\"gpt2\"}", "'n_embd' is missing"},
    {"{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,"
     "\"activation_function\":\"relu\"}",
     "activation_function is not \"gelu_new\""},
    {"{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,"
     "\"scale_attn_weights\":false}",
     "'scale_attn_weights': false"},
    {"{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":3}",
     "8 dimensions are not divided by 3 heads"},
    {"{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,\"n_positions\":0}",
     "'n_positions': 0"},
    {TYPE("qwen2") ",\"is_causal\":false}", "'is_causal': false is not supported"},
    {"{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,\"is_causal\":false}",
     "'is_causal': false"},
    {TYPE("qwen2") ",\"rope_parameters\":{\"full_attention\":{\"rope_theta\":7.0}}}",
     "differ by layer"},
    {TYPE("mistral") ",\"sliding_window\":0}", "'sliding_window': 0"},
    {TYPE("gemma2") ",\"sliding_window\":-4}", "'sliding_window': -4"},
    {TYPE("gemma2") ",\"layer_types\":[\"full_attention\"]}", "not an array of 3 names"},
    {TYPE("gemma2") ",\"layer_types\":3}", "not an array of 3 names"},
    {TYPE("gemma2") ",\"layer_types\":[\"full_attention\",\"chunked\",\"x\"]}", "\"chunked\""},
    {TYPE("gemma2") ",\"attn_logit_softcapping\":-1.0}", "soft cap of scores: -1"},
    {TYPE("gemma2") ",\"final_logit_softcapping\":1e39}", "soft cap of logits: inf"},
    {TYPE("gemma2") ",\"query_pre_attn_scalar\":0}", "query_pre_attn_scalar: 0"},
    {TYPE("gemma2") ",\"query_pre_attn_scalar\":-3}", "query_pre_attn_scalar: -3"},
    {TYPE("gemma2") ",\"hidden_activation\":\"gelu\"}", "hidden_activation is not"},
    {TYPE("gemma2") ",\"hidden_activation\":\"swish\"}", "hidden_activation is not"},
    {TYPE("gemma2") ",\"use_bidirectional_attention\":true}", "use_bidirectional_attention"},
    {TYPE("nemotron") ",\"partial_rotary_factor\":0.01}", "of 16 dimensions is none"},
    {TYPE("nemotron") ",\"partial_rotary_factor\":2}", "partial_rotary_factor 2"},
    {TYPE("nemotron") ",\"partial_rotary_factor\":0.2}", "3 rotating dimensions"},
    {TYPE("nemotron") ",\"norm_eps\":-1}", "epsilon: -1"},
    {TYPE("qwen3") ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor 0.5"},
    {TYPE("qwen3") ",\"hidden_act\":\"gelu\"}", "hidden_act"},
    {TYPE("qwen2") ",\"use_sliding_window\":true,\"max_window_layers\":-1}",
     "'max_window_layers': -1"},
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
    {"{" GOOD ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1]}}", "\"longrope\""},
    {"{" GOOD ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,"
     "\"high_freq_factor\":4,\"original_max_position_embeddings\":9}}",
     "high_freq_factor 4 is not above"},
    {"{" GOOD ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":1,"
     "\"high_freq_factor\":4,\"original_max_position_embeddings\":0}}",
     "original_max_position_embeddings"},
    {"{" GOOD ",\"hidden_act\":\"gelu\"}", "hidden_act"},
    {"{" GOOD ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor 0.5"},
    {"{" GOOD ",\"quantization_config\":{\"bits\":4}}", "quantization_config"},
    {"{" GOOD ",\"compression_config\":{\"quant_method\":\"compressed-tensors\"}}",
     "compression_config"},
    {"{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":1000000000}",
     "'num_hidden_layers': 1000000000 is not an integer in 1..1024"},
    {"{\"model_type\":\"llama\",\"hidden_size\":65,\"num_hidden_layers\":1,"
     "\"intermediate_size\":9,\"num_attention_heads\":4}",
     "65 dimensions are not divided by 4 heads"},
};

static void test_config_bad(void)
{
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
    enum { LEAVE_OUT, INT, FLOAT, TEXT, FLAGS } how; // FLAGS: i of them, each 1
    int64_t i;
    double x;
    const char *s;
    const char *says; // NULL: it opens
};

static const struct {
    const char *key;
    double value;
    bool whole;
} keys[] = {{"embedding_length", 64, true},
            {"block_count", 2, true},
            {"feed_forward_length", 96, true},
            {"context_length", 512, true},
            {"attention.head_count", 8, true},
            {"attention.head_count_kv", 4, true},
            {"attention.layer_norm_rms_epsilon", 1e-5, false},
            {"attention.layer_norm_epsilon", 1e-4, false},
            {"rope.freq_base", 10000, false}};

static void put(struct gguf_writer *w, const struct change *c)
{
    if (c->how == INT)
        gguf_put_int(w, c->key, c->i < 0 ? GGUF_I64 : GGUF_U64, c->i);
    else if (c->how == FLOAT)
        gguf_put_float(w, c->key, (float)c->x);
    else if (c->how == TEXT)
        gguf_put_str(w, c->key, c->s, strlen(c->s));
    else if (c->how == FLAGS) {
        gguf_put_array(w, c->key, GGUF_BOOL, (uint64_t)c->i);
        for (int i = 0; i < c->i; i++)
            gguf_add_bool(w, true);
    }
}

/* A good file of the family that the changed key begins with. */
static int read_gguf(const struct change *c, struct hparam *h, struct err *e)
{
    const char *arch = strncmp(c->key, "general", 7) ? c->key : "llama";
    int n = (int)strcspn(arch, ".");
    char path[300], name[100];
    struct gguf_writer w;
    struct gguf g;
    bool done = false;
    int rc;

    snprintf(path, sizeof(path), "%s/x.gguf", dir);
    if (gguf_create(&w, path, 1, e))
        return -1;
    if (strcmp(c->key, "general.architecture"))
        gguf_put_str(&w, "general.architecture", arch, (size_t)n);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(name, sizeof(name), "%.*s.%s", n, arch, keys[i].key);
        if (!strcmp(name, c->key)) {
            put(&w, c);
            done = true;
        } else if (keys[i].whole) {
            gguf_put_int(&w, name, GGUF_U32, (int64_t)keys[i].value);
        } else {
            gguf_put_float(&w, name, (float)keys[i].value);
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
        {"llama.attention.sliding_window", INT, -1, 0, NULL, "sliding_window"},
        {"llama.attention.sliding_window", FLOAT, 0, 3, NULL, "sliding_window"},
        {"llama.attention.sliding_window_pattern", FLAGS, 3, 0, NULL, "not an array of 2 flags"},
        {"llama.attention.sliding_window_pattern", TEXT, 0, 0, "xx", "sliding_window_pattern"},
        {"llama.attention.sliding_window_pattern", INT, -1, 0, NULL, "sliding_window_pattern"},
        {"qwen2.attention.head_count", INT, 0, 0, NULL, "qwen2.attention.head_count"},
        {"gpt2.attention.layer_norm_epsilon", LEAVE_OUT, 0, 0, NULL,
         "layer_norm_epsilon' is missing"},
        {"gpt2.attention.layer_norm_rms_epsilon", LEAVE_OUT, 0, 0, NULL, NULL},
        {"nemotron.rope.dimension_count", INT, 3, 0, NULL, "3 rotating"},
        {"gemma2.attn_logit_softcapping", FLOAT, 0, -2, NULL, "soft cap of scores: -2"},
        {"gemma2.final_logit_softcapping", FLOAT, 0, NAN, NULL, "final_logit_softcapping"},
        {"gemma2.attention.scale", FLOAT, 0, -1, NULL, "attention scale: -1"},
        {"mistral.block_count", INT, 2, 0, NULL, "'mistral' is not supported (llama, qwen2,"},
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

/* A good file of a family with this key. */
static void good_gguf(struct hparam *h, const char *key, int how, int64_t i, double x)
{
    struct change c = {.key = key, .i = i, .x = x};
    struct err e = {0};

    c.how = how;
    CHECK(!read_gguf(&c, h, &e));
    if (*e.msg)
        printf("# %s: %s\n", key, e.msg);
}

static void test_gguf_families(void)
{
    struct hparam h;

    TEST("GGUF keys: what each family fixes");
    good_gguf(&h, "llama.attention.sliding_window", INT, 100, 0);
    CHECK(h.window == 100 && h.windowed[0] && h.windowed[1]);
    good_gguf(&h, "llama.attention.sliding_window_pattern", INT, 2, 0);
    CHECK(h.window == 0 && h.windowed[0] && !h.windowed[1]);
    good_gguf(&h, "gemma2.attention.sliding_window_pattern", FLAGS, 2, 0);
    CHECK(h.windowed[0] && h.windowed[1] && h.rope_pairs_apart);
    good_gguf(&h, "gemma2.attention.sliding_window", INT, 77, 0);
    CHECK(h.window == 77 && h.windowed[0] && !h.windowed[1] && h.embed_scale == 8.0f);
    CHECK(h.attn_cap == 50.0f && h.logit_cap == 30.0f && h.attn_scale == 1 / sqrtf(8));
    good_gguf(&h, "gemma2.attention.scale", FLOAT, 0, 0.25);
    CHECK(h.attn_scale == 0.25f && h.window == 4096);
    good_gguf(&h, "gemma2.block_count", INT, 46, 0); // the model of 27 G parameters
    CHECK(h.attn_scale == 1 / sqrtf(64 / 8));
    good_gguf(&h, "gpt2.context_length", INT, 99, 0);
    CHECK(h.rope_dims == 0 && h.norm == NORM_LAYER && h.eps == 1e-4f && h.ctx == 99);
    good_gguf(&h, "nemotron.rope.dimension_count", INT, 4, 0);
    CHECK(h.rope_dims == 4 && h.head_dim == 8 && h.rope_pairs_apart && h.act == FFN_RELU2);
    good_gguf(&h, "qwen3.attention.key_length", INT, 12, 0);
    CHECK(h.head_dim == 12 && h.rope_dims == 12 && h.rope_pairs_apart && h.act == FFN_SILU);
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
    test_families();
    test_rope_fields();
    test_gguf();
    test_gguf_families();
    test_freqs();
    snprintf(path, sizeof(path), "%s/config.json", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/x.gguf", dir);
    unlink(path);
    rmdir(dir);
    return test_end();
}
