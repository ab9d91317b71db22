"""The closed lexicon of the small world: nouns by group, facts about them, and small tables.

Every word here must end as one token (tokenizer.py asserts it), because the model copies words
between instruction, input and answer, and copying is easy only when a word is one token.
"""

ANIMAL = ("cat dog cow pig hen duck goat horse sheep fox bear wolf lion tiger frog bee ant mouse "
          "rabbit deer camel zebra monkey snake fish owl eagle spider crab whale").split()
FRUIT = ("apple pear plum grape lemon melon peach cherry mango fig lime banana kiwi papaya "
         "apricot coconut").split()
VEGETABLE = ("bean carrot onion potato pea leek corn radish turnip cabbage spinach celery "
             "garlic pumpkin").split()
THING = ("cup book chair lamp box bag shoe hat clock door key pen table spoon fork knife plate "
         "bowl bottle brush mirror pillow candle basket ladder hammer bell drum rope "
         "coin").split()
PLACE = ("park garden house school farm river shop beach forest hill market station library "
         "bridge").split()
NAME = "Tom Ann Sam Eva Ben Mia Leo Zoe Max Ida Paul Nina Kim Rosa Ali Jack".split()

GROUPS = {"animal": ANIMAL, "fruit": FRUIT, "vegetable": VEGETABLE, "thing": THING,
          "place": PLACE}
PLURAL_GROUP = {g + "s": g for g in GROUPS}
WORDS = [w for words in GROUPS.values() for w in words]
GROUP_OF = {w: g for g, words in GROUPS.items() for w in words}

# Countable goods of the number stories; "things" is the general noun that concretizing replaces.
GOODS = ("cups books chairs hats keys pens bags coins apples pears plums lemons melons carrots "
         "onions beans").split()

COLOUR = dict(
    apple="red", pear="green", plum="purple", grape="purple", lemon="yellow", melon="green",
    peach="orange", cherry="red", mango="orange", fig="purple", lime="green", banana="yellow",
    kiwi="green", papaya="orange", apricot="orange", coconut="brown", bean="green",
    carrot="orange", onion="white", potato="brown", pea="green", leek="green", corn="yellow",
    radish="red", turnip="white", cabbage="green", spinach="green", celery="green",
    garlic="white", pumpkin="orange", frog="green", sheep="white", pig="pink", bear="brown",
    fox="orange", lion="yellow", bee="yellow", ant="black", wolf="grey", mouse="grey",
    deer="brown", camel="brown", monkey="brown", owl="brown", crab="red", whale="blue",
    spider="black")
COLOURS = sorted(set(COLOUR.values()))

LEGS = {a: 4 for a in ANIMAL}
LEGS.update(hen=2, duck=2, owl=2, eagle=2, monkey=2, bee=6, ant=6, spider=8, crab=10, snake=0,
            fish=0, whale=0)

VERB = {a: "runs" for a in ANIMAL}
VERB.update(hen="sings", duck="swims", frog="jumps", bee="flies", owl="flies", eagle="flies",
            fish="swims", whale="swims", crab="swims", snake="sleeps", bear="sleeps",
            cat="sleeps", pig="sleeps", lion="sleeps", cow="eats", goat="eats", sheep="eats",
            rabbit="jumps", monkey="jumps", spider="hides", ant="hides", mouse="hides",
            animal="lives")

_OPPOSITE = ("big small,hot cold,fast slow,old new,high low,long short,wet dry,full empty,"
             "happy sad,clean dirty,soft hard,early late,loud quiet,rich poor,near far,"
             "thick thin,light dark,strong weak")
OPPOSITE = {}
for _pair in _OPPOSITE.split(","):
    _a, _b = _pair.split()
    OPPOSITE[_a], OPPOSITE[_b] = _b, _a

PAST = dict(p.split() for p in (
    "run ran,eat ate,see saw,go went,take took,give gave,sing sang,swim swam,sleep slept,"
    "drink drank,write wrote,find found,buy bought,make made,tell told,hold held,"
    "bring brought,think thought").split(","))

REFUSAL = "Sorry, I can not do that."
MAX_NUMBER = 60


def with_article(noun):
    """'a fox', 'an owl'."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def all_words():
    """Every word of the lexicon that must be one token, with the facts about them."""
    words = WORDS + NAME + GOODS + COLOURS + list(GROUPS) + list(PLURAL_GROUP)
    words += sorted(set(VERB.values())) + list(OPPOSITE) + list(PAST) + list(PAST.values())
    return list(dict.fromkeys(words + ["yes", "no"]))
