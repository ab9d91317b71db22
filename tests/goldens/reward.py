#!/usr/bin/env python3
"""reward.py - small reward models and the outputs that Hugging Face transformers gives for them.

    python3 tests/goldens/reward.py        (needs torch and transformers)

Writes tests/data/reward/NAME/: config.json, tokenizer.json, tokenizer_config.json with a chat
template, model.safetensors, and golden.jsonl: records, each with the field `want`, the outputs of
...ForSequenceClassification in float32 for its conversation as the template ends it. Weights are
random, with the fixed seed of logits.py.
"""
import json
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file

import logits

OUT = logits.OUT.parent / "reward"

CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
          "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
          "{{ '<|im_start|>assistant\n' }}{% endif %}")
LLAMA3 = ("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
          "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | "
          "trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
          "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>"
          "assistant<|end_header_id|>\n\n' }}{% endif %}")

# name: family, configuration, stored type, template
MODELS = {
    "one": ("llama", dict(num_key_value_heads=2), torch.float32, LLAMA3),
    "five": ("qwen2", dict(num_key_value_heads=2, tie_word_embeddings=True), torch.float16, CHATML),
    "nine": ("llama", dict(num_key_value_heads=1, tie_word_embeddings=True), torch.bfloat16, LLAMA3),
}
LABELS = {"one": 1, "five": 5, "nine": 9}

RECORDS = [
    {"instruction": "Why is the sky blue?", "output": "Because air scatters blue light the most."},
    {"instruction": "Why is the sky blue?", "output": "It is not."},
    {"instruction": "Add the numbers.", "input": "3 4", "output": " 7 \n"},
    {"messages": [{"role": "system", "content": "Be the brief one."},
                  {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},
                  {"role": "user", "content": "And the rest?"}], "output": "하늘은 푸르다 </s> the end"},
]


def messages(record):
    if "messages" in record:
        return record["messages"] + [{"role": "assistant", "content": record["output"]}]
    user = record["instruction"] + ("\n\n" + record["input"] if "input" in record else "")
    return [{"role": "user", "content": user}, {"role": "assistant", "content": record["output"]}]


def ids_of(tokenizer, text):
    """Token ids of a rendered conversation, in which only <s> at the beginning is a token."""
    begins = text.startswith("<s>")
    body = text[3:] if begins else text
    parts = body.split("</s>")
    ids = [tokenizer.convert_tokens_to_ids("<s>")] if begins else []
    for i, part in enumerate(parts):
        ids += tokenizer.backend_tokenizer.encode(part, add_special_tokens=False).ids
        if i + 1 < len(parts):  # what a user writes is text
            ids += [tokenizer.convert_tokens_to_ids(c) for c in "</s>"]
    return ids


def make(name, family, extra, dtype, template):
    config = getattr(transformers, logits.CLASSES[family] + "Config")(
        **{**logits.BASE, "max_position_embeddings": 512, **extra}, num_labels=LABELS[name])
    cls = getattr(transformers, logits.CLASSES[family] + "ForSequenceClassification")
    model = cls(config).float().eval()
    logits.randomize(model, family, dtype)
    out = OUT / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    model.to(dtype).save_pretrained(out)
    weights = out / "model.safetensors"
    save_file(load_file(weights), weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    (out / "tokenizer.json").write_text(
        json.dumps(logits.tokenizer(), separators=(",", ":")) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False,
         "chat_template": template}) + "\n")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(out / "tokenizer.json"), bos_token="<s>", eos_token="</s>",
        chat_template=template)
    model = cls.from_pretrained(out, dtype=torch.float32).eval()
    with open(out / "golden.jsonl", "w", encoding="utf-8") as file:
        for i, record in enumerate(RECORDS):
            text = tokenizer.apply_chat_template(messages(record), tokenize=False)
            with torch.no_grad():
                want = model(torch.tensor([ids_of(tokenizer, text)])).logits[0].tolist()
            file.write(json.dumps({"id": i, **record, "want": [round(x, 5) for x in want]},
                                  ensure_ascii=False) + "\n")


for name in MODELS:
    make(name, *MODELS[name])
