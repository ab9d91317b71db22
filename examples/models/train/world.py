"""Tasks of the small world: drawing, writing out, reading back (the oracle), evolving.

A task is a family's phrasing with its slots and input, then post-operations ("Then reverse the
result."), then constraints on the form ("Put the answer in brackets."). solve() reads any text
back to that structure and gives the gold answer, or raises ValueError: it is what the tests and the
corpus use, never the pipeline.
"""
import re
import zlib

from families import FAMILIES, GROWS, SHORT, SLOTS, SPECIFIC, WEIGHT, NoAnswer
from lexicon import GROUP_OF, MAX_NUMBER, NAME, THING, FRUIT, WORDS

OPS = {
    "count": ["Then count the words in the result.", "Then say how many words are left.",
              "After that, count the words."],
    "reverse": ["Then reverse the result.", "Then write the result backwards.",
                "After that, turn the order around."],
    "first": ["Then give only the first one.", "Then keep only the first word.",
              "After that, name the first one."],
    "last": ["Then give only the last one.", "Then keep only the last word.",
             "After that, name the last one."],
    "plus1": ["Then add 1.", "After that, add 1 to the result.", "Then add 1 to it."],
    "plus2": ["Then add 2.", "After that, add 2 to the result.", "Then add 2 to it."],
    "double": ["Then double it.", "Then double the result.", "After that, take it two times."],
    "twice": ["Then say it twice.", "Then write it two times.", "After that, say it again."],
    "group": ["Then say which group it is in.", "Then name its group.",
              "After that, say what kind of word it is."],
}
CONSTRAINTS = {
    "brackets": ["Put the answer in brackets.", "Write the answer between brackets.",
                 "Use brackets around the answer."],
    "start": ["Start with the word answer.", "Begin the reply with the word answer.",
              "Put the word answer in front."],
    "done": ["End with the word done.", "Put the word done at the end.",
             "Finish with the word done."],
    "stop": ["End with a full stop.", "Put a full stop at the end.", "Finish with a full stop."],
    "commas": ["Put commas between the words.", "Use commas between the words.",
               "Separate the words with commas."],
}
ORDER = ["constraints", "deepening", "concretizing", "reasoning", "complicate", "breadth"]
MAX_OPS = 2
MAX_CONSTRAINTS = 2
MAX_ITEMS = 7


class Task:
    """One task. items is the input list or None; ops and cons are [(name, phrasing index)]."""

    def __init__(self, family, phrasing, slots, items):
        self.family, self.phrasing = family, phrasing
        self.slots, self.items = slots, items
        self.ops, self.cons = [], []
        self.specific = False

    def copy(self):
        other = Task(self.family, self.phrasing, dict(self.slots),
                     None if self.items is None else list(self.items))
        other.ops, other.cons, other.specific = list(self.ops), list(self.cons), self.specific
        return other

    def key(self):
        return (self.family, self.phrasing, self.slots, self.items, self.ops, self.cons,
                self.specific)

    def instruction(self):
        """The instruction without the input."""
        n = len(self.items or ())
        slots = dict(self.slots)
        slots["L"] = "the list of %d words" % n if self.specific else "the list"
        slots["N"] = "the %d numbers" % n if self.specific else "the numbers"
        parts = [self.phrasing.format(**slots)]
        parts += [OPS[name][i] for name, i in self.ops]
        parts += [CONSTRAINTS[name][i] for name, i in self.cons]
        return " ".join(parts)

    def input(self):
        return " ".join(self.items) if self.items else ""

    def text(self):
        """The task in one text, as the evolve, equal and generate prompts hold it."""
        return self.instruction() + ("\nInput: " + self.input() if self.items else "")

    def steps(self):
        """The answer as a list of words and its kind after all post-operations."""
        family = FAMILIES[self.family]
        words, kind = family.answer(self.slots, self.items), family.kind
        kind = "l" if kind == "w" and len(words) > 1 else kind
        for name, _ in self.ops:
            words, kind = _apply(name, words, kind)
        return words, kind

    def gold(self):
        words, kind = self.steps()
        names = [name for name, _ in self.cons]
        if ("commas" in names and kind != "l") or ("stop" in names and kind in "sx"):
            raise NoAnswer("a constraint that does not fit")
        return render(words, names)

    def depth(self):
        return len(self.ops) + len(self.cons)


def render(words, constraints):
    """The answer text of a list of words under the named constraints."""
    text = (", " if "commas" in constraints else " ").join(words)
    if "brackets" in constraints:
        text = "[ " + text + " ]"
    if "start" in constraints:
        text = "Answer: " + text
    if "done" in constraints:
        text += " done"
    return text + "." if "stop" in constraints else text


