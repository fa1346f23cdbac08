import time

import pytest

from benchmarks import recording
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.chooser import record


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
