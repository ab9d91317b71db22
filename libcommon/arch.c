/* arch.c - what each model family calls its tensors, and what shape they have. */
#include "arch.h"

#include <stdio.h>
#include <string.h>

// clang-format off
static const struct arch_tensor llama[] = {
    {ARCH_FIRST, "token_embd.weight",  "model.embed_tokens.weight",       "VD", ARCH_AS_IS,  false},
    {ARCH_LAYER, "attn_norm.weight",   "input_layernorm.weight",          "D",  ARCH_AS_IS,  false},
    {ARCH_LAYER, "attn_q.weight",      "self_attn.q_proj.weight",         "QD", ARCH_ROPE_Q, false},
    {ARCH_LAYER, "attn_k.weight",      "self_attn.k_proj.weight",         "KD", ARCH_ROPE_K, false},
    {ARCH_LAYER, "attn_v.weight",      "self_attn.v_proj.weight",         "KD", ARCH_AS_IS,  false},
    {ARCH_LAYER, "attn_output.weight", "self_attn.o_proj.weight",         "DQ", ARCH_AS_IS,  false},
    {ARCH_LAYER, "ffn_norm.weight",    "post_attention_layernorm.weight", "D",  ARCH_AS_IS,  false},
    {ARCH_LAYER, "ffn_gate.weight",    "mlp.gate_proj.weight",            "FD", ARCH_AS_IS,  false},
    {ARCH_LAYER, "ffn_up.weight",      "mlp.up_proj.weight",              "FD", ARCH_AS_IS,  false},
    {ARCH_LAYER, "ffn_down.weight",    "mlp.down_proj.weight",            "DF", ARCH_AS_IS,  false},
    {ARCH_LAST,  "output_norm.weight", "model.norm.weight",               "D",  ARCH_AS_IS,  false},
    {ARCH_LAST,  "output.weight",      "lm_head.weight",                  "VD", ARCH_AS_IS,  true},
};

static const struct arch family[] = {
    {"llama", "LlamaForCausalLM", "blk.", "model.layers.", llama, sizeof(llama) / sizeof(*llama)},
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
    int n = 0;

    for (; t->shape[n]; n++)
        switch (t->shape[n]) {
        case 'V':
            shape[n] = vocab;
            break;
        case 'Q':
            shape[n] = (int64_t)h->n_heads * h->head_dim;
            break;
        case 'K':
            shape[n] = (int64_t)h->n_kv_heads * h->head_dim;
            break;
        case 'F':
            shape[n] = h->ffn_dim;
            break;
        default:
            shape[n] = h->dim;
        }
    return n;
}

int64_t arch_rope_row(int64_t r, int head_dim, bool to_pairs)
{
    int64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;

    if (to_pairs) // pair i / 2, member i % 2
        return head * head_dim + i % 2 * half + i / 2;
    return head * head_dim + i % half * 2 + i / half;
}
