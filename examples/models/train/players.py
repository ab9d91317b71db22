"""Ways to run a model for evaluate.py: a checkpoint in PyTorch, or GGUF through the commands.

Both have generate(prompts, tokens, temperature, seed) -> texts and judge(prompts) -> five
expected scores each. A prompt is (user text, input or None, prefix of the response).
"""
import torch

from corpus import INPUT, INSTRUCTION, RESPONSE
from corrupt import AXES
from model import load
from tokenizer import Tokenizer


def whole(prompt):
    """The prompt as one text, special tokens and all."""
    user, given, prefix = prompt
    return "<s>" + INSTRUCTION + user + (INPUT + given if given else "") + RESPONSE + prefix


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

    @torch.no_grad()
    def judge(self, prompts):
        """Expected scores: the text of the axes is forced, each digit read from the logits."""
        digits = [self.tokenizer.encode(" %d" % d, True)[0] for d in range(5)]
        scores = [[] for _ in prompts]
        rows = [self.encode(p) for p in prompts]
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


def choose(logits, temperature, top_p, generator):
    """Next tokens: greedy at temperature 0, else drawn from the nucleus top_p."""
    if temperature == 0:
        return logits.argmax(-1)
    chance, order = (logits / temperature).softmax(-1).sort(descending=True)
    chance = chance * (chance.cumsum(-1) - chance < top_p)
    place = torch.multinomial(chance, 1, generator=generator)
    return order.gather(1, place)[:, 0]
