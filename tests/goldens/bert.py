#!/usr/bin/env python3
"""bert.py - a small encoder of BERT's kind, what Hugging Face's tokenizer makes of texts for it and the vectors that
transformers computes of them.

    python3 tests/goldens/bert.py   (needs torch, transformers and tokenizers)

Writes tests/data/bert/: config.json, tokenizer.json, vocab.txt, tokenizer_config.json, model.safetensors,
1_Pooling/config.json and golden.jsonl, a line for each text: {"text", "tokens", "mean", "cls"}. Weights are random,
large enough that every part of the computation shows; the fixed seed makes the same files again.
"""

import json
import os
import pathlib
import shutil

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "bert"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"]
PIECES += [c for c in "abcdefghijklmnopqrstuvwxyz0123456789.,!?-#[](){}$+<=>^`|~"] + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
PIECES += "the un ##aff ##able ##ing run list sort num ##ber ##bers naive cafe 漢 字 привет ß ¿ … — # ##€ α ##β ᄋ ##ᅡ ##ᆫ".split()
PIECES = list(dict.fromkeys(PIECES))
TEXTS = [
    "the list", "Sort the NUMBERS, then run!", "unaffable", "Naïve CAFÉ", "漢字漢", "x漢y", "привет мир", "안", "αβ αx", "ß SS İ",
    "a\u200bb\u00adc\x07d", "tab\tnew\nline\r\u00a0\u3000end", "in [MASK] the [SEP] text [unused0]", "1+2=3; $4 #5 `6` ~7",
    "¿qué…? — e\u0301e\u0323", "the" * 40, "a" * 100, "a" * 101, "😀 the 👍🏽", "##ing # #", "\ufffd\u0000the", "un af fable", "list " * 50,
]


def tokenizer():
    t = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.decoder = decoders.WordPiece()
    t.add_special_tokens(PIECES[:5])
    return t


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "1_Pooling").mkdir(parents=True)
    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=len(PIECES), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                                     max_position_embeddings=128, type_vocab_size=2, hidden_act="gelu")
    model = transformers.BertModel(config, add_pooling_layer=False).float().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.4)
    model.save_pretrained(OUT)
    t = tokenizer()
    t.save(str(OUT / "tokenizer.json"))
    (OUT / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (OUT / "tokenizer_config.json").write_text('{"do_lower_case":true,"tokenizer_class":"BertTokenizer"}\n')
    (OUT / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension":32,"pooling_mode_cls_token":true}\n')
    for extra in OUT.glob("*.jinja"):
        extra.unlink()
    with open(OUT / "golden.jsonl", "w") as f, torch.no_grad():
        for text in TEXTS:
            ids = t.encode(text).ids
            h = model(torch.tensor([ids])).last_hidden_state[0]
            f.write(json.dumps({"text": text, "tokens": ids, "mean": h.mean(0).tolist(), "cls": h[0].tolist()}, ensure_ascii=False) + "\n")


main()
