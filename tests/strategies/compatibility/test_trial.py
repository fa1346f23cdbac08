"""Trials: what a model cannot do is found by running it, and nothing that it can do is refused."""

import copy
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from kvdemo import strategies
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.server import service
from kvdemo.server.questions import listings
from kvdemo.strategies.base import Job
from kvdemo.strategies.compatibility import trial
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from tests.models.tiny_configs import GROUPED, LAYERS, MAMBA_2, NO_SPECIAL, SIZES
from tests.strategies.conftest import WORDS, word_tokenizer
from tests.strategies.layered import FULL, ODD, SLIDING, STATES, model_of
from tests.tiny_models import loaded

CACHED = ("dynamic_cache", "static_cache", "batched", "prompt_lookup", "beam_search", "quantized_cache", "prefix_cache")


def llama(**numbers: Any) -> LoadedModel:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    sizes |= {"vocab_size": WORDS, "num_hidden_layers": 2, "initializer_range": 0.2}
    return loaded("tiny", LlamaForCausalLM(LlamaConfig(**sizes | numbers)).eval(), word_tokenizer())


def in_format(model: LoadedModel, dtype: torch.dtype) -> LoadedModel:
    return loaded(model.id, copy.deepcopy(model.network).to(dtype), model.tokenizer)


def passes_of(model: LoadedModel) -> list[int]:
    """The number of positions of each forward pass from now on."""
    seen: list[int] = []
    hook = model.network.register_forward_pre_hook
    hook(lambda _model, _args, given: seen.append(given["input_ids"].numel()), with_kwargs=True)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["deepseek_v32, an indexer's keys", "glm_moe_dsa"])
def test_a_model_that_chooses_among_equal_scores_is_refused_nothing_for_it(name: str, dtype: torch.dtype) -> None:
    model = in_format(model_of(name), dtype)
    for strategy in ("dynamic_cache", "static_cache", "batched", "beam_search", "prompt_lookup", "dola", "best_of_n"):
        assert strategies.get(strategy).unavailable_reason(model) is None


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [*FULL, *SLIDING, *STATES, "mamba"])
def test_correct_models_are_accepted_in_every_number_format(name: str, dtype: torch.dtype) -> None:
    model = in_format(model_of(name), dtype)
    for strategy in ("dynamic_cache", "static_cache", "batched", "beam_search"):
        assert strategies.get(strategy).unavailable_reason(model) is None
    if name not in STATES and name != "mamba":
        assert strategies.get("prompt_lookup").unavailable_reason(model) is None
        assert strategies.get("prefix_cache").unavailable_reason(model) is None
        assert strategies.get("quantized_cache").unavailable_reason(model) is None


SIXTEEN_BITS = [pytest.param(dtype, marks=pytest.mark.slow) for dtype in (torch.bfloat16, torch.float16)]


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN_BITS])
@pytest.mark.parametrize(
    ("name", "strategy"),
    [(name, "dynamic_cache") for name in sorted(set(ODD) - {"mamba", "gpt_neo", "falcon alibi"})]
    + [("gpt_neo", "static_cache"), ("falcon alibi", "static_cache")],
)
def test_wrong_texts_are_found_in_every_number_format(name: str, strategy: str, dtype: torch.dtype) -> None:
    assert strategies.get(strategy).unavailable_reason(in_format(model_of(name), dtype))


def test_a_trial_takes_a_few_passes_and_is_made_once() -> None:
    model = llama()
    passes = passes_of(model)
    assert DynamicCached().unavailable_reason(model) is None
    # Two tokens, to see that it runs; the reference; a prefill and three tokens in two lanes.
    assert len(passes) <= 1 + 10 + 2 * 4 and sum(passes) < 120
    passes.clear()
    assert DynamicCached().unavailable_reason(model) is None
    assert passes == []
    assert strategies.get("static_cache").unavailable_reason(model) is None
    assert len(passes) == 2 * 4  # the reference is shared


def test_inside_known_only_no_trial_is_run() -> None:
    model = llama()
    passes = passes_of(model)
    with trial.known_only():
        listed = listings.list_strategies(listings.find_reasons(model))
    assert passes == []
    assert {row["id"] for row in listed if row["available"]} >= set(CACHED)


def test_the_engine_lists_strategies_without_running_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = copy.deepcopy(model_of("bamba")), service.Service()
    monkeypatch.setattr(type(made), "held", model)

    def reasons() -> dict[str, str]:
        return {row["id"]: row["reason"] for row in made.strategies()}

    assert reasons()["dynamic_cache"] is None
    DynamicCached().unavailable_reason(model)
    assert "in a first trial" in reasons()["dynamic_cache"]


def test_reasons_are_not_worked_out_again_while_nothing_more_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page asks for them, in the process and beside the steps of somebody's race."""
    model, made, asked = llama(), service.Service(), []
    monkeypatch.setattr(type(made), "held", model)
    work_out = strategies.unavailable_reason
    monkeypatch.setattr(strategies, "unavailable_reason", lambda one, on: asked.append(one.id) or work_out(one, on))
    first = made.reasons()
    assert (
        first
        == listings.known_reasons(model)
        == {row["id"]: row["reason"] for row in made.strategies() if row["reason"]}
    )
    assert asked == list(strategies.introductions())
    DynamicCached().unavailable_reason(model)
    made.strategies()
    assert len(asked) == 2 * len(strategies.introductions())


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_a_trial_does_not_depend_on_the_scale_of_the_logits(factor: float) -> None:
    right, wrong = copy.deepcopy(model_of("qwen3")), copy.deepcopy(model_of("bamba"))
    for model in (right, wrong):
        with torch.no_grad():
            model.network.lm_head.weight.mul_(factor)
    assert DynamicCached().unavailable_reason(right) is None
    assert DynamicCached().unavailable_reason(wrong)


