"""A small tokenizer of each kind: byte-level, byte fallback, Unigram, WordPiece, words."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# Pieces that touch every rule: word starts, punctuation that a cleaner pulls up, combining marks, U+FFFD, line breaks.
PIECES = [
    "▁", "▁▁", "▁a", "b", "▁.", ".", "'", "▁'", "n", "▁n", "'t", "▁n't", "s", "'s", "▁'s", "▁v", "ve", "'ve", "r", "re",
    "m", "!", "▁?", ",", "▁\ufffd", "\ufffd", "日本", "ไทย", "\u0301", "👩\u200d💻", "שלום", "\n", "▁\n", " ", " x ",
]  # fmt: skip


def byte_level() -> PreTrainedTokenizerFast:
    """Like GPT-2's without its merges, with special and ordinary tokens added, some outside of its alphabet."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<|im_end|>", "é"])
    inner.add_tokens(["日本", " ▁ "])
    return _wrapped(inner)


def byte_fallback() -> PreTrainedTokenizerFast:
    """Like Llama 2's: some pieces are tokens, any other character is spelled by its bytes."""
    words = ["<unk>", "<s>", "</s>", *BYTES, *PIECES]
    vocabulary = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _wrapped(inner, unk_token="<unk>")


def unigram(*, falls_back: bool = False, **settings: Any) -> PreTrainedTokenizerFast:
    """Like T5's, or with `falls_back` like Gemma's."""
    words = ["<unk>", *PIECES, *(BYTES if falls_back else ())]
    inner = Tokenizer(models.Unigram([(word, -1.0) for word in words], unk_id=0, byte_fallback=falls_back))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    spaces = decoders.Metaspace()
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), spaces]) if falls_back else spaces
    inner.add_special_tokens(["<s>", "</s>"])
    return _wrapped(inner, **settings)


def word_piece(*, cleanup: bool, **settings: Any) -> PreTrainedTokenizerFast:
    """Like BERT's."""
    starts = ["a", ".", "'", "n", "'t", "n't", "s", "m", "do", "not", "!", ",", "\ufffd", "日", "\u0301", "v", "re"]
    words = ["[UNK]", *starts, *(f"##{word}" for word in (".", "'", "t", "s", "not", "\ufffd", "本", "e"))]
    vocabulary = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.decoder = decoders.WordPiece(cleanup=cleanup)
    inner.add_special_tokens(["[CLS]"])
    return _wrapped(inner, **settings)


def words(**settings: Any) -> PreTrainedTokenizerFast:
    """Whole words with no decoder, which are joined by blanks."""
    vocabulary = {word: number for number, word in enumerate(["<unk>", *PIECES, ""])}
    return _wrapped(Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")), **settings)


def word_ends() -> PreTrainedTokenizerFast:
    """Like the first GPT's: a mark ends a word, and the last word of a text has no space behind it."""
    pieces = ["a</w>", "b", "c</w>", "\ufffd", "</w>", ".</w>"]
    inner = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(pieces)}, merges=[]))
    inner.decoder = decoders.BPEDecoder()
    return _wrapped(inner)


def _wrapped(inner: Tokenizer, **settings: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=inner, **{"clean_up_tokenization_spaces": False} | settings)


CLEAN = {"clean_up_tokenization_spaces": True}
KINDS = {
    "byte level": byte_level(),
    "byte fallback": byte_fallback(),
    "unigram": unigram(),
    "unigram, cleaned": unigram(**CLEAN),
    "unigram, byte fallback": unigram(falls_back=True),
    "word piece": word_piece(cleanup=True),
    "word piece, cleaned": word_piece(cleanup=False, **CLEAN),
    "words": words(),
    "words, cleaned": words(**CLEAN),
    "word ends": word_ends(),
}
