"""A whole measurement on a tiny model: what is run, in which order, and what stays when it is stopped or fails."""

import json
import threading
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.system import core_waits
from kvdemo.core.system.core_waits import CoreWaits
from kvdemo.core.types import LaneInfo
from kvdemo.documents import schema
from kvdemo.measure import measurement
from kvdemo.measure.report.document import comparison
from kvdemo.measure.report.lane_entry import LaneTrials, lane_entry
from kvdemo.measure.report.sweep_cell import sweep_cell
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks
from kvdemo.measure.single_run import Trial
from kvdemo.measure.state import State
from kvdemo.models.loaded import LoadedModel
from tests.scripted import time_steps

pytestmark = pytest.mark.slow

LIMITS = DevicePeaks(1e10, 2e10, 1e11, 1e-6, "float32", "cpu")
QUICK = {"prompt": "The fox", "max_new_tokens": 6, "repeats": 4, "chat": False}


@pytest.fixture(autouse=True)
def known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "measure_peaks", lambda *_: LIMITS)


def measure(model: LoadedModel, stop_at: str | None = None, **changed: Any) -> tuple[dict[str, Any], list[State]]:
    """The document, and all that was told on the way. `stop_at` presses Stop at the first state with that text."""
    states, stop = [], threading.Event()

    def emit(state: State) -> None:
        states.append(state)
        if stop_at and stop_at in state.text:
            stop.set()

    request = MeasureRequest.parse(QUICK | changed)
    made = measurement.run(request, model, "run1", emit, stop)
    for state in states:
        if state.document:
            schema.check(state.document)
    return made, states


def test_every_lane_runs_as_often_as_asked_in_alternating_order(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama)
    assert (made["status"], made["kind"], made["run_id"]) == ("done", "measure", "run1")
    assert [[run["position"] for run in lane["runs"]] for lane in made["lanes"]] == [[0, 1, 0, 1], [1, 0, 1, 0]]
    for lane in made["lanes"]:
        assert lane["status"] == "done"
        assert [run["tokens"] for run in lane["runs"]] == [6] * 4
        assert lane["statistics"]["e2e_s"]["n"] == 4
        assert lane["statistics"]["itl_s"]["n"] == 4 * 5
        assert lane["deterministic"]
        assert [context for context, _ in lane["latency"]] == [len(made["prompt"]["tokens"]) + n for n in range(6)]


def test_each_lane_states_all_its_settings(tiny_llama: LoadedModel) -> None:
    strategies = ["sliding_window:window=6:temperature=0.5", "dynamic_cache", "contrastive_search"]
    made, _ = measure(tiny_llama, strategies=strategies, top_p=0.8, max_new_tokens=2, repeats=1)
    assert [lane["strategy"] for lane in made["lanes"]] == strategies
    assert [lane["options"] for lane in made["lanes"]] == [
        {"window": 6, "sinks": 4}, {}, {"candidates": 4, "alpha": 0.6}
    ]  # fmt: skip
    sampled = {"temperature": 0.5, "top_p": 0.8, "seed": 0}
    assert [lane["sampling"] for lane in made["lanes"]] == [sampled, sampled | {"temperature": 0.0}, {}]


def test_the_times_of_a_run_add_up(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama)
    for lane in made["lanes"]:
        for run in lane["runs"]:
            assert run["e2e_s"] == pytest.approx(run["ttft_s"] + run["decode_s"])
            assert run["tpot_s"] == pytest.approx(run["decode_s"] / 5)
            assert 0 < run["tokenize_s"] < run["ttft_s"]


def test_the_bytes_of_the_cache_are_those_of_the_formula(tiny_model: LoadedModel) -> None:
    no_cache, cached = measure(tiny_model, repeats=1)[0]["lanes"]
    assert cached["memory"]["cache_bytes"] == cached["memory"]["cache_bytes_formula"] > 0
    assert (no_cache["memory"]["cache_bytes"], no_cache["memory"]["cache_bytes_formula"]) == (0, 0)


def test_all_lanes_wrote_the_same_and_one_is_compared_with_the_first(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama)
    assert made["lanes"][0]["tokens"] == made["lanes"][1]["tokens"]
    assert made["comparison"]["baseline"] == "no_cache"
    (compared,) = made["comparison"]["lanes"]
    means = [lane["statistics"]["e2e_s"]["mean"] for lane in made["lanes"]]
    assert compared["speedup"] == pytest.approx(means[0] / means[1])


