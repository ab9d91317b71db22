"""The held-out measures of the embedded model.

    python3 evaluate.py --checkpoint tiny.pt [--draft draft.pt] [--count 200] [--json out.json]
    python3 evaluate.py --model ../tiny.gguf --commands ../../../build

Tasks are drawn from the 5 % of task texts that no document of the training held. Everything is
greedy but the new instructions (temperature 0.7, top-p 0.95) and the second set of evolutions.
"""
import argparse
import collections
import json
import random

from corpus import INSTRUCTION, RESPONSE, evolve_prompt, generate_prompt
from corrupt import AXES, corrupt, weighted
from families import SPECIFIC, NoAnswer
from players import CommandPlayer, TorchPlayer
from world import EVOLVE, ORDER, draw_deep, held_out, parse, solve


def plain(prompt):
    """(user, input, prefix) of a prompt text of corpus.py."""
    user, _, prefix = prompt[len(INSTRUCTION):].partition(RESPONSE)
    return user, None, prefix


def held_task(rng, depth=None, family=None):
    while True:
        task = draw_deep(rng, family)
        if held_out(task) and (depth is None or task.depth() == depth):
            return task


def spearman(a, b):
    """Rank correlation, ties at their mean rank."""
    def ranks(x):
        order, out, i = sorted(range(len(x)), key=lambda i: x[i]), [0.] * len(x), 0
        while i < len(order):
            j = i
            while j < len(order) and x[order[j]] == x[order[i]]:
                j += 1
            for k in order[i:j]:
                out[k] = (i + j - 1) / 2
            i = j
        return out
    a, b = ranks(a), ranks(b)
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    up = sum((x - ma) * (y - mb) for x, y in zip(a, b))
    down = (sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b)) ** .5
    return up / down if down else 0.


def answers(player, rng, count, show):
    """Exact match by depth 0..3 and, over all depths, by family."""
    by_depth, by_family = {}, collections.defaultdict(list)
    for depth in range(4):
        tasks = [held_task(rng, depth) for _ in range(count)]
        done = player.generate([(t.instruction(), t.input() or None, "") for t in tasks], 40)
        right = [text == t.gold() for text, t in zip(done, tasks)]
        by_depth["depth %d" % depth] = sum(right) / count
        for ok, task, text in zip(right, tasks, done):
            by_family[task.family].append(ok)
            if not ok and show:
                print("  wrong: %r -> %r, not %r" % (task.text(), text, task.gold()))
    by_depth["depth 0-1"] = (by_depth["depth 0"] + by_depth["depth 1"]) / 2
    return by_depth, {f: round(sum(v) / len(v), 3) for f, v in sorted(by_family.items())}


def legal(old, text, operator):
    """Whether text is one permitted rewriting of task old by the operator."""
    try:
        new = parse(text)
    except ValueError:
        return False
    if operator == "breadth":
        return new.family != old.family
    same = (new.family, new.phrasing) == (old.family, old.phrasing)
    more_ops, more_cons = len(new.ops) - len(old.ops), len(new.cons) - len(old.cons)
    same = same and new.ops[:len(old.ops)] == old.ops and new.cons[:len(old.cons)] == old.cons
    if not same:
        return False
    if operator == "complicate":
        n = len(old.items)
        return (more_ops == more_cons == 0 and new.slots == old.slots
                and len(new.items) > n and new.items[:n] == old.items)
    same = new.items == old.items
    if operator == "concretizing":
        changed = sum(new.slots[k] != v for k, v in old.slots.items()) + (
            new.specific != old.specific)
        return same and more_ops == more_cons == 0 and changed == 1 and (
            concrete(old, new))
    same = same and new.slots == old.slots and new.specific == old.specific
    return same and (more_ops, more_cons) == {"constraints": (0, 1), "reasoning": (1, 0),
                                              "deepening": (1, 1)}[operator]


def concrete(old, new):
    """The general noun is gone and nothing else changed."""
    return all(new.slots[k] == v or new.slots[k] in SPECIFIC.get((k, v), ())
               for k, v in old.slots.items()) and new.specific >= old.specific


def evolutions(player, rng, count, show, temperature=0.):
    """Share of legal rewritings by operator, each asked only where it applies."""
    out = {}
    for operator in ORDER:
        tasks = []
        while len(tasks) < count:
            task = held_task(rng)
            if EVOLVE[operator](rng, task) is not None:
                tasks.append(task)
        done = player.generate([plain(evolve_prompt(t, operator)) for t in tasks], 80,
                               temperature, 1., rng.randrange(1 << 30))
        right = [legal(t, text, operator) for t, text in zip(tasks, done)]
        out[operator] = sum(right) / count
        for ok, task, text in zip(right, tasks, done):
            if not ok and show:
                print("  %s: %r -> %r" % (operator, task.text(), text))
    out["all"] = sum(out.values()) / len(out)
    return out


def references(player, tasks, kind):
    """The reference answers the judge is shown: none, gold, or the model's own greedy ones."""
    if kind == "self":
        return player.generate([(t.instruction(), t.input() or None, "") for t in tasks], 40)
    return [t.gold() if kind == "gold" else None for t in tasks]


