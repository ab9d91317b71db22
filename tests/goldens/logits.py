#!/usr/bin/env python3
"""logits.py - small checkpoints of each family and the log-probabilities that
Hugging Face transformers computes for them.

    python3 tests/goldens/logits.py            (needs torch and transformers)

Writes tests/data/logits/NAME/: config.json, tokenizer.json, model.safetensors and
golden.json = {"tokens": [...], "top": [[[id, logprob], ... 12 a position], ...]}.
Weights are random, large enough that every part of the computation shows in the
result; the fixed seed makes the same files again.
"""

import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

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
}


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


def randomize(model, dtype):
    """Weights that keep activations of size 1, rounded to the type they are stored in."""
    g = torch.Generator().manual_seed(20240607)
    for name, p in model.named_parameters():
        x = torch.randn(p.shape, generator=g)
        if "norm" in name:
            x = 1 + 0.3 * x
        elif name.endswith("bias"):
            x = 0.3 * x
        elif "embed" not in name and "lm_head" not in name:
            x = 1.3 * x / p.shape[-1] ** 0.5
        p.data.copy_(x.to(dtype).float())


def old_config(path):
    """rope_theta and rope_scaling instead of rope_parameters."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters", None) or {}
    config["rope_theta"] = rope.pop("rope_theta", 10000.0)
    config["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make(name, family, extra, dtype, old):
    config, cls = {"llama": (LlamaConfig, LlamaForCausalLM),
                   "mistral": (MistralConfig, MistralForCausalLM)}[family]
    model = cls(config(**{**BASE, **extra})).float().eval()
    randomize(model, dtype)
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


for name, (family, extra, dtype, old) in MODELS.items():
    make(name, family, extra, dtype, old)
