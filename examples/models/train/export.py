"""Writes a checkpoint of train.py as a Hugging Face directory, weights in f16.

    python3 export.py tiny.pt hf/

llm-convert makes the GGUF file from that directory. The files are written without the Hugging
Face libraries: config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json,
generation_config.json and model.safetensors.
"""
import argparse
import json
import os
import struct

import torch

from model import EPS, THETA, load
from tokenizer import BOS, EOS, SPACE, UNK, Tokenizer

# The Alpaca template: a system text is ordinary text, no preamble.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '### Response:\n' + message['content'] + eos_token + '\n\n' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}")


def config(network):
    s = network.shape
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": s.dim, "intermediate_size": s.ffn, "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads, "num_key_value_heads": s.kv_heads,
        "head_dim": s.head_dim, "max_position_embeddings": s.context, "vocab_size": s.vocab,
        "rms_norm_eps": EPS, "rope_theta": THETA, "rope_scaling": None,
        "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "attention_dropout": 0.0, "initializer_range": 0.02, "pretraining_tp": 1,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float16", "use_cache": True}


def merges(tokenizer):
    """Every pair of pieces whose join is a piece, the join of the lowest rank first.

    SentencePiece joins by the score of the join; as a list of pairs that is all
    pairs in this order.
    """
    normal = {p: i for i, p in enumerate(tokenizer.pieces) if tokenizer.kind(i) == 1}
    out = []
    for piece, rank in normal.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in normal and right in normal:
                out.append((rank, normal[left], normal[right], left + " " + right))
    return [text for _, _, _, text in sorted(out)]


def tokenizer_json(tokenizer):
    special = [{"id": i, "content": tokenizer.pieces[i], "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i in sorted(tokenizer.special)]
    first = {"SpecialToken": {"id": BOS, "type_id": 0}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [first, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": BOS, "type_id": 1}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BOS: {"id": BOS, "ids": [tokenizer.bos], "tokens": [BOS]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": UNK, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
            "ignore_merges": False, "vocab": tokenizer.ids, "merges": merges(tokenizer)}}


def tokenizer_config(network):
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
        "unk_token": UNK, "add_bos_token": True, "add_eos_token": False, "legacy": True,
        "clean_up_tokenization_spaces": False, "model_max_length": network.shape.context,
        "chat_template": CHAT_TEMPLATE}


def write_safetensors(path, tensors):
    """tensors: {name: f16 tensor}. Header of JSON padded to 8 bytes, then the data."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F16", "shape": list(t.shape),
                        "data_offsets": [at, at + 2 * t.numel()]}
        at += 2 * t.numel()
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for t in tensors.values():
            file.write(t.numpy().tobytes())


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("folder")
    args = parser.parse_args()
    network, state = load(args.checkpoint)
    tokenizer = Tokenizer(state["pieces"])
    os.makedirs(args.folder, exist_ok=True)
    write_json(args.folder, "config.json", config(network))
    write_json(args.folder, "generation_config.json",
               {"bos_token_id": 1, "eos_token_id": 2, "_from_model_config": True})
    write_json(args.folder, "tokenizer.json", tokenizer_json(tokenizer))
    write_json(args.folder, "tokenizer_config.json", tokenizer_config(network))
    write_json(args.folder, "special_tokens_map.json",
               {"bos_token": BOS, "eos_token": EOS, "unk_token": UNK})
    weights = {"model." + name: p.detach().to(torch.float16).contiguous()
               for name, p in network.named_parameters()}
    write_safetensors(os.path.join(args.folder, "model.safetensors"), weights)
    print("%d tensors, %d parameters, step %d, loss %.4f" % (
        len(weights), sum(t.numel() for t in weights.values()), state["record"]["step"],
        state["record"]["loss"]))


if __name__ == "__main__":
    main()
