/* isa_scalar.c - the kernels in plain C, the oracle of the other instruction sets. */
#include "act_isa.h"
#include "attn_isa.h"
#include "dot_isa.h"
#include "dots_isa.h"
#include "float_isa.h"
#include "glu_isa.h"
#include "kv_isa.h"
#include "norm_isa.h"
#include "probe_isa.h"
#include "rope_isa.h"
#include "row_isa.h"

const struct cpu_kernels cpu_kernels_scalar = {
    .name = "scalar",
    .probe = &probe_loops,
    .group = DOT_TOKENS,
    .panels = false,
    .linear_float = float_linear,
    .linear_quant = dot_linear,
    .quantize = act_quantize,
    .norm = norm_row,
    .glu = glu_row,
    .softcap = glu_softcap,
    .rope = rope_row,
    .append = kv_append,
    .attn = attn_tokens,
    .attn_parts = attn_parts,
    .row_max = row_max,
    .row_exp = row_exp,
    .dots = dots_write,
    .nearest = dots_nearest,
};
