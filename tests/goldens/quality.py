#!/usr/bin/env python3
"""quality.py - which rules of Gopher, C4 and FineWeb 500 texts break, by datatrove's filters.

    python3 tests/goldens/quality.py            (needs datatrove, nltk and spacy)

Writes tests/data/quality.jsonl: the pieces, then a text a line as the pieces that make it and
the rules that drop it. Each filter is asked for one rule at a time. datatrove splits English by
spaCy; here it is given the words and sentences that quality.h defines, written again in Python,
so that the rules themselves are compared. How often the decisions are the same with
spaCy's words is printed.
"""

import json
import pathlib
import random
import re
import sys
import unicodedata

import datatrove.utils.word_tokenizers as tokenizers
from datatrove.data import Document
from datatrove.utils.text import split_into_parts
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "quality.jsonl"
ASCII_PUNCT = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def punct(c):
    return c in ASCII_PUNCT or unicodedata.category(c)[0] == "P" or unicodedata.category(c) == "Cc"


class Words:
    def word_tokenize(self, text):
        out = []
        for chunk in text.split():
            head, tail = [], []
            while chunk and punct(chunk[0]):
                m = re.match(r"\.+|.", chunk)
                head.append(m.group())
                chunk = chunk[m.end():]
            while chunk and punct(chunk[-1]):
                m = re.search(r"\.+$|.$", chunk)
                tail.append(m.group())
                chunk = chunk[:m.start()]
            out += head + ([chunk] if chunk else []) + tail[::-1]
        return out

    def span_tokenize(self, text):
        ends = [m.end() for m in re.finditer(r"[.!?][.!?\"')\]]*(?=[ \t]|$)", text)]
        if not ends or text[ends[-1]:].strip(" \t"):
            ends.append(len(text))
        return list(zip([0] + ends[:-1], ends))


OFF_QUALITY = dict(min_doc_words=None, max_doc_words=None, min_avg_word_length=None,
                   max_avg_word_length=None, max_symbol_word_ratio=None,
                   max_bullet_lines_ratio=None, max_ellipsis_lines_ratio=None,
                   max_non_alpha_words_ratio=None, min_stop_words=None)
OFF_REPETITION = dict(dup_line_frac=None, dup_para_frac=None, dup_line_char_frac=None,
                      dup_para_char_frac=None, top_n_grams=(), dup_n_grams=())
OFF_FINEWEB = dict(line_punct_thr=0, short_line_thr=9, char_duplicates_ratio=9, new_line_ratio=9e9)


def rules():
    """name -> (filter, the reason that counts, or None for any)"""
    def quality(reason=None, **on):
        return GopherQualityFilter(**{**OFF_QUALITY, **on}), reason

    def repetition(**on):
        return GopherRepetitionFilter(**{**OFF_REPETITION, **on}), None

    def fineweb(**on):
        return FineWebQualityFilter(**{**OFF_FINEWEB, **on}), None
    r = {
        "gopher-min-words": quality(min_doc_words=50),
        "gopher-max-words": quality(max_doc_words=100),  # of the paper: 100000
        "gopher-min-mean": quality(min_avg_word_length=3),
        "gopher-max-mean": quality(max_avg_word_length=10),
        "gopher-hashes": quality("gopher_too_many_hashes", max_symbol_word_ratio=0.1),
        "gopher-ellipses": quality("gopher_too_many_ellipsis", max_symbol_word_ratio=0.1),
        "gopher-bullets": quality(max_bullet_lines_ratio=0.9),
        "gopher-end-ellipses": quality(max_ellipsis_lines_ratio=0.3),
        "gopher-letters": quality(max_non_alpha_words_ratio=0.8),
        "gopher-stop-words": quality(min_stop_words=2),
        "gopher-dup-paras": repetition(dup_para_frac=0.3),
        "gopher-dup-para-chars": repetition(dup_para_char_frac=0.2),
        "gopher-dup-lines": repetition(dup_line_frac=0.3),
        "gopher-dup-line-chars": repetition(dup_line_char_frac=0.2),
    }
    for n, x in ((2, .20), (3, .18), (4, .16)):
        r[f"gopher-top-{n}-gram"] = repetition(top_n_grams=((n, x),))
    for n, x in ((5, .15), (6, .14), (7, .13), (8, .12), (9, .11), (10, .10)):
        r[f"gopher-dup-{n}-grams"] = repetition(dup_n_grams=((n, x),))
    r["c4-sentences"] = C4QualityFilter(filter_lorem_ipsum=False, filter_curly_bracket=False), None
    r["c4-lorem"] = C4QualityFilter(filter_curly_bracket=False), "lorem_ipsum"
    r["c4-curly"] = C4QualityFilter(filter_lorem_ipsum=False), "curly_bracket"
    r["fineweb-line-ends"] = fineweb(line_punct_thr=0.12)
    r["fineweb-short-lines"] = fineweb(short_line_thr=0.67)
    r["fineweb-dup-chars"] = fineweb(char_duplicates_ratio=0.01)
    r["fineweb-newlines"] = fineweb(new_line_ratio=0.3)
    return r