def judgements(player, rng, count, reference):
    """Correlations of expected scores with labels, of the weighted score with the level, pairs."""
    tasks = [held_task(rng) for _ in range(count)]
    cases = [corrupt(rng, t) for t in tasks]
    given = references(player, tasks, reference)
    found = player.judge([(t, c[0], r) for t, c, r in zip(tasks, cases, given)])
    out = {a: spearman([f[i] for f in found], [c[1][i] for c in cases])
           for i, a in enumerate(AXES)}
    out["weighted against level"] = spearman([weighted(f) for f in found], [c[2] for c in cases])
    out["ceiling (labels against level)"] = spearman([weighted(c[1]) for c in cases],
                                                     [c[2] for c in cases])
    for level in (1, 2, 3):
        part = tasks[:count // 2]
        bad = [corrupt(rng, t, level, False)[0] for t in part]
        refs = given[:len(part)]
        high = player.judge([(t, t.gold(), r) for t, r in zip(part, refs)])
        low = player.judge(list(zip(part, bad, refs)))
        wins = [content(h) > content(l) for h, l in zip(high, low)]
        out["pair accuracy, level %d" % level] = sum(wins) / len(part)
    return out


def content(scores):
    """Correctness, coherence and helpfulness: what a fault lowers."""
    return scores[0] + scores[1] + scores[4]


def natural(player, rng, count, reference):
    """The judge on the model's own answers, drawn at temperature 1.2: right against wrong."""
    tasks = [held_task(rng) for _ in range(count)]
    done = player.generate([(t.instruction(), t.input() or None, "") for t in tasks], 40, 1.2, 1.,
                           rng.randrange(1 << 30))
    pairs = [(t, text) for t, text in zip(tasks, done) if text.strip()]
    given = references(player, [t for t, _ in pairs], reference)
    found = player.judge([(t, text, r) for (t, text), r in zip(pairs, given)])
    right = [text == t.gold() for t, text in pairs]
    good = [f[0] for f, ok in zip(found, right) if ok]
    bad = [f[0] for f, ok in zip(found, right) if not ok]
    wins = [(g > b) + .5 * (g == b) for g in good for b in bad]
    return {"wrong answers": len(bad), "AUC of correctness": sum(wins) / max(1, len(wins))}


def new_instructions(player, rng, count, show):
    """Share of generated tasks that the oracle can read, that are new, that differ."""
    lists = [[held_task(rng) for _ in range(8)] for _ in range(max(4, count // 4))]
    shown = {t.text() for tasks in lists for t in tasks}
    texts = player.new_tasks(lists, .7, .95, rng.randrange(1 << 30))
    good, no_answer = [], 0
    for text in texts:
        try:
            good.append(solve(text)[0])
        except ValueError as error:
            no_answer += isinstance(error, NoAnswer)
            if show:
                print("  not a task: %r (%s)" % (text, error))
    novel = [t for t in good if t.text() not in shown]
    families = collections.Counter(t.family for t in good)
    return {"made": len(texts), "parseable": (len(good) + no_answer) / max(1, len(texts)),
            "parseable and solvable": len(good) / max(1, len(texts)),
            "not in the prompts": len(novel) / max(1, len(good)),
            "distinct": len({t.text() for t in good}) / max(1, len(good)),
            "families": len(families)}


def agreement(player, draft, rng, count):
    """Share of the model's greedy tokens that the draft finds greedily after the same text."""
    prompts = []
    for i in range(count):
        task = held_task(rng)
        kind = i % 4
        if kind < 2:
            prompts.append((task.instruction(), task.input() or None, ""))
        elif kind == 2:
            prompts.append(plain(evolve_prompt(task, rng.choice(ORDER))))
        else:
            prompts.append(plain(generate_prompt([held_task(rng).text() for _ in range(8)])))
    rows = [player.encode(p) for p in prompts]
    done = player.generate_ids(rows, 60)
    hits = {"answer": [], "evolve": [], "generate": []}
    for i, (row, out) in enumerate(zip(rows, done)):
        out = out + [player.tokenizer.eos]
        ids, bias, _ = draft._prefill([row + out])
        guess = draft.network(ids, bias)[0, len(row) - 1:-1].argmax(-1).tolist()
        role = ["answer", "answer", "evolve", "generate"][i % 4]
        hits[role] += [a == b for a, b in zip(guess, out)]
    out = {role: sum(h) / max(1, len(h)) for role, h in hits.items()}
    every = sum(hits.values(), [])
    out["all"] = sum(every) / len(every)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="measure this checkpoint, in PyTorch")
    parser.add_argument("--model", help="measure this model file, through the commands")
    parser.add_argument("--commands", default="../../../build", help="where the commands are")
    parser.add_argument("--draft")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--show", action="store_true", help="print what went wrong")
    parser.add_argument("--json", help="write the measures there too")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    player = (CommandPlayer(args.model, args.commands) if args.model
              else TorchPlayer(args.checkpoint))
    out = {"training": player.record}
    out["answers"], out["answers by family"] = answers(player, rng, args.count, args.show)
    print_part(out, "training", "answers", "answers by family")
    out["evolutions"] = evolutions(player, rng, max(20, args.count // 3), args.show)
    out["instructions"] = new_instructions(player, rng, args.count, args.show)
    out["evolutions, temperature 0.7"] = evolutions(player, rng, max(20, args.count // 3),
                                                    args.show, .7)
    print_part(out, "evolutions", "evolutions, temperature 0.7", "instructions")
    for kind in ("no", "own", "gold"):
        kept = "self" if kind == "own" else kind
        out["judge, %s reference" % kind] = judgements(player, rng, 2 * args.count, kept)
        out["judge on answers made hot, %s reference" % kind] = natural(player, rng, args.count,
                                                                        kept)
    print_part(out, *[k for k in out if k.startswith("judge")])
    if args.draft:
        out["draft agreement"] = agreement(TorchPlayer(args.checkpoint), TorchPlayer(args.draft),
                                           rng, args.count)
        print_part(out, "draft agreement")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(out, file, indent=1)
            file.write("\n")


def print_part(out, *names):
    for name in names:
        print(name)
        for key, value in out[name].items():
            print("  %-34s %s" % (key, "%.3f" % value if isinstance(value, float) else value))


if __name__ == "__main__":
    main()
