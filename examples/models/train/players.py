"""Ways to run a model for evaluate.py: a checkpoint in PyTorch, or GGUF through the commands.

Both have generate(prompts, tokens, temperature, top_p, seed) -> texts and judge(cases) -> five
expected scores each. A prompt is (user text, input or None, prefix of the response); a case is
(task, response, reference answer or None).
"""
import json
import os
import subprocess
import tempfile

import torch

from corpus import BOS, INPUT, INSTRUCTION, RESPONSE, generate_prompt, judge_prompt
from corrupt import AXES
from model import load
from tokenizer import Tokenizer


def whole(prompt):
    """The prompt as one text, special tokens and all."""
    user, given, prefix = prompt
    return BOS + INSTRUCTION + user + (INPUT + given if given else "") + RESPONSE + prefix


class TorchPlayer:
    """A checkpoint of train.py. Prompts of a batch are padded on the left: rotary scores depend on
    differences of positions, so the padding only has to be masked."""

    def __init__(self, path, batch=48):
        self.network, state = load(path)
        self.tokenizer = Tokenizer(state["pieces"])
        self.batch, self.record = batch, state["record"]

    def _prefill(self, rows):
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        real = torch.zeros(len(rows), width, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, width - len(row):] = torch.tensor(row)
            real[i, width - len(row):] = True
        hidden = ~real[:, None, :] | torch.ones(width, width, dtype=torch.bool).triu(1)
        # A padded query sees itself, so that no row of the softmax is empty.
        hidden &= ~torch.eye(width, dtype=torch.bool)
        bias = torch.zeros(hidden.shape).masked_fill_(hidden, -1e4)[:, None]
        return ids, bias, real

    @torch.no_grad()
    def _complete(self, rows, tokens, temperature, top_p, generator):
        ids, bias, real = self._prefill(rows)
        cache = [[] for _ in self.network.layers]
        logits = self.network(ids, bias, cache, 0, last=True)[:, 0]
        out, alive = [[] for _ in rows], [True] * len(rows)
        past = torch.zeros(real.shape).masked_fill_(~real, -1e4)
        for step in range(tokens):
            pick = choose(logits, temperature, top_p, generator)
            for i, token in enumerate(pick.tolist()):
                alive[i] = alive[i] and token != self.tokenizer.eos
                if alive[i]:
                    out[i].append(token)
            if not any(alive) or ids.shape[1] + step + 1 >= self.network.shape.context:
                break
            past = torch.cat([past, torch.zeros(len(rows), 1)], 1)
            logits = self.network(pick[:, None], past[:, None, None], cache,
                                  ids.shape[1] + step)[:, 0]
        return out

    def encode(self, prompt):
        return self.tokenizer.encode(whole(prompt))

    def generate_ids(self, rows, tokens=80, temperature=0., top_p=1., seed=0):
        """Completions as ids. Rows of like length go together."""
        generator = torch.Generator().manual_seed(seed)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = [None] * len(rows)
        for at in range(0, len(order), self.batch):
            part = order[at:at + self.batch]
            done = self._complete([rows[i] for i in part], tokens, temperature, top_p, generator)
            for i, ids in zip(part, done):
                out[i] = ids
        return out

    def generate(self, prompts, tokens=80, temperature=0., top_p=1., seed=0):
        rows = [self.encode(p) for p in prompts]
        done = self.generate_ids(rows, tokens, temperature, top_p, seed)
        return [self.tokenizer.decode(ids) for ids in done]

    def new_tasks(self, lists, temperature, top_p, seed):
        """Texts of new tasks, from prompts that each show a list of tasks."""
        prompts, texts = [], []
        for tasks in lists:
            user, _, prefix = generate_prompt([t.text() for t in tasks]).partition(RESPONSE)
            prompts.append((user[len(INSTRUCTION):], None, prefix))
        for text in self.generate(prompts, 260, temperature, top_p, seed):
            # The last one may be cut by the limit.
            texts += items(text)[:-1]
        return texts

    @torch.no_grad()
    def judge(self, cases):
        """Expected scores: the text of the axes is forced, each digit read from the logits."""
        digits = [self.tokenizer.encode(" %d" % d, True)[0] for d in range(5)]
        scores = [[] for _ in cases]
        rows = [self.tokenizer.encode(BOS + judge_prompt(*case)) for case in cases]
        for slot, axis in enumerate(AXES):
            form = self.tokenizer.encode(("\n" if slot else "") + axis + ":", slot > 0)
            rows = [row + form for row in rows]
            for at in range(0, len(rows), self.batch):
                ids, bias, _ = self._prefill(rows[at:at + self.batch])
                logits = self.network(ids, bias, last=True)[:, 0, digits]
                chance = logits.softmax(-1)
                for i, p in enumerate(chance.tolist()):
                    scores[at + i].append(sum(d * x for d, x in enumerate(p)))
                    rows[at + i].append(digits[p.index(max(p))])
        return scores


