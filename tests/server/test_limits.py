"""What one visitor may ask for is limited on the server, whatever the page, a link or a program sends."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.cancellation import TimeLimit
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Ended, Finished, RaceEvent
from kvdemo.core.settings.race import RaceRequest
from kvdemo.server import limits
from kvdemo.server.limits import Limits
from kvdemo.server.service import Service

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy.md"
FORM: dict[str, Any] = {"prompt": "The quick brown fox", "max_new_tokens": 8, "ignore_eos": True}
SIX = "no_cache,reencode,dynamic_cache,static_cache,no_cache,reencode"


@pytest.fixture(scope="module")
def small(tiny_folder: Path) -> Service:
    made = Service(str(tiny_folder), device="cpu", limits=Limits(tokens=100, prompt_characters=50, lanes=2, steps=150))
    made.preload()
    return made


def events_of(batches: Iterator[list[RaceEvent]]) -> list[RaceEvent]:
    return [event for batch in batches for event in batch]


@pytest.mark.parametrize(
    ("asked", "says", "fits"),
    [
        ({"max_new_tokens": 1_000_000, "strategies": "no_cache"}, "at most 100 new tokens", 100),
        ({"max_new_tokens": 90}, "180 tokens to decode, and this server allows 150 a race: ask for at most 75", 75),
        ({"strategies": SIX}, "runs 2 lanes at a time, and here are 6", None),
        (
            {"strategies": "remote:concurrency=17"},
            "at most 16 equal requests at once, .* lower its concurrency to 16",
            None,
        ),
        ({"prompt": "x" * 51}, "51 characters, and this server reads 50", None),
    ],
)
def test_a_race_beyond_a_limit_is_refused_with_the_largest_that_fits(
    small: Service, asked: dict[str, Any], says: str, fits: int | None
) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        small.race(FORM | asked, "large")
    assert refused.value.max_new_tokens == fits
    if fits:
        assert isinstance(events_of(small.race(FORM | asked | {"max_new_tokens": fits}, "fits"))[-1], Finished)


@pytest.mark.parametrize("spelling", ["17", "+17", "0017", " 17", "+0_17"])
def test_no_spelling_of_a_number_passes_a_limit_of_a_lane(small: Service, spelling: str) -> None:
    with pytest.raises(BadInput, match="at most 16 equal requests|whole number"):
        small.race(FORM | {"strategies": f"remote:concurrency={spelling}"}, "many")


@pytest.mark.parametrize(("name", "called"), [("prompt", "prompt"), ("append", "appended text")])
def test_a_text_that_inside_cannot_read_is_refused(small: Service, name: str, called: str) -> None:
    with pytest.raises(BadInput, match=f"The {called} has 51 characters, and this server reads 50"):
        small.inside({"prompt": "Hi", name: "x" * 51}, "long")


def test_six_lanes_of_a_million_tokens_are_refused_without_any_setting(tiny_folder: Path) -> None:
    with pytest.raises(BadInput, match="at most 8,192"):
        Service(str(tiny_folder), device="cpu").race(FORM | {"strategies": SIX, "max_new_tokens": 1_000_000}, "r")


def test_every_kind_of_run_is_limited(small: Service) -> None:
    long = {"prompt": "x" * 51, "max_new_tokens": 1}
    for ask in (small.measure, small.inside):
        with pytest.raises(BadInput, match="51 characters"):
            ask(long, "m")
    with pytest.raises(BadInput, match="51 characters"):
        small.fit(long)  # asked at each key stroke
    assert "51 characters" in small.estimate(long)


def test_the_token_slider_ends_at_the_servers_limit(small: Service) -> None:
    fit = small.fit(FORM)
    assert fit is not None
    assert fit["max_new_tokens"] == 100 < fit["context_length"] - fit["prompt_tokens"]


def test_a_race_is_stopped_at_the_time_limit_with_its_text_and_the_reason(
    small: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(TimeLimit, "clock", staticmethod(lambda: 100 * next(ticks)))  # a look takes 100 s
    events = events_of(small.race(FORM | {"max_new_tokens": 60}, "long"))
    assert {event.reason for event in events if isinstance(event, Ended)} == {"stopped"}
    assert isinstance(events[-1], Finished)
    said = " ".join(events[-1].verdict.sentences)
    assert "was stopped after 900 s, the longest that this server runs one" in said


def test_a_time_limit_sets_the_stop_flag_and_states_the_reason() -> None:
    stop = threading.Event()
    limit = TimeLimit(stop, 1_000, "It took too long.")
    assert (limit.is_set(), limit.why) == (False, "")
    limit.set()
    assert stop.is_set()
    assert (limit.is_set(), limit.why) == (True, "")  # the visitor stopped it
    late = TimeLimit(threading.Event(), 0, "It took too long.")
    assert (late.is_set(), late.why) == (True, "It took too long.")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KVDEMO_MAX_TOKENS", "many", "KVDEMO_MAX_TOKENS must be a whole number above 0, not 'many'"),
        ("KVDEMO_MAX_TOKENS", "0", "above 0"),
        ("KVDEMO_MAX_TOKEN", "5", "There is no limit KVDEMO_MAX_TOKEN: there are KVDEMO_MAX_TOKENS,"),
    ],
)
def test_an_invalid_limit_is_refused_at_the_start(name: str, value: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Limits.of({name: value})


def test_every_limit_is_read_from_its_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Limits.model_fields:
        assert getattr(Limits.of({limits.variable(name): "7"}), name) == 7
    monkeypatch.setenv("KVDEMO_MAX_STEPS", "9")
    assert Limits.of_environment().steps == 9


@given(lanes=st.integers(1, 6), tokens=st.integers(1, 1_000_000), steps=st.integers(1, 10_000), most=st.integers(1, 99))
def test_the_token_count_that_a_refusal_offers_is_accepted(lanes: int, tokens: int, steps: int, most: int) -> None:
    limited = Limits(steps=steps, tokens=most)
    request = RaceRequest("x", max_new_tokens=tokens, strategies=("no_cache",) * lanes)
    try:
        limited.check(request)
    except BadInput as refused:
        offered = refused.max_new_tokens
        assert offered is not None or steps < lanes
        if offered is not None:
            assert offered <= most or offered * lanes <= steps
            second = RaceRequest("x", max_new_tokens=offered, strategies=("no_cache",) * lanes)
            if tokens <= most:
                limited.check(second)


def test_the_deployment_page_lists_every_limit_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(KVDEMO_MAX_\w+)` \| ([\d,]+) \|", DEPLOY.read_text(encoding="utf-8"), re.MULTILINE))
    defaults = {limits.variable(name): f"{field.default:,}" for name, field in Limits.model_fields.items()}
    assert rows == defaults