def _apply(name, words, kind):
    """One post-operation; ValueError where it does not fit the kind of answer."""
    number = int(words[0]) if kind == "n" else 0
    table = {
        ("count", "l"): lambda: ([str(len(words))], "n"),
        ("reverse", "l"): lambda: (words[::-1], "l"),
        ("first", "l"): lambda: (words[:1], "n" if words[0].isdigit() else "w"),
        ("last", "l"): lambda: (words[-1:], "n" if words[-1].isdigit() else "w"),
        ("plus1", "n"): lambda: ([str(number + 1)], "n"),
        ("plus2", "n"): lambda: ([str(number + 2)], "n"),
        ("double", "n"): lambda: ([str(number * 2)], "n"),
        ("twice", "w"): lambda: (words * 2, "l"),
        ("twice", "y"): lambda: (words * 2, "l"),
        ("group", "w"): lambda: ([GROUP_OF[words[0]]], "y"),
    }
    if (name, kind) not in table or (name == "group" and words[0] not in GROUP_OF):
        raise NoAnswer("a step that does not fit")
    return table[name, kind]()


def possible_ops(task):
    """The post-operations that may follow; none after two."""
    words, kind = task.steps()
    found = []
    for name in OPS if len(task.ops) < MAX_OPS else ():
        try:
            result, _ = _apply(name, words, kind)
        except ValueError:
            continue
        if not result[0].isdigit() or int(result[0]) <= MAX_NUMBER:
            found.append(name)
    return found


def possible_constraints(task):
    _, kind = task.steps()
    used = [name for name, _ in task.cons]
    if len(used) >= MAX_CONSTRAINTS or kind == "x":
        return []
    return [c for c in CONSTRAINTS if c not in used and (c != "commas" or kind == "l")
            and (c != "stop" or kind != "s")]


def draw(rng, family=None, n=None):
    """A task of depth 0."""
    if family is None:
        names = [f for f in FAMILIES if f != "map"]
        family = rng.choices(names, [WEIGHT.get(f, 1.0) for f in names])[0]
    n = n or rng.choice([3, 3, 4, 4, 5, 6])
    slots, items = FAMILIES[family].draw(rng, n)
    task = Task(family, rng.choice(FAMILIES[family].phrasings), slots, items)
    listed = "{L}" in task.phrasing or "{N}" in task.phrasing
    task.specific = listed and rng.random() < 0.08
    return task


def draw_deep(rng, family=None, n=None):
    """A task with the post-operations and constraints of the corpus."""
    task = draw(rng, family, n)
    for share, add in ((.35, add_op), (.10, add_op), (.35, add_constraint), (.08, add_constraint)):
        if rng.random() < share:
            task = add(rng, task) or task
    return task


def draw_planted(rng):
    """A request that the blacklist turns down, or an instruction of at most three words."""
    if rng.random() < 0.67:
        return draw(rng, "map")
    family = rng.choice(list(SHORT))
    task = draw(rng, family)
    task.phrasing, task.specific = SHORT[family], False
    return task


def held_out(task):
    """True for the 5 % of task texts that are never trained on, in any role."""
    return zlib.crc32(task.text().encode()) % 20 == 0


def add_op(rng, task):
    names = possible_ops(task)
    if not names:
        return None
    new = task.copy()
    new.ops.append((rng.choice(names), rng.randrange(3)))
    try:
        new.gold()
    except ValueError:
        return None
    return new


def add_constraint(rng, task):
    names = possible_constraints(task)
    if not names:
        return None
    new = task.copy()
    new.cons.append((rng.choice(names), rng.randrange(3)))
    return new


def deepen(rng, task):
    new = add_op(rng, task)
    return new and add_constraint(rng, new)


def concretize(rng, task):
    """A general noun becomes a listed one; 'the list' becomes 'the list of 4 words'."""
    general = [k for k in task.slots.items() if k in SPECIFIC]
    listed = not task.specific and ("{L}" in task.phrasing or "{N}" in task.phrasing)
    if not general and not listed:
        return None
    new = task.copy()
    if listed:
        new.specific = True
    else:
        pick = rng.choice(general)
        new.slots[pick[0]] = rng.choice(SPECIFIC[pick])
    return new


def complicate(rng, task):
    """One more item, or name and thing, at the end of the input."""
    if task.family not in GROWS or len(task.items) >= MAX_ITEMS:
        return None
    new = task.copy()
    new.items += _more(rng, new)
    if len(new.items) > MAX_ITEMS + (task.family == "who"):
        return None
    try:
        new.gold()
    except ValueError:
        return None
    return new


def _more(rng, task):
    items = task.items
    if task.family == "who":
        return [_after(rng, items[-2], NAME, items), _after(rng, items[-1], THING + FRUIT, items)]
    if task.family == "next":
        return [str(2 * int(items[-1]) - int(items[-2]))]
    if items[0].isdigit():
        return [_after(rng, items[-1], [str(x) for x in range(31)], items)]
    pool = WORDS
    if task.family == "odd":
        groups = [GROUP_OF[w] for w in items]
        most = max(groups, key=groups.count)
        pool = [w for w in WORDS if GROUP_OF[w] == most]
    return [_after(rng, items[-1], pool, items + list(task.slots.values()))]


