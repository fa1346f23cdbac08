"""A verdict as data: whoever draws it needs no word of its sentences."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.events import Divergence, Ended, Finding, FindingKind
from kvdemo.core.types import Schedule
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race.verdict.judge import judge
from tests.scripted import record, search


def found(lanes: Sequence[LaneHistory], kind: str, schedule: Schedule = "fair") -> Finding:
    return next(one for one in judge(lanes, schedule).findings if one.kind == kind)


def flat(name: str, tokens: int, seconds: float, *, cached: bool = False) -> LaneHistory:
    return record(name, range(tokens), [seconds] * tokens, cached=cached)


def ended(lane: LaneHistory, reason: str) -> LaneHistory:
    lane.ended = Ended(0, reason, "No memory." if reason == "error" else None)  # type: ignore[arg-type]
    return lane


def diverged(lane: LaneHistory) -> LaneHistory:
    lane.divergence = Divergence(1, "numeric", "Because.")
    return lane


def remarked(lane: LaneHistory) -> LaneHistory:
    lane.remarks = ["It kept 4 of 7 positions."]
    return lane


RACES: list[tuple[Schedule, list[LaneHistory]]] = [
    ("fair", [flat("A", 2, 1.0)]),
    ("fair", [flat("A", 2, 1.0), flat("B", 0, 1.0)]),
    ("fair", [flat("A", 4, 1.0), remarked(flat("B", 4, 0.5, cached=True)), flat("C", 4, 2.0)]),
    ("fair", [flat("A", 4, 1.0), ended(flat("B", 4, 1.0, cached=True), "stopped")]),
    ("simultaneous", [flat("A", 4, 0.0), ended(diverged(flat("B", 4, 1.0)), "error")]),
    ("fair", [flat("A", 3, 1.0), search("B", (1.0, 1), (1.0, 3))]),
    ("fair", [flat("A", 3, 1.0), flat("B", 1, 1.0)]),
    ("fair", [flat("A", 1, 1.0), flat("B", 1, 1.0, cached=True)]),
    ("fair", [flat("A", 4, 1.0), flat("B", 4, 0.8, cached=True)]),
]


def test_every_kind_of_finding_has_a_sentence_and_a_race_that_shows_it() -> None:
    kinds = {one.kind for schedule, lanes in RACES for one in judge(lanes, schedule).findings if one.text}
    assert kinds == set(get_args(FindingKind))


@pytest.mark.parametrize(("schedule", "lanes"), RACES)
def test_a_finding_names_lanes_of_the_race_and_its_sentence_no_others(
    schedule: Schedule, lanes: list[LaneHistory]
) -> None:
    for one in judge(lanes, schedule).findings:
        named = {index for index, lane in enumerate(lanes) if f"{lane.info.name} " in one.text}
        assert set(one.lanes) <= set(range(len(lanes)))
        assert one.kind in ("best", "groups") or named <= set(one.lanes)  # these two are about all lanes


def test_the_headline_is_the_first_finding() -> None:
    got = judge([flat("Base", 2, 4.0), flat("Good", 2, 2.0), flat("Best", 2, 1.0)], "fair")
    assert [(one.kind, one.lanes) for one in got.findings[:2]] == [("faster", (2, 0)), ("faster", (1, 0))]
    assert (got.headline, *got.sentences) == tuple(one.text for one in got.findings)


def test_a_finding_on_time_has_the_numbers_of_its_sentence() -> None:
    lanes = [flat("Re-encode", 4, 1.0), record("DynamicCache", range(4), [1.0, 0.2, 0.2, 0.2], cached=True)]
    numbers = found(lanes, "faster").numbers
    assert numbers == {
        "tokens": 4, "whole": True, "seconds": pytest.approx(1.6), "baseline_seconds": 4.0, "ratio": pytest.approx(2.5),
    }  # fmt: skip
    assert found(lanes, "work").numbers == {"positions": 8, "baseline_positions": 26, "cache_bytes": 800}


def test_a_remark_is_attributed_to_its_lane_whatever_its_text() -> None:
    lanes = [flat("Window", 3, 1.0), remarked(flat("Window (64)", 3, 1.0))]
    assert found(lanes, "remark") == Finding("remark", (1,), {}, "It kept 4 of 7 positions.")


def test_the_best_lanes_are_given_by_index() -> None:
    lanes = [flat("A", 4, 1.0), flat("B", 4, 0.5, cached=True), diverged(flat("B", 4, 0.8, cached=True))]
    assert found(lanes, "best") == Finding(
        "best",
        (),
        {
            "fastest": 1, "fastest_s": 2.0, "first_token": 1, "first_token_s": 0.5, "least_memory": 1,
            "least_memory_bytes": 800, "same_text": (1,),
        },
        "Best at each: fastest B (2 s); first token B (500 ms); least memory among those that keep a cache B (800 B); "
        "same text as A: B.",
    )  # fmt: skip


def test_lanes_with_the_same_text_are_grouped_and_the_others_state_their_divergence() -> None:
    lanes = [
        record(name, tokens, [1.0] * len(tokens))
        for name, tokens in (("Re-encode", [1, 2, 9]), ("No cache", [1, 2, 3]), ("Cached", [1, 2, 3]), ("Odd", [7]))
    ]
    assert found(lanes, "groups") == Finding(
        "groups", (), {"groups": ((1, 2), (0,), (3,)), "index": (2, 0)},
        "2 lanes agree to the end: No cache and Cached; Re-encode departs after token 2; Odd departs at the first "
        "token.",
    )  # fmt: skip
    assert found(lanes[1:3] * 2, "groups").text == "All 4 lanes wrote the same text, each to its own end."
    assert not [one for one in judge(lanes[:2], "fair").findings if one.kind == "groups"]


def test_when_no_two_lanes_agree_each_is_compared_with_the_first() -> None:
    lanes = [record(name, [1, n], [1.0, 1.0]) for n, name in enumerate("ABC")]
    assert found(lanes, "groups").text == (
        "No two lanes agree to the end. Against A, B departs after token 1; C departs after token 1."
    )


def test_a_divergence_carries_its_reason() -> None:
    assert found([flat("A", 2, 1.0), diverged(flat("B", 2, 1.0))], "divergence").reason == "numeric"


def test_the_numbers_of_a_pair_belong_to_the_right_lane() -> None:
    """The lane's own have the plain name, the baseline's begin with `baseline_`."""
    pairs = [
        [record("A", range(4), [2.0, 4.0, 4.0, 4.0]), record("B", range(4), [1.5, 0.3, 0.3, 0.3], cached=True)],
        [record("A", range(4), [2.0, 4.0, 4.0, 4.0]), record("B", range(1), [1.5], cached=True)],
    ]
    seen = set()
    for lanes in pairs:
        for one in judge(lanes, "fair").findings:
            if one.lanes == (1, 0) and "baseline_first_token_s" in one.numbers:
                assert (one.numbers["first_token_s"], one.numbers["baseline_first_token_s"]) == (1.5, 2.0)
                seen.add(one.kind)
            if one.lanes == (1, 0) and "baseline_seconds" in one.numbers:
                assert one.numbers["seconds"] == sum(timed.seconds for timed in lanes[1].steps)
    assert seen == {"too_short", "same_first_step"}


def test_a_lane_with_slower_steps_is_not_said_to_be_faster_by_its_steps() -> None:
    """Here it was the prompt's step that saved the time."""
    lanes = [record("A", range(4), [3.0, 1.0, 1.0, 1.0]), record("B", range(4), [1.0, 1.1, 1.1, 1.1], cached=True)]
    numbers = found(lanes, "faster").numbers
    assert "step_share" not in numbers
    assert (numbers["first_step_s"], numbers["baseline_first_step_s"]) == (1.0, 3.0)
    assert "small_gain" not in {one.kind for one in judge(lanes, "fair").findings}


