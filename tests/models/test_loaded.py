import copy
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import cache_shape
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits

from ..tiny_models import loaded, tiny_llama_network
from .tiny_configs import tiny


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


def test_every_end_of_text_token_counts(tiny_llama: LoadedModel) -> None:
    assert tiny_llama.eos_ids == {2}


def test_facts_state_heads_and_kv_heads_separately(tiny_llama: LoadedModel, tiny_gpt2: LoadedModel) -> None:
    llama, gpt2 = tiny_llama.facts(), tiny_gpt2.facts()
    assert (llama["heads"], llama["kv_heads"], llama["head_dim"], llama["context_length"]) == (4, 2, 8, 2048)
    assert (gpt2["heads"], gpt2["kv_heads"], gpt2["head_dim"], gpt2["context_length"]) == (4, 4, 8, 512)
    assert llama["parameters"] == sum(p.numel() for p in tiny_llama.network.parameters())
    assert (llama["dtype"], llama["device"]) == ("float32", "cpu")


@pytest.mark.parametrize(
    ("kind", "holds"), [("roberta", 38), ("camembert", 38), ("data2vec-text", 38), ("opt", 40), ("bert", 40)]
)
def test_a_context_is_as_long_as_a_text_that_the_model_can_read(kind: str, holds: int) -> None:
    """RoBERTa's table of positions has rows for padding at its beginning, OPT's has them beside the 40."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "word_embed_proj_dim": 32}
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "is_decoder": True}
    config = CONFIG_MAPPING[kind](vocab_size=8, max_position_embeddings=40, **sizes, **special)
    model = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), word_start_model().tokenizer)
    assert model.context_length == holds
    next_token_logits(model, [5] * holds)
    with pytest.raises((IndexError, RuntimeError)):
        next_token_logits(model, [5] * (holds + 1))


def facts_of(name: str) -> dict[str, Any]:
    config = tiny(name)
    return loaded(name, AutoModelForCausalLM.from_config(config), word_start_model().tokenizer).facts()


@pytest.mark.parametrize(
    ("name", "kv_heads", "head_dim", "layers"),
    [
        ("falcon multi-query", 1, 8, 2),  # its configuration states as many as query heads
        ("gpt_bigcode", 1, 8, 2),
        ("falcon new", 4, 8, 2),  # transformers keeps each of the two twice
        ("deepseek_v3", 1, 16, 2),  # the latent vector, not the heads that are computed from it
        ("mimo, values narrower than keys", [1, 2], 12, 2),
        ("gemma4, other heads in its full layers", [1, 2], [8, 16], 3),
        ("gemma4, layers that share keys", 2, [8, 512], 4),
        ("llama, head_dim stated", 2, 24, 2),
        ("qwen3_next", 2, 16, 2),
    ],
)
def test_facts_state_what_the_cache_holds(name: str, kv_heads: Any, head_dim: Any, layers: int) -> None:
    facts = facts_of(name)
    assert (facts["kv_heads"], facts["head_dim"], facts["layers"], facts["heads"]) == (kv_heads, head_dim, layers, 4)


def test_a_model_of_unknown_shape_has_no_layer_facts(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise BadInput("It is not supported.")

    monkeypatch.setattr(cache_shape, "read_layer_caches", refuse)
    model = loaded("other", tiny_llama.network, tiny_llama.tokenizer)
    facts = model.facts()
    assert (facts["layers"], facts["kv_heads"], facts["head_dim"]) == (None, None, None)
    assert (facts["heads"], facts["vocab_size"], model.layers) == (4, model.rows, None)


def test_a_model_is_tried_once(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("other", tiny_llama.network, tiny_llama.tokenizer)
    first = model.facts()
    monkeypatch.setattr(cache_shape, "read_layer_caches", lambda *_: pytest.fail("a second time"))
    assert model.facts() == first


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
