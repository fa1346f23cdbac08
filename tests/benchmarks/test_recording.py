import time

import pytest

from benchmarks.measures import recording
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.chooser import record


@pytest.mark.slow  # it is slow on purpose
def test_slow_recording_counts_inside_the_timed_region_and_not_after_it(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(step: Step) -> Step:
        time.sleep(0.05)  # many times a tiny model's step, on a busy machine too
        return record(step)

    monkeypatch.setattr(recording, "record", slow)
    behind, inside = recording.run(tiny_llama, rounds=8, positions=2)
    assert "behind the clock" in behind.name and behind.target == 1.01
    assert "inside" in inside.name and inside.target is None
    assert inside.value > 2 * behind.value


def test_a_step_without_candidates_is_compared_with_one_that_records_them(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Step] = []
    monkeypatch.setattr(recording, "record", lambda step: told.append(record(step)) or told[-1])
    figures = list(recording.run_candidates(tiny_llama, rounds=8, positions=2))
    assert [figure.target for figure in figures] == [1.01, 1.01]
    found = [choice.candidates for step in told for choice in step.choices]
    assert {len(one.stages) for one in found if one} == {1, 4} and None not in found
