"""Cached against uncached logits: those of an independent computation, in each number format that can run."""

import copy
import threading

import pytest
import torch
from transformers import DynamicCache

from kvdemo.core.events import PanelsShown
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.documents import schema
from kvdemo.inside import model_copy, session
from kvdemo.inside.panels import rounding
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.inside.shown import TEXT, shown
from tests.strategies.layered import ODD, model_of

WORDS = "w10 w11 w12 w13 w14 w15 w16 w17 w18 w19"


@torch.inference_mode()
def by_hand(model: LoadedModel, ids: list[int], tokens: list[int], dtype: torch.dtype) -> list[tuple[float, float]]:
    """The largest difference and the margin of each step: a cache beside a pass of its own for each length."""
    network = copy.deepcopy(model.network).to(dtype)
    cache, found = DynamicCache(config=network.config), []
    new = ids
    for at in range(len(tokens)):
        with_cache = network(input_ids=torch.tensor([new]), **cache_kwargs(network, cache)).logits[0, -1].float()
        text = torch.tensor([ids + tokens[:at]])
        without = network(input_ids=text, **cache_kwargs(network, None)).logits[0, -1].float()
        best = without.sort(descending=True).values
        found.append((float((with_cache - without).abs().max()), float(best[0] - best[1])))
        new = tokens[at : at + 1]
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_logits_are_those_of_a_pass_for_each_length(tiny_model: LoadedModel, dtype: torch.dtype) -> None:
    formats = {found["dtype"]: found for found in shown(tiny_model, "rounding")["formats"]}
    found = formats[str(dtype).removeprefix("torch.")]
    tokens = [step["token"] for step in found["steps"]]
    assert len(tokens) == rounding.STEPS
    expected = by_hand(tiny_model, tiny_model.tokenizer.encode(TEXT), tokens, dtype)
    # A pass over the whole text and one for each length round differently: by some units of the format.
    rounded = 32 * torch.finfo(dtype).eps
    for step, (difference, margin) in zip(found["steps"], expected, strict=True):
        assert step["largest_difference"] == pytest.approx(difference, abs=rounded)
        assert step["margin"] == pytest.approx(margin, abs=rounded)
    assert found["largest_difference"] == max(step["largest_difference"] for step in found["steps"])
    assert found["smallest_margin"] == min(step["margin"] for step in found["steps"])


def test_all_formats_compare_the_text_of_the_models_own_format(tiny_model: LoadedModel) -> None:
    formats = shown(tiny_model, "rounding")["formats"]
    assert [found["dtype"] for found in formats] == ["float32", "bfloat16", "float16"]
    assert len({tuple(step["token"] for step in found["steps"]) for found in formats}) == 1
    assert all(step["same"] for step in formats[0]["steps"])
    for step in formats[0]["steps"]:
        assert step["cached"] == step["uncached"] == tiny_model.piece(step["token"])
    assert formats[0]["largest_difference"] < 1e-4


def test_each_format_is_shown_as_soon_as_it_is_compared(tiny_llama: LoadedModel) -> None:
    grown: list[int] = []

    def emit(event: object) -> None:
        if isinstance(event, PanelsShown) and "rounding" in event.document["panels"]:
            schema.check(event.document)
            grown.append(len(event.document["panels"]["rounding"]["formats"]))

    request = InsideRequest.parse({"prompt": TEXT, "panels": "rounding"})
    session.run(request, tiny_llama, emit, threading.Event())
    assert list(dict.fromkeys(grown)) == [1, 2, 3]


def test_a_sixteen_bit_format_differs_more_than_float32(smollm2: LoadedModel) -> None:
    """Not each of them on each processor: some round a text of a few tokens alike with a cache and without."""
    single, *halves = shown(smollm2, "rounding")["formats"]
    assert 0 < single["largest_difference"] < 1e-3
    assert max(half["largest_difference"] for half in halves) > 10 * single["largest_difference"]


