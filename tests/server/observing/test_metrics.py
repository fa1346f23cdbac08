"""What Prometheus reads: runs by how they ended, who waits now, and whether the engine was started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from kvdemo.core.errors import BadInput
from kvdemo.core.events import TurnCame
from kvdemo.server.observing.metrics import Metrics
from kvdemo.server.observing.observed_backend import Observed
from kvdemo.server.service import Service

FORM: dict[str, Any] = {
    "prompt": "Hi", "max_new_tokens": 4, "ignore_eos": True, "chat": False, "strategies": "no_cache",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("quick_limits")


class Watched:
    """A service whose runs are counted."""

    def __init__(self, model: Path) -> None:
        self.metrics = Metrics()
        self.service = Service(str(model), device="cpu")
        self.observed = Observed(self.service, self.metrics.add)
        self.metrics.watch(self.observed)

    def value(self, name: str, **labels: str) -> float | None:
        """A sample as it is read now; None where there is none."""
        samples = [sample for family in parsed(self.metrics.answer()[0].decode()) for sample in family.samples]
        found = [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(found) if found else None


@pytest.fixture
def watched(tiny_folder: Path) -> Watched:
    return Watched(tiny_folder)


@pytest.mark.slow
def test_runs_are_counted_by_kind_and_outcome(watched: Watched) -> None:
    list(watched.observed.race(FORM, "a"))
    with pytest.raises(BadInput):
        list(watched.observed.race(FORM | {"max_new_tokens": "many"}, "b"))
    list(watched.observed.measure(FORM | {"repeats": 1, "warmup": 1}, "c"))
    assert watched.value("kvdemo_runs_total", kind="race", outcome="done") == 1
    assert watched.value("kvdemo_runs_total", kind="race", outcome="refused") == 1
    assert watched.value("kvdemo_runs_total", kind="measurement", outcome="done") == 1
    assert watched.value("kvdemo_tokens_total", kind="race") == 4
    assert watched.value("kvdemo_run_seconds_count", kind="race") == 2
    assert watched.value("kvdemo_run_seconds_sum", kind="race")
    assert watched.value("kvdemo_wait_seconds_count", kind="measurement") == 1


def test_gauges_count_waiting_and_running_runs(watched: Watched) -> None:
    assert (watched.value("kvdemo_runs_waiting"), watched.value("kvdemo_runs_running")) == (0, 0)
    race = watched.observed.race(FORM, "a")
    while not any(isinstance(event, TurnCame) for event in next(race)):
        pass
    assert (watched.value("kvdemo_runs_waiting"), watched.value("kvdemo_runs_running")) == (0, 1)
    race.close()
    assert watched.value("kvdemo_runs_running") == 0
    assert watched.value("kvdemo_runs_total", outcome="left") == 1


def test_the_loaded_model_is_a_metric_once_it_is_loaded(watched: Watched, tiny_folder: Path) -> None:
    assert watched.value("kvdemo_model_loaded") is None
    watched.service.preload()
    assert watched.value("kvdemo_model_loaded", model=str(tiny_folder), device="cpu") == 1


def test_without_an_engine_process_there_is_no_restart_metric(watched: Watched) -> None:
    assert watched.value("kvdemo_engine_restarts_total") is None
