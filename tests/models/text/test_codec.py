import copy
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from tests.tiny_models import loaded, tiny_llama_network


def word_start_model() -> LoadedModel:
    """A tokenizer in SentencePiece's manner: words carry a mark for the space before them."""
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "a": 1, "▁a": 2, "▁big": 3, "▁dog": 4, "s": 5}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return loaded("word-start", tiny_llama_network(8), PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def test_a_piece_keeps_the_space_of_a_word_start_marker() -> None:
    model = word_start_model()
    assert model.decode([3]) == "big"  # alone, the tokenizer drops it ...
    assert model.piece(3) == " big"  # ... behind other text it is there
    assert model.piece(5) == "s"


def test_a_piece_equals_decode_for_byte_level_tokenizers(tiny_llama: LoadedModel) -> None:
    assert [tiny_llama.piece(i) for i in range(len(tiny_llama.tokenizer))] == [
        tiny_llama.tokenizer.decode(i) for i in range(len(tiny_llama.tokenizer))
    ]


def test_the_chat_template_is_applied_where_there_is_one(tiny_llama: LoadedModel, tiny_gpt2: LoadedModel) -> None:
    rendered = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tiny_llama.prompt("Hi", chat=None).text == tiny_llama.prompt("Hi", chat=True).text == rendered
    assert tiny_llama.prompt("Hi", chat=False).text == "Hi"
    assert tiny_gpt2.prompt("Hi", chat=None).text == "Hi"
    with pytest.raises(BadInput, match="tiny-gpt2 has no chat template: switch"):
        tiny_gpt2.prompt("Hi", chat=True)


@pytest.mark.parametrize("chat", [True, False])
def test_a_long_prompt_is_encoded_once(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, chat: bool) -> None:
    """Each encoding of the longest takes half a second of all cores, and somebody's steps may be timed."""
    text, encoded = "The quick brown fox " * 1000, 0
    encode = tiny_llama.tokenizer.encode

    def counted(text: str, **how: Any) -> Any:
        nonlocal encoded
        encoded += len(text)
        return encode(text, **how)

    monkeypatch.setattr(tiny_llama.tokenizer, "encode", counted)
    assert tiny_llama.encode(tiny_llama.prompt(text, chat=chat))
    assert encoded < 1.1 * len(text)


def broken(model: LoadedModel, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> LoadedModel:
    def fails(*_: object, **__: object) -> None:
        raise error

    copied = loaded("broken", model.network, copy.deepcopy(model.tokenizer))
    monkeypatch.setattr(copied.tokenizer, method, fails)
    return copied


def test_a_tokenizer_that_cannot_encode_is_one_sentence(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = broken(tiny_llama, monkeypatch, "encode", Exception("WordLevel error: Missing [UNK]\nand more"))
    with pytest.raises(BadInput, match=r"cannot encode this text \(WordLevel error: Missing \[UNK\]\): write"):
        model.prompt("fox", chat=False)


def test_a_tokenizer_that_cannot_decode_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    model = broken(word_start_model(), monkeypatch, "decode", PanicError("a bug"))
    for use in (lambda: model.text_of([1, 2]), lambda: model.piece(2), lambda: model.decode([1])):
        with pytest.raises(BadInput, match="cannot write its tokens as text"):
            use()


class PanicError(Exception):
    """What a library in another language may raise."""


@pytest.mark.parametrize("chat", [None, False])
def test_a_prompt_without_tokens_is_refused_as_empty(tiny_llama: LoadedModel, chat: bool | None) -> None:
    """Even where a beginning or a template puts tokens around it."""
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    model = loaded("no-token", tiny_llama.network, tokenizer)
    with pytest.raises(BadInput, match="For no-token the prompt is empty: its tokenizer makes no token of it"):
        model.prompt("\u200b\u200b", chat=chat)
    assert model.encode(model.prompt("\u200bhi", chat=False)) == [0, *tokenizer.encode("hi", add_special_tokens=False)]


def test_a_token_outside_the_models_embedding_is_named(tiny_llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    rows = tiny_llama.rows
    assert rows == len(tokenizer)
    tokenizer.add_tokens(["<extra>"])
    model = loaded("small", tiny_llama.network, tokenizer)
    with pytest.raises(
        BadInput, match=f"the token '<extra>' with the id {rows}, and small knows the ids 0 to {rows - 1}"
    ):
        model.encode(model.prompt("a <extra> b", chat=False))
    assert model.encode(model.prompt("a b", chat=False))


@pytest.mark.parametrize("ids", [[None], [3, -1], ["3"]])
def test_invalid_token_ids_are_refused(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, ids: list) -> None:
    model = loaded("odd", tiny_llama.network, copy.deepcopy(tiny_llama.tokenizer))
    monkeypatch.setattr(model.tokenizer, "encode", lambda *_, **__: ids)
    with pytest.raises(BadInput, match="The prompt has the token .* with the id (None|-1|3)"):
        model.encode_text("fox", special=False)


def test_a_tokenizer_without_the_letter_a_gives_its_pieces(tiny_llama: LoadedModel) -> None:
    tokenizer = Tokenizer(models.WordLevel({"，": 0, "你好": 1, "世界": 2}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = loaded("chinese", tiny_llama.network, PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    assert [model.piece(2), model.text_of([1, 2])] == [" 世界", "你好 世界"]


def test_the_text_of_a_token_is_found_without_a_word_of_the_vocabulary(tiny_llama: LoadedModel) -> None:
    tokenizer = Tokenizer(models.WordLevel({"，": 0, "。": 1}))
    model = loaded("marks", tiny_llama.network, PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    assert model.piece(1) == "。"