class CommandPlayer:
    """A model file, through llm-generate and llm-score of the folder bin."""

    def __init__(self, path, commands):
        self.path, self.commands = path, commands
        self.record = {"model": os.path.basename(path), "bytes": os.path.getsize(path)}

    def _run(self, command, records, *options):
        """Records through a command; the answers in the order of the records."""
        lines = "".join(json.dumps(dict(r, id=str(i))) + "\n" for i, r in enumerate(records))
        done = subprocess.run([os.path.join(self.commands, command), "-m", self.path, "-q",
                               *options], input=lines, stdout=subprocess.PIPE, text=True,
                              check=True)
        found = {r["id"]: r for r in map(json.loads, done.stdout.splitlines())}
        return [found.get(str(i)) for i in range(len(records))]

    def generate(self, prompts, tokens=80, temperature=0., top_p=1., seed=0):
        assert not any(prefix for _, _, prefix in prompts)
        records = [{"instruction": user, "input": given or ""} for user, given, _ in prompts]
        found = self._run("llm-generate", records, "-n", str(tokens), "-t", str(temperature),
                          "-p", str(top_p), "-s", str(seed), "--batch", "32")
        return [(r or {}).get("output", "").lstrip(" ") for r in found]

    def new_tasks(self, lists, temperature, top_p, seed):
        """Texts of new tasks, kept or turned down by llm-selfinstruct."""
        seeds = [{"instruction": t.instruction(), "input": t.input()} for x in lists for t in x]
        with tempfile.TemporaryDirectory() as folder:
            rejects = os.path.join(folder, "rejects.jsonl")
            self._run("llm-selfinstruct", seeds, "--prompts", "tiny", "--no-seeds", "--count",
                      str(len(lists) * 4), "-t", str(temperature), "-p", str(top_p), "-s",
                      str(seed), "--rejects", rejects, "-o", os.path.join(folder, "kept.jsonl"))
            lines = []
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    lines += [json.loads(line) for line in file]
        return [r["instruction"] + ("\nInput: " + r["input"] if r.get("input") else "")
                for r in lines if r.get("instruction")]

    def judge(self, cases):
        records = [{"instruction": task.instruction(), "input": task.input(), "output": text,
                    "gold": reference} for task, text, reference in cases]
        options = ["--reference", "gold"] if cases[0][2] is not None else []
        found = self._run("llm-score", records, "--prompts", "tiny", *options)
        return [[r[axis] for axis in AXES] for r in found]


def items(text):
    """The tasks of a numbered list whose first number stands in the prompt."""
    out = []
    for line in text.strip().split("\n"):
        if line.startswith("Input:") and out:
            out[-1] += "\n" + line
        else:
            out.append(line.split(". ", 1)[-1] if out else line)
    return out


def choose(logits, temperature, top_p, generator):
    """Next tokens: greedy at temperature 0, else drawn from the nucleus top_p."""
    if temperature == 0:
        return logits.argmax(-1)
    chance, order = (logits / temperature).softmax(-1).sort(descending=True)
    chance = chance * (chance.cumsum(-1) - chance < top_p)
    place = torch.multinomial(chance, 1, generator=generator)
    return order.gather(1, place)[:, 0]
