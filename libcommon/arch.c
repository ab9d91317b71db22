/* arch.c - what each model family calls its tensors, and what shape they have. */
#include "arch.h"

#include <stdio.h>
#include <string.h>

// clang-format off

/* A weight; a bias that must be there or may; both. */
#define W(place, slot, gguf, hf, shape, how) \
    {ARCH_##place, ARCH_##slot, false, gguf ".weight", hf ".weight", shape, ARCH_##how, ARCH_MUST}
#define B(place, slot, gguf, hf, shape, how, need) \
    {ARCH_##place, ARCH_##slot, true, gguf ".bias", hf ".bias", shape, ARCH_##how, ARCH_##need}
#define MATRIX(slot, gguf, hf, rows, cols, how) \
    W(LAYER, slot, gguf, hf, rows cols, how), B(LAYER, slot, gguf, hf, rows, how, MAY)
#define NORM(slot, gguf, hf, how) \
    W(LAYER, slot, gguf, hf, "D", how)
#define LAYER_NORM(place, slot, gguf, hf, how) \
    W(place, slot, gguf, hf, "D", how), B(place, slot, gguf, hf, "D", AS_IS, MUST)
#define CONV1D(slot, gguf, hf, rows, cols) \
    W(LAYER, slot, gguf, hf, rows cols, TRANSPOSED), B(LAYER, slot, gguf, hf, rows, AS_IS, MUST)

/* What most families share with Llama. */
#define EMBED_ROW W(FIRST, EMBED, "token_embd", "model.embed_tokens", "VD", AS_IS)
#define HEAD_ROW \
    {ARCH_LAST, ARCH_HEAD, false, "output.weight", "lm_head.weight", "VD", ARCH_AS_IS, ARCH_TIED}
/* What transformers calls "for sequence classification" has a classifier, and often no head. */
#define CLASS_ROWS \
    {ARCH_LAST, ARCH_CLASS, false, "cls.output.weight", "score.weight", "CD", ARCH_AS_IS, ARCH_MAY}, \
    {ARCH_LAST, ARCH_CLASS, true, "cls.output.bias", "score.bias", "C", ARCH_AS_IS, ARCH_MAY}
#define QKV_ROWS(how) \
    MATRIX(Q, "attn_q", "self_attn.q_proj", "Q", "D", how), \
    MATRIX(K, "attn_k", "self_attn.k_proj", "K", "D", how), \
    MATRIX(V, "attn_v", "self_attn.v_proj", "K", "D", AS_IS)
#define OUTPUT_ROWS MATRIX(O, "attn_output", "self_attn.o_proj", "D", "Q", AS_IS)
#define GATE_ROWS MATRIX(GATE, "ffn_gate", "mlp.gate_proj", "F", "D", AS_IS)
#define UP_DOWN_ROWS \
    MATRIX(UP, "ffn_up", "mlp.up_proj", "F", "D", AS_IS), \
    MATRIX(DOWN, "ffn_down", "mlp.down_proj", "D", "F", AS_IS)

static const struct arch_tensor llama[] = {
    EMBED_ROW,
    NORM(ATTN_NORM, "attn_norm", "input_layernorm", AS_IS),
    QKV_ROWS(ROPE),
    OUTPUT_ROWS,
    NORM(FFN_NORM, "ffn_norm", "post_attention_layernorm", AS_IS),
    GATE_ROWS,
    UP_DOWN_ROWS,
    W(LAST, OUT_NORM, "output_norm", "model.norm", "D", AS_IS),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor qwen2[] = {
    EMBED_ROW,
    NORM(ATTN_NORM, "attn_norm", "input_layernorm", AS_IS),
    QKV_ROWS(AS_IS),
    OUTPUT_ROWS,
    NORM(FFN_NORM, "ffn_norm", "post_attention_layernorm", AS_IS),
    GATE_ROWS,
    UP_DOWN_ROWS,
    W(LAST, OUT_NORM, "output_norm", "model.norm", "D", AS_IS),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor qwen3[] = {
    EMBED_ROW,
    NORM(ATTN_NORM, "attn_norm", "input_layernorm", AS_IS),
    QKV_ROWS(AS_IS),
    W(LAYER, Q_NORM, "attn_q_norm", "self_attn.q_norm", "H", AS_IS),
    W(LAYER, K_NORM, "attn_k_norm", "self_attn.k_norm", "H", AS_IS),
    OUTPUT_ROWS,
    NORM(FFN_NORM, "ffn_norm", "post_attention_layernorm", AS_IS),
    GATE_ROWS,
    UP_DOWN_ROWS,
    W(LAST, OUT_NORM, "output_norm", "model.norm", "D", AS_IS),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor gpt2[] = {
    W(FIRST, EMBED, "token_embd", "transformer.wte", "VD", AS_IS),
    W(FIRST, POSITIONS, "position_embd", "transformer.wpe", "PD", AS_IS),
    LAYER_NORM(LAYER, ATTN_NORM, "attn_norm", "ln_1", AS_IS),
    CONV1D(QKV, "attn_qkv", "attn.c_attn", "A", "D"),
    CONV1D(O, "attn_output", "attn.c_proj", "D", "Q"),
    LAYER_NORM(LAYER, FFN_NORM, "ffn_norm", "ln_2", AS_IS),
    CONV1D(UP, "ffn_up", "mlp.c_fc", "F", "D"),
    CONV1D(DOWN, "ffn_down", "mlp.c_proj", "D", "F"),
    LAYER_NORM(LAST, OUT_NORM, "output_norm", "transformer.ln_f", AS_IS),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor gemma2[] = {
    EMBED_ROW,
    NORM(ATTN_NORM, "attn_norm", "input_layernorm", PLUS_ONE),
    QKV_ROWS(AS_IS),
    OUTPUT_ROWS,
    NORM(ATTN_POST, "post_attention_norm", "post_attention_layernorm", PLUS_ONE),
    NORM(FFN_NORM, "ffn_norm", "pre_feedforward_layernorm", PLUS_ONE),
    GATE_ROWS,
    UP_DOWN_ROWS,
    NORM(FFN_POST, "post_ffw_norm", "post_feedforward_layernorm", PLUS_ONE),
    W(LAST, OUT_NORM, "output_norm", "model.norm", "D", PLUS_ONE),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor nemotron[] = {
    EMBED_ROW,
    LAYER_NORM(LAYER, ATTN_NORM, "attn_norm", "input_layernorm", PLUS_ONE),
    QKV_ROWS(AS_IS),
    OUTPUT_ROWS,
    LAYER_NORM(LAYER, FFN_NORM, "ffn_norm", "post_attention_layernorm", PLUS_ONE),
    UP_DOWN_ROWS,
    LAYER_NORM(LAST, OUT_NORM, "output_norm", "model.norm", PLUS_ONE),
    HEAD_ROW,
    CLASS_ROWS,
};

static const struct arch_tensor bert[] = {
    W(FIRST, EMBED, "token_embd", "bert.embeddings.word_embeddings", "VD", AS_IS),
    W(FIRST, TYPES, "token_types", "bert.embeddings.token_type_embeddings", "TD", AS_IS),
    W(FIRST, POSITIONS, "position_embd", "bert.embeddings.position_embeddings", "PD", AS_IS),
    LAYER_NORM(FIRST, EMBED_NORM, "token_embd_norm", "bert.embeddings.LayerNorm", AS_IS),
    MATRIX(Q, "attn_q", "attention.self.query", "Q", "D", AS_IS),
    MATRIX(K, "attn_k", "attention.self.key", "K", "D", AS_IS),
    MATRIX(V, "attn_v", "attention.self.value", "K", "D", AS_IS),
    MATRIX(O, "attn_output", "attention.output.dense", "D", "Q", AS_IS),
    LAYER_NORM(LAYER, ATTN_SUM, "attn_output_norm", "attention.output.LayerNorm", AS_IS),
    MATRIX(UP, "ffn_up", "intermediate.dense", "F", "D", AS_IS),
    MATRIX(DOWN, "ffn_down", "output.dense", "D", "F", AS_IS),
    LAYER_NORM(LAYER, FFN_SUM, "layer_output_norm", "output.LayerNorm", AS_IS),
};

#define ROWS(table) table, sizeof(table) / sizeof(*table)

static const struct arch family[] = {
    {"llama",    "blk.", "model.layers.",       "model.",       NULL,       ROWS(llama)},
    {"qwen2",    "blk.", "model.layers.",       "model.",       NULL,       ROWS(qwen2)},
    {"qwen3",    "blk.", "model.layers.",       "model.",       NULL,       ROWS(qwen3)},
    {"gpt2",     "blk.", "transformer.h.",      "transformer.", NULL,       ROWS(gpt2)},
    {"gemma2",   "blk.", "model.layers.",       "model.",       NULL,       ROWS(gemma2)},
    {"nemotron", "blk.", "model.layers.",       "model.",       NULL,       ROWS(nemotron)},
    {"bert",     "blk.", "bert.encoder.layer.", "bert.",        "roberta.", ROWS(bert)},
};
// clang-format on

const struct arch *arch_find(const char *name)
{
    for (size_t i = 0; i < sizeof(family) / sizeof(*family); i++)
        if (!strcmp(family[i].name, name))
            return &family[i];
    return NULL;
}

static void full_name(const struct arch_tensor *t, const char *prefix, int layer, const char *name,
                      char out[ARCH_NAME])
{
    if (t->place == ARCH_LAYER)
        snprintf(out, ARCH_NAME, "%s%d.%s", prefix, layer, name);
    else
        snprintf(out, ARCH_NAME, "%s", name);
}

void arch_gguf_name(const struct arch *a, const struct arch_tensor *t, int layer,
                    char out[ARCH_NAME])
{
    full_name(t, a->gguf_layer, layer, t->gguf, out);
}

void arch_hf_name(const struct arch *a, const struct arch_tensor *t, int layer, char out[ARCH_NAME])
{
    full_name(t, a->hf_layer, layer, t->hf, out);
}

int arch_shape(const struct arch_tensor *t, const struct hparam *h, int vocab,
               int64_t shape[TENSOR_DIMS])
{
    const int64_t q = (int64_t)h->n_heads * h->head_dim, k = (int64_t)h->n_kv_heads * h->head_dim;
    const struct {
        char letter;
        int64_t size;
    } of[] = {{'V', vocab},       {'P', h->ctx + h->first_position},
              {'D', h->dim},      {'Q', q},
              {'K', k},           {'A', q + 2 * k},
              {'H', h->head_dim}, {'F', h->ffn_dim},
              {'T', h->n_types},  {'C', h->n_labels}};
    int n = 0;

    for (; t->shape[n]; n++)
        for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
            if (of[i].letter == t->shape[n])
                shape[n] = of[i].size;
    return n;
}

int64_t arch_rope_row(int64_t r, int head_dim, bool to_pairs)
{
    int64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;

    if (to_pairs) // pair i / 2, member i % 2
        return head * head_dim + i % 2 * half + i / 2;
    return head * head_dim + i % half * 2 + i / half;
}
