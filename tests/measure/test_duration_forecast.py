from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.types import Pass
from kvdemo.costs.formulas import positions_cached, positions_uncached
from kvdemo.measure.duration_forecast import StepTimeModel, sentence
from tests.toy import REFRESH, added


def document(**lanes: list[tuple[int | None, float]]) -> dict[str, Any]:
    return {
        "lanes": [
            {"strategy": name, "steps": [{"positions": p, "seconds": s} for p, s in steps]}
            for name, steps in lanes.items()
        ]
    }


# a step costs 10 ms and 1 ms for each position
RACE = document(no_cache=[(5, 0.015), (6, 0.016), (7, 0.017)], dynamic_cache=[(5, 0.015), (1, 0.011), (1, 0.011)])


def test_the_fitted_line_predicts_lanes_with_and_without_a_cache() -> None:
    costs = StepTimeModel.fit(RACE)
    assert costs is not None
    assert costs.fixed == pytest.approx(0.010)
    assert costs.each == pytest.approx(0.001)
    # prompt 5, 3 tokens: 5 + 6 + 7 positions without a cache, 5 + 1 + 1 with one
    assert costs.seconds("no_cache", 5, 3) == pytest.approx(0.030 + 0.018)
    assert costs.seconds("dynamic_cache", 5, 3) == pytest.approx(0.030 + 0.007)


def test_the_sentence_states_the_work_and_the_time() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "max_new_tokens": 1000, "repeats": 2, "warmup": 1})
    said = sentence(request, 5, StepTimeModel.fit(RACE))
    assert said.startswith("2 lanes, 2 repeats and 1 warm-up of 1,000 tokens each: 6,000 in all.")
    # 3 runs of (10 + 504.5) s and of (10 + 1.004) s: 1576.5 s
    assert said.endswith("Predicted from the steps run so far: about 26 minutes.")


def test_without_a_run_no_time_is_forecast() -> None:
    request = MeasureRequest.parse({"prompt": "Hi"})
    assert "is known a few seconds after the start" in sentence(request, 5, None)


def test_a_race_without_steps_gives_no_forecast() -> None:
    assert StepTimeModel.fit(document(no_cache=[(5, 0.1)])) is None


def test_a_measurement_gives_the_same_forecast() -> None:
    lanes = {"no_cache": [(5, 0.015), (6, 0.016), (7, 0.017)], "dynamic_cache": [(5, 0.015), (6, 0.011), (7, 0.011)]}
    measured = {"lanes": [{"strategy": name, "latency": latency} for name, latency in lanes.items()]}
    assert StepTimeModel.fit(measured) == StepTimeModel.fit(RACE)
    assert StepTimeModel.fit({"lanes": [{"strategy": "no_cache", "latency": []}]}) is None


def test_a_remote_lane_gives_no_forecast() -> None:
    there = document(remote=[(None, 0.5), (None, 0.4)])
    assert StepTimeModel.fit(there) is None
    assert StepTimeModel.fit({"lanes": RACE["lanes"] + there["lanes"]}) == StepTimeModel.fit(RACE)


# A step of the scripted device: 10 ms a pass and 0.2 ms a position; of several rows a position costs a tenth.
A, B = 0.010, 0.0002
PROMPT = 40


def entry(rows: int, positions: int, context: int) -> dict[str, Any]:
    return asdict(Pass(rows, positions, context))


def plain(n: int, *, whole: bool) -> list[dict[str, Any]]:
    positions = [PROMPT + i if whole or i == 0 else 1 for i in range(n)]
    return [{"positions": p, "seconds": A + B * p, "tokens": 1} for p in positions]


def batched(rows: int, n: int) -> list[dict[str, Any]]:
    positions = [PROMPT, *[1] * (n - 1)]
    return [
        {"positions": rows * p, "seconds": A + B * p + B / 10 * (rows - 1) * p, "tokens": 1,
         "passes": [entry(rows, p, PROMPT + i)]}
        for i, p in enumerate(positions)
    ]  # fmt: skip


def compiled(n: int) -> list[dict[str, Any]]:
    return [{"positions": PROMPT if i == 0 else 1, "seconds": A + B * PROMPT if i == 0 else A / 8, "tokens": 1}
            for i in range(n)]  # fmt: skip


def beams(rows: int, n: int) -> list[dict[str, Any]]:
    """The whole search in one step."""
    passes = [entry(1, PROMPT, PROMPT), *[entry(rows, 1, PROMPT + i) for i in range(1, n)]]
    seconds = n * A + B * (PROMPT + rows * (n - 1))
    return [{"positions": PROMPT + rows * (n - 1), "seconds": seconds, "tokens": n, "passes": passes}]