def test_a_sweep_has_a_cell_for_each_pair_and_a_reason_in_each(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, repeats=1, sweep_prompt="4,8,16", sweep_tokens="2,4,6")
    cells = made["sweep"]["cells"]
    assert [(c["prompt_tokens"], c["new_tokens"]) for c in cells] == [(p, n) for p in (4, 8, 16) for n in (2, 4, 6)]
    for found in cells:
        assert found["speedup"]["dynamic_cache"] == pytest.approx(
            found["seconds"]["no_cache"] / found["seconds"]["dynamic_cache"]
        )
        assert set(found["bound"].values()) <= {"launch", "bandwidth", "compute"}
        assert "bound by" in found["reason"]


def test_stopping_keeps_the_finished_repeats(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, stop_at="Repeat 3 of 4: DynamicCache")
    assert made["status"] == "stopped"
    assert [len(lane["runs"]) for lane in made["lanes"]] == [3, 2]  # it is told before a run what is to come
    assert [lane["status"] for lane in made["lanes"]] == ["stopped", "stopped"]
    assert made["comparison"]["lanes"][0]["speedup"] > 0


def test_a_stop_before_anything_ran_gives_an_empty_document(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, stop_at="Measuring the device")
    assert made["status"] == "stopped"
    assert all(lane["runs"] == [] and lane["statistics"] is None for lane in made["lanes"])
    assert made["comparison"]["lanes"] == []


def test_every_intermediate_state_is_a_complete_document(tiny_llama: LoadedModel) -> None:
    made, states = measure(tiny_llama, repeats=2)
    documents = [state.document for state in states if state.document]
    assert [d["status"] for d in documents[:-1]] == ["running"] * (len(documents) - 1)
    assert documents[-1] == made
    assert all(d.keys() == made.keys() for d in documents)
    json.dumps(made, allow_nan=False)  # and it can be written down


def test_the_time_left_is_known_from_the_warm_up_on_and_falls_to_zero(tiny_llama: LoadedModel) -> None:
    states = measure(tiny_llama)[1]
    left = [state.remaining_s for state in states if state.text.startswith(("Warm", "Repeat"))]
    assert None not in left
    assert (states[-1].remaining_s, states[-1].fraction) == (0.0, 1.0)


