#!/usr/bin/env python3
"""What other implementations say of texts under grammars, patterns and JSON schemas.

usage: tests/goldens/grammar.py               writes tests/data/grammar.jsonl
       tests/goldens/grammar.py BENCH MODEL   judges texts drawn at random from our masks (BENCH: the
                                              program tests/unit/grammar_bench; MODEL: with a tokenizer)

(needs the Python packages regex, regress, jsonschema, rfc3339-validator, fqdn, isoduration, rfc3986-validator)

A line is {"gbnf"|"pattern"|"schema": ..., "texts": [[text, verdict], ...]}; y: matches, p: begins a text that does
(of GBNF only), n: neither. Grammars without recursion are judged as regular expressions by `regex`, patterns by
`regress` (an ECMAScript engine), schemas by `jsonschema` with its format checks.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import jsonschema
import regex
import regress

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "grammar.jsonl")
rnd = random.Random(4)


def atom(depth):
    """A random expression as GBNF and as a regular expression."""
    k = rnd.random()
    if k < 0.35 or depth == 0:
        s = "".join(rnd.choice("abc") for _ in range(rnd.randint(0, 3)))
        return '"%s"' % s, "(?:%s)" % s
    if k < 0.55:
        s = rnd.choice(["[ab]", "[^a]", "[a-c]", "[^b-c]", "."])
        return s, s if s != "." else "(?s:.)"
    g, r = alternatives(depth - 1)
    return "(%s)" % g, "(?:%s)" % r


def sequence(depth):
    g, r = [], []
    for _ in range(rnd.randint(1, 3)):
        a, b = atom(depth)
        if rnd.random() < 0.4:
            lo = rnd.randint(0, 7)
            hi = lo + rnd.randint(0, 4)
            q = rnd.choice(["*", "+", "?", "{%d}" % lo, "{%d,}" % lo, "{%d,%d}" % (lo, hi)])
            a, b = a + q, "(?:%s)%s" % (b, q)
        g.append(a)
        r.append(b)
    return " ".join(g), "".join(r)


def alternatives(depth):
    parts = [sequence(depth) for _ in range(rnd.randint(1, 3))]
    return " | ".join(p[0] for p in parts), "|".join("(?:%s)" % p[1] for p in parts)


def gbnf():
    for _ in range(120):
        g, r = alternatives(3)
        if len(g) > 400:
            continue
        p = regex.compile(r)
        texts = {""}
        for _ in range(10):
            texts.add("".join(rnd.choice("aabbcd\u00e9") for _ in range(rnd.randint(0, 14))))
        out = []
        for t in sorted(texts):
            v = "y" if p.fullmatch(t) else "p" if p.fullmatch(t, partial=True) else "n"
            out.append([t, v])
        yield {"gbnf": "root ::= " + g, "texts": out}


PATTERNS = [
    "^[a-z]+$", "^[A-Z]{2,3}-\\d{4}$", "foo", "^a|b$", "^(ab|c)*$", "^\\w+\\s\\w+$", "^.$", "^\\S{2}$", "[^a-z]",
    "^\\D\\W$", "^(?:x(?<n>y)?){2}$", "^\\u00e9\\x41[\\]\\-\\\\]$", "^\"[^\"]*\"$", "^a{0}b{2,}?$", "", "^$",
    "^[\\s\\S]{3}$", "^\\t\\n$", "^(a+)+b$", "^[^\\d\\s]+$", "^\\cA|\\/$", "\\ud83d\\ude00", "^[\\b]$", "x$|^y", "^[a-]+[-a]$",
    "^\\\"?\\_?.$",
]
PIECES = ["a", "b", "foo", "AB-1234", "ABC-0000", "x", "xy", "é", "A", "-", "\\", "\"", "\n", "\t", " ", "1", "_", "😀",
          "\u2028", "\b", "\x01", "/", "]", "ab", "c", "z z", ".", "\r"]


def patterns():
    for s in PATTERNS:
        p = regress.Regex(s, "u") if not regex.search(r'\\[_"]|^[^[]*\\-', s) else regress.Regex(s)
        texts = {"", "\u00e9A]", "\u00e9A-", "\u00e9A\\", "\"\"", "\"x\"", "\t\n"}
        for _ in range(24):
            texts.add("".join(rnd.choice(PIECES) for _ in range(rnd.randint(1, 4))))
        yield {"pattern": s, "texts": [[t, "y" if p.find(t) else "n"] for t in sorted(texts)]}


R = {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#"}}, "required": ["v"],
     "additionalProperties": False}
SCHEMAS = [
    (True, [0, -1.5, "x", None, [1, {"a": []}], {"a": {"b": [True]}}]),
    ({}, [[], {}, "é\n\""]),
    ({"type": "integer", "minimum": -12, "maximum": 345},
     [-13, -12, -11, -1, 0, 9, 10, 99, 100, 299, 344, 345, 346, 1000, 1.5, "1"]),
    ({"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 1001}, [6, 7, 8, 9, 10, 99, 1000, 1001, 1002]),
    ({"type": "integer", "minimum": 2.5, "maximum": 7.5}, [2, 3, 7, 8]),
    ({"type": "integer", "maximum": -5}, [-4, -5, -6, -10, -99, 0, 4]),
    ({"type": "number", "minimum": -1.25, "maximum": 10.5},
     [-1.26, -1.25, -1.2499, -1.3, -2, -1, -0.5, 0, 0.001, 9.99, 10, 10.5, 10.4999, 10.51, 10.500001, 11]),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0, 0.0001, 0.5, 0.999, 1, 1.0001, -0.1]),
    ({"type": "number", "minimum": 99.95, "maximum": 100.05}, [99.949, 99.95, 99.96, 100, 100.04, 100.05, 100.051, 100.5, 9.9]),
    ({"type": "number", "exclusiveMaximum": -2.5}, [-2.5, -2.50001, -2.4, -3, -20.25, 2.6]),
    ({"type": "number", "multipleOf": 1, "minimum": 3}, [2, 3, 4, 3.5]),
    ({"type": "string", "minLength": 2, "maxLength": 4}, ["", "a", "ab", "é\n😀", "abcd", "abcde", 3]),
    ({"type": ["string", "null"], "maxLength": 1}, [None, "", "a", "ab", False]),
    ({"enum": ["a", 1, None, [1, 2], {"k": "v"}, 2.50]}, ["a", "b", 1, 2, None, [1, 2], [1], {"k": "v"}, {}, 2.5]),
    ({"const": {"a": [1, "x"]}}, [{"a": [1, "x"]}, {"a": [1, "y"]}, {}]),
    ({"type": "string", "enum": ["a", 1, "bcd"], "maxLength": 2}, ["a", 1, "bcd"]),
    ({"enum": [1, 2, 3, "x"], "allOf": [{"enum": [2, 3, "x"]}, {"type": "integer", "minimum": 3}]}, [1, 2, 3, "x"]),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}},
      "required": ["b"]},
     [{"a": 1, "b": "x", "c": None}, {"b": "x"}, {"a": 1, "b": "x"}, {"b": "x", "c": None}, {"a": 1}, {}, {"b": 1}, []]),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
     [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, {"a": "x"}]),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
     [{}, {"a": 1}, {"a": 1, "x": "y"}, {"ab": "y"}, {"": "y"}, {"x": 1}, {"a": "y"}, {"A": "é", "b\"": "z"}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}, "required": ["n"]},
     [{"n": 1}, {}, {"n": "x"}, {"n": 1, "m": 2}, {"n": 1, "m": "x"}]),
    ({"type": "object", "additionalProperties": False}, [{}, {"a": 1}]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
     [[], [1], [1, 2, 3], [1, 2, 3, 4], ["x"], [1, "x"]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "null"}, "minItems": 1},
     [[], [1], [1, "x"], [1, "x", None, None], ["x"], [1, 2], [1, "x", 3]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False}, [[], [1], [1, 2]]),
    ({"prefixItems": [{"type": "integer"}], "minItems": 3, "maxItems": 4}, [[1], [1, 2], [1, 2, "x"], [1, 2, 3, 4], [1, 2, 3, 4, 5]]),
    ({"type": "array", "maxItems": 0}, [[], [1]]),
    ({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}, {"type": "object", "properties": {"a": True},
      "required": ["a"]}]}, [1, "x", "xy", {"a": [1]}, {}, None]),
    ({"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"],
      "anyOf": [{"properties": {"k": {"const": "x"}, "x": {"type": "integer"}}, "required": ["x"]},
                {"properties": {"k": {"const": "y"}}}]},
     [{"k": "x", "x": 1}, {"k": "y"}, {"k": "x"}, {"k": "z"}, {"k": "x", "x": "1"}]),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}, {"$ref": "#/$defs/most"}], "$defs": {"most": {"maximum": 5}}},
     [2, 3, 5, 6, "x"]),
    ({"allOf": [{"properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer", "maximum": 4}, "b": True}}]},
     [{"a": 3}, {"a": 4, "b": None}, {"a": 2}, {"a": 5}, {"a": 3.5}]),
    (R, [{"v": 1}, {"v": 1, "next": {"v": 2, "next": {"v": 3}}}, {"v": 1, "next": {}}, {"next": {"v": 1}}]),
    ({"$ref": "#/$defs/tree", "$defs": {"tree": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/tree"}}]}}},
     [None, [], [None, [[], None]], [1], 1]),
    ({"type": "object", "properties": {"a/b~c": {"$ref": "#/properties/x%20y"}, "x y": {"type": "boolean"}}},
     [{"a/b~c": True}, {"a/b~c": 1}]),
    ({"$anchor": "top", "type": ["integer", "array"], "items": {"$ref": "#top"}}, [1, [1, [2]], ["x"]]),
    ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, [1, True, "x"]),
    ({"format": "date"}, ["2024-02-28", "2024-13-01", "2024-04-31", "2024-04-30", "x"]),
    ({"type": "string", "format": "time"}, ["12:00:00Z", "24:00:00Z", "12:00:00.5+01:30", "12:00"]),
    ({"type": "string", "format": "date-time"}, ["2024-01-31T12:00:00Z", "2024-01-31 12:00", "2024-01-31T12:00:60+25:00"]),
    ({"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000", "123e4567"]),
    ({"type": "string", "format": "ipv4"}, ["1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3"]),
    ({"type": "string", "pattern": "^[a-z\u00e9]+$", "minLength": 2, "maxLength": 4},
     ["", "a", "ab", "\u00e9a\u00e9", "abcd", "abcde", "aB", 3]),
    ({"type": "string", "pattern": "a.b", "minLength": 4}, ["axb", "axbc", "xaxb", "xaxbx" * 9, "abcd", "a\"b\n\\"]),
    ({"type": "string", "pattern": "^(ab|c)*$", "maxLength": 5}, ["", "c", "ab", "abab", "ababc", "ababab", "ccccc", "cccccc", "b"]),
    ({"allOf": [{"pattern": "^[a-z]+$"}, {"pattern": "b"}, {"pattern": "..c$", "maxLength": 6}], "type": "string"},
     ["abc", "bac", "bxc", "bc", "xxbxxc", "xxbxxxc", "aac", "Bbxc", "bxxd"]),
    ({"type": "string", "format": "email", "pattern": "@example\\.com$", "maxLength": 16},
     ["a@example.com", "abcd@example.com", "abcde@example.com", "a@example.org"]),
    ({"enum": ["ab", "cd", "\u00e9b", 5, "xab", None], "pattern": "^.b"}, ["ab", "cd", "\u00e9b", 5, "xab", None]),
    ({"format": "date", "enum": ["2024-02-28", None, "2024-12-31"], "anyOf": [{"minLength": 1}, {"type": "null"}]},
     ["2024-02-28", "2024-12-31", "2024-01-01", None]),
    ({"const": "a-1", "allOf": [{"pattern": "-[0-9]$"}, {"pattern": "^a", "maxLength": 3}]}, ["a-1", "a-2"]),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["b"],
      "unevaluatedProperties": False, "anyOf": [{"type": "null"}, {"properties": {"b": True}}]},
     [{"a": 1, "b": 2}, {"b": "x"}, {"a": 1}, {"b": 1, "c": 1}]),
    ({"type": "object", "properties": {"a": True}, "anyOf": [{"required": ["b"]}, {"properties": {"c": True}}],
      "unevaluatedProperties": False},
     [{"a": 1}, {"a": 1, "b": 2}, {"b": 2}, {"a": 1, "c": 3}, {"c": 3}, {}]),
    ({"type": "object", "allOf": [{"$ref": "#/$defs/closed"}, {"properties": {"a": {"minimum": 2}, "b": True}}],
      "$defs": {"closed": {"allOf": [{"properties": {"a": {"type": "integer"}}}], "unevaluatedProperties": False}}},
     [{"a": 2}, {"a": 1}, {"a": 2, "b": 3}, {"b": 3}, {}]),
    ({"type": "object", "allOf": [{"properties": {"a": True}, "unevaluatedProperties": False},
      {"additionalProperties": {"type": "integer"}}]},
     [{"a": 1}, {"a": "x"}, {"a": 1, "z": 2}, {"z": 2}]),
    ({"type": "object", "properties": {"a": True}, "allOf": [{"additionalProperties": {"type": "integer"}}], "unevaluatedProperties": False},
     [{"a": 1}, {"a": 1, "z": 2}, {"z": "x"}]),
]
NULLABLE = ({"type": "integer", "nullable": True}, [[1, "y"], [None, "y"], ["x", "n"]])


def valid(schema, value):
    v = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    return v.is_valid(value)


def schemas():
    for s, values in SCHEMAS:
        yield {"schema": s, "texts": [[json.dumps(v, ensure_ascii=False), "y" if valid(s, v) else "n"] for v in values]}
    yield {"schema": NULLABLE[0], "texts": [[json.dumps(v), y] for v, y in NULLABLE[1]]}


def judge(bench, model):
    """Every text that random masks make must be valid; how many were looked at, by schema."""
    bad = total = 0
    more = [({"type": "string", "pattern": p}, []) for p in PATTERNS]
    more += [({"type": "string", "format": f}, []) for f in
             ["date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri"]]
    for i, (s, _) in enumerate(SCHEMAS + more):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(s, f)
            f.flush()
            out = subprocess.run([bench, model, f.name, "60", str(i), "print"], capture_output=True, text=True)
        if out.returncode:
            print("refused:", json.dumps(s), out.stderr.strip())
            bad += 1
        n = 0
        for line in out.stdout.split("\n")[:-1]:
            text = json.loads(line)
            try:
                value = json.loads(text)
                good = valid(s, value) if s is True or "pattern" not in s else bool(regress.Regex(s["pattern"], "u").find(value))
            except Exception as e:
                good, value = False, e
            n += 1
            if not good:
                bad += 1
                print("invalid:", json.dumps(s), repr(text), value)
        total += n
        if not n:
            print("no text at all:", json.dumps(s))
    print("%d texts, %d bad" % (total, bad))
    return bad != 0


if len(sys.argv) == 3:
    sys.exit(judge(sys.argv[1], sys.argv[2]))
with open(OUT, "w", encoding="utf-8") as f:
    for line in [*gbnf(), *patterns(), *schemas()]:
        f.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
