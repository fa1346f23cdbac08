"""What a lane was set to, in both kinds of documents, and which lanes are compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kvdemo.compare.comparison import compare
from kvdemo.compare.text import as_text
from kvdemo.compare.validation import load
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.race import Sampling
from kvdemo.samplers import Rule
from kvdemo.strategies import introductions, read
from tests.measure.documents import measured, raced

SAME = "Both ran the same work, and nothing else that both files state differs."


def race(*specs: str, **settings: float) -> dict[str, Any]:
    """A race of these lanes, as the race writes it. Each takes another time, by its place: 1 s, 2 s ..."""
    document = raced({})
    document["settings"] |= settings
    for place, spec in enumerate(specs, start=1):
        lane = raced({read(spec)[0].id: [float(place)] * 4})["lanes"][0]
        document["lanes"].append(lane | set_to(spec, settings))
    return document


def measurement(*specs: str, states_all: bool = True, **settings: float) -> dict[str, Any]:
    """A measurement of these lanes: the spec is the strategy, and in older files all that is stated."""
    document = measured({spec: [1.0, 1.1] for spec in specs}, statistics=False)
    document["settings"] |= settings
    for lane in document["lanes"]:
        del lane["name"]
        lane.update(set_to(lane["strategy"], settings) if states_all else {})
    return document


def set_to(spec: str, settings: dict[str, float]) -> dict[str, Any]:
    """What a document states of a lane's settings."""
    strategy, options, given = read(spec)
    rule = Rule(Sampling(**{**Sampling().__dict__, **settings}), given)  # type: ignore[arg-type]
    return {"options": options, "sampling": rule.recorded if strategy.samples else {}}