def test_a_short_prefill_is_not_given_as_the_reason_for_a_small_gain() -> None:
    """It was 6 % of the lane's time: without it the gain would have been nearly the same."""
    lanes = [record("A", range(24), [0.85] + [1.27] * 23), record("B", range(24), [0.91] + [0.63] * 23, cached=True)]
    headline = found(lanes, "faster")
    assert "prompt_share" not in headline.numbers
    assert headline.numbers["step_share"] == pytest.approx(0.63 / 1.27)
    assert "prompt_share" not in found(lanes, "small_gain").numbers


#: Steps that differ by little, by what counts, and now and then by much.
COSTS = st.lists(
    st.one_of(st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(0.1, 3.0), st.floats(4.0, 20.0)),
    min_size=2,
    max_size=12,
)


@given(COSTS, COSTS)
def test_the_cause_of_a_longer_time_is_never_a_cheaper_step_nor_that_of_a_shorter_a_dearer_one(
    base: list[float], lane: list[float]
) -> None:
    lanes = [
        record("A", range(len(base)), base, prompt=40),
        record("B", range(len(lane)), lane, cached=True, prompt=40),
    ]
    kinds: dict[str, Mapping[str, Any]] = {one.kind: one.numbers for one in judge(lanes, "fair").findings}
    kind = next(kind for kind in ("faster", "slower", "same_time") if kind in kinds)
    numbers, shared = kinds[kind], min(len(base), len(lane))
    dear, cheap = (lane, base) if kind == "slower" else (base, lane)
    apart = sum(dear[:shared]) - sum(cheap[:shared])
    assert sum(key in numbers for key in ("step_share", "prompt_share", "first_step_s", "odd_step")) <= 1
    if "step_share" in numbers:
        assert numbers["step_share"] > 1 if kind == "slower" else kind == "same_time" or numbers["step_share"] < 1
    if "first_step_s" in numbers:
        assert dear[0] - cheap[0] >= apart / 2 > 0
    if "odd_step" in numbers:
        odd = dear[numbers["odd_step"] - 1]
        assert odd == numbers["odd_step_s"] == max(dear[1:shared])
        assert odd - numbers["usual_step_s"] >= apart / 2 > 0
        assert odd > median(cheap[1:shared])
    if "no_time_saved" in kinds:
        assert "step_share" in numbers and kind != "faster"
    if "small_gain" in kinds:
        assert kind == "faster" and kinds["small_gain"]["new_seconds"] < kinds["small_gain"]["seconds"]


@given(st.integers(2, 20), st.floats(0.001, 1.0), st.floats(1.06, 1.9))
def test_steps_that_all_cost_the_same_are_the_reason_for_what_the_whole_costs(
    tokens: int, seconds: float, ratio: float
) -> None:
    for kind, costs in (("faster", (seconds * ratio, seconds)), ("slower", (seconds, seconds * ratio))):
        numbers = found([flat("A", tokens, costs[0]), flat("B", tokens, costs[1], cached=True)], kind).numbers
        assert numbers["step_share"] == pytest.approx(costs[1] / costs[0])
