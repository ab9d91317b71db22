/* model_fuzz.c - changed headers of a whole model: refused in one line that names
 * the file, or opened and then run without harm. */
#include "forward.h"
#include "fuzz.h"
#include "gguf.h"
#include "step.h"
#include "tokload.h"

enum { DIM = 32, FFN = 64, HEADS = 4, KV_HEADS = 2, HEAD = 8, LAYERS = 1 };

/* Two tokens at the positions 0 and 1. */
static void run(struct model *m, struct backend *b)
{
    int32_t token[2] = {0, m->vocab - 1};
    struct kv_seq s = {0};
    struct step_build sb;
    struct act a;
    struct kv kv;
    struct err e;

    if (kv_open(&kv, m, b, KV_F32, 1, &e))
        abort();
    if (!forward_open(&a, m, b, 2, 1, &e)) {
        step_init(&sb, 2, 1, 1);
        if (kv_reserve(&kv, &s, 2))
            abort();
        step_add(&sb, &s, token, 2, 0, 1);
        if (forward(m, b, &kv.pages, &a, step_done(&sb), &e))
            abort();
        step_free(&sb);
    }
    forward_close(&a, b);
    kv_release(&kv, &s);
    kv_close(&kv);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[32];
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);
    struct model *m;
    int fd = fuzz_file(p, n, path), bad = 0;

    if (!b)
        abort();
    m = model_open(path, b, &e);
    if (m)
        run(m, b);
    else
        bad = strncmp(e.msg, path, strlen(path)) != 0;
    if (bad)
        printf("# %s\n", e.msg);
    model_close(m);
    backend_close(b);
    close(fd);
    return bad;
}

#ifndef LIBFUZZER
static const struct {
    const char *name;
    enum tensor_type type;
    int rows, cols; // rows 0: a vector
} tensors[] = {
    {"output_norm.weight", T_F32, 0, DIM},
    {"blk.0.attn_norm.weight", T_F32, 0, DIM},
    {"blk.0.attn_q.weight", T_Q8_0, HEADS *HEAD, DIM},
    {"blk.0.attn_k.weight", T_Q4_0, KV_HEADS *HEAD, DIM},
    {"blk.0.attn_v.weight", T_F16, KV_HEADS *HEAD, DIM},
    {"blk.0.attn_output.weight", T_Q5_1, DIM, HEADS *HEAD},
    {"blk.0.ffn_norm.weight", T_F16, 0, DIM},
    {"blk.0.ffn_gate.weight", T_BF16, FFN, DIM},
    {"blk.0.ffn_up.weight", T_Q4_1, FFN, DIM},
    {"blk.0.ffn_down.weight", T_Q5_0, DIM, FFN},
};
enum { N_TENSORS = sizeof(tensors) / sizeof(tensors[0]) };

/* The keys of the hyperparameters come first, so that n_head can end behind them. */
static size_t write_seed(const char *path, const struct tok *tok)
{
    static const uint8_t zero[1 << 16];
    struct gguf_writer w;
    struct err e;
    size_t n_head;
    int vocab = tok_size(tok);

    CHECK(!gguf_create(&w, path, 1, &e));
    gguf_put_str(&w, "general.architecture", "llama", 5);
    gguf_put_int(&w, "llama.embedding_length", GGUF_U32, DIM);
    gguf_put_int(&w, "llama.block_count", GGUF_U32, LAYERS);
    gguf_put_int(&w, "llama.feed_forward_length", GGUF_U32, FFN);
    gguf_put_int(&w, "llama.context_length", GGUF_U32, 64);
    gguf_put_int(&w, "llama.attention.head_count", GGUF_U32, HEADS);
    gguf_put_int(&w, "llama.attention.head_count_kv", GGUF_U32, KV_HEADS);
    gguf_put_int(&w, "llama.rope.dimension_count", GGUF_U32, HEAD);
    gguf_put_float(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_put_float(&w, "llama.rope.freq_base", 1e4f);
    gguf_put_str(&w, "llama.rope.scaling.type", "linear", 6);
    gguf_put_float(&w, "llama.rope.scaling.factor", 2.0f);
    n_head = w.head.n;
    tokload_put_gguf(tok, vocab, &w);
    CHECK(!gguf_put_tensor(&w, "token_embd.weight", T_Q8_0, 2, (const int64_t[]){vocab, DIM}, &e));
    for (int i = 0; i < N_TENSORS; i++) {
        bool vector = tensors[i].rows == 0;
        int64_t shape[2] = {vector ? tensors[i].cols : tensors[i].rows, tensors[i].cols};

        CHECK(!gguf_put_tensor(&w, tensors[i].name, tensors[i].type, vector ? 1 : 2, shape, &e));
    }
    CHECK(!gguf_start_data(&w, &e));
    CHECK(!gguf_data(&w, zero, (size_t)vocab * tensor_row_bytes(T_Q8_0, DIM), &e));
    CHECK(!gguf_end_tensor(&w, &e));
    for (int i = 0; i < N_TENSORS; i++) {
        size_t n = tensor_row_bytes(tensors[i].type, tensors[i].cols);

        n *= tensors[i].rows ? (size_t)tensors[i].rows : 1;
        CHECK(!gguf_data(&w, zero, n, &e) && !gguf_end_tensor(&w, &e));
    }
    CHECK(!gguf_finish(&w, &e));
    return n_head;
}

/* The other families: files of the logits test, whose hyperparameters come first. */
static void families(void)
{
    static const char *const name[] = {"window", "qwen2", "qwen3", "gpt2", "gemma2", "nemotron"};
    char path[80], what[80];
    struct gguf g;
    struct err e;

    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        snprintf(path, sizeof(path), "tests/data/logits/%s/peer.gguf", name[i]);
        CHECK(!gguf_open(&g, path, &e) && !LLVMFuzzerTestOneInput(g.map.p, g.map.n));
        snprintf(what, sizeof(what), "model, %s, hyperparameters", name[i]);
        fuzz_run(what, g.map.p, g.map.n, 1000, 600);
        snprintf(what, sizeof(what), "model, %s, names and shapes of tensors", name[i]);
        fuzz_run(what, g.map.p, g.map.n, g.data_start, 300);
        gguf_close(&g);
    }
}

int main(void)
{
    struct err e;
    struct tok *tok = tokload_dir("tests/data/logits/mha", &e);
    char path[64];
    struct gguf g;
    size_t n_head;

    if (!tok)
        return printf("not ok 1 %s\n", e.msg), 1;
    snprintf(path, sizeof(path), "/tmp/model_fuzz_%d.gguf", (int)getpid());
    TEST("the seed opens and runs");
    n_head = write_seed(path, tok);
    if (gguf_open(&g, path, &e))
        return printf("not ok 1 %s\n", e.msg), 1;
    CHECK(!LLVMFuzzerTestOneInput(g.map.p, g.map.n));
    fuzz_run("model, hyperparameters", g.map.p, g.map.n, n_head, 2000);
    fuzz_run("model, whole header", g.map.p, g.map.n, g.data_start, 2000);
    gguf_close(&g);
    unlink(path);
    tok_close(tok);
    families();
    return test_end();
}
#endif
