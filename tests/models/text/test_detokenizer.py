"""Streamed text: the pieces of an answer are its text, for any tokenizer and wherever the answer breaks off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import CTRLTokenizer, PreTrainedTokenizerFast

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.detokenizer import TextStream
from tests.models.kinds import BYTES, KINDS
from tests.tiny_models import loaded, tiny_llama_network

CHARACTERS = ["a", " ", "\n", "é", "日", "本", "ไ", "ท", "👩\u200d💻", "e\u0301", "ש", "\ufffd", "\u202e", "😀"]


@pytest.fixture(scope="module")
def models() -> dict[str, LoadedModel]:
    network = tiny_llama_network(512)
    return {name: loaded(name, network, tokenizer) for name, tokenizer in KINDS.items()}


def spelled(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The ids that spell a text byte by byte, [] for a tokenizer that has no such tokens."""
    if "<0xE6>" in tokenizer.get_vocab():
        return tokenizer.convert_tokens_to_ids([BYTES[byte] for byte in text.encode()])
    return list(tokenizer.encode(text, add_special_tokens=False)) if tokenizer is KINDS["byte level"] else []


@st.composite
def answers(draw: Any, name: str) -> list[int]:
    """Any tokens, whole characters among them, and perhaps ids that no token has; cut anywhere."""
    tokenizer = KINDS[name]
    one = st.integers(0, len(tokenizer) + 1).map(lambda token: [token])
    character = st.sampled_from(CHARACTERS).map(lambda text: spelled(tokenizer, text))
    ids = [token for part in draw(st.lists(st.one_of(one, character), max_size=12)) for token in part]
    return ids[: draw(st.integers(0, len(ids)))]


