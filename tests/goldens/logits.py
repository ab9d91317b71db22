#!/usr/bin/env python3
"""logits.py - small checkpoints of each family and the log-probabilities that
Hugging Face transformers computes for them.

    python3 tests/goldens/logits.py [NAME ...]   (needs torch, transformers and gguf)

Writes tests/data/logits/NAME/: config.json, tokenizer.json, model.safetensors and
golden.json = {"tokens": [...], "top": [[[id, logprob], ... 12 a position], ...]}.
For one model of each family also peer.gguf: the same weights under the keys and
names of the gguf package, with the values changed as other converters change them
(rows of Llama's q and k, and their biases, permuted; 1 added to norms of Gemma 2
and Nemotron; GPT-2's matrices transposed). Weights are random, large enough that
every part of the computation shows in the result; the fixed seed makes the same
files again.
"""

import json
import pathlib
import shutil
import sys

import gguf
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "data" / "logits"
POSITIONS, TOP, BYTES = 80, 12, 256  # more positions than a page holds
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the")]
VOCAB = BYTES + len(MERGES) + 2

BASE = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
            rms_norm_eps=1e-5, bos_token_id=VOCAB - 2, eos_token_id=VOCAB - 1)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=32)

GPT2 = dict(n_embd=16, n_layer=2, n_head=4, n_inner=24, n_positions=128,
            layer_norm_epsilon=1e-5)
GEMMA2 = dict(num_hidden_layers=3, num_key_value_heads=2, head_dim=8, sliding_window=20,
              query_pre_attn_scalar=8, attn_logit_softcapping=2.0, final_logit_softcapping=6.0)
QWEN = dict(num_key_value_heads=2, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=300.0))

# name: (family, config, stored type, old = rope keys as transformers 4 wrote them)
MODELS = {
    "mha": ("llama", {}, torch.float32, False),
    "gqa": ("llama", dict(num_key_value_heads=2, tie_word_embeddings=True, hidden_size=24),
            torch.bfloat16, False),
    "mqa": ("llama", dict(num_key_value_heads=1, rms_norm_eps=1e-2), torch.float32, True),
    "llama3": ("llama", dict(num_attention_heads=2, num_key_value_heads=2, head_dim=16,
                             tie_word_embeddings=True, rope_parameters=LLAMA3),
               torch.float32, True),
    "linear": ("llama", dict(tie_word_embeddings=True,
                             rope_parameters=dict(rope_type="linear", factor=4.0,
                                                  rope_theta=10000.0)),
               torch.float32, False),
    "headdim": ("llama", dict(hidden_size=24, num_attention_heads=3, num_key_value_heads=3,
                              head_dim=12, tie_word_embeddings=True), torch.float16, False),
    "bias": ("llama", dict(attention_bias=True, mlp_bias=True, num_key_value_heads=2,
                           tie_word_embeddings=True), torch.float32, False),
    "mistral": ("mistral", dict(num_key_value_heads=2, head_dim=8, sliding_window=None,
                                tie_word_embeddings=True,
                                rope_parameters=dict(rope_type="default", rope_theta=100.0)),
                torch.float32, False),
    "window": ("mistral", dict(num_key_value_heads=2, head_dim=8, sliding_window=24,
                               tie_word_embeddings=True), torch.float16, True),
    "qwen2": ("qwen2", QWEN, torch.float16, True),
    "qwen2window": ("qwen2", dict(QWEN, use_sliding_window=True, sliding_window=70,
                                  max_window_layers=1), torch.float16, False),
    "qwen3": ("qwen3", dict(QWEN, head_dim=8), torch.bfloat16, False),
    "gpt2": ("gpt2", GPT2, torch.float16, False),
    "gemma2": ("gemma2", GEMMA2, torch.float16, False),
    "gemma2scale": ("gemma2", dict(GEMMA2, num_hidden_layers=2, query_pre_attn_scalar=18,
                                   attn_logit_softcapping=None, final_logit_softcapping=None),
                    torch.float16, False),
    "nemotron": ("nemotron", dict(num_key_value_heads=2, head_dim=8, norm_eps=1e-5,
                                  partial_rotary_factor=0.5), torch.float16, True),
    "nemotronbias": ("nemotron", dict(num_key_value_heads=1, head_dim=8, attention_bias=True,
                                      mlp_bias=True, tie_word_embeddings=True,
                                      partial_rotary_factor=0.25), torch.float16, False),
    # 14 of 24 dimensions rotate, a share that is exact in no float
    "nemotronshare": ("nemotron", dict(num_attention_heads=2, num_key_value_heads=1, head_dim=24,
                                       tie_word_embeddings=True, partial_rotary_factor=14 / 24,
                                       rope_parameters=dict(rope_type="linear", factor=4.0,
                                                            rope_theta=300.0)),
                      torch.float16, True),
}
CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3",
           "gpt2": "GPT2", "gemma2": "Gemma2", "nemotron": "Nemotron"}
PEERS = {"bias", "window", "qwen2", "qwen3", "gpt2", "gemma2", "nemotron"}


