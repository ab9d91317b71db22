#!/usr/bin/env python3
"""corrupt.py - right and spoilt answers in pairs, for what llm-score must show of a judge.

    python3 tests/goldens/corrupt.py [COUNT] > tests/data/corrupt.jsonl

COUNT pairs (60 are committed; 500 were measured, see the model card): a task of the embedded
model's world whose text its training did not see, with the right answer and with one that has
faults put in by examples/models/train/corrupt.py, 1 to 4 levels of them in turn. A fifth of both
kinds are padded. `good` is 4 less the level.
"""
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/models/train"))

from corrupt import corrupt  # noqa: E402
from world import draw_deep, held_out  # noqa: E402

rng = random.Random(20240607)
count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
made = 0
while made < count:
    task = draw_deep(rng, None)
    if not held_out(task):
        continue
    right, spoilt = corrupt(rng, task, 0), corrupt(rng, task, 1 + made % 4)
    if spoilt[2] == 0:  # the task has no place for a fault
        continue
    for name, (text, _, level) in (("right", right), ("spoilt", spoilt)):
        print(json.dumps({"id": "%d-%s" % (made, name), "pair": made, "good": 4 - level,
                          "instruction": task.instruction(), "input": task.input(),
                          "output": text}))
    made += 1
