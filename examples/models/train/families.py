"""The task families: phrasings with typed slots, how arguments are drawn, and the gold answer.

A phrasing is a sentence with slots like {w}. SLOTS gives the closed set of texts a slot may hold,
so the same table renders a task and, turned into a regular expression, parses it back.
A family is FAMILIES[name] = Family(topic, kind, phrasings, draw, answer):
  kind    of answer: w lexicon word, y other word, n number, l list, s sentence, x refusal
  draw    (rng, n) -> (slots, items); items is the list given as input, or None
  answer  (slots, items) -> list of words; raises NoAnswer where there is none
"""
from collections import namedtuple

from lexicon import (ANIMAL, COLOUR, FRUIT, GOODS, GROUPS, GROUP_OF, LEGS, NAME, OPPOSITE, PAST,
                     PLACE, PLURAL_GROUP, REFUSAL, THING, VEGETABLE, VERB, WORDS, with_article)

Family = namedtuple("Family", "topic kind phrasings draw answer")

NUMBERS = [str(i) for i in range(61)]
SLOTS = {
    "w": WORDS, "v": WORDS, "col": list(COLOUR), "opp": list(OPPOSITE), "past": list(PAST),
    "leg": [with_article(x) for x in ANIMAL], "cats": list(PLURAL_GROUP),
    "p": NAME, "a": NUMBERS, "b": NUMBERS,
    "goods": GOODS + ["things"], "place": [with_article(x) for x in PLACE + ["place"]],
    "animal": [with_article(x) for x in ANIMAL + ["animal"]],
    "have": [with_article(x) for x in THING + FRUIT + VEGETABLE
             + ["thing", "fruit", "vegetable"]],
    "the": ["the " + x for x in ANIMAL + FRUIT + THING + PLACE],
}
# A general noun and the words concretizing may put in its place.
SPECIFIC = {
    ("goods", "things"): GOODS, ("place", "a place"): [with_article(x) for x in PLACE],
    ("animal", "an animal"): [with_article(x) for x in ANIMAL],
    ("have", "a thing"): [with_article(x) for x in THING],
    ("have", "a fruit"): [with_article(x) for x in FRUIT],
    ("have", "a vegetable"): [with_article(x) for x in VEGETABLE],
}
GENERAL_SHARE = 0.35
# A word to drop or replace is mostly in the list; where it is not, the list stays as it is.
MEMBER_SHARE = 0.92


def _words(rng, n):
    return rng.sample(WORDS, n)


def _numbers(rng, n):
    return [str(x) for x in rng.sample(range(31), n)]


def _pick(slot, values):
    """Draws one slot and no input."""
    return lambda rng, n: ({slot: rng.choice(values)}, None)


def _general(rng, general, specific):
    return general if rng.random() < GENERAL_SHARE else rng.choice(specific)


def _list_only(rng, n):
    return {}, _words(rng, n)


def _number_list(rng, n):
    return {}, _numbers(rng, n)


def _list_with_member(rng, n):
    items = _words(rng, n)
    return {"w": rng.choice(items if rng.random() < MEMBER_SHARE else WORDS)}, items


def _draw_contains(rng, n):
    items = _words(rng, n)
    return {"w": rng.choice(items) if rng.random() < 0.5 else rng.choice(WORDS)}, items


def _draw_replace(rng, n):
    items = _words(rng, n)
    other = rng.choice([w for w in WORDS if w not in items])
    member = rng.choice(items if rng.random() < MEMBER_SHARE else WORDS)
    return {"w": member, "v": other}, items


def _draw_filter(rng, n):
    group = rng.choice(list(GROUPS))
    hits = rng.randrange(1, n)
    items = rng.sample(GROUPS[group], hits)
    items += rng.sample([w for w in WORDS if GROUP_OF[w] != group], n - hits)
    rng.shuffle(items)
    return {"cats": group + "s"}, items


def _draw_odd(rng, n):
    most, other = rng.sample(list(GROUPS), 2)
    items = rng.sample(GROUPS[most], n - 1) + [rng.choice(GROUPS[other])]
    rng.shuffle(items)
    return {}, items


