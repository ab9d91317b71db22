"""A SentencePiece-style BPE: training, encoding, decoding.

The kind Llama-2 uses: a space becomes the mark U+2581, each section of text between special tokens
gets one in front, characters that are no piece fall back to their UTF-8 bytes, and the two
neighbours whose join is the piece of the highest score (the lowest rank) are joined first.

    python3 tokenizer.py --out pieces.json
"""
import argparse
import collections
import json
import re

from corpus import BOS, EOS, INPUT, INSTRUCTION, RESPONSE, Corpus
from corrupt import AXES
from lexicon import all_words

UNK = "<unk>"
CONTROL = [INSTRUCTION, INPUT, RESPONSE]
SPACE = "\u2581"
BYTES = ["<0x%02X>" % b for b in range(256)]
# Words, numbers, one mark of punctuation, runs of spaces: no piece crosses these borders.
_SPLIT = re.compile(SPACE + r"?[A-Za-z]+|" + SPACE + r"?[0-9]+|" + SPACE + r"?[^A-Za-z0-9"
                    + SPACE + r"\n]|" + SPACE + r"+|\n")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, [BOS, EOS] + CONTROL)) + ")")


def sections(text):
    """[(is special, text)] of a text, cut at the special tokens."""
    return [(bool(_SPECIAL.fullmatch(p)), p) for p in _SPECIAL.split(text) if p]


def pretokens(section, mark=SPACE):
    """The words of a section; mark is what goes in front, nothing where a text continues."""
    return _SPLIT.findall(mark + section.replace(" ", SPACE))


def _join(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def train(counts, size, required):
    """Pieces of a vocabulary of size entries; each word of required ends as one piece."""
    chars = sorted({chr(c) for c in range(33, 127)} | {"\n", SPACE})
    room = size - 3 - 256 - len(CONTROL) - len(chars)
    words = {w: (list(w), n + (400 if w in required else 0)) for w, n in counts.items()}
    for word in required:
        words.setdefault(word, (list(word), 400))
    words = {w: v for w, v in words.items() if all(c in chars for c in v[0])}
    merges = []
    while len(merges) < room:
        pairs = collections.Counter()
        open_required = 0
        for word, (symbols, n) in words.items():
            open_required += word in required and len(symbols) > 1
            # Once room runs short, only what the required words still need is merged.
            if len(symbols) > 1 and (word in required or len(merges) < room // 2):
                for pair in zip(symbols, symbols[1:]):
                    pairs[pair] += n
        if not open_required:
            for symbols, n in words.values():
                for pair in zip(symbols, symbols[1:]):
                    pairs[pair] += n
        if not pairs:
            break
        best = max(pairs.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best[0] + best[1])
        words = {w: (_join(s, best) if len(s) > 1 else s, n) for w, (s, n) in words.items()}
    while len(merges) < room:
        merges.append("<unused%d>" % (room - len(merges)))
    return [UNK, BOS, EOS] + CONTROL + BYTES + list(dict.fromkeys(merges)) + chars


class Tokenizer:
    """Encodes and decodes with a list of pieces; ids are the places in the list."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.ids = {p: i for i, p in enumerate(pieces)}
        self.bos, self.eos = self.ids[BOS], self.ids[EOS]
        self.special = {self.ids[p] for p in [UNK, BOS, EOS] + CONTROL}
        self.first_byte = self.ids[BYTES[0]]
        self.cache = {}

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.pieces, file, ensure_ascii=False, indent=0)
            file.write("\n")

    def score(self, i):
        """The SentencePiece score: minus the rank; 0 for special tokens and bytes."""
        first = self.first_byte + 256
        return 0.0 if i < first else float(first - i)

    def kind(self, i):
        """The GGUF token type: 2 unknown, 3 control, 6 byte, 5 unused, 1 normal."""
        if i in self.special:
            return 2 if self.pieces[i] == UNK else 3
        if self.first_byte <= i < self.first_byte + 256:
            return 6
        return 5 if self.pieces[i].startswith("<unused") else 1

    def _word(self, word):
        symbols = list(word)
        while len(symbols) > 1:
            best = min((self.ids.get(a + b, 1 << 30), i)
                       for i, (a, b) in enumerate(zip(symbols, symbols[1:])))
            if best[0] == 1 << 30:
                break
            i = best[1]
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        out = []
        for symbol in symbols:
            if symbol in self.ids:
                out.append(self.ids[symbol])
            else:
                out += [self.first_byte + b for b in symbol.encode()]
        return out

    def encode(self, text, continues=False):
        """Ids of a text; the special texts in it become their tokens.

        continues: the text goes on in the middle of a section, so its start gets no mark.
        """
        out = []
        mark = "" if continues else SPACE
        for special, part in sections(text):
            if special:
                out.append(self.ids[part])
                mark = SPACE
                continue
            for word in pretokens(part, mark):
                if word not in self.cache:
                    self.cache[word] = self._word(word)
                out += self.cache[word]
            mark = SPACE
        return out

    def decode(self, ids):
        """The text of ids; special tokens give nothing, the first space goes."""
        data = b""
        for i in ids:
            if i in self.special:
                continue
            if self.first_byte <= i < self.first_byte + 256:
                data += bytes([i - self.first_byte])
            else:
                data += self.pieces[i].replace(SPACE, " ").encode()
        text = data.decode("utf-8", "replace")
        return text[1:] if text.startswith(" ") else text


def required_words():
    """Words that must be one piece."""
    out = [SPACE + w for w in all_words() + AXES[:1]] + [SPACE + str(n) for n in range(61)]
    return out + AXES[1:] + [str(n) for n in range(1, 17)] + ["Input"]


def count_words(documents, seed):
    """Pre-token counts over documents of the corpus, and the texts themselves."""
    corpus, counts = Corpus(seed), collections.Counter()
    corpus.progress = .6
    for _ in range(documents):
        text = "".join(part for part, _ in corpus.document())
        for special, part in sections(text):
            if not special:
                counts.update(pretokens(part))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="pieces.json")
    parser.add_argument("--size", type=int, default=1472)
    parser.add_argument("--documents", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    counts = count_words(args.documents, args.seed)
    required = required_words()
    # Words of the phrasings count as required too: they are the bulk of every prompt.
    frequent = [w for w, n in counts.items() if n >= 20 and w.strip(SPACE).isalpha()]
    tokenizer = Tokenizer(train(counts, args.size, set(required + frequent)))
    broken = [w for w in required if len(tokenizer._word(w)) != 1]
    assert not broken, broken
    assert len(tokenizer.pieces) == len(tokenizer.ids) == args.size
    loose = [w for w in frequent if len(tokenizer._word(w)) != 1]
    total = sum(n * len(tokenizer._word(w)) for w, n in counts.items())
    print("%d pieces, %.3f tokens a word, %d of %d frequent words in pieces: %s"
          % (args.size, total / sum(counts.values()), len(loose), len(frequent), loose[:20]))
    tokenizer.save(args.out)


if __name__ == "__main__":
    main()
