import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, LlamaConfig

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.race import RaceRequest
from kvdemo.models import loading, memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.names import catalog
from kvdemo.models.resident_model import ResidentModel
from kvdemo.models.sources import random_weights
from kvdemo.models.sources.source import Source
from kvdemo.race import session
from tests.models.saved import refusal

CPU = torch.device("cpu")
SHAPE: dict[str, Any] = {
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
    "tie_word_embeddings": True,
}


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    """`random:tiny`: a shape that is drawn in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(random_weights.DIMENSIONS, "tiny", (LlamaConfig, SHAPE))
        patch.setitem(catalog.SHAPES, "tiny", "someone/tiny")
        yield


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return loading.load("random:tiny", device="cpu")


PARAMETERS = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "smollm2-135m": 134_515_008,
    "qwen3-0.6b": 596_049_920,
    "llama-2-7b": 6_738_415_616,
    "gemma-3-1b": 999_885_952,
}


@pytest.mark.parametrize(("shape", "parameters"), PARAMETERS.items())
def test_a_shape_has_the_parameter_count_of_its_model(shape: str, parameters: int) -> None:
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(random_weights.config(shape))
    assert sum(p.numel() for p in network.parameters()) == parameters
    card = catalog.card(catalog.SHAPES[shape])
    assert card is None or (card.parameters, card.context_length) == (
        parameters,
        network.config.max_position_embeddings,
    )


def test_the_named_shapes_are_the_shapes_that_can_be_built() -> None:
    assert catalog.SHAPES.keys() == random_weights.DIMENSIONS.keys() == {*PARAMETERS, "tiny"}


@pytest.mark.parametrize("typed", ["random:gpt2", " RANDOM:GPT2\n", "random: gpt2"])
def test_a_shape_is_named_after_random(typed: str) -> None:
    name = catalog.resolve(typed, folders=False)
    assert name == ("random:gpt2", None)
    assert name.shape == "gpt2"


def test_no_other_name_has_a_shape() -> None:
    assert [catalog.resolve(typed).shape for typed in ("gpt2", "./random:gpt2", "/models/x", "a/b")] == [None] * 4


@pytest.mark.parametrize("typed", ["random:", "random:gpt3", "random:../..", "random:\x00", "random:" + "x" * 9999])
def test_an_unknown_shape_is_refused_with_the_known_ones(typed: str) -> None:
    said = refusal(lambda: loading.load(typed))
    assert said.isprintable()
    for shape in PARAMETERS:
        assert f"random:{shape}" in said


def test_random_weights_are_stated_wherever_the_model_is_described(model: LoadedModel) -> None:
    facts = model.facts()
    assert (model.id, facts["random_weights"]) == ("random:tiny", True)
    assert facts["source"] == {"kind": "random weights", "location": "someone/tiny"}
    assert model.source == Source("random weights", "someone/tiny", None)
    assert (facts["context_length"], facts["chat_template"], facts["revision"]) == (64, False, None)


def test_a_model_from_files_states_that_its_weights_are_not_random(tiny_llama: LoadedModel) -> None:
    assert tiny_llama.facts()["random_weights"] is False


def test_the_bytes_of_the_weights_count_a_tied_matrix_once(model: LoadedModel) -> None:
    assert model.network.lm_head.weight is model.network.get_input_embeddings().weight
    assert model.facts()["weight_bytes"] == 4 * model.facts()["parameters"]
    half = loading.load("random:tiny", device="cpu", dtype="bfloat16").facts()
    assert half["weight_bytes"] == 2 * half["parameters"] == model.facts()["weight_bytes"] // 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_are_finite_and_differ_in_every_number_format(dtype: torch.dtype) -> None:
    network = random_weights.network("random:tiny", CPU, dtype)
    assert {p.dtype for p in network.parameters()} == {dtype}
    with torch.inference_mode():
        logits = network(torch.tensor([[1, 2, 3]])).logits
    assert logits.isfinite().all()
    assert logits.std() > 0.01


def test_the_weights_are_reproducible_and_do_not_disturb_the_global_generator() -> None:
    before = torch.get_rng_state()
    first, second = (random_weights.network("random:tiny", CPU, torch.float32).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_equal_those_of_an_ordinarily_built_model() -> None:
    """Rotary frequencies are computed, not drawn: built without memory, they must be computed again."""
    ordinary = AutoModelForCausalLM.from_config(random_weights.config("tiny"), dtype=torch.bfloat16)
    buffers = dict(random_weights.network("random:tiny", CPU, torch.bfloat16).named_buffers())
    assert buffers
    for name, expected in ordinary.named_buffers():
        assert buffers[name].dtype == expected.dtype
        assert torch.equal(buffers[name], expected)


def test_a_random_model_uses_the_attention_of_a_model_from_files(model: LoadedModel) -> None:
    assert model.attention == "sdpa"
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())


def test_weights_larger_than_the_memory_are_refused_before_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "main_memory", lambda: 20_000_000_000)
    said = refusal(lambda: loading.load("random:llama-2-7b", device="cpu", dtype="float32"))
    assert "random:llama-2-7b needs 26,954 MB of memory and there are 20,000 MB" in said


def test_on_a_gpu_the_free_memory_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1_000_000, 141_000_000_000))
    said = refusal(lambda: random_weights.network("random:gpt2", torch.device("cuda"), torch.bfloat16))
    assert "there are 1 MB free on the GPU" in said


def test_on_a_gpu_what_torch_holds_and_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a model that was given up: its memory is torch's still, and the next model gets it."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1_000_000, 141_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 9_000_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2_000_000)
    said = refusal(lambda: random_weights.network("random:gpt2", torch.device("cuda"), torch.bfloat16))
    assert "there are 8 MB free on the GPU" in said


def test_random_weights_are_kept_in_memory_as_any_model() -> None:
    keeper = ResidentModel("cpu", allow_folders=False)
    held = keeper.get("random:tiny")
    assert keeper.get("RANDOM:TINY") is held is keeper.current
    refusal(lambda: keeper.get("random:huge"))
    assert keeper.current is held
    assert keeper.get("random:tiny", dtype="bfloat16") is not held


def test_a_model_of_random_weights_races(model: LoadedModel) -> None:
    lanes = "reencode,no_cache,dynamic_cache"
    asked = RaceRequest.parse(
        {"prompt": "What is KV caching?", "strategies": lanes, "max_new_tokens": 20, "ignore_eos": True}
    )
    made = session.run(asked, model, lambda _: None, threading.Event()).document
    reencode, no_cache, cached = made["lanes"]
    assert [lane["status"] for lane in made["lanes"]] == ["done"] * 3
    assert no_cache["tokens"] == cached["tokens"]
    # Its text must grow by a token a step, or this lane would do less work than it does on a trained model.
    assert [step["positions"] for step in reencode["steps"]] == [step["positions"] for step in no_cache["steps"]]


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))  # an empty prompt is refused
def test_any_text_is_encoded_as_a_token_per_byte_and_decoded_back(model: LoadedModel, text: str) -> None:
    ids = model.encode(model.prompt(text, chat=None))
    assert model.decode(ids) == text
    assert random_weights.END_OF_TEXT in text or len(ids) == len(text.encode())
    assert all(0 <= i <= 256 for i in ids)


@pytest.mark.parametrize("text", ["⟨300⟩", "a⟨300⟩", "<|endoftext|>"])
def test_text_that_looks_like_special_tokens_is_decoded_back(model: LoadedModel, text: str) -> None:
    assert model.decode(model.encode(model.prompt(text, chat=None))) == text


def test_every_token_id_has_a_text_that_encodes_to_it(model: LoadedModel) -> None:
    prompt = model.prompt("x", chat=False)
    for token in range(257, model.config.vocab_size):
        piece = model.piece(token)
        assert piece == model.decode([token])
        assert piece.isalpha()
        assert len(model.encode(prompt, piece)) == 2
    assert [model.piece(i) for i in model.encode(model.prompt("a ~", chat=False))] == ["a", " ", "~"]


@pytest.mark.parametrize("vocab_size", [32000, 50257, pytest.param(151936, marks=pytest.mark.slow)])
def test_the_largest_vocabularies_are_covered_to_their_last_id(vocab_size: int) -> None:
    tokenizer = random_weights.tokenizer(vocab_size)
    assert len(tokenizer) == vocab_size
    assert tokenizer.decode([vocab_size - 1]).isalpha()
    assert tokenizer.eos_token_id == 256


def test_the_end_of_text_token_is_that_of_the_tokenizer(model: LoadedModel) -> None:
    assert model.eos_ids == {256}


def test_chat_is_refused_for_lack_of_a_template(model: LoadedModel) -> None:
    with pytest.raises(BadInput, match="random:tiny has no chat template"):
        model.prompt("Hi", chat=True)
