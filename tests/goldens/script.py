#!/usr/bin/env python3
"""script.py - the ranges of libcommon/script.c, from the regex package's Script property.

    python3 tests/goldens/script.py             (needs regex)

Prints the table. Ranges of one script are joined where no letter, number or mark of another lies
between, since only letters and marks are looked up.
"""

import unicodedata

import regex

NAMES = """Latin Greek Cyrillic Armenian Hebrew Arabic Devanagari Bengali Gurmukhi Gujarati Tamil
Telugu Kannada Malayalam Sinhala Thai Lao Tibetan Myanmar Georgian Ethiopic Khmer Mongolian Hangul
Hiragana Katakana Han""".split()
one = regex.compile("|".join(rf"(?P<{n}>\p{{Script={n}}})" for n in NAMES))

rows = []
for cp in range(0x110000):
    c = chr(cp)
    if unicodedata.category(c)[0] not in "LM":
        continue
    m = one.match(c)
    name = m.lastgroup if m else None
    if rows and rows[-1][2] == name:
        rows[-1][1] = cp
    else:
        rows.append([cp, cp, name])
for first, last, name in rows:
    if name:
        print(f"    {{0x{first:04X}, 0x{last:04X}, SCRIPT_{name.upper()}}},")
