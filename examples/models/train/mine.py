"""The model's own wrong answers, for the judge to learn from.

    python3 mine.py --checkpoint tiny.pt --out mined.jsonl

Answers to training tasks (never held-out ones) are drawn at a temperature above one; the oracle
tells right from wrong, and a right one is kept for every two wrong ones. train.py --mined reads it.
"""
import argparse
import json
import random

from players import TorchPlayer
from world import draw_deep, held_out


def training_task(rng):
    while True:
        task = draw_deep(rng)
        if not held_out(task):
            return task


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=int, default=3000, help="wrong answers wanted")
    parser.add_argument("--temperature", type=float, default=1.3)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    rng, player, wrong, right = random.Random(args.seed), TorchPlayer(args.checkpoint), 0, 0
    with open(args.out, "w", encoding="utf-8") as file:
        while wrong < args.count:
            tasks = [training_task(rng) for _ in range(480)]
            done = player.generate([(t.instruction(), t.input() or None, "") for t in tasks], 40,
                                   args.temperature, 1., rng.randrange(1 << 30))
            for task, text in zip(tasks, done):
                good = text == task.gold()
                if not text.strip() or "\n" in text or (good and right > wrong / 2):
                    continue
                wrong, right = wrong + (not good), right + good
                file.write(json.dumps({"task": task.text(), "response": text},
                                      ensure_ascii=False) + "\n")
            print("%d wrong, %d right" % (wrong, right), flush=True)


if __name__ == "__main__":
    main()
