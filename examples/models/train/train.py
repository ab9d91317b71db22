"""Trains the embedded model, or its draft, on documents made as it goes.

    python3 train.py --out tiny.pt --steps 8500
    python3 train.py --out draft.pt --steps 1500 --dim 128 --layers 3 --heads 4 --ffn 352 \\
        --teacher tiny.pt

Runs on PyTorch 1.13 (Debian's python3-torch) and later, on the CPU or with --device cuda; in bf16
autocast where the machine has it. Stopped and started again with --resume it goes on where the
last checkpoint stood: weights, optimizer, place in the data and time used.
"""
import argparse
import json
import os
import time

import torch
import torch.nn.functional as F

from corpus import Corpus
from model import Llama, Shape, document_bias, load
from tokenizer import Tokenizer


class Batches:
    """Rows of whole documents: ids, loss weights, document numbers, each [rows, length + 1].

    Documents longer than a row are kept until they fill a batch of half as many rows twice as long.
    """

    def __init__(self, tokenizer, seed, rows, length):
        self.tokenizer, self.rows, self.length = tokenizer, rows, length
        self.corpus, self.pool, self.long = Corpus(seed), [], []

    def _document(self):
        special = self.tokenizer.special
        while True:
            ids, weights = [], []
            for text, weight in self.corpus.document():
                part = self.tokenizer.encode(text, bool(ids) and ids[-1] not in special)
                ids += part
                weights += [weight] * len(part)
            if len(ids) <= self.length + 1:
                return ids, weights
            if len(ids) <= 2 * self.length + 1:
                self.long.append((ids, weights))

    def _row(self, row, room):
        """Fills a row from a small pool, the longest that still fits last."""
        room -= sum(len(d[0]) for d in row)
        while True:
            while len(self.pool) < 64:
                self.pool.append(self._document())
            fits = [d for d in self.pool if len(d[0]) <= room]
            if not fits:
                return row
            pick = max(fits, key=lambda d: len(d[0])) if room < 160 else fits[0]
            self.pool.remove(pick)
            row.append(pick)
            room -= len(pick[0])

    def next(self):
        rows, width, firsts = self.rows, self.length + 1, []
        if len(self.long) >= self.rows // 2:
            rows, width = self.rows // 2, 2 * self.length + 1
            firsts, self.long = self.long[:rows], self.long[rows:]
        ids = torch.zeros(rows, width, dtype=torch.long)
        weights = torch.zeros(rows, width)
        numbers = torch.full((rows, width), -1)
        for r in range(rows):
            at = 0
            for number, (doc, weight) in enumerate(self._row(firsts[r:r + 1], width)):
                end = at + len(doc)
                ids[r, at:end] = torch.tensor(doc)
                weights[r, at:end] = torch.tensor(weight)
                weights[r, at] = 0  # the first token of a document follows nothing
                numbers[r, at:end] = number
                at = end
        return ids, weights, numbers

    def state(self):
        return {"rng": self.corpus.rng.getstate(), "pool": self.pool, "long": self.long}

    def restore(self, state):
        self.corpus.rng.setstate(state["rng"])
        self.pool, self.long = state["pool"], state.get("long", [])


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal: for the matrices inside the layers.

    After K. Jordan and others, "Muon: an optimizer for hidden layers in neural networks" (2024):
    five Newton-Schulz steps bring all singular values of the momentum near one.
    """

    def __init__(self, params, lr, dtype, momentum=.95, weight_decay=.1):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.dtype = dtype

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                step = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]),
                                  self.dtype)
                scale = max(1, p.shape[0] / p.shape[1]) ** .5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(step, alpha=-group["lr"] * scale)


def orthogonal(matrix, dtype):
    """The nearest matrix with all singular values about one, by Newton-Schulz."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.t() if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-7)).to(dtype)
    for _ in range(5):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return (x.t() if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


def optimizers(network, args, dtype):
    """AdamW for embedding and norms (and all, with --optimizer adamw), Muon for the rest."""
    hidden = [p for n, p in network.named_parameters() if p.dim() == 2 and "embed" not in n]
    table = [network.embed_tokens.weight]
    norms = [p for p in network.parameters() if p.dim() == 1]
    decay = hidden + table if args.optimizer == "adamw" else table
    found = [torch.optim.AdamW([{"params": decay, "weight_decay": .1 if len(decay) > 1 else .01},
                                {"params": norms, "weight_decay": 0.}],
                               lr=args.lr, betas=(.9, .95))]
    if args.optimizer == "muon":
        found.append(Muon(hidden, args.muon_lr, dtype))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found


def rate(step, progress, warmup):
    """Warm-up, full rate to 30 %, then a straight line down to 2 %."""
    return min(1, (step + 1) / warmup) * max(.02, min(1, (1 - progress) / .7))


def loss_of(network, teacher, dtype, ids, weights, numbers):
    """The weighted mean loss of a batch; with a teacher mostly the distance to its predictions."""
    bias = document_bias(numbers[:, :-1])
    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        bias = bias.to(dtype)
        logits = network(ids[:, :-1], bias)
        if teacher is not None:
            with torch.no_grad():
                target = teacher(ids[:, :-1], bias)
    logits = logits.float().flatten(0, 1)
    loss = F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
    if teacher is not None:
        target = target.float().flatten(0, 1).softmax(-1)
        loss = .1 * loss - .9 * (target * logits.log_softmax(-1)).sum(-1)
    weight = weights[:, 1:].flatten()
    return (loss * weight).sum() / weight.sum()


def save(path, network, opts, batches, args, record):
    shape = {k: v for k, v in vars(network.shape).items() if k != "head_dim"}
    state = dict(model=network.state_dict(), shape=shape, data=batches.state(), record=record,
                 optimizers=[o.state_dict() for o in opts], pieces=batches.tokenizer.pieces,
                 args=vars(args), torch=torch.__version__)
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", required=True, help="checkpoint file; FILE.log.jsonl gets the losses")
    add("--pieces", default="pieces.json", help="vocabulary made by tokenizer.py")
    add("--steps", type=int, default=8500)
    add("--minutes", type=float, help="train this long instead; the schedule follows the clock")
    add("--seed", type=int, default=7)
    add("--dim", type=int, default=192)
    add("--layers", type=int, default=6)
    add("--heads", type=int, default=6)
    add("--kv-heads", type=int, default=2)
    add("--ffn", type=int, default=512)
    add("--rows", type=int, default=16)
    add("--length", type=int, default=256)
    add("--lr", type=float, default=2e-3)
    add("--muon-lr", type=float, default=.01)
    add("--optimizer", choices=["muon", "adamw"], default="muon")
    add("--teacher", help="checkpoint whose predictions the draft learns")
    add("--init", help="start from the weights of this checkpoint")
    add("--curriculum", type=float, default=0., help="start the curriculum here (0..1)")
    add("--device", default="cpu")
    add("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    add("--every", type=int, default=300, help="steps between checkpoints")
    add("--compile", action="store_true", help="torch.compile (2.x): a third faster on the CPU")
    add("--resume", action="store_true")
    return parser.parse_args()


def pick_dtype(args):
    """bf16 pays only where the hardware has it."""
    if args.dtype != "auto":
        return getattr(torch, args.dtype)
    if args.device.startswith("cuda"):
        return torch.bfloat16
    with open("/proc/cpuinfo") as file:
        fast = "avx512_bf16" in file.read()
    return torch.bfloat16 if fast and torch.__version__ >= "2" else torch.float32


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    dtype = pick_dtype(args)
    tokenizer = Tokenizer.load(args.pieces)
    network = Llama(Shape(len(tokenizer.pieces), args.dim, args.layers, args.heads,
                          args.kv_heads, args.ffn)).to(args.device)
    teacher = load(args.teacher, args.device)[0] if args.teacher else None
    opts = optimizers(network, args, dtype)
    batches = Batches(tokenizer, args.seed, args.rows, args.length)
    record = {"step": 0, "seconds": 0., "tokens": 0, "loss": None}
    if args.init:
        network.load_state_dict(load(args.init, args.device)[0].state_dict())
    if args.resume and os.path.exists(args.out):
        state = load(args.out, args.device)[1]
        network.load_state_dict(state["model"])
        batches.restore(state["data"])
        record = state["record"]
        for optimizer, saved in zip(opts, state["optimizers"]):
            peaks = [group["peak"] for group in optimizer.param_groups]
            optimizer.load_state_dict(saved)
            for group, peak in zip(optimizer.param_groups, peaks):
                group["peak"] = peak  # the rates may be changed between two runs
    network.train()
    measure = torch.compile(loss_of, dynamic=False) if args.compile else loss_of
    print("parameters %d, torch %s, %s, %d threads" % (
        sum(p.numel() for p in network.parameters()), torch.__version__, dtype,
        torch.get_num_threads()), flush=True)
    run(network, measure, teacher, opts, batches, args, record, dtype)


def run(network, measure, teacher, opts, batches, args, record, dtype):
    begin, before = time.time(), record["seconds"]
    log = open(args.out + ".log.jsonl", "a", encoding="utf-8")
    while True:
        record["seconds"] = before + time.time() - begin
        progress = (record["seconds"] / 60 / args.minutes if args.minutes
                    else record["step"] / args.steps)
        if progress >= 1:
            break
        batches.corpus.progress = max(progress, args.curriculum)
        factor = rate(record["step"], progress, 100)
        for group in (g for o in opts for g in o.param_groups):
            group["lr"] = group["peak"] * factor
        batch = batches.next()
        loss = measure(network, teacher, dtype, *(t.to(args.device) for t in batch))
        for optimizer in opts:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.)
        for optimizer in opts:
            optimizer.step()
        value = loss.item()
        record["step"] += 1
        record["tokens"] += int((batch[2][:, :-1] >= 0).sum())
        record["loss"] = value if record["loss"] is None else .98 * record["loss"] + .02 * value
        if record["step"] % 25 == 0:
            log.write(json.dumps(dict(record, progress=round(progress, 4))) + "\n")
            log.flush()
        if record["step"] % args.every == 0:
            save(args.out, network, opts, batches, args, record)
    save(args.out, network, opts, batches, args, record)


if __name__ == "__main__":
    main()
