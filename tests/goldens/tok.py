#!/usr/bin/env python3
"""Small tokenizers of every kind, and what Hugging Face's tokenizers makes of nasty texts with them.

usage: tests/goldens/tok.py [NAME ...]   (needs the Python packages tokenizers and sentencepiece)

Writes tests/data/tok/NAME.json, one tokenizer each, and expect.jsonl, a line for each tokenizer and text: ids with
special tokens recognized ("special"), those without where they differ ("plain"), and for some texts those with the
tokens around a text ("all").
The texts are ours; the tokenizers are trained on them here. With names, the other tokenizers stay as they are
(training a Unigram model does not give the same file twice).
"""
import io
import json
import os
import random
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "tok")

CORPUS = """
The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it's used to the fox's jumping.
Reverse the list. Sort the numbers from the smallest to the largest, then add them: 12, 7, 305, 44, 1999.
She said: "I'll be there at 10:30, we've got 3 hours (or so)." They'd have waited. You're sure? I'm not!
    def main(argc, argv):
        return [x * 2 for x in range(10) if x % 3 == 0]  # a comment
Der schnelle braune Fuchs springt über den faulen Hund. Größe, Straße, Äpfel, Öl, schön.
Le renard brun saute par-dessus le chien paresseux; où est la bibliothèque? Ça va, garçon.
Быстрая коричневая лиса прыгает через ленивую собаку. Съешь ещё этих мягких французских булок.
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 한국어 문장을 토큰으로 나눈다.
敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园吧。素早い茶色の狐がのろまな犬を飛び越える。
नमस्ते दुनिया। यह एक परीक्षण है। สวัสดีชาวโลก نص عربي قصير مع بعض الكلمات
price: $12.50 + 7% = ~13.4 <b>bold</b> http://example.org/a_b?c=d&e=f#g user@mail.net 😀 🚀🚀 ☃ – “quoted” … ½ ² №
"""

NAMES = "x <s> </s> <unk> <0x41> [PAD]"  # in a Unigram model HF finds control pieces in plain text; we do not

TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\t\n", " \n \n", "\r\n", "Hello world", " Hello world", "  Hello   world  ",
    "Hello, y'all! How are you?", "I'LL we'Ve it'S 'tis 'RE", "3 33 333 3333 33333 3.14 1,000,000", "ied 4 ½ months ² №",
    "the dog\n\n\n  jumps\t\tover \r\n the", "über größe ÄÖÜ ß ẞ İı", "e\u0301 é o\u0302\u0323 \u1112\u1161\u11ab 한 ﬁ Ⅷ １２ ｶﾞ",
    "Быстрая лиса", "敏捷的棕色狐狸。天气", "빠른 여우", "नमस्ते สวัสดี نص", "😀 🚀🚀 👨\u200d👩\u200d👧 🇩🇪 ☃️", "a\u200bb\u00a0c\u3000d\u2028e\u180ef\u0085g",
    "\u0000\u0001\u007f\u0080", "▁the ▁ ▁▁ x▁y", NAMES, "a<mask>b <mask>  c", "x <user> y<user>z  <user>", "<user><user>",
    "wordword word-word _word word_", "<|end|>text<|end|>  \n more<|end", "the<keep>fox <keep> THE<KEEP>", "----====....!!!!????", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "supercalifragilisticexpialidocious " * 3, "http://example.org/a_b?c=d&e=f#g", "if (x[0] == '\\n') { return \"ok\"; } // done", "\ufeffbom \ufffd \U0010ffff \ue000",
    "fox's fox’s “fox” 'fox'", "mixed\u0301\u0323marks a\u0323\u0301", "ABC abc ÀÉ ΑΣ ΣΑΣ", "100% $12.50 + 7 = ~13.4", "   leading", "trailing   ", " a b  c   d    e",
]