def test_faults_are_found_with_untrained_weights() -> None:
    """Their scores hardly depend on the text; the measure is how much they do."""
    torch.manual_seed(0)
    numbers = GROUPED | MAMBA_2 | {"attn_layer_indices": [1], "mamba_chunk_size": 16} | NO_SPECIAL
    bamba = AutoModelForCausalLM.from_config(CONFIG_MAPPING["bamba"](**numbers)).eval()
    assert DynamicCached().unavailable_reason(loaded("bamba", bamba, word_tokenizer()))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert DynamicCached().unavailable_reason(in_format(llama(initializer_range=0.02), dtype)) is None


def test_logits_that_are_no_numbers_are_named() -> None:
    model = llama()
    with torch.no_grad():
        model.network.lm_head.weight.fill_(float("nan"))
    reason = DynamicCached().unavailable_reason(model) or ""
    assert reason.endswith("logits are not finite numbers in this number format: run it in float32.")


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 5])
def test_a_trial_works_with_the_smallest_vocabularies(vocabulary: int) -> None:
    model = llama(vocab_size=vocabulary, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    for strategy in ("dynamic_cache", "static_cache", "prompt_lookup", "prefix_cache", "quantized_cache"):
        if vocabulary > 1:  # the runner-up of a single token is asked for
            assert strategies.get(strategy).unavailable_reason(model) is None


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("context", [2, 3, 5, 8, 12])
def test_a_trial_stays_inside_the_context(kind: str, context: int) -> None:
    sizes = {"llama": SIZES | LAYERS, "gpt2": {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}}[kind]
    config = CONFIG_MAPPING[kind](**sizes, **NO_SPECIAL, max_position_embeddings=context)
    model = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())
    assert model.context_length == context
    for strategy in CACHED:
        assert strategies.get(strategy).unavailable_reason(model) is None


@pytest.mark.parametrize(
    ("kind", "sizes", "why"),
    [
        ("xlnet", {"d_model": 32, "n_layer": 1, "n_head": 4, "d_inner": 48}, "XLNetLMHeadModel does not predict"),
        ("xlm", {"emb_dim": 32, "n_layers": 1, "n_heads": 4}, "XLMWithLMHeadModel does not predict"),
        ("xmod", SIZES | LAYERS | {"is_decoder": True}, "Input language unknown"),
    ],
)
def test_no_strategy_runs_where_a_pass_over_a_text_does_not_give_the_next_token(
    kind: str, sizes: dict[str, Any], why: str
) -> None:
    """A recommended strategy would be refused, too, or write a text that is not the model's."""
    config = CONFIG_MAPPING[kind](**{"vocab_size": WORDS, "pad_token_id": 0} | sizes)
    model = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())
    for strategy in ("no_cache", "reencode", "dynamic_cache", "beam_search"):
        reason = strategies.get(strategy).unavailable_reason(model) or "it can run"
        assert why in reason
        assert reason.endswith(": choose another model.")


def failing(error: BaseException) -> trial.Decode:
    def decode(_: Job) -> Iterator[Step]:
        raise error
        yield

    return decode


def test_an_exception_of_a_model_becomes_one_printable_line() -> None:
    error = RuntimeError("a size \x1b[31m does not fit\n" + 200 * "and so on\n")
    reason = trial.reason(llama(), "toy", failing(error), instead="no_cache") or ""
    assert reason.isprintable() and len(reason) < 200
    assert reason.startswith("its code failed in a first trial (") and reason.endswith("): use no_cache.")
    bare = trial.reason(llama(), "toy", failing(RuntimeError()), instead="no_cache")
    assert bare == "its code failed in a first trial (RuntimeError): use no_cache."


@pytest.mark.parametrize(
    "error", [AttributeError("'BltConfig' object has no attribute 'num_hidden_layers'"), KeyError(), StopIteration()]
)
def test_a_fault_in_code_names_the_models_class_and_no_python(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        reason = trial.reason(llama(), "toy", failing(error), instead="no_cache")
    assert reason == "code that it needs fails on models of class LlamaForCausalLM: use no_cache."
    assert type(error).__name__ in caplog.text and str(error) in caplog.text


def test_a_trial_that_runs_out_of_memory_is_repeated_later() -> None:
    model = llama()
    assert trial.reason(model, "toy", failing(torch.OutOfMemoryError("full")), instead="no_cache") is None
    assert trial.reason(model, "toy", failing(ValueError("small")), instead="no_cache")


def test_drafting_is_tried_with_a_wrong_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that forgets to cut it off writes on from a text that nobody chose."""
    from kvdemo.strategies.draft import verify  # noqa: PLC0415

    assert verify.unavailable_reason(llama()) is None
    monkeypatch.setattr(verify.DynamicCache, "crop", lambda *_: None)
    assert "in a first trial it did not write" in (verify.unavailable_reason(llama()) or "")
