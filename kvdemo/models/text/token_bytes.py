"""Find how a tokenizer writes tokens as text: by which bytes, and what it cleans up afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from kvdemo.models.text.detokenizer import EACH_BYTE

BytesOf = Callable[[int], bytes | None]


def spelling(tokenizer: PreTrainedTokenizerBase) -> tuple[BytesOf, str]:
    """Return each token's bytes as `TextStream` takes them, and the error handler that writes as this tokenizer does.

    Byte-level tokenizers (GPT-2, Llama 3, Qwen) spell everything by bytes and write one U+FFFD for a broken character.
    With byte fallback (Llama 2, Mistral, Gemma) there are 256 tokens <0x00> to <0xFF> for what has no token of its
    own, and one U+FFFD for each byte of a broken character. For any other tokenizer, or one whose decoder is not
    known, each token stands for characters.
    """
    kinds = set(_decoders(tokenizer))
    if kinds == {"ByteLevel"}:
        return lambda token: _of_byte_level(tokenizer, token), "replace"
    if kinds:
        falls_back = "ByteFallback" in kinds
        return lambda token: _of_fallback(tokenizer, token, falls_back), EACH_BYTE
    return lambda _: None, "replace"


def cleaner(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], str] | None:
    """Return what removes the spaces before punctuation after `decode`; None where nothing does, or `decode` by itself.

    transformers leaves the texts of BPE tokenizers alone, whatever their settings ask for.
    """
    if not getattr(tokenizer, "clean_up_tokenization_spaces", False):
        return None
    if type(tokenizer).clean_up_tokenization is not PreTrainedTokenizerBase.clean_up_tokenization:
        return None
    all_the_same = getattr(tokenizer, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", False)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and type(backend.model).__name__ == "BPE" and not all_the_same:
        return None
    clean: Callable[[str], str] = tokenizer.clean_up_tokenization
    return clean


def _decoders(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """List the types of a tokenizer's decoders, in order; none where its class decodes in another way."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return
    if type(tokenizer)._decode is not PreTrainedTokenizerFast._decode:  # `decode` hands over to it
        return
    decoder = tokenizer.backend_tokenizer.decoder
    if decoder is None:
        yield "none"
        return
    waiting: list[dict[str, Any]] = [json.loads(decoder.__getstate__())]
    while waiting:
        state = waiting.pop(0)
        waiting = list(state.get("decoders", ())) + waiting
        if "decoders" not in state:
            yield state["type"]


@cache
def _byte_level_alphabet() -> dict[str, int]:
    return {character: byte for byte, character in bytes_to_unicode().items()}


def _of_byte_level(tokenizer: PreTrainedTokenizerBase, token: int) -> bytes:
    """Spell a token as the ByteLevel decoder does: one with characters outside its alphabet is written as it is."""
    word, alphabet = tokenizer.convert_ids_to_tokens(token), _byte_level_alphabet()
    if word is None:
        return b""
    try:
        return bytes(alphabet[character] for character in word)
    except KeyError:
        return str(word).encode()


def _of_fallback(tokenizer: PreTrainedTokenizerBase, token: int, falls_back: bool) -> bytes | None:
    word = tokenizer.convert_ids_to_tokens(token)
    if word is None:
        return b""
    if falls_back and len(word) == 6 and word.startswith("<0x") and word.endswith(">"):
        try:
            return bytes([int(word[3:5], 16)])
        except ValueError:
            return None
    return None