def compared(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return compare(*(load(json.dumps(document)) for document in (a, b)))


def names(found: dict[str, Any]) -> list[str]:
    return [lane["name"] for lane in found["lanes"]]


def test_lanes_that_were_set_differently_are_shown_and_nothing_is_claimed() -> None:
    found = compared(
        race("dynamic_cache", "beam_search:beams=2", "sliding_window:window=8:sinks=2"),
        race("dynamic_cache:temperature=0.9", "beam_search:beams=16", "sliding_window:window=100:sinks=2"),
    )
    assert found["headline"] == (
        "The work differs (temperature of DynamicCache, beams of Beam search, window of Sliding window (sinks 2)): "
        "the times are shown, and no significance is claimed."
    )
    assert found["like_with_like"] is False
    assert [lane["same_work"] for lane in found["lanes"]] == [False] * 3
    assert {"field": "beams of Beam search", "a": 2, "b": 16} in found["differences"]
    assert [lane["warnings"] for lane in found["lanes"]] == [
        ["A and B were set differently: temperature 0.0 in A and 0.9 in B."],
        ["A and B were set differently: beams 2 in A and 16 in B."],
        ["A and B were set differently: window 8 in A and 100 in B."],
    ]
    assert all("The work differs" in row["claim"] for lane in found["lanes"] for row in lane["metrics"].values())
    assert "were set differently: beams 2 in A and 16 in B" in as_text(found)


def test_one_lane_that_was_set_differently_leaves_the_others_their_claims() -> None:
    found = compared(measurement("no_cache", "batched:rows=2"), measurement("no_cache", "batched:rows=3"))
    assert found["headline"] == "The work differs in part (rows of Batched): no significance is claimed there."
    assert [lane["metrics"]["e2e_s"]["significant"] for lane in found["lanes"]] == [False, None]
    assert found["like_with_like"] is False


@pytest.mark.parametrize("make", [race, measurement])
def test_lanes_of_one_strategy_are_matched_by_their_settings_and_not_by_their_order(make: Any) -> None:
    specs = ("sliding_window:window=6", "sliding_window:window=100", "no_cache:temperature=0.5", "no_cache")
    found = compared(make(*specs), make(*specs[::-1]))
    assert (found["headline"], found["like_with_like"]) == (SAME, True)
    assert names(found) == [
        "Sliding window (window 6)",
        "Sliding window (window 100)",
        "No cache · temperature 0.5",
        "No cache",
    ]
    if make is race:  # the time tells the lane
        assert [lane["metrics"]["e2e_s"]["b"]["mean"] for lane in found["lanes"]] == [16, 12, 8, 4]


@pytest.mark.parametrize("strategy", introductions())
def test_a_measurement_and_a_race_of_the_same_lane_are_matched(strategy: str) -> None:
    found = compared(measurement(strategy), race(strategy))
    assert found["headline"] == "Both ran the same work; the kind of run differs."
    assert found["like_with_like"] is True


@pytest.mark.parametrize(
    "spec",
    ["sliding_window:window=6", "sliding_window:sinks=4", "dola:plausibility=0.25:layers=high:temperature=0.9",
     "dynamic_cache:temperature=0.9:top_k=5", "dynamic_cache:repetition_penalty=1.2", "remote:concurrency=2"],
)  # fmt: skip
def test_settings_are_read_from_the_spec_of_a_measurement(spec: str) -> None:
    other = spec.split(":", maxsplit=1)[0]
    found = compared(
        measurement(spec, f"{other}:temperature=1.5", states_all=False), race(f"{other}:temperature=1.5", spec)
    )
    assert found["headline"] == "Both ran the same work; the kind of run differs."
    assert len(found["lanes"]) == 2


@pytest.mark.parametrize("make", [race, measurement])
def test_what_a_file_states_goes_before_the_defaults_of_this_version(make: Any) -> None:
    other = make("beam_search", "dynamic_cache")
    other["lanes"][0]["options"] |= {"beams": 3}
    found = compared(make("beam_search", "dynamic_cache"), other)
    assert found["headline"] == "The work differs in part (beams of Beam search): no significance is claimed there."


def test_of_several_candidates_with_other_settings_none_is_chosen() -> None:
    found = compared(race("sliding_window:window=6"), race("sliding_window:window=8", "sliding_window:window=9"))
    assert found["lanes"] == []
    assert found["headline"] == (
        "Nothing can be compared: the strategies in both files have several lanes there, and none with the same "
        "settings."
    )
    assert found["only_a"] == ["Sliding window (window 6)"]
    assert found["only_b"] == ["Sliding window (window 8)", "Sliding window (window 9)"]


def test_of_several_candidates_one_with_the_same_options_is_chosen() -> None:
    found = compared(
        race("sliding_window:window=6", "sliding_window:window=9"),
        race("sliding_window:window=9:temperature=0.5", "sliding_window:window=6:temperature=0.5"),
    )
    assert names(found) == ["Sliding window (window 6)", "Sliding window (window 9)"]
    assert [lane["metrics"]["e2e_s"]["b"]["mean"] for lane in found["lanes"]] == [8, 4]


def test_equal_lanes_are_matched_in_order_and_numbered() -> None:
    found = compared(race("no_cache", "no_cache"), race("no_cache", "reencode", "no_cache"))
    assert names(found) == ["No cache", "No cache #2"]
    assert [lane["metrics"]["e2e_s"]["b"]["mean"] for lane in found["lanes"]] == [4, 12]


@pytest.mark.parametrize("setting", ["top_p=0.5", "top_k=20", "min_p=0.1", "seed=3"])
def test_a_setting_that_does_nothing_at_temperature_0_is_no_other_work(setting: str) -> None:
    for make in (race, measurement):
        found = compared(make("no_cache"), make(f"no_cache:{setting}"))
        assert (found["headline"], found["like_with_like"]) == (SAME, True)
        drawn = compared(make("no_cache:temperature=0.5"), make(f"no_cache:temperature=0.5:{setting}"))
        assert drawn["like_with_like"] is (setting == "seed=3")  # other random numbers are no other work
        assert len(drawn["differences"]) == 1


def test_a_setting_that_does_something_at_temperature_0_is_other_work() -> None:
    found = compared(race("no_cache"), race("no_cache:repetition_penalty=1.2"))
    assert "repetition penalty of No cache" in found["headline"]


def test_a_setting_for_all_lanes_counts_where_it_has_an_effect() -> None:
    greedy = compared(race("no_cache", top_p=0.5), race("no_cache"))
    assert greedy["headline"] == "Both ran the same work; the top-p differs."
    assert greedy["like_with_like"] is True
    drawn = compared(race("no_cache", top_p=0.5, temperature=1.0), race("no_cache", temperature=1.0))
    assert drawn["headline"].startswith("The work differs (top-p):")
    assert drawn["lanes"][0]["warnings"] == []
    of_its_own = compared(race("no_cache", "batched", temperature=0.5), race("no_cache:temperature=0.5", "batched"))
    assert of_its_own["headline"] == "The work differs in part (temperature): no significance is claimed there."
    assert [lane["same_work"] for lane in of_its_own["lanes"]] == [True, False]


@pytest.mark.parametrize("settings", [{"seed": 7}, {"top_p": 0.5}])
def test_lanes_are_matched_across_another_setting_for_all(settings: dict[str, float]) -> None:
    specs = ("no_cache:temperature=0.5", "no_cache:temperature=0.9")
    found = compared(race(*specs), race(*specs[::-1], **settings))
    assert [lane["metrics"]["e2e_s"]["b"]["mean"] for lane in found["lanes"]] == [8, 4]
    assert len(found["differences"]) == 1


def test_nothing_compared_is_not_like_with_like() -> None:
    assert compared(race("no_cache"), race("reencode"))["like_with_like"] is False
    empty = race("no_cache")
    empty["lanes"][0]["steps"] = []
    assert compared(empty, empty)["like_with_like"] is False


def test_a_strategy_that_is_not_known_here_is_compared_by_what_the_files_say() -> None:
    def of(**options: Any) -> dict[str, Any]:
        document = raced({"else\x1bwhere": [1.0]})
        document["lanes"][0] |= {"options": options, "sampling": {"temperature": 0.0, "spell": "x"}}
        return document

    assert compared(of(depth=2), of(depth=2))["like_with_like"] is True
    found = compared(of(depth=2), of(depth=3, more="a\nb"))
    assert found["lanes"][0]["warnings"] == [
        "A and B were set differently: depth 2 in A and 3 in B, more not stated in A and a b in B."
    ]
    assert names(compared(of(depth=2), of(depth=2)))[0].startswith("else where (depth 2)")
    measured_ = compared(
        measurement("elsewhere:depth=2", states_all=False), measurement("elsewhere:depth=3", states_all=False)
    )
    assert measured_["lanes"][0]["warnings"][0] == "A and B were set differently: depth 2 in A and 3 in B."


def test_what_a_file_does_not_state_is_no_difference() -> None:
    """Files of other versions: lanes without options, settings without a temperature."""
    old = raced({"sliding_window": [1.0] * 4})
    assert compared(old, race("sliding_window:window=6"))["headline"] == SAME
    silent = race("no_cache", temperature=0.9)
    del silent["lanes"][0]["sampling"]
    for name in ("temperature", "top_p", "seed"):
        del silent["settings"][name]
    assert compared(silent, race("no_cache", temperature=0.5))["headline"] == SAME


@pytest.mark.parametrize("strategy", ["a:b", "a:x=1:x=2", ":", "sliding_window:window=far", "no_cache" + ":a=1" * 999])
def test_a_spec_that_cannot_be_read_is_a_name(strategy: str) -> None:
    document = measurement(strategy, states_all=False)
    assert compared(document, document)["like_with_like"] is True


@pytest.mark.parametrize("make", [race, measurement])
@pytest.mark.parametrize(
    ("entry", "value", "named"),
    [
        ("options", [], "lanes[0].options must be an object"),
        ("options", {"window": [8]}, "lanes[0].options.window must be a text or a number"),
        ("sampling", {"\x1b" * 200: {}}, "lanes[0].sampling."),
        ("sampling", {str(n): 1 for n in range(65)}, "lanes[0].sampling must have at most 64 settings"),
    ],
)
def test_settings_that_are_none_are_refused(make: Any, entry: str, value: Any, named: str) -> None:
    document = make("no_cache")
    document["lanes"][0][entry] = value
    with pytest.raises(BadInput) as raised:
        load(json.dumps(document))
    message = str(raised.value)
    assert named in message and message.isprintable() and len(message) < 250