def test_a_fault_of_the_cache_is_shown(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    own = rounding.next_token_logits

    def faulty(model: LoadedModel, ids: list[int], cache: DynamicCache) -> torch.Tensor:
        logits = own(model, ids, cache)
        cache.layers[0].keys.mul_(1.1)
        return logits

    monkeypatch.setattr(rounding, "next_token_logits", faulty)
    assert shown(tiny_llama, "rounding")["formats"][0]["largest_difference"] > 1e-3


def test_weights_that_leave_a_formats_range_are_named() -> None:
    model = copy.deepcopy(model_of("qwen3"))
    with torch.no_grad():
        model.network.lm_head.weight.mul_(1e6)
    full, half = (shown(model, "rounding", WORDS)["formats"][at] for at in (0, 2))
    assert full["steps"] and "infinity" in half["cannot"]


def test_a_copy_that_memory_cannot_hold_is_left_out(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_copy.memory, "available", lambda: 1000)
    own, *others = shown(tiny_llama, "rounding")["formats"]
    assert own["steps"]
    assert all("of memory" in found["cannot"] and found["dtype"] in found["cannot"] for found in others)


def test_a_format_that_the_device_lacks_is_left_out(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    own = rounding.forward

    def forward(model: LoadedModel, *given: object, **options: object) -> torch.Tensor:
        if model.dtype == torch.bfloat16:
            raise RuntimeError("not implemented for 'BFloat16'")
        return own(model, *given, **options)

    monkeypatch.setattr(rounding, "forward", forward)
    formats = shown(tiny_llama, "rounding")["formats"]
    assert "cannot run in bfloat16 on cpu" in formats[1]["cannot"]
    assert formats[0]["steps"] and formats[2]["steps"]


@pytest.mark.parametrize("name", ["openai-gpt", "bert", "rwkv"])
def test_models_without_a_cache_show_the_sums_alone(name: str) -> None:
    panel = shown(model_of(name), "rounding", WORDS)
    assert all("cannot go on from a cache" in found["cannot"] for found in panel["formats"])
    assert panel["sum"]["numbers"] == panel["scatter"]["numbers"] > 0
    assert name in ODD


@pytest.mark.parametrize("name", ["mistral", "gemma2", "deepseek_v3", "lfm2", "falcon_h1", "mamba"])
def test_windows_latents_and_states_are_compared_in_float32(name: str) -> None:
    first = shown(model_of(name), "rounding", WORDS)["formats"][0]
    assert first["largest_difference"] < 1e-3 and all(step["same"] for step in first["steps"])


def test_a_text_that_fills_the_context_is_shortened(tiny_gpt2: LoadedModel) -> None:
    ids = tiny_gpt2.tokenizer.encode("fox " * 512)[:512]
    panel = shown(tiny_gpt2, "rounding", tiny_gpt2.decode(ids))
    assert f"first {512 - rounding.STEPS} tokens" in panel["note"]
    assert len(panel["formats"][0]["steps"]) == rounding.STEPS
    assert shown(tiny_gpt2, "rounding", "a", max_new_tokens=1)["note"] is None


def test_the_requested_number_of_tokens_is_compared(tiny_llama: LoadedModel) -> None:
    panel = shown(tiny_llama, "rounding", "a", max_new_tokens=2)
    assert all(len(found["steps"]) == 2 for found in panel["formats"])


def test_a_sum_depends_on_its_order() -> None:
    found = rounding.split_sum(torch.device("cpu"))
    numbers = torch.randn(rounding.NUMBERS, generator=torch.Generator().manual_seed(rounding.SEED))
    assert found["exact"] == pytest.approx(float(numbers.double().sum()), abs=1e-9)
    assert found["whole"] == float(numbers.sum())
    assert found["difference"] == abs(found["whole"] - found["split"]) > 0
    assert found["whole"] == pytest.approx(found["exact"], rel=1e-5)
    assert found["split"] == pytest.approx(found["exact"], rel=1e-5)


def test_a_scatter_add_on_a_cpu_is_the_same_each_time() -> None:
    found = rounding.scatter_add(torch.device("cpu"))
    assert found["results"] == 1 and found["largest_difference"] == 0
    assert "fixed order" in found["sentence"]


def test_the_sentence_states_the_observed_number_of_results() -> None:
    assert "3 results" in rounding.scatter_sentence("cuda", 3)
    assert "this time" in rounding.scatter_sentence("cuda", 1)
    assert "3 results" in rounding.scatter_sentence("cpu", 3)
