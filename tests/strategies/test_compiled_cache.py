import gc
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import islice

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from torch._dynamo.utils import counters

from kvdemo.core import BadInput, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies import _compiled
from kvdemo.strategies.compiled_cache import CompiledCached

from ..conftest import loaded, tiny_llama_network
from .conftest import WORDS, generated, steps_of, tokens_of, word_tokenizer
from .layered import SLIDING, STATES, model_of


def fresh() -> LoadedModel:
    return loaded("tiny-llama", tiny_llama_network(WORDS), word_tokenizer())


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.compiler.reset()  # code of another model of this shape would be found compiled
    made = fresh()
    if reason := CompiledCached().unavailable_reason(made):
        pytest.skip(reason)
    return made


def compilations() -> int:
    return int(counters["stats"]["unique_graphs"])


def test_it_compiles_in_its_first_step_and_never_again(model: LoadedModel) -> None:
    steps: Iterator[Step] = steps_of(CompiledCached(), model, "w3 w4 w5", tokens=100)
    first = next(steps)
    assert first.details["compiled_in_this_step"] == 1
    assert first.details["compile_seconds"] > 0
    compiled = compilations()
    later = list(islice(steps, 99))
    again = list(islice(steps_of(CompiledCached(), model, "w3 w4", tokens=50), 50))  # another length, the same size
    assert compilations() == compiled
    assert {step.details["compiled_in_this_step"] for step in later + again} == {0}
    assert {step.details["compile_seconds"] for step in later + again} == {first.details["compile_seconds"]}
    assert [step.tokens[0] for step in again] == generated(model, "w3 w4", 50)


def test_lanes_and_threads_do_not_share_a_cache_at_work(model: LoadedModel) -> None:
    texts = ["w3 w4 w5", "w9 w8 w7 w6"]
    expected = [generated(model, text, 30) for text in texts]
    lanes = [steps_of(CompiledCached(), model, text, tokens=30) for text in texts]
    got: list[list[int]] = [[], []]
    for turn in range(20):
        got[turn % 2] += next(lanes[turn % 2]).tokens

    def finish() -> None:
        for n, lane in enumerate(lanes):
            got[n] += [step.tokens[0] for step in islice(lane, 20)]

    before = compilations()
    thread = threading.Thread(target=finish)
    thread.start()
    thread.join()
    assert got == expected
    assert compilations() == before


def test_it_is_freed_with_its_model(model: LoadedModel) -> None:  # noqa: ARG001 - skips where nothing compiles
    other = fresh()
    tokens_of(CompiledCached(), other, "w3", 3)
    network = weakref.ref(other.network)
    del other
    gc.collect()
    assert network() is None


def test_a_model_that_goes_leaves_the_code_of_another_alone(model: LoadedModel) -> None:
    tokens_of(CompiledCached(), model, "w3 w4", 5)
    other = fresh()
    tokens_of(CompiledCached(), other, "w3", 3)
    del other
    gc.collect()
    before = compilations()
    assert tokens_of(CompiledCached(), model, "w3 w4", 20) == generated(model, "w3 w4", 20)
    assert compilations() == before


def test_more_sizes_than_can_be_kept_are_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of compiling this needs the part that keeps and forgets; making C++ of each size would take seconds."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(_compiled, "_MOST_VERSIONS", 1)
    model = fresh()
    for tokens, new in ((300, True), (300, False), (20, True), (20, False)):
        steps = list(islice(steps_of(CompiledCached(), model, "w3 w4", tokens=tokens), 20))
        assert steps[0].details["compiled_in_this_step"] == new
        assert [step.tokens[0] for step in steps] == generated(model, "w3 w4", 20)


def test_code_that_cannot_be_compiled_is_one_sentence(tiny_gpt2: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> None:
        raise TorchDynamoException("Graph break.\n\nHint: many lines")

    monkeypatch.setattr(_compiled, "of", lambda _: _compiled.Compiled(step))
    with pytest.raises(BadInput, match=r"cannot compile this model's step here \(Graph break\): use StaticCache\.$"):
        next(steps_of(CompiledCached(), tiny_gpt2, "fox", tokens=5))


def test_sizes_are_few_and_within_the_context() -> None:
    assert [_compiled.size_for(n, None) for n in (1, 256, 257, 5000)] == [256, 256, 512, 8192]
    assert _compiled.size_for(300, 400) == 400
    assert _compiled.size_for(100, 128) == 128


@pytest.mark.parametrize("name", [*SLIDING, *STATES])
def test_models_that_would_compile_at_each_position_are_refused(name: str) -> None:
    assert "compiled anew at each position" in (CompiledCached().unavailable_reason(model_of(name)) or "")


def test_reasons_why_nothing_can_be_compiled(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler cannot be found" in (CompiledCached().unavailable_reason(tiny_llama) or "")
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert "ZeroGPU" in (CompiledCached().unavailable_reason(tiny_llama) or "")
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert "transformers marks this model's code" in (CompiledCached().unavailable_reason(model_of("mpt")) or "")


def test_compiling_is_told_apart_from_decoding() -> None:
    def remark(now: float, seconds: float = 12.0) -> str:
        step = Step((), positions=1, details={"compile_seconds": seconds, "compiled_in_this_step": now})
        return CompiledCached().remarks([TimedStep(step, 1.0)])[0]

    assert remark(0) == "Compiling Compiled's step took 12 s, before the clock ran: it is in none of these times."
    assert remark(1) == "Compiled spent 12 s on compiling; it is part of its first step, not of decoding."
    assert remark(0, 0.0) == "Compiled found its step compiled already, for a model of the same shape."
