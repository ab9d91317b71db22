"""Answers spoilt on purpose, with the five scores they deserve: the labels of the judge.

The level is the number of faults put into the answer, heavy ones counted double (0..4); it is what
the judge's weighted score is compared with. Scores 0..4, all from the faults, never from a model:
  correctness  4 less the penalties of the faults that touch the content
  coherence    4 less the penalties of the faults that touch the words' order and number
  complexity   operators of the task, and one for a list answer of three words or more
  verbosity    by length against the gold answer: 1 is right, 0 too short, 2..4 too long
  helpfulness  the lower of correctness and obedience, less one each for bad coherence and padding
"""
from lexicon import COLOURS, GROUPS, GROUP_OF, OPPOSITE, PAST, REFUSAL, WORDS
from world import render

AXES = ["correctness", "coherence", "complexity", "verbosity", "helpfulness"]
WEIGHTS = {"helpfulness": .3, "correctness": .3, "coherence": .2, "complexity": .1,
           "verbosity": .1}
PADDING = ["Well,", "I think that", "Let me see,", "Here is the thing you want:",
           "It is clear that", "As you can see,", "Of course,", "I am happy to help:"]
# A fault and how many levels it counts.
SEVERITY = {"value": 1, "drop": 1, "form": 1, "repeat": 1, "cut": 1, "shuffle": 2, "type": 2,
            "refuse": 4}


def _wrong(rng, word):
    """Another word of the same type."""
    if word.isdigit():
        return str(max(0, min(60, int(word) + rng.choice([-5, -3, -2, -1, 1, 2, 3, 5]))))
    end = "." if word.endswith(".") else ""
    word = word.rstrip(".")
    pools = [GROUPS.get(GROUP_OF.get(word)), list(GROUPS), COLOURS, list(OPPOSITE),
             list(PAST.values()), ["yes", "no"]]
    pool = next((p for p in pools if p and word in p), WORDS)
    return rng.choice([w for w in pool if w != word]) + end


class _Answer:
    """An answer while it is being spoilt."""

    def __init__(self, task):
        self.words, self.kind = task.steps()
        self.words = list(self.words)
        self.constraints = [name for name, _ in task.cons]
        self.text = None
        self.correct, self.coherent, self.obeys = 4, 4, 4

    def value(self, rng):
        places = [i for i, w in enumerate(self.words) if self.kind != "s" or i in (1, 5)]
        i = rng.choice([p for p in places if p < len(self.words)])
        new = _wrong(rng, self.words[i])
        if new == self.words[i]:
            return False
        self.words[i] = new
        self.correct -= 2 if self.kind in "ls" and len(self.words) >= 3 else 3
        return True

    def drop(self, rng):
        if self.kind != "l" or len(self.words) < 2:
            return False
        self.words.pop(rng.randrange(len(self.words)))
        self.correct -= 2
        return True

    def type(self, rng):
        number = self.words[0].isdigit()
        self.words = [rng.choice(WORDS) if number else str(rng.randrange(31))]
        self.correct, self.kind = 0, "w"
        return True

    def form(self, rng):
        if not self.constraints:
            return False
        self.constraints.pop(rng.randrange(len(self.constraints)))
        self.obeys -= 2
        return True

    def shuffle(self, rng):
        words = self.text.split()
        if len(words) < 3:
            return False
        rng.shuffle(words)
        if " ".join(words) == self.text:
            return False
        self.text = " ".join(words)
        self.coherent, self.correct = self.coherent - 3, self.correct - 2
        return True

    def repeat(self, rng):
        words = self.text.split()
        i = rng.randrange(len(words))
        words[i:i + 1] = [words[i]] * 3
        self.text = " ".join(words)
        self.coherent, self.correct = self.coherent - 2, self.correct - 1
        return True

    def cut(self, rng):
        words = self.text.split()
        if len(words) < 4:
            return False
        self.text = " ".join(words[:len(words) // 2])
        self.coherent, self.correct = self.coherent - 1, self.correct - 2
        return True

    def refuse(self, rng):
        self.text = REFUSAL
        self.correct = self.obeys = 0
        return True


def _spoil(rng, answer, level):
    """Puts faults in whose severities sum to at most level; returns the level reached."""
    plan, left = [], level
    for fault in rng.sample(list(SEVERITY), len(SEVERITY)):
        if SEVERITY[fault] <= left and (fault != "refuse" or not plan):
            plan.append(fault)
            left -= SEVERITY[fault]
    reached = 0
    for stage in (("value", "drop", "type", "form"), ("shuffle", "repeat", "cut", "refuse")):
        for fault in plan:
            if fault in stage and getattr(answer, fault)(rng):
                reached += SEVERITY[fault]
        if answer.text is None:
            answer.text = render(answer.words, answer.constraints)
    return reached


def _verbosity(words, gold):
    ratio = words / max(1, gold)
    return 0 if ratio < .7 else 1 if ratio <= 1.3 else 2 if ratio <= 2.5 else 3 if ratio <= 5 else 4


def score(task, answer, text, padded):
    """The five scores of a spoilt answer, in the order of AXES."""
    gold = task.gold()
    correct, coherent, obeys = (max(0, x) for x in (answer.correct, answer.coherent, answer.obeys))
    verbosity = 1 if text == REFUSAL and not padded else _verbosity(len(text.split()),
                                                                   len(gold.split()))
    helpful = min(correct, obeys) - (coherent <= 1) - (verbosity >= 4)
    complexity = min(4, task.depth() + (len(task.steps()[0]) >= 3))
    return [correct, coherent, complexity, verbosity, max(0, helpful)]


def corrupt(rng, task, level=None, pad=None):
    """(response, scores in the order of AXES, level reached)."""
    if level is None:
        level = rng.choice([0, 0, 0, 1, 1, 2, 3, 4])
    for _ in range(8):
        answer = _Answer(task)
        reached = _spoil(rng, answer, level)
        if reached == level:
            break
    level, text = reached, answer.text
    if pad is None:
        pad = rng.random() < 0.2
    if pad:
        text = " ".join(rng.sample(PADDING, rng.choice([1, 2, 3]))) + " " + text
    return text, score(task, answer, text, pad), level


def weighted(scores):
    """The weighted mean, 0..1, of scores in the order of AXES."""
    return sum(WEIGHTS[a] * s for a, s in zip(AXES, scores)) / 4
