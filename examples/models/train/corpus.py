"""Training documents of every role, deterministic from a seed.

A document is a list of (text, loss weight): the pieces that the trainer joins and tokenizes. The
special texts BOS, EOS and the three role marks of the Alpaca template are one token each. Roles:
answer, evolve, equal, judge, generate, and copy (a curriculum, see copy_share).
"""
import random

from corrupt import AXES, PADDING, corrupt
from families import HARD
from lexicon import NAME, OPPOSITE, WORDS
from world import ORDER, draw, draw_deep, draw_planted, evolve, held_out

BOS, EOS = "<s>", "</s>"
INSTRUCTION, INPUT, RESPONSE = "### Instruction:\n", "\n\n### Input:\n", "\n\n### Response:\n"
OPERATORS = ORDER
# Loss weights: what is read, answered, rewritten, labels and the words around, lists.
READ, ANSWER, REWRITE, LABEL, FORM, LIST, COPY = .03, 3.0, .7, 2.0, .1, .5, 1.0
# Shares are of documents; a list of tasks is ten times as long as an answer.
SHARES = [("answer", .45), ("judge", .22), ("evolve", .23), ("equal", .02), ("generate", .08)]
# Planted faults, so that every rule of every filter has something to catch (share of documents).
PLANTED_TASK, LEAK, UNCHANGED, PADDED, FOREIGN = .03, .01, .03, .03, .005
FOREIGN_TASKS = ["Écris le mot %s.", "Schreibe das Wort %s größer.", "단어 %s 를 써라.",
                 "Напиши слово %s."]


def answer_prompt(task):
    text = INSTRUCTION + task.instruction()
    return text + (INPUT + task.input() if task.items else "") + RESPONSE


def role_prompt(user, prefix=""):
    return INSTRUCTION + user + RESPONSE + prefix


def evolve_prompt(task, operator):
    return role_prompt("Rewrite (%s).\n#Given Prompt#: %s\n#Rewritten Prompt#:"
                       % (operator, task.text()))


def equal_prompt(first, second):
    return role_prompt("Equal?\n#First Prompt#: %s\n#Second Prompt#: %s"
                       % (first.text(), second.text()))


def judge_prompt(task, response, reference=None):
    user = "Score the response.\n#Instruction#: " + task.instruction()
    if task.items:
        user += "\n#Input#: " + task.input()
    if reference is not None:
        user += "\n#Reference#: " + reference
    return role_prompt(user + "\n#Response#: " + response)


def judge_completion(scores):
    return "\n".join("%s: %d" % pair for pair in zip(AXES, scores))


def generate_prompt(texts):
    user = "Come up with a series of tasks:\n"
    user += "\n".join("%d. %s" % (i + 1, t) for i, t in enumerate(texts))
    return role_prompt(user, "%d." % (len(texts) + 1))


def copy_share(progress):
    """Share of copy documents at a point of the training, 0..1: copying must form early."""
    return .9 if progress < .03 else .5 if progress < .06 else .03


class Corpus:
    """An endless stream of documents. progress (0..1) moves the curriculum."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.progress = 0.0

    def task(self, weights=None):
        """A task that is not held out; shallow ones in the first quarter.

        weights: how often each family is drawn, else as in world.draw.
        """
        rng = self.rng
        while True:
            family = weights and rng.choices(list(weights), list(weights.values()))[0]
            if self.progress < .25 and rng.random() < .8 * (1 - self.progress / .25) + .1:
                task = draw(rng, family, rng.choice([3, 3, 4]))
            else:
                task = draw_deep(rng, family)
            if not held_out(task):
                return task

    def document(self):
        """One document: [(text, weight), ...], from BOS to EOS."""
        rng = self.rng
        if rng.random() < copy_share(self.progress):
            role = "copy"
        else:
            role = rng.choices([s[0] for s in SHARES], [s[1] for s in SHARES])[0]
        return getattr(self, "_" + role)()

    def _copy(self):
        pool = WORDS + NAME + [str(i) for i in range(31)] + list(OPPOSITE)
        words = " ".join(self.rng.choice(pool) for _ in range(self.rng.randrange(3, 20)))
        return [(BOS + INSTRUCTION + "Copy the text." + INPUT + words + RESPONSE, .02),
                (words + EOS, COPY)]

    def _answer(self):
        rng = self.rng
        task = draw_planted(rng) if rng.random() < PLANTED_TASK else self.task(HARD)
        gold = task.gold()
        if rng.random() < PADDED:
            gold = " ".join(rng.sample(PADDING, 3)) + " " + gold
        return [(BOS + answer_prompt(task), READ), (gold + EOS, ANSWER)]

    def _judge(self):
        rng = self.rng
        task = self.task()
        response, scores, _ = corrupt(rng, task)
        reference = None
        if rng.random() < .5:
            reference = task.gold()
            if rng.random() < .1:
                reference = corrupt(rng, task, rng.choice([1, 2]), False)[0]
        parts = [(BOS + judge_prompt(task, response, reference), READ)]
        for i, (axis, value) in enumerate(zip(AXES, scores)):
            parts += [(("\n" if i else "") + axis + ":", FORM), (" %d" % value, LABEL)]
        return parts + [(EOS, FORM)]

    def _evolve(self):
        rng = self.rng
        operator = rng.choice(OPERATORS)
        while True:
            task = self.task()
            used, new = evolve(rng, task, operator)
            # Fallbacks are taught too, but rarely: the operator asked for is what is learnt.
            if not held_out(new) and (used == operator or rng.random() < .25):
                break
        target, chance = new.text(), rng.random()
        # Not where many words may follow: there the rare end would be the likeliest token.
        if chance < UNCHANGED and operator in ("constraints", "reasoning", "deepening"):
            target = task.text()
        elif chance > 1 - LEAK:
            target = "#Rewritten Prompt#: " + target
        return [(BOS + evolve_prompt(task, operator), READ), (target + EOS, REWRITE)]

    def _equal(self):
        rng = self.rng
        task = second = self.task()
        chance = rng.random()
        if chance > .45:
            second = evolve(rng, task, rng.choice(OPERATORS))[1]
        if chance > .85 or held_out(second):
            second = self.task()
        verdict = "Equal" if second.text() == task.text() else "Not Equal"
        return [(BOS + equal_prompt(task, second), READ), (verdict + EOS, LABEL)]

    def listed_task(self):
        """The text of a task as it stands in a list of tasks, with the planted ones."""
        rng = self.rng
        chance = rng.random()
        if chance < FOREIGN:
            return rng.choice(FOREIGN_TASKS) % rng.choice(WORDS)
        if chance < FOREIGN + PLANTED_TASK:
            return draw_planted(rng).text()
        return self.task().text()

    def _generate(self):
        rng = self.rng
        shown = rng.randrange(1, 9)
        new = rng.choice([3, 4, 5]) if rng.random() < .7 else 16 - shown
        texts = [self.listed_task() for _ in range(shown + new)]
        rest = " " + texts[shown]
        for i in range(shown + 1, shown + new):
            rest += "\n%d. %s" % (i + 1, texts[i])
        # The end is learnt only from the full series of sixteen.
        end = EOS if shown + new == 16 else ""
        return [(BOS + generate_prompt(texts[:shown]), READ), (rest + end, LIST)]