def test_a_lane_that_fails_is_not_run_again_and_the_other_goes_on(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvdemo.strategies.recompute import no_cache  # noqa: PLC0415

    calls = []

    def broken(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(no_cache, "next_token_logits", broken)
    made, _ = measure(tiny_llama, warmup=0)
    assert [lane["status"] for lane in made["lanes"]] == ["failed", "done"]
    assert (made["status"], made["error"]) == ("failed", "RuntimeError: broken on purpose")
    assert len(calls) <= 2  # the probe, and one attempt
    assert made["comparison"]["lanes"] == []


def test_lanes_with_different_token_counts_are_not_compared() -> None:
    lanes = [
        LaneTrials(LaneInfo(name, name, "", lossless=True), [Trial(list(time_steps([0.1] * n)), "length")], [0])
        for name, n in (("a", 5), ("b", 4))
    ]
    (refused,) = comparison(lanes)["lanes"]
    assert refused["speedup"] is None
    assert "did not write equally many tokens" in refused["statement"]


def test_a_length_beyond_the_context_is_refused_with_both_numbers(tiny_gpt2: LoadedModel) -> None:
    with pytest.raises(BadInput, match="ask for at most"):
        measure(tiny_gpt2, max_new_tokens=600)
    with pytest.raises(BadInput, match="sweep's longest prompt and its most new tokens are 600 together .* 512"):
        measure(tiny_gpt2, sweep_prompt="8,500", sweep_tokens="100")


def test_the_floors_cover_the_contexts_of_the_run(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, repeats=1)
    prompt = len(made["prompt"]["tokens"])
    assert made["roofline"]["context"][0] == prompt
    assert made["roofline"]["context"][-1] == prompt + 6
    assert made["roofline"]["basis"] == "predicted"
    assert made["memory"]["at"][0]["bytes"] == 1024 * made["memory"]["bytes_per_token"]


def test_a_measurement_beside_other_work_says_so(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its runs are watched, and nothing else is."""
    runs: list[float] = []

    class Busy(CoreWaits):
        def _so_far(self) -> dict[str, int]:
            runs.append(self.watched_s)
            return {"thread": 10**9 * len(runs)}  # a second between each look and the next

    monkeypatch.setattr(core_waits, "MOST", 0.1)
    monkeypatch.setattr(measurement, "CoreWaits", Busy)
    made, _ = measure(tiny_llama, warmup=1, repeats=2)
    assert len(runs) == 2 * 2 * (1 + 2)  # two looks at each of two lanes' runs
    assert any(note.startswith("Other work used this machine's cores meanwhile") for note in made["notes"])


def test_a_model_of_unknown_shape_is_timed_without_floors(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(*_: object) -> None:
        raise BadInput("This model keeps states of its own.")

    monkeypatch.setattr(measurement.architecture, "from_config", strange)
    made, _ = measure(tiny_llama, repeats=1, sweep_prompt="4", sweep_tokens="2")
    assert made["status"] == "done"
    assert made["notes"] == ["No floors and no reasons: This model keeps states of its own."]
    assert (made["roofline"], made["memory"], made["lanes"][1]["roofline"]) == (None, None, None)
    assert made["sweep"]["cells"][0]["reason"].startswith("What binds them cannot be said")


def test_a_sweep_of_one_lane_has_no_comparison(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, strategies="dynamic_cache", sweep_prompt="4", sweep_tokens="1,2", repeats=1)
    assert {cell["reason"] for cell in made["sweep"]["cells"]} == {"There is one lane: nothing to compare it with."}


def test_overlapping_runs_of_a_sweep_are_not_called_different(tiny_llama: LoadedModel) -> None:
    machine = RooflineModel(
        measurement.architecture.from_config(tiny_llama.network.config), LIMITS, 4, 100, tiny_llama.read_bytes
    )

    def lane(name: str, *totals: float) -> tuple[LaneInfo, list[Trial]]:
        info = LaneInfo(name, name, "", lossless=True)
        return info, [Trial(list(time_steps([t])), "length") for t in totals]

    near = sweep_cell(5, 1, {"a": lane("A", 1.0, 1.2), "b": lane("B", 1.1, 1.3)}, machine)
    assert "bound by" in near["reason"] and near["reason"].endswith("the two cannot be told apart.")
    far = sweep_cell(5, 1, {"a": lane("A", 1.0, 1.2), "b": lane("B", 0.5, 0.6)}, machine)
    assert far["reason"].endswith("B is 2.00× as fast.")
    assert far["range"] == {"a": [1.0, 1.2], "b": [0.5, 0.6]}


def test_a_stop_in_a_sweep_keeps_the_row_that_every_lane_has_run(tiny_llama: LoadedModel) -> None:
    made, _ = measure(tiny_llama, stop_at="Sweep, 8 prompt tokens", sweep_prompt="4,8", sweep_tokens="2", repeats=1)
    assert [c["prompt_tokens"] for c in made["sweep"]["cells"]] == [4]


@pytest.mark.parametrize("seconds", [(0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (0.1, 0.1)])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_zero_or_equal_times_are_compared_without_a_wrong_number(
    tiny_llama: LoadedModel, seconds: tuple[float, float], runs: int
) -> None:
    """A clock may not tick, and all runs may take the same time."""
    machine = RooflineModel(
        measurement.architecture.from_config(tiny_llama.network.config), LIMITS, 4, 100, tiny_llama.read_bytes
    )
    lanes = [
        LaneTrials(
            LaneInfo(name, name, "", lossless=True), [Trial(list(time_steps([s] * 3)), "length")] * runs, [0] * runs
        )
        for name, s in zip("ab", seconds, strict=True)
    ]
    (compared,) = comparison(lanes)["lanes"]
    assert compared["speedup"] == (1.0 if min(seconds) > 0 else None) and compared["statement"].endswith(".")
    found = sweep_cell(5, 3, {record.info.strategy: (record.info, record.trials) for record in lanes}, machine)
    assert found["speedup"]["b"] == (1.0 if min(seconds) > 0 else None) and found["reason"].endswith(".")
    for record in lanes:
        made = lane_entry(record, 5, machine, "")
        assert (made["roofline"] is None) == (record.seconds[0] == 0)
        json.dumps([compared, found, made], allow_nan=False)