def byte_names():
    """The printable characters that byte-level BPE writes bytes as (GPT-2)."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, extra = {}, 0
    for b in range(BYTES):
        if b in keep:
            names[chr(b)] = b
        else:
            names[chr(256 + extra)] = b
            extra += 1
    return names


def tokenizer():
    special = [{"id": VOCAB - 2 + i, "content": c, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i, c in enumerate(["<s>", "</s>"])]
    merged = {"".join(pair): BYTES + i for i, pair in enumerate(MERGES)}
    vocab = {**byte_names(), **merged, "<s>": VOCAB - 2, "</s>": VOCAB - 1}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": None, "pre_tokenizer": level, "post_processor": None,
            "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": [" ".join(pair) for pair in MERGES]}}


def is_norm(name):
    return "norm" in name or ".ln_" in name


def randomize(model, family, dtype):
    """Weights that keep activations of size 1, rounded to the type they are stored in."""
    g = torch.Generator().manual_seed(20240607)
    for name, p in model.named_parameters():
        x = torch.randn(p.shape, generator=g)
        if name.endswith("bias"):
            x = 0.3 * x
        elif is_norm(name):
            x = 0.3 * x + (0 if family in ("gemma2", "nemotron") else 1)
        elif not any(s in name for s in ("embed", "lm_head", "wte", "wpe")):
            x = 1.3 * x / p.shape[0 if family == "gpt2" else -1] ** 0.5
        p.data.copy_(x.to(dtype).float())


def old_config(path):
    """rope_theta and rope_scaling instead of rope_parameters."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters", None) or {}
    config["rope_theta"] = rope.pop("rope_theta", 10000.0)
    config["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def permute(x, heads):
    """Halves of a head to pairs, of rows or of a bias."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, -1).transpose(1, 2).reshape(x.shape)


def peer(path, family, config, weights, dtype):
    """A GGUF file with what llama.cpp's converter puts into one."""
    matrix = "float32" if dtype == torch.float32 else "float16"
    arch = "llama" if family == "mistral" else family
    w = gguf.GGUFWriter(path, arch)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.n_inner if family == "gpt2" else config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if family == "gpt2":
        w.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        w.add_head_count_kv(config.num_key_value_heads)
        w.add_rope_freq_base(config.rope_parameters["rope_theta"])
        if family == "nemotron":
            w.add_layer_norm_eps(config.norm_eps)
            w.add_rope_dimension_count(int(head_dim *
                                           config.rope_parameters["partial_rotary_factor"]))
            w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        else:
            w.add_layer_norm_rms_eps(config.rms_norm_eps)
        if family != "qwen2":
            w.add_key_length(head_dim)
            w.add_value_length(head_dim)
    if family == "gemma2":
        w.add_attn_logit_softcapping(config.attn_logit_softcapping)
        w.add_final_logit_softcapping(config.final_logit_softcapping)
    if family in ("gemma2", "mistral"):
        w.add_sliding_window(config.sliding_window)
    w.add_file_type(gguf.LlamaFileType.ALL_F32 if matrix == "float32"
                    else gguf.LlamaFileType.MOSTLY_F16)
    vocab = tokenizer()["model"]["vocab"]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(sorted(vocab, key=vocab.get))
    w.add_token_types([gguf.TokenType.CONTROL if i >= VOCAB - 2 else gguf.TokenType.NORMAL
                       for i in range(VOCAB)])
    w.add_token_merges([" ".join(pair) for pair in MERGES])
    w.add_bos_token_id(VOCAB - 2)
    w.add_eos_token_id(VOCAB - 1)
    w.add_add_bos_token(True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
    for name, x in weights.items():
        x = x.float()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            x = permute(x, config.num_attention_heads if "q_proj" in name
                        else config.num_key_value_heads)
        if family in ("gemma2", "nemotron") and name.endswith("norm.weight"):
            x = x + 1
        if family == "gpt2" and ".c_" in name and x.dim() == 2:
            x = x.T
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        x = x.contiguous().numpy()
        w.add_tensor(to, x if x.ndim == 1 else x.astype(matrix))
        if family == "gpt2" and to == "token_embd.weight":
            w.add_tensor("output.weight", x.astype(matrix))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make(name, family, extra, dtype, old):
    config = getattr(transformers, CLASSES[family] + "Config")
    cls = getattr(transformers, CLASSES[family] +
                  ("LMHeadModel" if family == "gpt2" else "ForCausalLM"))
    config = config(**{**BASE, **extra})
    if family == "gemma2":
        config._attn_implementation = "eager"  # the others leave out soft caps
    model = cls(config).float().eval()
    randomize(model, family, dtype)
    g = torch.Generator().manual_seed(7)
    tokens = torch.randint(0, VOCAB - 2, (POSITIONS,), generator=g)
    tokens[0] = VOCAB - 2
    with torch.no_grad():
        logprob = torch.log_softmax(model(tokens[None]).logits[0].double(), -1)
    top = logprob.topk(TOP)

    out = OUT / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    model.to(dtype).save_pretrained(out)
    (out / "generation_config.json").unlink(missing_ok=True)
    weights = out / "model.safetensors"
    save_file(load_file(weights), weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    if name in PEERS:
        peer(out / "peer.gguf", family, config, load_file(weights), dtype)
    if old:
        old_config(out / "config.json")
    (out / "tokenizer.json").write_text(json.dumps(tokenizer(), separators=(",", ":")) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}) + "\n")
    golden = {"tokens": tokens.tolist(),
              "top": [[[i, round(p, 6)] for i, p in zip(a, b)]
                      for a, b in zip(top.indices.tolist(), top.values.tolist())]}
    (out / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    gap = (top.values[:, 0] - top.values[:, 1]).min().item()
    print(f"{name}: {weights.stat().st_size} bytes, best above second by at least {gap:.4f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        make(name, *MODELS[name])
