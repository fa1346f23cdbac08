import logging
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Ended
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Step
from kvdemo.engine.start_lane import describe_failure, start_lane
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.recompute.no_cache import NoCache


class Fails(Strategy):
    """Fails before its first step, or after it."""

    id, name, summary, lossless = "fails", "Fails", "Fails.", True
    error: ClassVar[Exception]
    at_once: ClassVar[bool]

    def decode(self, job: Job) -> Iterator[Step]:
        if self.at_once:
            raise self.error
        return self._later(job)

    def _later(self, job: Job) -> Iterator[Step]:
        yield next(NoCache().decode(job))
        raise self.error


def said(model: LoadedModel, error: Exception, *, at_once: bool) -> str:
    """What the lane says of its failure."""
    Fails.error, Fails.at_once = error, at_once
    request = RaceRequest(prompt="The quick", chat=False, ignore_eos=True)
    lane = start_lane(Fails(), request, model, model.prompt("The quick", chat=False), 4)
    ended = list(lane.run(0, threading.Event(), describe_failure))[-1]
    assert isinstance(ended, Ended) and ended.reason == "error" and ended.error
    return ended.error


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'BltPatcher' object has no attribute 'lm_head'"),
        TypeError("forward() got an unexpected keyword argument 'cache'"),
        IndexError("list index out of range"),
        KeyError("layer_types"),
        AssertionError(),
        NotImplementedError(),
        NameError("name 'x' is not defined"),
        ZeroDivisionError("integer modulo by zero"),
        StopIteration(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_in_code_is_a_sentence_for_the_reader_and_goes_to_the_log(
    tiny_model: LoadedModel, caplog: pytest.LogCaptureFixture, error: Exception, at_once: bool
) -> None:
    """A model's class may do anything, as BLT does, whose patches have a model of their own."""
    with caplog.at_level(logging.WARNING):
        sentence = said(tiny_model, error, at_once=at_once)
    assert sentence == (
        f"Fails cannot go on with {tiny_model.id}: code that it needs fails on models of class "
        f"{type(tiny_model.network).__name__}. "
        "Choose another strategy or model."
    )
    assert type(error).__name__ in caplog.text
    assert str(error) in caplog.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadInput("Shorten the prompt."), "Shorten the prompt."),
        (RuntimeError("CUDA error: device-side assert triggered"), "RuntimeError: CUDA error: device-side assert trig"),
        (MemoryError(), "The device ran out of memory"),
    ],
)
def test_what_libraries_say_of_devices_is_passed_on(tiny_model: LoadedModel, error: Exception, expected: str) -> None:
    assert said(tiny_model, error, at_once=False).startswith(expected)


def test_no_account_of_a_failure_quotes_a_fault_in_code(caplog: pytest.LogCaptureFixture) -> None:
    """A second look at a race, a measurement's floors and a panel of Inside fail beside any lane."""
    with caplog.at_level(logging.WARNING):
        sentence = describe_failure(IndexError("list index out of range"))
    assert sentence == "Code that it needs fails, and this program's log says where."
    assert "list index out of range" in caplog.text
