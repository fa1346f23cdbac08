from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from kvdemo import strategies
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Step
from kvdemo.engine.start_lane import start_lane
from kvdemo.engine.timer import Stopwatch, time_steps
from kvdemo.measure.roofline.kernel_launches import LaunchCounter, Launches
from kvdemo.models.loaded import LoadedModel
from tests import scripted
from tests.tiny_models import byte_level_tokenizer, loaded


@pytest.mark.parametrize(
    ("call", "counted"),
    [
        (lambda x: x + x, 1),
        (lambda x: x.add_(1), 1),
        (lambda x: functional.linear(x, x), 1),
        (lambda x: torch.cat([x, x]), 1),
        (lambda x: x.to(torch.float64), 1),
        (lambda x: x.t().reshape(-1), 1),  # has to copy
        (lambda x: x.view(-1), 0),
        (lambda x: x.t(), 0),
        (lambda x: x[0], 0),
        (lambda x: x.split(1), 0),
        (lambda x: x.to(x.dtype), 0),
        (lambda x: x.reshape(-1), 0),
        (lambda x: functional.dropout(x, training=False), 0),
    ],
)
def test_operations_that_compute_are_counted_and_views_are_not(call: Any, counted: int) -> None:
    x: Tensor = torch.ones(2, 2)
    with torch.inference_mode(), LaunchCounter() as counter:
        call(x)
    assert counter.computed == counted


def gpt2(layers: int) -> LoadedModel:
    config = GPT2Config(vocab_size=400, n_embd=32, n_layer=layers, n_head=4, n_positions=64, bos_token_id=None)
    return loaded("gpt2", GPT2LMHeadModel(config).eval(), byte_level_tokenizer())


def counted(model: LoadedModel, spec: str = "dynamic_cache", prompt: str = "The fox", after: int = 1) -> float | None:
    """The operations of one pass of a lane, in the step after so many."""
    request = RaceRequest(prompt, max_new_tokens=12, ignore_eos=True)
    strategy, launches = strategies.get(spec), Launches()
    lane = start_lane(strategy, request, model, model.prompt(prompt, chat=False), 12, around=launches.over)
    steps = lane.run(0, Event(), str)
    for _ in range(after):
        next(steps)
    launches.on = True
    next(steps)
    return launches.per_pass


def test_each_layer_adds_the_same_number_of_operations() -> None:
    one, two, four = (counted(gpt2(layers)) or 0 for layers in (1, 2, 4))
    assert two - one >= 10  # two norms, four products, attention, two cache updates, two sums, at the least
    assert four - two == 2 * (two - one)


def test_the_count_does_not_depend_on_the_prompt_and_excludes_the_prefill(tiny_model: LoadedModel) -> None:
    assert counted(tiny_model, prompt="f") == counted(tiny_model, prompt="The quick brown fox jumps") < 200


def test_a_strategy_is_charged_its_own_operations(tiny_model: LoadedModel) -> None:
    """QuantizedCache unpacks its cache in each step; a loop without a cache has none to append to."""
    without, cached, packed = (
        counted(tiny_model, spec) or 0 for spec in ("no_cache", "dynamic_cache", "quantized_cache")
    )
    assert 0 < without < packed and 0 < cached < packed and without != cached


def test_the_count_of_a_step_of_many_passes_is_that_of_one_pass(tiny_model: LoadedModel) -> None:
    """A search is sorting beside its passes; a step of eleven of them is not taken for one."""
    whole = counted(tiny_model, "beam_search:beams=32", after=0)
    assert whole is not None and whole < 2 * (counted(tiny_model) or 0) + 40


def test_an_ended_lane_has_no_count() -> None:
    launches = Launches()
    launches.on = True
    assert list(launches.over(iter(()))) == []
    assert launches.per_pass is None


def test_recording_a_choice_is_not_counted_in_the_step() -> None:
    """Log-probabilities are worked out after the clock is read: they are no launches of the step."""
    x, launches = torch.ones(2), Launches()
    launches.on = True

    def steps() -> Iterator[Step]:
        while True:
            x.add_(1)
            yield scripted.step(1)

    def record(step: Step) -> Step:
        x.log_softmax(-1)
        return step

    next(time_steps(launches.over(steps()), lambda: None, Stopwatch(), record=record))
    assert launches.per_pass == 1