def raced(**lanes: list[dict[str, Any]]) -> dict[str, Any]:
    options = {"batched": {"rows": 64}, "beam_search": {"beams": 8}}
    return {"lanes": [{"strategy": name, "options": options.get(name, {}), "steps": s} for name, s in lanes.items()]}


ALL = {
    "no_cache": plain(30, whole=True),
    "dynamic_cache": plain(30, whole=False),
    "batched": batched(64, 30),
    "compiled_cache": compiled(30),
    "beam_search": beams(8, 30),
}


@pytest.mark.parametrize("others", [(), ("batched",), ("compiled_cache",), ("beam_search",), tuple(ALL)[2:]])
@pytest.mark.parametrize("known", [("no_cache",), ("dynamic_cache",), ("no_cache", "dynamic_cache")])
@pytest.mark.parametrize(("prompt", "tokens"), [(40, 30), (40, 1000), (800, 200)])
def test_other_strategies_do_not_change_the_forecast_of_plain_lanes(
    others: tuple[str, ...], known: tuple[str, ...], prompt: int, tokens: int
) -> None:
    costs = StepTimeModel.fit(raced(**{name: ALL[name] for name in (*known, *others)}))
    assert costs is not None
    for strategy, positions in (
        ("no_cache", positions_uncached(prompt, tokens)),
        ("reencode", positions_uncached(prompt, tokens)),
        ("dynamic_cache", positions_cached(prompt, tokens)),
        ("static_cache", positions_cached(prompt, tokens)),
    ):
        assert costs.seconds(strategy, prompt, tokens) == pytest.approx(A * tokens + B * positions, rel=0.2)


def test_a_lane_with_known_steps_is_predicted_by_them() -> None:
    costs = StepTimeModel.fit(raced(**ALL))
    assert costs is not None
    assert costs.seconds("compiled_cache", PROMPT, 100) == pytest.approx(A + B * PROMPT + 99 * A / 8)
    one = A + B + B / 10 * 63
    assert costs.seconds("batched:rows=64", PROMPT, 100) == pytest.approx(
        A + B * PROMPT + 63 * B / 10 * PROMPT + 99 * one
    )
    whole = ALL["beam_search"][0]["seconds"]
    assert costs.seconds("beam_search:beams=8", PROMPT, 60) == pytest.approx(2 * whole, rel=0.05)


def test_steps_of_several_rows_are_used_if_there_are_no_others() -> None:
    """Each pass of a search reads the weights once, so its passes are steps of a plain lane, near enough."""
    costs = StepTimeModel.fit(raced(batched=batched(4, 30), beam_search=beams(8, 30)))
    assert costs is not None
    assert costs.seconds("dynamic_cache", PROMPT, 100) == pytest.approx(100 * A + B * 139, rel=0.3)


def test_eager_steps_are_forecast_from_eager_ones_and_not_from_compiled_ones() -> None:
    only = StepTimeModel.fit(raced(compiled_cache=compiled(30)))
    assert only is not None and only.seconds("dynamic_cache", PROMPT, 100) is None
    request = MeasureRequest.parse({"prompt": "Hi", "strategies": "dynamic_cache"})
    assert "is known a few seconds after the start" in sentence(request, PROMPT, only)
    both = only.after(StepTimeModel.fit(raced(dynamic_cache=plain(3, whole=False))))
    assert both.seconds("dynamic_cache", PROMPT, 100) == pytest.approx(100 * A + B * 139)
    assert both.seconds("compiled_cache", PROMPT, 100) == only.seconds("compiled_cache", PROMPT, 100)


def test_unknown_rows_are_taken_from_the_setting() -> None:
    costs = StepTimeModel.fit(raced(dynamic_cache=plain(30, whole=False)))
    assert costs is not None
    assert costs.seconds("batched:rows=64", 100, 10) == pytest.approx(10 * A + 64 * 109 * B)
    assert costs.seconds("beam_search:beams=32", 100, 10) == pytest.approx(10 * A + (100 + 32 * 9) * B)


def test_a_measurement_of_several_rows_forecasts_as_a_race_of_them() -> None:
    steps = batched(64, 30)
    latency = [[PROMPT + n, s["seconds"]] for n, s in enumerate(steps)]
    lane = {"strategy": "batched:rows=64", "latency": latency, "passes": [s["passes"] for s in steps]}
    assert StepTimeModel.fit({"lanes": [lane]}) == StepTimeModel.fit(raced(batched=steps))


def test_a_new_strategy_that_recomputes_is_forecast_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy states it; no list of ids does."""
    source = REFRESH.replace("    lossless = True\n", "    lossless = True\n    recomputes = True\n")
    with added(tmp_path, monkeypatch, source):
        costs = StepTimeModel.fit(RACE)
        assert costs is not None
        assert costs.seconds("refresh", 5, 3) == costs.seconds("no_cache", 5, 3)