def added(tok, user=True):
    """Special and user-defined tokens with every flag."""
    tok.add_special_tokens([AddedToken("<|end|>", rstrip=True, normalized=False, special=True), AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    if user:
        tok.add_tokens([AddedToken("<user>", normalized=False), AddedToken("<keep>", normalized=True), AddedToken("word", single_word=True, normalized=False)])


def bpe(size, pre, norm=None, alphabet=False, specials=("<s>", "</s>"), **kw):
    tok = Tokenizer(models.BPE(**kw))
    tok.pre_tokenizer = pre
    if norm:
        tok.normalizer = norm
    first = list(specials) + ([f"<0x{b:02X}>" for b in range(256)] if kw.get("byte_fallback") else [])
    tok.train_from_iterator(CORPUS.split("\n"), trainers.BpeTrainer(
        vocab_size=size, special_tokens=first, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else []))
    return tok


def around(tok, first="<s>", last=None):
    single = ([first] if first else []) + ["$A"] + ([last] if last else [])
    tok.post_processor = processors.TemplateProcessing(single=" ".join(single), special_tokens=[(t, tok.token_to_id(t)) for t in (first, last) if t])


def unmark_bytes(tok):
    """Training needs the byte pieces as special tokens; a Llama file has them as plain vocabulary."""
    d = json.loads(tok.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(d))


def gpt2():
    tok = bpe(560, pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet=True, specials=["<s>"])
    tok.decoder = decoders.ByteLevel()
    added(tok)
    return tok


def gpt2_holes():
    """No initial alphabet: bytes that the corpus lacks have no token; a prefix space; NFKC and lower case."""
    tok = bpe(300, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]),
              norm=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    tok.decoder = decoders.ByteLevel()
    added(tok)
    return tok


def llama3():
    pat = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tok = bpe(520, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pat), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
              norm=normalizers.NFC(), alphabet=True, ignore_merges=True)
    tok.decoder = decoders.ByteLevel()
    around(tok)
    added(tok)
    return tok


def llama2():
    tok = bpe(560, pre_tokenizers.Metaspace(prepend_scheme="always"), byte_fallback=True, fuse_unk=True, unk_token="<unk>", specials=["<unk>", "<s>", "</s>"])
    tok.pre_tokenizer = None
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    around(tok)
    added(tok)
    return unmark_bytes(tok)


def gemma():
    """Spaces replaced, no prefix, words cut after spaces, byte fallback; also the newer Metaspace "first"."""
    tok = bpe(500, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), byte_fallback=True, fuse_unk=True, unk_token="<unk>", specials=["<unk>", "<s>", "</s>"])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    around(tok, "<s>", "</s>")
    added(tok)
    return unmark_bytes(tok)


def gemma2():
    """As Gemma 2's file: spaces replaced, words cut after them, no prefix, byte fallback, bytes below the pieces."""
    tok = bpe(570, pre_tokenizers.Split(" ", "merged_with_previous"), norm=normalizers.Replace(" ", "▁"), byte_fallback=True, fuse_unk=True, unk_token="<unk>",
              specials=["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    around(tok, "<bos>")
    added(tok)
    return unmark_bytes(tok)


def qwen():
    """As Qwen 2's and 3's files: NFC, one digit at a time, no merges of added tokens, nothing around a text."""
    pat = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tok = bpe(500, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pat), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
              norm=normalizers.NFC(), alphabet=True, specials=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tok.post_processor = processors.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)
    tok.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)
    added(tok)
    return tok


def nemotron():
    """As Nemotron-4's and Minitron's files: SentencePiece's BPE with a prefix space and byte fallback, nothing fused."""
    tok = bpe(560, pre_tokenizers.Metaspace(prepend_scheme="first"), byte_fallback=True, fuse_unk=False, unk_token="<unk>", specials=["<unk>", "<s>", "</s>", "<extra_id_0>"])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    around(tok)
    added(tok)
    return unmark_bytes(tok)


def bytes_only():
    """Byte-level BPE that merges nothing: a token a byte."""
    tok = bpe(257, pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet=True, specials=["<s>"])
    tok.decoder = decoders.ByteLevel()
    around(tok)
    added(tok)
    return tok


