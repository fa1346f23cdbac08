"""A text of megabytes, or a list of a million entries, is refused before anything reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo import samplers, strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings import strategy_spec, validation
from kvdemo.core.settings.declaration import Setting, declared, read_value
from kvdemo.core.settings.inside import MOST_ID, MOST_SHOWN_TOKENS, InsideRequest
from kvdemo.core.settings.measure import MOST_LENGTHS, MeasureRequest
from kvdemo.core.settings.race import MOST_LANES, MOST_TOKENS, RaceRequest
from kvdemo.core.types import Option
from kvdemo.costs.planner import PlanRequest

REQUESTS = (RaceRequest, MeasureRequest, InsideRequest, PlanRequest)
#: A few times what a question may take of the engine's process; reading such a text takes some hundred milliseconds.
SECONDS = 0.05
CHARACTERS = 3_900_000
FILLS = {"digits": "1", "commas": ",", "entries": "1,", "spaces": " ", "colons": ":", "pairs": ":a=b", "equals": "=",
         "letter": "a", "slashes": "a/", "emoji": "\U0001f600", "address": "https://hf.co/a/"}  # fmt: skip
#: What takes a text of any length: whoever reads it has a limit of his own (`server.limits`, `questions.planning`).
UNLIMITED = {"prompt", "append", "config"}
OPTIONS = [option for one in strategies.introductions().values() for option in one.options.values()]
SETTINGS = {f"{cls.__name__}.{name}": (cls, name, one) for cls in REQUESTS for name, one in declared(cls).items()}


def taken(act: Callable[[], object]) -> float:
    """The seconds of CPU that this takes, at the best of three tries, whether it is refused or not."""
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        try:
            act()
        except BadInput as error:
            assert len(str(error)) < 1000
        best = min(best, time.thread_time() - began)
    return best


def filled(fill: str) -> str:
    return (fill * (CHARACTERS // len(fill) + 1))[:CHARACTERS]


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize("key", SETTINGS)
def test_a_text_of_megabytes_in_any_setting_takes_no_time(key: str, fill: str) -> None:
    cls, name, one = SETTINGS[key]
    given = {"prompt": "Hi", "model": "gpt2", "memory_gb": 1, "bandwidth_gb_s": 1, name: filled(fill)}
    raw = {known: value for known, value in given.items() if known in declared(cls)}
    assert taken(lambda: cls.parse(raw)) < SECONDS
    assert taken(lambda: read_value(one, raw[name])) < SECONDS
    if name not in UNLIMITED:
        for value in (raw[name], [raw[name]], ["1"] * 2_000_000):
            with pytest.raises(BadInput, match=r"At most [\d,]+ characters are read of the "):
                read_value(one, value)


def test_only_texts_whose_readers_have_limits_may_have_any_length() -> None:
    assert {name for _, name, one in SETTINGS.values() if one.longest is None} == UNLIMITED
    assert all(option.longest is not None for option in [*OPTIONS, *samplers.options().values()])


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_a_lane_of_megabytes_and_one_with_a_setting_of_megabytes_take_no_time(fill: str) -> None:
    for spec in (filled(fill), f"dynamic_cache:{filled(fill)}", f"sliding_window:window={filled(fill)}"):
        assert taken(partial(strategies.check, spec)) < SECONDS
    for option in OPTIONS:
        assert taken(partial(read_value, option, filled(fill))) < SECONDS


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_a_setting_whose_name_or_value_has_megabytes_and_that_there_is_not_takes_no_time(fill: str) -> None:
    assert taken(lambda: RaceRequest.parse({"prompt": "Hi", filled(fill): 1})) < SECONDS
    assert taken(lambda: RaceRequest.parse({"prompt": "Hi", "turbo": filled(fill)})) < SECONDS
    assert taken(lambda: RaceRequest.parse({"prompt": "Hi", "chat": {filled(fill): [filled(fill)]}})) < SECONDS


def test_the_largest_legal_values_fit() -> None:
    ids = ", ".join([str(MOST_ID)] * MOST_SHOWN_TOKENS)
    assert InsideRequest.parse({"prompt": "Hi", "continuation": ids}).continuation == (MOST_ID,) * MOST_SHOWN_TOKENS
    folder = "/" + "m" * 4095
    assert RaceRequest.parse({"prompt": "Hi", "model": folder}).model == folder
    lengths = ", ".join(str(MOST_TOKENS - at) for at in range(MOST_LENGTHS))
    sweep = MeasureRequest.parse({"prompt": "Hi", "sweep_prompt": lengths, "sweep_tokens": lengths})
    assert len(sweep.sweep_prompt) == MOST_LENGTHS


def longest_value(option: Option) -> str:
    """As long a value as an option takes, written out."""
    match option.kind:
        case "text":
            return "/" + "m" * 4095
        case "choice":
            return max(option.offered, key=len)
        case "switch":
            return "false"
    return repr(1 / 3) if option.kind == "number" else str(int(option.high))


@pytest.mark.parametrize("strategy_id", strategies.introductions())
def test_as_many_lanes_as_there_may_be_fit_with_every_setting_at_its_longest(strategy_id: str) -> None:
    options = {**strategies.introductions()[strategy_id].options, **samplers.options()}
    spec = ":".join([strategy_id, *(f"{name}={longest_value(option)}" for name, option in options.items())])
    read = RaceRequest.parse({"prompt": "Hi", "strategies": ",".join([spec] * MOST_LANES)})
    assert read.strategies == (spec,) * MOST_LANES
    assert strategy_spec.split(spec)[0] == strategy_id


@pytest.mark.parametrize("kind", ["lengths", "ids"])
def test_entries_are_counted_before_any_is_read(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Setting((), "Entries", "numbers", typed=kind, high=9, most=3)
    monkeypatch.setattr(validation, "whole", lambda *_: pytest.fail("an entry is read"))
    for value in ("1,1,1,1", ["x"] * 4):
        with pytest.raises(BadInput, match="4 entries are too many"):
            read_value(one, value)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)


@given(PLAIN | st.lists(PLAIN, max_size=80) | st.dictionaries(st.text(max_size=5), PLAIN, max_size=1))
def test_a_value_is_quoted_as_python_writes_its_beginning(value: Any) -> None:
    written = ascii(value)
    assert validation.show(value) == (written if len(written) <= 60 else f"{written[:57]}...")


@pytest.mark.parametrize(
    "value", [filled("a"), filled("\U0001f600"), [filled("a")] * 4, [[]] * 1_000_000, {filled("k"): 1}]
)
def test_a_value_of_megabytes_is_quoted_in_no_time(value: Any) -> None:
    assert len(validation.show(value)) <= 60
    assert taken(lambda: validation.show(value)) < SECONDS