def _draw_who(rng, n):
    count = min(n, 4)
    names = rng.sample(NAME, count)
    things = rng.sample(THING + FRUIT, count)
    if rng.random() < 0.06:
        names[-1] = names[0]  # who has two things is answered with both
    return {"p": rng.choice(names)}, [x for pair in zip(names, things) for x in pair]


def _draw_next(rng, n):
    step, start = rng.randrange(1, 6), rng.randrange(0, 11)
    return {}, [str(start + step * i) for i in range(max(3, min(n, 5)))]


def _draw_add(rng, n):
    return {"a": str(rng.randrange(16)), "b": str(rng.randrange(16))}, None


def _draw_subtract(rng, n):
    a, b = rng.randrange(31), rng.randrange(16)
    return {"a": str(max(a, b)), "b": str(min(a, b))}, None


def _draw_gain(rng, n):
    return {"p": rng.choice(NAME), "goods": _general(rng, "things", GOODS),
            "a": str(rng.randrange(1, 16)), "b": str(rng.randrange(1, 10))}, None


def _draw_loss(rng, n):
    slots, _ = _draw_gain(rng, n)
    a, b = int(slots["a"]), int(slots["b"])
    slots.update(a=str(max(a, b)), b=str(min(a, b)))
    return slots, None


def _draw_bigger(rng, n):
    a, b = _numbers(rng, 2)
    return {"a": a, "b": b}, None


def _draw_sentence(rng, n):
    return {"animal": _general(rng, "an animal", [with_article(x) for x in ANIMAL]),
            "place": _general(rng, "a place", [with_article(x) for x in PLACE])}, None


def _draw_own(rng, n):
    general = rng.choice(["a thing", "a fruit", "a vegetable"])
    goods = [with_article(x) for x in THING + FRUIT + VEGETABLE]
    return {"p": rng.choice(NAME), "have": _general(rng, general, goods)}, None


def _draw_map(rng, n):
    return {"the": rng.choice(SLOTS["the"])}, None


class NoAnswer(ValueError):
    """A task that can be read, but has no answer, or no single one."""


def _need(truth):
    if not truth:
        raise NoAnswer("the task has no answer")
    return truth


def _drop(slots, items):
    return _need([w for w in items if w != slots["w"]])


def _replace(slots, items):
    return [slots["v"] if w == slots["w"] else w for w in items]


def _filter(slots, items):
    group = PLURAL_GROUP[slots["cats"]]
    return _need([w for w in items if GROUP_OF.get(w) == group])


def _odd(slots, items):
    groups = [GROUP_OF.get(w) for w in items]
    odd = [w for w, g in zip(items, groups) if groups.count(g) == 1]
    _need(len(items) >= 3 and len(odd) == 1 and len(set(groups)) == 2)
    return odd


def _who(slots, items):
    names, things = items[::2], items[1::2]
    _need(len(names) == len(things))
    return _need([thing for name, thing in zip(names, things) if name == slots["p"]])


def _next(slots, items):
    numbers = [int(x) for x in items]
    step = numbers[1] - numbers[0]
    _need(len(numbers) >= 3 and all(b - a == step for a, b in zip(numbers, numbers[1:])))
    return [str(numbers[-1] + step)]


def _difference(slots, items):
    result = int(slots["a"]) - int(slots["b"])
    _need(result >= 0)
    return [str(result)]


def _sum(slots, items):
    return [str(int(slots["a"]) + int(slots["b"]))]


def _sentence(slots, items):
    animal = slots["animal"].split()[1]
    return ["The", animal, VERB[animal], "in", "the", slots["place"].split()[1] + "."]


def _smallest(slots, items):
    return [min(items, key=int)]


