from typing import Any

import pytest

from kvdemo.measure.forecast import Costs, sentence
from kvdemo.measure.request import MeasureRequest


def document(**lanes: list[tuple[int | None, float]]) -> dict[str, Any]:
    return {
        "lanes": [
            {"strategy": name, "steps": [{"positions": p, "seconds": s} for p, s in steps]}
            for name, steps in lanes.items()
        ]
    }


# a step costs 10 ms and 1 ms for each position
RACE = document(no_cache=[(5, 0.015), (6, 0.016), (7, 0.017)], dynamic_cache=[(5, 0.015), (1, 0.011), (1, 0.011)])


def test_the_line_through_the_steps_is_found_and_predicts_both_kinds_of_lane() -> None:
    costs = Costs.of(RACE)
    assert costs is not None
    assert costs.fixed == pytest.approx(0.010)
    assert costs.each == pytest.approx(0.001)
    # prompt 5, 3 tokens: 5 + 6 + 7 positions without a cache, 5 + 1 + 1 with one
    assert costs.seconds("no_cache", 5, 3) == pytest.approx(0.030 + 0.018)
    assert costs.seconds("dynamic_cache", 5, 3) == pytest.approx(0.030 + 0.007)


def test_the_sentence_says_the_work_and_the_time() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "max_new_tokens": 1000, "repeats": 2, "warmup": 1})
    said = sentence(request, 5, Costs.of(RACE))
    assert said.startswith("2 lanes, 2 repeats and 1 warm-up of 1,000 tokens each: 6,000 in all.")
    # 3 runs of (10 + 504.5) s and of (10 + 1.004) s: 1576.5 s
    assert said.endswith("Predicted from the steps run so far: about 26 minutes.")


def test_without_a_race_the_time_is_not_made_up() -> None:
    request = MeasureRequest.parse({"prompt": "Hi"})
    assert "is known a few seconds after the start" in sentence(request, 5, None)


def test_a_race_that_never_stepped_teaches_nothing() -> None:
    assert Costs.of(document(no_cache=[(5, 0.1)])) is None


def test_a_measurement_teaches_the_same() -> None:
    lanes = {"no_cache": [(5, 0.015), (6, 0.016), (7, 0.017)], "dynamic_cache": [(5, 0.015), (6, 0.011), (7, 0.011)]}
    measured = {"lanes": [{"strategy": name, "latency": latency} for name, latency in lanes.items()]}
    assert Costs.of(measured) == Costs.of(RACE)
    assert Costs.of({"lanes": [{"strategy": "no_cache", "latency": []}]}) is None


def test_a_lane_of_another_machine_says_nothing() -> None:
    there = document(remote=[(None, 0.5), (None, 0.4)])
    assert Costs.of(there) is None
    assert Costs.of({"lanes": RACE["lanes"] + there["lanes"]}) == Costs.of(RACE)