def _after(rng, last, pool, taken):
    """An item to add: as often as not the one that follows the last in the lexicon.

    With every item equally likely, each would be less likely than any rare mistake, and a greedy
    model would add none.
    """
    start = pool.index(last) + 1 if last in pool and rng.random() < .5 else rng.randrange(len(pool))
    return next(w for w in pool[start:] + pool[:start] if w not in taken)


def breadth(rng, task):
    """Another family of the same topic, as deep; as often as not the one that follows in the table,
    so that a greedy model has one to choose."""
    topic = FAMILIES[task.family].topic
    names = [f for f in FAMILIES if FAMILIES[f].topic == topic and f != "map"]
    follows = names[(names.index(task.family) + 1) % len(names)] if task.family in names else None
    names = [f for f in names if f != task.family]
    family = follows if follows and rng.random() < .5 else rng.choice(names)
    new = draw(rng, family, len(task.items) if task.items and len(task.items) <= 6
               and len(task.items) >= 3 else None)
    for _ in task.ops:
        new = add_op(rng, new) or new
    for _ in task.cons:
        new = add_constraint(rng, new) or new
    return new


EVOLVE = {"constraints": add_constraint, "deepening": deepen, "concretizing": concretize,
          "reasoning": add_op, "complicate": complicate, "breadth": breadth}
# What is done instead where an operator does not apply: a depth operator, else another task.
INSTEAD = {"constraints": ["reasoning"], "reasoning": ["constraints"],
           "deepening": ["constraints", "reasoning"], "concretizing": ["constraints", "reasoning"],
           "complicate": ["reasoning", "constraints"], "breadth": []}


def evolve(rng, task, operator):
    """(operator really used, new task)."""
    for name in [operator] + INSTEAD[operator] + ["breadth"]:
        new = EVOLVE[name](rng, task)
        if new is not None:
            return name, new
    raise ValueError("no evolution")


# ---- the oracle ----

def _pattern(phrasing):
    seen, out = set(), []
    for part in re.split(r"(\{\w+\})", phrasing):
        name = part[1:-1]
        if not (part.startswith("{") and part.endswith("}")):
            out.append(re.escape(part))
        elif name == "L":
            out.append(r"the list(?: of (?P<n>\d+) words)?")
        elif name == "N":
            out.append(r"the (?:(?P<n>\d+) )?numbers")
        elif name in seen:
            out.append("(?P=%s)" % name)
        else:
            seen.add(name)
            choices = sorted(SLOTS[name], key=len, reverse=True)
            out.append("(?P<%s>%s)" % (name, "|".join(map(re.escape, choices))))
    return re.compile("".join(out) + r"(?: (?P<rest>.*))?\Z")


_PATTERNS = [(f, p, _pattern(p)) for f in FAMILIES
             for p in FAMILIES[f].phrasings + ([SHORT[f]] if f in SHORT else [])]
_TAILS = {text: (table is OPS, name, i) for table in (OPS, CONSTRAINTS)
          for name, texts in table.items() for i, text in enumerate(texts)}


def _tails(rest, task):
    while rest:
        text = next((t for t in _TAILS if rest == t or rest.startswith(t + " ")), None)
        if text is None:
            raise ValueError("a sentence that is not of this world: " + rest)
        is_op, name, index = _TAILS[text]
        if is_op and task.cons:
            raise ValueError("a step after a constraint")
        (task.ops if is_op else task.cons).append((name, index))
        rest = rest[len(text) + 1:]


def parse(text, given=None):
    """The Task of a text ("I\\nInput: X"), or of an instruction and its input apart."""
    instruction, _, tail = text.partition("\nInput: ")
    items = (given if given is not None else tail).split() or None
    for family, phrasing, pattern in _PATTERNS:
        match = pattern.match(instruction)
        if match:
            break
    else:
        raise ValueError("not a task of this world: " + instruction)
    slots = match.groupdict()
    rest, count = slots.pop("rest"), slots.pop("n", None)
    task = Task(family, phrasing, slots, items)
    task.specific = count is not None
    _check_items(task, count)
    _tails(rest, task)
    names = [name for name, _ in task.cons]
    if len(set(names)) != len(names):
        raise ValueError("the same constraint twice")
    task.gold()
    return task


def _check_items(task, count):
    wants = FAMILIES[task.family].topic == "list" or task.family in GROWS
    items = task.items
    if wants != bool(items) or (items and len(items) < 2):
        raise ValueError("input missing or not wanted")
    if count is not None and int(count) != len(items):
        raise ValueError("says %s items, has %d" % (count, len(items)))
    if items and FAMILIES[task.family].topic == "number" and not all(x.isdigit() for x in items):
        raise ValueError("numbers wanted")


def solve(text, given=None):
    """(task, gold answer); ValueError for a text that is not a task of the world."""
    task = parse(text, given)
    return task, task.gold()
