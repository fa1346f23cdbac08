from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from kvdemo.core import BadInput
from kvdemo.models import cache_shape
from kvdemo.models.loaded import LoadedModel

from ..conftest import loaded, tiny_llama_network
from .tiny_configs import tiny


def word_start_model() -> LoadedModel:
    """A tokenizer in SentencePiece's manner: words carry a mark for the space before them."""
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "a": 1, "▁a": 2, "▁big": 3, "▁dog": 4, "s": 5}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return loaded("word-start", tiny_llama_network(8), PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def test_a_piece_keeps_the_space_that_a_word_start_stands_for() -> None:
    model = word_start_model()
    assert model.decode([3]) == "big"  # alone, the tokenizer drops it ...
    assert model.piece(3) == " big"  # ... behind other text it is there
    assert model.piece(5) == "s"


def test_a_piece_is_what_decode_gives_for_byte_level_tokenizers(tiny_llama: LoadedModel) -> None:
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


def test_every_end_of_text_token_counts(tiny_llama: LoadedModel) -> None:
    assert tiny_llama.eos_ids == {2}


def test_facts_state_heads_and_kv_heads_apart(tiny_llama: LoadedModel, tiny_gpt2: LoadedModel) -> None:
    llama, gpt2 = tiny_llama.facts(), tiny_gpt2.facts()
    assert (llama["heads"], llama["kv_heads"], llama["head_dim"], llama["context_length"]) == (4, 2, 8, 2048)
    assert (gpt2["heads"], gpt2["kv_heads"], gpt2["head_dim"], gpt2["context_length"]) == (4, 4, 8, 512)
    assert llama["parameters"] == sum(p.numel() for p in tiny_llama.network.parameters())
    assert (llama["dtype"], llama["device"]) == ("float32", "cpu")


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


def test_a_model_that_cannot_be_tried_has_facts_of_none(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise BadInput("It is not supported.")

    monkeypatch.setattr(cache_shape, "of", refuse)
    model = loaded("other", tiny_llama.network, tiny_llama.tokenizer)
    facts = model.facts()
    assert (facts["layers"], facts["kv_heads"], facts["head_dim"]) == (None, None, None)
    assert (facts["heads"], facts["vocab_size"], model.layers) == (4, model.rows, None)


def test_a_model_is_tried_once(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("other", tiny_llama.network, tiny_llama.tokenizer)
    first = model.facts()
    monkeypatch.setattr(cache_shape, "of", lambda *_: pytest.fail("a second time"))
    assert model.facts() == first