def chars():
    """Characters with an unknown token: punctuation, digits and words apart; accents dropped."""
    tok = bpe(220, pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Digits(False)]),
              norm=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Strip(), normalizers.Replace(Regex("[0-9]{3,}"), "<n>")]),
              unk_token="<unk>", fuse_unk=False, specials=["<unk>"])
    return tok


def unigram(byte_fallback=False):
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    specials = ["<s>", "</s>", "<unk>"] + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else [])
    tok.train_from_iterator(CORPUS.split("\n"), trainers.UnigramTrainer(vocab_size=330 + len(specials), special_tokens=specials, unk_token="<unk>", show_progress=False))
    if byte_fallback:
        d = json.loads(tok.to_str())
        d["model"]["byte_fallback"] = True
        tok = unmark_bytes(Tokenizer.from_str(json.dumps(d)))
    added(tok)
    around(tok, None, "</s>")
    return tok


def t5():
    """SentencePiece's own training with a character map of our own, as T5's files are made."""
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    with tempfile.TemporaryDirectory() as d:
        rules = os.path.join(d, "rules.tsv")
        pairs = {"\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u3000": " ", "ﬁ": "fi", "Ⅷ": "VIII", "e\u0301": "é", "½": "1/2", "\u200b": "", "１": "1", "☃": "snow man"}
        with open(rules, "w", encoding="utf8") as f:
            for a, b in pairs.items():
                f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
        out = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter([x for x in CORPUS.split("\n") if x]), model_writer=out, vocab_size=285, model_type="unigram", normalization_rule_tsv=rules,
                                       character_coverage=0.98, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2)
    m = pb.ModelProto()
    m.ParseFromString(out.getvalue())
    tok = Tokenizer(models.Unigram([(p.piece, p.score) for p in m.pieces], unk_id=2, byte_fallback=False))
    tok.normalizer = normalizers.Sequence([normalizers.Precompiled(m.normalizer_spec.precompiled_charsmap), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")])
    tok.decoder = decoders.Metaspace()
    tok.add_special_tokens(["<pad>", "</s>", "<unk>"])
    around(tok, None, "</s>")
    added(tok, user=False)
    return tok


KINDS = {"gpt2": gpt2, "gpt2-holes": gpt2_holes, "llama3": llama3, "llama2": llama2, "gemma": gemma, "gemma2": gemma2, "qwen": qwen, "nemotron": nemotron, "bytes": bytes_only, "chars": chars, "unigram": unigram,
         "unigram-bytes": lambda: unigram(True), "t5": t5}


def expect(tok, text):
    tok.encode_special_tokens = False
    every = tok.encode(text).ids
    special = tok.encode(text, add_special_tokens=False).ids
    tok.encode_special_tokens = True
    plain = tok.encode(text, add_special_tokens=False).ids
    tok.encode_special_tokens = False
    d = {"special": special}
    if text in TEXTS[:14:3]:
        d["all"] = every
    if plain != special:
        d["plain"] = plain
    return d


def shorter(tok):
    """The file without what is the same in all and only takes room."""
    return json.dumps(json.loads(tok.to_str()), ensure_ascii=False, separators=(",", ":"))


def main():
    os.makedirs(OUT, exist_ok=True)
    random.seed(1)
    path = os.path.join(OUT, "expect.jsonl")
    with open(path, encoding="utf8") as f:
        lines = f.readlines()
    with open(path, "w", encoding="utf8") as f:
        for name, make in KINDS.items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                f.writelines(x for x in lines if x.startswith('{"tokenizer":"%s",' % name))
                continue
            tok = make()
            with open(os.path.join(OUT, name + ".json"), "w", encoding="utf8") as g:
                g.write(shorter(tok) + "\n")
            for text in TEXTS:
                if text == NAMES and name in ("unigram", "unigram-bytes", "t5"):
                    continue
                f.write(json.dumps({"tokenizer": name, "text": text, **expect(tok, text)}, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
