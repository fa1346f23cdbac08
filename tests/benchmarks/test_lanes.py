import pytest

from benchmarks.measures import lanes
from kvdemo.models.loaded import LoadedModel

pytestmark = pytest.mark.slow


def test_every_loop_is_compared_with_its_bare_loop(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHED_ROUNDS", "UNCACHED_ROUNDS"):
        monkeypatch.setattr(lanes, name, 8)
    for name in ("CACHED_POSITIONS", "UNCACHED_POSITIONS"):
        monkeypatch.setattr(lanes, name, 2)
    figures = list(lanes.run(tiny_llama))
    assert [figure.target for figure in figures] == [None, 1.005, 1.01, 1.05, 1.02, 1.02]
    for figure in figures:
        assert figure.interval is not None
        assert 0 < figure.interval[0] <= figure.value <= figure.interval[1]
