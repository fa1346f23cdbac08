from typing import Any

import pytest
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import cache_shape
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits

from ..tiny_models import loaded
from .saved import small_tokenizer
from .tiny_configs import tiny


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
    model = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), small_tokenizer())
    assert model.context_length == holds
    next_token_logits(model, [5] * holds)
    with pytest.raises((IndexError, RuntimeError)):
        next_token_logits(model, [5] * (holds + 1))


def facts_of(name: str) -> dict[str, Any]:
    config = tiny(name)
    return loaded(name, AutoModelForCausalLM.from_config(config), small_tokenizer()).facts()


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


def test_facts_list_the_query_heads_of_layers_that_differ() -> None:
    assert facts_of("laguna, other query heads in its full layer")["heads"] == [2, 4]


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
