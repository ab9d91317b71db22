"""Checks of the small world itself: quick, no model, no PyTorch.

Every task reads back as it was drawn, every evolution is a task, labels fall with the level, and
every document tokenizes and decodes to itself. Exit status 1 and a line for what fails.
"""
import random
import sys

from corpus import Corpus
from corrupt import corrupt, weighted
from tokenizer import Tokenizer, count_words, required_words, train
from world import EVOLVE, ORDER, draw_deep, draw_planted, evolve, parse


def tasks_read_back(rng):
    for i in range(10000):
        task = draw_deep(rng) if i % 50 else draw_planted(rng)
        assert parse(task.text()).key() == task.key(), task.text()


def evolutions_are_tasks(rng):
    for _ in range(5000):
        task = draw_deep(rng)
        operator = rng.choice(ORDER)
        used, new = evolve(rng, task, operator)
        assert used in EVOLVE and parse(new.text()).key() == new.key(), new.text()
        assert new.text() != task.text(), new.text()


def answers_by_hand(rng):
    for text, gold in (
            ("Reverse the list.\nInput: plum fox goat", "goat fox plum"),
            ("Keep only the animals in the list.\nInput: plum fox goat cup", "fox goat"),
            ("What is 9 plus 7? Then double it. End with a full stop.", "32."),
            ("Sort the 3 numbers. Use commas between the words.\nInput: 9 2 30", "2, 9, 30"),
            ("What does Eva have? Put the answer in brackets.\nInput: Tom cup Eva pear",
             "[ pear ]"),
            ("Remove fox from the list.\nInput: plum pear goat", "plum pear goat"),
            ("What does Eva have?\nInput: Eva cup Tom pen Eva pear", "cup pear"),
            ("Write a sentence about an owl and a park.", "The owl flies in the park.")):
        assert parse(text).gold() == gold, text
    for text in ("Reverse the list.", "Reverse the lists.\nInput: a b", "Add 3 and fox.",
                 "What does Tom have?\nInput: Eva cup Ann pen",
                 "Count the list of 4 words.\nInput: plum pear goat"):
        try:
            parse(text)
        except ValueError:
            continue
        raise AssertionError("read as a task: " + text)


def scores_fall(rng):
    mean = []
    for level in range(5):
        found = [corrupt(rng, draw_deep(rng), level, False) for _ in range(500)]
        mean.append(sum(weighted(s) for _, s, _ in found) / len(found))
    assert all(a > b for a, b in zip(mean, mean[1:])), mean


def documents_tokenize(rng):
    tokenizer = Tokenizer(train(count_words(3000, 1), 1472, set(required_words())))
    corpus = Corpus(rng.randrange(1000))
    corpus.progress = .9
    for _ in range(1000):
        parts = corpus.document()
        ids = []
        for text, _ in parts:
            ids += tokenizer.encode(text, bool(ids) and ids[-1] not in tokenizer.special)
        assert ids == tokenizer.encode("".join(t for t, _ in parts)), parts
        body = parts[-1][0].replace("</s>", "")
        assert tokenizer.decode(tokenizer.encode(body)) == body, body


def main():
    failed = 0
    for check in (tasks_read_back, evolutions_are_tasks, answers_by_hand, scores_fall,
                  documents_tokenize):
        try:
            check(random.Random(1))
            print("ok", check.__name__)
        except AssertionError as error:
            failed += 1
            print("not ok", check.__name__, error)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