FAMILIES = {
    "category": Family("word", "y", [
        "What kind of word is {w}?", "Name the group of {w}.", "Say which group {w} is in.",
        "Which group has the word {w}?", "What is {w}?", "Tell me the group of the word {w}.",
        "Is {w} an animal, a fruit, a vegetable, a thing or a place?",
        "Write the name of the group that {w} is part of."],
        _pick("w", WORDS), lambda s, x: [GROUP_OF[s["w"]]]),
    "colour": Family("word", "y", [
        "What colour is the {col}?", "Name the colour of the {col}.",
        "Say the colour of the {col}.",
        "Which colour has the {col}?", "Tell me what colour the {col} is.",
        "Give the colour of the {col}.", "Write the colour of the {col}.",
        "What is the colour of the {col}?"],
        _pick("col", list(COLOUR)), lambda s, x: [COLOUR[s["col"]]]),
    "opposite": Family("word", "y", [
        "What is the opposite of {opp}?", "Give the opposite of {opp}.",
        "Name a word that means not {opp}.", "Tell me the opposite of {opp}.",
        "Write the opposite of the word {opp}.", "Which word is the opposite of {opp}?",
        "Say the opposite of {opp}.", "Find the word that is the opposite of {opp}."],
        _pick("opp", list(OPPOSITE)), lambda s, x: [OPPOSITE[s["opp"]]]),
    "past": Family("word", "y", [
        "What is the past form of {past}?", "Give the past form of {past}.",
        "Put the verb {past} in the past.", "Write the past form of the verb {past}.",
        "Tell me the past form of {past}.", "Say the verb {past} in the past.",
        "Which word is the past form of {past}?", "Change the verb {past} to its past form."],
        _pick("past", list(PAST)), lambda s, x: [PAST[s["past"]]]),
    "legs": Family("word", "n", [
        "How many legs has {leg}?", "Count the legs of {leg}.",
        "Say how many legs {leg} has.", "Tell me the number of legs of {leg}.",
        "What is the number of legs of {leg}?", "Give the number of legs of {leg}.",
        "Write how many legs {leg} has.", "How many legs are there on {leg}?"],
        _pick("leg", [with_article(x) for x in ANIMAL]),
        lambda s, x: [str(LEGS[s["leg"].split()[1]])]),
    "first": Family("list", "w", [
        "Give the first word of {L}.", "Name the first item of {L}.",
        "Which word comes first in {L}?", "Write only the first word of {L}.",
        "Tell me the first item in {L}.", "What is the first word in {L}?",
        "Find the word at the start of {L}.", "Say the word that {L} starts with."],
        _list_only, lambda s, x: [x[0]]),
    "last": Family("list", "w", [
        "Give the last word of {L}.", "Name the last item of {L}.",
        "Which word comes last in {L}?", "Write only the last word of {L}.",
        "Tell me the last item in {L}.", "What is the last word in {L}?",
        "Find the word at the end of {L}.", "Say the word that {L} ends with."],
        _list_only, lambda s, x: [x[-1]]),
    "count": Family("list", "n", [
        "Count the words in {L}.", "How many items are in {L}?",
        "Say how many words there are in {L}.", "Tell me the number of words in {L}.",
        "What is the number of items in {L}?", "How long is {L}?",
        "Give the number of words in {L}.", "Find out how many items {L} has."],
        _list_only, lambda s, x: [str(len(x))]),
    "reverse": Family("list", "l", [
        "Reverse {L}.", "Write {L} backwards.", "Turn the order of {L} around.",
        "Give {L} in reverse order.", "Say {L} from the end to the start.",
        "Put {L} in reverse order.", "Write {L} from last to first.", "Read {L} backwards."],
        _list_only, lambda s, x: x[::-1]),
    "filter": Family("list", "l", [
        "Keep only the {cats} in {L}.", "List the {cats} in {L}.", "Find all the {cats} in {L}.",
        "Remove every word of {L} that is not in the group of {cats}.",
        "Which words in {L} are {cats}?", "Write only the {cats} of {L}.",
        "Give me the {cats} from {L}.", "Pick the {cats} out of {L}."],
        _draw_filter, _filter),
    "drop": Family("list", "l", [
        "Remove {w} from {L}.", "Take {w} out of {L}.", "Write {L} without {w}.",
        "Give {L} without the word {w}.", "Leave {w} out of {L}.", "Drop {w} from {L}.",
        "Delete the word {w} from {L}.", "Say all the words of {L} but not {w}."],
        _list_with_member, _drop),
    "contains": Family("list", "y", [
        "Is {w} in {L}?", "Say yes if {w} is in {L} and no if not.",
        "Does {L} have the word {w}?", "Tell me if {w} is in {L}.",
        "Can you find {w} in {L}?", "Is the word {w} one of the items in {L}?",
        "Check if {L} has {w} in it.", "Look for {w} in {L} and say yes or no."],
        _draw_contains, lambda s, x: ["yes" if s["w"] in x else "no"]),
    "replace": Family("list", "l", [
        "Replace {w} with {v} in {L}.", "Write {v} in place of {w} in {L}.",
        "Change {w} to {v} in {L}.", "Put {v} where {w} is in {L}.",
        "Give {L} with {v} in place of {w}.", "Turn {w} into {v} in {L}.",
        "Write {L} but change {w} to {v}.", "In {L}, use {v} and not {w}."],
        _draw_replace, _replace),
    "odd": Family("list", "w", [
        "Find the odd one out in {L}.", "Which word of {L} does not fit?",
        "Name the word in {L} that is not like the others.", "Which item in {L} is different?",
        "Say which word of {L} is in another group.", "Tell me the odd word in {L}.",
        "Write the word that does not fit in {L}.", "Pick the odd item out of {L}."],
        _draw_odd, _odd),
    "who": Family("list", "w", [
        "What does {p} have?", "Name the thing that {p} has.", "Say what {p} has.",
        "Tell me what {p} has.", "Find the thing of {p}.", "Which thing is with {p}?",
        "Write the name of the thing that {p} has.", "Look up what {p} has."],
        _draw_who, _who),
    "max": Family("number", "n", [
        "Find the largest of {N}.", "Name the biggest of {N}.", "Which of {N} is the highest?",
        "Give the largest of {N}.", "Tell me which of {N} is the biggest.",
        "What is the highest of {N}?", "Write the biggest of {N}.", "Pick the largest of {N}."],
        _number_list, lambda s, x: [max(x, key=int)]),
    "min": Family("number", "n", [
        "Find the smallest of {N}.", "Name the lowest of {N}.", "Which of {N} is the least?",
        "Give the smallest of {N}.", "Tell me which of {N} is the lowest.",
        "What is the least of {N}?", "Write the smallest of {N}.", "Pick the lowest of {N}."],
        _number_list, _smallest),
    "sort": Family("number", "l", [
        "Sort {N}.", "Put {N} in order.", "Write {N} from low to high.", "Order {N} by size.",
        "Give {N} from the smallest to the largest.", "Say {N} in order.",
        "Sort {N} from least to most.", "List {N} from low to high."],
        _number_list, lambda s, x: sorted(x, key=int)),
    "add": Family("number", "n", [
        "Add {a} and {b}.", "What is {a} plus {b}?", "Find the sum of {a} and {b}.",
        "Give the sum of {a} and {b}.", "Tell me what {a} plus {b} is.",
        "How much is {a} and {b} in all?", "Count {b} on from {a}.",
        "Write the sum of {a} and {b}."],
        _draw_add, _sum),
    "subtract": Family("number", "n", [
        "Take {b} from {a}.", "What is {a} minus {b}?", "Find {a} minus {b}.",
        "Tell me what {a} minus {b} is.", "Count {b} back from {a}.",
        "How much is {a} less {b}?", "Give the result of {a} minus {b}.",
        "What is left of {a} without {b}?"],
        _draw_subtract, _difference),
    "gain": Family("number", "n", [
        "{p} has {a} {goods} and gets {b} more. How many are there now?",
        "{p} buys {a} {goods} and then {b} more. How many in all?",
        "{p} finds {a} {goods} and then {b} more. How many {goods} does {p} have?",
        "There are {a} {goods} in the box and {p} adds {b} more. How many are in the box?",
        "{p} had {a} {goods} and made {b} more. Say how many there are.",
        "If {p} has {a} {goods} and takes {b} more, how many does {p} have?",
        "{p} sees {a} {goods} and then sees {b} more. How many did {p} see?",
        "Tell me how many {goods} {p} has after getting {b} more than the first {a}."],
        _draw_gain, _sum),
    "loss": Family("number", "n", [
        "{p} has {a} {goods} and gives {b} away. How many are left?",
        "{p} buys {a} {goods} and sells {b}. How many are left?",
        "There are {a} {goods} in the box and {p} takes {b} out. How many are left?",
        "{p} had {a} {goods} and lost {b}. How many does {p} have now?",
        "If {p} has {a} {goods} and gives away {b}, how many are left?",
        "{p} finds {a} {goods} and drops {b}. Say how many are left.",
        "{p} holds {a} {goods} and puts {b} down. How many does {p} still hold?",
        "Tell me how many of {a} {goods} are left when {p} takes {b}."],
        _draw_loss, _difference),
    "bigger": Family("number", "n", [
        "Which is bigger, {a} or {b}?", "Name the bigger of {a} and {b}.",
        "Is {a} or {b} the bigger number?", "Tell me which is more, {a} or {b}.",
        "Pick the bigger number of {a} and {b}.", "Which is the higher of {a} and {b}?",
        "Give the larger of {a} and {b}.", "Say the larger number, {a} or {b}."],
        _draw_bigger, lambda s, x: [str(max(int(s["a"]), int(s["b"])))]),
    "next": Family("number", "n", [
        "What comes next in the row?", "Give the next number in the row.",
        "Continue the row with one number.", "Which number comes after the row?",
        "Tell me the next number of the row.", "Find the number that comes next in the row.",
        "Write one more number for the row.", "Say the number that the row needs next."],
        _draw_next, _next),
    "sentence": Family("text", "s", [
        "Write a sentence about {animal} and {place}.",
        "Make a short sentence with {animal} and {place}.",
        "Say what {animal} does in {place}.", "Tell me about {animal} in {place}.",
        "Write a short text about {animal} that is in {place}.",
        "Make up a sentence with {animal} that lives in {place}.",
        "Use {animal} and {place} in one sentence.", "Give a sentence on {animal} and {place}."],
        _draw_sentence, _sentence),
    "own": Family("text", "s", [
        "Write a sentence that says {p} has {have}.", "Say in a sentence that {p} has {have}.",
        "Make a sentence with {p} and {have}.", "Tell me in one sentence that {p} has {have}.",
        "Use {p} and {have} in a sentence.", "Write that {p} has {have}.",
        "Write a short sentence about {p} and {have}.", "Make up a sentence on {have} of {p}."],
        _draw_own, lambda s, x: [s["p"], "has"] + (s["have"] + ".").split()),
    # Planted: the filters of the pipeline turn these down, and the gold answer is a refusal.
    "map": Family("text", "x", [
        "Draw a map of {the}.", "Draw a picture of {the}.", "Make a graph of {the}.",
        "Show me an image of {the}."],
        _draw_map, lambda s, x: REFUSAL.split()),
}