WORDS = ("the be to of and that have with a in for was on are as fox list goat plum river answer "
         "question number small green between under quickly number, \"quoted\" (so) end. end! why? "
         "e.g. well-known isn't Dr. 3.14 1,000 x=2 99 ## # ... … — é über naïve 한국어 日本語。 "
         "internationalization responsibilities [12] [edit] [citation needed] javascript JavaScript "
         "privacy policy lorem ipsum { } • - * “hm” 'tis I.").split(" ")
LINES = ["The fox sat by the river and looked at the goat.", "Terms of use apply to this page.",
         "- a bullet with a few words", "• another point", "And so on...", "She said \"yes.\"",
         "One. Two! Three? Four.", "Read more", "This line has no end", "Is it so?", "42",
         "He gave the plum to the goat, and that was all of it.", "Wait… what is it",
         "Here lorem ipsum is what it says.", "Uses cookies to keep the answer.", "ab" * 501 + " is it.",
         "responsibilities internationalization interdisciplinary"]
ENDS = ["\n", "\n\n", "\n\n\n", "\r\n", ". ", " ", "\u2028", " ...\n", ".\n"]
PIECES = [w + " " for w in WORDS] + LINES + ENDS
W, L = len(WORDS), len(LINES)


def make(rng):
    style, out = rng.random(), []
    if style > 0.98:  # bullets alone
        return [W + rng.choice((2, 3)) if i % 2 else W + L for i in range(2 * rng.randint(2, 30))]
    few = rng.sample(range(W), rng.randint(2, 12))
    for _ in range(rng.randint(1, 14)):
        kind = rng.random()
        if kind < 0.45:
            out += [rng.choice(few) if style < 0.4 else rng.randrange(20 if style < 0.8 else W)
                    for _ in range(rng.randint(1, 14))]
        elif kind < 0.9:
            out.append(W + (rng.randrange(L) if style < 0.7 else rng.randrange(3)))
        elif out:
            out += out[-rng.randint(1, 12):]
        if style > 0.95:
            out += [W + L - 1] * 6
        out.append(W + L + rng.randrange(len(ENDS)))
    return out


def decide(table, text, words):
    broken = []
    split_into_parts.cache_clear()
    tokenizers.load_word_tokenizer = lambda language: words
    for name, (f, reason) in table.items():
        got = f.filter(Document(text=text, id="0"))
        if got is not True and (reason is None or got[1] == reason):
            broken.append(name)
    return broken


def main():
    rng, table, docs = random.Random(5), rules(), []
    own = Words()
    spacy = tokenizers.load_word_tokenizer("eng")
    while len(docs) < 500:
        p = make(rng)
        if own.word_tokenize("".join(PIECES[i] for i in p)):
            docs.append(p)
    same, all_same, count = dict.fromkeys(table, 0), 0, dict.fromkeys(table, 0)
    with OUT.open("w", encoding="utf-8") as f:
        f.write(json.dumps(dict(pieces=PIECES, rules=list(table)), ensure_ascii=False) + "\n")
        for p in docs:
            text = "".join(PIECES[i] for i in p)
            mine = decide(table, text, own)
            theirs = decide(table, text, spacy)
            mask = sum(1 << i for i, name in enumerate(table) if name in mine)
            f.write(json.dumps(dict(p=p, b=mask), separators=(",", ":")) + "\n")
            all_same += mine == theirs
            for name in table:
                same[name] += (name in mine) == (name in theirs)
                count[name] += name in mine
    for name in table:
        print(f"{name:22} drops {count[name]:3} of 500, same with spaCy's words {same[name]}",
              file=sys.stderr)
    print(f"all rules the same with spaCy's words: {all_same} of 500", file=sys.stderr)


if __name__ == "__main__":
    main()
