#!/usr/bin/env python3
"""score.py - log-probabilities of given outputs on the checkpoints of tests/goldens/logits.py.

    python3 tests/goldens/score.py            (needs torch and transformers)

Writes tests/data/score.jsonl: records with `want`, the sum over the output's tokens.
Tokens are bytes here (and "th", "the", " the"), with a BOS before the prompt.
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
LOGITS = HERE.parent / "data" / "logits"
TEXTS = [("Once upon", " a time, the fox"), ("a", "b"),
         ("The list: ", "plum, goat and the other theme\n" + "x" * 40)]

with open(HERE.parent / "data" / "score.jsonl", "w") as out:
    for name in ("mha", "gqa", "llama3", "mistral"):
        model = AutoModelForCausalLM.from_pretrained(LOGITS / name, dtype=torch.float32).eval()
        tok = AutoTokenizer.from_pretrained(LOGITS / name)
        for prompt, output in TEXTS:
            a = [tok.bos_token_id] + tok.encode(prompt, add_special_tokens=False)
            b = tok.encode(output, add_special_tokens=False)
            with torch.no_grad():
                logits = model(torch.tensor([a + b])).logits[0].double()
            logprob = torch.log_softmax(logits, -1)
            want = sum(float(logprob[len(a) - 1 + i, t]) for i, t in enumerate(b))
            out.write(json.dumps(dict(model=name, prompt=prompt, output=output,
                                      want=round(want, 5))) + "\n")