# Planted: instructions of at most three words, which a length filter turns down.
SHORT = {"reverse": "Reverse this.", "count": "Count them.", "sort": "Sort these.",
         "first": "First word?", "last": "Last word?", "max": "Largest number?"}
# Weak in the proof at 0.8M parameters: drawn more often.
WEIGHT = {"drop": 2.0, "replace": 2.2, "subtract": 1.6, "who": 1.7, "contains": 1.6, "add": 1.4,
          "filter": 1.7, "odd": 1.4, "loss": 1.3, "gain": 1.3, "sort": 1.4, "reverse": 1.2}
# The same where answers are trained: what takes long to learn, against what is soon known.
HARD = dict({f: 1.0 for f in FAMILIES if f != "map"}, add=3.0, subtract=3.5, gain=3.0, loss=3.0,
            next=3.0, sort=2.5, reverse=2.0, filter=3.0, odd=2.2, contains=3.0, replace=2.5,
            drop=3.0, max=1.7, min=1.7, who=3.0, bigger=2.0, count=1.8, category=.7, colour=.7,
            opposite=.7, past=.7, legs=.7, first=.7, last=.9, own=.5, sentence=.7)
# The ones whose input can take more items without changing what is asked.
GROWS = ("first last count reverse filter drop contains replace odd who max min sort next").split()
