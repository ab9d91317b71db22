#!/usr/bin/env python3
"""beam.py - what beam search finds on the checkpoints of tests/goldens/logits.py.

    python3 tests/goldens/beam.py            (needs torch and transformers)

Plain beam search is Hugging Face transformers' generate(). Groups (diverse beam
search), which it no longer has, are a literal reading of Vijayakumar et al. 2016,
algorithm 1, over the same model's log-probabilities; with one group it must
agree with generate(). Writes tests/data/beam/golden.json: the best hypotheses with
their scores, best first.
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
LOGITS = HERE.parent / "data" / "logits"
OUT = HERE.parent / "data" / "beam"
LEAST = 1e-4  # between scores: closer ones may swap between two float computations


def diverse(model, prompt, eos, beams, groups, diversity, alpha, early, max_new):
    size = beams // groups
    states = [dict(run=[((), 0.0)], pool=[], done=False) for _ in range(groups)]

    def logprobs(tokens):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + list(tokens)])).logits[0, -1]
        return torch.log_softmax(logits.float(), -1).tolist()

    for length in range(1, max_new + 1):
        taken = []
        for s in states:
            if s["done"]:
                continue
            cands = []
            for tokens, total in s["run"]:
                for i, x in enumerate(logprobs(tokens)):
                    cands.append((total + x - diversity * taken.count(i), tokens + (i,)))
            cands.sort(key=lambda c: -c[0])
            cands = cands[:max(2, 1 + len(eos)) * size]
            s["run"], went = [], []
            for rank, (total, tokens) in enumerate(cands):
                finished = tokens[-1] in eos or length == max_new
                if finished and rank < size:
                    s["pool"].append((total / length**alpha, tokens))
                elif not finished and len(s["run"]) < size:
                    s["run"].append((tokens, total))
                if tokens[-1] not in eos and len(went) < size and (rank < size or not finished):
                    went.append(tokens[-1])
            taken += went
            s["pool"] = sorted(s["pool"], key=lambda h: -h[0])[:size]
            full = len(s["pool"]) == size
            if not s["run"] or (full and early is True):
                s["done"] = True
            elif full:
                best_length = max_new if early == "never" and alpha > 0 else length
                s["done"] = s["run"][0][1] / best_length**alpha <= s["pool"][-1][0]
        if all(s["done"] for s in states):
            break
    return sorted((h for s in states for h in s["pool"]), key=lambda h: -h[0])


def generate(model, prompt, eos, beams, alpha, early, max_new):
    out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)).long(),
                         num_beams=beams, num_return_sequences=beams, do_sample=False,
                         length_penalty=alpha, early_stopping=early, max_new_tokens=max_new,
                         eos_token_id=eos, pad_token_id=-1, return_dict_in_generate=True,
                         output_scores=True)
    rows = [[t for t in row[len(prompt):].tolist() if t != -1] for row in out.sequences]
    return list(zip(out.sequences_scores.tolist(), map(tuple, rows)))


def close(hyps):
    return any(abs(a[0] - b[0]) < LEAST for a, b in zip(hyps, hyps[1:]))


cases = []
for name in ("mha", "gqa", "mistral"):
    model = AutoModelForCausalLM.from_pretrained(LOGITS / name, dtype=torch.float32).eval()
    g = torch.Generator().manual_seed(3)
    for beams, groups, diversity in [(1, 1, 0.0), (2, 1, 0.0), (4, 1, 0.0), (7, 1, 0.0),
                                     (4, 2, 0.5), (6, 3, 1.0), (4, 4, 2.0)]:
        for alpha, early in [(1.0, False), (0.0, True), (2.0, "never"), (-0.5, False)]:
            prompt = torch.randint(0, 256, (5,), generator=g).tolist()
            with torch.no_grad():
                top = model(torch.tensor([prompt])).logits[0, -1].topk(40).indices.tolist()
            n_eos = 1 if (beams + groups) % 3 else 2
            eos = sorted(top[5:20:5 if n_eos == 1 else 4][:n_eos]) + sorted(top[25:34])
            max_new = 12
            mine = diverse(model, prompt, eos, beams, groups, diversity, alpha, early, max_new)
            if groups == 1 and beams > 1:
                theirs = generate(model, prompt, eos, beams, alpha, early, max_new)
                same = [h[1] for h in mine] == [h[1] for h in theirs]
                assert same or close(theirs), (name, beams, alpha, early, mine, theirs)
                mine = theirs
            if close(mine):
                continue
            cases.append(dict(model=name, prompt=prompt, eos=eos, beams=beams, groups=groups,
                              diversity=diversity, length_penalty=alpha, early=str(early),
                              max_new=max_new, best=[[round(x, 5), list(t)] for x, t in mine]))
OUT.mkdir(parents=True, exist_ok=True)
path = OUT / "golden.json"
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
ended = sum(len(t) < c["max_new"] for c in cases for _, t in c["best"])
print(f"{path.stat().st_size} bytes, {len(cases)} searches, {ended} hypotheses ended early")