def runs(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> Iterator[tuple[bool, list[str]]]:
    """The tokens of an answer in runs: of bytes, and of others."""
    tokens = [token for token in tokenizer.convert_ids_to_tokens(ids) if token is not None]
    for spells, run in groupby(tokens, key=lambda token: token in BYTES):
        yield spells, list(run)


def data_of(run: Sequence[str]) -> bytes:
    return bytes(int(token[3:5], 16) for token in run)


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_the_pieces_of_an_answer_join_to_decode_of_all_its_tokens(
    models: dict[str, LoadedModel], name: str, data: st.DataObject
) -> None:
    ids = data.draw(answers(name))
    assume(all(not spells or is_text(data_of(run)) for spells, run in runs(KINDS[name], ids)))
    assert models[name].text_of(ids) == KINDS[name].decode(ids)


@given(data=st.data())
def test_complete_characters_in_a_broken_run_of_byte_tokens_are_kept(
    models: dict[str, LoadedModel], data: st.DataObject
) -> None:
    """`decode` gives the run up whole. Right is what SentencePiece itself writes: U+FFFD for each broken byte."""
    tokenizer, ids = KINDS["byte fallback"], data.draw(answers("byte fallback"))
    text = ""
    for spells, run in runs(tokenizer, ids):
        text += data_of(run).decode(errors="kvdemo.each_byte") if spells else "".join(run).replace("▁", " ")
    assert models["byte fallback"].text_of(ids) == text.removeprefix(" ")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_text_that_was_shown_never_changes(models: dict[str, LoadedModel], name: str, data: st.DataObject) -> None:
    ids = data.draw(answers(name))
    stream, shown = models[name].text_stream(), ""
    for n, token in enumerate(ids, start=1):
        shown += stream.push(token)
        cut = models[name].text_of(ids[:n])
        assert cut.startswith(shown)
        assert shown + stream.branch().flush() == cut


@given(text=st.text(st.characters(codec="utf-8")), cut=st.integers(0, 60))
def test_the_pieces_of_a_cut_text_join_to_the_text(tiny_llama: LoadedModel, text: str, cut: int) -> None:
    ids = tiny_llama.tokenizer.encode(text, add_special_tokens=False)[:cut]
    assert tiny_llama.text_of(ids) == tiny_llama.decode(ids)


@given(text=st.text(st.characters(codec="utf-8")), cut=st.integers(0, 60))
def test_the_pieces_join_to_the_text_with_the_real_tokenizer(smollm2: LoadedModel, text: str, cut: int) -> None:
    ids = smollm2.tokenizer.encode(text, add_special_tokens=False)[:cut]
    assert smollm2.text_of(ids) == smollm2.decode(ids)


def test_a_first_token_of_a_space_and_half_a_character_is_written_once(smollm2: LoadedModel) -> None:
    ids = smollm2.tokenizer.encode(" Ã", add_special_tokens=False)
    stream = smollm2.text_stream()
    assert stream.push(ids[0]) == " "
    assert smollm2.text_of(ids[:1]) == " \ufffd" == smollm2.decode(ids[:1])
    assert smollm2.text_of(ids) == " Ã"


def test_half_a_character_waits_for_its_other_half(tiny_llama: LoadedModel) -> None:
    ids = tiny_llama.tokenizer.encode("🐶", add_special_tokens=False)
    assert len(ids) == 4  # one token a byte: the tiny tokenizer has never seen a dog
    stream = tiny_llama.text_stream()
    assert [stream.push(token) for token in ids] == ["", "", "", "🐶"]
    assert stream.flush() == ""


def test_a_whole_character_is_shown_though_its_token_begins_another(tiny_llama: LoadedModel) -> None:
    stream = tiny_llama.text_stream()
    first, second, *_ = tiny_llama.tokenizer.encode("🐶", add_special_tokens=False)
    assert [stream.push(token) for token in (first, first, second)] == ["", "\ufffd", ""]
    assert stream.flush() == "\ufffd"


def test_byte_tokens_are_shown_character_by_character(models: dict[str, LoadedModel]) -> None:
    model = models["byte fallback"]
    stream = model.text_stream()
    pieces = [stream.push(token) for token in spelled(model.tokenizer, "語でs")]
    assert pieces == ["", "", "語", "", "", "で", "s"]


def test_branches_share_the_pending_bytes_and_nothing_after_them(tiny_llama: LoadedModel) -> None:
    dog, cat = (tiny_llama.tokenizer.encode(text, add_special_tokens=False) for text in "🐶🐱")
    assert dog[:3] == cat[:3]
    stream = tiny_llama.text_stream()
    assert [stream.push(token) for token in dog[:2]] == ["", ""]
    branches = stream.branch(), stream.branch()
    shown = ["".join(branch.push(t) for t in ids[2:]) for branch, ids in zip(branches, (dog, cat), strict=True)]
    assert shown == ["🐶", "🐱"]


class OfUnknownKind:
    """A decoder of which nothing is known, as a tokenizer written in Python has it: two tokens are one character."""

    letters: ClassVar = {(1, 2): "ä", (1, 3): "ö"}

    def __call__(self, ids: Sequence[int]) -> str:
        text, rest = "", list(ids)
        while rest:
            whole = self.letters.get(tuple(rest[:2]))
            text += whole or "\ufffd"
            rest = rest[2 if whole else 1 :]
        return text


def test_text_of_an_unknown_decoder_is_held_back_for_a_few_tokens_only() -> None:
    stream = TextStream(OfUnknownKind())
    assert [stream.push(token) for token in (1, 3, 1, 2)] == ["", "ö", "", "ä"]
    assert [stream.push(7) for _ in range(4)] == ["", "", "", "\ufffd" * 4]
    assert [stream.push(1), stream.flush()] == ["", "\ufffd"]


@given(ids=st.lists(st.integers(0, 5), max_size=12), cut=st.integers(0, 12))
def test_parts_of_words_with_a_continuation_mark_are_joined(ctrl: LoadedModel, ids: list, cut: int) -> None:
    """In Python, without a decoder of the tokenizers library: "un@@ be@@ liev@@ able" is one word."""
    assert ctrl.text_of(ids[:cut]) == ctrl.tokenizer.decode(ids[:cut])


@pytest.fixture(scope="module")
def ctrl(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("ctrl")
    vocabulary = {word: n for n, word in enumerate(["<unk>", "un@@", "liev@@", "able", "dog", "."])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nu n\n", "utf-8")
    tokenizer = CTRLTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return loaded("ctrl", tiny_llama_network(8), tokenizer)


@pytest.mark.parametrize("name", [*KINDS, "unknown"])
def test_each_push_decodes_a_handful_of_tokens(models: dict[str, LoadedModel], name: str) -> None:
    longest = 0

    def counted(decode: Any) -> Any:
        def decoded(ids: Sequence[int]) -> str:
            nonlocal longest
            longest = max(longest, len(ids))
            return str(decode(ids))

        return decoded

    stream = TextStream(OfUnknownKind()) if name == "unknown" else models[name].text_stream()
    stream.decode = counted(stream.decode)
    for token in [7] * 300 + [1] * 300 + list(range(300)):
        stream.push(token)
    assert longest <= 8
